/** Nodes in processes of their own that are killed, and that go on with what their disk holds. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { request } from "node:http";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { buffer, json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** The built program. */
export const PROGRAM: string = fileURLToPath(new URL("../../../node/dist/cli/main.js", import.meta.url));

/** An answer that is an error: its code. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

/** One home, and the daemon that runs on it now and then. Its API is HTTP over a socket in the home. docs/api.md */
export class Daemon {
  readonly home: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #exit: Promise<unknown> = Promise.resolve();
  /** All that it said since it was started. */
  said = "";

  constructor(dir: string, name: string, args: readonly string[]) {
    this.home = join(dir, name);
    this.#args = [PROGRAM, "--json", "--host", "127.0.0.1", "--port", "0", "--home", this.home, ...args];
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What it says when it is ready. Rejects when it ends before that. `wrapped`: a program that runs it, and its arguments. */
  async start(wrapped: readonly string[] = []): Promise<Readonly<Record<string, string>>> {
    const [program = "", ...args] = [...wrapped, process.execPath, ...this.#args];
    const child = spawn(program, args);
    this.#child = child;
    this.said = "";
    this.#exit = new Promise((resolve) => child.on("exit", resolve));
    return new Promise((resolve, reject) => {
      const hear = (piece: unknown): void => {
        this.said += piece;
        const ready = /^\{.*"hashname".*\}$/m.exec(this.said);
        if (ready !== null) resolve(JSON.parse(ready[0]) as Record<string, string>);
      };
      child.stdout.on("data", hear);
      child.stderr.on("data", hear);
      void this.#exit.then((code) => reject(new Error(`${this.home} ended with ${String(code)}: ${this.said}`)));
    });
  }

  /** Ends it, with nothing said before when the signal is SIGKILL, and waits until it is gone. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal);
    await this.#exit;
  }

  /** Throws a `Refusal` for an error of the API, and whatever the socket does when the daemon dies meanwhile. */
  async call<T>(method: "GET" | "POST" | "PUT", path: string, body?: object | Buffer): Promise<T> {
    return JSON.parse((await this.bytes(method, path, body)).toString()) as T;
  }

  async bytes(method: "GET" | "POST" | "PUT", path: string, body?: object | Buffer): Promise<Buffer> {
    const isFile = Buffer.isBuffer(body);
    const sent = body === undefined || isFile ? body : Buffer.from(JSON.stringify(body));
    const type = isFile ? "application/octet-stream" : "application/json";
    return new Promise((resolve, reject) => {
      const headers = sent === undefined ? {} : { "content-type": type, "content-length": sent.length };
      const asking = request({ socketPath: join(this.home, "sock"), method, path, headers, agent: false }, (answer) => {
        buffer(answer).then((bytes) => {
          if ((answer.statusCode ?? 500) < 400) return resolve(bytes);
          const { code, detail } = JSON.parse(bytes.toString()) as { code: string; detail: string };
          reject(new Refusal(code, detail));
        }, reject);
      });
      asking.on("error", reject);
      asking.end(sent);
    });
  }

  /** PUTs a stream that need not fit into memory. */
  async upload<T>(path: string, body: Readable): Promise<T> {
    return new Promise((resolve, reject) => {
      const asking = request({ socketPath: join(this.home, "sock"), method: "PUT", path, agent: false }, (answer) => {
        json(answer).then((value) => {
          if ((answer.statusCode ?? 500) < 400) return resolve(value as T);
          const { code, detail } = value as { code: string; detail: string };
          reject(new Refusal(code, detail));
        }, reject);
      });
      asking.on("error", reject);
      body.on("error", reject);
      body.pipe(asking);
    });
  }

  /** SHA-256 of what is there, in hex. */
  async digest(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const asking = request({ socketPath: join(this.home, "sock"), path, agent: false }, (answer) => {
        const hash = createHash("sha256");
        answer.on("data", (piece: Buffer) => hash.update(piece));
        answer.on("end", () => resolve(hash.digest("hex")));
        answer.on("error", reject);
      });
      asking.on("error", reject);
      asking.end();
    });
  }

  /** Asks until the answer is right. It may be restarting, or busy: then it is asked again. */
  async until<T>(path: string, isRight: (answer: T) => boolean): Promise<T> {
    for (;;) {
      const answer = await this.call<T>("GET", path).catch((error: unknown) => {
        if (!(error instanceof Refusal && BUSY.has(error.code))) throw error;
      });
      if (answer !== undefined && isRight(answer)) return answer;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

/** A store that does not work is tried again, as docs/api.md says. */
const BUSY: ReadonlySet<string> = new Set(["store-failed", "restarted", "not-running"]);
const PAUSE_MS = 50;
