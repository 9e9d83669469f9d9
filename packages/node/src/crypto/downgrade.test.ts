/** Peers of every choice of cipher sets: what an attacker who has broken a lower set gains by it, which is nothing. */
import {
  createCrypto,
  createIdentity,
  cs1a,
  cs2a,
  cs3a,
  encodeHandshake,
  hashnameOf,
  highestCommon,
  type Identity,
  keyPacket,
  mesh,
  sealMessage,
} from "restante/protocol";
import { Chance } from "restante/testing";
import { expect, test } from "vitest";
import { loadBackend } from "./best.ts";
import { openssl } from "./openssl.ts";

const backend = await loadBackend(() => {});
const crypto = createCrypto(backend, [cs1a(backend), cs2a(backend, openssl.rsa), cs3a(backend)]);
const { random } = new Chance(1);
const SETS = [0x1a, 0x2a, 0x3a];
const CHOICES = [1, 2, 3, 4, 5, 6, 7].map((bits) => SETS.filter((_, i) => (bits >> i) & 1));
const [bobs, alices] = [createIdentity(crypto, random, SETS), createIdentity(crypto, random, SETS)];

/** The peer that has only some of these keys. */
function part({ keys, pairs }: Identity, csids: readonly number[]): Identity {
  const some = <V>(all: ReadonlyMap<number, V>) => new Map([...all].filter(([csid]) => csids.includes(csid)));
  return { hashname: hashnameOf(backend, some(keys)), keys: some(keys), pairs: some(pairs) };
}

/** What a peer makes of a handshake of `from` in this set, that says of its sender what `claim` is. */
function told(to: Identity, from: Identity, csid: number, claim = from): { hashname: unknown; downgrade: number } {
  const bob = new mesh.Mesh({ crypto, identity: to, random, handles: () => 1 });
  const inner = encodeHandshake(2n, { type: "key", json: {}, body: keyPacket(backend, claim, csid) });
  const keys = new Map([...to.keys].filter(([each]) => each === csid));
  const bytes = sealMessage(crypto, { from, to: keys, inner, random });
  if (bytes === undefined) throw new Error("nothing to seal to");
  const [out] = bob.handle({ type: "received", path: { type: "mem", name: "x" }, bytes }, 1_800_000_000_000);
  return { hashname: out?.type === "handshake" ? out.hashname : undefined, downgrade: bob.dropped.downgrade };
}

test.each(CHOICES)("[A17] a handshake in a lower set than the highest common one is dropped: %s %s %s", (...own) => {
  const bob = part(bobs, own);
  for (const choice of CHOICES) {
    const alice = part(alices, choice);
    const highest = highestCommon(crypto, bob.keys, alice.keys);
    for (const csid of choice.filter((each) => own.includes(each))) {
      const isHighest = csid === highest;
      expect(told(bob, alice, csid)).toEqual({
        hashname: isHighest ? alice.hashname : undefined,
        downgrade: isHighest ? 0 : 1,
      });
      // Who leaves the higher sets out is somebody else.
      const bare = part(alices, [csid]);
      expect(told(bob, alice, csid, bare)).toEqual({ hashname: bare.hashname, downgrade: 0 });
      if (choice.length > 1) expect(bare.hashname).not.toBe(alice.hashname);
    }
  }
});
