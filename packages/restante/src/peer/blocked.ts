/** Whom the user does not want to hear of any more, for good. Nobody can find out that he is among them. protocol/mail.md §12 */
import { asJson, ofJson, type Save, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";

/** A blocked peer, as the application sees it. */
export interface BlockedInfo {
  readonly hashname: Hashname;
  /** What it called itself then. */
  readonly name?: string;
  /** Since when. */
  readonly at: Time;
}

/** The list. It forgets nobody by itself: when it is full, the user has to make room. */
export class Blocked {
  readonly #boxOf: (sender: Hashname) => string;
  readonly #all = new Map<Hashname, BlockedInfo>();
  /** Where what they send to us lies at our caches. */
  readonly #boxes = new Set<string>();

  /** `saved`: keys "peer/blocked/...". `boxOf`: the box id from a sender to us. */
  constructor(options: { saved: ReadonlyMap<string, Uint8Array>; boxOf: (sender: Hashname) => string }) {
    this.#boxOf = options.boxOf;
    for (const [key, value] of options.saved)
      if (key.startsWith(BLOCKED))
        this.#add({ ...ofJson<SavedBlock>(value), hashname: key.slice(BLOCKED.length) as Hashname });
  }

  /** Oldest first. */
  all(): BlockedInfo[] {
    return [...this.#all.values()].sort((a, b) => a.at - b.at);
  }

  has(hashname: Hashname): boolean {
    return this.#all.has(hashname);
  }

  /** Whether a box towards us (16 hex) is one of theirs. */
  hasBox(box: string): boolean {
    return this.#boxes.has(box);
  }

  /** Whether so many more have a place. */
  hasRoom(count: number): boolean {
    return this.#all.size + count <= MAX_BLOCKED;
  }

  add(hashname: Hashname, name: string | undefined, at: Time): Save {
    const record: SavedBlock = { at, ...(name === undefined ? {} : { name }) };
    this.#add({ ...record, hashname });
    return { type: "save", key: BLOCKED + hashname, value: asJson(record) };
  }

  /** From now on it is a stranger like all others. Nothing for who is not blocked. */
  remove(hashname: Hashname): Save[] {
    if (!this.#all.delete(hashname)) return [];
    this.#boxes.delete(this.#boxOf(hashname));
    return [{ type: "save", key: BLOCKED + hashname, value: undefined }];
  }

  #add(info: BlockedInfo): void {
    this.#all.set(info.hashname, info);
    this.#boxes.add(this.#boxOf(info.hashname));
  }
}

type SavedBlock = Omit<BlockedInfo, "hashname">;

const BLOCKED = "peer/blocked/";
const MAX_BLOCKED = 10_000;
