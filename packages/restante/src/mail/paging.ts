/**
 * Paging: brings mail from the store into memory when its turn comes, when something is to be done about it, or when somebody
 * asks. In memory are few mails per peer, however many stand in line. docs/store.md §5
 *
 * A mail in memory is the truth. A page is used only for what is not there, and did not leave it since the page was asked for.
 */
import { ofJson, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import {
  blockEnd,
  blockOf,
  type Line,
  type LineKind,
  type Lines,
  lineAt,
  linePrefix,
  numberAt,
  type PlaceRecord,
  placeIn,
  placeKey,
  placeOf,
  queueKey,
} from "./lines.ts";
import { kindOfLine, type Posted, type PostedJson, postedOf } from "./posted.ts";
import { Reader, type ReaderJson } from "./reader.ts";

export type Page = readonly (readonly [key: string, value: Uint8Array])[];

export type PagingOut =
  /** Answered by `listed`. */
  | { type: "list"; req: number; prefix: string; after: string; limit: number }
  /** Answered by `read`. */
  | { type: "read"; req: number; key: string }
  /** It is the mail's turn to go to this peer. */
  | { type: "turn"; mail: Posted; peer: Hashname }
  /** A page came for the peer: there may be room for another. */
  | { type: "fed"; peer: Hashname }
  /** The mail that was looked for is in memory now; `undefined`: there is none. */
  | { type: "found"; req: number; mail: Posted | undefined };

/** What a mail's page is read for, and who keeps it. */
export interface PagingOptions {
  readonly lines: Lines;
  /** Numbers for reads, unique in the whole `Mail`, ascending. */
  readonly reads: () => number;
  /** For how many more mails to the peer there is room. */
  readonly room: (peer: Hashname, kind: LineKind) => number;
  /** Mails read at once. Whoever keeps them keeps the last so many, at least, until their turn is over. */
  readonly page: number;
  readonly get: (id: string) => Posted | undefined;
  /** Takes a mail into memory, and does what was left undone about it. */
  readonly load: (mail: Posted, now: Time) => void;
  /** Has the mail to go to this peer, and no parcel for it? */
  readonly isFor: (mail: Posted, peer: Hashname) => boolean;
  /** Has its time come? */
  readonly isOver: (expires: Time, now: Time) => boolean;
  /** The mail ends: its time is over, or its contact was forgotten. */
  readonly end: (mail: Posted, why: "expired" | "forgotten", now: Time) => void;
  /** Call `wake` with this key then. */
  readonly alarm: (key: string, at: Time | undefined) => void;
  /** All that was numbered for the peer is in memory. */
  readonly whole: (peer: Hashname, now: Time) => void;
  readonly put: (out: PagingOut) => void;
}

interface Readers extends Readonly<Record<LineKind, Reader>> {
  readonly contact: string;
}

type Asked =
  | {
      readonly type: "page";
      readonly peer: Hashname;
      readonly readers: Readers;
      readonly kind: LineKind;
      readonly limit: number;
    }
  | { readonly type: "walk" }
  | { readonly type: "place" | "mail"; readonly req: number; readonly mail: string; readonly place: number };

/** Mail that nothing in memory speaks of is looked at, one stretch of a line after the other. */
interface Walk {
  readonly first: number;
  readonly end: number;
  after: number;
  soonest: Time;
}

/** Reads pages for the peers, and for the time. */
export class Paging {
  readonly #options: PagingOptions;
  readonly #lines: Lines;
  readonly #readers = new Map<Hashname, Readers>();
  /** By the number of the read, the oldest first. */
  readonly #asked = new Map<number, Asked>();
  /** What left memory, and whether the store, too, since the read with that number: the oldest first. */
  readonly #left = new Map<string, { readonly req: number; readonly isGone: boolean }>();
  /** Ends of stretches to look at, by their beginning. */
  readonly #walks = new Map<number, number>();
  #walk: Walk | undefined;
  #last = 0;

  constructor(options: PagingOptions) {
    this.#options = options;
    this.#lines = options.lines;
    for (const [first, at] of this.#lines.looks()) options.alarm(String(first), at);
  }

  /** Goes on with what was stopped half-way. */
  start(): void {
    for (const line of this.#lines.doomed()) this.#planWalk(placeOf(line, 0), placeOf(line, line.doomed));
    this.#walkOn();
  }

  // --- peers ---

  /** The peer is one of the contact's. `saved`: where its readers were. */
  join(peer: Hashname, contact: string, saved: Partial<Record<LineKind, ReaderJson>>, now: Time): void {
    this.#readers.set(peer, { contact, text: new Reader(saved.text), file: new Reader(saved.file) });
    this.#check(peer, now);
    this.read(peer);
  }

  /** It is not any more. */
  leave(peer: Hashname): void {
    const readers = this.#readers.get(peer);
    if (readers === undefined) return;
    this.#readers.delete(peer);
    // What was numbered and is not read yet would be found by nobody.
    for (const kind of KINDS) {
      const line = this.#lines.get(readers.contact, kind);
      if (line === undefined || readers[kind].isWhole) continue;
      this.#stretch(placeOf(line, readers[kind].at), placeOf(line, readers[kind].json().from));
    }
    this.#walkOn();
  }

  has(peer: Hashname): boolean {
    return this.#readers.has(peer);
  }

  /** Of a peer, what is saved of its readers. */
  saved(peer: Hashname): Partial<Record<LineKind, ReaderJson>> {
    const readers = this.#readers.get(peer);
    return readers === undefined ? {} : { text: readers.text.json(), file: readers.file.json() };
  }

  /** Has the contact any peer? */
  hasReaders(contact: string): boolean {
    for (const readers of this.#readers.values()) if (readers.contact === contact) return true;
    return false;
  }

  /** Is everything that was numbered for the peer in memory? */
  isWhole(peer: Hashname): boolean {
    const readers = this.#readers.get(peer);
    return readers === undefined || KINDS.every((kind) => readers[kind].isWhole);
  }

  /** Is there mail whose turn may come when there is room? */
  isBehind(peer: Hashname): boolean {
    const readers = this.#readers.get(peer);
    return (
      readers !== undefined && KINDS.some((kind) => !readers[kind].isThrough(this.#lines.get(readers.contact, kind)))
    );
  }

  /** Would it be the turn of a mail that is sent now? */
  isTurn(peer: Hashname, kind: LineKind): boolean {
    const readers = this.#readers.get(peer);
    if (readers === undefined) return true;
    return readers[kind].isNumbered(this.#lines.get(readers.contact, kind)) && this.#options.room(peer, kind) > 0;
  }

  /** A mail with a parcel for the peer is in memory; `isGiven`: its number is one of those that are given to the peer now. */
  hold(peer: Hashname, { parts, place }: Pick<Posted, "parts" | "place">, isGiven: boolean): void {
    this.#readers.get(peer)?.[kindOfLine({ parts })].hold(numberAt(place), isGiven);
  }

  release(peer: Hashname, kind: LineKind, place: number): void {
    this.#readers.get(peer)?.[kind].release(numberAt(place));
  }

  /** The peer's turn for a mail that was sent just now. */
  pass(peer: Hashname, kind: LineKind, place: number): void {
    const reader = this.#readers.get(peer)?.[kind];
    // After a start those before it are still to be read.
    if (reader?.at === numberAt(place)) reader.pass(numberAt(place));
  }

  /** Something is other about a peer: what could not be sent to it may be now. */
  again(contact: string): void {
    for (const [peer, readers] of this.#readers) {
      if (readers.contact !== contact) continue;
      for (const kind of KINDS) readers[kind].again();
      this.read(peer);
    }
  }

  /** Reads on for the peer, as far as there is room. */
  read(peer: Hashname): void {
    const readers = this.#readers.get(peer);
    if (readers === undefined) return;
    for (const kind of KINDS) {
      const reader = readers[kind];
      const line = this.#lines.get(readers.contact, kind);
      const limit = line === undefined ? 0 : reader.wants(line, this.#options.room(peer, kind), this.#options.page);
      if (line === undefined || limit === 0) continue;
      reader.ask(line);
      const before = placeOf(line, reader.at - 1);
      this.#list({ type: "page", peer, readers, kind, limit }, before, limit);
    }
  }

  // --- answers ---

  /** The answer to a `list`. */
  listed(req: number, pairs: Page, now: Time): void {
    const asked = this.#asked.get(req);
    if (asked?.type === "page") this.#page(asked, req, pairs, now);
    else if (asked?.type === "walk") this.#walked(req, pairs, now);
  }

  /** The answer to a `read`, if it was one of ours. */
  answered(req: number, value: Uint8Array | undefined, now: Time): void {
    const asked = this.#asked.get(req);
    if (asked?.type !== "place" && asked?.type !== "mail") return;
    const known = this.#options.get(asked.mail);
    const left = this.#wasThere(asked.mail, req);
    this.#settle(req);
    if (known !== undefined || value === undefined || left?.isGone) this.#found(asked.req, known);
    else if (asked.type === "place") this.#seek(asked.req, asked.mail, ofJson<PlaceRecord>(value).place);
    else if (left !== undefined) this.#seek(asked.req, asked.mail, asked.place);
    else {
      const mail = postedOf(ofJson(value), asked.place);
      this.#options.load(mail, now);
      this.#found(asked.req, mail);
    }
  }

  /** Looks for a mail that is not in memory. Answered by `found`. */
  find(req: number, mail: string): void {
    this.#ask({ type: "place", req, mail, place: 0 }, (read) => ({ type: "read", req: read, key: placeKey(mail) }));
  }

  /** A mail left memory; `isGone`: the store, too. */
  left(id: string, isGone: boolean): void {
    if (this.#asked.size === 0) return;
    this.#left.delete(id);
    this.#left.set(id, { req: this.#last, isGone });
  }

  #seek(req: number, mail: string, place: number): void {
    this.#ask({ type: "mail", req, mail, place }, (read) => ({ type: "read", req: read, key: queueKey(place) }));
  }

  #found(req: number, mail: Posted | undefined): void {
    this.#options.put({ type: "found", req, mail });
  }

  #page({ peer, readers, kind, limit }: Extract<Asked, { type: "page" }>, req: number, pairs: Page, now: Time): void {
    const { get, load, isFor, put, room } = this.#options;
    const line = this.#lines.get(readers.contact, kind);
    const reader = readers[kind];
    let left = room(peer, kind);
    let isLast = pairs.length < limit;
    const isThere = this.#readers.get(peer) === readers && line !== undefined;
    for (const [key, value] of isThere ? pairs : []) {
      const place = placeIn(key);
      const n = numberAt(place);
      if (n < reader.at) continue;
      const json: PostedJson = ofJson(value);
      const known = get(json.id);
      const change = known === undefined ? this.#wasThere(json.id, req) : undefined;
      const mail = known ?? postedOf(json, place);
      const isDoomed = n < (line?.doomed ?? 0);
      // It is another by now; or there is no room for what has no number yet.
      const isTurn = change === undefined && !isDoomed && isFor(mail, peer);
      if (change?.isGone === false || (isTurn && left <= 0 && reader.isWhole)) {
        isLast = false;
        break;
      }
      reader.pass(n);
      if (change !== undefined || isDoomed) continue;
      if (isTurn) left--;
      const isOurs = (mail.leftover ?? 0) > 0 || mail.parcels.some((parcel) => parcel.peer === peer);
      if (known === undefined && (isOurs || isFor(mail, peer))) load(mail, now);
      if (get(mail.id) === mail && isFor(mail, peer)) put({ type: "turn", mail, peer });
    }
    this.#settle(req);
    reader.answered(isLast);
    if (!isThere) return;
    this.#check(peer, now);
    put({ type: "fed", peer });
  }

  #check(peer: Hashname, now: Time): void {
    if (this.isWhole(peer)) this.#options.whole(peer, now);
  }

  // --- time ---

  /** Something is to be done at this time, at the latest, about a mail that nothing in memory speaks of. */
  note(place: number, at: Time): void {
    const first = blockOf(place);
    const known = this.#lines.looks().get(first);
    if (known === undefined || at < known) this.#look(first, at);
  }

  /** The line is empty: nothing is to be looked at in it. */
  emptied(line: number): void {
    for (const first of this.#lines.looks().keys()) if (lineAt(first) === line) this.#look(first, undefined);
  }

  /** All that the contact has in line is to end: see `Line.doomed`. */
  doom(contact: string): void {
    for (const line of this.#lines.doom(contact)) this.#planWalk(placeOf(line, 0), placeOf(line, line.doomed));
    this.#walkOn();
  }

  /** An alarm that was set has come. */
  wake(key: string, now: Time): void {
    if (key === WALK_KEY) {
      if (this.#walk !== undefined) this.#walkPage(this.#walk);
      return;
    }
    const first = Number(key);
    if (!this.#lines.looks().has(first)) return;
    if (this.#walks.has(first)) this.#options.alarm(key, now + LOOK_AGAIN_MS);
    this.#planWalk(first, blockEnd(first));
    this.#walkOn();
  }

  #look(first: number, at: Time | undefined): void {
    this.#lines.look(first, at);
    this.#options.alarm(String(first), at);
  }

  #stretch(from: number, end: number): void {
    for (let first = blockOf(from); first < end; first = blockEnd(first)) this.#planWalk(first, blockEnd(first));
  }

  #planWalk(first: number, end: number): void {
    this.#walks.set(first, Math.max(end, this.#walks.get(first) ?? 0));
  }

  #walkOn(): void {
    const [next] = this.#walks;
    if (this.#walk !== undefined || next === undefined) return;
    const [first, end] = next;
    this.#walks.delete(first);
    this.#walk = { first, end, after: first - 1, soonest: Number.POSITIVE_INFINITY };
    this.#walkPage(this.#walk);
  }

  #walkPage({ after }: Walk): void {
    this.#list({ type: "walk" }, after, this.#options.page);
  }

  #walked(req: number, pairs: Page, now: Time): void {
    const walk = this.#walk;
    let isLast = pairs.length < this.#options.page;
    let loaded = 0;
    if (walk === undefined) return;
    for (const [key, value] of pairs) {
      const place = placeIn(key);
      if (place >= walk.end) {
        isLast = true;
        break;
      }
      walk.after = place;
      const json: PostedJson = ofJson(value);
      if (this.#visit(walk, json, place, { req, now })) loaded++;
    }
    this.#settle(req);
    if (isLast) this.#walkedAll(walk, now);
    // What ended stays for a while: not more than so many at once.
    else if (loaded > 0) this.#options.alarm(WALK_KEY, now + Math.ceil((loaded * ENDED_MS) / ENDED_AT_ONCE));
    else this.#walkPage(walk);
  }

  /** Whether the mail is in memory because of that. */
  #visit(walk: Walk, json: PostedJson, place: number, { req, now }: { req: number; now: Time }): boolean {
    const { get, load, end, isOver } = this.#options;
    const { id, contact, expires, leftover } = json;
    const known = get(id);
    const left = this.#wasThere(id, req);
    if (known === undefined && left?.isGone) return false;
    const isOpen = (known ?? json).leftover === undefined;
    if (known === undefined && left === undefined) {
      const mail = postedOf(json, place);
      const isDoomed = numberAt(place) < (this.#lineOf(contact, place)?.doomed ?? 0);
      if (isOpen && (isDoomed || isOver(expires, now))) {
        load(mail, now);
        end(mail, isDoomed ? "forgotten" : "expired", now);
        return get(id) !== undefined;
      }
      // Its own readers bring it, if there are any.
      const isLost = mail.parcels.some(({ peer, state }) => state === "open" && this.isWhole(peer));
      if (leftover !== undefined || isLost) {
        load(mail, now);
        return get(id) !== undefined;
      }
    }
    if (isOpen) walk.soonest = Math.min(walk.soonest, expires);
    return false;
  }

  #walkedAll({ first, end, soonest }: Walk, now: Time): void {
    this.#walk = undefined;
    const again = now + LOOK_AGAIN_MS;
    if (end === blockEnd(first)) {
      this.#look(first, soonest === Number.POSITIVE_INFINITY ? undefined : soonest);
      // What is saved is an expiry alone: `now` may be that of a clock that is ahead for a moment.
      if (soonest < again) this.#options.alarm(String(first), again);
    } else
      for (const [block, at] of this.#lines.looks())
        if (block >= first && block < end) this.#options.alarm(String(block), Math.max(at, again));
    this.#walkOn();
  }

  #lineOf(contact: string, place: number): Line | undefined {
    return KINDS.map((kind) => this.#lines.get(contact, kind)).find((each) => each?.line === lineAt(place));
  }

  // --- reads ---

  #list(asked: Asked, after: number, limit: number): void {
    const prefix = linePrefix(Math.max(after, 0) + 1);
    this.#ask(asked, (req) => ({ type: "list", req, prefix, after: queueKey(after), limit }));
  }

  #ask(asked: Asked, out: (req: number) => PagingOut): void {
    const req = this.#options.reads();
    this.#last = req;
    this.#asked.set(req, asked);
    this.#options.put(out(req));
  }

  /** Whether the mail left memory since that read was asked for, and how. */
  #wasThere(id: string, req: number): { readonly isGone: boolean } | undefined {
    const left = this.#left.get(id);
    return left !== undefined && left.req >= req ? left : undefined;
  }

  #settle(req: number): void {
    this.#asked.delete(req);
    const [oldest = Number.POSITIVE_INFINITY] = this.#asked.keys();
    for (const [id, left] of this.#left) {
      if (left.req >= oldest) break;
      this.#left.delete(id);
    }
  }
}

const KINDS: readonly LineKind[] = ["text", "file"];
const WALK_KEY = "walk";
const LOOK_AGAIN_MS = 600_000; // what ends behind those whose turn it is is told that much later, at most
const ENDED_MS = 60_000;
const ENDED_AT_ONCE = 1024;
