/**
 * Strangers: hellos of peers that are no contact's. Opening one costs two DHs, so they have a budget; what they say is kept,
 * little and bounded, until the user decides. Nothing here ever answers. protocol/mail.md §7, §12
 */
import {
  asJson,
  assert,
  Deadlines,
  equal,
  fromBase32,
  fromUtf8,
  type Machine,
  ofJson,
  type Save,
  type Time,
  toBase32,
} from "../bytes/index.ts";
import type { Crypto, Hashname, Identity, Keys } from "../crypto/index.ts";
import { messageKind, type Part, parseStaticPart } from "./inner.ts";
import { isSealedFor, type Opened, openFromStranger } from "./open.ts";
import type { Source } from "./received-contract.ts";

/** Somebody who wants to be a contact. */
export interface Request {
  /** Its id: the hashname of the sender. */
  readonly request: string;
  readonly hashname: Hashname;
  /** The key that proved the sender. */
  readonly keys: Keys;
  /** The sender's card, as it came. */
  readonly card: Uint8Array;
  /** When the first part came. */
  readonly at: Time;
  /** The texts among its mails. */
  readonly texts: readonly string[];
  /** The secret of the invite that was used. */
  readonly secret?: Uint8Array;
  /** Mail of its waits that is written as to somebody whom it knows: from before we were restored, or so it says. */
  readonly before?: true;
}

export type StrangersIn =
  | { type: "message"; source: Source; box: string; id: string; bytes: Uint8Array }
  /** The request is a contact's now, and its mails are taken over. */
  | { type: "over"; request: string }
  /** The box is a contact's now. */
  | { type: "known"; box: string }
  | { type: "ignore"; request: string }
  /** A new invite is out: whoever was ignored before may be meant by it. */
  | { type: "forgive" }
  | { type: "tick" };

export type StrangersOut =
  | Save
  /** With `keep`: not looked at, and to be shown again some day. */
  | { type: "done"; source: Source; keep?: true }
  /** A stranger is there, or now shows a secret: is it expected? */
  | { type: "introduce"; request: Request }
  /** The user has to decide. */
  | { type: "announce"; request: Request }
  /** Mail in this box was kept for the day when we know whose it is: it is to be fetched anew. */
  | { type: "again"; box: string };

export interface StrangersOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  /** Box id from a sender to us. */
  readonly boxOf: (sender: Hashname) => string;
  /** Whether an invite of ours with this secret waits for its guest. */
  readonly isInvite: (secret: Uint8Array) => boolean;
  /** Whether a box towards us is of somebody whom the user blocked. */
  readonly isBlocked: (box: string) => boolean;
  /** When our store was put back from a backup last. Default: never. */
  readonly restoredAt?: () => Time;
  /** Keys "mail/request/..." and "mail/ignored". */
  readonly saved: ReadonlyMap<string, Uint8Array>;
}

/** Opens, keeps and forgets what strangers send. */
export class Strangers implements Machine<StrangersIn, StrangersOut> {
  readonly #options: StrangersOptions;
  readonly #requests = new Map<string, Kept>();
  /** By box: whose requests were ignored, until when. */
  readonly #ignored: Map<string, Time>;
  /** Messages looked at lately, by box and id, until when: till then a copy costs no opening. "aside": it was no hello. */
  readonly #looked = new Map<string, { readonly until: Time; readonly aside: boolean }>();
  /** Boxes in which mail is kept, of senders whom we may have known before we were restored. */
  readonly #aside = new Set<string>();
  /** There were more of them: any box may have some. */
  #isCrowded = false;
  readonly #deadlines = new Deadlines<string>();
  #openings = OPENINGS;
  #refilledAt: Time = 0;
  #refused = 0;
  #out: StrangersOut[] = [];

  constructor(options: StrangersOptions) {
    this.#options = options;
    const ignored = options.saved.get(IGNORED_KEY);
    const record: IgnoredRecord = ignored === undefined ? { boxes: [] } : ofJson(ignored);
    this.#ignored = new Map(record.boxes);
    for (const [key, value] of options.saved) {
      if (!key.startsWith(REQUEST_PREFIX)) continue;
      const kept = keptOf(ofJson(value));
      this.#requests.set(kept.hashname, kept);
      this.#deadlines.set(kept.hashname, kept.at + REQUEST_MS);
    }
  }

  handle(input: StrangersIn, now: Time): StrangersOut[] {
    this.#take(input, now);
    const out = this.#out;
    this.#out = []; // what has left is not kept until the next turn
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  // --- questions ---

  requests(): Request[] {
    return [...this.#requests.values()].map((kept) => this.#requestOf(kept));
  }

  has(request: string): boolean {
    return this.#requests.has(request);
  }

  /** What a stranger sent so far. */
  partsOf(request: string): Part[] {
    return [...(this.#requests.get(request)?.inners ?? [])].flatMap((inner) => parseStaticPart(inner) ?? []);
  }

  /** How many there are whose mail waits until we know them, 256 at most: after a restore, and for a while. */
  get unknown(): number {
    return this.#aside.size;
  }

  /** Messages not opened, or opened and not kept: for the metrics. */
  get refused(): number {
    return this.#refused;
  }

  // --- inputs ---

  #take(input: StrangersIn, now: Time): void {
    switch (input.type) {
      case "message":
        this.#message(input, now);
        return;
      case "over":
        this.#forget(input.request);
        return;
      case "known":
        if (this.#aside.delete(input.box) || this.#isCrowded) this.#out.push({ type: "again", box: input.box });
        return;
      case "ignore":
        this.#ignore(input.request, now);
        return;
      case "forgive":
        if (this.#ignored.size === 0) return;
        this.#ignored.clear();
        this.#saveIgnored();
        return;
      case "tick":
        for (const key of this.#deadlines.due(now)) {
          const kept = this.#requests.get(key.slice(0, HASHNAME_LENGTH));
          if (kept === undefined) continue;
          if (key === kept.hashname) this.#forget(key);
          else this.#out.push({ type: "announce", request: this.#requestOf(kept) });
        }
        if (this.#isRestored(now)) return;
        this.#aside.clear();
        this.#isCrowded = false;
    }
  }

  #message({ source, box, id, bytes }: Extract<StrangersIn, { type: "message" }>, now: Time): void {
    // Before it costs an opening, and before anything is asked: what they send says nothing to anybody.
    if (this.#options.isBlocked(box)) {
      this.#out.push({ type: "done", source });
      return;
    }
    const look = `${box} ${id}`;
    const isIgnored = (this.#ignored.get(box) ?? 0) > now;
    const looked = this.#looked.get(look);
    if (isIgnored || (looked !== undefined && looked.until > now)) {
      const isKept = !isIgnored && looked?.aside === true && this.#isRestored(now);
      this.#out.push({ type: "done", source, ...(isKept && { keep: true }) });
      // It may have come while nobody was there to hear of it.
      const known = [...this.#requests.values()].find((kept) => this.#options.boxOf(kept.hashname) === box);
      if (known?.secret !== undefined) this.#out.push({ type: "introduce", request: this.#requestOf(known) });
      return;
    }
    // Not opened is not removed: it stays in its small pool and is shown again with the next link.
    if (!this.#mayOpen(now)) {
      this.#out.push({ type: "done", source, keep: true });
      return;
    }
    const { crypto, identity, boxOf } = this.#options;
    const opened = openFromStranger(crypto, identity, bytes, box, boxOf);
    // Not a hello, so it is written to somebody who knows the writer. We may have: only a hello tells by which key to verify it.
    const mayWait = source.type === "cache" && this.#isRestored(now);
    const aside = opened === undefined && mayWait && isSealedFor(crypto, identity, bytes);
    this.#look(look, { until: now + LOOKED_MS, aside });
    if (aside) {
      // Boxes are free to whoever holds an invite. So what is of more than are counted stays, too: nobody is pushed out by junk.
      if (this.#aside.size < ASIDE) this.#aside.add(box);
      else this.#isCrowded ||= !this.#aside.has(box);
      this.#deadlines.set("aside", (this.#options.restoredAt?.() ?? now) + RESTORED_MS);
      this.#out.push({ type: "done", source, keep: true });
      return;
    }
    if (opened === undefined || !this.#keep(opened, now)) this.#refused++;
    this.#out.push({ type: "done", source });
  }

  #look(look: string, as: { readonly until: Time; readonly aside: boolean }): void {
    this.#looked.delete(look);
    this.#looked.set(look, as);
    const [oldest] = this.#looked.keys();
    if (this.#looked.size > LOOKED_LIMIT && oldest !== undefined) this.#looked.delete(oldest);
  }

  /** Whether we may have lost contacts lately: by a backup from before they came. */
  #isRestored(now: Time): boolean {
    const { restoredAt } = this.#options;
    return restoredAt !== undefined && now < restoredAt() + RESTORED_MS;
  }

  #mayOpen(now: Time): boolean {
    // Who was restored has much to look at, of people who are strangers now.
    const most = this.#isRestored(now) ? OPENINGS_RESTORED : OPENINGS;
    const refill = ((now - this.#refilledAt) / 60_000) * most;
    this.#openings = Math.min(most, this.#openings + Math.max(0, refill));
    this.#refilledAt = now;
    if (this.#openings < 1) {
      this.#refused++;
      return false;
    }
    this.#openings--;
    return true;
  }

  /** Whether anything of it was kept. */
  #keep({ inner, sender }: Opened, now: Time): boolean {
    const part = messageKind(inner) === "mail" ? parseStaticPart(inner) : undefined;
    if (part?.hello === undefined || part.head.from !== sender.hashname) return false;
    if (part.head.to !== this.#options.identity.hashname || now > part.envelope.expires) return false;
    const { card, secret } = part.hello;
    const known = this.#requests.get(sender.hashname);
    if (known === undefined && !this.#makeRoom(secret)) return false;
    const kept = known ?? { ...sender, at: now, card, names: new Set<string>(), inners: [], texts: [] };
    const { epoch, seq, part: index } = part.head;
    const name = `${epoch}/${seq}/${index}`;
    const size = kept.inners.reduce((sum, each) => sum + each.length, 0);
    const isNew = !kept.names.has(name);
    // Another secret is another chance: the first may have been used up by somebody else.
    const showsSecret = secret !== undefined && !(kept.secret !== undefined && equal(kept.secret, secret));
    const fits = kept.inners.length < REQUEST_PARTS && size + inner.length <= REQUEST_BYTES;
    if (isNew && fits) {
      kept.names.add(name);
      kept.inners.push(inner.slice());
      if (part.envelope.kind === "text") kept.texts.push(fromUtf8(part.envelope.content) ?? "");
      kept.card = card.slice();
    }
    if (showsSecret) kept.secret = secret.slice();
    if (known !== undefined && !showsSecret && !(isNew && fits)) return false;
    this.#requests.set(kept.hashname, kept);
    this.#save(kept);
    if (known === undefined) this.#deadlines.set(kept.hashname, now + REQUEST_MS);
    if (known === undefined || showsSecret) this.#introduce(kept, known === undefined, now);
    return true;
  }

  #introduce(kept: Kept, isNew: boolean, now: Time): void {
    this.#out.push({ type: "introduce", request: this.#requestOf(kept) });
    if (!isNew) return;
    // Whoever shows a secret is most often expected; the user is asked only when the answer was no.
    if (kept.secret === undefined) this.#out.push({ type: "announce", request: this.#requestOf(kept) });
    else this.#deadlines.set(announceKey(kept), now + ANNOUNCE_MS);
  }

  /** When all places are taken, somebody with an invite takes the oldest place of one without. Any secret can be claimed. */
  #makeRoom(secret: Uint8Array | undefined): boolean {
    if (this.#requests.size < REQUESTS) return true;
    const { isInvite } = this.#options;
    const weakest = [...this.#requests.values()].find((kept) => kept.secret === undefined || !isInvite(kept.secret));
    if (secret === undefined || !isInvite(secret) || weakest === undefined) return false;
    this.#forget(weakest.hashname);
    return true;
  }

  #ignore(request: string, now: Time): void {
    const kept = this.#requests.get(request);
    if (kept === undefined) return;
    this.#forget(request);
    for (const [box, until] of this.#ignored) if (until <= now) this.#ignored.delete(box);
    const [oldest] = this.#ignored.keys();
    if (this.#ignored.size >= IGNORED_LIMIT && oldest !== undefined) this.#ignored.delete(oldest);
    const box = this.#options.boxOf(kept.hashname);
    this.#aside.delete(box);
    this.#ignored.set(box, now + IGNORED_MS);
    this.#saveIgnored();
  }

  #saveIgnored(): void {
    const record: IgnoredRecord = { boxes: [...this.#ignored] };
    this.#out.push({ type: "save", key: IGNORED_KEY, value: asJson(record) });
  }

  #forget(request: string): void {
    const kept = this.#requests.get(request);
    if (kept === undefined) return;
    this.#requests.delete(request);
    this.#deadlines.set(request, undefined);
    this.#deadlines.set(announceKey(kept), undefined);
    this.#out.push({ type: "save", key: REQUEST_PREFIX + request, value: undefined });
  }

  #requestOf({ hashname, keys, card, at, texts, secret }: Kept): Request {
    const before = this.#aside.size > 0 && this.#aside.has(this.#options.boxOf(hashname));
    const rest = { ...(secret && { secret }), ...(before && { before }) };
    return { request: hashname, hashname, keys, card, at, texts: [...texts], ...rest };
  }

  #save(kept: Kept): void {
    const { hashname, keys, at, card, secret, inners } = kept;
    const record: RequestRecord = {
      hashname,
      keys: [...keys].map(([csid, key]) => [csid, toBase32(key)]),
      at,
      card: toBase32(card),
      ...(secret && { secret: toBase32(secret) }),
      inners: inners.map(toBase32),
    };
    this.#out.push({ type: "save", key: REQUEST_PREFIX + hashname, value: asJson(record) });
  }
}

/** A request with all that is kept of it. */
interface Kept {
  readonly hashname: Hashname;
  readonly keys: Keys;
  readonly at: Time;
  card: Uint8Array;
  secret?: Uint8Array;
  /** Which parts are here: epoch/seq/part. */
  readonly names: Set<string>;
  readonly inners: Uint8Array[];
  readonly texts: string[];
}

interface RequestRecord {
  readonly hashname: Hashname;
  readonly keys: readonly (readonly [csid: number, key: string])[];
  readonly at: Time;
  readonly card: string;
  readonly secret?: string;
  readonly inners: readonly string[];
}

interface IgnoredRecord {
  readonly boxes: readonly (readonly [box: string, until: Time])[];
}

function keptOf(record: RequestRecord): Kept {
  const { hashname, at, secret } = record;
  const inners = record.inners.map(bytesOf);
  const parts = inners.flatMap((inner) => parseStaticPart(inner) ?? []);
  return {
    hashname,
    at,
    keys: new Map(record.keys.map(([csid, key]) => [csid, bytesOf(key)])),
    card: bytesOf(record.card),
    ...(secret !== undefined && { secret: bytesOf(secret) }),
    names: new Set(parts.map(({ head }) => `${head.epoch}/${head.seq}/${head.part}`)),
    inners,
    texts: parts.flatMap(({ envelope }) => (envelope.kind === "text" ? [fromUtf8(envelope.content) ?? ""] : [])),
  };
}

function announceKey({ hashname }: Kept): string {
  return `${hashname} announce`;
}

function bytesOf(text: string): Uint8Array {
  const bytes = fromBase32(text);
  assert(bytes !== undefined, "a record holds what was written");
  return bytes;
}

/** Where it is saved when our store was put back from a backup: `{at}`. */
export const RESTORED_KEY = "mail/restored";

const REQUEST_PREFIX = "mail/request/";
const IGNORED_KEY = "mail/ignored";
const HASHNAME_LENGTH = 52;
const OPENINGS = 20; // per minute
const OPENINGS_RESTORED = 600; // a second of arithmetic, at most
const RESTORED_MS = 30 * 86_400_000; // as long as a cache keeps anything
const ASIDE = 256; // boxes
const REQUESTS = 32;
const REQUEST_PARTS = 8;
const REQUEST_BYTES = 128 * 1024; // two of the largest messages, or 8 of 16 KiB
const REQUEST_MS = 30 * 86_400_000; // as long as a cache keeps anything
const IGNORED_LIMIT = 1024;
const IGNORED_MS = 30 * 86_400_000;
const LOOKED_LIMIT = 1024;
const LOOKED_MS = 6 * 3_600_000; // a sender without an acknowledgement offers the same bytes again, each day at last
const ANNOUNCE_MS = 1_000;
