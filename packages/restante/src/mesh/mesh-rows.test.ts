/** Rows of the checklist about links and approval, each with the whole of its check. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromUtf8, type Time, utf8 } from "../bytes/index.ts";
import type { Path } from "../card/index.ts";
import { createCrypto, createIdentity, type Ephemeral, type Identity, order, portable } from "../crypto/index.ts";
import { encodeHandshake, keyPacket, openMessage, parseHandshake, sealMessage } from "../e3x/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { cloak, decloak, encodePacket, parsePacket } from "../wire/index.ts";
import type { MeshIn, MeshOut } from "./contract.ts";
import { Mesh } from "./mesh.ts";

const START = 1_700_000_000_000;
const set = cs01();
const crypto = createCrypto(portable, [set]);
const HERE: Path = { type: "mem", name: "here" };
const chance = new Chance(9);
const { random } = chance;
const [us, them] = [createIdentity(crypto, random), createIdentity(crypto, random)];

/** A value that must be there. */
function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value");
  return value;
}

/** A mesh, and all that it sent in the clear. */
class Peer {
  readonly mesh: Mesh;
  readonly identity: Identity;
  readonly sent: { bytes: Uint8Array; packet: Uint8Array }[] = [];
  readonly unheard: Uint8Array[] = [];
  now: Time = START;

  constructor(identity: Identity = us, options: { saved?: Uint8Array; cloak?: boolean } = {}) {
    let handle = 0;
    this.identity = identity;
    this.mesh = new Mesh({ crypto, identity, random: chance.fork().random, handles: () => ++handle, ...options });
  }

  do(input: MeshIn): MeshOut[] {
    const out = this.mesh.handle(input, this.now);
    for (const effect of out) {
      if (effect.type !== "transmit") continue;
      const { bytes } = effect;
      this.unheard.push(bytes);
      this.sent.push({ bytes, packet: given(decloak(portable.chacha20, bytes)).packet });
    }
    return out;
  }

  receive(bytes: Uint8Array, path: Path = HERE): MeshOut[] {
    return this.do({ type: "received", path, bytes });
  }

  want(peer: Identity, uri?: string): MeshOut[] {
    const { hashname, keys } = peer;
    return this.do({ type: "want", peer: { hashname, keys, paths: [HERE] }, ...(uri === undefined ? {} : { uri }) });
  }

  /** Time passes until `ms` from now, and the machine is called when it wants to be. */
  wait(ms: number): MeshOut[] {
    const until = this.now + ms;
    const out: MeshOut[] = [];
    for (let at = this.mesh.deadline(); at !== undefined && at <= until; at = this.mesh.deadline()) {
      this.now = Math.max(this.now, at);
      out.push(...this.do({ type: "tick" }));
    }
    this.now = until;
    return out;
  }
}

/** What an outer packet to a peer says, if it is a handshake. */
function read(to: Identity, packet: Uint8Array) {
  const opened = openMessage(crypto, to, packet);
  const handshake = opened && parseHandshake(opened.inner);
  return handshake && { at: handshake.at, ...handshake.message };
}

/** Two meshes side by side: all that they say arrives at once, until both are silent. They approve each other. */
function talk(a: Peer, b: Peer): void {
  for (let turn = 0; a.unheard.length + b.unheard.length > 0; turn++) {
    if (turn > 20) throw new Error("they never fall silent");
    for (const [from, to] of [[a, b] as const, [b, a] as const])
      for (const bytes of from.unheard.splice(0))
        for (const effect of to.receive(bytes))
          if (effect.type === "handshake" && effect.isNew) to.do({ type: "approve", hashname: effect.hashname });
  }
  expect([a.mesh.isUp(b.identity.hashname), b.mesh.isUp(a.identity.hashname)]).toEqual([true, true]);
}

describe("approval", () => {
  const TYPES = ["key", "uri", "jwt", "tx"] as const;
  type Type = (typeof TYPES)[number];
  const exchange = (): Ephemeral => given(set.exchange(given(us.keys.get(1)), random));

  /** One message of a handshake of theirs. The mark tells it from all others. */
  function message(type: Type, at: bigint, mark: number, ephemeral: Ephemeral): Uint8Array {
    const body = type === "key" || type === "uri" ? keyPacket(portable, them, 1) : utf8(`the ${type} number ${mark}`);
    const json = type === "uri" ? { uri: `link://${mark}`, mark } : { mark };
    const inner = encodeHandshake(at, { type, json, body });
    return given(sealMessage(crypto, { from: them, to: us.keys, inner, random, ephemeral }));
  }

  /** The types and marks of which the application is told. */
  function told(out: readonly MeshOut[]): [string, unknown][] | undefined {
    const event = out.find((effect) => effect.type === "handshake");
    return event?.messages.map(({ type, json }) => [type, json["mark"]]);
  }

  test("[B5] [B52] [B53] four messages are required: in each of their 24 orders nothing leaves before the last is there", () => {
    for (const types of permutations(TYPES)) {
      const [peer, ephemeral] = [new Peer(), exchange()];
      const packets = types.map((type, mark) => message(type, 100n, mark, ephemeral));
      let approved = 0;
      // What brings no key is heard once a message with one was; so it takes the repetition of some.
      for (const packet of [...packets, ...packets]) {
        peer.now += 100;
        const event = peer.receive(packet).find((effect) => effect.type === "handshake");
        if (approved === 0) expect(peer.sent).toEqual([]);
        if (event?.messages.length !== TYPES.length) continue;
        expect(event.messages.map(({ type }) => type).sort()).toEqual([...TYPES].sort());
        approved += 1;
        peer.do({ type: "approve", hashname: them.hashname });
        expect(peer.sent.length).toBeGreaterThan(0);
      }
      expect(approved).toBe(1);
    }
  });

  test("[B24] [B51] the application gets all messages of one `at` together, each as it was sent, opaque ones too", () => {
    const [peer, ephemeral] = [new Peer(), exchange()];
    const events = TYPES.map((type, mark) => {
      const [event] = peer.receive(message(type, 100n, mark, ephemeral));
      return event?.type === "handshake" ? event : undefined;
    });
    for (const [i, event] of events.entries()) {
      expect(event).toMatchObject({ hashname: them.hashname, isNew: true, path: HERE });
      expect(event?.messages.map(({ type, json }) => [type, json["mark"]])).toEqual(
        TYPES.slice(0, i + 1).map((type, mark) => [type, mark]),
      );
    }
    const [, uri, jwt, tx] = given(events.at(-1)).messages;
    expect(uri?.json["uri"]).toBe("link://1");
    expect([jwt, tx].map((one) => fromUtf8(given(one).body))).toEqual(["the jwt number 2", "the tx number 3"]);
  });

  // After a key message with `at` 100 comes another one.
  test.each([
    { at: 101n, type: "key", token: "same", keeps: [["key", 2]] },
    { at: 101n, type: "uri", token: "same", keeps: [["uri", 2]] },
    { at: 101n, type: "key", token: "other", keeps: [["key", 2]] },
    { at: 101n, type: "uri", token: "other", keeps: [["uri", 2]] },
    {
      at: 100n,
      type: "uri",
      token: "same",
      keeps: [
        ["key", 1],
        ["uri", 2],
      ],
    },
    { at: 100n, type: "key", token: "same", keeps: undefined },
    { at: 100n, type: "uri", token: "other", keeps: undefined },
    { at: 100n, type: "key", token: "other", keeps: undefined },
    { at: 99n, type: "key", token: "same", keeps: undefined },
    { at: 99n, type: "uri", token: "same", keeps: undefined },
    { at: 99n, type: "key", token: "other", keeps: undefined },
    { at: 99n, type: "uri", token: "other", keeps: undefined },
  ] as const)("[B48] [B49] [B50] a $type message with at $at and the $token token", ({ at, type, token, keeps }) => {
    const [peer, ephemeral] = [new Peer(), exchange()];
    expect(told(peer.receive(message("key", 100n, 1, ephemeral)))).toEqual([["key", 1]]);
    const second = message(type, at, 2, token === "same" ? ephemeral : exchange());
    expect(told(peer.receive(second))).toEqual(keeps);
    expect(peer.mesh.dropped.stale).toBe(keeps === undefined ? 1 : 0);
    expect(peer.receive(second)).toEqual([]); // a repetition changes nothing, in any case
    peer.do({ type: "approve", hashname: them.hashname });
    const [answer] = peer.sent.map(({ packet }) => read(them, packet));
    expect(answer?.at).toBe(keeps === undefined ? 100n : at);
  });

  test("[B30] in whatever order messages come, of each type only one is shown, and all have the highest `at` so far", () => {
    const sent = fc.record({
      at: fc.bigInt({ min: 1n, max: 4n }),
      type: fc.constantFrom(...TYPES.slice(0, 2)),
      token: fc.nat(1),
    });
    fc.assert(
      fc.property(fc.array(sent, { maxLength: 20 }), (all) => {
        const peer = new Peer();
        const ephemerals = [exchange(), exchange()];
        let highest = 0n;
        let kept = new Map<string, { mark: number; token: number }>();
        for (const [mark, { at, type, token }] of all.entries()) {
          peer.now += 100;
          const out = told(peer.receive(message(type, at, mark, given(ephemerals[token]))));
          const [first] = kept.values();
          const isNew = at > highest || (at === highest && first?.token === token && !kept.has(type));
          if (at > highest) kept = new Map();
          if (at > highest) highest = at;
          if (isNew) kept.set(type, { mark, token });
          expect(out).toEqual(isNew ? [...kept].map(([kind, { mark }]) => [kind, mark]) : undefined);
        }
      }),
    );
  });
});

test("[B16] a handshake that nobody answers leaves nothing: no link, no timer, no token, and its answer is too late", () => {
  const peer = new Peer();
  const ephemeral = given(set.exchange(given(us.keys.get(1)), random));
  const say = (at: bigint): Uint8Array => {
    const inner = encodeHandshake(at, { type: "key", json: {}, body: keyPacket(portable, them, 1) });
    return given(sealMessage(crypto, { from: them, to: us.keys, inner, random, ephemeral }));
  };
  peer.receive(say(100n));
  peer.do({ type: "approve", hashname: them.hashname });
  const own = given(peer.sent.map(({ packet }) => read(them, packet)?.at).findLast((at) => at !== 100n));
  const { prefix } = given(openMessage(crypto, them, given(peer.sent[0]).packet));
  const toToken = encodePacket(undefined, Uint8Array.from([...prefix.subarray(0, 16), ...random(60)]));
  peer.receive(toToken);
  expect([peer.mesh.dropped.channel, peer.mesh.dropped.token]).toEqual([1, 0]); // known, but rubbish

  peer.wait(29_999);
  expect([peer.mesh.links().length, peer.mesh.deadline() !== undefined]).toEqual([1, true]);
  peer.wait(1);
  expect([peer.mesh.links(), peer.mesh.deadline()]).toEqual([[], undefined]);
  peer.receive(toToken);
  expect([peer.mesh.dropped.channel, peer.mesh.dropped.token]).toEqual([1, 1]);
  const before = peer.sent.length;
  // The echo that would have made the link: now the word of a stranger, who waits for approval.
  expect(peer.receive(say(own))).toMatchObject([{ type: "handshake", isNew: true }]);
  expect(peer.sent).toHaveLength(before);
  expect(peer.mesh.isUp(them.hashname)).toBe(false);
});

describe("at", () => {
  /** The first `at` for a peer, of a mesh that saved this before. */
  function first(to: Identity, now: Time, saved?: bigint): bigint {
    const value = new Uint8Array(8);
    new DataView(value.buffer).setBigUint64(0, saved ?? 0n);
    const peer = new Peer(us, saved === undefined ? {} : { saved: value });
    peer.now = now;
    peer.want(to);
    return given(read(to, given(peer.sent[0]).packet)).at;
  }

  test("[B32] [B33] of ours ends in our order towards the peer, whatever clock and memory say", () => {
    const anybody = Array.from({ length: 20 }, () => createIdentity(crypto, random));
    const orders = anybody.map((to) => order(given(us.keys.get(1)), given(to.keys.get(1))));
    expect(new Set(orders)).toEqual(new Set([0, 1]));
    fc.assert(
      fc.property(
        fc.nat(anybody.length - 1),
        fc.nat(2 ** 42),
        fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n }), { nil: undefined }),
        (i, now, saved) => {
          const at = first(given(anybody[i]), now, saved);
          expect(Number(at & 1n)).toBe(orders[i]);
          expect(at).toBeGreaterThan(saved ?? 0n);
        },
      ),
    );
  });

  test("[B39] is the time in seconds, or the next one with the right last bit", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2_000, max: 2 ** 42 }), (now) => {
        const ahead = first(them, now) - BigInt(Math.floor(now / 1000));
        expect(ahead).toBeGreaterThanOrEqual(0n);
        expect(ahead).toBeLessThanOrEqual(2n);
      }),
    );
  });
});

test("[B55] [B56] new messages go out at once, and again with each keepalive: a higher `at`, and the same content", () => {
  const [a, b] = [new Peer(us), new Peer(them)];
  a.want(them, "link://one");
  talk(a, b);
  const shakes = () => a.sent.splice(0).flatMap(({ packet }) => read(them, packet) ?? []);
  shakes();
  a.want(them, "link://two");
  let last = shakes();
  expect(last.map(({ type, json }) => [type, json["uri"]])).toEqual([
    ["key", undefined],
    ["uri", "link://two"],
  ]);
  for (let i = 0; i < 3; i++) {
    talk(a, b); // it is answered
    shakes();
    for (const peer of [a, b]) peer.now += 29_000;
    a.wait(1_000);
    const next = shakes();
    const [at, ...others] = new Set(next.map((one) => one.at));
    expect([at === undefined, others]).toEqual([false, []]);
    expect(at).toBeGreaterThan(given(last[0]).at);
    expect(next.map(content)).toEqual(last.map(content));
    last = next;
  }

  function content({ at: _, ...rest }: (typeof last)[number]): unknown {
    return rest;
  }
});

test("[E14] cloaked and plain are both heard, and each is answered as it came", () => {
  for (let rounds = 0; rounds <= 5; rounds++) {
    const [peer, own] = [new Peer(), new Peer(them, { cloak: false })];
    own.want(us);
    const { packet } = given(own.sent[0]);
    const bytes = rounds === 0 ? packet : cloak(portable.chacha20, packet, random, rounds);
    expect(peer.receive(bytes).map(({ type }) => type)).toEqual(["handshake"]);
    peer.do({ type: "approve", hashname: them.hashname });
    expect(peer.sent.length).toBeGreaterThan(0);
    for (const { bytes: answer, packet: inside } of peer.sent) {
      expect(answer[0] === 0).toBe(rounds === 0);
      expect(answer.length > inside.length).toBe(rounds > 0);
      expect(parsePacket(inside)?.head).toHaveLength(1);
    }
  }
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
