/**
 * The door: who may link to us, what a sender may leave in our cache for whom, and by what tokens others let us in.
 * Everything that we grant follows from our identity; the only lists are our own invites and the caches that we joined.
 * protocol/admission.md
 */
import { assert, equal, fromBase32, fromUtf8, type Time, toBase32, toHex, utf8 } from "../bytes/index.ts";
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
  tokenSerial,
  verifyStamp,
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
import { MAX_SERIALS, Revocations } from "./revocations.ts";

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

/** A device of our own: what is left at its caches is for it. */
export interface Recipient {
  readonly hashname: Hashname;
  readonly caches: readonly JoinedCache[];
}

export interface DoorOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly saved: ReadonlyMap<string, Uint8Array>;
  /** What we grant to recipients; absent where we serve no cache. `secret`: what the nodes of one store share, 32 bytes. */
  readonly serves:
    | { readonly cap: number; readonly quota: number; readonly routes?: true; readonly secret?: Uint8Array }
    | undefined;
}

/** Grants and checks tokens. */
export class Door {
  readonly #options: DoorOptions;
  readonly #key: Uint8Array;
  readonly #joined = new Map<Hashname, JoinedCache>();
  /** By the hex of their secret, oldest first. */
  readonly #invites = new Map<string, SavedInvite>();
  /** What our recipients have revoked here. */
  readonly #revocations = new Revocations();
  /** What we have revoked ourselves: how often, by the hashname of a sender or the hex of an invite, oldest first. */
  readonly #revoked = new Map<string, SavedRevoked>();

  constructor(options: DoorOptions) {
    this.#options = options;
    const { crypto, identity, saved, serves } = options;
    this.#key = cacheKey(crypto.backend, serves?.secret ?? cacheSecret(crypto, identity));
    const invites: [id: string, invite: SavedInvite][] = [];
    const revoked: [holder: string, record: SavedRevoked][] = [];
    for (const [key, value] of saved) {
      if (key.startsWith(INVITE)) invites.push([key.slice(INVITE.length), ofJson(value)]);
      else if (key.startsWith(REVOKED)) revoked.push([key.slice(REVOKED.length), ofJson(value)]);
      else if (key.startsWith(CACHE)) this.#remember(ofJson<SavedCache>(value));
    }
    invites.sort(([, a], [, b]) => a.at - b.at);
    for (const [id, invite] of invites) this.#invites.set(id, invite);
    revoked.sort(([, a], [, b]) => a.at - b.at);
    for (const [holder, record] of revoked) this.#revoked.set(holder, record);
  }

  // --- who may come in ---

  /** Whether the admission URI of a handshake lets this peer link to us. */
  admits(uri: string, peer: Hashname, now: Time): boolean {
    const secret = parseSecretUri(uri);
    return (secret !== undefined && this.hasInvite(secret)) || this.#verify(uri, peer, now) !== undefined;
  }

  /** What a sender may leave here for `to`; `undefined`: nothing. No token at all and a stamp that is missing are the same. */
  quotaClass(
    uri: string | undefined,
    to: Hashname,
    sender: Hashname,
    now: Time,
    stamp?: string,
  ): "member" | "contact" | "stranger" | undefined {
    const token = this.#options.serves && this.#verify(uri, sender, now);
    if (token?.recipient !== to) return undefined;
    const { class: kind, work = 0 } = token;
    const { crypto, identity } = this.#options;
    const place = { cache: identity.hashname, recipient: to, sender };
    if (work > 0 && !verifyStamp(crypto.backend, place, work, stamp, now)) return undefined;
    if (kind === "invite") return "stranger";
    return kind === "join" ? undefined : kind;
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
    const { secret, ...grant } = serves;
    const store = secret === undefined ? identity.hashname.slice(0, STORE_LENGTH) : storeName(crypto, secret);
    return encodeJoinAnswer({ key, ...grant, store });
  }

  /** A link for recipients to join the cache that we serve. It works until our identity changes. */
  joinLink(paths: readonly Path[]): string {
    const { crypto, identity } = this.#options;
    const key = recipientKey(crypto.backend, this.#key, identity.hashname);
    return encodeJoinLink({
      keys: identity.keys,
      paths: [...paths],
      token: this.#mint(key, identity.hashname, { class: "join", until: 0, serial: 1 }),
    });
  }

  #verify(uri: string | undefined, sender: Hashname, now: Time): ReturnType<typeof verifyToken> {
    const token = uri === undefined ? undefined : parseAdmissionUri(uri);
    const granted = token && verifyToken(this.#options.crypto.backend, this.#key, token, sender, now);
    const isRevoked = granted && granted.class !== "join" && this.#revocations.has(granted.recipient, granted.serial);
    return isRevoked ? undefined : granted;
  }

  // --- what our recipients have revoked here ---

  /** Whether what this peer shows makes it a recipient of ours. */
  isRecipient(uri: string | undefined, peer: Hashname, now: Time): boolean {
    return this.#options.serves !== undefined && this.#verify(uri, peer, now)?.class === "member";
  }

  /** From now on no token with one of these serials is worth anything here, if it speaks for this recipient. */
  revoke(recipient: Hashname, serials: readonly number[], now: Time): void {
    this.#revocations.add(recipient, serials, now);
  }

  /** Another number whenever the recipient has revoked something. */
  revision(recipient: Hashname): number {
    return this.#revocations.revision(recipient);
  }

  // --- our own caches ---

  get caches(): readonly JoinedCache[] {
    return [...this.#joined.values()];
  }

  /** Whether this is a cache of ours. */
  uses(cache: Hashname): boolean {
    return this.#joined.has(cache);
  }

  /** Who may bring us peers: those of our caches that offer it. */
  get routers(): Hashname[] {
    return this.caches.filter(({ routes }) => routes === true).map(({ hashname }) => hashname);
  }

  /** How to reach a cache of ours, and the URI that lets us in. */
  address(cache: Hashname): { keys: Keys; paths: readonly Path[]; uri: string } | undefined {
    const joined = this.#joined.get(cache);
    if (joined === undefined) return undefined;
    const self = this.#options.identity.hashname;
    return { keys: joined.keys, paths: joined.paths, uri: admissionUri(this.#mint(joined.key, self, OWN)) };
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

  /** A cache that we do not use any more. */
  leave(cache: Hashname): Save[] {
    return this.#joined.delete(cache) ? [{ type: "save", key: CACHE + cache, value: undefined }] : [];
  }

  /**
   * Our caches as a reader of our card gets them: with a token for that reader alone. `recipient`: those of another device of ours,
   * and for mail to it. `family`: further devices of the reader, which get tokens for themselves; all are void with `holder`.
   */
  cachesFor(
    reader: Hashname,
    { recipient, family }: { recipient?: Recipient; family?: { holder: string; devices: readonly Hashname[] } } = {},
  ): CacheRef[] {
    const to = recipient?.hashname ?? this.#options.identity.hashname;
    return this.#offers(recipient?.caches).map(({ key, cap, ...offer }) => {
      const uri = (holder: string, sender: Hashname): string =>
        this.#admission(key, holder, { class: "contact", until: 0, sender }, to);
      const others = family?.devices.map((device) => [device, uri(family.holder, device)] as const) ?? [];
      return { ...offer, uri: uri(reader, reader), cap, ...(others.length > 0 && { others }) };
    });
  }

  /** The same in an invite: with a token for whoever holds it, who then may leave no more than a stranger, for so much work. */
  cachesForInvite(secret: Uint8Array, now: Time, work = 0): CacheRef[] {
    const until = Math.ceil(now / 1000) + INVITE_S;
    return this.#offers().map(({ key, cap, ...offer }) => {
      const uri = this.#admission(key, toHex(secret), { class: "invite", until, work });
      return { ...offer, uri, cap: Math.min(cap, STRANGER_CAP) };
    });
  }

  #offers(caches: readonly JoinedCache[] = this.caches): (Omit<CacheRef, "uri"> & { readonly key: Uint8Array })[] {
    const domains = new Map<string, Uint8Array>();
    return caches.map(({ hashname, keys, paths, key, cap, store: claimed, routes }) => {
      // A second that claims the name of the first would be used in its place. Nodes of one store show that they are: they
      // gave us the same key, which nobody knows without their secret.
      const known = domains.get(claimed);
      const store = known === undefined || equal(known, key) ? claimed : hashname.slice(0, STORE_LENGTH);
      domains.set(store, key);
      return { hashname, keys, paths: [...paths], store, cap, key, ...(routes && { routes }) };
    });
  }

  #admission(
    key: Uint8Array,
    holder: string,
    terms: Omit<Terms, "serial">,
    recipient: Hashname = this.#options.identity.hashname,
  ): string {
    const generation = this.#revoked.get(holder)?.times ?? 0;
    const serial = tokenSerial(this.#options.crypto.backend, key, holder, generation);
    return admissionUri(this.#mint(key, recipient, { ...terms, serial }));
  }

  /** Deterministic: the same card for the same reader, until something about it really changes. */
  #mint(key: Uint8Array, recipient: Hashname, terms: Terms): Uint8Array {
    return mintToken(this.#options.crypto.backend, key, { recipient, ...terms });
  }

  // --- what we have revoked ourselves ---

  /**
   * The tokens that were minted for a holder (the hashname of a sender, or the hex of an invite) are to be worth nothing from
   * `at` on. Whoever gets new ones gets others. `isTheirs`: it was not the user who wanted it, but a contact that has given up a
   * device. Of that a contact can do any amount, so it gives way before what the user wanted.
   */
  void(holder: string, at: Time, isTheirs = false): Save[] {
    const known = this.#revoked.get(holder);
    const theirs = isTheirs && (known === undefined || known.theirs === true);
    const times = Math.min((known?.times ?? 0) + 1, MAX_TIMES);
    const record: SavedRevoked = { times, at, ...(theirs && { theirs: true }) };
    this.#revoked.delete(holder);
    this.#revoked.set(holder, record);
    const saves: Save[] = [{ type: "save", key: REVOKED + holder, value: asJson(record) }];
    let serials = 0;
    for (const { times } of this.#revoked.values()) serials += times;
    const all = [...this.#revoked];
    for (const [each, { times, at: since }] of [
      ...all.filter(([, { theirs }]) => theirs),
      ...all.filter(([, { theirs }]) => !theirs),
    ]) {
      const hasEnded = each.length === INVITE_LENGTH && since + 1000 * INVITE_S < at;
      if (serials <= MAX_SERIALS && !hasEnded) continue;
      serials -= times;
      this.#revoked.delete(each);
      saves.push({ type: "save", key: REVOKED + each, value: undefined });
    }
    return saves;
  }

  /** When there will be more to tell than now. */
  nextRevocation(now: Time): Time | undefined {
    const times = [...this.#revoked.values()].flatMap(({ at }) => (isDue(at, now) ? [] : [at]));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** What a cache of ours is to be told, and what to show it; `undefined`: it is none. */
  revocations(cache: Hashname, now: Time): { uri: string; serials: number[] } | undefined {
    const joined = this.#joined.get(cache);
    const uri = this.address(cache)?.uri;
    if (joined === undefined || uri === undefined) return undefined;
    const { backend } = this.#options.crypto;
    const due = [...this.#revoked].filter(([, { at }]) => isDue(at, now));
    const serials = due.flatMap(([holder, { times }]) =>
      Array.from({ length: times }, (_, generation) => tokenSerial(backend, joined.key, holder, generation)),
    );
    return { uri, serials };
  }

  // --- invites ---

  invite(secret: Uint8Array, once: boolean, now: Time): Save[] {
    const oldest = this.#invites.size < MAX_INVITES ? undefined : this.#invites.keys().next().value;
    const id = toHex(secret);
    const saved: SavedInvite = { once, at: now };
    this.#invites.set(id, saved);
    const save: Save = { type: "save", key: INVITE + id, value: asJson(saved) };
    return oldest === undefined ? [save] : [...this.close(oldest, now), save];
  }

  hasInvite(secret: Uint8Array): boolean {
    return this.#invites.has(toHex(secret));
  }

  /** Whether who shows it comes in unasked: whoever was removed since it was made does not. */
  isGuest(secret: Uint8Array, hashname: Hashname): boolean {
    const invite = this.#invites.get(toHex(secret));
    return invite !== undefined && invite.at >= (this.#revoked.get(hashname)?.at ?? Number.NEGATIVE_INFINITY);
  }

  /** Somebody came in by this invite. */
  spend(secret: Uint8Array, now: Time): Save[] {
    const id = toHex(secret);
    return this.#invites.get(id)?.once ? this.close(id, now + SPENT_MS) : [];
  }

  /** Nobody comes in by this invite (hex) any more; from `at` on nobody leaves anything by it either. */
  close(id: string, at: Time): Save[] {
    if (!this.#invites.delete(id)) return [];
    return [{ type: "save", key: INVITE + id, value: undefined }, ...this.void(id, at)];
  }
}

/** A revocation is put off by `SPENT_MS` at most: what lies further ahead was written by a clock that went wrong. */
function isDue(at: Time, now: Time): boolean {
  return at <= now || at > now + SPENT_MS;
}

/** Of a token in our name. */
type Terms = Omit<Parameters<typeof mintToken>[2], "recipient">;

interface SavedRevoked {
  /** So many generations are void. */
  readonly times: number;
  /** From when on. */
  readonly at: Time;
  /** All of it because a contact has given up a device. */
  readonly theirs?: true;
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

/** What the nodes of one store call their failure domain. */
function storeName(crypto: Crypto, secret: Uint8Array): string {
  return toBase32(crypto.backend.hkdf(secret, new Uint8Array(0), utf8("restante/cluster-name/1"), 10));
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
const REVOKED = "peer/revoked/";
const OWN: Terms = { class: "member", until: 0, serial: 1 };
const STORE_LENGTH = 16; // of the name of a failure domain: a single node is one of its own
const STRANGER_CAP = 8 * 1024; // DESIGN 5 "Constants": what a cache keeps of one stranger
const MAX_INVITES = 1_000; // the oldest is closed: who comes by it then is a stranger
const INVITE_LENGTH = 32; // of the hex of its secret; a hashname has 52 characters
const INVITE_S = 365 * 24 * 60 * 60; // one that was lost on paper does not admit for ever
const SPENT_MS = 30 * 24 * 60 * 60 * 1000; // who used it may meet us at that cache alone, and come back late for our card
const MAX_TIMES = 100; // who was removed and welcomed that often may keep the last token
