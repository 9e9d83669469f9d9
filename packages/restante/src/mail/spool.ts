/**
 * The spool: our own mail until it is acknowledged or expired, with a ledger each, and the numbers it has towards each peer.
 * In memory is what is on its way; what waits for its turn is a count, and is read when that comes, as all content is.
 * protocol/mail.md §8, §10, §11; docs/store.md §5
 */
import { asJson, assert, Deadlines, type Machine, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Hearing } from "./hearing.ts";
import { Held } from "./held.ts";
import { CLOCK_KEY, LeapWatch } from "./leap.ts";
import { append, handedBy, isFinal, type LedgerEntry, openLedger, stateOf } from "./ledger.ts";
import { isSettled, LEFTOVER_MS, lookAt, passAt, retireAt } from "./lifetime.ts";
import { type LineKind, Lines, lineAt, type PlaceRecord, placeKey, queueKey } from "./lines.ts";
import type { Marked } from "./marks.ts";
import { Paging } from "./paging.ts";
import type { Pair } from "./pair.ts";
import { type NextNumber, Pairs } from "./pairs.ts";
import { newParcel, type Parcel, takeBack } from "./parcel.ts";
import {
  contentKey,
  entryOf,
  helloKey,
  isDone,
  isFor,
  kindOfLine,
  ledgerRecord,
  type OutboxEntry,
  type Ownerless,
  type Posted,
  postedRecord,
} from "./posted.ts";
import type { Ranges } from "./ranges.ts";
import type { Addressee, SpoolIn, SpoolOut } from "./spool-turn.ts";

export type { Addressee, SpoolIn, SpoolOut };

/** Keeps, numbers, times and ends our own mail. */
export class Spool implements Machine<SpoolIn, SpoolOut> {
  readonly #held: Held;
  readonly #pairs: Pairs;
  readonly #hearing: Hearing;
  readonly #deadlines = new Deadlines<string>();
  readonly #lines: Lines;
  readonly #paging: Paging;
  readonly #clock: LeapWatch;
  #out: SpoolOut[] = [];

  /**
   * `saved`: keys "mail/epoch", "mail/clock", "mail/out/...", "mail/line/..." and "mail/block/...". `fresh` is the epoch when none
   * is saved, 16 hex. `draw`: another epoch, never the same twice. `isKey`: whether something can be sealed to this forward key.
   * `reads`: numbers for reads, ascending; its own, by default. `room`: for how many more mails to a peer there is room, of one
   * part or of several; by default for all. `idle`: how many stay in memory about which nothing is to be done.
   * `page`: how many are read at once, `idle` at most.
   */
  constructor(options: {
    saved: ReadonlyMap<string, Uint8Array>;
    fresh: string;
    draw: () => string;
    isKey: (key: string) => boolean;
    reads?: () => number;
    room?: (peer: Hashname, kind: LineKind) => number;
    idle?: number;
    page?: number;
  }) {
    const {
      saved,
      fresh,
      draw,
      isKey,
      room = () => Number.POSITIVE_INFINITY,
      idle = IDLE_LIMIT,
      page = PAGE,
    } = options;
    assert(page <= idle, "what was read is still there when its turn comes");
    let read = 1;
    const reads = options.reads ?? (() => read++);
    const put = (out: SpoolOut): void => {
      this.#out.push(out);
    };
    const get = (id: string): Posted | undefined => this.#held.get(id);
    this.#held = new Held(idle);
    this.#pairs = new Pairs({ saved, fresh, readers: (peer) => this.#paging.saved(peer), put });
    this.#clock = new LeapWatch(saved.get(CLOCK_KEY));
    this.#lines = new Lines(saved);
    this.#paging = new Paging({
      ...{ lines: this.#lines, reads, room, page, get, isFor },
      load: (mail, now) => this.#load(mail, now),
      isOver: (expires, now) => this.#clock.isOver(expires, now),
      end: (mail, why, now) => this.#endUnseen(mail, why, now),
      alarm: (key, at) => this.#deadlines.set(key, at),
      whole: (peer, now) => this.#hearing.whole(peer, now),
      put: (out) => {
        if (out.type === "turn") this.#held.ask(out.mail.id);
        put(out);
      },
    });
    this.#hearing = new Hearing({
      ...{ pairs: this.#pairs, isKey, draw, get, put },
      isWhole: (peer) => !this.#pairs.isAwaited(peer) && this.#paging.isWhole(peer),
      step: (id, entry) => this.#step(id, entry),
      settle: (mail, now) => this.#settle(mail, now),
      save: (id) => this.#save(id),
      plan: (mail) => this.#plan(mail),
    });
  }

  handle(input: SpoolIn, now: Time): SpoolOut[] {
    const seen = this.#clock.look(now, this.queued === 0);
    if (seen !== undefined) this.#out.push(seen);
    this.#take(input, now);
    this.#out.push(...this.#lines.saves());
    const out = this.#out;
    this.#out = [];
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  // --- questions ---

  /** Random per store creation and restore, 16 hex. */
  get epoch(): string {
    return this.#pairs.epoch;
  }

  get(id: string): Posted | undefined {
    return this.#held.get(id);
  }

  /** How many are not final. */
  get queued(): number {
    return this.#lines.open;
  }

  /** How many of them are not in memory, as their turn has not come. */
  get behind(): number {
    return this.queued - this.#held.open;
  }

  /** How many mails are in memory, whatever became of them. */
  get held(): number {
    return this.#held.size;
  }

  /** Is a card on its way to the contact? */
  isSendingCard(contact: string): boolean {
    return this.#lines.hasCard(contact);
  }

  /** Is there a place for one more mail to the contact? */
  hasLine(contact: string, parts: number): boolean {
    return this.#lines.has(contact, kindOfLine({ parts }));
  }

  /** Is there mail whose turn may come when there is room? */
  isBehind(peer: Hashname): boolean {
    return this.#paging.isBehind(peer);
  }

  /** Is everything that is in the store in memory, too? */
  get isAllHeld(): boolean {
    return this.#held.size === this.#lines.total;
  }

  /** Whether there may be a mail with this id to the contact. Of what is not in memory only the store knows. */
  mayHave(contact: string, id: string): boolean {
    return this.#held.has(id) || this.#held.ofContact(contact).size < this.#lines.kept(contact);
  }

  /** Parcels in memory to the peer that are still to be delivered, in the order of their numbers. */
  openParcels(peer: Hashname): Parcel[] {
    return this.#pairs.open(peer);
  }

  /** What the next mail to the peer gets. */
  next(peer: Hashname): NextNumber {
    return this.#pairs.next(peer);
  }

  /** What the peer may know of its forward keys: see `Acknowledgement`. `undefined`: it told us none. */
  uses(peer: Hashname): readonly string[] | undefined {
    return this.#pairs.uses(peer);
  }

  /** The epochs that a copy of our store should not number mail in: see `Acknowledgement`. `undefined`: none. */
  left(peer: Hashname): readonly string[] | undefined {
    return this.#pairs.left(peer);
  }

  /** Mails of several parts that we cancelled. `undefined`: none that the peer may have some of. */
  cancelled(peer: Hashname): readonly Marked[] | undefined {
    return this.#pairs.cancelled(peer);
  }

  /** When another copy of our store was last seen to number mail; `undefined`: never. */
  get copiedAt(): Time | undefined {
    return this.#pairs.copiedAt;
  }

  /** Which parts the peer has. Not to be changed. */
  have(parcel: Parcel): Ranges {
    return this.#pairs.have(parcel);
  }

  /** What the peer told of parts of a mail that is not whole is not believed any more. It may tell it again. */
  forget(parcel: Parcel): void {
    this.#pairs.forget(parcel);
  }

  /** All that is in memory, the oldest first. `isUp`: whether there is a link to the peer. */
  outbox(isUp: (peer: Hashname) => boolean = () => false): OutboxEntry[] {
    const parts = (parcel: Parcel): number => (parcel.state === "acknowledged" ? parcel.of : this.have(parcel).size);
    const entries = [...this.#held.all()].map((mail) => entryOf(mail, Math.max(0, ...mail.parcels.map(parts)), isUp));
    return entries.sort((a, b) => a.created - b.created);
  }

  // --- inputs ---

  #take(input: SpoolIn, now: Time): void {
    switch (input.type) {
      case "start":
        this.#pairs.start();
        this.#paging.start();
        return;
      case "join":
        this.#join(input.peer, input.contact, now);
        return;
      case "post":
        this.#post(input.mail, input.to);
        return;
      case "address":
        this.#address(input.mail, input.to);
        return;
      case "room":
        this.#paging.read(input.peer);
        return;
      case "again":
        this.#paging.again(input.contact);
        return;
      case "find":
        this.#paging.find(input.req, input.mail);
        return;
      case "listed":
        this.#paging.listed(input.req, input.pairs, now);
        return;
      case "read":
        this.#paging.answered(input.req, input.value, now);
        return;
      case "changed":
        this.#save(input.mail);
        return;
      case "handed":
        this.#step(input.mail, handedBy(input.route, now));
        return;
      case "acknowledged":
        this.#hearing.hear(input.peer, input.acknowledgement, now);
        return;
      case "cancel": {
        const { mail, why } = input;
        this.#end(mail, { at: now, state: "cancelled", ...(why !== undefined && { why }) }, now);
        return;
      }
      case "leave":
        this.#leave(input.peer, now);
        return;
      case "forget":
        for (const { id } of [...this.#held.ofContact(input.contact)])
          this.#end(id, { at: now, state: "cancelled", why: "forgotten" }, now);
        this.#paging.doom(input.contact);
        return;
      case "tick":
        for (const key of this.#deadlines.due(now))
          if (this.#held.has(key)) this.#wake(key, now);
          else this.#paging.wake(key, now);
    }
  }

  #join(peer: Hashname, contact: string, now: Time): void {
    this.#paging.join(peer, contact, this.#pairs.takeReaders(peer), now);
    // What was brought into memory by something else, before there was anybody to offer it to.
    const pair = this.#pairs.get(peer);
    for (const parcel of pair?.parcels() ?? []) {
      const mail = this.#held.get(parcel.mail);
      if (mail !== undefined) this.#paging.hold(peer, mail, pair?.gave(parcel) === true);
      if (parcel.state === "open") this.#out.push({ type: "offer", parcel });
    }
  }

  #post(fresh: Ownerless, to: readonly Addressee[]): void {
    const { id, contact } = fresh;
    const kind = kindOfLine(fresh);
    const turns = new Set(to.filter(({ peer }) => this.#paging.isTurn(peer, kind)));
    const place = this.#lines.add(contact, kind, fresh.kind === "card");
    const waits = to.flatMap((addressee) => (turns.has(addressee) ? [] : [addressee.peer]));
    const mail: Posted = { ...fresh, place, ledger: openLedger(fresh.created), parcels: [], waits };
    this.#held.add(mail);
    const record: PlaceRecord = { place };
    this.#out.push({ type: "save", key: placeKey(id), value: asJson(record) });
    for (const addressee of turns) {
      this.#paging.pass(addressee.peer, kind, place);
      this.#number(mail, addressee);
    }
    for (const peer of waits) this.#out.push({ type: "behind", peer });
    this.#save(id);
  }

  #address(id: string, to: Addressee | undefined): void {
    const mail = this.#held.get(id);
    this.#held.answered(id);
    if (mail === undefined || to === undefined || !isFor(mail, to.peer)) return;
    this.#number(mail, to);
    this.#save(id);
  }

  #number(mail: Posted, { peer, hello, partBytes }: Addressee): void {
    const number = this.#pairs.next(peer);
    const pair = this.#pairs.of(peer);
    const parcel = newParcel(mail, { ...number, peer, hello, partBytes });
    this.#supersede(pair, mail.parcels, peer);
    pair.number(parcel);
    mail.parcels.push(parcel);
    mail.waits = mail.waits.filter((each) => each !== peer);
    this.#paging.hold(peer, mail, true);
    this.#pairs.save(peer);
    this.#out.push({ type: "offer", parcel, isNew: true });
  }

  /** Of several parcels of one mail for one peer only the last is still asked about. */
  #supersede(pair: Pair, parcels: readonly Parcel[], peer: Hashname): void {
    for (const old of parcels) if (old.peer === peer) pair.drop(old);
  }

  #step(id: string, entry: LedgerEntry): void {
    const mail = this.#held.get(id);
    if (mail === undefined) return;
    const wasOpen = !isFinal(stateOf(mail.ledger));
    if (!append(mail.ledger, entry)) return;
    if (wasOpen && isFinal(entry.state)) this.#lines.ended(mail.contact, mail.kind === "card");
    this.#save(id);
    this.#out.push({ type: "state", mail, entry });
  }

  /** Somebody has it. */
  #settle(mail: Posted, now: Time): void {
    if (mail.leftover === undefined && isDone(mail)) this.#erase(mail, now);
    this.#save(mail.id);
  }

  /** No longer offered. A ledger that is final already keeps its state: some other peer has the mail. */
  #end(id: string, entry: LedgerEntry, now: Time): void {
    const mail = this.#held.get(id);
    if (mail === undefined || mail.leftover !== undefined) return;
    for (const parcel of mail.parcels) {
      if (parcel.state !== "open") continue;
      this.#pairs.close(parcel, "stopped");
      this.#out.push({ type: "stop", parcel });
      if (entry.state === "cancelled" && parcel.of > 1) this.#withdraw(parcel);
    }
    this.#step(id, entry);
    this.#erase(mail, now);
    this.#save(id);
  }

  /** The peer may have some parts, and would wait for the others until the mail expires. */
  #withdraw({ peer, epoch, seq, mail }: Parcel): void {
    const pair = this.#pairs.get(peer);
    if (pair === undefined) return;
    pair.cancelled.note(epoch, seq, mail);
    this.#pairs.save(peer);
    this.#out.push({ type: "floor", peer, isUrgent: true });
  }

  /** Its time was over, or its contact forgotten, while nothing in memory spoke of it. */
  #endUnseen(mail: Posted, why: "expired" | "forgotten", now: Time): void {
    this.#end(mail.id, why === "expired" ? { at: now, state: why } : { at: now, state: "cancelled", why }, now);
    // Nobody has anything of it; but a file's bytes may lie about after a crash.
    if (mail.parcels.length === 0 && mail.file === undefined) this.#retire(mail);
  }

  #leave(peer: Hashname, now: Time): void {
    this.#paging.leave(peer);
    this.#hearing.leave(peer);
    const parcels = [...(this.#pairs.remove(peer)?.parcels() ?? [])];
    for (const parcel of parcels) {
      if (parcel.state !== "open") continue;
      parcel.state = "stopped";
      this.#out.push({ type: "stop", parcel });
    }
    const mails = new Set(parcels.map(({ mail }) => mail));
    for (const mail of this.#held.all()) {
      if (mail.waits.includes(peer)) {
        mail.waits = mail.waits.filter((each) => each !== peer);
        mails.add(mail.id);
      }
    }
    for (const id of mails) {
      const mail = this.#held.get(id);
      // A mail that a contact's other peer got needs its content no more; one that nobody got may find a new peer.
      const isOver = mail !== undefined && isFinal(stateOf(mail.ledger));
      if (isOver && mail.leftover === undefined && isDone(mail)) this.#erase(mail, now);
      this.#save(id);
    }
  }

  // --- time ---

  #wake(id: string, now: Time): void {
    const mail = this.#held.get(id);
    if (mail === undefined) return;
    if (mail.leftover !== undefined && mail.leftover <= now) {
      mail.leftover = 0;
      for (const parcel of mail.parcels) {
        parcel.copies.clear();
        parcel.ids.clear();
      }
    }
    for (const parcel of [...mail.parcels]) {
      const pair = this.#pairs.get(parcel.peer);
      if (parcel.former !== undefined && parcel.former.until <= now) parcel.former = undefined;
      if (pair?.isStale(parcel)) this.#hearing.reseal(pair, parcel, now);
    }
    if (mail.leftover === undefined && this.#clock.isOver(mail.expires, now))
      this.#end(id, { at: now, state: "expired" }, now);
    if (mail.leftover !== undefined && now >= passAt(mail)) this.#pass(mail);
    if (now >= retireAt(mail, this.#pairs)) this.#retire(mail);
    else this.#save(id);
  }

  /** Of what is delivered to all, or only waits, no more than the newest stay in memory. */
  #rest(mail: Posted): void {
    const isWaiting = mail.leftover === undefined && mail.parcels.every(({ state }) => state !== "open");
    if (!isWaiting && !(mail.leftover === 0 && isSettled(mail, this.#pairs))) {
      this.#held.busy(mail.id);
      return;
    }
    if (!this.#held.isIdle(mail.id) && isWaiting) this.#paging.note(mail.place, mail.expires);
    const oldest = this.#held.idle(mail.id);
    if (oldest?.leftover !== undefined) this.#retire(oldest);
    else if (oldest !== undefined) this.#forget(oldest, false);
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

  /** It is over: the ledger remains, of what a user sent. */
  #retire(mail: Posted): void {
    const { id, contact, place, kind } = mail;
    // Of cards, and of what devices tell each other, nobody asks: they would pile up for ever.
    const isAsked = kind !== "card" && kind !== "sync";
    if (isAsked) this.#out.push({ type: "save", key: `ledger/${id}`, value: ledgerRecord(mail) });
    this.#out.push({ type: "save", key: queueKey(place), value: undefined });
    this.#out.push({ type: "save", key: placeKey(id), value: undefined });
    this.#forget(mail, true);
    if (this.#lines.removed(contact, place)) this.#paging.emptied(lineAt(place));
    // A line that begins again would be misread by whoever was in it before the start, and has not come yet.
    const isRead = this.#pairs.awaitsAny || this.#paging.hasReaders(contact);
    if (this.#lines.kept(contact) === 0 && !isRead) this.#lines.forget(contact);
  }

  /** Out of memory; `isGone`: out of the store, too. */
  #forget(mail: Posted, isGone: boolean): void {
    if (!this.#held.has(mail.id)) return;
    this.#held.remove(mail);
    this.#deadlines.set(mail.id, undefined);
    for (const parcel of mail.parcels) {
      this.#pairs.get(parcel.peer)?.retire(parcel);
      this.#paging.release(parcel.peer, kindOfLine(mail), mail.place);
    }
    this.#paging.left(mail.id, isGone);
  }

  /** Sets when something is to be done about the mail if nothing else happens. */
  #plan(mail: Posted): void {
    this.#deadlines.set(mail.id, lookAt(mail, this.#pairs, this.#clock.until));
  }

  // --- storing ---

  /** The content goes; the record knows for a while what may have to be done again after a crash. */
  #erase(mail: Posted, now: Time): void {
    mail.leftover = now + LEFTOVER_MS;
    mail.waits = [];
    this.#out.push({ type: "save", key: contentKey(mail.id), value: undefined });
    for (const { peer, hello } of mail.parcels)
      if (hello) this.#out.push({ type: "save", key: helloKey(mail.id, peer), value: undefined });
    if (mail.file !== undefined) this.#out.push({ type: "blob-remove", blob: mail.file.blob });
  }

  #save(id: string): void {
    const mail = this.#held.get(id);
    if (mail === undefined) return;
    this.#out.push({ type: "save", key: queueKey(mail.place), value: postedRecord(mail) });
    this.#plan(mail);
    this.#rest(mail);
  }

  /** From the store, and what a stop left undone. */
  #load(mail: Posted, now: Time): void {
    this.#held.add(mail);
    mail.waits = mail.waits.filter((peer) => this.#paging.has(peer));
    const overdue: Parcel[] = [];
    for (const parcel of mail.parcels) {
      const pair = this.#pairs.get(parcel.peer);
      if (pair === undefined) continue;
      this.#supersede(pair, mail.parcels.slice(0, mail.parcels.indexOf(parcel)), parcel.peer);
      if (pair.load(parcel)) overdue.push(parcel);
      this.#paging.hold(parcel.peer, mail, pair.gave(parcel));
    }
    this.#resume(mail, now);
    for (const parcel of overdue) this.#hearing.arrived(parcel, now);
    if (mail.leftover === undefined && isFinal(stateOf(mail.ledger)) && isDone(mail)) this.#erase(mail, now);
    this.#plan(mail);
    this.#rest(mail);
    for (const parcel of mail.parcels) if (parcel.state === "open") this.#out.push({ type: "offer", parcel });
  }

  /**
   * What was given up may lie about still; and old numbers mean nothing after a restore, nor when the peer was none of ours for a
   * while: it was told floors above them since.
   */
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
      if (parcel.state !== "open" || pair?.gave(parcel)) continue;
      // The peer may have forgotten what it had below floors that we no longer know of. Addressed again, the mail gets a
      // new number and with it an answer; by its id it is not shown twice. Or the peer is none of ours any more.
      this.#pairs.close(parcel, "stopped");
      if (pair !== undefined && !mail.waits.includes(parcel.peer)) mail.waits = [...mail.waits, parcel.peer];
      this.#out.push(...takeBack(parcel));
      this.#save(mail.id);
    }
  }
}

const IDLE_LIMIT = 256; // delivered, or behind the window: so many are listed
const PAGE = 64;
