/** How a daemon ends: real processes of the built program. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
let dir: string;
let child: ChildProcess;
let said: string;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "restante-stop-"));
  // All settings by the file of its home.
  writeFileSync(join(dir, "config.toml"), '[node]\nhost = "127.0.0.1"\nport = 0\n[web]\nserve = 0\n', { mode: 0o600 });
  child = spawn(process.execPath, [main, "--json", "--home", dir, "serve"]);
  said = "";
  child.stderr?.on("data", (piece) => {
    said += piece;
  });
  const [ready] = await once(child.stdout ?? child, "data");
  expect(JSON.parse(String(ready))).toMatchObject({
    paths: [{ ip: "127.0.0.1" }, { ip: "127.0.0.1" }],
    web: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/$/),
  });
});
afterEach(async () => {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }
  rmSync(dir, { recursive: true });
});

/** A client that has sent so much and reads nothing more. */
async function client(request: string, answers: boolean): Promise<Socket> {
  const socket = connect(join(dir, "sock"));
  socket.on("error", () => {});
  socket.write(request.replaceAll("\n", "\r\n"));
  if (answers) await once(socket, "data");
  else await once(socket, "connect");
  return socket;
}

test("a signal ends it with 0 while clients read an endless answer, and drip a body and a head", async () => {
  const clients = await Promise.all([
    client("GET /v1/events HTTP/1.1\nHost: x\n\n", true),
    client("POST /v1/messages HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 999\n\n{", false),
    client("GET /v1/sta", false),
  ]);
  // An answer to one that came later says that theirs have come.
  await client("GET /v1/status HTTP/1.1\nHost: x\n\n", true);
  child.kill("SIGTERM");
  const [code] = await once(child, "close"); // its streams have ended, too
  expect({ code, said }).toEqual({ code: 0, said: "restante: stopped\n" });
  for (const socket of clients) socket.destroy();
});

test("a second signal ends it at once", async () => {
  // Held until both have come, else it may be done with the first.
  for (const signal of ["SIGSTOP", "SIGTERM", "SIGINT", "SIGCONT"] as const) child.kill(signal);
  const [code] = await once(child, "exit");
  expect(code).toBe(1);
});
