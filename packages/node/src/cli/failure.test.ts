import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RestanteError } from "restante";
import { expect, test } from "vitest";
import { CODES, EXIT, failureOf } from "./failure.ts";

const packages = fileURLToPath(new URL("../../..", import.meta.url));

/** Codes that only programs on the library can meet: no command leads there. */
const NOT_OF_COMMANDS: Readonly<Record<string, string>> = {
  "no-session": "the web page alone has sessions",
  "wrong-password": "the web page",
  "wrong-token": "the web page",
  "bad-id": "the API: the commands give no ids to mail",
  "bad-range": "the API: parts of files",
  "key-reused": "the API: Idempotency-Key",
  "too-many-keys": "the API: Idempotency-Key",
  "bad-card": "encodeCard",
  "bad-packet": "channels of applications",
  "bad-type": "channels of applications",
  busy: "channels of applications",
  "channel-closed": "channels of applications",
  "not-served": "channels of applications",
  "bad-fragment": "encodeLink",
  "bad-handshake": "setHandshakes and createPeer({ handshakes })",
  "bad-key": "sealing; keys that others announce are checked when they come",
  "bad-noise": "createPeer({ noise })",
  "bad-token": "admission tokens",
  "bad-uri": "admission URIs and join links; a cache always has an address",
  "channel-ended": "channels",
  "channel-exists": "channels",
  "channel-head": "channels",
  "channel-took": "channels",
  "handshake-size": "exchanges",
  "head-size": "encodePacket",
  "json-value": "encodeJson",
  "no-mail": "a peer without mail has no commands",
  "packet-size": "channels",
};

/** Every code that the sources of the library and of the daemon give to a failure. */
function codesInSource(): Set<string> {
  const codes = new Set<string>();
  for (const name of ["restante/src", "node/src"])
    for (const file of readdirSync(join(packages, name), { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts") || file.endsWith(".test.ts") || file.startsWith("testing")) continue;
      const source = readFileSync(join(packages, name, file), "utf8");
      const [table = ""] = /const REFUSALS\b[\s\S]*?\n\}/.exec(source) ?? [];
      for (const [, code = ""] of [
        ...source.matchAll(/new RestanteError\(\s*"([^"]+)"/g),
        ...source.matchAll(/\brefuse\(\s*[\w.]+,\s*"([^"]+)"/g),
        ...source.matchAll(/\bcode: "([^"]+)"/g),
        ...table.matchAll(/^ {2}"?([a-z-]+)"?: "/gm),
      ])
        codes.add(code);
    }
  return codes;
}

test("every code of a failure is known to the command line, or no command can meet it", () => {
  const found = codesInSource();
  expect(found.size).toBeGreaterThan(50);
  expect([...found].filter((code) => !(code in CODES) && !(code in NOT_OF_COMMANDS))).toEqual([]);
  expect(Object.keys(NOT_OF_COMMANDS).filter((code) => code in CODES)).toEqual([]);
});

test("a failure is one line of plain words, with what to do, and the exit code of its kind", () => {
  for (const [code, { exit, advice }] of Object.entries(CODES)) {
    const { code: given, line } = failureOf(new RestanteError(code, "It is\nso."));
    expect([given, line]).toEqual([exit, `restante: It is so${advice === undefined ? "." : `; ${advice}`}`]);
    expect(Object.values(EXIT)).toContain(given);
  }
  expect(failureOf(new RestanteError("never-heard", "odd"))).toEqual({ code: EXIT.degraded, line: "restante: odd" });
  const refused = Object.assign(new Error("EACCES: permission denied, mkdir '/x'"), { code: "EACCES", path: "/x" });
  expect(failureOf(refused)).toEqual({ code: EXIT.degraded, line: "restante: /x: you have no permission for it" });
  expect(failureOf("thrown")).toEqual({ code: EXIT.degraded, line: "restante: thrown" });
});
