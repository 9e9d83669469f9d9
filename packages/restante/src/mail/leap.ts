/**
 * A clock may leap ahead and be set right later (a dead battery): then no mail's time was over. What runs out by a leap is kept
 * and offered for a while longer; a clock that is set back meanwhile finds it as it was. protocol/mail.md §10
 */
import { asJson, ofJson, type Save, type Time } from "../bytes/index.ts";

/** Looks at the clock, and doubts it where it leapt. */
export class LeapWatch {
  /** As it was seen last. */
  #seen: Time | undefined;
  #saved: Time | undefined;
  #until: Time = 0;

  /** `saved`: the value of CLOCK_KEY. */
  constructor(saved: Uint8Array | undefined) {
    if (saved !== undefined) this.#seen = this.#saved = ofJson<ClockRecord>(saved).seen;
  }

  /** Until then nothing expires. */
  get until(): Time {
    return this.#until;
  }

  /** Has its time come? */
  isOver(expires: Time, now: Time): boolean {
    return now >= Math.max(expires, this.#until);
  }

  /** What is to be saved of it. `isIdle`: nothing could expire. */
  look(now: Time, isIdle: boolean): Save | undefined {
    const seen = this.#seen ?? now;
    if (now - seen > LEAP_MS) this.#until = now + LEAP_GRACE_MS;
    else if (now < this.#until - LEAP_GRACE_MS) this.#until = 0;
    this.#seen = now;
    // Not while in doubt: the next start would take the wrong clock for granted.
    if (now < this.#until || isIdle) return undefined;
    if (Math.abs(now - (this.#saved ?? 0)) < SEEN_SAVED_MS) return undefined;
    this.#saved = now;
    const record: ClockRecord = { seen: now };
    return { type: "save", key: CLOCK_KEY, value: asJson(record) };
  }
}

interface ClockRecord {
  readonly seen: Time;
}

/** Where it is kept what the clock said. */
export const CLOCK_KEY = "mail/clock";
const DAY_MS = 86_400_000;
const LEAP_MS = 2 * DAY_MS; // between two looks at the clock: what is open is looked at once a day
const LEAP_GRACE_MS = 3_600_000; // time to set a clock right
const SEEN_SAVED_MS = 3_600_000;
