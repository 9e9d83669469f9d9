/**
 * Names that only whoever has a secret can hold, one process of a machine at a time. A name is no file: it is bound in Linux's
 * abstract namespace (unix(7)) and gone with its process. Any user of the machine can bind any such name, and sees those that are
 * bound. So whoever holds one proves to who asks that it has the secret, and who cannot is passed over: it keeps nobody away.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { createConnection, createServer, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";

/**
 * Hold the name of a secret. Gives what frees it; `undefined`: another process that has the secret holds it. On other systems,
 * and where a sandbox allows no such names, nothing happens and nothing is noticed; containers do not see each other.
 */
export async function holdName(secret: Uint8Array): Promise<(() => Promise<void>) | undefined> {
  if (process.platform !== "linux") return async () => {};
  for (let place = 0; place < PLACES; place++) {
    const name = `\0restante-${proof(secret, "name", Uint8Array.of(place)).toString("hex").slice(0, 32)}`;
    // A process that is just being started holds what its parent had, until its own program runs: it answers nothing.
    for (let tries = 0; tries < TRIES; tries++) {
      const held = await bind(name, secret);
      if (held === "refused") return async () => {};
      if (held !== "taken") return held;
      const answer = await ask(name, secret);
      if (answer === "proof") return undefined;
      if (answer === "other") break;
      await setTimeout(RETRY_MS);
    }
  }
  return async () => {};
}

async function bind(name: string, secret: Uint8Array): Promise<(() => Promise<void>) | "taken" | "refused"> {
  const server = createServer((socket) => answerTo(socket, secret));
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once("error", resolve);
    server.listen(name, () => {
      server.off("error", resolve);
      resolve(undefined);
    });
  });
  if (failure !== undefined) return failure.code === "EADDRINUSE" ? "taken" : "refused";
  server.unref(); // a name alone keeps no process running
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** To a question of 32 bytes, once; anybody may ask. */
function answerTo(socket: Socket, secret: Uint8Array): void {
  const close = (): void => {
    socket.destroy();
  };
  socket.setTimeout(ANSWER_MS, close);
  socket.on("error", close);
  socket.once("data", (question) => {
    if (question.length === QUESTION_BYTES) socket.end(proof(secret, "proof", question));
    else close();
  });
}

/** "silent": it may be nobody yet. */
async function ask(name: string, secret: Uint8Array): Promise<"proof" | "other" | "silent"> {
  const question = randomBytes(QUESTION_BYTES);
  const answer = await new Promise<Buffer | undefined>((resolve) => {
    const socket = createConnection(name, () => socket.write(question));
    const finish = (bytes: Buffer | undefined): void => {
      socket.destroy();
      resolve(bytes);
    };
    let got = Buffer.alloc(0);
    socket.setTimeout(ANSWER_MS, () => finish(undefined));
    socket.on("error", () => finish(undefined));
    socket.on("data", (bytes: Buffer) => {
      got = Buffer.concat([got, bytes]);
      if (got.length >= PROOF_BYTES) finish(got);
    });
    socket.on("close", () => finish(got.length === 0 ? undefined : got));
  });
  if (answer === undefined) return "silent";
  const expected = proof(secret, "proof", question);
  return answer.length === expected.length && timingSafeEqual(answer, expected) ? "proof" : "other";
}

function proof(secret: Uint8Array, what: string, of: Uint8Array): Buffer {
  return createHmac("sha256", secret).update(`restante/${what}/1`).update(of).digest();
}

const PLACES = 4; // whoever wants to be in the way has to have all of them, and then nothing is noticed
const TRIES = 6;
const RETRY_MS = 100;
const ANSWER_MS = 500; // a process that is busy for longer is not noticed at once, but asked again
const QUESTION_BYTES = 32;
const PROOF_BYTES = 32;
