/**
 * Our own card: where we can be reached, as each reader gets it. It has a new version when that has changed, and every
 * contact gets that as mail. protocol/card.md
 */
import { asJson, assert, fromHex, ofJson, type Time, toHex } from "../bytes/index.ts";
import { type Card, type CardPeer, encodeCard, fits, fitted, MAX_OTHERS } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Book, Contact } from "./book.ts";
import type { RootOptions } from "./contract.ts";
import type { Devices } from "./devices.ts";
import type { Door } from "./door.ts";
import { OURS, type Step } from "./step.ts";

export interface OwnCardOptions
  extends Pick<RootOptions, "crypto" | "identity" | "random" | "saved" | "paths" | "name" | "bazaar"> {
  readonly book: Book;
  readonly door: Door;
  /** Other devices of ours. */
  readonly devices: Pick<Devices, "others">;
}

/** The card, and its version. */
export class OwnCard {
  readonly #options: OwnCardOptions;
  #state: SavedState;
  /** `given` as it is stored. */
  #saved: string | undefined;
  /** The user gave another name than before, and no other device of ours has been told. */
  #isRenamed = false;

  constructor(options: OwnCardOptions) {
    this.#options = options;
    const saved = options.saved.get(OWN_CARD_KEY);
    const state: SavedState =
      saved === undefined ? { id: toHex(options.random(16)), version: 0, digest: "" } : ofJson(saved);
    const { name: given } = options;
    this.#saved = state.given;
    this.#isRenamed = given !== undefined && state.given !== undefined && given !== state.given;
    this.#state = {
      ...state,
      ...(given !== undefined && { given }),
      ...(this.#isRenamed && { renamed: (state.renamed ?? 0) + 1 }),
      // What the others gave out before is outdone.
      ...(this.#isRenamed && state.name !== undefined && { name: given }),
    };
  }

  get version(): number {
    return this.#state.version;
  }

  get name(): string | undefined {
    return this.#state.name === undefined ? this.#options.name : (this.#state.name ?? undefined);
  }

  /** How often the name that we give out was changed, on all devices: of two names the one with more counts. */
  get renamed(): number {
    return this.#state.renamed ?? 0;
  }

  /** The user gives us, and with this device all of ours, another name. Who learns of it: see `check`. */
  give(name: string): Step[] {
    if (name === this.name) return [];
    this.#isRenamed = true;
    this.#state = { ...this.#state, name, given: name, renamed: this.renamed + 1 };
    return this.check();
  }

  /** Whether the user gave another name since this was asked last: our other devices have to hear of it. */
  takeRenamed(): boolean {
    const isRenamed = this.#isRenamed;
    this.#isRenamed = false;
    return isRenamed;
  }

  /** 16 bytes: what contacts know us by, whatever our hashnames. */
  get id(): Uint8Array {
    const id = fromHex(this.#state.id);
    assert(id !== undefined, "the id of our card is hex");
    return id;
  }

  /** As `reader` gets it. Where all devices and caches together are too much for a card, what has room. */
  for(reader: Hashname): Card {
    return fitted(this.#whole(reader));
  }

  /** How many caches of ours, and of our other devices, have no room in our card. */
  get leftOut(): number {
    const { identity, devices } = this.#options;
    if (devices.others().length === 0) return 0; // all of one device have room
    const { hashname } = identity;
    const count = ({ peers }: Card): number => peers.reduce((sum, { caches }) => sum + caches.length, 0);
    return count(this.#whole(hashname)) - count(this.for(hashname));
  }

  #whole(reader: Hashname): Card {
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
    const { identity, paths, door, devices, bazaar } = this.#options;
    const { hashname, keys } = identity;
    const { name } = this;
    const family = contact && { holder: familyHolder(contact), devices: strangers };
    const caches = door.cachesFor(reader, family && { family });
    const { offer } = door;
    const more = { ...(bazaar && { bazaar: bazaar.address }), ...(offer && { offer }) };
    const own: CardPeer = { hashname, keys, paths, since: 0, caches, ...more };
    const peers = devices.others().map((recipient): CardPeer => {
      const { hashname, keys, paths, bazaar, offer } = recipient;
      const caches = door.cachesFor(reader, { recipient, ...(family && { family }) });
      return { hashname, keys, paths, since: 0, caches, ...(bazaar && { bazaar }), ...(offer && { offer }) };
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
  adopt(id: Uint8Array, name: string | undefined, renamed: number): Step {
    const { device = this.#state.id } = this.#state;
    // To be one more device changes nobody's name, whatever this one was called before.
    return this.#set({ ...this.#state, id: toHex(id), device, name: name ?? null, renamed });
  }

  /** Another device gives out this name, changed so often. Nothing when ours is as new. */
  rename(name: string | undefined, renamed: number): Step[] {
    const isLater = renamed > this.renamed || (renamed === this.renamed && (name ?? "") > (this.name ?? ""));
    if (renamed === 0 || !isLater || name === this.name) return [];
    return [this.#set({ ...this.#state, name: name ?? null, renamed })];
  }

  /** Another device gave out a card of this version: ours have to be above it, where they say something else. */
  raise(version: number): Step[] {
    // The first of all comes of what we are, not of what became of others.
    if (this.#state.version === 0 && version === 1) return [];
    return version > this.#state.version && version <= MAX_VERSION ? [this.#set({ ...this.#state, version })] : [];
  }

  /**
   * A contact has mail of another copy of our store: what that gave out may have the versions that ours have. Everybody gets the
   * card anew, above them; once a day at most, whatever contacts say.
   */
  copied(now: Time): Step[] {
    const seconds = Math.floor(now / 1000);
    if (this.#state.version === 0 || this.#state.version > seconds - DAY_S) return [];
    this.#state = { ...this.#state, version: seconds, digest: "" };
    return this.check();
  }

  /** Where we can be reached may have changed. The very first card goes to nobody: whoever comes to know us gets it then. */
  check(): Step[] {
    const { crypto, identity, book } = this.#options;
    const content = encodeCard({ ...this.for(identity.hashname), version: 0 });
    const digest = toHex(crypto.backend.sha256(content).subarray(0, 16));
    if (digest === this.#state.digest) return this.#saved === this.#state.given ? [] : [this.#set(this.#state)];
    const isFirst = this.#state.version === 0;
    const save = this.#set({ ...this.#state, version: this.#state.version + 1, digest });
    return isFirst ? [save] : [save, ...book.all().map(({ id }) => sendCard(id))];
  }

  #set(state: SavedState): Step {
    this.#state = state;
    this.#saved = state.given;
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
const DAY_S = 86_400;

interface SavedState {
  readonly id: string;
  readonly version: number;
  /** Of the content without the version. */
  readonly digest: string;
  /** As `id`, towards other devices of ours. */
  readonly device?: string;
  /** That our devices give out: none, for null. Absent: what the user calls this one. */
  readonly name?: string | null;
  /** How often it was changed; absent: never. */
  readonly renamed?: number;
  /** What the user called this one last: only another name is a change. */
  readonly given?: string;
}

/** Where our card lies in the store. */
export const OWN_CARD_KEY = "peer/card";
