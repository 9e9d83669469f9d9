/**
 * The spool: our own mail until it is acknowledged or expired, with a ledger each, and the numbers it has towards each
 * peer. A light index: content lies in the store and is read when its turn comes. protocol/mail.md §8, §10, §11
 */
import { Deadlines, fromBase32, type Machine, type Time, toBase32 } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { type Acknowledgement, AckView } from "./acknowledgement.ts";
import { Announced, type AnnouncedJson } from "./announced.ts";
import { tellsOfCopy } from "./copied.ts";
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
import { leave, Pair } from "./pair.ts";
import { anew, type Parcel, type ParcelJson, parcelJson, parcelOf, takeBack, type Withdrawal } from "./parcel.ts";
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
  /** The peer told news; `below`: the highest number of the present epoch that it has. */
  | { type: "progress"; peer: Hashname; below?: { readonly epoch: string; readonly seq: number } }
  | { type: "restored"; peer: Hashname }
  /** Another copy of our store numbers mail to the peer; ours has an epoch of its own towards it from now on. */
  | { type: "copied"; peer: Hashname };

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
  /** How many of the contact's peers have it whole, and to how many it goes. */
  readonly delivered: { readonly k: number; readonly n: number };
}

/** Keeps, numbers, times and ends our own mail. */
export class Spool implements Machine<SpoolIn, SpoolOut> {
  /** Random per store creation and restore, 16 hex. */
  readonly epoch: string;
  readonly #mails = new Map<string, Posted>();
  readonly #byContact = new Map<string, Set<Posted>>();
  readonly #pairs = new Map<Hashname, Pair>();
  readonly #deadlines = new Deadlines<string>();
  /** How many are not final. */
  #queued = 0;
  /** The clock as it was seen last. After a leap nothing expires for a while: it may be wrong. */
  #seen: Time | undefined;
  #seenSaved: Time | undefined;
  #doubtUntil: Time = 0;
  /** Delivered, and nothing more to do: kept for `outbox`, the oldest first. */
  readonly #settled = new Set<string>();
  /** First number for a new pair: above all numbers of pairs that ended, so that none is ever used twice. */
  #first: number;
  readonly #isFresh: boolean;
  readonly #isKey: (key: string) => boolean;
  readonly #draw: () => string;
  #out: SpoolOut[] = [];

  /**
   * `saved`: keys "mail/epoch", "mail/clock", "mail/out/..." and "mail/queue/...". `fresh` is the epoch when none is saved, 16 hex.
   * `draw`: another epoch, never the same twice. `isKey`: whether something can be sealed to this forward key.
   */
  constructor(options: {
    saved: ReadonlyMap<string, Uint8Array>;
    fresh: string;
    draw: () => string;
    isKey: (key: string) => boolean;
  }) {
    const { saved, fresh, draw, isKey } = options;
    this.#isKey = isKey;
    this.#draw = draw;
    const own = saved.get(EPOCH_KEY);
    const { epoch, first }: EpochRecord = own === undefined ? { epoch: fresh, first: 1 } : ofJson(own);
    this.epoch = epoch;
    this.#first = first;
    this.#isFresh = own === undefined;
    const clock = saved.get(CLOCK_KEY);
    if (clock !== undefined) this.#seen = this.#seenSaved = ofJson<ClockRecord>(clock).seen;
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
    this.#watch(now);
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
    return this.#queued;
  }

  /** Parcels to the peer that are still to be delivered, in the order of their numbers. */
  openParcels(peer: Hashname): Parcel[] {
    const open = [...(this.#pairs.get(peer)?.parcels() ?? [])].filter(({ state }) => state === "open");
    return open.sort((a, b) => a.seq - b.seq);
  }

  /** The number that the next mail to the peer gets, whether it has to be a hello, and what it is sealed to if it is none. */
  next(peer: Hashname): { epoch: string; seq: number; floor: number; hello: boolean; forward?: Forwarding } {
    const pair = this.#pairs.get(peer);
    if (pair === undefined) return { epoch: this.epoch, seq: this.#first, floor: this.#first, hello: true };
    const forward = pair.forwarding();
    const number = { epoch: pair.epoch, seq: pair.next, floor: pair.floor, hello: !pair.view.isHeard };
    return { ...number, ...(forward && { forward }) };
  }

  /** What the peer may know of its forward keys: see `Acknowledgement`. `undefined`: it told us none. */
  uses(peer: Hashname): readonly string[] | undefined {
    const forward = this.#pairs.get(peer)?.forwarding();
    return forward && [forwardId(forward.key), ...forward.uses];
  }

  /** The epochs that a copy of our store should not number mail in: see `Acknowledgement`. `undefined`: none. */
  left(peer: Hashname): readonly string[] | undefined {
    const left = this.#pairs.get(peer)?.left ?? [];
    return left.length === 0 ? undefined : left;
  }

  /** When another copy of our store was last seen to number mail; `undefined`: never. */
  get copiedAt(): Time | undefined {
    return Math.max(0, ...[...this.#pairs.values()].map(({ doubtedAt }) => doubtedAt)) || undefined;
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
      delivered: deliveredTo(parcels),
    }));
  }

  // --- inputs ---

  #take(input: SpoolIn, now: Time): void {
    switch (input.type) {
      case "start":
        if (this.#isFresh) this.#saveEpoch();
        for (const mail of [...this.#mails.values()]) this.#resume(mail, now);
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
    if (!isFinal(stateOf(mail.ledger))) this.#queued++;
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
    this.#supersede(pair, mail.parcels, peer);
    pair.number(parcel);
    mail.parcels.push(parcel);
    this.#savePair(peer, pair);
    this.#out.push({ type: "offer", parcel });
  }

  /** Of several parcels of one mail for one peer only the last is still asked about. */
  #supersede(pair: Pair, parcels: readonly Parcel[], peer: Hashname): void {
    for (const old of parcels) if (old.peer === peer) pair.drop(old);
  }

  #close(parcel: Parcel, state: "acknowledged" | "stopped"): void {
    parcel.state = state;
    this.#pairs.get(parcel.peer)?.closed(parcel);
  }

  #step(id: string, entry: LedgerEntry): void {
    const mail = this.#mails.get(id);
    if (mail === undefined) return;
    const wasOpen = !isFinal(stateOf(mail.ledger));
    if (!append(mail.ledger, entry)) return;
    if (wasOpen && isFinal(entry.state)) this.#queued--;
    this.#save(id);
    this.#out.push({ type: "state", mail, entry });
  }

  #acknowledged(peer: Hashname, acknowledgement: Acknowledgement, now: Time): void {
    const pair = this.#pairs.get(peer);
    if (pair === undefined) return;
    const wasHeard = pair.view.isHeard;
    const mailOf = (seq: number): string | undefined => pair.get(pair.epoch, seq)?.mail;
    const isCopied = tellsOfCopy({ epoch: pair.epoch, next: pair.next, mailOf }, acknowledgement);
    // Otherwise a mail of ours would pass for delivered because the other copy's was.
    const doubted = isCopied ? pair.epoch : undefined;
    if (isCopied && now >= pair.doubtedAt + DOUBT_MS) this.#renew(peer, pair, now);
    const [floor, uses] = [pair.floor, this.uses(peer)];
    const { news, restored, hasKeys, arrived, below } = pair.merge(acknowledgement, this.#isKey, doubted);
    if (!wasHeard || news || restored || hasKeys) this.#savePair(peer, pair);
    for (const parcel of arrived) this.#arrived(pair, parcel, now);
    for (const { mail } of isCopied ? [] : pair.read(acknowledgement.read ?? []))
      this.#step(mail, { at: now, state: "read", peer });
    if (hasKeys) for (const parcel of pair.stale()) this.#reseal(pair, parcel, now);
    if (pair.floor !== floor || String(this.uses(peer)) !== String(uses)) this.#out.push({ type: "floor", peer });
    if (news || !wasHeard) this.#out.push({ type: "progress", peer, ...(below && { below }) });
    if (restored) this.#out.push({ type: "restored", peer });
  }

  /** What is open goes out under numbers that no other copy of the store can give. By its id it is shown once. */
  #renew(peer: Hashname, pair: Pair, now: Time): void {
    if (pair.epoch === this.epoch && pair.next > this.#first) {
      this.#first = pair.next;
      this.#saveEpoch();
    }
    const open = pair.renew(this.#draw(), now);
    this.#out.push({ type: "copied", peer });
    for (const parcel of open) {
      const mail = this.#mails.get(parcel.mail);
      if (mail === undefined) continue;
      const fresh: Parcel = { ...anew(parcel, now + LEFTOVER_MS), epoch: pair.epoch, seq: pair.next, floor: 1 };
      this.#close(parcel, "stopped");
      pair.drop(parcel);
      pair.number(fresh);
      mail.parcels[mail.parcels.indexOf(parcel)] = fresh;
      this.#save(mail.id);
      this.#out.push({ type: "stop", parcel }, { type: "offer", parcel: fresh });
    }
    this.#savePair(peer, pair);
  }

  #arrived(pair: Pair, parcel: Parcel, now: Time): void {
    const wasOpen = parcel.state === "open";
    this.#close(parcel, "acknowledged");
    pair.pass(parcel.epoch, parcel.seq);
    if (wasOpen) this.#out.push({ type: "stop", parcel });
    this.#step(parcel.mail, { at: now, state: "delivered", peer: parcel.peer });
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
    const forward = pair.forwarding();
    if (mail === undefined || forward === undefined) return;
    if (now < (parcel.resealAt ?? 0)) {
      this.#plan(mail);
      return;
    }
    const fresh: Parcel = {
      ...anew(parcel, now + LEFTOVER_MS),
      generation: parcel.generation + 1,
      forward,
      resealAt: now + (RESEAL_MS[Math.min(parcel.generation, RESEAL_MS.length - 1)] ?? 0),
    };
    this.#close(parcel, "stopped");
    mail.parcels[mail.parcels.indexOf(parcel)] = fresh;
    pair.replace(fresh);
    this.#save(mail.id);
    this.#out.push({ type: "stop", parcel }, { type: "offer", parcel: fresh });
  }

  /** No longer offered. A ledger that is final already keeps its state: some other peer has the mail. */
  #end(id: string, entry: LedgerEntry, now: Time): void {
    const mail = this.#mails.get(id);
    if (mail === undefined || mail.leftover !== undefined) return;
    for (const parcel of mail.parcels) {
      if (parcel.state !== "open") continue;
      this.#close(parcel, "stopped");
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
    for (const parcel of pair.parcels()) {
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

  /**
   * A clock may leap ahead and be set right later (a dead battery): then no mail's time was over. What runs out by a leap is
   * kept and offered for a while longer; a clock that is set back meanwhile finds it as it was.
   */
  #watch(now: Time): void {
    const seen = this.#seen ?? now;
    if (now - seen > LEAP_MS) this.#doubtUntil = now + LEAP_GRACE_MS;
    else if (now < this.#doubtUntil - LEAP_GRACE_MS) this.#doubtUntil = 0;
    this.#seen = now;
    // Not while in doubt: the next start would take the wrong clock for granted.
    if (now < this.#doubtUntil || this.#queued === 0) return;
    if (Math.abs(now - (this.#seenSaved ?? 0)) < SEEN_SAVED_MS) return;
    this.#seenSaved = now;
    const record: ClockRecord = { seen: now };
    this.#out.push({ type: "save", key: CLOCK_KEY, value: asJson(record) });
  }

  #isOver({ expires }: Posted, now: Time): boolean {
    return now >= Math.max(expires, this.#doubtUntil);
  }

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
      if (parcel.former !== undefined && parcel.former.until <= now) parcel.former = undefined;
      if (pair?.isStale(parcel)) this.#reseal(pair, parcel, now);
    }
    if (mail.leftover === undefined && this.#isOver(mail, now)) this.#end(id, { at: now, state: "expired" }, now);
    if (mail.leftover !== undefined && now >= mail.expires + GRACE_MS) this.#pass(mail);
    if (now >= this.#retireAt(mail)) this.#retire(mail);
    else this.#save(id);
    this.#settle(mail);
  }

  /** Of what is delivered to all, only the newest stay in memory. */
  #settle(mail: Posted): void {
    if (mail.leftover === 0 && this.#mails.has(mail.id) && this.#isSettled(mail)) this.#settled.add(mail.id);
    if (this.#settled.size <= SETTLED_LIMIT) return;
    const [oldest = ""] = this.#settled;
    const settled = this.#mails.get(oldest);
    if (settled !== undefined) this.#retire(settled);
  }

  /** The floor goes on without the mail: no copy of it would still be shown. */
  #pass(mail: Posted): void {
    for (const { peer, epoch, seq } of mail.parcels) {
      const pair = this.#pairs.get(peer);
      const floor = pair?.floor;
      pair?.pass(epoch, seq);
      if (pair?.floor !== floor) this.#out.push({ type: "floor", peer });
    }
  }

  /** Out of memory: the ledger remains in the store. */
  #retire(mail: Posted): void {
    const { id, ledger, parcels } = mail;
    this.#mails.delete(id);
    const same = this.#byContact.get(mail.contact);
    if (same?.delete(mail) && same.size === 0) this.#byContact.delete(mail.contact);
    this.#settled.delete(id);
    this.#deadlines.set(id, undefined);
    const { contact, kind, created, expires, size, file } = mail;
    const name = file && { name: file.name };
    const suite = labelOf(parcels);
    const about: LedgerRecord = { id, contact, kind, created, expires, size, ...name, suite, ledger };
    this.#out.push({ type: "save", key: `ledger/${id}`, value: asJson(about) });
    this.#out.push({ type: "save", key: QUEUE_PREFIX + id, value: undefined });
    for (const parcel of parcels) this.#pairs.get(parcel.peer)?.retire(parcel);
  }

  /** Sets when something is to be done about the mail if nothing else happens. */
  #plan(mail: Posted): void {
    const times = [this.#retireAt(mail)];
    if (mail.leftover === undefined) times.push(Math.max(mail.expires, this.#doubtUntil));
    else if (mail.leftover > 0) times.push(mail.leftover);
    const isUnpassed = mail.parcels.some((parcel) => this.#pairs.get(parcel.peer)?.isUnpassed(parcel));
    if (mail.leftover !== undefined && isUnpassed) times.push(mail.expires + GRACE_MS);
    for (const parcel of mail.parcels) {
      const pair = this.#pairs.get(parcel.peer);
      if (pair?.isStale(parcel)) times.push(parcel.resealAt ?? 0);
      if (parcel.former !== undefined) times.push(parcel.former.until);
    }
    this.#deadlines.set(mail.id, finite(Math.min(...times)));
  }

  #retireAt(mail: Posted): Time {
    const { ledger, expires, leftover } = mail;
    const state = stateOf(ledger);
    if (leftover === undefined || !isFinal(state)) return Number.POSITIVE_INFINITY;
    if (this.#known(mail).length === 0) return leftover;
    if (state === "expired" || state === "cancelled") return expires + LATE_MS;
    return this.#isSettled(mail) ? (ledger.at(-1)?.at ?? 0) + SETTLED_MS : expires + GRACE_MS;
  }

  /** Has each peer that it went to acknowledged it? */
  #isSettled(mail: Posted): boolean {
    const known = this.#known(mail);
    return known.length > 0 && known.every(({ state }) => state === "acknowledged");
  }

  /** Its parcels to peers that are still ours. */
  #known({ parcels }: Posted): Parcel[] {
    return parcels.filter(({ peer }) => this.#pairs.has(peer));
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

  #savePair(peer: Hashname, { epoch, doubted, doubtedAt, left, next, view, announced }: Pair): void {
    const record: PairRecord = {
      epoch: this.epoch,
      next,
      view: toBase32(view.encode()),
      announced: announced.json(),
      ...(epoch !== this.epoch && { own: epoch }),
      ...(doubted.length > 0 && { doubted, doubtedAt }),
      ...(left.length > 0 && { left }),
    };
    this.#out.push({ type: "save", key: OUT_PREFIX + peer, value: asJson(record) });
  }

  #saveEpoch(): void {
    const record: EpochRecord = { epoch: this.epoch, first: this.#first };
    this.#out.push({ type: "save", key: EPOCH_KEY, value: asJson(record) });
  }

  /** After a restore the numbers begin anew, in the new epoch; what the peer has of the old one is still known. */
  #pairOf(record: PairRecord): Pair {
    const { epoch, own = epoch, doubted = [], doubtedAt = 0, left = [], next, view, announced } = record;
    const isCurrent = epoch === this.epoch;
    return new Pair({
      epoch: isCurrent ? own : this.epoch,
      doubted,
      doubtedAt,
      left: isCurrent ? left : leave(left, own),
      next: isCurrent ? next : this.#first,
      view: (view === undefined ? undefined : AckView.decode(fromBase32(view) ?? new Uint8Array(0))) ?? new AckView(),
      announced: new Announced(announced),
    });
  }

  #load(mail: Posted): void {
    this.#add(mail);
    for (const parcel of mail.parcels) {
      const pair = this.#pairs.get(parcel.peer);
      if (pair === undefined) continue;
      this.#supersede(pair, mail.parcels.slice(0, mail.parcels.indexOf(parcel)), parcel.peer);
      pair.load(parcel);
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
      const pair = this.#pairs.get(parcel.peer);
      const { former } = parcel;
      if (former !== undefined) {
        this.#out.push(...takeBack({ ...parcel, ...former, former: undefined }));
        parcel.former = { ...former, until: now + LEFTOVER_MS };
        this.#save(mail.id);
      }
      if (parcel.state !== "open" || pair === undefined || parcel.epoch === pair.epoch) continue;
      // The peer may have forgotten what it had below floors that we no longer know of. Addressed again, the mail gets a
      // new number and with it an answer; by its id it is not shown twice.
      this.#close(parcel, "stopped");
      this.#out.push(...takeBack(parcel));
      this.#save(mail.id);
    }
    this.#plan(mail);
    this.#settle(mail);
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

interface ClockRecord {
  readonly seen: Time;
}

interface PairRecord {
  /** That of the store when it was written. */
  readonly epoch: string;
  /** The pair's, where that is another. */
  readonly own?: string;
  readonly doubted?: readonly string[];
  readonly doubtedAt?: Time;
  readonly left?: readonly string[];
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

/** A peer may have had more than one parcel: of an epoch before. */
function deliveredTo(parcels: readonly Parcel[]): OutboxEntry["delivered"] {
  const having = parcels.filter(({ state }) => state === "acknowledged");
  return { k: new Set(having.map(({ peer }) => peer)).size, n: new Set(parcels.map(({ peer }) => peer)).size };
}

/** The weakest that any of its parcels left under; of a mail that nobody gets, that of no promise. */
function labelOf(parcels: readonly Parcel[]): Suite {
  return parcels.length > 0 && parcels.every(({ forward }) => forward !== undefined) ? "forward" : "static";
}

function finite(time: Time): Time | undefined {
  return time === Number.POSITIVE_INFINITY ? undefined : time;
}

/** Where the epoch of our numbers lies. Without it the next start draws a new one. */
export const EPOCH_KEY = "mail/epoch";
const OUT_PREFIX = "mail/out/";
const QUEUE_PREFIX = "mail/queue/";
const CLOCK_KEY = "mail/clock";
const DAY_MS = 86_400_000;
const GRACE_MS = 2 * DAY_MS; // DESIGN 5: recipients drop mail this long after its expiry, so the floor may pass
const SETTLED_MS = 2 * DAY_MS; // a delivered mail is listed so long ...
const SETTLED_LIMIT = 256; // ... unless there are more
const LATE_MS = 30 * DAY_MS; // cache lifetime: an acknowledgement may come so late
const LEFTOVER_MS = 60_000;
const LEAP_MS = 2 * DAY_MS; // between two looks at the clock: what is open is looked at once a day
const LEAP_GRACE_MS = 3_600_000; // time to set a clock right
const SEEN_SAVED_MS = 3_600_000;
const DOUBT_MS = 3_600_000; // a peer that says it each time gives us the work each hour
const RESEAL_MS = [60_000, 600_000, 3_600_000, 6 * 3_600_000]; // once at once, then ever more rarely
