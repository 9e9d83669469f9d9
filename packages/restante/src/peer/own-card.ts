/**
 * Our own card: where we can be reached, as each reader gets it. It has a new version when that has changed, and every
 * contact gets that as mail. protocol/card.md
 */
import { assert, fromHex, type Time, toHex } from "../bytes/index.ts";
import { type Card, type CardPeer, encodeCard, fits, MAX_OTHERS } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Book, Contact } from "./book.ts";
import type { RootOptions } from "./contract.ts";
import type { Devices } from "./devices.ts";
import { asJson, type Door, ofJson } from "./door.ts";
import { OURS, type Step } from "./step.ts";

export interface OwnCardOptions
  extends Pick<RootOptions, "crypto" | "identity" | "random" | "saved" | "paths" | "name"> {
  readonly book: Book;
  readonly door: Door;
  /** Other devices of ours. */
  readonly devices: Pick<Devices, "others">;
}

/** The card, and its version. */
export class OwnCard {
  readonly #options: OwnCardOptions;
  #state: SavedState;

  constructor(options: OwnCardOptions) {
    this.#options = options;
    const saved = options.saved.get(OWN_CARD_KEY);
    this.#state = saved === undefined ? { id: toHex(options.random(16)), version: 0, digest: "" } : ofJson(saved);
  }

  get version(): number {
    return this.#state.version;
  }

  get name(): string | undefined {
    return this.#options.name ?? this.#state.name;
  }

  /** 16 bytes: what contacts know us by, whatever our hashnames. */
  get id(): Uint8Array {
    const id = fromHex(this.#state.id);
    assert(id !== undefined, "the id of our card is hex");
    return id;
  }

  for(reader: Hashname): Card {
    const contact = this.#options.book.of(reader);
    // A contact says how many devices it has, and each costs a token for each of our caches: those that have room get one.
    let strangers = contact === undefined ? [] : strangersIn(contact, this.#options.book);
    for (;;) {
      const card = this.#cardWith(reader, contact, strangers);
      if (strangers.length === 0 || fits(card)) return card;
      strangers = strangers.slice(0, -1);
    }
  }

  #cardWith(reader: Hashname, contact: Contact | undefined, strangers: readonly Hashname[]): Card {
    const { identity, paths, door, devices } = this.#options;
    const { hashname, keys } = identity;
    const { name } = this;
    const family = contact && { holder: familyHolder(contact), devices: strangers };
    const own: CardPeer = { hashname, keys, paths, since: 0, caches: door.cachesFor(reader, family && { family }) };
    const peers = devices.others().map((recipient): CardPeer => {
      const caches = door.cachesFor(reader, { recipient, ...(family && { family }) });
      return { hashname: recipient.hashname, keys: recipient.keys, paths: recipient.paths, since: 0, caches };
    });
    // Between devices each is a contact of its own: under one id with all of them they could not tell each other apart.
    const [id, all] = contact?.own ? [this.#state.device ?? this.#state.id, [own]] : [this.#state.id, [own, ...peers]];
    return {
      id: fromHex(id) ?? this.id,
      version: this.#state.version,
      by: hashname,
      features: [],
      suites: ["static", "forward"],
      peers: all.sort((a, b) => (a.hashname < b.hashname ? -1 : 1)),
      ...(name === undefined ? {} : { name }),
    };
  }

  /** From now on we are one of several: towards the others we have an id of our own. */
  startFamily(): Step {
    const device = this.#state.device ?? toHex(this.#options.random(16));
    return this.#set({ ...this.#state, device });
  }

  /** From now on contacts know us by this id, as another device that has it already. The one before stays for that device. */
  adopt(id: Uint8Array, name: string | undefined): Step {
    const { device = this.#state.id } = this.#state;
    return this.#set({ ...this.#state, id: toHex(id), device, ...(name !== undefined && { name }) });
  }

  /** Another device gave out a card of this version: ours have to be above it, where they say something else. */
  raise(version: number): Step[] {
    return version > this.#state.version && version <= MAX_VERSION ? [this.#set({ ...this.#state, version })] : [];
  }

  /** Where we can be reached may have changed. The very first card goes to nobody: whoever comes to know us gets it then. */
  check(): Step[] {
    const { crypto, identity, book } = this.#options;
    const content = encodeCard({ ...this.for(identity.hashname), version: 0 });
    const digest = toHex(crypto.backend.sha256(content).subarray(0, 16));
    if (digest === this.#state.digest) return [];
    const isFirst = this.#state.version === 0;
    const save = this.#set({ ...this.#state, version: this.#state.version + 1, digest });
    return isFirst ? [save] : [save, ...book.all().map(({ id }) => sendCard(id))];
  }

  #set(state: SavedState): Step {
    this.#state = state;
    return { type: "save", key: OWN_CARD_KEY, value: asJson(state) };
  }
}

/** For whom the tokens are that a contact gets for devices which have not shown themselves. */
export function familyHolder({ id }: Contact): string {
  return `device-${id}`;
}

/** Who stands in a contact's card and is nobody that we know. */
function strangersIn({ card, peers }: Contact, book: Book): Hashname[] {
  const named = card.peers.map(({ hashname }) => hashname);
  return named.filter((each) => !peers.includes(each) && book.of(each) === undefined).slice(0, MAX_OTHERS);
}

/** Gives a contact our card, as mail. */
export function sendCard(contact: string): Step {
  return { child: "mail", input: { type: "send", req: OURS, contact, mail: { kind: "card" } } };
}

/**
 * The record of our card as a copied store has to have it: the next `check` gives it to everybody, with a version above those
 * that were given out elsewhere. Those count up by one from 0 or from an earlier such second, and cards do not change each second.
 */
export function laterCard(record: Uint8Array, now: Time): Uint8Array {
  const state: SavedState = ofJson(record);
  // The very first one goes to nobody, and nobody has it.
  return state.version === 0
    ? record
    : asJson({ ...state, version: Math.max(state.version, Math.floor(now / 1000)), digest: "" });
}

/** Cards count up by one, or go by the seconds since 1970: what is above was made up, and nobody could count on from it. */
const MAX_VERSION: number = 2 ** 48;

interface SavedState {
  readonly id: string;
  readonly version: number;
  /** Of the content without the version. */
  readonly digest: string;
  /** As `id`, towards other devices of ours. */
  readonly device?: string;
  /** That the others give out. */
  readonly name?: string;
}

/** Where our card lies in the store. */
export const OWN_CARD_KEY = "peer/card";
