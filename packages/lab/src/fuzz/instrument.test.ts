import { expect, test } from "vitest";
import { Counters } from "./cover.ts";
import { instrument } from "./instrument.ts";

let modules = 0;

/** A module of that source, with counters of its own. */
async function load<T>(source: string): Promise<{ module: T; counters: Counters }> {
  const name = `restante.fuzz.test.${++modules}`;
  const counters = new Counters(name, 4096);
  const { source: counted } = instrument(source, name);
  const module = (await import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(counted)}`)) as T;
  counters.reset();
  return { module, counters };
}

/** Every kind of choice that a program can make, and places where it is easy to break one. */
const SOURCE = `
  "use strict";
  const plain = (x) => x + 1;
  const object = (x) => ({ x });
  const nested = (x) => (y) => x ? y : -y;
  const late = (x, y = plain(x)) => { if (x) if (y > 5) return "far"; else return "near"; return "none"; };
  class Base { constructor(x) { this.x = x; } get twice() { return this.x * 2; } static #secret = 1; static is(o) { return #secret in o; } }
  class Derived extends Base { #y; constructor(x) { super(x); this.#y = x ?? 7; } get y() { return this.#y; } }
  function* numbers(n) { for (let i = 0; i < n; i++) yield i; }
  async function wait(x) { try { return await x(); } catch { return "caught"; } finally { plain(1); } }
  const kind = (x) => { switch (x) { case 1: case 2: return "few"; case 3: { const y = x; return "three" + y; } default: return "many"; } };
  const loops = (n) => { let s = 0; while (n > 0) n--, s++; do s++; while (s < 3); for (const c of "ab") s += c.length; for (const k in { a: 1 }) s += k.length; outer: for (;;) { for (;;) break outer; } return s; };
  const short = (o) => { o.a ??= 1; o.b ||= 2; o.c &&= 3; return o; };
  const literal = (x) => \`a\${x && "b"}c\`;
  export const run = async (x) => [
    plain(x), object(x), nested(x)(2), late(x), new Derived(x).y, new Base(x).twice, Base.is(new Base(1)), [...numbers(x)],
    await wait(() => { throw 1; }), await wait(async () => x), kind(x), loops(x), short({ a: 0, b: 0, c: 1 }), literal(x),
  ];
`;

test("a module does with counters what it does without", async () => {
  const { module } = await load<{ run(x: number): Promise<unknown[]> }>(SOURCE);
  const plain = (await import(
    /* @vite-ignore */ `data:text/javascript,${encodeURIComponent(SOURCE)}`
  )) as typeof module;
  for (const x of [0, 1, 2, 3, 4, 9]) expect(await module.run(x)).toEqual(await plain.run(x));
});

test("lines stay where they were", () => {
  const source = 'const a = 1;\nif (a)\n  throw new Error("here");\n';
  const lines = instrument(source).source.split("\n");
  expect(lines).toHaveLength(source.split("\n").length);
  expect(lines[2]).toContain("here");
});

test("its numbers and texts are words for a dictionary; 0 and 1 and long texts are none", () => {
  const { words } = instrument(
    `export const f = (x) => x === "magic" || x === 4711 || x === 0 || x === "${"a".repeat(41)}";`,
  );
  expect(words).toEqual(["magic", 4711]);
});

test.each<[string, string, unknown, unknown]>([
  ["if", "(x) => { if (x) return 1; }", 0, 1],
  ["if that did nothing", "(x) => { if (x) return 1; return 2; }", 1, 0],
  ["else without braces", "(x) => { let y = 0; if (x) y = 1; else y = 2; return y; }", 1, 0],
  ["?:", "(x) => (x ? 1 : 2)", 1, 0],
  ["&&", "(x) => x && 1", 0, 1],
  ["||", "(x) => x || 1", 1, 0],
  ["??", "(x) => x ?? 1", 1, undefined],
  ["??=", "(x) => { x ??= 1; return x; }", 1, undefined],
  ["switch", "(x) => { switch (x) { case 1: return 1; default: return 2; } }", 0, 1],
  ["default value", "(x) => ((y = 1) => y)(x)", 1, undefined],
  ["catch", "(x) => { try { return x.y; } catch { return 1; } }", {}, undefined],
  ["for", "(x) => { for (let i = 0; i < x; i++) Math.abs(i); }", 0, 1],
])("what %s decides is seen, and is news once", async (_, code, first, second) => {
  const { module, counters } = await load<{ f(x: unknown): unknown }>(`export const f = ${code};`);
  const fresh = (x: unknown): number => {
    counters.reset();
    module.f(x);
    return counters.fresh().length;
  };
  fresh(first);
  expect(fresh(first)).toBe(0);
  expect(fresh(second)).toBeGreaterThan(0);
  expect(fresh(second)).toBe(0);
});

test("rounds of a loop count in steps: one or two more are news, ten more of many are none", async () => {
  const { module, counters } = await load<{ f(n: number): void }>(
    "export const f = (n) => { while (n-- > 0) Math.abs(n); };",
  );
  const features = (n: number): string => {
    counters.reset();
    module.f(n);
    return [...counters.features()].join();
  };
  expect(features(1)).not.toBe(features(2));
  expect(features(3)).not.toBe(features(4));
  expect(features(40)).toBe(features(50));
  expect(features(5)).toBe(features(7));
});
