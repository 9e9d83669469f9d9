import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { answersLater, listenerOf } from "./later.ts";
import { LINGER_MS } from "./linger.ts";

const asked: string[] = [];
let server: Server;

beforeAll(async () => {
  const refuses = async ({ method, url, body }: Request) => {
    // Of what it refuses it has read some.
    await body?.getReader().read();
    asked.push(`${method} ${new URL(url).pathname}`);
    return Response.json({ code: "refused" }, { status: 400 });
  };
  server = createServer(
    listenerOf(
      answersLater(
        async () => ({ fetch: refuses }),
        () => {},
      ),
    ),
  );
  await once(server.listen(0, "127.0.0.1"), "listening");
});
afterEach(() => {
  vi.useRealTimers();
  asked.length = 0;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

/** A file of so many bytes, of which the first piece was sent, and the answer to it. */
async function refused(length: number): Promise<{ socket: Socket; answer: string }> {
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const first = once(socket, "data");
  socket.write(`PUT /file HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${length}\r\n\r\n`);
  socket.write(PIECE);
  const [answer] = (await first) as [Buffer];
  return { socket, answer: answer.toString() };
}

const written = (socket: Socket, bytes: Uint8Array | string): Promise<void> =>
  new Promise((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve())));

test("who goes on sending a file that was refused is not cut off: what comes is passed over", async () => {
  const { socket, answer } = await refused(160 * PIECE.length);
  expect(answer).toMatch(/^HTTP\/1.1 400 .*"code":"refused"/s);
  const said = once(socket, "end"); // nothing more is said to it
  const isClosed = once(socket, "close");
  for (let sent = 1; sent < 159; sent++) await written(socket, PIECE);
  await said;
  // Nor is anything that comes then a request, whatever it looks like.
  const rest = Buffer.concat([PIECE, Buffer.from("DELETE /all HTTP/1.1\r\nhost: localhost\r\n\r\n")]);
  await written(socket, rest);
  socket.end();
  await isClosed;
  expect(asked).toEqual(["PUT /file"]);
});

test("a small file that was refused ends in peace: its connection is good for more", async () => {
  const { socket } = await refused(3 * PIECE.length);
  for (let sent = 1; sent < 3; sent++) await written(socket, PIECE);
  const next = once(socket, "data");
  await written(socket, "GET /more HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await next;
  expect(asked).toEqual(["PUT /file", "GET /more"]);
  socket.destroy();
});

test("who never stops sending is cut off after a while", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { socket } = await refused(1e12);
  const said = once(socket, "end");
  while (vi.getTimerCount() === 0) await written(socket, PIECE);
  await vi.advanceTimersByTimeAsync(1000);
  await said;
  await written(socket, PIECE);
  await vi.advanceTimersByTimeAsync(LINGER_MS);
  const goesOn = async (): Promise<void> => {
    for (;;) await written(socket, PIECE);
  };
  socket.on("error", () => {}); // told twice
  await expect(goesOn()).rejects.toMatchObject({ code: expect.stringMatching(/EPIPE|ECONNRESET/) });
});

const PIECE = new Uint8Array(1_000_000);
