/**
 * The spool: our own mail until it is acknowledged or expired, with a ledger each, and the numbers it has towards each
 * peer. A light index: content lies in the store and is read when its turn comes. protocol/mail.md §8, §10, §11
 */
import { Deadlines, fromBase32, type Machine, type Time, toBase32 } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { type Acknowledgement, type AckReport, AckView } from "./acknowledgement.ts";
import { Announced, type AnnouncedJson } from "./announced.ts";
import type { FileHead } from "./envelope.ts";
import { type Forwarding, forwardId } from "./forward.ts";
import type { Suite } from "./inner.ts";
import {
  append,
  handedBy,
  handedCount,
  isFinal,
  type LedgerEntry,
  type MailState,
  openLedger,
  stateOf,
} from "./ledger.ts";
import { type Parcel, type ParcelJson, parcelJson, parcelOf, takeBack, type Withdrawal } from "./parcel.ts";
import type { Range } from "./ranges.ts";
import { asJson, ofJson, type Save } from "./record.ts";
import type { Route } from "./route.ts";

/** A mail in the spool. */
export interface Posted {
  /** 32 hex. */
  readonly id: string;
  readonly contact: string;
  readonly kind: string;
  readonly created: Time;
  readonly expires: Time;
  /** Bytes of content. */
  readonly size: number;
  readonly parts: number;
  /** Of kind "file": what part 0 says, and the blob that holds the content, one record per part. */
  readonly file?: FileHead & { readonly blob: string };
  readonly ledger: LedgerEntry[];
  /** One per peer of the contact. */
  readonly parcels: Parcel[];
  /** Set when content and copies were given up: until this time a crash means to do it again. 0: that time is over. */
  leftover?: Time;
}

/** A peer that a mail goes to. */
export interface Addressee {
  readonly peer: Hashname;
  readonly hello: boolean;
  readonly partBytes: number;
}

export type SpoolIn =
  /** Once, before all else: carries out what was stopped half-way. */
  | { type: "start" }
  | { type: "post"; mail: Omit<Posted, "ledger" | "parcels" | "leftover">; to: readonly Addressee[] }
  /** One more peer for a mail that nobody has yet. */
  | { type: "address"; mail: string; to: Addressee }
  | { type: "changed"; mail: string }
  | { type: "handed"; mail: string; route: Route }
  | { type: "acknowledged"; peer: Hashname; acknowledgement: Acknowledgement }
  | { type: "cancel"; mail: string; why?: string }
  /** The peer is no longer one of ours: its numbers are over. */
  | { type: "leave"; peer: Hashname }
  | { type: "tick" };

export type SpoolOut =
  | Save
  | Withdrawal
  | { type: "blob-remove"; blob: string }
  | { type: "state"; mail: Posted; entry: LedgerEntry }
  | { type: "offer"; parcel: Parcel }
  | { type: "stop"; parcel: Parcel }
  | { type: "floor"; peer: Hashname }
  | { type: "progress"; peer: Hashname }
  | { type: "restored"; peer: Hashname };

/** What the application sees of a mail in the spool. */
export interface OutboxEntry {
  readonly id: string;
  readonly contact: string;
  readonly kind: string;
  readonly state: MailState;
  /**
   * Its security label. "static": whoever steals the recipient's key opens a recording of it, at least on the way to one of
   * its peers. "forward": on no way, once the keys it was sealed to are deleted.
   */
  readonly suite: string;
  /** Ways that took it: caches, the link. */
  readonly handed: number;
  readonly created: Time;
  readonly expires: Time;
  readonly size: number;
  readonly parts: number;
  /** Parts acknowledged, by the peer that has most of them. */
  readonly acked: number;
}

/** Our numbers towards one peer. */
interface Pair {
  readonly epoch: string;
  next: number;
  readonly view: AckView;
  /** The peer's forward keys for us. */
  readonly announced: Announced;
  /** Numbers that the floor may not pass yet, ascending. */
  readonly unpassed: Set<number>;
  readonly parcels: Map<string, Parcel>;
}

/** Keeps, numbers, times and ends our own mail. */
export class Spool implements Machine<SpoolIn, SpoolOut> {
  /** Random per store creation and restore, 16 hex. */
  readonly epoch: string;
  readonly #mails = new Map<string, Posted>();
  readonly #byContact = new Map<string, Set<Posted>>();
  readonly #pairs = new Map<Hashname, Pair>();
  readonly #deadlines = new Deadlines<string>();
  /** First number for a new pair: above all numbers of pairs that ended, so that none is ever used twice. */
  #first: number;
  readonly #isFresh: boolean;
  readonly #isKey: (key: string) => boolean;
  #out: SpoolOut[] = [];

  /**
   * `saved`: keys "mail/epoch", "mail/out/..." and "mail/queue/...". `fresh` is the epoch when none is saved, 16 hex.
   * `isKey`: whether something can be sealed to this forward key.
   */
  constructor(options: {
    saved: ReadonlyMap<string, Uint8Array>;
    fresh: string;
    isKey: (key: string) => boolean;
  }) {
    const { saved, fresh, isKey } = options;
    this.#isKey = isKey;
    const own = saved.get(EPOCH_KEY);
    const { epoch, first }: EpochRecord = own === undefined ? { epoch: fresh, first: 1 } : ofJson(own);
    this.epoch = epoch;
    this.#first = first;
    this.#isFresh = own === undefined;
    for (const [key, value] of saved)
      if (key.startsWith(OUT_PREFIX))
        this.#pairs.set(key.slice(OUT_PREFIX.length) as Hashname, this.#pairOf(ofJson(value)));
    const mails = [...saved]
      .filter(([key]) => key.startsWith(QUEUE_PREFIX))
      .map(([, value]) => postedOf(ofJson(value)));
    mails.sort((a, b) => a.created - b.created || (a.parcels[0]?.seq ?? 0) - (b.parcels[0]?.seq ?? 0));
    for (const mail of mails) this.#load(mail);
  }

  handle(input: SpoolIn, now: Time): SpoolOut[] {
    this.#take(input, now);
    const out = this.#out;
    this.#out = [];
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  // --- questions ---

  get(id: string): Posted | undefined {
    return this.#mails.get(id);
  }

  mailsOf(contact: string): Posted[] {
    return [...(this.#byContact.get(contact) ?? [])];
  }

  /** How many are not final. */
  get queued(): number {
    return [...this.#mails.values()].filter(({ ledger }) => !isFinal(stateOf(ledger))).length;
  }

  /** Parcels to the peer that are still to be delivered, in the order of their numbers. */
  openParcels(peer: Hashname): Parcel[] {
    return [...(this.#pairs.get(peer)?.parcels.values() ?? [])].filter(({ state }) => state === "open");
  }

  /** The number that the next mail to the peer gets, whether it has to be a hello, and what it is sealed to if it is none. */
  next(peer: Hashname): { epoch: string; seq: number; floor: number; hello: boolean; forward?: Forwarding } {
    const pair = this.#pairs.get(peer);
    if (pair === undefined) return { epoch: this.epoch, seq: this.#first, floor: this.#first, hello: true };
    const forward = forwardingOf(pair);
    const number = { epoch: pair.epoch, seq: pair.next, floor: floorOf(pair), hello: !pair.view.isHeard };
    return { ...number, ...(forward && { forward }) };
  }

  /** What the peer may know of its forward keys: see `Acknowledgement`. `undefined`: it told us none. */
  uses(peer: Hashname): readonly string[] | undefined {
    const pair = this.#pairs.get(peer);
    const forward = pair && forwardingOf(pair);
    return forward && [forwardId(forward.key), ...forward.uses];
  }

  hasPart(parcel: Parcel, part: number): boolean {
    return this.#pairs.get(parcel.peer)?.view.has(parcel.epoch, parcel.seq, part) === true;
  }

  outbox(): OutboxEntry[] {
    return [...this.#mails.values()].map(({ id, contact, kind, created, expires, size, parts, ledger, parcels }) => ({
      id,
      contact,
      kind,
      state: stateOf(ledger),
      suite: labelOf(parcels),
      handed: handedCount(ledger),
      created,
      expires,
      size,
      parts,
      acked: Math.max(0, ...parcels.map((parcel) => this.#acknowledgedParts(parcel))),
    }));
  }

  // --- inputs ---

  #take(input: SpoolIn, now: Time): void {
    switch (input.type) {
      case "start":
        if (this.#isFresh) this.#saveEpoch();
        for (const mail of this.#mails.values()) this.#resume(mail, now);
        return;
      case "post":
        this.#post(input.mail, input.to);
        return;
      case "address":
        this.#address(input.mail, input.to);
        return;
      case "changed":
        this.#save(input.mail);
        return;
      case "handed":
        this.#step(input.mail, handedBy(input.route, now));
        return;
      case "acknowledged":
        this.#acknowledged(input.peer, input.acknowledgement, now);
        return;
      case "cancel": {
        const { mail, why } = input;
        this.#end(mail, { at: now, state: "cancelled", ...(why !== undefined && { why }) }, now);
        return;
      }
      case "leave":
        this.#leave(input.peer, now);
        return;
      case "tick":
        for (const id of this.#deadlines.due(now)) this.#wake(id, now);
    }
  }

  #post(fresh: Omit<Posted, "ledger" | "parcels" | "leftover">, to: readonly Addressee[]): void {
    const mail: Posted = { ...fresh, ledger: openLedger(fresh.created), parcels: [] };
    this.#add(mail);
    for (const addressee of to) this.#number(mail, addressee);
    this.#save(mail.id);
  }

  #add(mail: Posted): void {
    this.#mails.set(mail.id, mail);
    const same = this.#byContact.get(mail.contact) ?? new Set();
    this.#byContact.set(mail.contact, same.add(mail));
  }

  #address(id: string, to: Addressee): void {
    const mail = this.#mails.get(id);
    if (mail === undefined || isFinal(stateOf(mail.ledger))) return;
    if (mail.parcels.some(({ peer, state }) => peer === to.peer && state === "open")) return;
    this.#number(mail, to);
    this.#save(id);
  }

  #number(mail: Posted, { peer, hello, partBytes }: Addressee): void {
    const { epoch, seq, floor, forward } = this.next(peer);
    const pair = this.#pairs.get(peer) ?? this.#pairOf({ epoch, next: seq });
    this.#pairs.set(peer, pair);
    const parcel: Parcel = {
      mail: mail.id,
      peer,
      epoch,
      seq,
      floor,
      generation: 0,
      ...(forward && !hello && { forward }),
      hello,
      of: mail.parts,
      partBytes,
      expires: mail.expires,
      state: "open",
      ids: Array.from({ length: mail.parts }, () => ""),
      copies: new Map(),
      offers: 0,
      offerAt: undefined,
    };
    pair.next++;
    pair.unpassed.add(seq);
    pair.parcels.set(mail.id, parcel);
    mail.parcels.push(parcel);
    this.#savePair(peer, pair);
    this.#out.push({ type: "offer", parcel });
  }

  #step(id: string, entry: LedgerEntry): void {
    const mail = this.#mails.get(id);
    if (mail === undefined || !append(mail.ledger, entry)) return;
    this.#save(id);
    this.#out.push({ type: "state", mail, entry });
  }

  #acknowledged(peer: Hashname, acknowledgement: Acknowledgement, now: Time): void {
    const pair = this.#pairs.get(peer);
    if (pair === undefined) return;
    const wasHeard = pair.view.isHeard;
    const { news, restored } = pair.view.merge(ofOurs(pair, acknowledgement));
    const { keys } = acknowledgement;
    const [floor, uses] = [floorOf(pair), this.uses(peer)];
    const hasKeys = keys !== undefined && pair.announced.merge(keys, this.#isKey);
    if (!wasHeard || news || restored || hasKeys) this.#savePair(peer, pair);
    if (news)
      for (const parcel of pair.parcels.values())
        if (parcel.state !== "acknowledged" && pair.view.isWhole(parcel.epoch, parcel.seq))
          this.#arrived(pair, parcel, now);
    if (hasKeys)
      for (const parcel of [...pair.parcels.values()]) if (isStale(pair, parcel)) this.#reseal(pair, parcel, now);
    if (floorOf(pair) !== floor || String(this.uses(peer)) !== String(uses)) this.#out.push({ type: "floor", peer });
    if (news || !wasHeard) this.#out.push({ type: "progress", peer });
    if (restored) this.#out.push({ type: "restored", peer });
  }

  #arrived(pair: Pair, parcel: Parcel, now: Time): void {
    const wasOpen = parcel.state === "open";
    parcel.state = "acknowledged";
    if (parcel.epoch === pair.epoch) pair.unpassed.delete(parcel.seq);
    if (wasOpen) this.#out.push({ type: "stop", parcel });
    this.#step(parcel.mail, { at: now, state: "delivered" });
    const mail = this.#mails.get(parcel.mail);
    if (mail === undefined) return;
    if (wasOpen && mail.parcels.every(({ state }) => state !== "open")) this.#erase(mail, now);
    this.#save(mail.id);
  }

  /**
   * The peer has not got the key that the parcel was sealed to, so nobody can open it: other bytes under the same number, sealed
   * to a key that it has. Not at once each time, for a peer that tells other keys each time.
   */
  #reseal(pair: Pair, parcel: Parcel, now: Time): void {
    const mail = this.#mails.get(parcel.mail);
    const forward = forwardingOf(pair);
    if (mail === undefined || forward === undefined) return;
    if (now < (parcel.resealAt ?? 0)) {
      this.#plan(mail);
      return;
    }
    const fresh: Parcel = {
      ...parcel,
      generation: parcel.generation + 1,
      forward,
      resealAt: now + (RESEAL_MS[Math.min(parcel.generation, RESEAL_MS.length - 1)] ?? 0),
      ids: Array.from({ length: parcel.of }, () => ""),
      copies: new Map(),
      offers: 0,
      offerAt: undefined,
    };
    parcel.state = "stopped";
    mail.parcels[mail.parcels.indexOf(parcel)] = fresh;
    pair.parcels.set(mail.id, fresh);
    this.#save(mail.id);
    this.#out.push({ type: "stop", parcel }, { type: "offer", parcel: fresh });
  }

  /** No longer offered. A ledger that is final already keeps its state: some other peer has the mail. */
  #end(id: string, entry: LedgerEntry, now: Time): void {
    const mail = this.#mails.get(id);
    if (mail === undefined || mail.leftover !== undefined) return;
    for (const parcel of mail.parcels) {
      if (parcel.state !== "open") continue;
      parcel.state = "stopped";
      this.#out.push({ type: "stop", parcel });
    }
    this.#step(id, entry);
    this.#erase(mail, now);
    this.#save(id);
  }

  #leave(peer: Hashname, now: Time): void {
    const pair = this.#pairs.get(peer);
    if (pair === undefined) return;
    this.#pairs.delete(peer);
    this.#out.push({ type: "save", key: OUT_PREFIX + peer, value: undefined });
    if (pair.epoch === this.epoch && pair.next > this.#first) {
      this.#first = pair.next;
      this.#saveEpoch();
    }
    for (const parcel of pair.parcels.values()) {
      if (parcel.state === "open") {
        parcel.state = "stopped";
        this.#out.push({ type: "stop", parcel });
      }
      const mail = this.#mails.get(parcel.mail);
      // A mail that a contact's other peer got needs its content no more; one that nobody got may find a new peer.
      const isOver = mail !== undefined && isFinal(stateOf(mail.ledger));
      if (isOver && mail.leftover === undefined && mail.parcels.every(({ state }) => state !== "open"))
        this.#erase(mail, now);
      this.#save(parcel.mail);
    }
  }

  // --- time ---

  #wake(id: string, now: Time): void {
    const mail = this.#mails.get(id);
    if (mail === undefined) return;
    if (mail.leftover !== undefined && mail.leftover <= now) {
      mail.leftover = 0;
      for (const parcel of mail.parcels) {
        parcel.copies.clear();
        parcel.ids.fill("");
      }
    }
    for (const parcel of [...mail.parcels]) {
      const pair = this.#pairs.get(parcel.peer);
      if (pair !== undefined && isStale(pair, parcel)) this.#reseal(pair, parcel, now);
    }
    if (now >= mail.expires && mail.leftover === undefined) this.#end(id, { at: now, state: "expired" }, now);
    if (now >= mail.expires + GRACE_MS) this.#pass(mail);
    if (now >= this.#retireAt(mail)) this.#retire(mail);
    else this.#save(id);
  }

  /** The floor goes on without the mail: no copy of it would still be shown. */
  #pass(mail: Posted): void {
    for (const { peer, epoch, seq } of mail.parcels) {
      const pair = this.#pairs.get(peer);
      if (pair?.epoch !== epoch) continue;
      const floor = floorOf(pair);
      if (pair.unpassed.delete(seq) && floorOf(pair) !== floor) this.#out.push({ type: "floor", peer });
    }
  }

  /** Out of memory: the ledger remains in the store. */
  #retire(mail: Posted): void {
    const { id, ledger, parcels } = mail;
    this.#mails.delete(id);
    const same = this.#byContact.get(mail.contact);
    if (same?.delete(mail) && same.size === 0) this.#byContact.delete(mail.contact);
    this.#deadlines.set(id, undefined);
    const { contact, kind, created, expires, size, file } = mail;
    const name = file && { name: file.name };
    const suite = labelOf(parcels);
    const about: LedgerRecord = { id, contact, kind, created, expires, size, ...name, suite, ledger };
    this.#out.push({ type: "save", key: `ledger/${id}`, value: asJson(about) });
    this.#out.push({ type: "save", key: QUEUE_PREFIX + id, value: undefined });
    for (const { peer, epoch } of parcels) {
      const pair = this.#pairs.get(peer);
      if (pair === undefined) continue;
      pair.parcels.delete(id);
      // Later than the floor: an acknowledgement that was long on its way still says what became of an expired mail.
      const kept = [...pair.parcels.values()].filter((parcel) => parcel.epoch === epoch).map(({ seq }) => seq);
      if (epoch === pair.epoch) pair.view.lower(epoch, Math.min(floorOf(pair), ...kept));
    }
  }

  #isUnpassed({ peer, epoch, seq }: Parcel): boolean {
    const pair = this.#pairs.get(peer);
    return pair?.epoch === epoch && pair.unpassed.has(seq);
  }

  /** Sets when something is to be done about the mail if nothing else happens. */
  #plan(mail: Posted): void {
    const times = [this.#retireAt(mail)];
    if (mail.leftover === undefined) times.push(mail.expires);
    else if (mail.leftover > 0) times.push(mail.leftover);
    if (mail.parcels.some((parcel) => this.#isUnpassed(parcel))) times.push(mail.expires + GRACE_MS);
    for (const parcel of mail.parcels) {
      const pair = this.#pairs.get(parcel.peer);
      if (pair !== undefined && isStale(pair, parcel)) times.push(parcel.resealAt ?? 0);
    }
    this.#deadlines.set(mail.id, finite(Math.min(...times)));
  }

  #retireAt({ ledger, parcels, expires, leftover }: Posted): Time {
    const state = stateOf(ledger);
    const last = ledger.at(-1)?.at ?? 0;
    if (leftover === undefined || !isFinal(state)) return Number.POSITIVE_INFINITY;
    const known = parcels.filter(({ peer }) => this.#pairs.has(peer));
    if (known.length === 0) return leftover;
    if (state === "expired" || state === "cancelled") return expires + LATE_MS;
    return known.every((parcel) => parcel.state === "acknowledged") ? last + SETTLED_MS : expires + GRACE_MS;
  }

  // --- storing ---

  /** The content goes; the record knows for a while what may have to be done again after a crash. */
  #erase(mail: Posted, now: Time): void {
    mail.leftover = now + LEFTOVER_MS;
    this.#out.push({ type: "save", key: contentKey(mail.id), value: undefined });
    for (const { peer, hello } of mail.parcels)
      if (hello) this.#out.push({ type: "save", key: helloKey(mail.id, peer), value: undefined });
    if (mail.file !== undefined) this.#out.push({ type: "blob-remove", blob: mail.file.blob });
  }

  #save(id: string): void {
    const mail = this.#mails.get(id);
    if (mail === undefined) return;
    const record: PostedJson = { ...mail, parcels: mail.parcels.map(parcelJson) };
    this.#out.push({ type: "save", key: QUEUE_PREFIX + id, value: asJson(record) });
    this.#plan(mail);
  }

  #savePair(peer: Hashname, { epoch, next, view, announced }: Pair): void {
    const record: PairRecord = { epoch, next, view: toBase32(view.encode()), announced: announced.json() };
    this.#out.push({ type: "save", key: OUT_PREFIX + peer, value: asJson(record) });
  }

  #saveEpoch(): void {
    const record: EpochRecord = { epoch: this.epoch, first: this.#first };
    this.#out.push({ type: "save", key: EPOCH_KEY, value: asJson(record) });
  }

  /** After a restore the numbers begin anew, in the new epoch; what the peer has of the old one is still known. */
  #pairOf({ epoch, next, view, announced }: PairRecord): Pair {
    const isCurrent = epoch === this.epoch;
    return {
      epoch: this.epoch,
      next: isCurrent ? next : this.#first,
      view: (view === undefined ? undefined : AckView.decode(fromBase32(view) ?? new Uint8Array(0))) ?? new AckView(),
      announced: new Announced(announced),
      unpassed: new Set(),
      parcels: new Map(),
    };
  }

  #load(mail: Posted): void {
    this.#add(mail);
    for (const parcel of mail.parcels) {
      const pair = this.#pairs.get(parcel.peer);
      pair?.parcels.set(mail.id, parcel);
      if (pair?.epoch === parcel.epoch && parcel.state !== "acknowledged") pair.unpassed.add(parcel.seq);
    }
  }

  /** After a stop. What was given up may lie about still; and after a restore the old numbers mean nothing. */
  #resume(mail: Posted, now: Time): void {
    if (mail.leftover !== undefined && mail.leftover > 0) {
      this.#out.push(...mail.parcels.flatMap(takeBack));
      this.#erase(mail, now);
      this.#save(mail.id);
    }
    for (const parcel of [...mail.parcels]) {
      if (parcel.state !== "open" || parcel.epoch === this.epoch || !this.#pairs.has(parcel.peer)) continue;
      // The peer may have forgotten what it had below floors that we no longer know of. Addressed again, the mail gets a
      // new number and with it an answer; by its id it is not shown twice.
      parcel.state = "stopped";
      this.#out.push(...takeBack(parcel));
      this.#save(mail.id);
    }
    this.#plan(mail);
  }

  #acknowledgedParts(parcel: Parcel): number {
    if (parcel.state === "acknowledged") return parcel.of;
    let count = 0;
    for (let part = 0; part < parcel.of; part++) if (this.hasPart(parcel, part)) count++;
    return count;
  }
}

/** Where the content of a mail lies: not among the keys that are loaded at start. */
export function contentKey(mail: string): string {
  return `spool/${mail}`;
}

/** Where the hello of a mail for one peer lies. */
export function helloKey(mail: string, peer: Hashname): string {
  return `spool/${mail}/${peer}`;
}

/** The value of "ledger/<id>": what remains of a mail. JSON. */
export interface LedgerRecord {
  readonly id: string;
  readonly contact: string;
  readonly kind: string;
  readonly created: Time;
  readonly expires: Time;
  readonly size: number;
  /** Of a file. */
  readonly name?: string;
  /** Its security label, as in `OutboxEntry`. Absent in what ended before there was another than "static". */
  readonly suite?: Suite;
  readonly ledger: readonly LedgerEntry[];
}

interface EpochRecord {
  readonly epoch: string;
  readonly first: number;
}

interface PairRecord {
  readonly epoch: string;
  readonly next: number;
  readonly view?: string;
  readonly announced?: AnnouncedJson;
}

interface PostedJson extends Omit<Posted, "parcels"> {
  readonly parcels: readonly ParcelJson[];
}

function postedOf(json: PostedJson): Posted {
  return { ...json, parcels: json.parcels.map(parcelOf) };
}

function floorOf({ unpassed, next }: Pair): number {
  const [lowest] = unpassed;
  return lowest ?? next;
}

/** What a mail that is queued now is sealed to. */
function forwardingOf({ announced, parcels }: Pair): Forwarding | undefined {
  const [key, ...older] = announced.keys;
  if (key === undefined) return undefined;
  const used = new Set([...parcels.values()].flatMap(({ state, forward }) => (state === "open" && forward?.key) || []));
  return { key, uses: older.filter((each) => used.has(each)).map(forwardId) };
}

/** Is the parcel sealed to a key that the peer has not got? */
function isStale({ announced }: Pair, { state, forward }: Parcel): boolean {
  const { keys } = announced;
  return state === "open" && forward !== undefined && keys.length > 0 && !keys.includes(forward.key);
}

/** The weakest that any of its parcels left under; of a mail that nobody gets, that of no promise. */
function labelOf(parcels: readonly Parcel[]): Suite {
  return parcels.length > 0 && parcels.every(({ forward }) => forward !== undefined) ? "forward" : "static";
}

/** The acknowledgement without what it says of numbers that we never gave: a peer could make us keep any amount of that. */
function ofOurs(pair: Pair, acknowledgement: Acknowledgement): Acknowledgement {
  const reports = acknowledgement.reports.flatMap((report): AckReport[] => {
    const given = [...pair.parcels.values()].filter(({ epoch }) => epoch === report.epoch);
    const last = report.epoch === pair.epoch ? pair.next - 1 : Math.max(0, ...given.map(({ seq }) => seq));
    const ranges = report.ranges.flatMap(([first, end]): Range[] =>
      first > last ? [] : [[first, Math.min(end, last)]],
    );
    const inParts = new Set(given.flatMap(({ seq, of }) => (of > 1 ? seq : [])));
    const unfinished = report.unfinished.filter(({ seq }) => inParts.has(seq));
    return ranges.length + unfinished.length === 0 ? [] : [{ ...report, ranges, unfinished }];
  });
  return { ...acknowledgement, reports };
}

function finite(time: Time): Time | undefined {
  return time === Number.POSITIVE_INFINITY ? undefined : time;
}

const EPOCH_KEY = "mail/epoch";
const OUT_PREFIX = "mail/out/";
const QUEUE_PREFIX = "mail/queue/";
const DAY_MS = 86_400_000;
const GRACE_MS = 2 * DAY_MS; // DESIGN 5: recipients drop mail this long after its expiry, so the floor may pass
const SETTLED_MS = 2 * DAY_MS; // a delivered mail stays in memory so long
const LATE_MS = 30 * DAY_MS; // cache lifetime: an acknowledgement may come so late
const LEFTOVER_MS = 60_000;
const RESEAL_MS = [60_000, 600_000, 3_600_000, 6 * 3_600_000]; // once at once, then ever more rarely
