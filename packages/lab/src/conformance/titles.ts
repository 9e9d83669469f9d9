/** The titles of all tests, read from their sources: what there is to prove a row, whether or not it runs here. */
import { readdirSync, readFileSync } from "node:fs";
import { parseSync } from "vite";

/**
 * The titles of all tests, of suites too, in files with an id in brackets anywhere; others prove no row. What stands for a value in
 * a title is left out.
 */
export function titles(): string[] {
  return allOf("test");
}

/** The titles of all groups of tests in these files. */
export function groups(): string[] {
  return allOf("describe");
}

function allOf(what: Called): string[] {
  return readdirSync(PACKAGES, { recursive: true, encoding: "utf8" })
    .filter((name) => /^[a-z]+\/src\/.*(?:\.test|-suite)\.ts$/.test(name))
    .map((name) => [name, readFileSync(new URL(name, PACKAGES), "utf8")] as const)
    .flatMap(([name, source]) => (/\[[A-Z]\d/.test(source) ? titlesIn(name, source, what) : []));
}

/**
 * The titles in one source: the first argument of `test(...)`, `test.skipIf(...)(...)`, `test.each(...)(...)`. Not of what never
 * runs: `test.skip`, `test.todo`. Of a text that is data, as `["[A1] text"]`, nothing.
 */
export function titlesIn(file: string, source: string, what: Called = "test"): string[] {
  const found: string[] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    const { type, callee, arguments: given } = node as Tree;
    if (type === "CallExpression" && isCall(callee, what)) found.push(...text(given?.[0]));
    for (const child of Object.values(node)) walk(child);
  };
  walk(parseSync(file, source).program);
  return found;
}

type Called = "test" | "describe";

/** What is read of a syntax tree. */
interface Tree {
  readonly type?: string;
  readonly name?: string;
  readonly callee?: Tree;
  readonly object?: Tree;
  readonly property?: Tree;
  readonly arguments?: readonly Tree[];
  readonly value?: unknown;
  readonly quasis?: readonly { readonly value: { readonly cooked?: string } }[];
}

/** `test`, `test.each`, and what calls of those give. */
function isCall(callee: Tree | undefined, what: Called): boolean {
  if (callee?.type === "Identifier") return callee.name === what;
  if (callee?.type === "CallExpression") return isCall(callee.callee, what);
  if (callee?.type !== "MemberExpression") return false;
  return !NEVER.has(callee.property?.name ?? "") && isCall(callee.object, what);
}

function text(node: Tree | undefined): string[] {
  if (node?.type === "Literal" && typeof node.value === "string") return [node.value];
  if (node?.type !== "TemplateLiteral") return [];
  return [(node.quasis ?? []).map(({ value }) => value.cooked ?? "").join("")];
}

const NEVER: ReadonlySet<string> = new Set(["skip", "todo"]);
const PACKAGES = new URL("../../../../packages/", import.meta.url);
