/** What handshakes carry besides keys: an application's messages, URIs of any length, and how channels are written. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../bytes/index.ts";
import { createCrypto, exportIdentity, hashnameOf, type Identity, importIdentity, portable } from "../crypto/index.ts";
import {
  encodeHandshake,
  fitsHandshake,
  HANDSHAKE_BYTES,
  type HandshakeMessage,
  keyPacket,
  sealMessage,
} from "../e3x/index.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { MeshNet, type MeshPeer } from "../testing/meshes.ts";

const JWT: HandshakeMessage = { type: "jwt", json: {}, body: utf8("a token, for all we know") };
const TX: HandshakeMessage = { type: "tx", json: { chain: "test" }, body: Uint8Array.of(1, 2, 3) };

/** The types and bodies that a peer was last asked about. */
function asked(peer: MeshPeer): [type: string, body: number][] {
  const messages = peer.logged("handshake").at(-1)?.messages ?? [];
  return messages.map(({ type, body }): [string, number] => [type, type === "key" ? 0 : body.length]).sort();
}

describe("messages of the application", () => {
  test("[B55] [B24] go out with our keys, under one `at`, and are handed over as they are, all at once in the end", () => {
    const net = new MeshNet();
    const [a, b] = [net.peer("a", { handshakes: [JWT, TX] }), net.peer("b")];
    b.policy = ({ messages }) => (messages.length === 3 ? "approve" : "wait");
    a.want(b);
    net.run(500);
    expect(asked(b)).toEqual([
      ["jwt", JWT.body.length],
      ["key", 0],
      ["tx", 3],
    ]);
    const tx = b
      .logged("handshake")
      .at(-1)
      ?.messages.find(({ type }) => type === "tx");
    expect([tx?.json, tx?.body]).toEqual([{ type: "tx", ...TX.json }, TX.body]);
    expect(a.isUp(b) && b.isUp(a)).toBe(true);
  });

  test("[B56] new ones go out at once where a link is up, and with all handshakes from then on, after a restart of the peer too", () => {
    const net = new MeshNet();
    const [a, b] = [net.peer("a"), net.peer("b")];
    a.want(b);
    net.run(1_000);
    const before = net.between(a, b).length;
    net.run(1);
    a.do({ type: "handshakes", messages: [JWT] });
    expect(net.between(a, b).length - before).toBe(2); // keys and token
    net.run(1_000);
    expect(a.isUp(b)).toBe(true);
    b.policy = ({ messages }) => (messages.length === 2 ? "approve" : "wait");
    b.restart();
    net.run(5 * 60_000);
    expect(asked(b)).toEqual([
      ["jwt", JWT.body.length],
      ["key", 0],
    ]);
    a.do({ type: "handshakes", messages: [] });
    b.policy = () => "approve";
    b.restart();
    net.run(5 * 60_000);
    expect(asked(b)).toEqual([["key", 0]]);
    expect(a.isUp(b)).toBe(true);
  });
});

describe("a URI from somebody's card", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "never makes a handshake too long, with %d keys of ours: it is left out",
    (count) => {
      const net = new MeshNet();
      const own = withKeys(net, count);
      let fitting = 0;
      for (let length = 100; length <= 1_300; length += 50) {
        const uri = `link://${"x".repeat(length)}`;
        const [a, b] = [net.peer(`a${length}`, {}, own), net.peer(`b${length}`)];
        a.do({ type: "want", peer: a.wish(b, [b]), uri });
        net.run(1_000);
        expect(a.isUp(b)).toBe(true);
        const messages = b.logged("handshake").flatMap((handshake) => handshake.messages);
        const isSent = messages.some(({ type }) => type === "uri");
        expect(isSent).toBe(
          fitsHandshake(net.crypto, own, 0x01, { type: "uri", json: { uri }, body: new Uint8Array(0) }),
        );
        if (isSent) fitting++;
        for (const { bytes } of net.between(a, b)) expect(bytes.length).toBeLessThan(HANDSHAKE_BYTES + 8 * 4); // the cloak
      }
      expect(fitting).toBeGreaterThan(3);
      expect(fitting).toBeLessThan(25);
    },
  );
});

describe("channel payloads in CBOR", () => {
  test.each([
    [true, true, true],
    [true, false, false],
    [false, true, false],
  ])("a offers %s, b offers %s: used %s, and everything arrives either way", (ours, theirs, isUsed) => {
    const net = new MeshNet({ seed: 3 });
    [net.loss, net.duplicate] = [0.2, 0.1];
    const [a, b] = [net.peer("a", { cbor: ours, cloak: false }), net.peer("b", { cbor: theirs, cloak: false })];
    a.want(b);
    net.run(60_000);
    for (let i = 0; i < 20; i++) (i % 2 === 0 ? a : b).say(i % 2 === 0 ? b : a, `line ${i}`);
    net.run(120_000);
    expect([a.got.length, b.got.length]).toEqual([10, 10]);
    expect(new Set([...a.got, ...b.got])).toEqual(new Set(Array.from({ length: 20 }, (_, i) => `line ${i}`)));
    // The same conversation, seen from outside: only the form that both offer is shorter.
    const quiet = new MeshNet({ seed: 4 });
    const [c, d] = [quiet.peer("c", { cbor: ours, cloak: false }), quiet.peer("d", { cbor: theirs, cloak: false })];
    c.want(d);
    quiet.run(1_000);
    const since = quiet.now;
    c.say(d, "hello", false);
    quiet.run(100);
    const [packet] = quiet.between(c, d, since);
    const asJson = '{"c":1,"end":true,"type":"test"}'.length + 2 + "hello".length + 58;
    expect((packet?.bytes.length ?? 0) < asJson).toBe(isUsed);
  });

  test("z = 2, deflate before encryption, is refused: who offers it is spoken to in JSON", () => {
    const net = new MeshNet();
    const [a, b] = [net.peer("a"), net.peer("b", { cbor: true })];
    // A key message with another `z` than ours, as an old or careless peer would send it.
    const keys = keyPacket(portable, a.identity, 0x01);
    const inner = encodeHandshake(BigInt(net.now / 1000), { type: "key", json: { z: 2 }, body: keys });
    const { random } = net.chance;
    const bytes = sealMessage(net.crypto, { from: a.identity, to: b.identity.keys, inner, random });
    b.do({ type: "received", path: a.path, bytes: bytes ?? expect.unreachable() });
    net.run(10);
    expect(b.logged("handshake")[0]?.messages[0]?.json["z"]).toBe(2);
    a.want(b);
    net.run(5_000);
    b.say(a, "hello");
    net.run(5_000);
    expect(a.got).toEqual(["hello"]);
  });
});

/** An identity with one key that is spoken and others that are only part of the hashname. */
function withKeys(net: MeshNet, count: number): Identity {
  const csids = Array.from({ length: count }, (_, i) => i + 1);
  const sets = csids.map((csid) => ({ ...cs01(), csid }));
  const crypto = createCrypto(portable, sets);
  const pairs = new Map(sets.map((set) => [set.csid, set.generate(net.chance.random)]));
  const keys = new Map([...pairs].map(([csid, { key }]) => [csid, key]));
  const identity = { hashname: hashnameOf(crypto.backend, keys), keys, pairs };
  return importIdentity(net.crypto, exportIdentity(identity)) ?? expect.unreachable();
}
