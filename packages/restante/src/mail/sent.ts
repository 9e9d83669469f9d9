/** What we wrote, kept for the conversation when it is long delivered. Written in the batch that queues the mail. */
import { asJson, ofJson, type Save, type Time } from "../bytes/index.ts";
import type { FileHead } from "./envelope.ts";
import type { Draft } from "./turn.ts";

/** A mail of ours as it lies under "sent/<n, 12 digits>" as JSON. Of a file there is the head alone: its bytes go with its delivery. */
export interface SentRecord {
  /** Its place among all that we sent, from 1. */
  readonly n: number;
  readonly contact: string;
  /** 32 hex. Of a mail to several contacts each has a record with the same id. */
  readonly id: string;
  /** Mails of the contact that we had by then. */
  readonly after: readonly string[];
  readonly time: Time;
  /** "text" or "file". */
  readonly kind: string;
  readonly text?: string;
  readonly file?: FileHead;
}

/** Numbers what we send. */
export class Sent {
  readonly #isKept: boolean;
  #last: number;

  /** `saved`: the value of "mail/sent". `isKept`: whether anything is kept at all. */
  constructor({ saved, isKept }: { saved: Uint8Array | undefined; isKept: boolean }) {
    this.#isKept = isKept;
    this.#last = saved === undefined ? 0 : ofJson<CountRecord>(saved).last;
  }

  /** Number of the newest; 0 when there is none. */
  get last(): number {
    return this.#last;
  }

  /** What is to be saved so that a mail is kept: nothing for cards, which the user did not write. */
  keep(draft: Draft, about: Pick<SentRecord, "id" | "contact" | "after" | "time">): Save[] {
    if (!this.#isKept || draft.kind === "card" || draft.kind === "sync") return [];
    const n = ++this.#last;
    const record: SentRecord = {
      ...{ n, ...about, kind: draft.kind },
      ...(draft.kind === "text"
        ? { text: draft.text }
        : { file: { name: draft.name, media: draft.media, size: draft.size, sha256: draft.sha256 } }),
    };
    const count: CountRecord = { last: n };
    return [
      { type: "save", key: sentKey(n), value: asJson(record) },
      { type: "save", key: SENT_COUNT_KEY, value: asJson(count) },
    ];
  }
}

/** Where the number of the newest lies. */
export const SENT_COUNT_KEY = "mail/sent";

/** Keys sort as the numbers do. */
function sentKey(n: number): string {
  return `sent/${String(n).padStart(12, "0")}`;
}

interface CountRecord {
  readonly last: number;
}
