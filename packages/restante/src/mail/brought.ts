/**
 * What the bazaar brings: whose message it is. There is no box there that would say it: the key that signed it in the bazaar says
 * where to begin, and what the message itself proves decides. protocol/mail.md §15
 */
import { Budget, type Time, toHex } from "../bytes/index.ts";
import { type Crypto, type Hashname, highestCommon, type Identity, type Keys } from "../crypto/index.ts";
import { openMessage } from "../e3x/index.ts";
import { parseHelloKeys } from "./hello.ts";

/** A peer of a contact, as far as it is needed here. */
interface Known {
  readonly contact: string;
  readonly hashname: Hashname;
  readonly box: string;
  readonly keys: Keys;
}

export interface BroughtOptions<Peer extends Known> {
  readonly crypto: Crypto;
  readonly identity: Identity;
  /** Those that say that they have this key there. */
  readonly named: (key: Uint8Array) => readonly Peer[];
  /** Whose box towards us it is. */
  readonly ofBox: (box: string) => Peer | undefined;
  /** Box id from a sender to us. */
  readonly boxOf: (sender: Hashname) => string;
}

/** "later": too much of this kind now. "stranger": claims to be somebody who is no contact's; nothing is proven. */
export type Whose<Peer> =
  | { readonly type: "contact"; readonly peer: Peer; readonly inner: Uint8Array }
  | { readonly type: "stranger"; readonly box: string }
  | { readonly type: "later" | "junk" };

/** Opens what comes by the bazaar. */
export class Brought<Peer extends Known> {
  readonly #options: BroughtOptions<Peer>;
  readonly #openings = new Budget(OPENINGS / 60, OPENINGS);
  /** By key, as text, who proved to be there last; the newest last. */
  readonly #proven = new Map<string, Hashname>();

  constructor(options: BroughtOptions<Peer>) {
    this.#options = options;
  }

  /**
   * Anybody can write anybody's key into a card, so all who did are tried, with one opening and one proof each: who proved it last is
   * first, two peers of each contact, 64 at most. A message of nobody known there may still be a hello, whose key part says of whom;
   * such openings have a budget.
   */
  whose(key: Uint8Array, sealed: Uint8Array, now: Time): Whose<Peer> {
    const { crypto, identity, named, ofBox, boxOf } = this.#options;
    const candidates = this.#ranked(key, named(key));
    if (candidates.length === 0 && !this.#openings.take(now)) return { type: "later" };
    const opened = openMessage(crypto, identity, sealed);
    if (opened === undefined) return { type: "junk" };
    const isFrom = ({ keys }: Known): boolean => {
      const own = opened.csid === highestCommon(crypto, identity.keys, keys) ? keys.get(opened.csid) : undefined;
      return own !== undefined && opened.verify(own);
    };
    const { inner } = opened;
    const peer = candidates.find(isFrom);
    if (peer !== undefined) {
      this.#prove(key, peer);
      return { type: "contact", peer, inner };
    }
    if (candidates.length > 0 && !this.#openings.take(now)) return { type: "later" };
    const claim = parseHelloKeys(crypto, inner);
    if (claim === undefined) return { type: "junk" };
    const box = boxOf(claim.hashname);
    const known = ofBox(box);
    if (known === undefined) return { type: "stranger", box };
    return isFrom(known) ? { type: "contact", peer: known, inner } : { type: "junk" };
  }

  #ranked(key: Uint8Array, named: readonly Peer[]): Peer[] {
    const last = this.#proven.get(toHex(key));
    const counts = new Map<string, number>();
    const few = [...named].sort((a, b) => Number(b.hashname === last) - Number(a.hashname === last));
    const isOneOfFew = ({ contact }: Peer): boolean => {
      const count = (counts.get(contact) ?? 0) + 1;
      counts.set(contact, count);
      return count <= OF_A_CONTACT;
    };
    return few.filter(isOneOfFew).slice(0, CANDIDATES);
  }

  #prove(key: Uint8Array, { hashname }: Peer): void {
    const name = toHex(key);
    this.#proven.delete(name);
    this.#proven.set(name, hashname);
    const [oldest] = this.#proven.keys();
    if (this.#proven.size > PROVEN && oldest !== undefined) this.#proven.delete(oldest);
  }
}

const CANDIDATES = 64;
const OF_A_CONTACT = 2; // each device has a key of its own there
const PROVEN = 1024;
const OPENINGS = 20; // per minute, as of strangers whose mail lay in boxes
