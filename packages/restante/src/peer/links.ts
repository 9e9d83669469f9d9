/**
 * Links: for what we keep them, where the other end is, and what we show there to be let in.
 * As long as one reason is left the mesh keeps trying; with the last reason the link may go.
 */
import type { Time } from "../bytes/index.ts";
import type { Path } from "../card/index.ts";
import type { Hashname, Keys } from "../crypto/index.ts";
import type { Book } from "./book.ts";
import type { Door } from "./door.ts";
import type { Role, Step } from "./step.ts";

/** How to reach a hashname, and the admission URI that lets us in. */
export interface Address {
  readonly keys: Keys;
  readonly paths: readonly Path[];
  readonly uri: string | undefined;
}

/** "own": it is a cache of ours. "contact": its peers. Otherwise the role that has business there. */
type Reason = "own" | "contact" | Role;

export interface LinksOptions {
  readonly book: Book;
  readonly door: Door;
  /** The address of a cache that we are about to join. */
  readonly joining: (cache: Hashname) => Address | undefined;
}

/** The links that we want, and which of all links are up. */
export class Links {
  readonly #options: LinksOptions;
  readonly #reasons = new Map<Hashname, Set<Reason>>();
  /** What a contact's cache is shown: the URI of the mail that goes there. */
  readonly #uris = new Map<Hashname, string>();
  /** Of two that may be good: which it was last, and since when. */
  readonly #turns = new Map<Hashname, { readonly uri: string; readonly since: Time }>();
  readonly #up = new Set<Hashname>();

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  keep(hashname: Hashname, reason: Reason): Step[] {
    const reasons = this.#reasons.get(hashname) ?? new Set();
    this.#reasons.set(hashname, reasons);
    reasons.add(reason);
    const address = this.#address(hashname);
    if (address === undefined || address.paths.length === 0) return [];
    const { keys, paths, uri } = address;
    const peer = { hashname, keys, paths: [...paths] };
    return [{ child: "mesh", input: { type: "want", peer, ...(uri === undefined ? {} : { uri }) } }];
  }

  letGo(hashname: Hashname, reason: Reason): Step[] {
    const reasons = this.#reasons.get(hashname);
    if (reasons === undefined || !reasons.delete(reason) || reasons.size > 0) return [];
    this.#reasons.delete(hashname);
    this.#uris.delete(hashname);
    return [{ child: "mesh", input: { type: "unwant", hashname } }];
  }

  /**
   * Mail is about to go by `via`. A cache opens its door to the URI of any of its recipients. So it is shown that of the mail
   * which wants to go there now: a contact whose card gives a bad one for a cache keeps no other contact's mail away from it.
   * Where there are two that may be good, they take turns.
   */
  show(via: Hashname, uris: readonly string[], now: Time): Step[] {
    if (this.#up.has(via)) return [];
    const uri = uris.length > 1 ? this.#inTurn(via, uris, now) : uris[0];
    if (uri === undefined || this.#uris.get(via) === uri) return [];
    this.#uris.set(via, uri);
    const [reason] = this.#reasons.get(via) ?? [];
    return reason === undefined ? [] : this.keep(via, reason);
  }

  #inTurn(via: Hashname, uris: readonly string[], now: Time): string | undefined {
    const last = this.#turns.get(via);
    if (last !== undefined && now < last.since + TURN_MS && uris.includes(last.uri)) return last.uri;
    const uri = uris.find((each) => each !== last?.uri);
    if (uri !== undefined) this.#turns.set(via, { uri, since: now });
    return uri;
  }

  /** A router brought somebody. Whom we know looks for us: look back. Who nobody knows learns nothing. */
  introduced(hashname: Hashname): Step[] {
    return this.#options.book.isPeer(hashname) ? this.keep(hashname, "contact") : [];
  }

  /** A link came up or went down. The application is told about contacts and its own caches. */
  changed(hashname: Hashname, up: boolean): Step[] {
    if (up) this.#up.add(hashname);
    else this.#up.delete(hashname);
    const { book, door } = this.#options;
    const isTold = book.of(hashname) !== undefined || door.uses(hashname);
    return isTold ? [{ type: "event", event: { type: "link", hashname, up } }] : [];
  }

  isUp(hashname: Hashname): boolean {
    return this.#up.has(hashname);
  }

  /** Whether we look for this peer. */
  isWanted(hashname: Hashname): boolean {
    return this.#reasons.has(hashname);
  }

  /** Whether we look for this peer ourselves, or it is a contact's: then it need not ask to be let in. */
  isOurs(hashname: Hashname): boolean {
    return this.#reasons.has(hashname) || this.#options.book.isPeer(hashname);
  }

  /** As a cache that we join, as our own cache, as a contact, as a contact's cache. */
  #address(hashname: Hashname): Address | undefined {
    const { book, door, joining } = this.#options;
    const own = joining(hashname) ?? door.address(hashname);
    if (own !== undefined) return own;
    const known = book.address(hashname);
    const uri = book.of(hashname) === undefined ? this.#uris.get(hashname) : undefined;
    return known && { ...known, uri: uri ?? known.uri };
  }
}

const TURN_MS = 30_000; // less than mail waits for a link (box/outbox.ts)
