/** Identities: the key pairs that make a hashname, and how they are kept. protocol/hashname.md */
import { equal, type Random } from "../bytes/index.ts";
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

/** An identity as JSON, with its secrets: keys and secrets are base32 by CSID text. */
export interface ExportedIdentity {
  readonly hashname: string;
  readonly keys: Record<string, string>;
  readonly secrets: Record<string, string>;
}

/** A new identity with a fresh pair for each cipher set of `crypto`, drawn from `random` in ascending CSID. */
export function createIdentity(crypto: Crypto, random: Random): Identity {
  const pairs = new Map(ascending(crypto.sets).map(([csid, set]) => [csid, set.generate(random)]));
  const keys = new Map([...pairs].map(([csid, pair]) => [csid, pair.key]));
  return { hashname: hashnameOf(crypto.backend, keys), keys, pairs };
}

/** The identity as JSON, secrets included: whoever reads it is this peer. */
export function exportIdentity(identity: Identity): ExportedIdentity {
  const secrets = new Map([...identity.pairs].map(([csid, pair]) => [csid, pair.secret]));
  return { hashname: identity.hashname, keys: encodeKeys(identity.keys), secrets: encodeKeys(secrets) };
}

/**
 * The identity in parsed JSON, the form of `exportIdentity`. `undefined` unless the keys make the hashname, each secret
 * of a set in `crypto` makes the key of that set, and there is such a secret. Secrets of other sets are ignored (their
 * keys are not), so an export afterwards lacks them.
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
    const pair = set.keyPair(secret);
    if (key === undefined || pair === undefined || !equal(pair.key, key)) return undefined;
    pairs.set(csid, pair);
  }
  return pairs.size > 0 ? { hashname, keys, pairs } : undefined;
}

const SECRET_BYTES = 4096; // an RSA secret of set 2a has 1200
