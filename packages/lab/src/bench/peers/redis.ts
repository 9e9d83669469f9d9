/** Redis: a list per recipient, nothing on disk. RPUSH deposits, LPOP takes all that is there, BLPOP waits. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAnswer } from "../../cluster/resp.ts";
import { freePort, ServerProcess } from "../server-process.ts";
import { Queue, Wire } from "./connection.ts";
import { type Connection, type Keeper, MESSAGE, type RunningKeeper, type Sender } from "./work.ts";

export function redis(program: string): Keeper {
  return {
    settles: false,
    async start() {
      const [dir, port] = [mkdtempSync(join(tmpdir(), "restante-redis-")), await freePort()];
      const server = new ServerProcess(program, ["--port", String(port), "--dir", dir, ...SETTINGS]);
      const stop = async (): Promise<void> => {
        await server.stop();
        rmSync(dir, { recursive: true, force: true });
      };
      await server.accepts(port).catch(async (error) => {
        await stop();
        throw error;
      });
      return running(server, port, stop);
    },
  };
}

function running(server: ServerProcess, port: number, stop: () => Promise<void>): RunningKeeper {
  return {
    process: server,
    async sender(): Promise<Sender> {
      const client = await RedisClient.connect(port);
      return {
        async deposit(to, bytes) {
          await client.ask("RPUSH", key(to), bytes);
        },
        acknowledgements: () => client.answered,
        close: () => client.close(),
      };
    },
    async collect(recipient, messages): Promise<Connection> {
      const client = await RedisClient.connect(port);
      const all = await client.ask("LPOP", key(recipient), String(messages));
      // parts of an answer are joined by line ends
      if (all.length !== messages * (MESSAGE + 1) - 1) throw new Error("messages are missing");
      return client;
    },
    async wait(recipient, took): Promise<Connection> {
      const client = await RedisClient.connect(port);
      let isOpen = true;
      const next = (): void => {
        client.ask("BLPOP", key(recipient), "0").then(
          () => {
            if (!isOpen) return;
            next();
            took();
          },
          () => {},
        );
      };
      next();
      return {
        close() {
          isOpen = false;
          return client.close();
        },
      };
    },
    stop,
  };
}

class RedisClient implements Connection {
  readonly #wire: Wire;
  readonly #answers = new Queue<string>();

  private constructor(wire: Wire) {
    this.#wire = wire;
    wire.read(parseAnswer, ({ text, isError }) => {
      if (isError) throw new Error(text);
      this.#answers.answer(text);
    });
  }

  static async connect(port: number): Promise<RedisClient> {
    return new RedisClient(await Wire.open(port));
  }

  /** Answers so far. */
  get answered(): number {
    return this.#answers.answered;
  }

  /** The answer, each byte as one character; of a list each part on its line. */
  ask(...parts: readonly (string | Uint8Array)[]): Promise<string> {
    this.#wire.write(command(parts));
    return this.#wire.during(this.#answers.next());
  }

  close(): Promise<void> {
    return this.#wire.close();
  }
}

/** As Redis reads it. */
export function command(parts: readonly (string | Uint8Array)[]): Buffer {
  const pieces = parts.flatMap((part) => {
    const bytes = typeof part === "string" ? Buffer.from(part, "latin1") : part;
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, END];
  });
  return Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...pieces]);
}

function key(recipient: number): string {
  return `box:${recipient}`;
}

const END = Buffer.from("\r\n");
const SETTINGS = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxclients", "10000"];
