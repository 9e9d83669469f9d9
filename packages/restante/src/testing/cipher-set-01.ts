/**
 * Cipher set 0x01, for tests alone: NOT SECURE. Anyone can compute secrets from public keys, forge and read everything.
 * It has the sizes, the layout and the refusals of 3a without its curve (a fresh message takes some 10 us, not 1000 in
 * JavaScript), so that a simulated world can run thousands of handshakes per second. CSIDs 0x01..0x0f are for experiments (protocol/cs3a.md §1); never ship it.
 */
import { assert, concat, equal } from "../bytes/index.ts";
import type { CipherSet, KeyPair } from "../crypto/index.ts";

/** The insecure set. Layout of messages and channels: that of protocol/cs3a.md §2 to §4. */
export function cs01(): CipherSet {
  return {
    csid: 0x01,
    overhead: OUTER_HEAD_BYTES + MESSAGE_BYTES,

    generate: (random) => keyPair(random(KEY_BYTES)),
    keyPair: (secret) => (secret.length === KEY_BYTES ? keyPair(secret.slice()) : undefined),
    isKey: (key) => key.length === KEY_BYTES,

    exchange(to, random) {
      const pair = keyPair(random(KEY_BYTES));
      return to.length === KEY_BYTES ? { ...pair, prefix: pair.key } : undefined;
    },

    seal(from, to, ephemeral, inner, random) {
      const [secret, proof] = [agree(ephemeral.secret, to), agree(from.secret, to)];
      if (secret === undefined || proof === undefined) return undefined;
      const nonce = random(NONCE_BYTES);
      const signed = concat(ephemeral.key, nonce, box(secret, nonce, inner));
      return concat(signed, tag(proof, signed));
    },

    open(to, body) {
      if (body.length < MESSAGE_BYTES) return undefined;
      const ephemeral = body.slice(0, KEY_BYTES);
      const secret = agree(to.secret, ephemeral);
      if (secret === undefined) return undefined;
      const inner = unbox(secret, body.subarray(KEY_BYTES, CIPHERTEXT), body.subarray(CIPHERTEXT, -TAG_BYTES));
      return inner && { inner, ephemeral, prefix: ephemeral, verify: (from) => verify(to, from, body) };
    },

    channel(local, remote) {
      const secret = agree(local.secret, remote);
      if (secret === undefined || equal(remote, local.key)) return undefined;
      const sendKey = tag(secret, concat(local.key, remote));
      const receiveKey = tag(secret, concat(remote, local.key));
      return {
        sendKey,
        receiveKey,
        seal(token, inner, random) {
          assert(token.length === TOKEN_BYTES, "a routing token has 16 bytes");
          const nonce = random(NONCE_BYTES);
          return concat(token, nonce, box(sendKey, nonce, inner));
        },
        open(body) {
          if (body.length < TOKEN_BYTES + NONCE_BYTES + TAG_BYTES) return undefined;
          const ciphertext = TOKEN_BYTES + NONCE_BYTES;
          return unbox(receiveKey, body.subarray(TOKEN_BYTES, ciphertext), body.subarray(ciphertext));
        },
      };
    },
  };
}

function verify(to: KeyPair, from: Uint8Array, body: Uint8Array): boolean {
  const proof = agree(to.secret, from);
  return proof !== undefined && equal(tag(proof, body.subarray(0, -TAG_BYTES)), body.subarray(-TAG_BYTES));
}

function keyPair(secret: Uint8Array): KeyPair {
  return { key: multiply(secret, BASE), secret };
}

/** The 16-byte secret that both ends compute; `undefined` for what is no key, and for zeros, as 3a refuses low orders. */
function agree(secret: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  if (key.length !== KEY_BYTES || equal(key, ZEROS)) return undefined;
  const product = multiply(secret, key);
  const folded = product.slice(0, SECRET_BYTES);
  for (let i = 0; i < SECRET_BYTES; i++) folded[i] = (folded[i] ?? 0) ^ (product[i + SECRET_BYTES] ?? 0);
  return folded;
}

/**
 * The shape of Diffie-Hellman without its hardness: 8 numbers of the one times 8 of the other, modulo 2^32. The secret's
 * are made odd, so that other secrets give other keys and other keys other results.
 */
function multiply(secret: Uint8Array, other: Uint8Array): Uint8Array {
  const [a, b] = [view(secret), view(other)];
  const product = new DataView(new ArrayBuffer(KEY_BYTES));
  for (let at = 0; at < KEY_BYTES; at += 4) product.setInt32(at, Math.imul(a.getInt32(at) | 1, b.getInt32(at)));
  return new Uint8Array(product.buffer);
}

/** The tag, then the data under a mask. */
function box(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array {
  const boxed = new Uint8Array(TAG_BYTES + plain.length);
  const ciphertext = mask(key, nonce, plain, boxed.subarray(TAG_BYTES));
  boxed.set(tag(key, nonce, ciphertext));
  return boxed;
}

function unbox(key: Uint8Array, nonce: Uint8Array, boxed: Uint8Array): Uint8Array | undefined {
  const ciphertext = boxed.subarray(TAG_BYTES);
  if (!equal(tag(key, nonce, ciphertext), boxed.subarray(0, TAG_BYTES))) return undefined;
  return mask(key, nonce, ciphertext, new Uint8Array(ciphertext.length));
}

/** 16 bytes that change with each bit of the key and of the data, for whoever does not try to forge. */
function tag(key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array {
  const state = new Int32Array(4);
  mix(state, key);
  for (const part of data) mix(state, part);
  mix(state, END); // so that the last bytes reach all of it
  return new Uint8Array(state.buffer);
}

/** Each word goes into one of the four numbers, and that into the next: SipHash took an eighth of a world's time. */
function mix(state: Int32Array, bytes: Uint8Array): void {
  let [a = 0, b = 0, c = 0, d = 0] = state;
  a ^= bytes.length;
  const whole = bytes.length & ~3;
  for (let at = 0; at < bytes.length; at += 4) {
    let word = 0;
    if (at < whole)
      word =
        (bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24);
    else for (let i = at; i < bytes.length; i++) word = (word << 8) | (bytes[i] as number);
    const next = Math.imul(a ^ word, FACTOR);
    a = b ^ (next >>> 15);
    b = (c + next) | 0;
    c = d ^ ((next << 7) | (next >>> 25));
    d = next;
  }
  state[0] = a;
  state[1] = b;
  state[2] = c;
  state[3] = d;
}

/** Hides plain text from code that must not look at it, not from people: 16 bytes, over and over. */
function mask(key: Uint8Array, nonce: Uint8Array, data: Uint8Array, masked: Uint8Array): Uint8Array {
  const bytes = tag(key, nonce);
  for (let i = 0; i < data.length; i++) masked[i] = (data[i] as number) ^ (bytes[i & 15] as number);
  return masked;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

const KEY_BYTES = 32;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;
const TOKEN_BYTES = 16;
const CIPHERTEXT = KEY_BYTES + NONCE_BYTES;
const MESSAGE_BYTES = CIPHERTEXT + 2 * TAG_BYTES;
const OUTER_HEAD_BYTES = 3;
const SECRET_BYTES = 16;
const ZEROS = new Uint8Array(KEY_BYTES);
const BASE = new Uint8Array(KEY_BYTES).fill(0x9d); // any odd numbers
const END = new Uint8Array(16);
const FACTOR = 0x9e3779b1; // an odd number: what it multiplies can be told from the product
