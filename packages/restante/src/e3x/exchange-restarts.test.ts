/** Peers that lost their state, and recordings of those that had it: who is believed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../bytes/index.ts";
import { isHandshake, START, Wire } from "../testing/exchanges.ts";
import { given } from "../testing/given.ts";

describe("a peer that lost its state", () => {
  test("[B47] gets a new exchange: old channels close, then renewed, then up", () => {
    const wire = Wire.up();
    wire.b.do({ type: "open", ch: 5, reliable: true, head: { type: "x" }, body: utf8("x") });
    wire.run(10_000);
    wire.b.log.length = 0;
    wire.a.restart();
    wire.a.do({ type: "start" });
    wire.run(1_000);
    const told = wire.b.log.filter(({ type }) => !["send", "heard"].includes(type));
    expect(told).toEqual([{ type: "closed", ch: 5, err: "renewed" }, { type: "renewed" }, { type: "up" }]);
    expect(wire.a.count("renewed")).toBe(0);
    expect(wire.talks()).toBe(true);
  });

  test("comes back even with its clock far behind: a lower `at` is answered with ours", () => {
    for (const odd of ["a", "b"] as const) {
      const wire = Wire.up({ odd });
      wire.a.restart(-(10 ** 9));
      wire.run(5_000);
      wire.a.do({ type: "start" });
      wire.run(10_000);
      expect(given(wire.handshakes("a")[0]).at).toBeLessThan(BigInt(START / 1000) - 10n ** 5n);
      expect([wire.a.isUp, wire.b.count("renewed")]).toEqual([true, 1]);
      expect(wire.talks()).toBe(true);
    }
  });

  test("comes back when it is the other end that speaks first", () => {
    const wire = Wire.up();
    wire.a.restart();
    wire.run(5_000);
    wire.b.do({ type: "start" });
    wire.run(10_000);
    expect(wire.b.count("renewed")).toBe(1);
    expect(wire.talks()).toBe(true);
  });

  test("any number of times, on any side, over a bad wire, with any clock: both ends agree in the end", () => {
    const life = fc.tuple(fc.boolean(), fc.integer({ min: -50_000, max: 50_000 }), fc.nat({ max: 6_000 }));
    fc.assert(
      fc.property(fc.nat(), fc.array(life, { maxLength: 6 }), (seed, lives) => {
        const wire = new Wire({ seed });
        const chance = wire.chance.fork();
        wire.delays = () => (chance.happens(0.2) ? [] : [chance.between(1, 400)]);
        wire.a.do({ type: "start" });
        for (const [isA, clock, ms] of lives) {
          const end = isA ? wire.a : wire.b;
          end.restart(clock);
          end.do({ type: "start" });
          wire.run(ms);
        }
        // As the mesh does: whoever gave up tries again.
        for (let i = 0; i < 6; i++) {
          wire.run(31_000);
          for (const end of [wire.a, wire.b]) {
            if (end.isUp) end.do({ type: "start" });
            else if (!end.exchange.handshaking) {
              end.restart();
              end.do({ type: "start" });
            }
          }
        }
        wire.delays = () => [10];
        wire.run(25_000);
        expect([wire.a.isUp, wire.b.isUp]).toEqual([true, true]);
        expect(wire.talks()).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

describe("recordings", () => {
  /** A live wire, and a handshake that a's former life sent with its clock ahead and b never got. */
  function withRecording(): { wire: Wire; recorded: Uint8Array } {
    const wire = new Wire();
    wire.a.clock = 3_600_000;
    wire.delays = () => [];
    wire.a.do({ type: "start" });
    const recorded = given(wire.sent[0]).bytes;
    wire.delays = () => [10];
    wire.a.restart(0);
    wire.a.do({ type: "start" });
    wire.run(1_000);
    expect([wire.a.isUp, wire.b.isUp]).toEqual([true, true]);
    wire.b.do({ type: "open", ch: 5, reliable: true, head: { type: "x" }, body: utf8("x") });
    wire.run(1_000);
    wire.a.log.length = wire.b.log.length = wire.sent.length = 0;
    return { wire, recorded };
  }

  test("[B47] of an old handshake with a higher `at` is echoed and tried, and kills nothing", () => {
    const { wire, recorded } = withRecording();
    const out = wire.b.receive(recorded);
    const [echo, trial] = wire.handshakes("b");
    expect(out.map((effect) => effect.type === "send" && effect.to)).toEqual(["answer", "process"]);
    expect(given(echo).at).toBe(wire.b.read(recorded).at);
    expect(given(trial).at).toBeGreaterThan(given(echo).at);
    // Until the trial is decided the old keys receive.
    wire.a.do({ type: "open", ch: 1, reliable: false, head: { type: "x" }, body: utf8("still here") });
    wire.run(60_000);
    expect(wire.b.count("opened")).toBe(1);
    for (const end of [wire.a, wire.b])
      expect([end.count("renewed"), end.count("up"), end.count("timeout")]).toEqual([0, 0, 0]);
    expect(wire.b.log).not.toContainEqual({ type: "closed", ch: 5, err: "renewed" });
    expect(wire.talks()).toBe(true);
  });

  test("are tried once, however often they are played, and cost one answer a second", () => {
    const { wire, recorded } = withRecording();
    for (let i = 0; i < 100; i++) {
      wire.b.receive(recorded);
      wire.run(100);
    }
    expect(new Set(wire.handshakes("b").map(({ at }) => at)).size).toBe(2);
    expect(wire.handshakes("b").length).toBeLessThan(14);
    expect([wire.a.count("up"), wire.b.count("renewed")]).toEqual([0, 0]);
    expect(wire.talks()).toBe(true);
  });

  test("of everything that was ever sent, played back in any order, end no live exchange", () => {
    const script = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 3_000 })), { maxLength: 30 });
    fc.assert(
      fc.property(fc.nat(), script, (seed, plays) => {
        const wire = Wire.up({ seed });
        const old: Uint8Array[] = [];
        for (const clock of [1_000, 2_000, 0]) {
          wire.a.restart(clock);
          wire.a.do({ type: "start" });
          wire.run(3_000);
          wire.talks(clock + 10);
          wire.b.do({ type: "start" });
          wire.run(3_000);
          old.push(...wire.sent.filter(({ from }) => from === "a").map(({ bytes }) => bytes));
        }
        expect([wire.a.isUp, wire.b.isUp]).toEqual([true, true]);
        wire.b.log.length = 0;
        for (const [which, ms] of plays) {
          wire.b.receive(given(old[which % old.length]));
          wire.run(ms);
        }
        wire.run(40_000);
        expect([wire.b.count("renewed"), wire.b.count("timeout"), wire.b.count("opened")]).toEqual([0, 0, 0]);
        expect(wire.talks(9)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test("are tried one by one: a later one of a token that failed its trial is a new trial", () => {
    const wire = new Wire();
    wire.delays = () => [];
    const recorded = [3_600_000, 7_200_000].map((clock) => {
      wire.a.clock = clock;
      wire.a.do({ type: "start" });
      return given(wire.sent.at(-1)).bytes;
    });
    wire.delays = () => [10];
    wire.a.restart(0);
    wire.a.do({ type: "start" });
    wire.run(1_000);
    for (const bytes of recorded) {
      wire.b.receive(bytes);
      wire.run(1_000);
    }
    expect([wire.b.isUp, wire.b.count("renewed")]).toEqual([true, 0]);
    expect(wire.talks()).toBe(true);
  });

  test("of a session that was replaced do not bring it back", () => {
    const wire = Wire.up();
    wire.delays = () => [];
    wire.a.clock = 3_600_000;
    wire.a.do({ type: "start" }); // never arrives
    const recorded = given(wire.sent.at(-1)).bytes;
    wire.delays = () => [10];
    wire.a.restart(0);
    wire.a.do({ type: "start" });
    wire.run(1_000);
    expect(wire.b.count("renewed")).toBe(1);
    expect(wire.b.receive(recorded)).toEqual([]);
  });

  test("of an echo prove nothing when another life of the peer has given that echo already", () => {
    const wire = Wire.up();
    wire.b.do({ type: "start" });
    wire.run(1_000);
    const current = given(wire.handshakes("b").at(-1)).at;
    const comeBack = () => {
      wire.a.restart(-(10 ** 9)); // it learns our `at` from us and echoes it
      wire.a.do({ type: "start" });
      wire.run(3_000);
    };
    wire.delays = ({ from, bytes }) => (from === "a" && wire.b.read(bytes).at >= current ? [] : [10]);
    comeBack();
    const echo = given(wire.handshakes("a").find(({ at, sent }) => at === current && sent > 2_000)).bytes;
    wire.delays = () => [10];
    comeBack();
    expect([wire.a.isUp, wire.b.isUp, wire.b.count("renewed")]).toEqual([true, true, 1]);
    wire.b.receive(echo);
    wire.run(5_000);
    expect(wire.b.count("renewed")).toBe(1);
    expect(wire.talks()).toBe(true);
  });

  test("[X34] prove nothing by being higher than the trial: that is one more trial, and an echo of it proves the token", () => {
    const wire = Wire.up();
    wire.a.restart(5_000);
    wire.a.deaf = true; // as a recording is: it never sees a trial
    wire.a.do({ type: "start" });
    wire.run(100);
    expect(wire.b.count("renewed")).toBe(0);
    wire.a.clock = 60_000;
    wire.a.do({ type: "start" });
    wire.run(100);
    expect(wire.b.count("renewed")).toBe(0);
    wire.a.deaf = false;
    wire.run(3_000); // until the trial is sent again
    expect(wire.b.count("renewed")).toBe(1);
    expect(wire.talks()).toBe(true);
  });

  test("[X34] of a handshake and of a channel packet end no session: that one was made long ago", () => {
    const wire = new Wire();
    const { a, b } = wire;
    wire.delays = () => []; // carried by hand
    const last = (from: "a" | "b") => given(wire.handshakes(from).at(-1)).bytes;
    a.do({ type: "start" });
    b.receive(last("a"));
    a.receive(last("b")); // b's trial; its echo is lost
    const trial = last("a");
    b.receive(given(wire.handshakes("a").at(-2)).bytes); // a's echo
    expect([a.isUp, b.isUp]).toEqual([false, true]);
    b.do({ type: "open", ch: 1, reliable: false, head: { type: "x" }, body: utf8("late") });
    const packet = given(wire.sent.at(-1)).bytes;
    b.clock = 60_000;
    b.do({ type: "start" });
    const recorded = last("b"); // and so ends this life of b
    b.restart(0);
    b.receive(trial);
    a.receive(given(wire.handshakes("b").at(-2)).bytes);
    expect([a.isUp, a.exchange.remotes.map(({ name }) => name)]).toEqual([true, [toHex(b.exchange.token)]]);
    a.receive(recorded);
    a.receive(packet);
    expect([a.count("renewed"), a.count("opened")]).toEqual([0, 0]);
    wire.delays = () => [10];
    wire.run(31_000);
    expect([a.isUp, b.isUp, a.count("renewed"), a.count("opened")]).toEqual([true, true, 0, 0]);
    expect(wire.talks()).toBe(true);
  });

  test("a peer that came back may send at once: what comes before its proof waits, 16 packets at most", () => {
    const wire = Wire.up();
    const { a, b } = wire;
    a.restart();
    wire.delays = () => [];
    a.do({ type: "start" });
    b.receive(given(wire.handshakes("a")[0]).bytes);
    const [echo, trial] = wire.handshakes("b");
    a.receive(given(echo).bytes);
    expect(a.isUp).toBe(true);
    for (let ch = 1; ch <= 20; ch++)
      a.do({ type: "open", ch, reliable: false, head: { type: "x" }, body: utf8(`${ch}`) });
    for (const { bytes } of wire.sent.filter(({ from, bytes }) => from === "a" && !isHandshake(bytes)))
      b.receive(bytes);
    expect([b.count("renewed"), b.count("opened")]).toEqual([0, 0]);
    a.receive(given(trial).bytes);
    b.receive(given(wire.handshakes("a").at(-1)).bytes);
    const told = b.log.filter(({ type }) => ["renewed", "up", "opened"].includes(type)).map(({ type }) => type);
    expect(told).toEqual(["renewed", "up", ...Array.from({ length: 16 }, () => "opened")]);
    wire.delays = () => [10];
    expect(wire.talks(30)).toBe(true);
  });

  test("a packet under the keys on trial makes the first session: only who has heard us knows our key", () => {
    const wire = new Wire();
    const { a, b } = wire;
    wire.delays = ({ from, bytes }) =>
      from === "a" && isHandshake(bytes) && wire.handshakes("a").length > 1 ? [] : [10];
    a.do({ type: "start" });
    a.do({ type: "open", ch: 1, reliable: false, head: { type: "x" }, body: utf8("x") });
    wire.run(500);
    expect([b.count("up"), b.count("opened")]).toEqual([1, 1]);
  });
});
