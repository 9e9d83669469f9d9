/** Commands about mail: send, recv, outbox, track, cancel. */
import { createReadStream, existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { getMimeType } from "hono/utils/mime";
import { type LedgerEntry, type ListedEntry, type OutboxEntry, RestanteError } from "restante";
import type { Client } from "../api/client.ts";
import type {
  ContactList,
  MessageInfo,
  MessagePage,
  OutboxList,
  SeenInfo,
  SentInfo,
  TrackInfo,
} from "../api/contract.ts";
import { EXIT, usage } from "./failure.ts";
import { saveFile } from "./saved-file.ts";
import { count, printable, type Screen, said, short, size, table, time } from "./screen.ts";

/** Sends the text, or what stands on stdin, then the files. With `wait`, seconds: until all of it is delivered. */
export async function send(
  screen: Screen,
  client: Client,
  contact: string,
  words: readonly string[],
  options: { file?: readonly string[]; wait?: number },
): Promise<number> {
  const files = options.file ?? [];
  for (const file of files) await mustBeFile(file);
  // `send bob -f *.png` gives -f only the first of them.
  if (files.length > 0 && words.length > 0 && words.every((word) => existsSync(word)))
    throw usage(`"${words[0]}" is a file and would go as text: put -f before each file`);
  const fromStdin = words.length === 0 ? files.length === 0 : words.length === 1 && words[0] === "-";
  const text = fromStdin ? await readStdin(screen) : words.join(" ");
  if (text === "" && files.length === 0) throw usage("there is nothing to send: the text is empty");

  const limit = options.wait === undefined ? undefined : AbortSignal.timeout(options.wait * 1000);
  // Listening begins before the first mail goes out: its delivery cannot be missed.
  const events = limit && (await client.events(undefined, limit));
  /** To how many contacts each still has to come. */
  const waiting = new Map<string, number>();
  const sent = async (what: string, mail: SentInfo): Promise<void> => {
    waiting.set(mail.id, mail.contacts ?? 1);
    screen.out(screen.json ? JSON.stringify({ id: mail.id, contact, state: "queued" }) : mail.id);
    if (screen.isTerminal && !screen.json) screen.say(screen.paint("dim", `${what} for ${contact} is queued`));
  };
  if (text !== "") await sent("the text", await client.call<SentInfo>("POST", "/v1/messages", { contact, text }));
  for (const file of files) {
    const name = basename(file);
    const query = new URLSearchParams({ contact, name, media: getMimeType(name) ?? "application/octet-stream" });
    await sent(name, await client.upload<SentInfo>(`/v1/files?${query}`, createReadStream(file)));
  }
  if (events === undefined) return EXIT.done;

  try {
    for await (const { type, data } of events) {
      const { state, list, ...mail } = data as { id: string; state: string; list?: string };
      const id = list ?? mail.id;
      const left = waiting.get(id);
      if (type !== "state" || left === undefined || state !== "delivered") continue;
      if (left > 1) {
        waiting.set(id, left - 1);
        continue;
      }
      waiting.delete(id);
      if (screen.json) screen.out(JSON.stringify({ id, contact, state }));
      else screen.say(`${short(id)} is delivered`);
      if (waiting.size === 0) return EXIT.done;
    }
  } catch (error) {
    if (!limit?.aborted) throw error;
  }
  if (!limit?.aborted)
    throw new RestanteError("stopped", "the daemon stopped meanwhile; the mail is kept and goes on with it");
  screen.say(`${count(waiting.size, "mail")} not delivered yet: kept, and offered until the recipient has it`);
  return EXIT.queued;
}

/**
 * Shows what was not shown before, with `all` everything that is kept, and with `follow` what comes from then on until `stop`
 * aborts. Files go into `out`, or here; those of mail that was shown before only when `out` was said.
 */
export async function recv(
  screen: Screen,
  client: Client,
  options: { follow?: boolean; all?: boolean; out?: string },
  stop?: AbortSignal,
): Promise<number> {
  const { follow, all, out = "." } = options;
  await mustBeFolder(out);
  const { n: before } = await client.call<SeenInfo>("GET", "/v1/seen");
  let seen = all ? 0 : before;
  let code: number = EXIT.done;
  let shown = 0;
  const show = async (mail: MessageInfo): Promise<void> => {
    const problem = await showMail(
      screen,
      client,
      mail,
      mail.n > before || options.out !== undefined ? out : undefined,
    );
    if (problem !== undefined) {
      code = EXIT.degraded;
      screen.say(`restante: ${problem}`);
    }
    seen = mail.n;
    shown++;
  };
  const note = (): Promise<SeenInfo> => client.call("PUT", "/v1/seen", { n: seen });

  for (let more = true; more; ) {
    const { messages } = await client.call<MessagePage>("GET", `/v1/messages?after=${seen}&limit=${PAGE}`);
    more = messages.length === PAGE;
    try {
      for (const mail of messages) await show(mail);
    } finally {
      // Also when a full disk stops us: what was printed was printed.
      if (messages.length > 0) await note();
    }
  }
  if (!follow) {
    if (shown === 0 && screen.isTerminal && !screen.json) screen.say(all ? "no mail yet" : "no new mail");
    return code;
  }
  try {
    for await (const { type, data } of await client.events(seen, stop)) {
      if (type !== "mail") continue;
      await show(data as MessageInfo);
      await note();
    }
  } catch (error) {
    if (!stop?.aborted) throw error;
  }
  if (!stop?.aborted) throw new RestanteError("stopped", "the daemon stopped");
  return code;
}

/** Our mail: what is on its way, and what was settled lately. */
export async function outbox(screen: Screen, client: Client): Promise<number> {
  const { outbox } = await client.call<OutboxList>("GET", "/v1/outbox");
  if (screen.json) {
    for (const mail of outbox) screen.out(JSON.stringify(mail));
    return EXIT.done;
  }
  const letters = outbox.filter(({ kind }) => kind !== "card" && kind !== "sync");
  if (letters.length === 0) {
    screen.say("nothing is on its way, and nothing was settled lately");
    return EXIT.done;
  }
  const names = await contactNames(client);
  const rows = letters.map((mail) => [
    short(mail.id),
    stateOf(mail),
    time(mail.created),
    whatOf(mail),
    recipientOf(mail, names),
  ]);
  for (const line of table(screen, ["ID", "STATE", "SINCE", "WHAT", "FOR"], rows)) screen.out(line);
  return EXIT.done;
}

/** What happened to one mail. */
export async function track(screen: Screen, client: Client, id: string): Promise<number> {
  const found = await client.call<TrackInfo>("GET", `/v1/outbox/${encodeURIComponent(id)}`);
  await showTrack(screen, client, found);
  return EXIT.done;
}

/** Gives a mail up. */
export async function cancel(screen: Screen, client: Client, id: string): Promise<number> {
  const found = await client.call<TrackInfo>("DELETE", `/v1/outbox/${encodeURIComponent(id)}`);
  await showTrack(screen, client, found);
  return EXIT.done;
}

async function showTrack(screen: Screen, client: Client, found: TrackInfo): Promise<void> {
  if (screen.json) return screen.out(JSON.stringify(found));
  const { id, mail, ledger } = found;
  const names = await contactNames(client);
  if (mail === undefined) screen.out(screen.paint("bold", id));
  else screen.out(`${screen.paint("bold", id)}  ${whatOf(mail)} for ${recipientOf(mail, names)}`);
  for (const { contact, ...entry } of ledger) {
    const whose = contact === undefined ? "" : `${names(contact)}  `;
    screen.out(`${time(entry.at, { seconds: true })}  ${entry.state.padEnd(9)}  ${whose}${remark(entry)}`.trimEnd());
  }
  if (mail?.list) screen.out(`delivered to ${mail.list.delivered} of ${mail.list.of}`);
  else if (mail !== undefined && mail.delivered.n > 1 && mail.delivered.k > 0)
    screen.out(deliveredText(mail.delivered));
  if (mail?.state === "queued" || mail?.state === "handed")
    screen.out(screen.paint("dim", `offered until ${time(mail.expires)}`));
}

function remark({ route, cache, peer, why }: LedgerEntry): string {
  if (route === "direct") return "over the link";
  if (cache !== undefined) return `to cache ${short(cache)}`;
  if (peer !== undefined) return `by ${short(peer)}`;
  return why === undefined ? "" : printable(why, { oneLine: true });
}

/** Prints one mail; a file is saved first, if there is a folder for it. Gives what went wrong, in words. */
async function showMail(
  screen: Screen,
  client: Client,
  mail: MessageInfo,
  dir: string | undefined,
): Promise<string | undefined> {
  let saved: string | undefined;
  let problem: string | undefined;
  if (mail.why !== undefined) problem = `mail ${mail.n} came damaged: ask for it again`;
  else if (mail.file !== undefined && dir !== undefined) {
    try {
      saved = await saveFile(dir, mail.file, await client.download(`/v1/messages/${mail.n}/file`));
    } catch (error) {
      // What the disk refuses can be fetched again; a file that is not there, or is another, cannot.
      if (!(error instanceof RestanteError)) throw error;
      problem = `"${printable(mail.file.name, { oneLine: true })}" could not be saved: ${error.message}`;
    }
  }
  if (screen.json) {
    const file = mail.file && { ...mail.file, ...(saved === undefined ? {} : { saved }) };
    screen.out(JSON.stringify({ ...mail, ...(file === undefined ? {} : { file }) }));
    return problem;
  }
  for (const line of said(screen, time(mail.received), nameOf(mail), bodyOf(mail, saved))) screen.out(line);
  return problem;
}

function bodyOf({ kind, text, file }: MessageInfo, saved: string | undefined): string {
  if (text !== undefined) return printable(text);
  if (file === undefined)
    return `[a mail of kind "${printable(kind, { oneLine: true })}", which this version cannot show]`;
  const name = printable(file.name, { oneLine: true });
  return `[file ${name}, ${size(file.size)}${saved === undefined ? "" : `, saved as ${printable(saved, { oneLine: true })}`}]`;
}

function nameOf({ name, from }: MessageInfo): string {
  return name === undefined ? short(from) : printable(name, { oneLine: true });
}

function whatOf({ kind, size: bytes }: OutboxEntry): string {
  return `${kind}, ${size(bytes)}`;
}

/** "handed" means more the more took it; parts acknowledged show that a large file moves. */
function stateOf({ state, handed, parts, acked, delivered, list }: ListedEntry): string {
  if (list !== undefined && list.delivered > 0 && list.delivered < list.of) return `to ${list.delivered} of ${list.of}`;
  if (list === undefined && state === "delivered" && delivered.k < delivered.n) return deliveredText(delivered);
  if (state !== "queued" && state !== "handed") return state;
  if (acked > 0 && acked < parts) return `${acked} of ${parts}`;
  return state === "handed" && handed > 1 ? `handed ${handed}x` : state;
}

function deliveredText({ k, n }: ListedEntry["delivered"]): string {
  return `delivered to ${k} of ${n}`;
}

function recipientOf({ contact, list }: ListedEntry, names: (id: string) => string): string {
  return list === undefined ? names(contact) : printable(list.name, { oneLine: true });
}

async function contactNames(client: Client): Promise<(id: string) => string> {
  const { contacts } = await client.call<ContactList>("GET", "/v1/contacts");
  const names = new Map(contacts.map((contact) => [contact.id, contactName(contact)]));
  return (id) => names.get(id) ?? short(id);
}

/** What to call a contact: its name, else the start of its id. */
export function contactName({ id, name }: { readonly id: string; readonly name?: string | undefined }): string {
  return name === undefined ? short(id) : printable(name, { oneLine: true });
}

async function mustBeFile(file: string): Promise<void> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw new RestanteError("no-file", `there is no file "${file}"`);
    throw usage(`"${file}" cannot be read: ${error.code ?? error.message}`);
  });
  if (found.isDirectory()) throw usage(`"${file}" is a directory: pack it into one file first`);
}

/** Asked before any mail is: a folder that is not there yet is made when the first file comes. */
async function mustBeFolder(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === false) throw usage(`"${path}" is a file; --out takes a folder`);
}

/** All of stdin as text, without one line end at its end. */
async function readStdin(screen: Screen): Promise<string> {
  if (process.stdin.isTTY) screen.say(screen.paint("dim", "write the text, then Ctrl-D on a line of its own"));
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    pieces.push(piece);
    length += piece.length;
    if (length > MAX_STDIN)
      throw new RestanteError("too-large", "what came on stdin is too long for a text: send it as a file, with -f");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(Buffer.concat(pieces))
      .replace(/\r?\n$/, "");
  } catch {
    throw usage("what came on stdin is not UTF-8 text: send it as a file, with -f");
  }
}

const PAGE = 100;
const MAX_STDIN = 512 * 1024; // far above any text; its JSON fits one request
