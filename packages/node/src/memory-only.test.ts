/** A cache under Node's permission model: no writable path, no native code, no other program. docs/cache.md */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPeer, memoryStore } from "restante";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../../testing/until.ts";
import { loadWasm } from "./crypto/best.ts";
import { udpTransport } from "./transport/udp.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const flag = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
let dir: string;
let child: ChildProcess | undefined;

beforeAll(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "restante-sandbox-")));
});
afterAll(async () => {
  if (child !== undefined) await killed(child);
  rmSync(dir, { recursive: true });
});

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

test("[C7] without any writable path and without native code a cache takes mail and gives it out", async () => {
  const home = join(dir, "home");
  const serve = [main, "--json", "--home", home, "--host", "127.0.0.1", "--port", "0", "serve", "--cache-only"];
  expect(spawnSync(process.execPath, [...serve, "--init"]).status).toBe(0);
  const sandbox = [flag, ...[root, home, "/proc"].map((path) => `--allow-fs-read=${path}`)];
  // The walls stand: what is under them cannot write.
  const planted = `require("node:fs").writeFileSync(${JSON.stringify(join(home, "planted"))}, "x")`;
  const refused = spawnSync(process.execPath, [...sandbox, "-e", planted], { encoding: "utf8" });
  expect(refused.status).not.toBe(0);
  expect(refused.stderr).toContain("ERR_ACCESS_DENIED");

  const cache = spawn(process.execPath, [...sandbox, ...serve], { cwd: home, stdio: ["ignore", "pipe", "pipe"] });
  child = cache;
  let said = "";
  const line = await new Promise<string>((resolve, reject) => {
    for (const stream of [cache.stdout, cache.stderr])
      stream.on("data", (piece) => {
        said += piece;
        const ready = /^\{"type":"ready".*\}$/m.exec(said);
        if (ready !== null) resolve(ready[0]);
      });
    cache.on("exit", (code) => reject(new Error(`it ended with ${code}: ${said}`)));
  });
  if ((await loadWasm()) !== undefined) expect(said).toContain("using WebAssembly");

  const { joinLink } = JSON.parse(line) as { joinLink: string };
  const person = (name: string, store = memoryStore()) =>
    createPeer({ name, store, transports: [udpTransport({ host: "127.0.0.1", port: 0 })] });
  const kept = memoryStore();
  const [alice, bob] = [await person("alice"), await person("bob", kept)];
  for (const peer of [alice, bob]) await peer.join(joinLink);
  const { id } = await alice.add(await bob.invite());
  await until(bob, () => bob.contacts().length === 1);
  await bob.close();
  const mail = await alice.send(id, "under the walls");
  await until(alice, () => alice.outbox().some((it) => it.id === mail && it.state === "handed"));
  await alice.close();
  const again = await person("bob", kept);
  await until(again, () => again.status().inbox > 0);
  expect(await again.inbox()).toMatchObject([{ text: "under the walls" }]);
  await again.close();
  expect(readdirSync(home)).toEqual(["identity.json"]);
});
