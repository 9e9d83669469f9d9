import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import type { MessageInfo } from "../api/contract.ts";
import { runHook } from "./hook.ts";

const file = { name: "-rf", media: "text/plain", size: 1, sha256: "aa" };
const from = "f" as MessageInfo["from"];
const mail: MessageInfo = { n: 1, id: "i", contact: "c", from, kind: "file", time: 1, received: 2, file };

test("a program is told a saved file by an absolute path, which is no option, whatever a contact called it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "restante-hook-"));
  const out = join(dir, "out");
  const program = '{ printf "%s\\n" "$RESTANTE_MAIL_FILE"; cat; } > "$1"';
  expect(await runHook({ program, args: [out], isShell: true }, mail, "-rf")).toBeUndefined();
  const [path, json = ""] = (await readFile(out, "utf8")).split("\n");
  expect(path).toBe(resolve("-rf"));
  expect(JSON.parse(json)).toMatchObject({ file: { name: "-rf", saved: path } });
  await rm(dir, { recursive: true });
});
