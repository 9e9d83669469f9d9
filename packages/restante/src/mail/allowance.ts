/**
 * What a contact may make us keep in a day. Whoever is let in can write as much as it likes, and all of it is kept for the user:
 * so that a flood is no full disk before anybody looks, the rest of it stays where it is until the next day. protocol/mail.md §8
 */
import { asJson, ofJson, type Save, type Time } from "../bytes/index.ts";

/** Of one contact, all of its peers together. */
export class Allowance {
  readonly #key: string;
  readonly #limit: number;
  #day: number;
  #bytes: number;
  #isTold = false;

  /** `saved`: the value of `allowanceKey`. `limit`: bytes. */
  constructor({ contact, saved, limit }: { contact: string; saved: Uint8Array | undefined; limit: number }) {
    const { day, bytes }: DayRecord = saved === undefined ? { day: 0, bytes: 0 } : ofJson(saved);
    this.#key = allowanceKey(contact);
    this.#limit = limit;
    this.#day = day;
    this.#bytes = bytes;
  }

  /** Whether so many bytes more are welcome today. One mail always is: a limit below its size would be none. */
  hasRoom(bytes: number, now: Time): boolean {
    this.#turn(now);
    return this.#bytes === 0 || this.#bytes + bytes + RECORD_BYTES <= this.#limit;
  }

  /** Counts what is kept now. Saved now and then: after a crash the last of it counts as never come. */
  spend(bytes: number, now: Time): Save[] {
    this.#turn(now);
    const before = this.#bytes;
    this.#bytes += bytes + RECORD_BYTES;
    if (Math.floor(before / STEP_BYTES) === Math.floor(this.#bytes / STEP_BYTES)) return [];
    const record: DayRecord = { day: this.#day, bytes: this.#bytes };
    return [{ type: "save", key: this.#key, value: asJson(record) }];
  }

  /** When there is room again, if that was not asked on the same day before. */
  refused(now: Time): Time | undefined {
    this.#turn(now);
    if (this.#isTold) return undefined;
    this.#isTold = true;
    return (this.#day + 1) * DAY_MS;
  }

  #turn(now: Time): void {
    const day = Math.floor(now / DAY_MS);
    if (day === this.#day) return;
    this.#day = day;
    this.#bytes = 0;
    this.#isTold = false;
  }
}

/** Where it lies what a contact used. */
export function allowanceKey(contact: string): string {
  return `mail/day/${contact}`;
}

interface DayRecord {
  /** Since 1970, in UTC. */
  readonly day: number;
  readonly bytes: number;
}

const DAY_MS = 86_400_000;
const RECORD_BYTES = 512; // what is kept beside the content
const STEP_BYTES = 1024 * 1024;
