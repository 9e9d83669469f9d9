import fc from "fast-check";
import { expect, test } from "vitest";
import { fromUtf8, toBase32 } from "../bytes/index.ts";
import { createCrypto, createIdentity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import type { Envelope } from "./envelope.ts";
import { FORWARD_KEYS, forwardId } from "./forward.ts";
import { type ClosedPart, encodePart, type Head, parsePart } from "./inner.ts";
import { Ring } from "./ring.ts";

const CSID = 0x3a;
const crypto = createCrypto(portable);
const chance = new Chance(1);
const [alice, bob] = [createIdentity(crypto, chance.random), createIdentity(crypto, chance.random)];
const BY = "b0b0000000000001";

function open(saved?: Uint8Array, by = BY): Ring {
  return new Ring({ backend: portable, random: chance.random, by, saved });
}

function filled(): Ring {
  const ring = open();
  ring.fill();
  return ring;
}

/** The ids of its keys, the newest first. */
const ids = (ring: Ring) => ring.announce().keys.map(forwardId);

/** A mail sealed to one of the keys, the newest if nothing is said. */
function sealed(ring: Ring, { at = 0, uses = [] as string[] } = {}): ClosedPart {
  const head: Head = {
    from: alice.hashname,
    to: bob.hashname,
    epoch: "00".repeat(8),
    seq: 1,
    part: 0,
    of: 1,
    floor: 1,
  };
  const content = new Uint8Array(0);
  const envelope: Envelope = { id: "00".repeat(16), after: [], time: 1, expires: 2, kind: "card", content };
  const forwarding = { key: ring.announce().keys[at] ?? "", uses };
  const seal = { forwarding, seed: chance.random(32), generation: 0 };
  const part = parsePart(encodePart(crypto, CSID, alice, { head, envelope }, seal));
  return part !== undefined && "sealed" in part ? part : expect.fail("not closed");
}

test("no key is made before there is somebody to tell it to", () => {
  const ring = open();
  expect(ring.isEmpty).toBe(true);
  expect(ring.rename()).toBe(false);
  expect(ring.heed(["00".repeat(8)])).toBe(false);
  expect(ring.isEmpty).toBe(true);
  ring.fill();
  expect(ids(ring)).toHaveLength(1);
});

test("mail that used the newest key makes a newer one, once, and the older is deleted when nobody needs it", () => {
  const ring = filled();
  const [first] = ids(ring);
  const mail = sealed(ring);
  const before = ring.announce().turn;
  expect(ring.open(mail)).toMatchObject({ part: { head: mail.head }, isChanged: true });
  const [second, ...rest] = ids(ring);
  expect(rest).toEqual([first]);
  expect(ring.announce().turn).toBeGreaterThan(before);
  expect(ring.open(mail)).toMatchObject({ part: { head: mail.head }, isChanged: false });
  const stolen = fromUtf8(ring.encode()) ?? "";
  expect(ring.open(sealed(ring))).toMatchObject({ isChanged: true });
  expect(ids(ring)).toHaveLength(2);
  expect(ids(ring)).not.toContain(first);
  expect(ids(ring)[1]).toBe(second);
  // And with it what opens the mail: from the ring, and from what is saved of it.
  expect(ring.open(mail)).toEqual({ part: "gone", isChanged: false });
  const secretOf = (record: string, key: string | undefined) =>
    (JSON.parse(record) as { keys: [string, string][] }).keys.find(([each]) => forwardId(each) === key)?.[1];
  const secret = secretOf(stolen, first) ?? expect.fail("the record holds the secret");
  expect(fromUtf8(ring.encode())).not.toContain(secret);
});

test("a key that mail still wants stays, and all places taken no newer one is made until one is free", () => {
  const ring = filled();
  const [oldest = ""] = ids(ring);
  for (let i = 1; i < FORWARD_KEYS; i++) ring.open(sealed(ring, { uses: i === 1 ? [] : [oldest] }));
  expect(ids(ring)).toEqual([ids(ring)[0], ids(ring)[1], oldest]);
  const [third = ""] = ids(ring);
  ring.open(sealed(ring, { uses: ids(ring).slice(1) }));
  expect(ids(ring)).toHaveLength(FORWARD_KEYS);
  const full = ids(ring);
  ring.open(sealed(ring, { uses: full.slice(1) }));
  expect(ids(ring)).toEqual(full); // it was used, but there is no place for the next
  expect(ring.heed([full[0] ?? "", third])).toBe(true);
  expect(ids(ring)).toEqual([ids(ring)[0], full[0], third]);
  expect(full).not.toContain(ids(ring)[0]);
});

test("whatever a sender says, there are one to four keys, the newest stays, and the record brings them all back", () => {
  const statement = fc.array(fc.nat(5), { minLength: 1, maxLength: 4 });
  const step = fc.oneof(
    fc.record({ type: fc.constant("heed" as const), names: statement }),
    fc.record({ type: fc.constant("open" as const), names: statement }),
    fc.record({ type: fc.constantFrom("rename" as const, "restart" as const, "restore" as const), names: statement }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const epoch = (n: number): string => String(n).padStart(16, "0");
      let by = 1;
      let ring = open(undefined, epoch(by));
      ring.fill();
      for (const { type, names } of steps) {
        const known = ids(ring);
        const [newest] = known;
        const said = names.map((n) => known[n] ?? "ff".repeat(8));
        const turn = ring.announce();
        let changed = true;
        if (type === "heed") changed = ring.heed(said);
        else if (type === "rename") ring.rename();
        else if (type === "open") {
          const at = (names[0] ?? 0) % known.length;
          const uses = [...new Set(said.slice(1))].filter((id) => id !== known[at]);
          ({ isChanged: changed } = ring.open(sealed(ring, { at, uses })));
        } else ring = open(ring.encode(), epoch(type === "restore" ? ++by : by));
        const now = ids(ring);
        expect(now.length).toBeGreaterThan(0);
        expect(now.length).toBeLessThanOrEqual(FORWARD_KEYS);
        expect(new Set(now).size).toBe(now.length);
        expect(now).toContain(newest);
        expect(open(ring.encode(), epoch(by)).announce().keys).toEqual(ring.announce().keys);
        if (!changed) expect(now).toEqual(known);
        const { ring: name, turn: then } = ring.announce();
        if (now.join() !== known.join()) expect(name !== turn.ring || then > turn.turn).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test("a key that is not here is gone, whoever says that it was; the keys get a new name, once for each announcement", () => {
  const ring = filled();
  const stranger = filled();
  const { ring: name, turn, keys } = ring.announce();
  expect(ring.open(sealed(stranger))).toEqual({ part: "gone", isChanged: false });
  expect(ring.rename()).toBe(true);
  expect(ring.rename()).toBe(false);
  const renamed = ring.announce();
  expect([renamed.keys, renamed.ring === name]).toEqual([keys, false]);
  expect(renamed.turn).toBeLessThanOrEqual(turn);
  expect(ring.rename()).toBe(true);
});

test("what was not sealed to the key opens nothing, and uses it for nothing", () => {
  const ring = filled();
  const mail = sealed(ring);
  const bytes = mail.sealed.slice();
  bytes[3] = (bytes[3] ?? 0) ^ 1;
  const before = ring.encode();
  expect(ring.open({ ...mail, sealed: bytes })).toEqual({ part: undefined, isChanged: false });
  expect(ring.encode()).toEqual(before);
});

test("a restored ring keeps what the backup has, under a new name and behind a new key", () => {
  const ring = filled();
  for (let i = 0; i < 3; i++) ring.open(sealed(ring, { uses: ids(ring).slice(1) }));
  const backup = ring.encode();
  const old = ring.announce();
  expect(open(backup).isRestored).toBe(false);
  const restored = open(backup, "b0b0000000000002");
  expect(restored.isRestored).toBe(true);
  const now = restored.announce();
  expect(now.ring).not.toBe(old.ring);
  expect(now.keys.slice(1)).toEqual(old.keys.slice(0, 3));
  expect(old.keys).not.toContain(now.keys[0]);
  // Under the epoch it was saved in, it is the same ring again.
  expect(open(restored.encode(), "b0b0000000000002").announce()).toEqual(now);
  expect(toBase32(restored.encode())).toBe(toBase32(open(restored.encode(), "b0b0000000000002").encode()));
});
