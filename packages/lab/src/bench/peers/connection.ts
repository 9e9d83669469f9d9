/** A TCP connection to a peer's server: what a turn writes leaves together, as it does from our own transport. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export class Wire {
  readonly #socket: Socket;
  #pieces: Uint8Array[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #isClosing = false;
  readonly #failed: Promise<never>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#failed = new Promise((_, reject) => {
      const end = (error?: unknown): void => {
        if (!this.#isClosing) reject(error instanceof Error ? error : new Error("the server closed the connection"));
      };
      socket.once("error", end).once("close", end);
    });
    this.#failed.catch(() => {}); // told to those who wait
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new Wire(socket);
  }

  /** `parse` gives what begins there and where it ends, `undefined` while a part is missing. When one of both throws, all is over. */
  read<T extends { readonly end: number }>(
    parse: (input: Buffer, at: number) => T | undefined,
    act: (message: T) => void,
  ): void {
    this.#socket.on("data", (piece: Buffer) => {
      const input = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
      let used = 0;
      try {
        for (let message = parse(input, used); message !== undefined; message = parse(input, used)) {
          used = message.end;
          act(message);
        }
      } catch (error) {
        this.#socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
      this.#rest = input.subarray(used);
    });
  }

  write(bytes: Uint8Array | string): void {
    // After all that this turn's answers set off has written, too.
    if (this.#pieces.length === 0) process.nextTick(() => this.#flush());
    this.#pieces.push(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** What the promise resolves to; rejects when the connection ends before. */
  during<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#failed]);
  }

  /** `last`: what is said before. */
  async close(last?: Uint8Array | string): Promise<void> {
    this.#isClosing = true;
    if (last !== undefined) this.write(last);
    this.#flush();
    if (this.#socket.destroyed) return;
    const closed = once(this.#socket, "close");
    this.#socket.end();
    this.#socket.resume();
    await closed;
  }

  #flush(): void {
    const pieces = this.#pieces;
    // An answer that came while it was closed may have left something to say.
    if (pieces.length === 0 || this.#socket.writableEnded) return;
    this.#pieces = [];
    this.#socket.write(pieces.length === 1 ? (pieces[0] ?? "") : Buffer.concat(pieces));
  }
}

/** Answers that come in the order of the questions. */
export class Queue<T> {
  readonly #waiting: ((answer: T) => void)[] = [];
  #first = 0;
  /** Answers so far. */
  answered = 0;

  next(): Promise<T> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  answer(answer: T): void {
    const resolve = this.#waiting[this.#first++];
    if (resolve === undefined) throw new Error("an answer to nothing");
    this.answered++;
    if (this.#first === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#first = 0;
    }
    resolve(answer);
  }
}
