/**
 * The door: who may link to us, what a sender may leave in our cache for whom, and by what tokens others let us in.
 * Everything that we grant follows from our identity; the only lists are our own invites and the caches that we joined.
 * protocol/admission.md
 */
import {
  asJson,
  assert,
  equal,
  fromBase32,
  ofJson,
  type Save,
  type Time,
  toBase32,
  toHex,
  utf8,
} from "../bytes/index.ts";
import {
  admissionUri,
  type CacheRef,
  cacheKey,
  editionSerial,
  encodeJoinAnswer,
  encodeJoinLink,
  type JoinAnswer,
  mintToken,
  type Offer,
  type Path,
  parseAdmissionUri,
  parseSecretUri,
  pathKey,
  recipientKey,
  type TokenClass,
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
import { RESTORED_KEY } from "../mail/index.ts";
import { MAX_SERIALS, Revocations } from "./revocations.ts";
import { type Ended, Takers } from "./takers.ts";

/** A cache that holds our mail. */
export interface JoinedCache extends JoinAnswer {
  readonly hashname: Hashname;
  readonly keys: Keys;
  readonly paths: readonly Path[];
  /** When it gave us another key than the one that we had. */
  readonly since?: Time;
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
  /** Of the keys that we want from caches: others may have those of earlier ones. It only grows. */
  #edition: number;
  /** Whether our contacts may use the cache that we serve. */
  #isOffered: boolean;
  /** When our store was put back from a backup last. */
  readonly #restoredAt: Time;
  /** By the hex of their secret, oldest first. */
  readonly #invites = new Map<string, SavedInvite>();
  /** What our recipients have revoked here. */
  readonly #revocations = new Revocations();
  /** Who uses the cache because it was offered. */
  readonly #takers: Takers;
  /** What we have revoked ourselves: how often, by the hashname of a sender or the hex of an invite, oldest first. */
  readonly #revoked = new Map<string, SavedRevoked>();

  constructor(options: DoorOptions) {
    this.#options = options;
    const { crypto, identity, saved, serves } = options;
    this.#key = cacheKey(crypto.backend, serves?.secret ?? cacheSecret(crypto, identity));
    const edition = saved.get(EDITION);
    this.#edition = edition === undefined ? 0 : ofJson<SavedEdition>(edition).edition;
    this.#isOffered = saved.has(OFFERED);
    this.#takers = new Takers(saved);
    const restored = saved.get(RESTORED_KEY);
    this.#restoredAt = restored === undefined ? Number.NEGATIVE_INFINITY : ofJson<{ at: Time }>(restored).at;
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
    if (this.#verify(uri, peer, now) !== undefined) return true; // nearly all that come to a cache, and a token is read faster
    const secret = parseSecretUri(uri);
    return secret !== undefined && this.hasInvite(secret);
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

  /** What we keep for each contact that takes it; `undefined`: we offer nothing. */
  get offer(): Offer | undefined {
    const { serves } = this.#options;
    return this.#isOffered && serves !== undefined ? { quota: serves.quota, cap: serves.cap } : undefined;
  }

  /** How many devices of contacts use the cache because it was offered. */
  get takers(): number {
    return this.#takers.count;
  }

  /** Whether there is a cache to be offered. */
  get isServing(): boolean {
    return this.#options.serves !== undefined;
  }

  /** From now on contacts may use the cache that we serve, or no further one may. Who does goes on: see `endOffered`. */
  setOffered(isOffered: boolean): Save {
    this.#isOffered = isOffered;
    return { type: "save", key: OFFERED, value: isOffered ? asJson({}) : undefined };
  }

  /**
   * The head of our answer to a peer that wants to be a recipient, and what has to be written with it; `undefined`: its join token
   * is no good, and we offer it none, as a device of this `contact`, or no further device of that. A key of a later edition is given
   * to who is a recipient already.
   */
  joinAnswer(
    uri: string | undefined,
    peer: Hashname,
    now: Time,
    edition = 0,
    contact?: string,
  ): { readonly head: ReturnType<typeof encodeJoinAnswer>; readonly saves: readonly Save[] } | undefined {
    const { serves, crypto, identity } = this.#options;
    const token = serves && this.#verify(uri, peer, now);
    const saves = this.#letIn(token?.class, peer, now, edition, contact);
    if (serves === undefined || saves === undefined) return undefined;
    const key = recipientKey(crypto.backend, this.#key, peer, edition);
    const { secret, ...grant } = serves;
    const store = secret === undefined ? identity.hashname.slice(0, STORE_LENGTH) : storeName(crypto, secret);
    return { head: encodeJoinAnswer({ key, ...grant, store, ...(edition > 0 && { edition }) }), saves };
  }

  /** What has to be written when this peer is given a key; `undefined`: it is given none. */
  #letIn(
    kind: TokenClass | undefined,
    peer: Hashname,
    now: Time,
    edition: number,
    contact: string | undefined,
  ): readonly Save[] | undefined {
    if (kind === "join") return this.#takers.settle(peer);
    if (edition > 0 && kind === "member") return [];
    return contact !== undefined && this.offer !== undefined ? this.#takers.take(peer, contact, now) : undefined;
  }

  /** Of those who use the cache because it was offered these do no more: what they show from now on is worth nothing. */
  endOffered(isMeant: (peer: Hashname, contact: string) => boolean, now: Time): Ended {
    return this.#takers.end(isMeant, now);
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
    if (granted === undefined) return undefined;
    const { recipient, serial, edition = 0 } = granted;
    if (this.#takers.isOver(recipient)) return undefined;
    // A recipient can mint this class in its own name: revoked or not, that is nobody's invitation.
    if (granted.class === "join") return recipient === this.#options.identity.hashname ? granted : undefined;
    const isRevoked = (each: number): boolean => this.#revocations.has(recipient, each);
    return isRevoked(serial) || isRevoked(editionSerial(edition)) ? undefined : granted;
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

  /** Another number whenever the recipient has revoked something, or somebody has lost what was offered. */
  revision(recipient: Hashname): number {
    return this.#revocations.revision(recipient) + REVISIONS * this.#takers.revision;
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
    const { keys, paths, key, edition = 0 } = joined;
    const terms: Terms = { class: "member", until: 0, serial: editionSerial(edition) + 1, ...editionOf(joined) };
    return { keys, paths, uri: admissionUri(this.#mint(key, self, terms)) };
  }

  /** Of the keys that we want from caches; 0: the first ones. */
  get edition(): number {
    return this.#edition;
  }

  /** Somebody has the keys that we have of caches: from now on we want others. */
  outdate(): Save[] {
    if (this.#edition >= MAX_EDITION) return [];
    const record: SavedEdition = { edition: ++this.#edition };
    return [{ type: "save", key: EDITION, value: asJson(record) }];
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

  /** A cache of ours is found at these addresses from now on. Nothing when it is none, and when that is known. */
  move(cache: Hashname, paths: readonly Path[]): Save[] {
    const joined = this.#joined.get(cache);
    const listed = (all: readonly Path[]): string => all.map(pathKey).join(" ");
    if (joined === undefined || paths.length === 0 || listed(joined.paths) === listed(paths)) return [];
    const { hashname: _, ...rest } = joined;
    return [this.join({ ...rest, paths }).save];
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
    return this.#offers(recipient?.caches).map(({ key, cap, edition, ...offer }) => {
      const uri = (holder: string, sender: Hashname): string =>
        this.#admission({ key, edition }, holder, { class: "contact", until: 0, sender }, to);
      const others = family?.devices.map((device) => [device, uri(family.holder, device)] as const) ?? [];
      return { ...offer, uri: uri(reader, reader), cap, ...(others.length > 0 && { others }) };
    });
  }

  /** The same in an invite: with a token for whoever holds it, who then may leave no more than a stranger, for so much work. */
  cachesForInvite(secret: Uint8Array, now: Time, work = 0): CacheRef[] {
    const until = Math.ceil(now / 1000) + INVITE_S;
    return this.#offers().map(({ key, cap, edition, ...offer }) => {
      const uri = this.#admission({ key, edition }, toHex(secret), { class: "invite", until, work });
      return { ...offer, uri, cap: Math.min(cap, STRANGER_CAP) };
    });
  }

  #offers(caches: readonly JoinedCache[] = this.caches): (Omit<CacheRef, "uri"> & MintingKey)[] {
    const domains = new Map<string, Uint8Array>();
    return caches.map(({ hashname, keys, paths, key, edition = 0, cap, store: claimed, routes }) => {
      // A second that claims the name of the first would be used in its place. Nodes of one store show that they are: they
      // gave us the same key, which nobody knows without their secret.
      const known = domains.get(claimed);
      const store = known === undefined || equal(known, key) ? claimed : hashname.slice(0, STORE_LENGTH);
      domains.set(store, key);
      return { hashname, keys, paths: [...paths], store, cap, key, edition, ...(routes && { routes }) };
    });
  }

  #admission(
    { key, edition }: MintingKey,
    holder: string,
    terms: Omit<Terms, "serial">,
    recipient: Hashname = this.#options.identity.hashname,
  ): string {
    const generation = this.#revoked.get(holder)?.times ?? 0;
    const serial = tokenSerial(this.#options.crypto.backend, key, holder, generation, edition);
    return admissionUri(this.#mint(key, recipient, { ...terms, serial, ...editionOf({ edition }) }));
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
    const renewed = this.caches.flatMap(({ since }) =>
      since === undefined || isOver(since, now) ? [] : [since + GRACE_MS],
    );
    const times = [...this.#revoked.values()].flatMap(({ at }) => (isDue(at, now) ? [] : [at])).concat(renewed);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** What a cache of ours is to be told, and what to show it; `undefined`: it is none. */
  revocations(cache: Hashname, now: Time): { uri: string; serials: number[] } | undefined {
    const joined = this.#joined.get(cache);
    const uri = this.address(cache)?.uri;
    if (joined === undefined || uri === undefined) return undefined;
    const { backend } = this.#options.crypto;
    const { key, edition = 0, since } = joined;
    const due = [...this.#revoked].filter(([, { at }]) => isDue(at, now));
    const serials = due.flatMap(([holder, { times }]) =>
      Array.from({ length: times }, (_, generation) => tokenSerial(backend, key, holder, generation, edition)),
    );
    // The one before lasts until contacts can have the next card. Those before that are over.
    const over = Array.from({ length: isOver(since, now) ? edition : Math.max(edition - 1, 0) }, (_, each) =>
      editionSerial(each),
    );
    return { uri, serials: [...serials, ...over] };
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

  /**
   * Whether who shows it comes in unasked: whoever was removed since it was made does not. Nor does anybody by one for a single guest
   * that is older than the backup we come from: it may have been used since, and we have forgotten.
   */
  isGuest(secret: Uint8Array, hashname: Hashname): boolean {
    const invite = this.#invites.get(toHex(secret));
    if (invite === undefined || (invite.once && invite.at < this.#restoredAt)) return false;
    return invite.at >= (this.#revoked.get(hashname)?.at ?? Number.NEGATIVE_INFINITY);
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

/** Whether the key before the one that came then is to be worth nothing any more. */
function isOver(since: Time | undefined, now: Time): boolean {
  return since === undefined || now >= since + GRACE_MS || now < since - GRACE_MS;
}

function editionOf({ edition = 0 }: { readonly edition?: number }): { readonly edition?: number } {
  return edition === 0 ? {} : { edition };
}

/** Of our tokens at one cache. */
interface MintingKey {
  readonly key: Uint8Array;
  readonly edition: number;
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

interface SavedEdition {
  readonly edition: number;
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

const INVITE = "peer/invite/";
const CACHE = "peer/cache/";
const EDITION = "peer/edition";
const OFFERED = "peer/offered";
const REVOKED = "peer/revoked/";
const REVISIONS = 2 ** 32; // more than recipients revoke in the life of a process
const STORE_LENGTH = 16; // of the name of a failure domain: a single node is one of its own
const STRANGER_CAP = 8 * 1024; // DESIGN 5 "Constants": what a cache keeps of one stranger
const MAX_INVITES = 1_000; // the oldest is closed: who comes by it then is a stranger
const INVITE_LENGTH = 32; // of the hex of its secret; a hashname has 52 characters
const INVITE_S = 365 * 24 * 60 * 60; // one that was lost on paper does not admit for ever
const SPENT_MS = 30 * 24 * 60 * 60 * 1000; // who used it may meet us at that cache alone, and come back late for our card
const MAX_EDITION = 255;
const GRACE_MS = 10 * 60 * 1000; // for contacts that are there to get our new card first
const MAX_TIMES = 100; // who was removed and welcomed that often may keep the last token
