/**
 * The commands seal and open: a file for somebody, by keys alone. They are those of the home: its daemon is asked for a header where one
 * runs, and else the home is read. The file itself stays in this process.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Backend, createCrypto, type Hashname, RestanteError } from "restante";
import type { Crypto } from "restante/protocol";
import { Client } from "../api/client.ts";
import type { OpenedInfo, SealedInfo } from "../api/contract.ts";
import { loadBackend } from "../crypto/best.ts";
import { homePaths } from "../home.ts";
import { readOffline } from "../offline.ts";
import { openContent, readHeader, sealContent } from "../sealed-file.ts";
import { type Sealing, sealingOf, sealWithoutHome, type ToSeal } from "../sealing.ts";
import { EXIT, usage } from "./failure.ts";
import type { IdentityOptions } from "./identity.ts";
import { keyPassphrase } from "./passphrase.ts";
import { ProgressLine } from "./progress.ts";
import { saveAs, saveUnder } from "./saved-file.ts";
import { count, printable, type Screen, time } from "./screen.ts";

export interface SealOptions extends IdentityOptions {
  /** Who may open it: "me", an invite, a link with keys, link JSON, or a contact. */
  readonly readers: readonly string[];
  readonly isAnonymous: boolean;
  /** The new file; "-": stdout. */
  readonly out?: string;
}

/** Seals a file, or stdin, into a new file, or onto stdout. */
export async function seal(screen: Screen, file: string | undefined, options: SealOptions): Promise<number> {
  const { readers, isAnonymous } = options;
  const isPiped = file === undefined || file === "-";
  const out = options.out ?? (isPiped ? "-" : `${file}.sealed`);
  const input = await inputOf(file);
  if (out === "-" && screen.isTerminal)
    throw usage("a sealed file is nothing for a terminal: name a new file with --out");
  const [crypto, backend] = await cryptography(screen);
  const asked: ToSeal = { readers, isAnonymous, ...(isPiped ? {} : { name: basename(file) }) };
  const made =
    sealWithoutHome(asked, { crypto, backend }) ??
    (await byHome(options, crypto, backend, (sealing) => sealing.seal(asked)));
  const sealed = sealContent(backend, made, input.bytes);
  await write(
    screen,
    out,
    sealed,
    input.size === undefined ? undefined : { name: basename(file ?? ""), size: input.size },
  );
  if (screen.json && out !== "-") screen.out(JSON.stringify({ type: "sealed", file: out, readers: made.readers }));
  else if (!screen.json && out !== "-")
    screen.say(`sealed for ${count(made.readers, "device")}, in "${printable(out, { oneLine: true })}"`);
  return EXIT.done;
}

/** Opens a sealed file, or stdin, and says who sealed it. */
export async function open(
  screen: Screen,
  file: string | undefined,
  options: IdentityOptions & { out?: string },
): Promise<number> {
  const isPiped = file === undefined || file === "-";
  const out = options.out ?? (isPiped ? "-" : undefined);
  const input = await inputOf(file);
  if (out === "-" && screen.isTerminal)
    throw usage("what others wrote may harm a terminal: name a new file with --out");
  const [crypto, backend] = await cryptography(screen);
  const { header, rest } = await readHeader(input.bytes);
  const opened = await byHome(options, crypto, backend, (sealing) => sealing.open(header));
  const { head, contact } = opened;
  const content = openContent(backend, { header, secret: opened.secret }, rest);
  let saved = out;
  if (saved === undefined)
    saved = await saveUnder(".", head.name ?? basename(file ?? "").replace(/\.sealed$/, ""), content);
  else await write(screen, saved, content, undefined);
  const { from } = head;
  if (screen.json) {
    const said = { type: "opened", ...head, contact: contact?.id, ...(saved === "-" ? {} : { file: resolve(saved) }) };
    if (saved === "-") screen.say(JSON.stringify(said));
    else screen.out(JSON.stringify(said));
    return EXIT.done;
  }
  if (saved !== "-") screen.say(`opened, in "${printable(saved, { oneLine: true })}"`);
  // All readers have the key of the content: the sender's word is certain to the only one alone.
  const shared =
    head.readers === 1 ? "" : `; it is for ${count(head.readers, "device")}, each of which could have changed it`;
  const when = `on ${time(head.time)}, as its clock said${shared}`;
  if (from === undefined) screen.say(`sealed by somebody who does not say who it is, ${when}`);
  else if (opened.isOwn) screen.say(`sealed by you, ${when}`);
  else if (contact === undefined) screen.say(`sealed by ${from}, who is no contact of yours, ${when}`);
  else screen.say(`sealed by your contact ${printable(contact.name ?? contact.id, { oneLine: true })}, ${when}`);
  return EXIT.done;
}

async function cryptography(screen: Screen): Promise<[Crypto, Backend]> {
  const backend = await loadBackend(screen.say);
  return [createCrypto(backend), backend];
}

/** By the daemon that runs there, or without one by the home itself. */
async function byHome<T>(
  options: IdentityOptions,
  crypto: Crypto,
  backend: Backend,
  act: (sealing: Sealing) => Promise<T>,
): Promise<T> {
  try {
    return await act(daemonSealing(new Client(homePaths(options.home).sock)));
  } catch (error) {
    if (!(error instanceof RestanteError && error.code === "no-daemon")) throw error;
  }
  const known = await readOffline(options.home, { crypto, backend, passphrase: keyPassphrase(options) });
  return await act(sealingOf({ crypto, backend, home: async () => known }));
}

function daemonSealing(client: Client): Sealing {
  return {
    async seal({ isAnonymous: anonymous, ...asked }) {
      const made = await client.call<SealedInfo>("POST", "/v1/sealed", { ...asked, anonymous });
      return { header: bytesOf(made.header), secret: bytesOf(made.secret), readers: made.readers };
    },
    async open(header) {
      const asked = { header: Buffer.from(header).toString("base64") };
      // Those that are made have some kilobytes for each reader.
      if (asked.header.length > MAX_HEADER)
        throw new RestanteError("bad-sealed", "this is no whole sealed file: its first bytes are none of one");
      const opened = await client.call<OpenedInfo>("POST", "/v1/sealed/open", asked);
      const { secret, contact: id, contactName, own: isOwn, time, readers } = opened;
      const head = { from: opened.from as Hashname | undefined, time, name: opened.name, readers };
      const contact = id === undefined ? undefined : { id, name: contactName };
      return { head, secret: bytesOf(secret), contact, isOwn };
    },
  };
}

function bytesOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, "base64"));
}

async function inputOf(file: string | undefined): Promise<{ bytes: Readable; size: number | undefined }> {
  if (file === undefined && process.stdin.isTTY) throw usage("name a file, or pipe something in");
  if (file === undefined || file === "-") return { bytes: process.stdin, size: undefined };
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new RestanteError("no-file", `there is no file "${file}"`) : error;
  });
  if (found.isDirectory()) throw usage(`"${file}" is a directory: pack it into one file first`);
  return { bytes: createReadStream(file), size: found.isFile() ? found.size : undefined };
}

async function write(
  screen: Screen,
  out: string,
  bytes: AsyncIterable<Uint8Array>,
  file: { readonly name: string; readonly size: number } | undefined,
): Promise<void> {
  const line = new ProgressLine(screen);
  const counted = file === undefined ? bytes : line.counting(bytes, { way: "out", contact: "", id: "", ...file });
  try {
    if (out === "-") await pipeline(counted, process.stdout, { end: false });
    else await saveAs(out, counted);
  } finally {
    line.clear();
  }
}

const MAX_HEADER = 600_000; // characters: what the API takes
