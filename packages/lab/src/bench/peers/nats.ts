/**
 * NATS JetStream: one work queue in memory with a subject per recipient; each publication is acknowledged. Who collects or waits
 * has a consumer of the own subject, and acknowledges each message, which removes it.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, ServerProcess } from "../server-process.ts";
import { Wire } from "./connection.ts";
import type { Connection, Keeper, RunningKeeper, Sender } from "./work.ts";

export function nats(program: string): Keeper {
  return {
    settles: false,
    async start() {
      const [dir, port] = [mkdtempSync(join(tmpdir(), "restante-nats-")), await freePort()];
      const file = join(dir, "nats.conf");
      writeFileSync(
        file,
        `listen: 127.0.0.1:${port}\njetstream { store_dir: ${JSON.stringify(dir)}, max_memory_store: 4G }\n`,
      );
      const server = new ServerProcess(program, ["-c", file]);
      const stop = async (): Promise<void> => {
        await server.stop();
        rmSync(dir, { recursive: true, force: true });
      };
      try {
        await server.accepts(port);
        const client = await NatsClient.connect(port);
        await client.api("STREAM.CREATE.BOX", {
          name: "BOX",
          subjects: ["box.*"],
          storage: "memory",
          retention: "workqueue",
        });
        await client.close();
      } catch (error) {
        await stop();
        throw error;
      }
      return running(server, port, stop);
    },
  };
}

function running(server: ServerProcess, port: number, stop: () => Promise<void>): RunningKeeper {
  return {
    process: server,
    async sender(): Promise<Sender> {
      const client = await NatsClient.connect(port);
      return {
        async deposit(to, bytes) {
          await client.ask(subject(to), bytes);
        },
        acknowledgements: () => client.answered,
        close: () => client.close(),
      };
    },
    async collect(recipient, messages): Promise<Connection> {
      const client = await NatsClient.connect(port);
      let left = messages;
      let done = (_: string): void => {};
      const last = new Promise<string>((resolve) => {
        done = resolve;
      });
      const consumer = await client.consume(recipient, (ack) => {
        if (--left > 0) client.acknowledge(ack);
        else done(ack);
      });
      // Those who ask for it are told when an acknowledgement counts. Without that a consumer that goes takes some with it.
      await client.ask(await client.wire.during(last), Buffer.from("+ACK"));
      await client.api(`CONSUMER.DELETE.BOX.${consumer}`, {});
      return client;
    },
    async wait(recipient, took): Promise<Connection> {
      const client = await NatsClient.connect(port);
      await client.consume(recipient, (ack) => {
        client.acknowledge(ack);
        took();
      });
      return client;
    },
    stop,
  };
}

class NatsClient implements Connection {
  readonly wire: Wire;
  readonly #waiting = new Map<string, (answer: string) => void>();
  #asked = 0;
  #answered = 0;
  #pong: () => void = () => {};
  #took: (ack: string) => void = () => {};
  readonly #inbox = `_INBOX.${++clients}`;

  private constructor(wire: Wire) {
    this.wire = wire;
    wire.read(parseMessage, (message) => this.#message(message));
  }

  static async connect(port: number): Promise<NatsClient> {
    const wire = await Wire.open(port);
    const client = new NatsClient(wire);
    const ready = new Promise<void>((resolve) => {
      client.#pong = resolve;
    });
    wire.write(`CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n`);
    wire.write(`SUB ${client.#inbox}.* ${ANSWERS}\r\nSUB ${client.#inbox} ${MAIL}\r\nPING\r\n`);
    await wire.during(ready);
    return client;
  }

  /** Answers so far. */
  get answered(): number {
    return this.#answered;
  }

  /** Publishes it and gives the answer, an acknowledgement of the stream. Throws what the server has against it. */
  async ask(to: string, bytes: Uint8Array): Promise<string> {
    const token = String(++this.#asked);
    const answered = new Promise<string>((resolve) => this.#waiting.set(token, resolve));
    this.wire.write(`PUB ${to} ${this.#inbox}.${token} ${bytes.length}\r\n`);
    this.wire.write(bytes);
    this.wire.write("\r\n");
    const answer = await this.wire.during(answered);
    if (answer === NOBODY || answer.includes('"error":')) throw new Error(`NATS, ${to}: ${answer}`);
    return answer;
  }

  /** Of the JetStream API. */
  api(verb: string, question: object): Promise<string> {
    return this.ask(`$JS.API.${verb}`, Buffer.from(JSON.stringify(question)));
  }

  /** Has all messages of a recipient sent here, and gives the consumer's name. `took` is told where to acknowledge one. */
  async consume(recipient: number, took: (ack: string) => void): Promise<string> {
    this.#took = took;
    const config = {
      deliver_subject: this.#inbox,
      filter_subject: subject(recipient),
      ack_policy: "explicit",
      max_ack_pending: 100_000,
      deliver_policy: "all",
    };
    const answer = await this.api("CONSUMER.CREATE.BOX", { stream_name: "BOX", config });
    return (JSON.parse(answer) as { name: string }).name;
  }

  acknowledge(ack: string): void {
    this.wire.write(`PUB ${ack} 4\r\n+ACK\r\n`);
  }

  close(): Promise<void> {
    return this.wire.close();
  }

  #message(message: NatsMessage): void {
    const [verb] = message.words;
    if (verb === "PING") this.wire.write("PONG\r\n");
    else if (verb === "PONG") this.#pong();
    else if (verb === "-ERR") throw new Error(`NATS: ${message.words.join(" ")}`);
    else if (verb === "MSG" || verb === "HMSG") {
      const [, to = "", subscription] = message.words;
      if (subscription === MAIL) return this.#took(message.words[3] ?? "");
      const token = to.slice(this.#inbox.length + 1);
      const resolve = this.#waiting.get(token);
      this.#waiting.delete(token);
      this.#answered++;
      resolve?.(verb === "HMSG" ? NOBODY : message.payload.toString("latin1"));
    }
  }
}

export interface NatsMessage {
  readonly words: readonly string[];
  /** A view. */
  readonly payload: Buffer;
  readonly end: number;
}

/** A line, and the payload that it announces; `undefined` while a part of it is missing. */
export function parseMessage(input: Buffer, at: number): NatsMessage | undefined {
  const line = input.indexOf("\r\n", at);
  if (line < 0) return undefined;
  const words = input.toString("latin1", at, line).split(" ");
  const start = line + 2;
  if (words[0] !== "MSG" && words[0] !== "HMSG") return { words, payload: input.subarray(start, start), end: start };
  const size = Number(words.at(-1));
  const end = start + size + 2;
  return end > input.length ? undefined : { words, payload: input.subarray(start, start + size), end };
}

function subject(recipient: number): string {
  return `box.${recipient}`;
}

// Names of our subscriptions
const ANSWERS = "1";
const MAIL = "2";
const NOBODY = "nobody answers"; // told in headers, which nothing else has

let clients = 0;
