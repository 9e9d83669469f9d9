import { beforeAll, describe, expect, test } from "vitest";
import { check, type Findings } from "./mirror.ts";

/** What somebody might write, where, and who must object. */
interface Planted {
  readonly what: string;
  readonly code: string;
  /** A folder or file; `wire` unless told. */
  readonly at?: string;
  readonly by: readonly string[];
}

/** Codes that the same checkers object to, by what they are. */
const each = (by: readonly string[], codes: Readonly<Record<string, string>>): Planted[] =>
  Object.entries(codes).map(([what, code]) => ({ what, code, by }));

const PURE: Planted[] = [
  ...each(["tsc TS2304"], {
    setTimeout: "setTimeout(() => {}, 1);",
    queueMicrotask: "queueMicrotask(() => {});",
    fetch: 'export const x: unknown = fetch("https://example.org");',
    crypto: "export const x: unknown = crypto;",
    performance: "export const x: number = performance.now();",
    TextEncoder: "export const x: unknown = new TextEncoder();",
  }),
  { what: "console", code: 'console.log("x");', by: ["tsc TS2584"] },
  ...each(["tsc TS2591"], {
    Buffer: "export const x: unknown = Buffer.alloc(1);",
    process: "export const x: unknown = process.env;",
  }),
  {
    what: "a Node module",
    code: 'export { readFileSync } from "node:fs";',
    by: ["tsc TS2591", "biome noNodejsModules", "depcruise pure-imports", "depcruise library-no-node"],
  },
  {
    what: "globalThis",
    code: "export const x: unknown = globalThis.setTimeout;",
    by: ["tsc TS7017", "biome noRestrictedGlobals"],
  },
  ...each(["biome noRestrictedGlobals"], {
    Date: "export const x: number = Date.now();",
    Intl: "export const x: unknown = new Intl.NumberFormat();",
    WeakRef: "export const x: unknown = new WeakRef({});",
  }),
  {
    what: "Math.random",
    code: "export const x: number = Math.random();",
    by: ["grit randomness is an argument: random(32)"],
  },
  { what: 'Math["random"]', code: 'export const x: unknown = Math["random"];', by: ["grit name the member of Math"] },
  ...each(["grit do not alias Math"], {
    "a part of Math": "const { random } = Math;\nexport const x: number = random();",
    "an alias of Math": "const m = Math;\nexport const x: number = m.random();",
  }),
  ...each(["grit no async in the pure part"], {
    "an async function": "export async function f(): Promise<void> {}",
    "an async arrow": "export const f: unknown = async () => {};",
    "an async method": "export class X {\n  async f(): Promise<void> {}\n}",
    await: 'export const x: unknown = await "y";',
  }),
  {
    what: "a promise",
    code: "export const x: unknown = Promise.resolve(1);",
    by: ["grit no promises in the pure part"],
  },
  {
    what: "a dynamic import",
    code: 'export const x: unknown = import("./packet.ts");',
    by: ["grit no dynamic import in the pure part"],
  },
  { what: "an enum", code: "export enum X {\n  Y,\n}", by: ["tsc TS1294", "biome noEnum"] },
  {
    what: "a parameter property",
    code: "export class X {\n  constructor(readonly y: number) {}\n}",
    by: ["tsc TS1294", "biome noParameterProperties"],
  },
  { what: "an export without a type", code: "export const x = [1].map(String);", by: ["tsc TS9010"] },
  { what: "any", code: "export const x: any = 1;", by: ["biome noExplicitAny"] },
  { what: "a non-null assertion", code: "export const x: number = [1][0]!;", by: ["biome noNonNullAssertion"] },
  { what: "a default export", code: "export default 1;", by: ["biome noDefaultExport"] },
];

const IMPORTS: Planted[] = [
  {
    what: "a neighbour",
    code: 'export { hashnameOf } from "../crypto/index.ts";',
    by: ["depcruise layer-wire"],
  },
  { what: "a layer above", code: 'export { boxId } from "../box/index.ts";', at: "card", by: ["depcruise layer-card"] },
  { what: "the root machine", code: 'export { Root } from "../peer.ts";', at: "mail", by: ["depcruise layer-mail"] },
  {
    what: "the impure part",
    code: 'export { memoryStore } from "../store/index.ts";',
    at: "mesh",
    by: ["depcruise pure-imports"],
  },
  {
    what: "a file behind an index",
    code: 'export { concat } from "../bytes/bytes.ts";',
    by: ["depcruise enter-by-index"],
  },
  {
    what: "a file behind an index, from the root",
    code: 'export { encodeJson } from "./wire/json.ts";',
    at: "packages/restante/src/planted-root.ts",
    by: ["depcruise enter-by-index-from-root"],
  },
  { what: "a package that is not allowed", code: 'export * from "fast-check";', by: ["depcruise pure-imports"] },
  {
    what: "a package that is not declared",
    code: 'export * from "fast-check";',
    at: "store",
    by: ["depcruise undeclared-dependency"],
  },
  { what: "a file that is not there", code: 'export * from "./nowhere.ts";', by: ["depcruise unresolvable"] },
  {
    what: "a circle",
    code: 'import { y } from "./planted-back.ts";\nexport const x: number = y;',
    by: ["depcruise no-circular"],
  },
  {
    what: "the package of Node, by a path",
    code: 'export * from "../../../node/src/planted-edge.ts";',
    at: "transport",
    by: ["depcruise restante-imports-no-sibling", "depcruise no-path-into-package"],
  },
  {
    what: "the library, by a path",
    code: 'export { siphash } from "../../restante/src/bytes/index.ts";',
    at: "packages/node/src/planted-path.ts",
    by: ["depcruise no-path-into-package"],
  },
  {
    what: "the lab",
    code: 'export * from "../../lab/src/planted-lab.ts";',
    at: "packages/node/src/planted-up.ts",
    by: ["depcruise package-order"],
  },
  {
    what: "what only tests may need",
    code: 'export * from "../../../../testing/planted.ts";',
    at: "packages/node/src/api/planted-testing.ts",
    by: ["depcruise testing-for-tests"],
  },
];

const CLEAN = "packages/restante/src/mail/planted-clean.ts";
const SPARE = "packages/lab/src/planted/spare.ts";
const ENTRY = "packages/lab/src/planted/main.ts";
const pathOf = ({ at = "wire" }: Planted, index: number): string =>
  at.endsWith(".ts") ? at : `packages/restante/src/${at}/planted-${index}.ts`;
const all = [...PURE, ...IMPORTS].map((planted, index) => ({ ...planted, path: pathOf(planted, index) }));

let findings: Findings;
beforeAll(async () => {
  const circle = all.find(({ what }) => what === "a circle");
  findings = await check(
    new Map([
      ...all.map(({ path, code }): [string, string] => [path, `${code}\n`]),
      [CLEAN, 'import { toHex } from "../bytes/index.ts";\n\nexport const y: string = toHex(Uint8Array.of(1));\n'],
      [ENTRY, 'import "commander";\nimport { used } from "./spare.ts";\n\nused();\n'],
      [SPARE, "export function used(): void {}\n\nexport function spare(): void {}\n"],
      ["packages/restante/src/wire/planted-back.ts", `export { x as y } from "./${circle?.path.split("/").at(-1)}";\n`],
      ["packages/node/src/planted-edge.ts", "export const edge: number = 1;\n"],
      ["testing/planted.ts", "export const shared: number = 1;\n"],
      ["packages/lab/src/planted-lab.ts", "export const lab: number = 1;\n"],
    ]),
  );
});

describe("a rule that is broken is reported:", () => {
  test.each(all)("$what in $path", ({ path, by }) => {
    expect([...(findings.complaints.get(path) ?? [])]).toEqual(expect.arrayContaining([...by]));
  });
});

test("what nobody needs is reported, and what keeps the rules is not, but for that", () => {
  expect([...(findings.complaints.get(CLEAN) ?? [])]).toEqual(["knip unused file"]);
  expect([...(findings.complaints.get(SPARE) ?? [])]).toEqual(["knip unused export"]);
  expect([...(findings.complaints.get(ENTRY) ?? [])]).toContain("knip undeclared dependency");
});

test("the checkers looked at every file of the library", () => {
  const { looked, sources } = findings;
  expect(sources).toBeGreaterThan(80);
  expect(looked.biome).toBe(sources);
  expect(looked.depcruise).toBeGreaterThanOrEqual(sources);
  expect(looked.tsc).toBeGreaterThan(sources / 2); // the pure part alone
});
