/** Identities: the key pairs that make a hashname, and how they are kept. protocol/hashname.md */
import { assert, equal, type Random } from "../bytes/index.ts";
import type { Crypto } from "./crypto.ts";
import { type Hashname, hashnameOf } from "./hashname.ts";
import { ascending, encodeKeys, type KeyPair, type Keys, parseByCsid, parseKeys } from "./keys.ts";

/** Ourselves. Every pair's key is in `keys`; `keys` may hold more, of sets that this peer does not speak. */
export interface Identity {
  readonly hashname: Hashname;
  readonly keys: Keys;
  /** By CSID; at least one. */
  readonly pairs: ReadonlyMap<number, KeyPair>;
}

/**
 * An identity as JSON, with its secrets: keys and secrets are base32 by CSID text. It is link JSON with one member more,
 * so whoever adds `paths` has an object from which `parseLinkJson` reads the public part and `importIdentity` the whole.
 */
export interface ExportedIdentity {
  readonly hashname: string;
  readonly keys: Record<string, string>;
  readonly secrets: Record<string, string>;
}

/**
 * A new identity with a fresh pair for each of `csids`, drawn from `random` in ascending order; by default only for the
 * highest set of `crypto`, so that links and cards stay short (docs/decisions/007). Throws (our bug) for sets that `crypto`
 * has not, and for none at all.
 */
export function createIdentity(
  crypto: Crypto,
  random: Random,
  csids: readonly number[] = [Math.max(...crypto.sets.keys())],
): Identity {
  const sets = ascending(crypto.sets).filter(([csid]) => csids.includes(csid));
  assert(sets.length > 0 && sets.length === csids.length, "an identity is of sets that we speak");
  const pairs = new Map(sets.map(([csid, set]) => [csid, set.generate(random)]));
  const keys = new Map([...pairs].map(([csid, pair]) => [csid, pair.key]));
  return { hashname: hashnameOf(crypto.backend, keys), keys, pairs };
}

/** The identity as JSON, secrets included: whoever reads it is this peer. */
export function exportIdentity(identity: Identity): ExportedIdentity {
  const secrets = new Map([...identity.pairs].map(([csid, pair]) => [csid, pair.secret]));
  return { hashname: identity.hashname, keys: encodeKeys(identity.keys), secrets: encodeKeys(secrets) };
}

/**
 * The identity in parsed JSON, the form of `exportIdentity`; other members are ignored. `undefined` unless the keys make
 * the hashname, and for the sets in `crypto` there is a secret to each key, which makes it, a key to each secret, and one at
 * least. Secrets of other sets are ignored (their keys are not), so an export afterwards lacks them. A hashname that is
 * absent is no whole identity: what other programs wrote without one gets it from `parseLinkJson` first.
 */
export function importIdentity(crypto: Crypto, value: unknown): Identity | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const members = value as Partial<Record<keyof ExportedIdentity, unknown>>;
  const keys = parseKeys(members.keys);
  const secrets = parseByCsid(members.secrets, SECRET_BYTES);
  if (keys === undefined || secrets === undefined) return undefined;
  const hashname = hashnameOf(crypto.backend, keys);
  if (hashname !== members.hashname) return undefined;
  const pairs = new Map<number, KeyPair>();
  for (const [csid, secret] of secrets) {
    const set = crypto.sets.get(csid);
    if (set === undefined) continue;
    const key = keys.get(csid);
    const pair = set.keyPair(secret, key);
    if (key === undefined || pair === undefined || !equal(pair.key, key)) return undefined;
    pairs.set(csid, pair);
  }
  const identity = { hashname, keys, pairs };
  return isWhole(crypto, identity) ? identity : undefined;
}

/**
 * Whether the identity has the secret of each of its keys that `crypto` speaks the set of, and of one at least. Otherwise peers
 * would use a set with it that it cannot.
 */
export function isWhole(crypto: Crypto, { keys, pairs }: Identity): boolean {
  const spoken = [...keys.keys()].filter((csid) => crypto.sets.has(csid));
  return spoken.length > 0 && spoken.every((csid) => pairs.has(csid));
}

const SECRET_BYTES = 4096; // an RSA secret of set 2a has 1200
