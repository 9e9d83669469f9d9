/**
 * What the page knows: the daemon's answers, kept fresh by its events. When the daemon goes away, what was known stays and is
 * shown as such; so is the last state that this browser kept, when the page is opened without the daemon.
 */
import type {
  ContactList,
  HistoryPage,
  MessageInfo,
  MessagePage,
  OutboxList,
  PeerList,
  RequestList,
  RetentionList,
  SeenInfo,
  SentInfo,
  StatusInfo,
} from "@restante/node/contract";
import type { ContactInfo, HistoryEntry, RequestInfo } from "restante";
import { tick } from "svelte";
import { call, enter, heardAt, type LiveEvent, leave, onLogin, Refusal, SEEN, upload } from "./api.ts";
import { admit, erase, type Kept, keep, kept, wish } from "./kept.ts";
import { Live } from "./live.ts";
import { nameOf, oneLine } from "./words.ts";

interface Thread {
  readonly entries: readonly HistoryEntry[];
  /** Where the page before begins, if there is one. */
  readonly before?: string | undefined;
  /** As it was kept: whole pages take its place. */
  readonly isKept?: true;
}

interface FileMove {
  readonly id: string;
  readonly way: "in" | "out";
  readonly contact: string;
  readonly done: number;
  readonly of: number;
  readonly name?: string;
  readonly size?: number;
  /** It will not be whole: who sent it took it back, or it got lost. */
  readonly ended?: "cancelled" | "lost";
}

/** A file that the daemon does not have yet. */
interface Upload {
  readonly contact: string;
  readonly name: string;
  readonly size: number;
  readonly share: number;
  /** Take it back, as long as it is not whole. */
  stop(): void;
}

class Mailbox {
  phase: "starting" | "open" | "closed" = $state("starting");
  /** The daemon does not answer: what is shown is what was. */
  isAway = $state(false);
  /** When the daemon was heard last, if it is away. */
  asOf = $state(0);
  status: StatusInfo | undefined = $state.raw();
  contacts: readonly ContactInfo[] = $state.raw([]);
  requests: readonly RequestInfo[] = $state.raw([]);
  outbox: OutboxList["outbox"] = $state.raw([]);
  behind = $state(0);
  caches: PeerList["caches"] = $state.raw([]);
  retentions: RetentionList["retentions"] = $state.raw([]);
  threads: Readonly<Record<string, Thread>> = $state.raw({});
  /** Numbers of mail that the user has not seen, by contact. */
  unread: Readonly<Record<string, readonly number[]>> = $state.raw({});
  moves: Readonly<Record<string, FileMove>> = $state.raw({});
  uploads: Readonly<Record<string, Upload>> = $state.raw({});
  /** Devices that answered since somebody was asked last, and in how many milliseconds. */
  pongs: Readonly<Record<string, number>> = $state.raw({});
  /** Said to who cannot see what changed. */
  spoken = $state("");
  now = $state(Date.now());
  /** Grows with whatever happens at the daemon: for what is asked for by one page only. */
  revision = $state(0);
  #shown: string | undefined;
  /** Up to which number all mail was on the screen of some browser, as the daemon keeps it. */
  #position = 0;
  /** The highest number that was looked at here. */
  #counted = 0;
  /** Whether all up to that number was. */
  #isCounted = false;
  #uploads = 0;
  #isFollowing = false;
  /** The user logs out: nothing that is still under way is shown. */
  #isOut = false;
  /** What was kept when the page was opened. */
  #last: Promise<Kept | undefined> = Promise.resolve(undefined);
  readonly #live = new Live();
  readonly #soon = new Map<string, ReturnType<typeof setTimeout>>();

  /** Log in if the address brings a token, and follow the daemon from then on. */
  async start(): Promise<void> {
    setInterval(() => {
      this.now = Date.now();
    }, 30_000);
    window.addEventListener("hashchange", () => void this.#enter());
    document.addEventListener("visibilitychange", () => document.hidden && this.#keep());
    onLogin(() => {
      if (!this.#isFollowing) void this.#follow();
    });
    this.#last = kept().catch(() => undefined);
    // Who is far from the daemon's network gets no answer at all, for minutes.
    setTimeout(() => this.#recall(), PATIENCE_MS);
    if (!(await this.#enter())) await this.#follow();
  }

  /** Whose conversation is on the screen. */
  async show(contact: string | undefined): Promise<void> {
    this.#shown = contact;
    if (contact !== undefined) await this.loadThread(contact);
  }

  /** These of a contact's mails were on the screen. */
  sees(contact: string, seen: readonly number[]): void {
    const unread = this.unread[contact] ?? [];
    // What is among what is shown and is not shown itself, as erased mail is not, nobody will see.
    const shown = this.threads[contact]?.entries.flatMap(({ way, n }) => (way === "in" ? [n] : [])) ?? [];
    const isGone = (n: number) => n > Math.min(...shown) && n < Math.max(...shown) && !shown.includes(n);
    const left = unread.filter((n) => !seen.includes(n) && !isGone(n));
    if (left.length === unread.length) return;
    const upTo = left.length > 0 ? Math.min(...left) - 1 : Math.max(...unread);
    if (upTo > readUpTo(contact)) localStorage.setItem(`${SEEN}${contact}`, String(upTo));
    this.#isNew(contact, left);
    this.#see();
  }

  contact(id: string | undefined): ContactInfo | undefined {
    return this.contacts.find((contact) => contact.id === id);
  }

  /** Conversations, the latest first. */
  get conversations(): { contact: ContactInfo; last: HistoryEntry | undefined; unread: number }[] {
    return this.contacts
      .map((contact) => ({
        contact,
        last: this.threads[contact.id]?.entries.at(-1),
        unread: this.unread[contact.id]?.length ?? 0,
      }))
      .sort((a, b) => timeOf(b.last) - timeOf(a.last));
  }

  get waiting(): number {
    return this.outbox.filter((mail) => isForPeople(mail.kind) && (mail.state === "queued" || mail.state === "handed"))
      .length;
  }

  /** Which part of a mail of ours its contact has; `undefined`: it is in one piece, or has arrived. */
  shareOf(id: string): number | undefined {
    const move = this.moves[id];
    if (move) return move.done / move.of;
    const sent = this.outbox.find((mail) => mail.id === id);
    return sent && sent.parts > 1 && sent.acked < sent.parts ? sent.acked / sent.parts : undefined;
  }

  /** What to call the contact by whose kindness a cache is ours; `undefined`: we do not know whose it is. */
  ownerOf(cache: string): string | undefined {
    const owner = this.contacts.find(({ hashnames }) => hashnames.some((hashname) => hashname === cache));
    return owner && nameOf(owner);
  }

  /** Mail that another program of ours sends to somebody who is away is no event: ask what the last one is. */
  async lookUp(contact: string): Promise<void> {
    const { entries } = await call<HistoryPage>("GET", `/v1/contacts/${contact}/history?limit=1`);
    const [last, known] = [entries.at(-1), this.threads[contact]?.entries.at(-1)];
    if (last === undefined || (known && isSame(last, known) && last.state === known.state)) return;
    await Promise.all([this.loadThread(contact), this.loadOutbox()]);
  }

  async sendText(contact: string, text: string): Promise<void> {
    await call<SentInfo>("POST", "/v1/messages", { contact, text });
    await Promise.all([this.loadThread(contact), this.loadOutbox()]);
  }

  async sendFile(contact: string, file: File): Promise<void> {
    const number = ++this.#uploads;
    const over = new AbortController();
    const tell = (share: number): void => {
      const stop = (): void => over.abort();
      this.uploads = { ...this.uploads, [number]: { contact, name: file.name, size: file.size, share, stop } };
    };
    tell(0);
    try {
      const isSent = await upload(contact, file, tell, over.signal);
      if (!isSent) return;
      await Promise.all([this.loadThread(contact), this.loadOutbox()]);
    } finally {
      this.uploads = without(this.uploads, `${number}`);
    }
  }

  /** A file that came, or does not, is shown as such no more. */
  endMove(id: string): void {
    this.moves = without(this.moves, id);
  }

  /** The end of a conversation anew; what was read before that stays. */
  async loadThread(contact: string, limit = 50): Promise<void> {
    const page = await call<HistoryPage>("GET", `/v1/contacts/${contact}/history?limit=${limit}`);
    const known = this.threads[contact];
    const first = page.entries[0];
    const at = known && first ? known.entries.findIndex((entry) => isSame(entry, first)) : -1;
    // Where nothing is before the page, what was there is erased.
    const isLonger = known !== undefined && !known.isKept && at > 0 && page.before !== undefined;
    const thread = isLonger
      ? { entries: [...known.entries.slice(0, at), ...page.entries], before: known.before }
      : page;
    this.threads = { ...this.threads, [contact]: thread };
    this.#changed();
  }

  /** A page before what is there. */
  async loadEarlier(contact: string): Promise<void> {
    const known = this.threads[contact];
    if (known?.before === undefined) return;
    const query = new URLSearchParams({ before: known.before, limit: "50" });
    const page = await call<HistoryPage>("GET", `/v1/contacts/${contact}/history?${query}`);
    const entries = [...page.entries, ...known.entries];
    this.threads = { ...this.threads, [contact]: { entries, before: page.before } };
  }

  async loadContacts(): Promise<void> {
    const asked = [call<ContactList>("GET", "/v1/contacts"), call<RetentionList>("GET", "/v1/retentions")] as const;
    const [{ contacts }, { retentions }] = await Promise.all(asked);
    [this.contacts, this.retentions] = [contacts, retentions];
    this.#changed();
  }
  async loadRequests(): Promise<void> {
    this.requests = (await call<RequestList>("GET", "/v1/requests")).requests;
  }
  async loadOutbox(): Promise<void> {
    const { outbox, behind } = await call<OutboxList>("GET", "/v1/outbox");
    [this.outbox, this.behind] = [outbox, behind];
    this.#changed();
  }
  async loadStatus(): Promise<void> {
    const status = await call<StatusInfo>("GET", "/v1/status");
    if (this.status && this.status.hashname !== status.hashname) await this.#forget();
    this.status = status;
    this.caches = (await call<PeerList>("GET", "/v1/peers")).caches;
    this.#position = (await call<SeenInfo>("GET", "/v1/seen?reader=page")).n;
    // What was seen in another browser is new here no more.
    for (const [contact, all] of Object.entries(this.unread)) {
      const left = all.filter((n) => n > this.#position);
      if (left.length < all.length) this.#isNew(contact, left);
    }
    this.revision++;
    this.#changed();
  }

  async logIn(password: string): Promise<void> {
    await enter({ password });
    if (!this.#isFollowing) void this.#follow();
  }

  /** Whether this browser keeps the last state. */
  async keepHere(isKept: boolean): Promise<void> {
    await wish(isKept);
    if (!this.isAway && this.phase === "open") this.#admit();
  }

  /** Also while the daemon is away: what this browser has is gone then. */
  async logOut(): Promise<void> {
    [this.phase, this.#isOut] = ["closed", true];
    await Promise.all([leave(), this.#forget()]);
    location.reload(); // nothing of what was shown stays in memory
  }

  /** Use the token in the address, if there is one, and take it out of there. Did it open the page? */
  async #enter(): Promise<boolean> {
    const [, token] = /^#([\w-]{43})$/.exec(location.hash) ?? [];
    if (token === undefined) return false;
    history.replaceState(null, "", "#/");
    window.dispatchEvent(new Event("hashchange"));
    try {
      await enter({ token });
    } catch {
      // Used already: then an earlier login of this browser may still be good.
      return false;
    }
    if (!this.#isFollowing) await this.#follow();
    return true;
  }

  async #follow(): Promise<void> {
    this.#isFollowing = true;
    this.phase = this.status ? "open" : "starting";
    for (let tries = 0; ; ) {
      const stop = new AbortController();
      const began = Date.now();
      try {
        // Listening first: what happens while we ask comes as an event.
        const live = await this.#live.listen(stop.signal, (event) => this.#heard(event));
        await this.#load();
        if (this.#isOut) return;
        [this.phase, this.isAway] = ["open", false];
        this.#admit();
        await live.ended;
        // The tab that listened for all is closed, or the daemon went away: the next attempt tells which.
        tries = 0;
        if (Date.now() - began > PAUSES_MS[0]) continue;
      } catch (error) {
        if (error instanceof Refusal && error.status === 401) {
          [this.phase, this.isAway, this.#isFollowing] = ["closed", false, false];
          await this.#forget();
          return;
        }
        if (!this.isAway) this.#keep();
        this.isAway = true;
        await this.#recall();
      } finally {
        stop.abort();
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(tries++, PAUSES_MS.length - 1)]));
    }
  }

  async #load(): Promise<void> {
    this.#isCounted = false;
    await this.loadStatus(); // forgets all when it is another one's
    await Promise.all([this.loadContacts(), this.loadRequests(), this.loadOutbox()]);
    this.unread = {};
    this.#counted = this.#position;
    for (let [after, isMore] = [this.#position, true]; isMore; ) {
      const { messages } = await call<MessagePage>("GET", `/v1/messages?after=${after}&limit=${PAGE}`);
      for (const mail of messages) this.#count(mail);
      [after, isMore] = [messages.at(-1)?.n ?? after, messages.length === PAGE];
    }
    this.#isCounted = true;
    // The last word of each conversation; whole pages when one is opened.
    const ids = this.contacts.map(({ id }) => id).slice(0, MAX_PREVIEWS);
    const before = new Map((await this.#last)?.threads);
    this.#last = Promise.resolve(undefined);
    await Promise.all(ids.map((id) => this.#loadEnd(id, before.get(id)).catch(quiet)));
    this.#see();
  }

  /** A page of a conversation that is shown, or was here; of others the last mail. */
  #loadEnd(contact: string, before?: readonly HistoryEntry[]): Promise<void> {
    const known = this.threads[contact]?.entries ?? before ?? [];
    return this.loadThread(contact, contact === this.#shown || known.length > 1 ? 50 : 1);
  }

  #admit(): void {
    admit().then(() => this.#keep(), quiet);
  }

  #changed(): void {
    this.#later("keep", async () => this.#keep(), KEEP_MS);
  }

  /** The browser keeps what is known, if it may. */
  #keep(): void {
    const { status, contacts, requests, outbox, behind, caches, retentions, unread } = this;
    // What is not whole yet would take the place of what is.
    if (status === undefined || this.isAway || this.phase !== "open") return;
    this.asOf = heardAt();
    const threads = this.conversations.map(({ contact: { id } }) => [id, this.threads[id]?.entries ?? []] as const);
    const lists = { contacts, requests, outbox, behind, caches, retentions, unread, threads };
    keep({ at: this.asOf, status, ...lists }).catch(quiet);
  }

  /** Show what was kept, as long as the daemon says nothing. */
  async #recall(): Promise<void> {
    const last = await this.#last;
    if (last === undefined || this.status !== undefined || this.phase !== "starting") return;
    const { at, ...known } = last;
    const threads = known.threads.map(([contact, entries]) => [contact, { entries, isKept: true }]);
    Object.assign(this, known, { threads: Object.fromEntries(threads) });
    [this.asOf, this.isAway, this.phase] = [at, true, "open"];
  }

  /** Nothing is known any more, nor kept. */
  async #forget(): Promise<void> {
    if (this.phase === "open") this.phase = "starting";
    await tick(); // what shows it goes first
    Object.assign(this, { status: undefined, contacts: [], requests: [], outbox: [], unread: {}, threads: {} });
    this.#last = Promise.resolve(undefined);
    for (const name of Object.keys(localStorage)) if (name.startsWith(SEEN)) localStorage.removeItem(name);
    await erase().catch(quiet);
  }

  #heard({ type, data }: LiveEvent): void {
    const { contact } = data as { contact?: string };
    if (type === "mail") {
      const mail = data as MessageInfo;
      this.#count(mail);
      this.#say(this.#shown === mail.contact ? `${nameIn(mail)}: ${wordsIn(mail)}` : `New from ${nameIn(mail)}`);
      this.endMove(mail.id);
      this.#later(`thread ${mail.contact}`, () => this.#loadEnd(mail.contact));
      this.#see();
    } else if (type === "progress") {
      const move = data as FileMove;
      const before = move.ended === undefined ? undefined : this.moves[move.id];
      if (move.ended === undefined ? move.done < move.of : move.way === "in")
        this.moves = { ...this.moves, [move.id]: { ...before, ...move } };
      else this.endMove(move.id);
      // Sent by another program of ours: it is there before its state changes.
      if (move.way === "out" && this.#shown === move.contact && !this.#isThere(move)) {
        this.#later(`thread ${move.contact}`, () => this.loadThread(move.contact));
        this.#later("outbox", () => this.loadOutbox());
      }
    } else if (type === "state" && contact !== undefined) {
      this.#later("outbox", () => this.loadOutbox());
      // What devices of ours are told has no conversation.
      if (this.contact(contact)) this.#later(`thread ${contact}`, () => this.#loadEnd(contact));
    } else if (type === "pong") {
      const { hashname, ms } = data as { hashname: string; ms: number };
      this.pongs = { ...this.pongs, [hashname]: ms };
    } else if (type === "request") {
      this.#say("Somebody new wrote to you");
      this.#later("requests", () => this.loadRequests());
    } else {
      this.#later("contacts", () => this.loadContacts());
      this.#later("requests", () => this.loadRequests());
    }
    this.#later("status", async () => {
      await this.loadStatus();
      this.#see();
    });
  }

  /** To who does not see it. The same once more is read out once more, since it is not the same text. */
  #say(words: string): void {
    this.spoken = this.spoken === words ? `${words}\u00a0` : words;
  }

  #isThere({ contact, id }: FileMove): boolean {
    return this.threads[contact]?.entries.some((entry) => entry.id === id) === true;
  }

  /** Several events in a moment are one question. */
  #later(what: string, act: () => Promise<void>, ms = 60): void {
    if (this.#soon.has(what)) return;
    const run = (): void => {
      this.#soon.delete(what);
      act().catch(quiet);
    };
    this.#soon.set(what, setTimeout(run, ms));
  }

  #count({ contact, n, kind }: MessageInfo): void {
    this.#counted = Math.max(this.#counted, n);
    const known = this.unread[contact] ?? [];
    if (isForPeople(kind) && !known.includes(n) && n > readUpTo(contact)) this.#isNew(contact, [...known, n]);
  }

  /** Of this contact's mail the user has not seen these numbers. */
  #isNew(contact: string, all: readonly number[]): void {
    this.unread = all.length > 0 ? { ...this.unread, [contact]: all } : without(this.unread, contact);
  }

  /** The position moves to where nothing unseen is before it. */
  #see(): void {
    const n = Math.min(this.#counted, ...Object.values(this.unread).flatMap((all) => all.map((each) => each - 1)));
    if (!this.#isCounted || n <= this.#position) return;
    this.#position = n;
    call("PUT", "/v1/seen", { n, reader: "page" }).catch(quiet); // once more after the next mail
  }
}

/** Whether one of our caches lost or changed its last test mail, or is none any more. */
export function isFailing({ contact, test }: PeerList["caches"][number]): boolean {
  return contact === undefined && ["lost", "changed", "none"].includes(test?.outcome ?? "");
}

/** Texts and files, not what devices tell each other. */
export function isForPeople(kind: string): boolean {
  return kind === "text" || kind === "file";
}

function without<T>(all: Readonly<Record<string, T>>, key: string): Readonly<Record<string, T>> {
  const { [key]: _, ...rest } = all;
  return rest;
}

function isSame(a: HistoryEntry, b: HistoryEntry): boolean {
  return a.way === b.way && a.n === b.n;
}

function timeOf(entry: HistoryEntry | undefined): number {
  return entry === undefined ? 0 : (entry.received ?? entry.time);
}

function nameIn({ name }: MessageInfo): string {
  return oneLine(name ?? "") || "somebody";
}

function wordsIn({ text, file, kind }: MessageInfo): string {
  return oneLine((file?.name ?? text ?? kind).slice(0, SPOKEN_LENGTH));
}

function readUpTo(contact: string): number {
  return Number(localStorage.getItem(`${SEEN}${contact}`)) || 0;
}

function quiet(): void {}

export const mailbox: Mailbox = new Mailbox();

const PAUSES_MS = [500, 1000, 2000, 5000, 10_000] as const;
const PATIENCE_MS = 4000;
const KEEP_MS = 2000;
const MAX_PREVIEWS = 100;
const SPOKEN_LENGTH = 500;
const PAGE = 1000;
