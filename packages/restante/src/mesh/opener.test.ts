/** What openings cost, counted in the operations that are dear, whatever is sent. protocol/exchange.md §8 */
import { describe, expect, test } from "vitest";
import { concat } from "../bytes/index.ts";
import {
  type Backend,
  type CipherSet,
  type Crypto,
  createCrypto,
  createIdentity,
  cs3a,
  type Ephemeral,
  type Identity,
  portable,
} from "../crypto/index.ts";
import { encodeHandshake, keyPacket, sealMessage } from "../e3x/index.ts";
import { Chance } from "../testing/chance.ts";
import { given } from "../testing/given.ts";
import { parsePacket } from "../wire/index.ts";
import { type Known, type Opened, Opener, type Origin, type Refusal } from "./opener.ts";

const START = 1_700_000_000_000;
const OTHER_CSID = 0x02;
const { random } = new Chance(1);

/** Curve25519 without its curve, so that tests can make thousands of exchanges; and how often it was asked. */
function counting(): { backend: Backend; count: { agreements: number; hashes: number } } {
  const count = { agreements: 0, hashes: 0 };
  const beforenm: Backend["beforenm"] = (secret, key) => {
    count.agreements += 1;
    return portable.sha256(secret.map((byte, i) => byte ^ (key[i] ?? 0)));
  };
  const sha256: Backend["sha256"] = (data) => {
    count.hashes += 1;
    return portable.sha256(data);
  };
  return { backend: { ...portable, x25519Key: (secret) => secret.slice(), beforenm, sha256 }, count };
}

/** An opener, what it has spent, and the means to send it something. */
class Scene {
  readonly count: { agreements: number; hashes: number };
  readonly us: Identity;
  readonly opener: Opener;
  /** Openings of another set: of those nothing is ever remembered. */
  otherOpens = 0;
  readonly #theirs: Crypto;

  constructor(isFast = false) {
    const { backend: slow, count } = counting();
    const backend: Backend = isFast ? { ...slow, isFast: true } : slow;
    this.count = count;
    const set = cs3a(backend);
    const other: CipherSet = {
      ...set,
      csid: OTHER_CSID,
      open: () => {
        this.otherOpens += 1;
        return undefined;
      },
    };
    const crypto = createCrypto(backend, [set, other]);
    this.us = createIdentity(crypto, random, [0x3a, OTHER_CSID]);
    this.opener = new Opener(crypto, this.us);
    const free = counting().backend;
    this.#theirs = createCrypto(free, [cs3a(free)]);
  }

  peer(): { identity: Identity; ephemeral: Ephemeral; known: Known } {
    const identity = createIdentity(this.#theirs, random);
    const key = given(identity.keys.get(0x3a));
    const ephemeral = given(this.#theirs.sets.get(0x3a)?.exchange(given(this.us.keys.get(0x3a)), random));
    return { identity, ephemeral, known: { hashname: identity.hashname, key, prefix: ephemeral.prefix } };
  }

  /** A handshake from `from`, in this exchange. */
  handshake(from: Identity, ephemeral: Ephemeral): Uint8Array {
    const { backend } = this.#theirs;
    const inner = encodeHandshake(5n, { type: "key", json: {}, body: keyPacket(backend, from, 0x3a) });
    const to = new Map([[0x3a, given(this.us.keys.get(0x3a))]]);
    return given(sealMessage(this.#theirs, { from, to, inner, random, ephemeral }));
  }

  open(outer: Uint8Array, known: Known | undefined, now: number, origin: Origin = "expected"): Opened | Refusal {
    return this.opener.open(outer, given(parsePacket(outer)).body, known, origin, now);
  }
}

/** What begins as a message of this exchange does. */
function rubbish(prefix: Uint8Array, csid = 0x3a): Uint8Array {
  return concat(Uint8Array.of(0, 1, csid), prefix, random(200));
}

test("where the curve is cheap ten times as many strangers are opened in set 3a, and of another set as many as ever", () => {
  const opened = (isFast: boolean, csid: number): number => {
    const scene = new Scene(isFast);
    for (let i = 0; i < 1_500; i++) scene.open(rubbish(random(32), csid), undefined, START, "unasked");
    return csid === OTHER_CSID ? scene.otherOpens : scene.count.agreements;
  };
  expect(opened(false, 0x3a)).toBe(100);
  expect(opened(true, 0x3a)).toBeGreaterThanOrEqual(999);
  expect(opened(true, 0x3a)).toBeLessThanOrEqual(1_000);
  expect(opened(true, OTHER_CSID)).toBe(100);
});

describe("peers with links", () => {
  test("pay once for their exchange, and say and are said to have said what they like in it", () => {
    const scene = new Scene();
    const peers = Array.from({ length: 400 }, () => scene.peer());
    for (let round = 0; round < 10; round++)
      for (const { identity, ephemeral, known } of peers) {
        expect(scene.open(scene.handshake(identity, ephemeral), known, START)).toMatchObject({
          hashname: identity.hashname,
        });
        expect(scene.open(rubbish(ephemeral.prefix), known, START)).toBe("unopened");
      }
    expect(scene.count.agreements).toBe(2 * peers.length);
  });

  test("more of them than secrets are remembered cost each a bounded number of agreements, however they take turns", () => {
    const scene = new Scene();
    const peers = Array.from({ length: 1_500 }, () => scene.peer());
    const said = peers.map(({ identity, ephemeral }) => scene.handshake(identity, ephemeral));
    const [seconds, perSecond] = [40, 2];
    const heard = new Map(peers.map(({ known }) => [known, 0]));
    for (let round = 0; round < seconds * perSecond; round++)
      for (const [i, { known }] of peers.entries())
        if (typeof scene.open(given(said[i]), known, START + (round * 1_000) / perSecond) !== "string")
          heard.set(known, given(heard.get(known)) + 1);
    const bound = peers.length * (4 + seconds / 8) + 100 + 50 * seconds;
    expect(scene.count.agreements).toBeLessThanOrEqual(2 * bound);
    expect(peers.length * seconds * perSecond).toBeGreaterThan(5 * bound); // it is a flood
    expect(Math.min(...heard.values())).toBeGreaterThanOrEqual(8); // and each was heard more often than keepalives come
  });

  test("that shake hands at once have their hashnames computed once each, and no others'", () => {
    const scene = new Scene();
    const peers = Array.from({ length: 8 }, () => scene.peer());
    const hashesOf = (sender: (i: number) => Identity): number => {
      const before = scene.count.hashes;
      for (const [i, { ephemeral, known }] of peers.entries()) {
        const from = sender(i);
        const opened = scene.open(scene.handshake(from, ephemeral), known, START);
        expect(opened).toEqual(
          from === peers[i]?.identity ? expect.objectContaining({ hashname: known.hashname }) : "forged",
        );
      }
      return scene.count.hashes - before;
    };
    const own = (i: number): Identity => given(peers[i]).identity;
    const [first, again] = [hashesOf(own), hashesOf(own)];
    expect(first - again).toBe(3 * peers.length); // of the key, and two for one key to its hashname
    expect(hashesOf((i) => own((i + 1) % peers.length))).toBeGreaterThan(again);
    expect(hashesOf(own)).toBe(again);
  });

  test("cannot have others verified in their exchange", () => {
    const scene = new Scene();
    const { identity, ephemeral, known } = scene.peer();
    scene.open(scene.handshake(identity, ephemeral), known, START);
    const before = scene.count.agreements;
    for (let i = 0; i < 500; i++) {
      const other = scene.handshake(scene.peer().identity, ephemeral);
      expect(scene.open(other, known, START)).toBe("forged");
    }
    expect(scene.count.agreements).toBe(before);
  });

  test("and what begins as they do, but under another cipher set, is paid for as from anybody", () => {
    const scene = new Scene();
    const { identity, ephemeral, known } = scene.peer();
    scene.open(scene.handshake(identity, ephemeral), known, START);
    for (let i = 0; i < 2_000; i++) scene.open(rubbish(ephemeral.prefix, OTHER_CSID), known, START, "unasked");
    expect(scene.otherOpens).toBeGreaterThan(0);
    expect(scene.otherOpens).toBeLessThanOrEqual(4 + 100);
    expect(scene.open(scene.handshake(identity, ephemeral), known, START)).toMatchObject({ hashname: known.hashname });
  });

  test("whose exchange somebody sees and fills with rubbish before they have said anything in it still get in", () => {
    const scene = new Scene();
    const { identity, ephemeral, known } = scene.peer();
    for (let i = 0; i < 2_000; i++) scene.open(rubbish(ephemeral.prefix), known, START, "unasked");
    expect(scene.open(rubbish(ephemeral.prefix), known, START, "unasked")).toBe("budget");
    expect(scene.open(scene.handshake(identity, ephemeral), known, START, "expected")).toMatchObject({
      hashname: known.hashname,
    });
  });
});

describe("routers", () => {
  const by = (router: Identity, isSought = false): Origin => ({ by: router.hashname, isSought });
  const isHeard = (scene: Scene, now: number, origin: Origin): boolean => {
    const { identity, ephemeral } = scene.peer();
    return typeof scene.open(scene.handshake(identity, ephemeral), undefined, now, origin) !== "string";
  };

  test("of which one floods us leave each other what they need, for peers that we seek and for others", () => {
    const scene = new Scene();
    const [flooder, honest] = [scene.peer().identity, scene.peer().identity];
    for (const isSought of [true, false]) {
      let [heard, taken] = [0, 0];
      for (let ms = 0; ms < 10_000; ms += 2) {
        const refusal = scene.open(rubbish(random(32)), undefined, START + ms, by(flooder, isSought));
        if (refusal === "unopened") taken += 1;
        if (ms % 1_000 === 500) heard += isHeard(scene, START + ms, by(honest, isSought)) ? 1 : 0;
      }
      expect(heard).toBe(10);
      expect(taken).toBeLessThanOrEqual(100 + 10 * 50 + 8 + 10 * 2);
    }
  });

  test("in any number cost no more than the common budget and 32 shares, and nobody who comes straight", () => {
    const scene = new Scene();
    const routers = Array.from({ length: 100 }, () => scene.peer().identity);
    let taken = 0;
    for (let ms = 0; ms < 10_000; ms += 100)
      for (const router of routers)
        if (scene.open(rubbish(random(32)), undefined, START + ms, by(router)) === "unopened") taken += 1;
    expect(taken).toBeGreaterThan(10 * 50);
    expect(taken).toBeLessThanOrEqual(100 + 10 * 50 + 32 * (8 + 10 * 2));
    const now = START + 10_000;
    expect([isHeard(scene, now, "expected"), isHeard(scene, now, "unasked")]).toEqual([true, true]);
    expect(isHeard(scene, now, by(given(routers[0]), true))).toBe(true);
  });
});
