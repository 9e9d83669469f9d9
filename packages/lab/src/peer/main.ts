/**
 * `npm run -s peer -- --identity FILE --udp PORT --tcp PORT [--compat]`: a bare peer that speaks lines of JSON on stdin
 * and stdout, to be tested against other implementations. Ends with its input, or at `quit`.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { loadBackend, tcpTransport, udpTransport } from "@restante/node";
import {
  type Backend,
  type CipherSet,
  type Crypto,
  createCrypto,
  cs1a,
  cs2a,
  cs3a,
  encodeJson,
  type Identity,
  importIdentity,
} from "restante/protocol";
import { type Options, parseOptions, USAGE } from "./options.ts";
import { PeerProgram } from "./program.ts";

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options === undefined) return fail(USAGE, 2);
  const backend = await loadBackend((message) => process.stderr.write(`${message}\n`));
  const crypto = createCrypto(backend, cipherSets(backend, options));
  const identity = load(crypto, options);
  if (identity === undefined)
    return fail(`${options.identity}: no identity {hashname, keys, secrets} for these sets`, 1);

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
    saved: begin(`${options.identity}.at`),
    emit: (event) => process.stdout.write(`${Buffer.from(encodeJson(event)).toString()}\n`),
  });
  try {
    await program.start();
  } catch (error) {
    await program.stop();
    return fail(error instanceof Error ? error.message : String(error), 1);
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

function load(crypto: Crypto, { identity }: Options): Identity | undefined {
  try {
    return importIdentity(crypto, JSON.parse(readFileSync(identity, "utf8")));
  } catch {
    return undefined;
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

function fail(why: string, code: number): number {
  process.stderr.write(`${why}\n`);
  return code;
}

const RUN = 100; // more than the seconds that a run has taken so far and the handshakes in them, if it was a short one
process.stdout.on("error", () => process.exit(1)); // nobody listens any more
process.exitCode = await main(process.argv.slice(2));
process.stdin.destroy(); // after `quit` it may still be open, and nothing more is read
