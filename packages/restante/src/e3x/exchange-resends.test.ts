/** What an exchange sends again, what it sends anew, and in how many messages. */
import { describe, expect, test } from "vitest";
import { RestanteError, toHex, utf8 } from "../bytes/index.ts";
import { createCrypto, cs3a, portable } from "../crypto/index.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { uriMessage, Wire } from "../testing/exchanges.ts";
import { given } from "../testing/given.ts";

describe("resends", () => {
  test("[B9][B10][B11] come 1, 3 and 8 s after the first send", () => {
    expect(
      unanswered()
        .slice(0, 4)
        .map(({ sent }) => sent),
    ).toEqual([0, 1_000, 3_000, 8_000]);
  });

  test("[B12][B13][X3] and the last one after 20 s, all of them the same bytes", () => {
    const sends = unanswered();
    expect(sends.map(({ sent }) => sent)).toEqual([0, 1_000, 3_000, 8_000, 20_000]);
    expect(new Set(sends.map(({ bytes }) => toHex(bytes))).size).toBe(1);
  });

  function unanswered() {
    const wire = new Wire();
    wire.b.deaf = true;
    wire.a.do({ type: "start" });
    wire.run(120_000);
    return wire.handshakes("a");
  }

  test("[B14] stop with the answer", () => {
    for (const lost of [0, 1, 2, 3]) {
      const wire = new Wire();
      wire.delays = ({ from }) => (from === "b" && wire.handshakes("b").length <= 2 * lost ? [] : [10]);
      wire.b.deaf = true;
      wire.a.do({ type: "start" });
      wire.run([0, 1_000, 3_000, 8_000][lost] ?? 0);
      wire.b.deaf = false;
      wire.delays = () => [10];
      wire.run(30_000);
      expect(wire.a.isUp && wire.b.isUp).toBe(true);
      const first = given(wire.handshakes("a")[0]).at;
      const count = wire.handshakes("a").filter(({ at }) => at === first).length;
      expect(count).toBeGreaterThan(lost);
      expect(count).toBeLessThanOrEqual(lost + 2);
    }
  });

  test("[B15][B16] end after 30 s without an answer, and nothing is left", () => {
    const wire = new Wire();
    wire.b.deaf = true;
    wire.a.do({ type: "start" });
    wire.a.do({ type: "open", ch: 7, reliable: true, head: { type: "x" }, body: utf8("x") });
    wire.run(29_999);
    expect(wire.a.count("timeout")).toBe(0);
    wire.run(1);
    expect(wire.a.log.slice(-2)).toEqual([{ type: "closed", ch: 7, err: "timeout" }, { type: "timeout" }]);
    expect(wire.a.exchange.deadline()).toBeUndefined();
    expect(wire.a.exchange.remotes).toEqual([]);
    expect(wire.a.do({ type: "tick" })).toEqual([]);
  });

  test("[B15] an exchange that was up ends so too when its keepalive is not answered", () => {
    const wire = Wire.up();
    wire.b.deaf = true;
    wire.a.do({ type: "start" });
    wire.run(30_000);
    expect(wire.a.log.at(-1)).toEqual({ type: "timeout" });
  });

  test("after a long sleep the missed ones go as one", () => {
    const wire = new Wire();
    wire.a.do({ type: "start" });
    wire.now += 10_000;
    expect(wire.a.do({ type: "tick" })).toHaveLength(1);
    expect(wire.a.do({ type: "tick" })).toHaveLength(0);
  });
});

describe("a keepalive", () => {
  test("[B17] may begin at any time, also while a handshake is under way", () => {
    const wire = new Wire();
    for (let i = 0; i < 3; i++) {
      wire.a.do({ type: "start" });
      wire.run(5);
    }
    wire.run(5_000);
    wire.a.do({ type: "start" });
    wire.b.do({ type: "start" });
    wire.run(5_000);
    expect([wire.a.count("up"), wire.b.count("up")]).toEqual([1, 1]);
    expect([wire.a.count("renewed"), wire.b.count("renewed")]).toEqual([0, 0]);
    expect([wire.a.exchange.handshaking, wire.b.exchange.handshaking]).toEqual([false, false]);
    expect(wire.talks()).toBe(true);
  });

  test("[B56] sends the messages last given, with a new `at`", () => {
    const wire = Wire.up();
    wire.a.do({ type: "start", extra: [uriMessage("link://x/1")] });
    wire.run(5_000);
    wire.a.do({ type: "start" });
    const sent = wire.handshakes("a");
    expect(sent.map(({ type }) => type)).toEqual(["key", "uri", "key", "uri"]);
    const [first, second] = [sent[1], sent[3]].map((one) => wire.b.read(given(one).bytes));
    expect(given(second).message).toEqual(given(first).message);
    expect(given(second).at).toBeGreaterThan(given(first).at);
  });

  test("[B55] may bring new messages", () => {
    const wire = Wire.up();
    for (const uri of ["link://x/1", "link://x/2"]) wire.a.do({ type: "start", extra: [uriMessage(uri)] });
    const uris = wire.handshakes("a").filter(({ type }) => type === "uri");
    expect(uris.map(({ bytes }) => wire.b.read(bytes).message.json["uri"])).toEqual(["link://x/1", "link://x/2"]);
  });
});

describe("a handshake of several messages", () => {
  test("[B1][B29] has one `at` for all of them, each other type, each verifiable alone", () => {
    const wire = new Wire();
    wire.a.do({ type: "start", extra: [uriMessage("link://x/?token")] });
    const sent = wire.handshakes("a"); // reading verifies with the key packet inside
    expect(sent.map(({ type }) => type)).toEqual(["key", "uri"]);
    expect(new Set(sent.map(({ at }) => at)).size).toBe(1);
  });

  test("[B20][B30][B50] is answered once, in either order; a second one of a type changes nothing", () => {
    for (const reversed of [false, true]) {
      const wire = Wire.up();
      wire.a.deaf = true;
      wire.a.do({ type: "start", extra: [uriMessage("link://x/?token")] });
      const packets = wire.handshakes("a").map(({ bytes }) => bytes);
      if (reversed) packets.reverse();
      wire.now += 500;
      const [first, second] = packets.map((bytes) => wire.b.receive(bytes));
      expect(given(first).filter(({ type }) => type === "send")).toHaveLength(1);
      expect(second).toEqual([]);
      const { message: _, ...again } = wire.b.read(given(packets[0]));
      expect(wire.b.do({ type: "handshake", ...again, digest: "other bytes" })).toMatchObject([{ to: "known" }]);
      expect(wire.b.do({ type: "handshake", ...again, digest: "other bytes" })).toEqual([]);
    }
  });

  test("[B13] is resent as a whole", () => {
    const wire = new Wire();
    wire.b.deaf = true;
    wire.a.do({ type: "start", extra: [uriMessage("link://x/?token")] });
    wire.run(30_000);
    expect(wire.handshakes("a").map(({ sent }) => sent)).toEqual([0, 0, 1, 1, 3, 3, 8, 8, 20, 20].map((s) => s * 1000));
  });

  test("[A12] has packets of less than 1400 bytes, or it is the caller's error", () => {
    for (const set of [cs01(), cs3a(portable)]) {
      const wire = new Wire({ crypto: createCrypto(portable, [set]) });
      for (const length of [1, 300, 1_000, 1_100, 1_150, 1_200, 1_300, 2_000]) {
        wire.sent.length = 0;
        const start = () => wire.a.do({ type: "start", extra: [uriMessage("x".repeat(length))] });
        if (length < 1_100) start();
        else if (length > 1_200) expect(start).toThrow(RestanteError);
        else attempt(start);
        for (const { bytes } of wire.sent) expect(bytes.length).toBeLessThan(1_400);
      }
    }
  });
});

function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(RestanteError);
  }
}
