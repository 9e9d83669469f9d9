/**
 * Our own card: where we can be reached, as each reader gets it. It has a new version when that has changed, and every
 * contact gets that as mail. protocol/card.md
 */
import { assert, fromHex, toHex } from "../bytes/index.ts";
import { type Card, encodeCard } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Book } from "./book.ts";
import type { RootOptions } from "./contract.ts";
import { asJson, type Door, ofJson } from "./door.ts";
import { OURS, type Step } from "./step.ts";

export interface OwnCardOptions
  extends Pick<RootOptions, "crypto" | "identity" | "random" | "saved" | "paths" | "name"> {
  readonly book: Book;
  readonly door: Door;
}

/** The card, and its version. */
export class OwnCard {
  readonly #options: OwnCardOptions;
  #state: SavedState;

  constructor(options: OwnCardOptions) {
    this.#options = options;
    const saved = options.saved.get(KEY);
    this.#state = saved === undefined ? { id: toHex(options.random(16)), version: 0, digest: "" } : ofJson(saved);
  }

  /** 16 bytes: what contacts know us by, whatever our hashnames. */
  get id(): Uint8Array {
    const id = fromHex(this.#state.id);
    assert(id !== undefined, "the id of our card is hex");
    return id;
  }

  for(reader: Hashname): Card {
    const { identity, paths, name, door } = this.#options;
    const { hashname, keys } = identity;
    return {
      id: this.id,
      version: this.#state.version,
      by: hashname,
      features: [],
      suites: ["static", "forward"],
      peers: [{ hashname, keys, paths, since: 0, caches: door.cachesFor(reader) }],
      ...(name === undefined ? {} : { name }),
    };
  }

  /** Where we can be reached may have changed. The very first card goes to nobody: whoever comes to know us gets it then. */
  check(): Step[] {
    const { crypto, identity, book } = this.#options;
    const content = encodeCard({ ...this.for(identity.hashname), version: 0 });
    const digest = toHex(crypto.backend.sha256(content).subarray(0, 16));
    if (digest === this.#state.digest) return [];
    const isFirst = this.#state.version === 0;
    this.#state = { ...this.#state, version: this.#state.version + 1, digest };
    const save: Step = { type: "save", key: KEY, value: asJson(this.#state) };
    return isFirst ? [save] : [save, ...book.all().map(({ id }) => sendCard(id))];
  }
}

/** Gives a contact our card, as mail. */
export function sendCard(contact: string): Step {
  return { child: "mail", input: { type: "send", req: OURS, contact, mail: { kind: "card" } } };
}

interface SavedState {
  readonly id: string;
  readonly version: number;
  /** Of the content without the version. */
  readonly digest: string;
}

const KEY = "peer/card";
