/**
 * What Node alone takes for a live message: a server of bare sockets that passes on as many bytes as a cache does, in as many
 * writes, and neither opens, keeps nor seals anything. docs/benches.md
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import type { Bench, Result } from "./harness.ts";
import { ServerProcess } from "./server-process.ts";

/** Bytes on the connections of a cache for a message of 256. */
export const RELAYED = { deposit: 366, answer: 88, message: 461, removal: 213 } as const;

/** `live.relay.p50_ms`: one after the other, as `cache.live.p50_ms`. `.paced_p50_ms`: with a pause before each. */
export function relay(messages: number = MESSAGES): Bench {
  const run = async (): Promise<Record<string, Result>> => {
    const server = new ServerProcess(process.execPath, [SERVER]);
    try {
      const port = Number((await server.line(/^port /)).slice(5));
      const sender = await Pipe.open(port);
      const recipient = await Pipe.open(port); // the second
      await live(sender, recipient, messages, 0);
      const before = server.cpuMs();
      const times = await live(sender, recipient, messages, 0);
      const cpu = ((server.cpuMs() - before) / messages) * 1000;
      const paced = await live(sender, recipient, Math.ceil(messages / 10), PAUSE_MS);
      for (const { socket } of [sender, recipient]) socket.destroy();
      const ms = (value: number): Result => ({ value: Math.round(value * 1000) / 1000, unit: "ms" });
      return { [P50]: ms(middle(times)), [PACED]: ms(middle(paced)), [CPU]: ms(cpu) };
    } finally {
      await server.stop();
    }
  };
  return { keys: [P50, PACED, CPU], run };
}

/** A connection that counts what comes. */
class Pipe {
  readonly socket: Socket;
  #bytes = 0;
  #wanted = 0;
  #reached: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (piece) => {
      this.#bytes += piece.length;
      if (this.#bytes >= this.#wanted) this.#reached();
    });
  }

  static async open(port: number): Promise<Pipe> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new Pipe(socket);
  }

  /** Resolves when so many bytes more have come than those that were waited for so far. */
  read(bytes: number): Promise<void> {
    this.#wanted += bytes;
    return new Promise((resolve) => {
      this.#reached = resolve;
      if (this.#bytes >= this.#wanted) resolve();
    });
  }
}

/** How long each takes to the recipient. The next one leaves when this one has come, and has been answered. */
async function live(sender: Pipe, recipient: Pipe, messages: number, pauseMs: number): Promise<number[]> {
  const [deposit, removal] = [new Uint8Array(RELAYED.deposit), new Uint8Array(RELAYED.removal)];
  const times: number[] = [];
  for (let i = 0; i < messages; i++) {
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const start = performance.now();
    // The answer to the removal before comes first.
    const came = recipient.read(RELAYED.message + (i > 0 ? RELAYED.answer : 0)).then(() => {
      times.push(performance.now() - start);
      recipient.socket.write(removal);
    });
    sender.socket.write(deposit);
    await Promise.all([came, sender.read(RELAYED.answer)]);
  }
  await recipient.read(RELAYED.answer);
  return times;
}

function middle(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
}

const P50 = "live.relay.p50_ms";
const PACED = "live.relay.paced_p50_ms";
const CPU = "live.relay.cpu_ms_per_1k";
const SERVER = fileURLToPath(new URL("../../dist/bench/relay-server.js", import.meta.url)); // built, wherever we run
const MESSAGES = 2000;
const PAUSE_MS = 20;
