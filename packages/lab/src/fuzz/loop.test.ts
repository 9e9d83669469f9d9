import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "restante/protocol";
import { expect, onTestFinished, test } from "vitest";
import { minimised, readCorpus, writeCorpus } from "./corpus.ts";
import { Counters, type Coverage } from "./cover.ts";
import { instrument } from "./instrument.ts";
import { Loop } from "./loop.ts";
import { BYTES, parser, type Target } from "./target.ts";

/** Throws for nothing but a text that blind damage does not find: every right letter is one more branch. */
const LOCK = `export const open = (b) => {
  if (b[0] !== 0x6b) return undefined;
  if (b[1] !== 0x65) return undefined;
  if (b[2] !== 0x79) return undefined;
  if (b[3] !== 0x21) return undefined;
  throw new Error("it opened");
};`;
let modules = 0;

async function lock(): Promise<{ target: Target; counters: Counters }> {
  const name = `restante.fuzz.loop.${++modules}`;
  const counters = new Counters(name, 4096);
  const source = encodeURIComponent(instrument(LOCK, name).source);
  const { open } = (await import(/* @vite-ignore */ `data:text/javascript,${source}`)) as {
    open(b: Uint8Array): unknown;
  };
  return { target: parser("lock", 0, BYTES, [utf8("????")], open), counters };
}

const cpu = (): number => 0;

/** Steps until there is a failure, at most so many. */
async function failure(loop: Loop, steps: number): Promise<readonly { why: string; input: Uint8Array }[]> {
  for (let i = 0; i < steps && loop.failures.length === 0; i++) await loop.step();
  return loop.failures;
}

test("what the counters say leads it to an input that chance alone does not find", async () => {
  const { target, counters } = await lock();
  const loop = new Loop({ target, coverage: counters, seed: 8, cpu });
  await loop.give(utf8("????"));
  const [found] = await failure(loop, 10_000);
  expect(found?.why).toContain("it opened");
  expect(found?.input).toEqual(utf8("key!"));

  const words = (): Set<string | number> => counters.words();
  const blind: Coverage = { reset() {}, fresh: () => [], features: () => new Set(), words };
  const same = new Loop({ target, coverage: blind, seed: 8, cpu });
  await same.give(utf8("????"));
  expect(await failure(same, 20_000)).toEqual([]);
});

test.each([
  ["at once", (look: () => unknown) => look()],
  ["later", async (look: () => unknown) => look()],
])("a failure is told once, as its shortest input: one that comes %s", async (_, when) => {
  const bad = (b: Uint8Array): unknown =>
    when(() => {
      if (b.includes(0xff)) throw new RangeError("there is an ff");
    });
  const coverage: Coverage = { reset() {}, fresh: () => [1], features: () => new Set([1]), words: () => new Set() };
  const loop = new Loop({ target: parser("ff", 0, BYTES, [utf8("a")], bad), coverage, seed: 1, cpu });
  await loop.give(Uint8Array.from({ length: 100 }, (_, i) => (i === 40 ? 0xff : i)));
  await loop.give(Uint8Array.of(1, 0xff));
  expect(loop.failures.map(({ input }) => input)).toEqual([Uint8Array.of(0xff)]);
});

test("an input that needs more CPU time than its size allows is a failure; one that only had to wait is none", async () => {
  let used = 0;
  const busy = (ms: number): void => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };
  let given = 0;
  const work = (b: Uint8Array): unknown => {
    given++;
    if (b[0] === 1) used += 100;
    if (b[0] === 2 && given === 1) used += 100; // the first time only
    busy(3);
    return b;
  };
  const bound = { ms: 2, msPerKilobyte: 0 };
  const coverage: Coverage = { reset() {}, fresh: () => [], features: () => new Set(), words: () => new Set() };
  const make = (): Loop => {
    given = 0;
    return new Loop({ target: parser("busy", 0, BYTES, [], work, bound), coverage, seed: 1, cpu: () => used });
  };
  const [slow, waited, cold] = [make(), make(), make()];
  await slow.give(Uint8Array.of(1));
  expect(slow.failures.map(({ why }) => why)).toEqual(["it takes more than 2 ms"]);
  await waited.give(Uint8Array.of(0));
  await cold.give(Uint8Array.of(2));
  expect([...waited.failures, ...cold.failures]).toEqual([]);
});

test("a corpus is kept without what adds nothing, and read again as it was written", async () => {
  const folder = mkdtempSync(join(tmpdir(), "restante-corpus-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const features = new Map([
    ["a", [1]],
    ["bb", [2]],
    ["ccc", [1, 2]],
    ["dddd", [1, 3]],
  ]);
  const kept = await minimised(
    [...features.keys()].map(utf8),
    async (input) => new Set(features.get(Buffer.from(input).toString())),
  );
  expect(kept).toEqual([utf8("bb"), utf8("dddd")]);
  writeCorpus("one", kept, folder);
  expect(readCorpus("one", folder)).toEqual(kept);
  expect(readCorpus("two", folder)).toEqual([]);
});
