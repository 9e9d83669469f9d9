/**
 * Sealing from a seed: the same part gives the same bytes at each attempt and for each cache, so copies have one message
 * id and a second deposit changes nothing. protocol/mail.md §6
 */
import { assert, concat, type Random, utf8 } from "../bytes/index.ts";
import { type Backend, type Crypto, type Hashname, hashnameBytes, type Identity, type Keys } from "../crypto/index.ts";
import { sealMessage } from "../e3x/index.ts";

/** What the bytes depend on, beside the keys of both. */
export interface Seeded {
  /** 32 random bytes, of the spool entry; secret as long as the mail is. */
  readonly seed: Uint8Array;
  readonly recipient: Hashname;
  /** 0..2^32-1, raised to get other bytes on purpose. */
  readonly generation: number;
  /** The complete inner packet. */
  readonly inner: Uint8Array;
}

/**
 * The sealed message, in an exchange of its own: ephemeral key and nonce come from the seed. Equal input gives equal
 * bytes; any difference in it gives an unrelated key and nonce, so nothing is ever sealed twice under one pair of them.
 * `undefined` when the two have no cipher set in common, or the recipient's key is unusable.
 */
export function sealSeeded(crypto: Crypto, identity: Identity, to: Keys, seeded: Seeded): Uint8Array | undefined {
  return sealMessage(crypto, { from: identity, to, inner: seeded.inner, random: seededRandom(crypto.backend, seeded) });
}

/** The bytes of HKDF-SHA-256(seed; recipient, generation, SHA-256(inner)), one after the other. */
function seededRandom(backend: Backend, { seed, recipient, generation, inner }: Seeded): Random {
  assert(seed.length === SEED_BYTES, "a seed has 32 bytes");
  assert(Number.isInteger(generation) && generation >= 0 && generation < 2 ** 32, "a generation is 32 bits");
  const number = Uint8Array.of(generation >>> 24, generation >>> 16, generation >>> 8, generation);
  const info = concat(LABEL, hashnameBytes(recipient), number, backend.sha256(inner));
  let stream = backend.hkdf(seed, NO_SALT, info, STEP);
  let used = 0;
  return (length) => {
    const end = used + length;
    // A longer expansion begins with the shorter one (RFC 5869 §2.3), so this only ever appends.
    if (end > stream.length) stream = backend.hkdf(seed, NO_SALT, info, Math.ceil(end / STEP) * STEP);
    const bytes = stream.slice(used, end);
    used = end;
    return bytes;
  };
}

const SEED_BYTES = 32;
const LABEL = utf8("restante/seal/1");
const NO_SALT = new Uint8Array(0);
const STEP = 96; // set 3a takes 56: three blocks of SHA-256 at once, more when a set wants more
