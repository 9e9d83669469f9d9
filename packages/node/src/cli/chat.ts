/**
 * `chat`: a conversation as it goes. At a terminal: the last mails, a line to write on, what comes above it, and what became of
 * what was written. Without one: each line of stdin is a mail, and what comes is printed as `recv` prints it.
 */
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { getMimeType } from "hono/utils/mime";
import {
  type ContactInfo,
  type FileProgress,
  type Hashname,
  type HistoryEntry,
  type MailState,
  RestanteError,
} from "restante";
import type { Client, ServerEvent } from "../api/client.ts";
import type { FileInfo, HistoryPage, MessageInfo, SentInfo } from "../api/contract.ts";
import { EXIT, failureOf, usage } from "./failure.ts";
import { contactName, sizeOfFile } from "./mail.ts";
import { endText } from "./recv.ts";
import { saveFile } from "./saved-file.ts";
import { clip, printable, type Screen, said, size, time, width } from "./screen.ts";

/** Where a chat takes place: `process.stdin` and `process.stdout`, or what a test has in their stead. */
export interface Stage {
  readonly input: Readable;
  readonly output: Writable;
  /** Somebody types, and sees it. */
  readonly isTerminal: boolean;
}

/**
 * Goes on until the input ends (Ctrl-D), somebody leaves (Ctrl-C, /quit) or `stop` aborts. Exit code 0; 1 when something that was
 * written could not be sent. Throws "stopped" when the daemon does. It does not count as having seen the mail: `recv` prints it still.
 */
export async function chat(
  screen: Screen,
  client: Client,
  contact: string,
  options: { limit: number },
  stage: Stage,
  stop: AbortSignal,
): Promise<number> {
  const found = await client.call<ContactInfo>("GET", `/v1/contacts/${encodeURIComponent(contact)}`);
  const end = new AbortController();
  const signal = AbortSignal.any([end.signal, stop]);
  // Listening begins before the history is read: what comes meanwhile stands in one of both, and is known by its number.
  const events = await client.events(undefined, signal);
  const talk =
    stage.isTerminal && !screen.json
      ? new Terminal(screen, client, found, stage)
      : new Pipe(screen, client, found, stage);
  const isOver = talk.read(signal).finally(() => end.abort());
  isOver.catch(() => {}); // told below, or something else is told before it
  let isStopped = false;
  try {
    await talk.begin(options.limit);
    for await (const event of events) talk.show(event);
    isStopped = !signal.aborted;
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    talk.close();
  }
  if (isStopped) throw new RestanteError("stopped", "the daemon stopped");
  await isOver;
  return talk.code;
}

/** What both kinds do alike. */
abstract class Talk {
  protected readonly screen: Screen;
  protected readonly client: Client;
  protected readonly contact: ContactInfo;
  protected readonly name: string;
  protected readonly lines: Interface;
  /** What was sent here, by id: the words it is told by, and what became of it. */
  protected readonly sent = new Map<string, { readonly words: string; state: MailState }>();
  /** Number of the newest mail that was shown. */
  #shown = 0;
  /** Is there a link? */
  protected isThere: boolean;
  code: number = EXIT.done;

  constructor(screen: Screen, client: Client, contact: ContactInfo, stage: Stage) {
    this.screen = screen;
    this.client = client;
    this.contact = contact;
    this.name = contactName(contact);
    this.isThere = contact.link === "up";
    const { input, output, isTerminal } = stage;
    const isTyped = isTerminal && !screen.json;
    this.lines = createInterface({
      input,
      ...(isTyped ? { output, terminal: true, historySize: 100 } : { terminal: false }),
    });
  }

  /** Before anything is taken in. */
  abstract begin(limit: number): Promise<void>;
  /** A line of the user. Everything it needs of the daemon is done when it resolves. */
  protected abstract take(line: string): Promise<void>;
  protected abstract showMail(mail: MessageInfo): void;
  protected abstract showState(id: string, state: MailState): void;
  protected abstract showProgress(progress: FileProgress): void;
  /** What went wrong with a line. */
  protected abstract complain(line: string): void;

  close(): void {
    this.lines.close();
  }

  /** Takes line after line until there are no more. A line that cannot be sent is told, and the next one tried. */
  async read(signal: AbortSignal): Promise<void> {
    const close = (): void => this.lines.close();
    signal.addEventListener("abort", close, { once: true });
    if (signal.aborted) close();
    for await (const line of this.lines) {
      try {
        await this.take(line);
      } catch (error) {
        this.code = EXIT.degraded;
        if (!(error instanceof RestanteError)) throw error;
        if (error.code === "no-daemon") throw new RestanteError("stopped", "the daemon stopped");
        this.complain(failureOf(error).line.replace(/^restante: /, ""));
      }
      if (signal.aborted) return;
    }
  }

  show({ type, data }: ServerEvent): void {
    if (type === "mail") {
      const mail = data as MessageInfo;
      if (mail.contact !== this.contact.id || mail.n <= this.#shown) return;
      this.#shown = mail.n;
      this.showMail(mail);
    } else if (type === "state") {
      const { id, state } = data as { id: string; state: MailState };
      const mine = this.sent.get(id);
      if (mine === undefined || mine.state === state) return;
      mine.state = state;
      this.showState(id, state);
    } else if (type === "link") {
      const { hashname, up } = data as { hashname: Hashname; up: boolean };
      if (this.contact.hashnames.includes(hashname)) this.isThere = up;
    } else if (type === "progress") {
      const progress = data as FileProgress;
      if (progress.contact === this.contact.id) this.showProgress(progress);
    }
  }

  protected async history(limit: number): Promise<readonly HistoryEntry[]> {
    if (limit === 0) return [];
    const path = `/v1/contacts/${this.contact.id}/history?limit=${limit}`;
    const { entries } = await this.client.call<HistoryPage>("GET", path);
    for (const { way, n } of entries) if (way === "in") this.#shown = Math.max(this.#shown, n);
    return entries;
  }

  protected async send(text: string): Promise<string> {
    const { id } = await this.client.call<SentInfo>("POST", "/v1/messages", { contact: this.contact.id, text });
    this.#remember(id, text);
    return id;
  }

  protected async sendFile(path: string): Promise<string> {
    const bytes = await sizeOfFile(path);
    const name = basename(path);
    const media = getMimeType(name) ?? "application/octet-stream";
    const query = new URLSearchParams({ contact: this.contact.id, name, media });
    const { id } = await this.client.upload<SentInfo>(`/v1/files?${query}`, createReadStream(path), bytes);
    this.#remember(id, name);
    return id;
  }

  #remember(id: string, words: string): void {
    this.sent.set(id, { words, state: "queued" });
    const [oldest] = this.sent.keys();
    if (this.sent.size > MAX_SENT && oldest !== undefined) this.sent.delete(oldest);
  }
}

/** Lines in, lines out. */
class Pipe extends Talk {
  async begin(): Promise<void> {}

  protected async take(line: string): Promise<void> {
    if (line === "") return;
    const id = await this.send(line);
    if (this.screen.json) this.#out({ type: "state", id, state: "queued" });
  }

  protected showMail(mail: MessageInfo): void {
    if (this.screen.json) this.#out({ type: "mail", ...mail });
    else for (const line of said(this.screen, time(mail.received), this.name, bodyOf(mail))) this.screen.out(line);
  }

  protected showState(id: string, state: MailState): void {
    if (this.screen.json) this.#out({ type: "state", id, state });
  }

  protected showProgress(): void {}

  protected complain(line: string): void {
    this.screen.say(`restante: ${line}`);
  }

  #out(data: object): void {
    this.screen.out(JSON.stringify(data));
  }
}

/** Somebody who types. The line that is being written stays at the foot; all else goes above it. */
class Terminal extends Talk {
  readonly #output: Writable;
  /** The newest file of the contact, for /save. */
  #file: { readonly n: number; readonly info: FileInfo } | undefined;

  constructor(screen: Screen, client: Client, contact: ContactInfo, stage: Stage) {
    super(screen, client, contact, stage);
    this.#output = stage.output;
    this.lines.setPrompt("> ");
    // At once, while it is the line above the cursor: what is typed ahead comes below it.
    this.lines.on("line", (line) => this.#eraseTyped(line));
    this.lines.on("SIGINT", () => {
      if (this.lines.line === "") return this.lines.close();
      this.lines.write(null, { ctrl: true, name: "e" });
      this.lines.write(null, { ctrl: true, name: "u" });
    });
  }

  async begin(limit: number): Promise<void> {
    for (const entry of await this.history(limit)) {
      const isOurs = entry.way === "out";
      this.#above(said(this.screen, time(entry.time), isOurs ? "you" : this.name, bodyOf(entry)));
      if (!isOurs && entry.file !== undefined) this.#file = { n: entry.n, info: entry.file };
    }
    const there = this.isThere ? "is there" : "is not there now: what you write is kept, and delivered later";
    this.#above([this.screen.paint("dim", `${this.name} ${there}. Ctrl-D ends, /help says what else.`)]);
  }

  protected async take(line: string): Promise<void> {
    const [, command, argument = ""] = /^\/(\w*)(?:\s+(.*))?$/s.exec(line.trimEnd()) ?? [];
    if (command !== undefined) await this.#obey(command, argument.trim());
    else if (line.trim() !== "") await this.#sendText(line.startsWith("//") ? line.slice(1) : line);
  }

  async #sendText(text: string): Promise<void> {
    await this.send(text);
    this.#above(said(this.screen, time(Date.now()), "you", printable(text)));
  }

  async #obey(command: string, argument: string): Promise<void> {
    switch (command) {
      case "quit":
        return this.lines.close();
      case "file": {
        if (argument === "") throw usage("which one? /file PATH sends a file");
        await this.sendFile(argument);
        return this.#above(
          said(this.screen, time(Date.now()), "you", `[file ${printable(basename(argument), { oneLine: true })}]`),
        );
      }
      case "save": {
        if (this.#file === undefined) throw new RestanteError("not-found", `no file of ${this.name} was shown here`);
        const { n, info } = this.#file;
        const saved = await saveFile(argument || ".", info, await this.client.download(`/v1/messages/${n}/file`));
        return this.#above([this.#dim(`saved as ${printable(saved, { oneLine: true })}`)]);
      }
      case "help":
        return this.#above(HELP.map((each) => this.#dim(each)));
      default:
        throw usage(`there is no /${command}; /help lists what there is, and // begins a text with /`);
    }
  }

  protected showMail(mail: MessageInfo): void {
    if (mail.file !== undefined) this.#file = { n: mail.n, info: mail.file };
    this.#above(
      said(
        this.screen,
        time(mail.received),
        this.name,
        `${bodyOf(mail)}${mail.file === undefined ? "" : " /save keeps it"}`,
      ),
    );
  }

  protected showState(id: string, state: MailState): void {
    if (state === "handed" && this.isThere) return; // the answer follows at once
    const words = this.sent.get(id)?.words ?? "";
    const quoted = clip(printable(words, { oneLine: true }), 30);
    this.#above([this.#dim(`  ${state}: ${quoted}`)]);
  }

  protected showProgress(progress: FileProgress): void {
    const { done, of, way, name } = progress;
    const ended = way === "in" ? endText(progress) : undefined;
    if (ended !== undefined) return this.#above([this.#dim(`  ${ended}`)]);
    // In quarters: a line for each step would push the conversation away.
    if (way === "out" || done === of || Math.floor((4 * done) / of) === Math.floor((4 * (done - 1)) / of)) return;
    const title = printable(name ?? "a file", { oneLine: true });
    this.#above([this.#dim(`  ${title} is coming: ${Math.floor((100 * done) / of)} %`)]);
  }

  protected complain(line: string): void {
    this.#above([this.screen.paint("yellow", line)]);
  }

  override close(): void {
    super.close();
    this.#output.write("\n");
  }

  #dim(text: string): string {
    return this.screen.paint("dim", text);
  }

  /** Lines above the one that is being written. */
  #above(lines: readonly string[]): void {
    const { rows } = this.lines.getCursorPos();
    if (rows > 0) moveCursor(this.#output, 0, -rows);
    cursorTo(this.#output, 0);
    clearScreenDown(this.#output);
    // As many empty rows as were taken: the line is drawn from there up.
    this.#output.write(`${lines.join("\n")}\n${"\n".repeat(rows)}`);
    this.lines.prompt(true);
  }

  /** What was typed stands above as what was said: the typed line goes. */
  #eraseTyped(line: string): void {
    const columns = Math.max(this.screen.columns, 1);
    moveCursor(this.#output, 0, -Math.floor((width(line) + PROMPT_COLUMNS) / columns) - 1);
    cursorTo(this.#output, 0);
    clearScreenDown(this.#output);
    this.lines.prompt();
  }
}

function bodyOf({ kind, text, file, why }: Pick<MessageInfo, "kind" | "text" | "file" | "why">): string {
  if (why !== undefined) return "[a mail that came damaged: ask for it again]";
  if (text !== undefined) return printable(text);
  if (file !== undefined) return `[file ${printable(file.name, { oneLine: true })}, ${size(file.size)}]`;
  return `[a mail of kind "${printable(kind, { oneLine: true })}", which this version cannot show]`;
}

const HELP = [
  "/file PATH  send a file",
  "/save [DIR]  save the newest file that came",
  "/quit  leave; Ctrl-D does the same",
  "//...  send a text that begins with /",
];
const PROMPT_COLUMNS = 2;
const MAX_SENT = 1000; // whose states are still told
