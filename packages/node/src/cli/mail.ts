/** Commands about mail of ours: send, outbox, track, cancel. */
import { createReadStream, existsSync, fstatSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { getMimeType } from "hono/utils/mime";
import {
  CONTENT_LIMIT,
  type FileProgress,
  type LedgerEntry,
  type ListedEntry,
  type OutboxEntry,
  RestanteError,
} from "restante";
import type { Client, ServerEvent } from "../api/client.ts";
import type { ContactList, HistoryPage, OutboxList, SentInfo, TrackInfo } from "../api/contract.ts";
import { EXIT, self, usage } from "./failure.ts";
import { ProgressLine } from "./progress.ts";
import { clip, count, printable, type Screen, short, size, table, time } from "./screen.ts";

/** Sends the text, or what stands on stdin, then the files. With `wait`, seconds: until all of it is delivered. */
export async function send(
  screen: Screen,
  client: Client,
  contact: string,
  words: readonly string[],
  options: { file?: readonly string[]; wait?: number; now?: boolean },
  isPiped: () => boolean = stdinIsPiped,
): Promise<number> {
  const files = options.file ?? [];
  const sizes = new Map<string, number | undefined>();
  for (const file of files) sizes.set(file, await sizeOfFile(file));
  // `send bob -f *.png` gives -f only the first of them.
  if (files.length > 0 && words.length > 0 && words.every((word) => existsSync(word)))
    throw usage(`"${words[0]}" is a file and would go as text: put -f before each file`);
  const fromStdin = words.length === 0 ? files.length === 0 : words.length === 1 && words[0] === "-";
  const text = fromStdin ? await readStdin(screen) : words.join(" ");
  // Said to people alone: programs, and loops that read their list from a pipe, have one there that means nothing.
  if (!fromStdin && screen.isTerminal && !screen.json && isPiped())
    screen.say(`what comes by the pipe is not sent: it is where there is no other text, and with - in place of one`);
  if (text === "" && files.length === 0) throw usage("there is nothing to send: the text is empty");

  const over = new AbortController();
  try {
    // Listening begins before the first mail goes out: its delivery cannot be missed.
    const events = options.wait === undefined ? undefined : await client.events(undefined, over.signal);
    /** To how many contacts each still has to come. */
    const waiting = new Map<string, number>();
    const sent = (what: string, mail: SentInfo): void => {
      waiting.set(mail.id, mail.contacts ?? 1);
      screen.out(screen.json ? JSON.stringify({ id: mail.id, contact, state: "queued" }) : mail.id);
      if (!screen.isTerminal || screen.json) return;
      const queued = options.now && what !== TEXT ? "is queued, for caches too" : "is queued";
      const state = mail.waits === undefined ? queued : waitsText(mail.id);
      screen.say(screen.paint("dim", `${what} for ${contact} ${state}`));
    };
    if (text !== "") sent(TEXT, await client.call<SentInfo>("POST", "/v1/messages", { contact, text }));
    for (const file of files) {
      const how = { contact, insist: options.now ?? false, length: sizes.get(file) };
      sent(basename(file), await upload(screen, client, file, how));
    }
    if (events === undefined) return EXIT.done;
    // From here on: what it took to bring a large file to the daemon is no delay of its delivery.
    const timer = setTimeout(() => over.abort(), (options.wait ?? 0) * 1000);
    return await delivery(screen, contact, waiting, events, over.signal).finally(() => clearTimeout(timer));
  } finally {
    over.abort();
  }
}

/** Brings a file into the spool. */
async function upload(
  screen: Screen,
  client: Client,
  file: string,
  { contact, insist, length }: { contact: string; insist: boolean; length: number | undefined },
): Promise<SentInfo> {
  const name = basename(file);
  const query = new URLSearchParams({ contact, name, media: getMimeType(name) ?? "application/octet-stream" });
  if (insist) query.set("insist", "true");
  const bytes = createReadStream(file);
  const end = new ProgressLine(screen).watch({ ...TO_DAEMON, name, size: length ?? 0 }, () => bytes.bytesRead);
  try {
    return await client.upload<SentInfo>(`/v1/files?${query}`, bytes, length);
  } finally {
    end();
  }
}

/** Tells which of the mails are delivered, until all are, or `limit` aborts. */
async function delivery(
  screen: Screen,
  contact: string,
  waiting: Map<string, number>,
  events: AsyncIterable<ServerEvent>,
  limit: AbortSignal,
): Promise<number> {
  const line = new ProgressLine(screen);
  try {
    for await (const { type, data } of events) {
      if (type === "progress" && waiting.has((data as FileProgress).id)) line.show(data as FileProgress);
      const { state, list, ...mail } = data as { id: string; state: string; list?: string };
      const id = list ?? mail.id;
      const left = waiting.get(id);
      if (type !== "state" || left === undefined || state !== "delivered") continue;
      if (left > 1) {
        waiting.set(id, left - 1);
        continue;
      }
      waiting.delete(id);
      line.clear();
      if (screen.json) screen.out(JSON.stringify({ id, contact, state }));
      else screen.say(`${short(id)} is delivered`);
      if (waiting.size === 0) return EXIT.done;
    }
  } catch (error) {
    if (!limit.aborted) throw error;
  } finally {
    line.clear();
  }
  if (!limit.aborted)
    throw new RestanteError("stopped", "the daemon stopped meanwhile; the mail is kept and goes on with it");
  screen.say(`${count(waiting.size, "mail")} not delivered yet: kept, and offered until the recipient has it`);
  return EXIT.queued;
}

/** Our mail: what is on its way, and what was settled lately. */
export async function outbox(screen: Screen, client: Client): Promise<number> {
  const { outbox, behind } = await client.call<OutboxList>("GET", "/v1/outbox");
  // What the node itself sends to contacts and devices is no mail of its user.
  const letters = outbox.filter(({ kind }) => kind !== "card" && kind !== "sync");
  if (screen.json) {
    for (const mail of letters) screen.out(JSON.stringify(mail));
    return EXIT.done;
  }
  if (letters.length === 0) {
    screen.say("nothing is on its way, and nothing was settled lately");
    return EXIT.done;
  }
  const [names, words] = await Promise.all([contactNames(client), wordsOf(client, letters)]);
  const rows = letters.map((mail) => [
    short(mail.id),
    stateOf(mail),
    time(mail.created),
    whatOf(mail),
    recipientOf(mail, names),
    clip(printable((words.get(mail.id) ?? "").slice(0, 4 * WORDS), { oneLine: true }).trim(), WORDS),
  ]);
  for (const line of table(screen, ["ID", "STATE", "SENT", "WHAT", "FOR", "SAYS"], rows)) screen.out(line);
  if (behind > 0) screen.say(`and ${behind} more that wait behind these for their turn`);
  return EXIT.done;
}

/** What the texts say, by id: the outbox knows only how long they are. Of a mail to a list, and where nothing is kept, nothing. */
async function wordsOf(client: Client, mails: readonly ListedEntry[]): Promise<ReadonlyMap<string, string>> {
  const texts = mails.filter(({ kind, list }) => kind === "text" && list === undefined);
  const contacts = [...new Set(texts.map(({ contact }) => contact))].slice(0, MOST_ASKED);
  const pages = await Promise.all(
    contacts.map((contact) =>
      client.call<HistoryPage>("GET", `/v1/contacts/${contact}/history?limit=200`).catch((error: unknown) => {
        if (error instanceof RestanteError) return { entries: [] }; // it may be no contact any more
        throw error;
      }),
    ),
  );
  const entries = pages.flatMap((page) => page.entries);
  return new Map(entries.flatMap(({ id, text }) => (text === undefined ? [] : [[id, text] as const])));
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
  const { contacts } = await client.call<ContactList>("GET", "/v1/contacts");
  const names = namesOf(contacts);
  const several = new Set(contacts.filter(({ hashnames }) => hashnames.length > 1).map((each) => each.id));
  if (mail === undefined) screen.out(screen.paint("bold", id));
  else screen.out(`${screen.paint("bold", id)}  ${whatOf(mail)} for ${recipientOf(mail, names)}`);
  for (const { contact, ...entry } of ledger) {
    const whose = contact === undefined ? "" : `${names(contact)}  `;
    const who = contact ?? mail?.contact;
    const said = remark(entry, who === undefined || several.has(who));
    screen.out(`${time(entry.at, { seconds: true })}  ${entry.state.padEnd(9)}  ${whose}${said}`.trimEnd());
  }
  if (mail?.list) screen.out(`delivered to ${mail.list.delivered} of ${mail.list.of}`);
  else if (mail !== undefined && mail.delivered.n > 1 && mail.delivered.k > 0)
    screen.out(deliveredText(mail.delivered));
  if (mail?.waits === "link") screen.out(`${whatOf(mail)}: ${waitsText(id)}`);
  if (mail?.state === "queued" || mail?.state === "handed")
    screen.out(screen.paint("dim", `offered until ${time(mail.expires)}`));
}

/** `isOneOfSeveral`: which of its devices has it says something. */
function remark({ route, cache, peer, why }: LedgerEntry, isOneOfSeveral: boolean): string {
  if (route === "direct") return "over the link";
  if (route === "bazaar") return "to the bazaar";
  if (cache !== undefined) return `to cache ${short(cache)}`;
  if (peer !== undefined) return isOneOfSeveral ? `by ${short(peer)}` : "";
  return why === undefined ? "" : printable(why, { oneLine: true });
}

function whatOf({ kind, name, size: bytes }: OutboxEntry): string {
  if (kind === "card" || kind === "sync") return kind;
  return `${kind}, ${size(bytes)}${name === undefined ? "" : `, ${printable(name, { oneLine: true })}`}`;
}

function waitsText(id: string): string {
  const instead = `\`${self()} cancel ${short(id)}\`, then send it again with --now`;
  return `waits until there is a link to its recipient, for it is large; to send it by caches instead: ${instead}`;
}

/** "handed" means more the more took it; parts acknowledged show that a large file moves. */
function stateOf({ state, handed, parts, acked, delivered, list, waits }: ListedEntry): string {
  if (list !== undefined && list.delivered > 0 && list.delivered < list.of) return `to ${list.delivered} of ${list.of}`;
  if (list === undefined && state === "delivered" && delivered.k < delivered.n) return deliveredText(delivered);
  if (state !== "queued" && state !== "handed") return state;
  if (waits === "link") return "waits for a link";
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
  return namesOf((await client.call<ContactList>("GET", "/v1/contacts")).contacts);
}

function namesOf(contacts: ContactList["contacts"]): (id: string) => string {
  const names = new Map(contacts.map((contact) => [contact.id, contactName(contact)]));
  return (id) => names.get(id) ?? short(id);
}

/** What to call a contact: its name, else the start of its id. */
export function contactName({ id, name }: { readonly id: string; readonly name?: string | undefined }): string {
  return name === undefined ? short(id) : printable(name, { oneLine: true });
}

/** How large a file is; `undefined` of what is none but can be read as one. Throws where it cannot be sent. */
export async function sizeOfFile(file: string): Promise<number | undefined> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw new RestanteError("no-file", `there is no file "${file}"`);
    throw usage(`"${file}" cannot be read: ${error.code ?? error.message}`);
  });
  if (found.isDirectory()) throw usage(`"${file}" is a directory: pack it into one file first`);
  if (!found.isFile()) return undefined;
  if (found.size > CONTENT_LIMIT)
    throw new RestanteError("too-large", `"${file}" has more than ${size(CONTENT_LIMIT)}: send it in pieces`);
  return found.size;
}

/** Whether a pipe leads here. What is in it is not looked at: it may be somebody else's to read. */
function stdinIsPiped(): boolean {
  try {
    return fstatSync(0).isFIFO();
  } catch {
    return false; // it is closed
  }
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

/** A file that goes from this process into the spool. */
const TO_DAEMON = { way: "out", contact: "", id: "" } as const;
const TEXT = "the text";
const WORDS = 60; // columns of the first words of a text
const MOST_ASKED = 100; // contacts: of those after them only the size is shown
const MAX_STDIN = 512 * 1024; // far above any text; its JSON fits one request
