/** The scripts of `completion` in the shells that they are for. Where a shell is missing its test is passed over, but with CI_STRICT it fails. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { completionScript } from "./completion.ts";

const dir = mkdtempSync(join(tmpdir(), "restante-shells-"));
const here = join(dir, "here");
/** What the program was called with, a line for each call. */
const asked = join(dir, "asked");

/** A program of our name that offers what a hostile contact may be called. */
beforeAll(() => {
  mkdirSync(join(dir, "bin"));
  mkdirSync(here);
  writeFileSync(join(here, "x y.txt"), "");
  const program = join(dir, "bin", "restante");
  writeFileSync(
    program,
    `#!/bin/sh
printf '<%s>' "$@" >> '${asked}'; echo >> '${asked}'
case "$*" in
  "complete -- send"*) echo 'bob smith';;
  "complete -- track"*) echo '$(touch pwned)';;
  "complete -- open"*) echo ':files';;
  *) echo ran it;;
esac
`,
  );
  chmodSync(program, 0o755);
});
afterAll(() => rmSync(dir, { recursive: true }));

function run(shell: string, args: readonly string[]): string {
  const path = `${join(dir, "bin")}${delimiter}${process.env["PATH"]}`;
  const env = { PATH: path, HOME: dir, TERM: "dumb", LC_ALL: "C.UTF-8" };
  const { stdout, stderr } = spawnSync(shell, args, { cwd: here, env, encoding: "utf8", timeout: 60_000 });
  return stdout + stderr;
}

function isMissing(shell: string): boolean {
  return process.env["CI_STRICT"] === undefined && spawnSync(shell, ["-c", "true"]).status !== 0;
}

test.skipIf(isMissing("zsh"))(
  "zsh completes names and files as one word each, and runs nothing that stands in them",
  () => {
    writeFileSync(join(dir, "restante.zsh"), completionScript("zsh"));
    // Typed at a terminal: a word, the tabulator, and the end of the line. Then what the program prints is waited for.
    const typed = ["send bo", "track ", "open x"].map((line) => {
      return `zpty -w -n z $'restante ${line}\\t\\r'; zpty -r -m z out '*ran it*'`;
    });
    const script = `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'autoload -U compinit; compinit -u -D; source ../restante.zsh; print -r -- rea""dy'
zpty -r -m z out '*ready*'
${typed.join("\n")}
zpty -d z`;
    expect(run("zsh", ["-f", "-c", script])).toBe("");
    expect(readFileSync(asked, "utf8").split("\n")).toEqual([
      ...["<complete><--><send><bo>", "<send><bob smith>"],
      ...["<complete><--><track><>", "<track><$(touch pwned)>"],
      ...["<complete><--><open><x>", "<open><x y.txt>", ""],
    ]);
    expect(existsSync(join(here, "pwned"))).toBe(false);
  },
);

test.skipIf(isMissing("fish"))("fish completes names and files, also behind a quote that is open", () => {
  writeFileSync(join(dir, "restante.fish"), completionScript("fish"));
  const given = (line: string): string =>
    run("fish", ["--no-config", "-c", `source ../restante.fish; complete -C '${line}'`]);
  expect(given("restante send bo")).toBe("bob smith\n");
  expect(given('restante send "bob s')).toBe("bob smith\n");
  expect(given("restante track ")).toBe("$(touch pwned)\n");
  expect(given("restante open x")).toBe("x y.txt\n");
  expect(existsSync(join(here, "pwned"))).toBe(false);
});
