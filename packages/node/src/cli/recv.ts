/** The command recv: mail that was not shown before, for people, for pipes and for a program of the user's. */
import { rm, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type FileProgress, type PeerEvent, RestanteError } from "restante";
import type { Client } from "../api/client.ts";
import type { MessageInfo, MessagePage, SeenInfo } from "../api/contract.ts";
import { EXIT, self, usage } from "./failure.ts";
import { type Hook, runHook } from "./hook.ts";
import { ProgressLine } from "./progress.ts";
import { saveFile } from "./saved-file.ts";
import { printable, type Screen, said, short, size, time } from "./screen.ts";

export interface RecvOptions {
  readonly follow?: boolean;
  readonly all?: boolean;
  /** Whose position in the mail it is. Default: recv. */
  readonly reader?: string;
  /** Where files go. */
  readonly out?: string;
  /** Gets each mail in place of the screen. */
  readonly hook?: Hook;
  /** How long to wait before a mail that the hook failed at is given to it again: these, then the last of them. */
  readonly retryMs?: readonly number[];
}

/**
 * Shows what this reader was not shown before, with `all` everything that is kept, and with `follow` what comes from then on until `stop`
 * aborts. Files go into `out`, or here; those of mail that was shown before only when `out` was said. What a hook has failed at
 * counts as not shown: with `follow` it gets it again, until it succeeds; else the command ends as degraded.
 */
export async function recv(screen: Screen, client: Client, options: RecvOptions, stop?: AbortSignal): Promise<number> {
  const { follow, all, reader: name } = options;
  await mustBeFolder(options.out ?? ".");
  const whose = name === undefined ? "" : `?reader=${encodeURIComponent(name)}`;
  const { n: before } = await client.call<SeenInfo>("GET", `/v1/seen${whose}`);
  const reader = new Reader(screen, client, options, before, stop);
  for (let page = PAGE; page === PAGE && !reader.isOver; ) {
    const path = `/v1/messages?after=${reader.seen}&limit=${PAGE}`;
    const { messages } = await client.call<MessagePage>("GET", path);
    page = messages.length;
    try {
      for (const mail of messages) if (!reader.isOver) await reader.take(mail);
    } finally {
      // Also when a full disk stops us: what was printed was printed.
      await reader.note();
    }
  }
  if (!follow || reader.isOver) {
    if (reader.shown === 0 && reader.code === EXIT.done && screen.isTerminal && !screen.json)
      screen.say(all ? "no mail yet" : "no new mail");
    return reader.code;
  }
  const line = new ProgressLine(screen);
  try {
    for await (const { type, data } of await client.events(reader.seen, stop)) {
      if (type === "progress") showProgress(screen, line, data as FileProgress);
      if (type === "no-room") {
        line.clear();
        screen.say(`restante: ${noRoom(data as NoRoomEvent)}`);
      }
      if (type !== "mail") continue;
      line.clear();
      await reader.take(data as MessageInfo);
      await reader.note();
      if (reader.isOver) break;
    }
  } catch (error) {
    if (!stop?.aborted) throw error;
  } finally {
    line.clear();
  }
  if (!stop?.aborted) throw new RestanteError("stopped", "the daemon stopped");
  return reader.code;
}

/** Goes through the inbox, one mail after the other, and remembers how far it is. */
class Reader {
  readonly #screen: Screen;
  readonly #client: Client;
  readonly #options: RecvOptions;
  /** What was shown before this command. */
  readonly #before: number;
  readonly #stop: AbortSignal | undefined;
  #noted: number;
  /** Number of the last mail that is dealt with. */
  seen: number;
  shown = 0;
  code: number = EXIT.done;
  /** Nothing more is taken: of what follows nothing may count as seen. */
  isOver = false;

  constructor(screen: Screen, client: Client, options: RecvOptions, before: number, stop: AbortSignal | undefined) {
    this.#screen = screen;
    this.#client = client;
    this.#options = options;
    this.#before = before;
    this.#stop = stop;
    this.#noted = before;
    this.seen = options.all ? 0 : before;
  }

  async take(mail: MessageInfo): Promise<void> {
    const { out, hook } = this.#options;
    const dir = mail.n > this.#before || out !== undefined ? (out ?? ".") : undefined;
    let { saved, problem, isPassing } = await this.#save(mail, dir);
    // Who gets mail once gets it whole.
    for (let attempt = 0; hook !== undefined && isPassing; attempt++) {
      if (!(await this.#again(mail, problem ?? "", attempt))) {
        this.isOver = true;
        return;
      }
      ({ saved, problem, isPassing } = await this.#save(mail, dir));
    }
    if (problem !== undefined) {
      this.code = EXIT.degraded;
      this.#screen.say(`restante: ${problem}`);
    }
    if (hook === undefined) this.#show(mail, saved);
    else if (!(await this.#run(hook, mail, saved))) {
      this.isOver = true;
      // It is saved when the mail is taken up again: once, not once for each time.
      if (saved !== undefined) await rm(saved, { force: true });
      return;
    }
    this.seen = mail.n;
    this.shown++;
    // After each mail: what a program has done is not to be done again.
    if (hook !== undefined) await this.note();
  }

  /** The daemon remembers it, for the next time. */
  async note(): Promise<void> {
    if (this.seen <= this.#noted) return;
    this.#noted = this.seen;
    const { reader } = this.#options;
    await this.#client.call<SeenInfo>("PUT", "/v1/seen", { n: this.seen, ...(reader !== undefined && { reader }) });
  }

  /** False: it failed, and is not to be tried again now. */
  async #run(hook: Hook, mail: MessageInfo, saved: string | undefined): Promise<boolean> {
    for (let attempt = 0; ; attempt++) {
      const problem = await runHook(hook, mail, saved);
      if (problem === undefined) return true;
      if (!(await this.#again(mail, `${printable(hook.program, { oneLine: true })} ${problem}`, attempt))) return false;
    }
  }

  /** Says what a mail failed at, and waits for its next attempt. False: there is none now. */
  async #again(mail: MessageInfo, problem: string, attempt: number): Promise<boolean> {
    const { follow, retryMs = RETRY_MS } = this.#options;
    const wait = retryMs[Math.min(attempt, retryMs.length - 1)] ?? 0;
    const next = follow ? `it gets it again in ${Math.ceil(wait / 1000)} s` : "it stays new";
    this.#screen.say(`restante: mail ${mail.n}: ${problem}; ${next}`);
    if (follow) await pause(wait, undefined, this.#stop && { signal: this.#stop }).catch(() => {});
    if (follow && !this.#stop?.aborted) return true;
    this.code = EXIT.degraded;
    return false;
  }

  /** Saves the file of a mail, if there is a folder for it. `problem`: what went wrong, in words; `isPassing`: for now. */
  async #save(mail: MessageInfo, dir: string | undefined): Promise<Saved> {
    if (mail.why !== undefined) return { problem: `mail ${mail.n} came damaged: ask for it again` };
    if (mail.file === undefined || dir === undefined) return {};
    const { contact, id, n, file } = mail;
    const line = new ProgressLine(this.#screen);
    try {
      const bytes = await this.#client.download(`/v1/messages/${n}/file`);
      const { name, size } = file;
      const saved = await saveFile(dir, file, line.counting(bytes, { way: "in", contact, id, name, size }));
      return { saved };
    } catch (error) {
      // What the disk refuses can be fetched again; a file that is not there, or is another, cannot.
      if (!(error instanceof RestanteError)) throw error;
      const problem = `"${printable(file.name, { oneLine: true })}" could not be saved: ${error.message}`;
      return { problem, isPassing: !FOR_GOOD.has(error.code) };
    } finally {
      line.clear();
    }
  }

  #show(mail: MessageInfo, saved: string | undefined): void {
    const screen = this.#screen;
    if (screen.json) {
      const file = mail.file && { ...mail.file, ...(saved === undefined ? {} : { saved: resolve(saved) }) };
      screen.out(JSON.stringify({ ...mail, ...(file === undefined ? {} : { file }) }));
      return;
    }
    for (const line of said(screen, time(mail.received), nameOf(mail), bodyOf(mail, saved))) screen.out(line);
  }
}

interface Saved {
  readonly saved?: string;
  readonly problem?: string;
  readonly isPassing?: boolean;
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

/** How far a file is that comes; or that it does not. */
function showProgress(screen: Screen, line: ProgressLine, progress: FileProgress): void {
  if (progress.way !== "in") return;
  const ended = endText(progress);
  if (ended === undefined) return line.show(progress);
  line.clear();
  if (!screen.json) screen.say(ended);
}

/** Of a file that will not be whole: why, in words. */
export function endText(progress: FileProgress): string | undefined {
  const { ended, name: title } = progress;
  if (ended === undefined) return undefined;
  const name = title === undefined ? "a file" : `"${printable(title, { oneLine: true })}"`;
  const why = ended === "cancelled" ? "its sender took it back" : "it did not come whole in its time";
  return `${name} does not come: ${why}`;
}

type NoRoomEvent = Extract<PeerEvent, { type: "no-room" }>;

/** Why a file of a contact waits. */
function noRoom({ contact, why }: NoRoomEvent): string {
  const reason = {
    share: "its files take all that one contact may",
    total: "the files of all contacts take all that they may",
    disk: "the disk is nearly full",
  }[why];
  return `a file of contact ${short(contact)} waits at its sender: ${reason}; \`${self()} keep\` erases old mail`;
}

/** Asked before any mail is: a folder that is not there yet is made when the first file comes. */
async function mustBeFolder(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === false) throw usage(`"${path}" is a file; --out takes a folder`);
}

/** What no other attempt makes good. */
const FOR_GOOD: ReadonlySet<string> = new Set(["not-found", "damaged", "store-damaged", "bad-file"]);
const PAGE = 100;
const RETRY_MS: readonly number[] = [1000, 2000, 5000, 10_000, 30_000, 60_000];
