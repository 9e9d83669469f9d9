import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { EXIT, EXIT_WORDS } from "./failure.ts";
import { exitCodesMarkdown, manPage, manualMarkdown } from "./manual.ts";
import { createProgram } from "./program.ts";

const program = createProgram(
  () => {},
  () => AbortSignal.abort(),
);
const PAGE = fileURLToPath(new URL("../../../../docs/cli.md", import.meta.url));
const MAN = fileURLToPath(new URL("../../man/restante.1", import.meta.url));

function filled(page: string): string {
  const parts = { "exit codes": exitCodesMarkdown(), reference: manualMarkdown(program) };
  let text = page;
  for (const [name, part] of Object.entries(parts)) {
    const [start, end] = [`<!-- ${name}: made by the program -->\n`, "<!-- end -->"];
    const at = text.indexOf(start) + start.length;
    expect(text).toContain(start);
    text = `${text.slice(0, at)}\n${part}\n\n${text.slice(text.indexOf(end, at))}`;
  }
  return text;
}

// WRITE_MANUAL=1 npx vitest run packages/node/src/cli/manual
test("the man page and docs/cli.md are what the program says of itself", () => {
  if (process.env["WRITE_MANUAL"]) {
    mkdirSync(dirname(MAN), { recursive: true });
    writeFileSync(MAN, manPage(program));
    writeFileSync(PAGE, filled(readFileSync(PAGE, "utf8")));
  }
  expect(readFileSync(MAN, "utf8")).toBe(manPage(program));
  const page = readFileSync(PAGE, "utf8");
  expect(page).toBe(filled(page));
});

test("no line of the man page is taken for a request of roff that is none of ours", () => {
  for (const line of manPage(program).split("\n"))
    if (/^[.']/.test(line)) expect(line).toMatch(/^\.(TH|SH|SS|TP|B|RS|RE)( |$)/);
});

test("each exit code is in the manual", () => {
  expect(EXIT_WORDS.map(([code]) => code).sort()).toEqual(Object.values(EXIT).sort());
});
