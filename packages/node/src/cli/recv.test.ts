import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { RestanteError } from "restante";
import { expect, test } from "vitest";
import { Client } from "../api/client.ts";
import { EXIT } from "./failure.ts";
import { recv } from "./recv.ts";
import type { Screen } from "./screen.ts";

const file = { name: "a.txt", media: "text/plain", size: 0, sha256: "" };
const hook = { program: "/bin/sh", args: ["-c", "exit 0"], isShell: false };

/** A daemon with one mail, a file, whose download fails by these codes, one after the other. */
class OneMail extends Client {
  seen = 0;
  readonly #failures: string[];

  constructor(...failures: string[]) {
    super("/nowhere");
    this.#failures = failures;
  }

  override async call<T>(method: string, path: string, body?: object): Promise<T> {
    if (method === "PUT") this.seen = (body as { n: number }).n;
    const mail = { n: 1, id: "i", contact: "c", from: "f", kind: "file", time: 1, received: 2, file };
    return (path.startsWith("/v1/messages") ? { messages: [mail] } : { n: this.seen }) as T;
  }

  override async download(): Promise<Readable> {
    const code = this.#failures.shift();
    if (code !== undefined) throw new RestanteError(code, "it does not come");
    return Readable.from([]);
  }
}

test.each([
  // The program would never get the file: the mail stays new, as if the program had failed.
  ["not-running", 0, "it does not come; it stays new"],
  ["internal", 0, "it does not come; it stays new"],
  // Waiting for this one would hold back all mail behind it.
  ["not-found", 1, "it does not come"],
])(
  "a file that a program is to get, and that fails by %s, leaves the position at %i",
  async (code, position, words) => {
    const dir = await mkdtemp(join(tmpdir(), "restante-recv-"));
    const said: string[] = [];
    const screen: Screen = {
      ...{ json: false, isTerminal: false, hasColor: false, columns: 80 },
      ...{ out: () => {}, say: (line) => void said.push(line), paint: (_, text) => text },
    };
    const client = new OneMail(code);
    expect(await recv(screen, client, { out: dir, hook })).toBe(EXIT.degraded);
    expect(client.seen).toBe(position);
    expect(said).toEqual([expect.stringMatching(`${words}$`)]);
    expect(await readdir(dir)).toEqual([]);
    await rm(dir, { recursive: true });
  },
);
