/**
 * The suite `forward`: what only the recipient's forward key opens, a key made for one sender and deleted as soon as
 * nothing can need it. Inside of the message that the cipher set seals, so opening takes both keys. protocol/forward.md
 */
import { assert, concat, fromBase32, fromHex, type Random, toBase32, toHex, utf8 } from "../bytes/index.ts";
import { type Backend, type Hashname, hashnameBytes, type KeyPair } from "../crypto/index.ts";

/** Which of the recipient's keys a mail is sealed to. Fixed when it is queued, as all that its bytes depend on. */
export interface Forwarding {
  /** 64 hex: the newest key that the recipient told us. */
  readonly key: string;
  /** Ids of its older keys that mail of ours still wants, at most 3: all others before `key` may be deleted. */
  readonly uses: readonly string[];
}

/** What stands in `hdr`. */
export interface ForwardHeader {
  /** Id of the recipient's key, 16 hex ... */
  readonly key: string;
  /** ... and of those before it that the sender still uses. */
  readonly uses: readonly string[];
  /** The sender's key for this part alone, 32 bytes. */
  readonly oneTime: Uint8Array;
}

/** Bytes that an envelope grows by when it is sealed. */
export const FORWARD_OVERHEAD = 16;

/** Keys that a peer holds for one sender, and tells in an acknowledgement, at most. */
export const FORWARD_KEYS = 4;

/** The id of a forward key: its first 8 bytes. Both in hex. */
export function forwardId(key: string): string {
  return key.slice(0, 2 * ID_BYTES);
}

/** A new forward key pair of 32 random bytes. */
export function forwardPair(backend: Backend, random: Random): KeyPair {
  const secret = random(KEY_BYTES);
  return { key: backend.x25519Key(secret), secret };
}

/** Whether a peer's key, 64 hex, can be sealed to: no point of low order, with which every secret would be the same. */
export function isForwardKey(backend: Backend, key: string): boolean {
  const bytes = fromHex(key);
  return bytes?.length === KEY_BYTES && backend.beforenm(ANY_SECRET, bytes) !== undefined;
}

/** The value of `hdr`. */
export function encodeForwardHeader(oneTime: Uint8Array, { key, uses }: Forwarding): string {
  return toBase32(concat(idBytes(forwardId(key)), oneTime, ...uses.map(idBytes)));
}

/** What a `hdr` says; `undefined` for anything that `encodeForwardHeader` would not write. */
export function parseForwardHeader(hdr: string): ForwardHeader | undefined {
  if (hdr.length > HEADER_LENGTH) return undefined;
  const bytes = fromBase32(hdr);
  const older = ((bytes?.length ?? 0) - ID_BYTES - KEY_BYTES) / ID_BYTES;
  if (bytes === undefined || !Number.isInteger(older) || older < 0 || older >= FORWARD_KEYS) return undefined;
  const idAt = (at: number): string => toHex(bytes.subarray(at, at + ID_BYTES));
  const key = idAt(0);
  const uses = Array.from({ length: older }, (_, i) => idAt(ID_BYTES + KEY_BYTES + i * ID_BYTES));
  if (new Set([key, ...uses]).size !== older + 1) return undefined;
  return { key, uses, oneTime: bytes.slice(ID_BYTES, ID_BYTES + KEY_BYTES) };
}

/** What a part's one-time key comes from. */
export interface OneTime {
  /** 32 bytes, of the spool entry. */
  readonly seed: Uint8Array;
  /** As in `Seeded`. */
  readonly generation: number;
  readonly recipient: Hashname;
  readonly forwarding: Forwarding;
  /** The inner packet as it would be without `hdr`, and with the envelope in clear. */
  readonly plain: Uint8Array;
}

/**
 * The one-time key pair of a part. Equal input gives the same, so equal mail has equal bytes; any difference gives an
 * unrelated one, so that no two texts are ever sealed under one key.
 */
export function oneTimePair(backend: Backend, { seed, generation, recipient, forwarding, plain }: OneTime): KeyPair {
  assert(seed.length === KEY_BYTES, "a seed has 32 bytes");
  assert(Number.isInteger(generation) && generation >= 0 && generation < 2 ** 32, "a generation is 32 bits");
  const number = Uint8Array.of(generation >>> 24, generation >>> 16, generation >>> 8, generation);
  const info = concat(
    ONE_TIME_LABEL,
    hashnameBytes(recipient),
    number,
    keyBytes(forwarding.key),
    backend.sha256(plain),
  );
  return forwardPair(backend, (length) => backend.hkdf(seed, NOTHING, info, length));
}

/** Whose envelope it is, and what its cipher key comes from beside the secret that both ends share. */
export interface Parties {
  readonly from: Hashname;
  readonly to: Hashname;
  /** The head of the inner packet, all of its bytes: epoch, number and part are in it. */
  readonly head: Uint8Array;
}

/** The sealed envelope; `undefined` when the forward key is of low order. */
export function sealEnvelope(
  backend: Backend,
  parties: Parties,
  oneTime: KeyPair,
  { key }: Forwarding,
  envelope: Uint8Array,
): Uint8Array | undefined {
  const forward = keyBytes(key);
  const shared = backend.beforenm(oneTime.secret, forward);
  if (shared === undefined) return undefined;
  const cipher = cipherKey(backend, parties, shared, forward, oneTime.key);
  return backend.xchachaSeal(cipher.key, cipher.nonce, envelope, parties.head);
}

/** The envelope that `sealEnvelope` sealed to this pair; `undefined` for all else. */
export function openEnvelope(
  backend: Backend,
  parties: Parties,
  oneTime: Uint8Array,
  forward: KeyPair,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const shared = backend.beforenm(forward.secret, oneTime);
  if (shared === undefined) return undefined;
  const cipher = cipherKey(backend, parties, shared, forward.key, oneTime);
  return backend.xchachaOpen(cipher.key, cipher.nonce, sealed, parties.head);
}

/** The key serves for one text only, so its nonce may come from the same place. */
function cipherKey(
  backend: Backend,
  { from, to }: Parties,
  shared: Uint8Array,
  forward: Uint8Array,
  oneTime: Uint8Array,
): { key: Uint8Array; nonce: Uint8Array } {
  const info = concat(LABEL, hashnameBytes(from), hashnameBytes(to), forward, oneTime);
  const bytes = backend.hkdf(shared, NOTHING, info, KEY_BYTES + NONCE_BYTES);
  return { key: bytes.slice(0, KEY_BYTES), nonce: bytes.slice(KEY_BYTES) };
}

function idBytes(id: string): Uint8Array {
  const bytes = fromHex(id);
  assert(bytes?.length === ID_BYTES, "the id of a forward key is 16 hex");
  return bytes;
}

function keyBytes(key: string): Uint8Array {
  const bytes = fromHex(key);
  assert(bytes?.length === KEY_BYTES, "a forward key is 64 hex");
  return bytes;
}

const ID_BYTES = 8;
const KEY_BYTES = 32;
const NONCE_BYTES = 24;
const HEADER_LENGTH = Math.ceil(((KEY_BYTES + FORWARD_KEYS * ID_BYTES) * 8) / 5);
const ANY_SECRET = new Uint8Array(KEY_BYTES).fill(1);
const LABEL = utf8("restante/forward/1");
const ONE_TIME_LABEL = utf8("restante/forward-key/1");
const NOTHING = new Uint8Array(0);
