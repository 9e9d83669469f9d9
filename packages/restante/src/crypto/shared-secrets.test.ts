import fc from "fast-check";
import { expect, test } from "vitest";
import type { KeyPair } from "./index.ts";
import { SharedSecrets } from "./shared-secrets.ts";

const pair = (): KeyPair => ({ key: new Uint8Array(1), secret: new Uint8Array(1) });

test("exactly the most recently used secrets of each pair are remembered", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.record({ ours: fc.nat(1), theirs: fc.nat(6) }), { maxLength: 60 }),
      (limit, uses) => {
        const pairs = [pair(), pair()];
        const model: number[][] = [[], []]; // per pair the keys remembered, the newest last
        let agreed: [KeyPair, number] | undefined;
        const secrets = new SharedSecrets((ours, theirs) => {
          agreed = [ours, theirs[0] ?? 0];
          return Uint8Array.of(pairs.indexOf(ours), theirs[0] ?? 0);
        }, limit);
        for (const { ours, theirs } of uses) {
          const [us, recent] = [pairs[ours] ?? pair(), model[ours] ?? []];
          agreed = undefined;
          expect(secrets.get(us, Uint8Array.of(theirs))).toEqual(Uint8Array.of(ours, theirs));
          expect(agreed).toEqual(recent.includes(theirs) ? undefined : [us, theirs]);
          model[ours] = [...recent.filter((other) => other !== theirs), theirs].slice(-limit);
        }
      },
    ),
  );
});

test("a key with which no secret can be shared takes no room", () => {
  let asked = 0;
  const secrets = new SharedSecrets((_, theirs) => {
    asked++;
    return theirs[0] === 0 ? undefined : theirs;
  }, 1);
  const ours = pair();
  secrets.get(ours, Uint8Array.of(1));
  for (let i = 0; i < 3; i++) expect(secrets.get(ours, Uint8Array.of(0))).toBeUndefined();
  expect(secrets.get(ours, Uint8Array.of(1))).toEqual(Uint8Array.of(1));
  expect(asked).toBe(4);
});

test("keys that differ in one byte, length or place are told apart", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (one, other) => {
      const secrets = new SharedSecrets((_, theirs) => theirs.slice(), 8);
      const ours = pair();
      expect(secrets.get(ours, one)).toEqual(one);
      expect(secrets.get(ours, other)).toEqual(other);
    }),
  );
});
