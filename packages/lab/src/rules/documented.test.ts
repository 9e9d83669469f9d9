/** What others may import says what it is: every export of the published packages, and every method that one of these has. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const PACKAGES = fileURLToPath(new URL("../../..", import.meta.url));
const PUBLISHED = ["restante", "bazaar", "client", "node"];

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, { readonly "restante-source": string }>>;
}

/** The files behind the entry points of the published packages, by what an import calls them. */
function entryPoints(): Map<string, string> {
  const found = new Map<string, string>();
  for (const folder of PUBLISHED) {
    const { name, exports } = JSON.parse(readFileSync(join(PACKAGES, folder, "package.json"), "utf8")) as Manifest;
    for (const [path, { "restante-source": source }] of Object.entries(exports))
      found.set(join(name, path), join(PACKAGES, folder, source));
  }
  return found;
}

/**
 * The sources behind these entry points, and nothing else: neither the types of other packages nor those of the platform. Files of
 * `planted` are there besides, by their paths.
 */
function programOf(entries: ReadonlyMap<string, string>, planted: Readonly<Record<string, string>> = {}): ts.Program {
  const options: ts.CompilerOptions = { noLib: true, types: [], target: ts.ScriptTarget.ES2023, noEmit: true };
  const host = ts.createCompilerHost(options);
  const onDisk = host.getSourceFile.bind(host);
  const sourceOf = (from: string, name: string): string | undefined =>
    name.startsWith(".") ? resolve(dirname(from), name) : entries.get(name);
  return ts.createProgram({
    rootNames: [...entries.values()],
    options,
    host: {
      ...host,
      getSourceFile: (file, ...rest) => {
        const text = planted[file];
        return text === undefined ? onDisk(file, ...rest) : ts.createSourceFile(file, text, ts.ScriptTarget.ES2023);
      },
      resolveModuleNameLiterals: (names, from) =>
        names.map(({ text }) => {
          const resolvedFileName = sourceOf(from, text);
          if (resolvedFileName === undefined) return { resolvedModule: undefined };
          return { resolvedModule: { resolvedFileName, extension: ts.Extension.Ts, isExternalLibraryImport: false } };
        }),
    },
  });
}

interface Looked {
  /** `file: name` of what says nothing. */
  readonly silent: readonly string[];
  readonly exports: number;
  readonly methods: number;
}

function look(program: ts.Program, entries: Iterable<string>): Looked {
  const checker = program.getTypeChecker();
  const silent = new Set<string>();
  const seen = new Set<ts.Symbol>();
  let methods = 0;
  for (const entry of entries) {
    const source = program.getSourceFile(entry);
    const module = source && checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${entry} is no module`);
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if (seen.has(symbol)) continue;
      seen.add(symbol);
      const [declared] = symbol.declarations ?? [];
      if (declared === undefined) continue; // of another package: its own affair
      const where = declared.getSourceFile().fileName.replace(PACKAGES, "");
      if (!says(exported, checker) && !says(symbol, checker)) silent.add(`${where}: ${exported.name}`);
      for (const method of methodsOf(symbol)) {
        methods += 1;
        if (!says(method, checker)) silent.add(`${where}: ${exported.name}.${method.name}`);
      }
    }
  }
  return { silent: [...silent].sort(), exports: seen.size, methods };
}

/** A comment of its own, or that of the interface that the class implements; of `export * as` that above the line. */
function says(symbol: ts.Symbol, checker: ts.TypeChecker): boolean {
  if (ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim() !== "") return true;
  const lines = (symbol.declarations ?? []).filter(ts.isNamespaceExport).map(({ parent }) => parent);
  return lines.some((line) => ts.getJSDocCommentsAndTags(line).length > 0);
}

/** What callers can call. Names with `_` before are those of another program, and documented there. */
function methodsOf(symbol: ts.Symbol): ts.Symbol[] {
  if (!(symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface))) return [];
  return [...(symbol.members?.values() ?? [])].filter(
    ({ flags, name }) => flags & ts.SymbolFlags.Method && !/^[_#]/.test(name),
  );
}

test("every public export and every public method says what it is", () => {
  const entries = entryPoints();
  const { silent, exports, methods } = look(programOf(entries), entries.values());
  expect(silent).toEqual([]);
  expect(exports).toBeGreaterThan(600); // it did look
  expect(methods).toBeGreaterThan(200);
});

test("what says nothing is found: behind an index, in a class, beside what an interface says for it", () => {
  const { silent, exports, methods } = look(
    programOf(new Map([["x", "/index.ts"]]), {
      "/index.ts": `/** All of it. */\nexport * from "./things.ts";\nexport * as more from "./more.ts";`,
      "/more.ts": "export const inside = 1;",
      "/things.ts": `
        /** Says it. */
        export interface Shape {
          /** How large. */
          area(): number;
          name(): string;
          side: number;
        }
        /** Says it, too. */
        export class Square implements Shape {
          side = 1;
          area(): number { return this.#square(); }
          name(): string { return ""; }
          #square(): number { return this.side ** 2; }
        }
        export function silent(): void {}
        // No contract.
        export type Silent = string;
        function inner(): void {}
      `,
    }),
    ["/index.ts"],
  );
  const names = silent.map((each) => each.split(": ")[1]);
  expect(names.sort()).toEqual(["Shape.name", "Silent", "Square.name", "more", "silent"]);
  expect([exports, methods]).toEqual([5, 4]);
});
