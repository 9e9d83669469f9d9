/** Joining: how a cache becomes one of ours, by its operator's join link. protocol/admission.md */
import { admissionUri, type Path, parseJoinAnswer, parseJoinLink } from "../card/index.ts";
import { type Crypto, type Hashname, hashnameOf, type Identity, type Keys } from "../crypto/index.ts";
import type { Door } from "./door.ts";
import type { Address, Links } from "./links.ts";
import type { OwnCard } from "./own-card.ts";
import { refuse, type Step } from "./step.ts";

export interface JoiningOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly door: Door;
  readonly links: Links;
  readonly card: OwnCard;
}

interface Attempt extends Address {
  readonly cache: Hashname;
  readonly keys: Keys;
  readonly paths: readonly Path[];
  readonly uri: string;
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

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /** Use the cache behind this join link for our own mail. */
  join(req: number, link: string): Step[] {
    const { crypto, identity, door } = this.#options;
    const parsed = parseJoinLink(link);
    if (parsed === undefined) return [refuse(req, "bad-link", "this is not a join link of a cache")];
    const { keys, paths, token } = parsed;
    const cache = hashnameOf(crypto.backend, keys);
    if (cache === identity.hashname) return [refuse(req, "self", "a peer cannot be its own cache")];
    const caches = new Set([...door.caches.map((each) => each.hashname), cache]);
    for (const each of this.#attempts.values()) caches.add(each.cache);
    if (caches.size > MAX_CACHES) return [refuse(req, "full", `a peer has at most ${MAX_CACHES} caches`)];
    const uri = admissionUri(token);
    this.#attempts.set(req, { cache, keys, paths, uri });
    return [{ child: "join", input: { type: "join", req, cache, uri } }];
  }

  /** The cache's answer, as the head that it sent. */
  joined(req: number, head: Parameters<typeof parseJoinAnswer>[0]): Step[] {
    const { door, links, card, identity } = this.#options;
    const attempt = this.#attempts.get(req);
    const answer = parseJoinAnswer(head);
    if (attempt === undefined || answer === undefined) return this.failed(req, "refused");
    this.#attempts.delete(req);
    const { keys, paths } = attempt;
    const { cache, save } = door.join({ ...answer, keys, paths });
    const { hashname, quota, cap } = cache;
    return [
      save,
      { child: "mesh", input: { type: "routers", hashnames: door.routers } },
      ...links.keep(hashname, "own"),
      ownCaches(door, identity),
      ...card.check(),
      { type: "reply", req, value: { cache: hashname, quota, cap } },
    ];
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
    this.#attempts.delete(req);
    return [refuse(req, why, REFUSALS[why])];
  }

  /** How to reach a cache that has not answered yet. */
  address(cache: Hashname): Address | undefined {
    return [...this.#attempts.values()].find((attempt) => attempt.cache === cache);
  }
}

const MAX_CACHES = 8; // DESIGN 5: a card has at most 8 caches per peer
const REFUSALS = {
  refused: "the cache did not take us: its link may be old or revoked",
  unreachable: "the cache did not answer: is it running, and is its address reachable from here?",
} as const;
