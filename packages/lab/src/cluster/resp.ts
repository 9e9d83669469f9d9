/** A few words with a Redis server over one connection: requests in order, answers as text. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Connects at the first question, and again after a connection ended. */
export class Resp {
  readonly #port: number;
  #socket: Promise<Socket> | undefined;
  #input = Buffer.alloc(0);
  #waiting: { resolve(answer: string): void; reject(error: Error): void }[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  /** The answer, each byte as one character; of a list each part on its line. Rejects when it is an error or none comes. */
  async ask(command: readonly string[]): Promise<string> {
    this.#socket ??= this.#connect();
    const socket = await this.#socket;
    const parts = command.map((part) => `$${Buffer.byteLength(part, "latin1")}\r\n${part}\r\n`);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      socket.write(`*${command.length}\r\n${parts.join("")}`, "latin1");
    });
  }

  close(): void {
    this.#socket?.then(
      (socket) => socket.destroy(),
      () => {},
    );
  }

  async #connect(): Promise<Socket> {
    const socket = connect(this.#port, "127.0.0.1");
    try {
      await once(socket, "connect");
    } catch (error) {
      this.#socket = undefined;
      throw error;
    }
    this.#input = Buffer.alloc(0);
    socket.on("data", (piece: Buffer) => this.#took(piece));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#socket = undefined;
      for (const { reject } of this.#waiting.splice(0)) reject(new Error("the server is gone"));
    });
    return socket;
  }

  #took(piece: Buffer): void {
    this.#input = Buffer.concat([this.#input, piece]);
    for (let answer = parseAnswer(this.#input, 0); answer !== undefined; answer = parseAnswer(this.#input, 0)) {
      this.#input = this.#input.subarray(answer.end);
      const asker = this.#waiting.shift();
      if (answer.isError) asker?.reject(new Error(answer.text));
      else asker?.resolve(answer.text);
    }
  }
}

interface Answer {
  readonly text: string;
  readonly isError: boolean;
  readonly end: number;
}

/** The answer that begins there; `undefined` while a part of it is missing. */
export function parseAnswer(input: Buffer, at: number): Answer | undefined {
  const line = input.indexOf("\r\n", at);
  if (line < 0) return undefined;
  const kind = String.fromCharCode(input[at] ?? 0);
  const rest = input.toString("latin1", at + 1, line);
  const start = line + 2;
  if (kind === "$") {
    const end = start + Math.max(0, Number(rest));
    if (rest === "-1") return { text: "", isError: false, end: start };
    return input.length < end + 2
      ? undefined
      : { text: input.toString("latin1", start, end), isError: false, end: end + 2 };
  }
  if (kind !== "*") return { text: rest, isError: kind === "-", end: start };
  const parts: string[] = [];
  let end = start;
  for (let left = Number(rest); left > 0; left--) {
    const part = parseAnswer(input, end);
    if (part === undefined) return undefined;
    parts.push(part.text);
    end = part.end;
  }
  return { text: parts.join("\n"), isError: false, end };
}
