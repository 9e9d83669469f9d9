import { expect, test } from "vitest";
import { findStamp, type StampTask } from "./card/index.ts";
import { type Hashname, hashnameFromBytes, portable } from "./crypto/index.ts";
import { searchStamp } from "./search.ts";

const peer = (n: number): Hashname => hashnameFromBytes(new Uint8Array(32).fill(n));
const taskOf = (work: number): StampTask => ({
  cache: peer(1),
  recipient: peer(2),
  sender: peer(3),
  day: 20_000,
  work,
});

/** A machine on which a hash takes as long as one says, and everything else no time. */
function slow(msPerHash: number) {
  let now = 0;
  let hashes = 0;
  const waiting: (() => void)[] = [];
  const sha256 = (data: Uint8Array): Uint8Array => {
    now += msPerHash;
    hashes++;
    return portable.sha256(data);
  };
  const options = {
    backend: { ...portable, sha256 },
    clock: () => now,
    soon(run: () => void) {
      waiting.push(run);
      return () => void waiting.splice(waiting.indexOf(run), 1);
    },
  };
  /** One piece; how long it took. `undefined`: nothing is left to do. */
  const piece = (): number | undefined => {
    const run = waiting.shift();
    const since = now;
    run?.();
    return run && now - since;
  };
  return { options, piece, hashes: () => hashes };
}

test("what is found is the first stamp, told once, however slow the machine", () => {
  for (const msPerHash of [0.0003, 0.002, 0.05]) {
    const task = taskOf(11);
    const { options, piece } = slow(msPerHash);
    const told: unknown[] = [];
    searchStamp(options, task, (stamp) => told.push(stamp));
    expect(told).toEqual([]); // never at once
    for (let spent = piece(); spent !== undefined; spent = piece()) {
      // A piece ends with the hashes that were begun before its time was over.
      expect(spent).toBeLessThan(5 + 128 * msPerHash + 1e-6);
    }
    expect(told).toEqual([findStamp(portable, task, 0, 2 ** 20)]);
  }
});

test("a search that is ended does nothing more, before its first piece or between two", () => {
  for (const pieces of [0, 1, 3]) {
    const { options, piece, hashes } = slow(0.01);
    const end = searchStamp(options, taskOf(24), () => {
      throw new Error("told after the end");
    });
    for (let i = 0; i < pieces; i++) expect(piece()).toBeDefined();
    const before = hashes();
    expect(before > 0).toBe(pieces > 0);
    end();
    expect([piece(), hashes()]).toEqual([undefined, before]);
  }
});
