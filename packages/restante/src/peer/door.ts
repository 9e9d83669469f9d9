/**
 * The door: who may link to us, what a sender may leave in our cache for whom, and by what tokens others let us in.
 * Everything that we grant follows from our identity; the only lists are our own invites and the caches that we joined.
 * protocol/admission.md
 */
import { assert, fromBase32, fromUtf8, type Time, toBase32, toHex, utf8 } from "../bytes/index.ts";
import {
  admissionUri,
  type CacheRef,
  cacheKey,
  encodeJoinAnswer,
  encodeJoinLink,
  type JoinAnswer,
  mintToken,
  type Path,
  parseAdmissionUri,
  parseSecretUri,
  recipientKey,
  type TokenClass,
  verifyToken,
} from "../card/index.ts";
import {
  type Crypto,
  encodeKeys,
  type Hashname,
  hashnameOf,
  type Identity,
  type Keys,
  parseKeys,
} from "../crypto/index.ts";

/** What is to be written; `undefined` deletes. */
export interface Save {
  readonly type: "save";
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** A cache that holds our mail. */
export interface JoinedCache extends JoinAnswer {
  readonly hashname: Hashname;
  readonly keys: Keys;
  readonly paths: readonly Path[];
}

export interface DoorOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly saved: ReadonlyMap<string, Uint8Array>;
  /** What we grant to recipients; absent where we serve no cache. */
  readonly serves: { readonly cap: number; readonly quota: number; readonly routes?: true } | undefined;
}

/** Grants and checks tokens. */
export class Door {
  readonly #options: DoorOptions;
  readonly #key: Uint8Array;
  readonly #joined = new Map<Hashname, JoinedCache>();
  /** By the hex of their secret, oldest first. */
  readonly #invites = new Map<string, { once: boolean }>();

  constructor(options: DoorOptions) {
    this.#options = options;
    const { crypto, identity, saved } = options;
    this.#key = cacheKey(crypto.backend, cacheSecret(crypto, identity));
    const invites: [id: string, invite: SavedInvite][] = [];
    for (const [key, value] of saved) {
      if (key.startsWith(INVITE)) invites.push([key.slice(INVITE.length), ofJson(value)]);
      else if (key.startsWith(CACHE)) this.#remember(ofJson<SavedCache>(value));
    }
    invites.sort(([, a], [, b]) => a.at - b.at);
    for (const [id, { once }] of invites) this.#invites.set(id, { once });
  }

  // --- who may come in ---

  /** Whether the admission URI of a handshake lets this peer link to us. */
  admits(uri: string, peer: Hashname, now: Time): boolean {
    const secret = parseSecretUri(uri);
    return (secret !== undefined && this.hasInvite(secret)) || this.#verify(uri, peer, now) !== undefined;
  }

  /** What a sender may leave here for `to`; `undefined`: nothing. */
  quotaClass(
    uri: string | undefined,
    to: Hashname,
    sender: Hashname,
    now: Time,
  ): "member" | "contact" | "stranger" | undefined {
    const token = this.#options.serves && this.#verify(uri, sender, now);
    if (token?.recipient !== to) return undefined;
    if (token.class === "invite") return "stranger";
    return token.class === "join" ? undefined : token.class;
  }

  /**
   * Whether who shows this URI may reach `to` by us: our recipients reach everybody who has a link to us, and everybody who
   * may leave mail for a recipient reaches that one.
   */
  mayReach(uri: string | undefined, from: Hashname, to: Hashname, now: Time): boolean {
    const token = this.#options.serves && this.#verify(uri, from, now);
    if (token === undefined || token.class === "join") return false;
    return token.recipient === to || token.recipient === from;
  }

  /** The head of our answer to a peer that wants to be a recipient; `undefined`: its join token is no good. */
  joinAnswer(uri: string | undefined, peer: Hashname, now: Time): ReturnType<typeof encodeJoinAnswer> | undefined {
    const { serves, crypto, identity } = this.#options;
    const token = serves && this.#verify(uri, peer, now);
    if (serves === undefined || token?.class !== "join" || token.recipient !== identity.hashname) return undefined;
    const key = recipientKey(crypto.backend, this.#key, peer);
    return encodeJoinAnswer({ key, ...serves, store: identity.hashname.slice(0, STORE_LENGTH) });
  }

  /** A link for recipients to join the cache that we serve. It works until our identity changes. */
  joinLink(paths: readonly Path[]): string {
    const { crypto, identity } = this.#options;
    const key = recipientKey(crypto.backend, this.#key, identity.hashname);
    return encodeJoinLink({
      keys: identity.keys,
      paths: [...paths],
      token: this.#mint(key, identity.hashname, "join"),
    });
  }

  #verify(uri: string | undefined, sender: Hashname, now: Time): ReturnType<typeof verifyToken> {
    const token = uri === undefined ? undefined : parseAdmissionUri(uri);
    return token && verifyToken(this.#options.crypto.backend, this.#key, token, sender, now);
  }

  // --- our own caches ---

  get caches(): readonly JoinedCache[] {
    return [...this.#joined.values()];
  }

  /** How to reach a cache of ours, and the URI that lets us in. */
  address(cache: Hashname): { keys: Keys; paths: readonly Path[]; uri: string } | undefined {
    const joined = this.#joined.get(cache);
    if (joined === undefined) return undefined;
    const self = this.#options.identity.hashname;
    return { keys: joined.keys, paths: joined.paths, uri: admissionUri(this.#mint(joined.key, self, "member", self)) };
  }

  join(cache: Omit<JoinedCache, "hashname">): { cache: JoinedCache; save: Save } {
    const { keys, key, ...rest } = cache;
    const saved: SavedCache = { ...rest, keys: encodeKeys(keys), key: toBase32(key) };
    const joined = this.#remember(saved);
    return { cache: joined, save: { type: "save", key: CACHE + joined.hashname, value: asJson(saved) } };
  }

  #remember({ keys, key, ...rest }: SavedCache): JoinedCache {
    const csks = parseKeys(keys);
    const secret = fromBase32(key);
    assert(csks !== undefined && secret !== undefined, "a saved cache is readable");
    const hashname = hashnameOf(this.#options.crypto.backend, csks);
    const joined: JoinedCache = { ...rest, hashname, keys: csks, key: secret };
    this.#joined.set(hashname, joined);
    return joined;
  }

  /**
   * Our caches as a reader of our card gets them: with a token for that reader alone, or (an invite) for anybody, who then
   * may leave no more than a stranger.
   */
  cachesFor(reader: Hashname | undefined): CacheRef[] {
    const self = this.#options.identity.hashname;
    const domains = new Set<string>();
    return this.caches.map(({ hashname, keys, paths, key, cap, store: claimed, routes }) => {
      // One node, one failure domain: a second that claims the name of the first wants to be used in its place.
      const store = domains.has(claimed) ? hashname.slice(0, STORE_LENGTH) : claimed;
      domains.add(store);
      const offer = { hashname, keys, paths: [...paths], store, ...(routes && { routes }) };
      if (reader !== undefined) return { ...offer, uri: admissionUri(this.#mint(key, self, "contact", reader)), cap };
      return { ...offer, uri: admissionUri(this.#mint(key, self, "invite")), cap: Math.min(cap, STRANGER_CAP) };
    });
  }

  #mint(key: Uint8Array, recipient: Hashname, type: TokenClass, sender?: Hashname): Uint8Array {
    // Deterministic: the same card for the same reader, until something about it really changes.
    const grant = { recipient, class: type, until: 0, serial: 1, sender };
    return mintToken(this.#options.crypto.backend, key, grant);
  }

  // --- invites ---

  invite(secret: Uint8Array, once: boolean, now: Time): Save[] {
    const oldest = this.#invites.size < MAX_INVITES ? undefined : this.#invites.keys().next().value;
    const id = toHex(secret);
    this.#invites.set(id, { once });
    const saved: SavedInvite = { once, at: now };
    const save: Save = { type: "save", key: INVITE + id, value: asJson(saved) };
    return oldest === undefined ? [save] : [...this.#forget(oldest), save];
  }

  hasInvite(secret: Uint8Array): boolean {
    return this.#invites.has(toHex(secret));
  }

  /** Somebody came in by this invite. */
  spend(secret: Uint8Array): Save[] {
    const id = toHex(secret);
    return this.#invites.get(id)?.once ? this.#forget(id) : [];
  }

  #forget(id: string): Save[] {
    this.#invites.delete(id);
    return [{ type: "save", key: INVITE + id, value: undefined }];
  }
}

interface SavedInvite {
  readonly once: boolean;
  readonly at: Time;
}

interface SavedCache extends Omit<JoinedCache, "hashname" | "keys" | "key"> {
  readonly keys: ReturnType<typeof encodeKeys>;
  readonly key: string;
}

/** A cache keeps nothing, so what it mints must follow from its identity alone. */
function cacheSecret(crypto: Crypto, identity: Identity): Uint8Array {
  const pair = identity.pairs.get(Math.max(...identity.pairs.keys()));
  assert(pair !== undefined, "an identity has a key pair");
  return crypto.backend.hkdf(pair.secret, new Uint8Array(0), utf8("restante/cache-secret/1"), 32);
}

/** A record of ours as bytes. */
export function asJson(record: object): Uint8Array {
  return utf8(JSON.stringify(record));
}

/** A record of ours from the store, which authenticates what it holds. */
export function ofJson<T extends object>(bytes: Uint8Array): T {
  const json = fromUtf8(bytes);
  assert(json !== undefined, "a saved record is UTF-8");
  return JSON.parse(json) as T;
}

const INVITE = "peer/invite/";
const CACHE = "peer/cache/";
const STORE_LENGTH = 16; // of the name of a failure domain: a single node is one of its own
const STRANGER_CAP = 8 * 1024; // DESIGN 5 "Constants": what a cache keeps of one stranger
const MAX_INVITES = 1_000; // the oldest is forgotten: who comes by it then is a stranger
