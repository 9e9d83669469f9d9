/** Mosquitto: a persistent session per recipient, QoS 1, so that each message is acknowledged. MQTT 3.1.1. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, ServerProcess } from "../server-process.ts";
import { Wire } from "./connection.ts";
import type { Connection, Keeper, RunningKeeper, Sender } from "./work.ts";

export function mosquitto(program: string): Keeper {
  return {
    settles: false,
    async start(recipients) {
      const [dir, port] = [mkdtempSync(join(tmpdir(), "restante-mosquitto-")), await freePort()];
      const file = join(dir, "mosquitto.conf");
      writeFileSync(file, [`listener ${port} 127.0.0.1`, ...SETTINGS, ""].join("\n"));
      const server = new ServerProcess(program, ["-c", file]);
      const stop = async (): Promise<void> => {
        await server.stop();
        rmSync(dir, { recursive: true, force: true });
      };
      try {
        await server.accepts(port);
        await subscribeAll(port, recipients);
      } catch (error) {
        await stop();
        throw error;
      }
      return running(server, port, stop);
    },
  };
}

function running(server: ServerProcess, port: number, stop: () => Promise<void>): RunningKeeper {
  let senders = 0;
  return {
    process: server,
    async sender(): Promise<Sender> {
      const client = await MqttClient.connect(port, `s${++senders}`, true, () => {});
      return {
        deposit: (to, bytes) => client.publish(topic(to), bytes),
        acknowledgements: () => client.acknowledged,
        close: () => client.close(),
      };
    },
    async collect(recipient, messages): Promise<Connection> {
      let left = messages;
      let done = (): void => {};
      const all = new Promise<void>((resolve) => {
        done = resolve;
      });
      const client = await MqttClient.connect(port, `r${recipient}`, false, () => {
        if (--left === 0) done();
      });
      await client.wire.during(all);
      return client;
    },
    wait: (recipient, took) => MqttClient.connect(port, `r${recipient}`, false, took),
    stop,
  };
}

/** What is for them waits in their sessions from now on. */
async function subscribeAll(port: number, recipients: number): Promise<void> {
  for (let i = 0; i < recipients; i++) {
    const client = await MqttClient.connect(port, `r${i}`, false, () => {});
    await client.subscribe(topic(i));
    await client.close();
  }
}

class MqttClient implements Connection {
  readonly wire: Wire;
  readonly #took: () => void;
  readonly #waiting = new Map<number, () => void>();
  #id = 0;
  #acknowledged = 0;
  #connected: () => void = () => {};

  private constructor(wire: Wire, took: () => void) {
    this.wire = wire;
    this.#took = took;
    wire.read(parsePacket, ({ type, body }) => this.#packet(type, body));
  }

  /** `took`: called with each message that comes, which is acknowledged. */
  static async connect(port: number, name: string, isClean: boolean, took: () => void): Promise<MqttClient> {
    const wire = await Wire.open(port);
    const client = new MqttClient(wire, took);
    const connected = new Promise<void>((resolve) => {
      client.#connected = resolve;
    });
    wire.write(packet(CONNECT, text("MQTT"), Uint8Array.of(4, isClean ? 2 : 0, 0, 0), text(name)));
    await wire.during(connected);
    return client;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  subscribe(name: string): Promise<void> {
    return this.#asked((id) => packet(SUBSCRIBE, id, text(name), Uint8Array.of(1)));
  }

  publish(name: string, bytes: Uint8Array): Promise<void> {
    return this.#asked((id) => packet(PUBLISH_QOS1, text(name), id, bytes));
  }

  close(): Promise<void> {
    return this.wire.close(packet(DISCONNECT));
  }

  #asked(make: (id: Uint8Array) => Uint8Array): Promise<void> {
    do this.#id = (this.#id % 0xffff) + 1;
    while (this.#waiting.has(this.#id));
    const id = this.#id;
    const answered = new Promise<void>((resolve) => this.#waiting.set(id, resolve));
    this.wire.write(make(Uint8Array.of(id >> 8, id)));
    return this.wire.during(answered);
  }

  #packet(type: number, body: Buffer): void {
    if (type === CONNACK) {
      if (body[1] !== 0) throw new Error(`mosquitto does not want us: ${body[1]}`);
      this.#connected();
    } else if (type === PUBACK || type === SUBACK) {
      const id = body.readUInt16BE(0);
      if (type === PUBACK) this.#acknowledged++;
      this.#waiting.get(id)?.();
      this.#waiting.delete(id);
    } else if (type === PUBLISH) {
      const at = 2 + body.readUInt16BE(0);
      this.wire.write(packet(PUBACK << 4, body.subarray(at, at + 2)));
      this.#took();
    }
  }
}

/** A packet that begins there; `undefined` while a part of it is missing. The body is a view. */
export function parsePacket(input: Buffer, at: number): { type: number; body: Buffer; end: number } | undefined {
  let length = 0;
  for (let i = at + 1, shift = 1; i < input.length && i < at + 5; i++, shift *= 128) {
    const byte = input[i] ?? 0;
    length += (byte & 127) * shift;
    if (byte >= 128) continue;
    const end = i + 1 + length;
    return end > input.length ? undefined : { type: (input[at] ?? 0) >> 4, body: input.subarray(i + 1, end), end };
  }
  return undefined;
}

/** `head`: the first byte, type and flags. */
export function packet(head: number, ...parts: readonly Uint8Array[]): Buffer {
  const length: number[] = [];
  let left = parts.reduce((sum, part) => sum + part.length, 0);
  do {
    length.push(left > 127 ? (left & 127) | 128 : left);
    left >>= 7;
  } while (left > 0);
  return Buffer.concat([Uint8Array.of(head, ...length), ...parts]);
}

function text(value: string): Buffer {
  return Buffer.concat([Uint8Array.of(value.length >> 8, value.length), Buffer.from(value, "latin1")]);
}

function topic(recipient: number): string {
  return `box/${recipient}`;
}

// Types and first bytes: MQTT 3.1.1, section 2.2
const CONNECT = 0x10;
const CONNACK = 2;
const PUBLISH = 3;
const PUBLISH_QOS1 = 0x32;
const PUBACK = 4;
const SUBSCRIBE = 0x82;
const SUBACK = 9;
const DISCONNECT = 0xe0;
/** In memory alone, and no limit that is not ours. */
const SETTINGS = [
  "allow_anonymous true",
  "persistence false",
  "set_tcp_nodelay true",
  "max_queued_messages 0",
  "max_queued_bytes 0",
  "max_inflight_messages 0",
  "max_connections -1",
  "log_type none",
];
