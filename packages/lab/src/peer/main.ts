/**
 * `npm run -s peer`: a bare peer that speaks lines of JSON on stdin and stdout, to be tested against other
 * implementations. Ends with its input, or at `quit`. docs/interop.md
 */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { loadBackend, tcpTransport, udpTransport } from "@restante/node";
import {
  type Backend,
  type CipherSet,
  type Crypto,
  createCrypto,
  createIdentity,
  cs1a,
  cs2a,
  cs3a,
  encodeJson,
  exportIdentity,
  type Identity,
  importIdentity,
  type JsonObject,
} from "restante/protocol";
import { runTool } from "../command-line.ts";
import { PEER } from "../tools.ts";
import { type Options, optionsOf } from "./options.ts";
import { PeerProgram } from "./program.ts";

async function main(options: Options): Promise<number> {
  const backend = await loadBackend((message) => process.stderr.write(`${message}\n`));
  const crypto = createCrypto(backend, cipherSets(backend, options));
  const emit = (event: JsonObject): void => void process.stdout.write(`${Buffer.from(encodeJson(event)).toString()}\n`);
  const fail = (why: string): number => {
    emit({ ev: "error", why });
    process.stderr.write(`peer: ${why}\n`);
    return 1;
  };
  const identity = load(crypto, options);
  if (typeof identity === "string") return fail(identity);

  const { host, udp, tcp, compat } = options;
  const at = host === undefined ? {} : { host };
  const program = new PeerProgram({
    crypto,
    identity,
    compat,
    random: (length) => new Uint8Array(randomBytes(length)),
    transports: [
      ...(udp === undefined ? [] : [udpTransport({ ...at, port: udp })]),
      ...(tcp === undefined ? [] : [tcpTransport({ ...at, port: tcp })]),
    ],
    ports: { udp, tcp },
    saved: begin(`${options.identity}.at`),
    emit,
  });
  try {
    await program.start();
  } catch (error) {
    await program.stop();
    return fail(error instanceof Error ? error.message : String(error));
  }
  for await (const line of createInterface({ input: process.stdin }))
    if (line.trim() !== "" && !program.command(line)) break;
  await program.stop();
  return 0;
}

/** All that there are: which of them are used depends on the secrets of the identity, unless it was said. */
function cipherSets(backend: Backend, { sets }: Options): CipherSet[] {
  const rsa = backend.rsa === undefined ? [] : [cs2a(backend, backend.rsa)];
  return [cs1a(backend), ...rsa, cs3a(backend)].filter(({ csid }) => sets?.includes(csid) ?? true);
}

/** The identity in the file, or why there is none. */
function load(crypto: Crypto, { identity: file, create, sets }: Options): Identity | string {
  try {
    if (create && !existsSync(file)) {
      const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
      const made = exportIdentity(createIdentity(crypto, random, sets ?? [NEWEST]));
      writeFileSync(file, `${JSON.stringify(made, undefined, 2)}\n`, { mode: 0o600, flag: "wx" });
    }
    const found = importIdentity(crypto, JSON.parse(readFileSync(file, "utf8")));
    return found ?? `${file} holds no identity {hashname, keys, secrets} whose parts belong together, for these sets`;
  } catch (error) {
    if (error instanceof SyntaxError) return `${file} is not JSON`;
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? `there is no file ${file}; --create makes one` : message;
  }
}

/**
 * Above which `at` this run begins: higher than the run before used, for old peers stay silent to lower ones. Little more
 * than the time, or they in turn would be behind us when they start anew. As the value that a mesh saves.
 */
function begin(file: string): Uint8Array {
  const at = Math.max(Math.floor(Date.now() / 1000), lastBegin(file) + RUN);
  try {
    writeFileSync(file, `${at}\n`);
  } catch {
    // The identity lies where nothing can be written: each start is then as the first one.
  }
  const saved = new Uint8Array(8);
  new DataView(saved.buffer).setBigUint64(0, BigInt(at));
  return saved;
}

function lastBegin(file: string): number {
  try {
    return Number(/^[0-9]{1,12}$/m.exec(readFileSync(file, "utf8"))?.[0] ?? 0);
  } catch {
    return 0;
  }
}

const NEWEST = 0x3a;
const RUN = 100; // more than the seconds that a run has taken so far and the handshakes in them, if it was a short one
process.stdout.on("error", () => process.exit(1)); // nobody listens any more
await runTool(PEER, (asked) => main(optionsOf(asked)));
process.stdin.destroy(); // after `quit` it may still be open, and nothing more is read
