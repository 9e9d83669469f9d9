/** Joining: how a cache becomes one of ours, by its operator's join link, and gives us other keys. protocol/admission.md */
import type { Time } from "../bytes/index.ts";
import { admissionUri, type Path, parseJoinAnswer, parseJoinLink } from "../card/index.ts";
import { type Crypto, type Hashname, hashnameOf, type Identity, type Keys } from "../crypto/index.ts";
import type { Book } from "./book.ts";
import type { Door } from "./door.ts";
import type { Address, Links } from "./links.ts";
import { offersOf } from "./offers.ts";
import type { OwnCard } from "./own-card.ts";
import { REVOKED, refuse, type Step } from "./step.ts";

export interface JoiningOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly book: Book;
  readonly door: Door;
  readonly links: Links;
  readonly card: OwnCard;
}

interface Attempt extends Address {
  readonly cache: Hashname;
  readonly keys: Keys;
  readonly paths: readonly Path[];
  /** Absent: it offers itself to us, as a contact. */
  readonly uri: string | undefined;
  /** It is a cache of ours already, and is to give us this edition of our key: nobody waits for the answer. */
  readonly edition?: number;
}

/** What the tests of our caches have to know of them: where, and by what token we leave mail for ourselves. */
export function ownCaches(door: Door, { hashname: self }: Identity): Step {
  const caches = door.cachesFor(self).map(({ hashname, uri }) => ({ hashname, uri }));
  return { child: "mail", input: { type: "caches", caches } };
}

/** Caches that have not answered yet. As many as a peer may have, at most. */
export class Joining {
  readonly #options: JoiningOptions;
  /** By the number of the call. */
  readonly #attempts = new Map<number, Attempt>();
  /** Numbers of attempts that are our own. */
  #own = FIRST_OWN;

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /** Use the cache behind this join link for our own mail. */
  join(req: number, link: string): Step[] {
    const { crypto, identity } = this.#options;
    const parsed = parseJoinLink(link);
    if (parsed === undefined) return [refuse(req, "bad-link", "this is not a join link of a cache")];
    const { keys, paths, token } = parsed;
    const cache = hashnameOf(crypto.backend, keys);
    if (cache === identity.hashname) return [refuse(req, "self", "a peer cannot be its own cache")];
    return this.#ask(req, { cache, keys, paths, uri: admissionUri(token) });
  }

  /** Use the cache that a contact offers us; of several one that is there, if any is. */
  take(req: number, contact: string): Step[] {
    const { book, door, links } = this.#options;
    const known = book.get(contact);
    const offers = known === undefined ? [] : offersOf(book, known, (cache) => door.uses(cache));
    const offer = offers.find(({ cache }) => links.isUp(cache)) ?? offers[0];
    const peer = known && book.peersOf(known).find(({ hashname }) => hashname === offer?.cache);
    if (peer === undefined)
      return [refuse(req, "no-offer", "this contact offers no cache, or none that is not yours already")];
    const { hashname: cache, keys, paths } = peer;
    return this.#ask(req, { cache, keys, paths, uri: undefined });
  }

  #ask(req: number, attempt: Attempt): Step[] {
    const { door } = this.#options;
    const { cache, uri } = attempt;
    const caches = new Set([...door.caches.map((each) => each.hashname), cache]);
    for (const each of this.#attempts.values()) caches.add(each.cache);
    if (caches.size > MAX_CACHES) return [refuse(req, "full", `a peer has at most ${MAX_CACHES} caches`)];
    this.#attempts.set(req, attempt);
    // Not the first key where that is no secret of ours any more: at a cache that we have left it may be void, too.
    const wanted = door.edition === 0 ? {} : { edition: door.edition };
    return [{ child: "join", input: { type: "join", req, cache, uri, ...wanted } }];
  }

  /** The cache's answer, as the head that it sent. */
  joined(req: number, head: Parameters<typeof parseJoinAnswer>[0], now: Time): Step[] {
    const { door, links, card, identity } = this.#options;
    const attempt = this.#attempts.get(req);
    const answer = parseJoinAnswer(head);
    if (attempt === undefined || answer === undefined) return this.failed(req, "refused");
    this.#attempts.delete(req);
    const { keys, paths, edition } = attempt;
    // One that knows of no editions says what it said before.
    if (edition !== undefined && (answer.edition !== edition || !door.uses(attempt.cache))) return [];
    const { cache, save } = door.join({ ...answer, keys, paths, ...(edition !== undefined && { since: now }) });
    const { hashname, quota, cap } = cache;
    return [
      save,
      ...(edition === undefined ? [] : [REVOKED]),
      { child: "mesh", input: { type: "routers", hashnames: door.routers } },
      ...links.keep(hashname, "own"),
      ownCaches(door, identity),
      ...card.check(),
      ...(edition === undefined ? [{ type: "reply", req, value: { cache: hashname, quota, cap } } as const] : []),
      ...(answer.edition === undefined ? [] : this.renew(hashname)), // what we want may have changed meanwhile
    ];
  }

  /** Asks those of our caches that have not given it yet for another key, where we want one; `only`: this one. */
  renew(only?: Hashname): Step[] {
    const { door } = this.#options;
    const wanted = door.edition;
    if (wanted === 0) return [];
    return door.caches.flatMap(({ hashname: cache, keys, paths, edition = 0 }): Step[] => {
      const uri = door.address(cache)?.uri;
      const isAsked = [...this.#attempts.values()].some((attempt) => attempt.cache === cache);
      if (uri === undefined || isAsked || wanted <= edition || (only !== undefined && only !== cache)) return [];
      const req = this.#own--;
      this.#attempts.set(req, { cache, keys, paths, uri, edition: wanted });
      return [{ child: "join", input: { type: "join", req, cache, uri, edition: wanted } }];
    });
  }

  /** Not to use a cache any more: our card does not name it from now on. */
  leave(req: number, cache: Hashname): Step[] {
    const { door, links, card, identity } = this.#options;
    const uri = door.address(cache)?.uri;
    const saves = door.leave(cache);
    if (uri === undefined) return [refuse(req, "not-found", "this is no cache of yours")];
    return [
      ...saves,
      { child: "revocation", input: { type: "leave", cache, uri } },
      { child: "mesh", input: { type: "routers", hashnames: door.routers } },
      ...links.letGo(cache, "own"),
      ownCaches(door, identity),
      ...card.check(),
      { type: "reply", req, value: {} },
    ];
  }

  failed(req: number, why: keyof typeof REFUSALS): Step[] {
    const attempt = this.#attempts.get(req);
    this.#attempts.delete(req);
    if (attempt?.edition !== undefined) return []; // with its next link it is asked again
    return [refuse(req, why, REFUSALS[why])];
  }

  /** How to reach a cache that has not answered yet. */
  address(cache: Hashname): Address | undefined {
    return [...this.#attempts.values()].find((attempt) => attempt.cache === cache && attempt.edition === undefined);
  }
}

const FIRST_OWN = -2; // `OURS` is -1
const MAX_CACHES = 8; // DESIGN 5: a card has at most 8 caches per peer
const REFUSALS = {
  refused: "the cache did not take us: its link may be old or revoked, or what was offered is not any more",
  unreachable: "the cache did not answer: is it running, and is its address reachable from here?",
} as const;
