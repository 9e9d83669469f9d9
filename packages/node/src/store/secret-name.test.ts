import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { holdName } from "./secret-name.ts";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** Our abstract names, as any user of the machine sees them. */
function names(): Set<string> {
  return new Set(readFileSync("/proc/net/unix", "latin1").match(/@restante-[0-9a-f]{32}/g) ?? []);
}

async function held(secret: Uint8Array): Promise<() => Promise<void>> {
  const release = await holdName(secret);
  if (release === undefined) throw new Error("somebody else holds it");
  open.push(release);
  return release;
}

describe.runIf(process.platform === "linux")("the name of a secret", () => {
  test("is of one at a time, and free when that one ends", async () => {
    const [secret, other] = [randomBytes(32), randomBytes(32)];
    const release = await held(secret);
    await held(other);
    expect(await holdName(secret)).toBeUndefined();
    await release();
    await held(secret);
  });

  test.each([
    ["says nothing", (_: Socket) => {}],
    ["hangs up", (socket: Socket) => socket.destroy()],
    ["answers without the secret", (socket: Socket) => socket.once("data", () => socket.end(randomBytes(32)))],
    ["never stops", (socket: Socket) => socket.once("data", () => socket.write(Buffer.alloc(100_000)))],
  ])(
    "that somebody without the secret took, who %s, keeps nobody away, and the next one is noticed all the same",
    async (_, answer) => {
      const secret = randomBytes(32);
      const before = names();
      const release = await held(secret);
      const [name] = [...names()].filter((each) => !before.has(each));
      expect(name).toBeDefined();
      await release();
      await squat(`\0${name?.slice(1)}`, answer);
      await held(secret);
      expect(await holdName(secret)).toBeUndefined();
    },
  );

  test("is told from the answer to nobody's question but a whole one", async () => {
    const before = names();
    await held(randomBytes(32));
    const [name] = [...names()].filter((each) => !before.has(each));
    const { createConnection } = await import("node:net");
    for (const question of [Buffer.alloc(31), Buffer.alloc(33), Buffer.alloc(1)]) {
      const socket = createConnection(`\0${name?.slice(1)}`, () => socket.write(question));
      let answer = 0;
      socket.on("data", (bytes) => {
        answer += bytes.length;
      });
      await once(socket, "close");
      expect(answer).toBe(0);
    }
  });
});

async function squat(name: string, answer: (socket: Socket) => unknown): Promise<void> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    answer(socket);
  });
  server.listen(name);
  await once(server, "listening");
  open.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
}
