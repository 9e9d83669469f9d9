/**
 * GET /v1/cache/totals: how the cache of this node fares over time. Totals only, of all recipients together: of whom and for whom
 * is never counted. Kept in memory, of a bounded size, and gone with the process.
 */
import type { BoxStats, Peer } from "restante";
import type { TotalsInfo } from "./totals-answer.ts";

type Slot = TotalsInfo["minutes"][number];

/** Tells them, up to now; `undefined` while no cache is served. */
export type TotalsWatch = (now: number) => TotalsInfo | undefined;

/** Keeps totals of the peer's cache until `signal` aborts, from when it begins to be served; gives what tells them, up to now. */
export function watchTotals(peer: Pick<Peer, "status">, signal: AbortSignal): TotalsWatch {
  let totals: Totals | undefined;
  const note = (now: number): void => {
    try {
      const { held } = peer.status();
      if (held === undefined) totals = undefined;
      else if (totals === undefined) totals = new Totals(held, now);
      else totals.note(held, now);
    } catch {
      // Between a failure of the store and the next try there is nobody to ask.
    }
  };
  note(Date.now());
  const beat = setInterval(() => note(Date.now()), MINUTE_MS);
  beat.unref();
  signal.addEventListener("abort", () => clearInterval(beat), { once: true });
  return (now) => {
    note(now);
    return totals?.info();
  };
}

/** Adds up what the cache says of itself. */
export class Totals {
  #last: BoxStats;
  readonly #minutes: Slot[] = [];
  readonly #hours: Slot[] = [];
  /** Message-milliseconds, and how many left, of each minute: what lay here on average, by how many go in a time. */
  readonly #lain: { at: number; ms: number; left: number }[] = [];
  #noted: number;

  constructor(held: BoxStats, now: number) {
    this.#last = held;
    this.#noted = now;
    this.note(held, now);
  }

  /** `held`: as it is now. To be called about every minute, and before it is asked. */
  note(held: BoxStats, now: number): void {
    const last = this.#last;
    const grown = (name: "gained" | "refused" | "evicted" | "expired"): number => Math.max(0, held[name] - last[name]);
    const [taken, evicted, expired] = [grown("gained"), grown("evicted"), grown("expired")];
    const left = Math.max(0, last.messages + taken - held.messages);
    const collected = Math.max(0, left - evicted - expired);
    const ms = ((last.messages + held.messages) / 2) * Math.max(0, now - this.#noted);
    this.#lain.push({ at: now, ms, left });
    while ((this.#lain[0]?.at ?? now) <= now - HOUR_MS || this.#lain.length > MAX_LAIN) this.#lain.shift();
    const kept = { messages: held.messages, bytes: held.bytes, recipients: held.recipients, ...this.#stay() };
    const came = { taken, collected, refused: grown("refused"), evicted, expired };
    add(this.#minutes, MINUTE_MS, MINUTES, now, kept, came);
    add(this.#hours, HOUR_MS, HOURS, now, kept, came);
    [this.#last, this.#noted] = [held, now];
  }

  info(): TotalsInfo {
    return { minutes: [...this.#minutes], hours: [...this.#hours], ...this.#stay() };
  }

  /** What lay here by what left, of the last hour: no message's own age is known here, and need not be. */
  #stay(): Pick<TotalsInfo, "stay"> {
    const ms = this.#lain.reduce((sum, each) => sum + each.ms, 0);
    const left = this.#lain.reduce((sum, each) => sum + each.left, 0);
    return left > 0 ? { stay: Math.round(ms / left) } : {};
  }
}

type Now = Pick<Slot, "messages" | "bytes" | "recipients" | "stay">;
type Came = Pick<Slot, "taken" | "collected" | "refused" | "evicted" | "expired">;

/** Into the slot of now, or a new one behind it. A gap of time leaves a gap. */
function add(slots: Slot[], width: number, limit: number, now: number, is: Now, came: Came): void {
  const at = (Math.floor(now / width) + 1) * width;
  const open = slots.at(-1);
  if (open?.at === at) {
    delete open.stay; // of an hour in which none left there is none
    Object.assign(open, is);
    for (const name of COUNTS) open[name] += came[name];
    return;
  }
  slots.push({ at, ...is, ...came });
  // By time too: after a sleep of the machine the week before is not this week.
  while (slots.length > limit || (slots[0]?.at ?? at) <= at - limit * width) slots.shift();
}

const COUNTS = ["taken", "collected", "refused", "evicted", "expired"] as const;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MINUTES = 60;
const HOURS = 168;
const MAX_LAIN = 4096; // however often it is asked
