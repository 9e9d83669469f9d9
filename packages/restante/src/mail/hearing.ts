/**
 * Hearing: what a peer's acknowledgement does to our mail. What it has is delivered; what it cannot open is sealed anew; and when
 * it speaks of mail that another copy of our store numbered, what is open is numbered anew. protocol/mail.md §8, §9, Reading
 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import { tellsOfCopy } from "./copied.ts";
import type { LedgerEntry } from "./ledger.ts";
import { LEFTOVER_MS } from "./lifetime.ts";
import type { Pair } from "./pair.ts";
import type { Pairs } from "./pairs.ts";
import { anew, type Parcel } from "./parcel.ts";
import type { Posted } from "./posted.ts";
import type { SpoolOut } from "./spool-turn.ts";

/** What of the spool is needed here. */
export interface HearingOptions {
  readonly pairs: Pairs;
  /** Whether something can be sealed to this forward key. */
  readonly isKey: (key: string) => boolean;
  /** Another epoch, 16 hex, never the same twice. */
  readonly draw: () => string;
  /** Is all that was numbered for the peer in memory? */
  readonly isWhole: (peer: Hashname) => boolean;
  /** Of what is in memory. */
  readonly get: (id: string) => Posted | undefined;
  /** The mail came so far, if that is news. */
  readonly step: (id: string, entry: LedgerEntry) => void;
  /** A peer has the mail: what nobody needs any more goes, and the rest is saved. */
  readonly settle: (mail: Posted, now: Time) => void;
  readonly save: (id: string) => void;
  /** Nothing changed, but something is to be done later. */
  readonly plan: (mail: Posted) => void;
  readonly put: (out: SpoolOut) => void;
}

/** Takes acknowledgements. */
export class Hearing {
  readonly #options: HearingOptions;
  /** What peers told before all that was numbered for them was read. */
  readonly #early = new Map<Hashname, readonly Acknowledgement[]>();

  constructor(options: HearingOptions) {
    this.#options = options;
  }

  /** The peer tells what it has. */
  hear(peer: Hashname, acknowledgement: Acknowledgement, now: Time): void {
    const { pairs, isWhole, isKey, step, put } = this.#options;
    const pair = pairs.get(peer);
    if (pair === undefined) return;
    if (!isWhole(peer)) {
      // Whether it speaks of our mail, or of that of a copy of our store, only those numbers tell.
      this.#early.set(peer, [...(this.#early.get(peer) ?? []), acknowledgement].slice(-EARLY_LIMIT));
      return;
    }
    const wasHeard = pair.view.isHeard;
    const mailOf = (seq: number): string | undefined => pair.get(pair.epoch, seq)?.mail;
    const isOpenBelow = (floor: number): boolean => pair.isOpenBelow(floor);
    const isCopied = tellsOfCopy({ epoch: pair.epoch, next: pair.next, mailOf, isOpenBelow }, acknowledgement);
    // Otherwise a mail of ours would pass for delivered because the other copy's was.
    const doubted = isCopied ? pair.epoch : undefined;
    if (isCopied && now >= pair.doubtedAt + DOUBT_MS) this.#renumber(peer, pair, now);
    const [floor, uses] = [pair.floor, pairs.uses(peer)];
    const { news, restored, hasKeys, arrived, below } = pair.merge(acknowledgement, isKey, doubted);
    if (!wasHeard || news || restored || hasKeys) pairs.save(peer);
    for (const parcel of arrived) this.arrived(parcel, now);
    for (const { mail } of isCopied ? [] : pair.read(acknowledgement.read ?? []))
      step(mail, { at: now, state: "read", peer });
    if (hasKeys) for (const parcel of pair.stale()) this.reseal(pair, parcel, now);
    if (pair.floor !== floor || String(pairs.uses(peer)) !== String(uses)) put({ type: "floor", peer });
    if (news || !wasHeard) put({ type: "progress", peer, ...(below && { below }) });
    if (restored) put({ type: "restored", peer });
  }

  /** All that has a number for the peer is in memory, so the floor says what it should, and what it told can be heard. */
  whole(peer: Hashname, now: Time): void {
    const pair = this.#options.pairs.get(peer);
    const floor = pair?.floor;
    pair?.whole();
    if (pair?.floor !== floor) this.#options.put({ type: "floor", peer });
    const early = this.#early.get(peer) ?? [];
    this.#early.delete(peer);
    for (const acknowledgement of early) this.hear(peer, acknowledgement, now);
  }

  /** The peer is no longer one of ours. */
  leave(peer: Hashname): void {
    this.#early.delete(peer);
  }

  /** The peer has the parcel whole. */
  arrived(parcel: Parcel, now: Time): void {
    const { pairs, get, step, settle, put } = this.#options;
    const wasOpen = parcel.state === "open";
    pairs.close(parcel, "acknowledged");
    pairs.get(parcel.peer)?.pass(parcel.epoch, parcel.seq);
    if (wasOpen) put({ type: "stop", parcel });
    step(parcel.mail, { at: now, state: "delivered", peer: parcel.peer });
    const mail = get(parcel.mail);
    if (mail === undefined) return;
    // It may have been given up, to be numbered anew.
    mail.waits = mail.waits.filter((peer) => peer !== parcel.peer);
    settle(mail, now);
  }

  /**
   * The peer has not got the key that the parcel was sealed to, so nobody can open it: other bytes under the same number, sealed
   * to a key that it has. Not at once each time, for a peer that tells other keys each time.
   */
  reseal(pair: Pair, parcel: Parcel, now: Time): void {
    const mail = this.#options.get(parcel.mail);
    const forward = pair.forwarding();
    if (mail === undefined || forward === undefined) return;
    if (now < (parcel.resealAt ?? 0)) {
      this.#options.plan(mail);
      return;
    }
    const fresh: Parcel = {
      ...anew(parcel, now + LEFTOVER_MS),
      generation: parcel.generation + 1,
      forward,
      resealAt: now + (RESEAL_MS[Math.min(parcel.generation, RESEAL_MS.length - 1)] ?? 0),
    };
    this.#replace(mail, parcel, fresh, () => pair.replace(fresh));
  }

  /** What is open goes out under numbers that no other copy of the store can give. By its id it is shown once. */
  #renumber(peer: Hashname, pair: Pair, now: Time): void {
    const { pairs, draw, get, put } = this.#options;
    pairs.rise(pair);
    const open = pair.renew(draw(), now);
    put({ type: "copied", peer });
    for (const parcel of open) {
      const mail = get(parcel.mail);
      if (mail === undefined) continue;
      const fresh: Parcel = { ...anew(parcel, now + LEFTOVER_MS), epoch: pair.epoch, seq: pair.next, floor: 1 };
      this.#replace(mail, parcel, fresh, () => {
        pair.drop(parcel);
        pair.number(fresh);
      });
    }
    pairs.save(peer);
  }

  /** Other bytes go out for it. `note`: how the pair knows of them. */
  #replace(mail: Posted, parcel: Parcel, fresh: Parcel, note: () => void): void {
    const { pairs, save, put } = this.#options;
    pairs.close(parcel, "stopped");
    note();
    mail.parcels[mail.parcels.indexOf(parcel)] = fresh;
    save(mail.id);
    put({ type: "stop", parcel });
    put({ type: "offer", parcel: fresh });
  }
}

const EARLY_LIMIT = 4; // each of them tells all that there is to tell
const DOUBT_MS = 3_600_000; // a peer that says it each time gives us the work each hour
const RESEAL_MS = [60_000, 600_000, 3_600_000, 6 * 3_600_000]; // once at once, then ever more rarely
