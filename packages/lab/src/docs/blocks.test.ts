/**
 * Each block of each page and README, fenced or indented: the test that runs it as it stands there, or why there is nothing to run.
 * A block that is not listed here fails this test, as does a line here that is of no block any more. Within blocks of commands the
 * tests that are named go on line by line.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { blocks, page, ROOT } from "./page.ts";

type Fate =
  /** The test that runs it. Its text has the name of the page, or of what the block is held against. */
  | { readonly in: string; readonly names?: string }
  /** Nothing to run: what it is instead. */
  | { readonly isOnly: string };

const docs = (name: string, names?: string): Fate => ({
  in: `packages/lab/src/docs/${name}.test.ts`,
  ...(names && { names }),
});
const WALK = docs("walk", "README.md");
const SNIPPETS = docs("snippets");
const GUIDES = docs("guides");
const OPERATORS = docs("operators");
const OPERATE = docs("operate");
const EMBED = docs("embed");
const PROCESSES = docs("processes");
const SCRIPTS = docs("scripts");
const PACKAGE = docs("packages", "README.md");
/** Lines of npm: their tool takes them; where one takes minutes or half of the machine, its own tests run it with less. */
const TOOLS = docs("tools", "tools.ts");
const PEER: Fate = { in: "packages/lab/src/peer/main.test.ts" };
const RPC: Fate = { in: "packages/node/src/api/rpc-channels.test.ts" };
const PICTURE: Fate = { isOnly: "a picture" };
const FORMAT: Fate = { isOnly: "a format" };

/** By page: language and beginning of a block, and what is done with it. The first line that fits counts. */
const FATES: Readonly<Record<string, readonly (readonly [language: string, start: string, fate: Fate])[]>> = {
  "README.md": [
    ["indented", "git clone", docs("readme")],
    ["", "   alice                        cache", PICTURE],
    ["indented", "alias cache=", WALK],
    ["indented", "cache serve", WALK],
    ["indented", "bob serve", WALK],
    ["indented", "alice serve", WALK],
    ["indented", "alice send", WALK],
    ["indented", "2f1c7a60", WALK],
    ["indented", "npm test", TOOLS],
  ],
  "CONTRIBUTING.md": [
    ["indented", "npm ", TOOLS],
    ["indented", "packages/restante", PICTURE],
  ],
  "SECURITY.md": [],
  "docs/api.md": [
    ["indented", "curl ", SNIPPETS],
    ["indented", '{"jsonrpc": "2.0", "method": "send"', GUIDES],
    ["indented", '{"jsonrpc": "2.0", "method": "linkChan"', GUIDES],
    ["indented", "bob    meshWait", RPC],
    ["ts", 'import { createClient } from "@restante/client"', GUIDES],
  ],
  "docs/bazaar.md": [["indented", "restante serve --bazaar", GUIDES]],
  "docs/benches.md": [["indented", "npm run -s bench", TOOLS]],
  "docs/cache.md": [
    ["indented", "sudo useradd", OPERATE],
    ["ini", "[Unit]", docs("deploy")],
    ["indented", "restante cache ", GUIDES],
    ["indented", "restante serve --cache-only --route", GUIDES],
    ["indented", "curl -s http://127.0.0.1:9100", OPERATORS],
    ["sh", "node --experimental-permission", OPERATORS],
  ],
  "docs/cli.md": [
    ["indented", "df -h", GUIDES],
    ["indented", "restante seal", GUIDES],
  ],
  "docs/cluster.md": [["indented", "", OPERATORS]],
  "docs/config.md": [
    ["indented", "restante ", SNIPPETS],
    ["indented", "config.toml:12:", SNIPPETS],
    ["toml", "# Settings of Restante", { in: "packages/node/src/config/config.test.ts", names: "config.md" }],
  ],
  "docs/embed.md": [
    ["js", 'import { createPeer } from "restante";\nimport { levelStore', PROCESSES],
    ["js", "", EMBED],
    ["text", "", EMBED],
  ],
  "docs/identity.md": [
    ["indented", "restante ", GUIDES],
    ["ini", "[Service]\nLoadCredentialEncrypted=", docs("deploy")],
    ["", "header, 48 bytes", FORMAT],
  ],
  "docs/interop.md": [
    ["indented", "npm run -s peer", PEER],
    ["indented", '{"ev":"listening"', PEER],
    ["indented", '{"cmd":"link"', PEER],
    ["json", '{ "hashname"', FORMAT],
  ],
  "docs/operate.md": [
    ["sh", "docker build", docs("deploy")],
    ["sh", "", OPERATE],
    ["indented", "grep -E", OPERATE],
  ],
  "docs/scripts.md": [
    ["sh", "", SCRIPTS],
    ["js", "", SCRIPTS],
    ["text", "", SCRIPTS],
  ],
  "docs/store.md": [["indented", "restante keep", GUIDES]],
  "docs/threats.md": [],
  "docs/web.md": [["indented", "restante ", SNIPPETS]],
  "docs/worlds.md": [["indented", "npm run -s world", TOOLS]],
  "packages/bazaar/README.md": [
    ["js", "", PACKAGE],
    ["text", "", PACKAGE],
  ],
  "packages/client/README.md": [
    ["js", "", PACKAGE],
    ["text", "", PACKAGE],
  ],
  "packages/node/README.md": [
    ["js", "", PACKAGE],
    ["text", "", PACKAGE],
  ],
  "packages/restante/README.md": [
    ["js", "", PACKAGE],
    ["text", "", PACKAGE],
  ],
};

const names = (folder: string): string[] => readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".md"));
const PAGES = [
  ...["README.md", "CONTRIBUTING.md", "SECURITY.md"],
  ...names("docs").map((name) => `docs/${name}`),
  ...readdirSync(join(ROOT, "packages"))
    .map((folder) => `packages/${folder}/README.md`)
    .filter((name) => existsSync(join(ROOT, name))),
];

test("every page is listed, and nothing else", () => {
  expect(Object.keys(FATES).toSorted()).toEqual(PAGES.toSorted());
});

test.each(PAGES)("each block of %s is run by a test, or it is said why not", (name) => {
  const fates = FATES[name] ?? [];
  const fateOf = (each: { language: string; text: string }) =>
    fates.find(([language, start]) => language === each.language && each.text.startsWith(start));
  const all = blocks(page(name));
  for (const block of all) expect(fateOf(block), `${name}:${block.line}: ${block.text}`).toBeDefined();
  for (const entry of fates) {
    const [language, start, fate] = entry;
    expect(all.map(fateOf), `${name} has no such block any more: ${language} ${start}`).toContain(entry);
    if ("isOnly" in fate) continue;
    expect(readFileSync(join(ROOT, fate.in), "utf8"), fate.in).toContain(fate.names ?? basename(name));
  }
});

test("the pages of the protocol, the decisions and the change log have formats and examples of bytes, and nothing to type", () => {
  const rest = [
    ...names("protocol").map((name) => `protocol/${name}`),
    ...names("docs/decisions").map((name) => `docs/decisions/${name}`),
  ];
  const typed = /^(?:\$ |sudo |npm |node |restante |curl |import |const )/m;
  for (const name of [...rest, "CHANGELOG.md"])
    for (const { language, text, line } of blocks(page(name))) {
      expect(["", "json", "indented"], `${name}:${line}`).toContain(language);
      expect(text, `${name}:${line}`).not.toMatch(typed);
    }
});
