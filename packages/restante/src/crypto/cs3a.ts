/** Cipher set 3a: Curve25519, XSalsa20, Poly1305, as in NaCl's crypto_box. protocol/cs3a.md */
import { assert, concat, equal, place, type Random, slabs } from "../bytes/index.ts";
import type { Backend, IntoBackend } from "./backend.ts";
import type { ChannelCipher, ChannelInPlace, CipherSet, Ephemeral, OpenedMessage } from "./cipher-set.ts";
import type { KeyPair } from "./keys.ts";
import { type Agree, SharedSecrets } from "./shared-secrets.ts";

/**
 * Cipher set 3a over a backend. Remembers Diffie-Hellman results (see `SharedSecrets`), nothing else. Every result is
 * made in the one array that it leaves in: an array costs as much as a hash.
 */
export function cs3a(backend: Backend): CipherSet {
  const into = backend.into ?? withArrays(backend);
  const agree = (ours: KeyPair, theirs: Uint8Array) => backend.beforenm(ours.secret, theirs);
  // Apart, so that strangers who make us open messages cannot push out the secrets shared with contacts.
  const forOpening = new SharedSecrets(agree, SECRETS); // an ephemeral and an identity key
  const forProof = new SharedSecrets(agree, SECRETS); // two identity keys

  const innerRoom = slabs(OPENED_BYTES);

  // Filled anew by each message, since even a small array costs as much as to fill it ten times. See IntoBackend.
  const preimage = new Uint8Array(NONCE_BYTES + KEY_BYTES);
  const authKey = new Uint8Array(KEY_BYTES);
  const expected = new Uint8Array(TAG_BYTES);

  /** Puts into `out` the authenticator of the sender over all that precedes it in the BODY. cs3a.md §3 */
  const authenticate = (out: Uint8Array, at: number, secret: Uint8Array, signed: Uint8Array): void => {
    // Hashed with the nonce, since a Poly1305 key must never serve twice.
    for (let i = 0; i < NONCE_BYTES; i++) preimage[i] = signed[KEY_BYTES + i] ?? 0;
    preimage.set(secret, NONCE_BYTES);
    into.sha256(authKey, preimage);
    into.onetimeauth(out, at, authKey, signed);
  };

  const verify = (to: KeyPair, from: Uint8Array, body: Uint8Array): boolean => {
    const secret = from.length === KEY_BYTES ? forProof.get(to, from) : undefined;
    if (secret === undefined) return false;
    const end = body.length - TAG_BYTES;
    authenticate(expected, 0, secret, body.subarray(0, end));
    let difference = 0; // the time does not depend on the bytes
    for (let i = 0; i < TAG_BYTES; i++) difference |= (expected[i] ?? 0) ^ (body[end + i] ?? 0);
    return difference === 0;
  };

  /** An array whose end from `front` on is the BODY of a message. */
  const seal = (
    front: number,
    from: KeyPair,
    to: Uint8Array,
    ephemeral: Ephemeral,
    inner: Uint8Array,
    random: Random,
  ): Uint8Array | undefined => {
    if (to.length !== KEY_BYTES) return undefined;
    const secret = ephemeral instanceof Exchange3a ? ephemeral.secretWith(to, agree) : forOpening.get(ephemeral, to);
    const proof = forProof.get(from, to);
    if (secret === undefined || proof === undefined) return undefined;
    const drawn = random(NONCE_BYTES);
    const sealed = new Uint8Array(front + MESSAGE_BYTES + inner.length);
    const end = sealed.length - TAG_BYTES;
    const signed = sealed.subarray(front, end);
    signed.set(ephemeral.key);
    signed.set(drawn, KEY_BYTES);
    signed.set(inner, MESSAGE_INNER);
    into.secretboxSeal(signed, MESSAGE_INNER, secret);
    authenticate(sealed, end, proof, signed);
    return sealed;
  };

  const keyPair = (secret: Uint8Array): KeyPair => ({ key: backend.x25519Key(secret), secret });

  return {
    csid: CSID,
    channelFront: CHANNEL_INNER,
    overhead: OUTER_HEAD_BYTES + MESSAGE_BYTES,

    generate: (random) => keyPair(random(KEY_BYTES)),
    keyPair: (secret) => (secret.length === KEY_BYTES ? keyPair(secret.slice()) : undefined),
    isKey: (key) => key.length === KEY_BYTES,

    exchange(to, random) {
      const pair = keyPair(random(KEY_BYTES));
      return to.length === KEY_BYTES ? new Exchange3a(pair) : undefined;
    },

    seal: (from, to, ephemeral, inner, random) => seal(0, from, to, ephemeral, inner, random),
    sealOuter(from, to, ephemeral, inner, random) {
      const outer = seal(OUTER_HEAD_BYTES, from, to, ephemeral, inner, random);
      if (outer === undefined) return undefined;
      outer[1] = 1; // 00 01: a head of one byte
      outer[2] = CSID;
      return outer;
    },

    open(to: KeyPair, body: Uint8Array): OpenedMessage | undefined {
      if (body.length < MESSAGE_BYTES) return undefined;
      const ephemeral = body.slice(0, KEY_BYTES);
      const secret = forOpening.get(to, ephemeral);
      if (secret === undefined) return undefined;
      const inner = innerRoom(body.length - MESSAGE_BYTES);
      const signed = body.subarray(0, body.length - TAG_BYTES);
      if (!into.secretboxOpen(signed, MESSAGE_INNER, secret, inner, 0)) return undefined;
      return { inner, ephemeral, prefix: ephemeral, verify: (from) => verify(to, from, body) };
    },

    channel(local: Ephemeral, remote: Uint8Array): ChannelCipher | undefined {
      // With our own key reflected at us both directions would share one key.
      if (remote.length !== KEY_BYTES || equal(remote, local.key)) return undefined;
      const secret = backend.beforenm(local.secret, remote);
      if (secret === undefined) return undefined;
      const sendKey = backend.sha256(concat(secret, local.key, remote));
      const receiveKey = backend.sha256(concat(secret, remote, local.key));
      return new Channel3a(into, sendKey, receiveKey);
    },
  };
}

/** A class, since there is one for each link: of closures each would have its own. */
class Channel3a implements ChannelCipher {
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly inPlace: ChannelInPlace;
  readonly #into: Into;

  constructor(into: Into, sendKey: Uint8Array, receiveKey: Uint8Array) {
    this.#into = into;
    this.sendKey = sendKey;
    this.receiveKey = receiveKey;
    this.inPlace = new InPlace3a(this);
  }

  seal(token: Uint8Array, inner: Uint8Array, random: Random): Uint8Array {
    const body = new Uint8Array(CHANNEL_INNER + inner.length);
    body.set(inner, CHANNEL_INNER);
    this.sealInPlace(token, body, random, 0);
    return body;
  }

  open(body: Uint8Array): Uint8Array | undefined {
    if (body.length < CHANNEL_INNER) return undefined;
    const inner = new Uint8Array(body.length - CHANNEL_INNER);
    return this.#into.secretboxOpen(body, CHANNEL_INNER, this.receiveKey, inner, 0) ? inner : undefined;
  }

  sealInPlace(token: Uint8Array, bytes: Uint8Array, random: Random, at: number): void {
    assert(token.length === TOKEN_BYTES, "a routing token has 16 bytes");
    place(bytes, token, at);
    place(bytes, random(NONCE_BYTES), at + TOKEN_BYTES);
    this.#into.secretboxSeal(bytes, at + CHANNEL_INNER, this.sendKey);
  }

  openInPlace(bytes: Uint8Array, at: number): number {
    const start = at + CHANNEL_INNER;
    return bytes.length >= start && this.#into.secretboxOpen(bytes, start, this.receiveKey) ? start : -1;
  }
}

class InPlace3a implements ChannelInPlace {
  readonly #cipher: Channel3a;

  constructor(cipher: Channel3a) {
    this.#cipher = cipher;
  }

  seal(token: Uint8Array, bytes: Uint8Array, random: Random, at = 0): void {
    this.#cipher.sealInPlace(token, bytes, random, at);
  }

  open(bytes: Uint8Array, at: number): number {
    return this.#cipher.openInPlace(bytes, at);
  }
}

/**
 * Our side of an exchange. It remembers the secret with its one counterpart itself: most exchanges make one message, and
 * a `SharedSecrets` with an entry for each of these makes more work for the collector than the message took.
 */
class Exchange3a implements Ephemeral {
  readonly key: Uint8Array;
  readonly secret: Uint8Array;
  readonly prefix: Uint8Array;
  #with: Uint8Array | undefined;
  #shared: Uint8Array | undefined;

  constructor({ key, secret }: KeyPair) {
    this.key = key;
    this.secret = secret;
    this.prefix = key;
  }

  /** The secret shared with this identity key; `undefined` when there is none. */
  secretWith(to: Uint8Array, agree: Agree): Uint8Array | undefined {
    if (this.#shared === undefined || this.#with === undefined || !equal(this.#with, to)) {
      this.#with = to.slice();
      this.#shared = agree(this, to);
    }
    return this.#shared;
  }
}

type Into = Omit<IntoBackend, "layers" | "siphash">;

/** For backends that cannot write into an array of ours: with one more of theirs. */
function withArrays(backend: Backend): Into {
  return {
    sha256: (out, data) => out.set(backend.sha256(data)),
    onetimeauth: (out, at, key, data) => out.set(backend.onetimeauth(key, data), at),
    secretboxSeal(bytes, at, key) {
      bytes.set(backend.secretboxSeal(key, nonceBefore(bytes, at), bytes.subarray(at)), at - TAG_BYTES);
    },
    secretboxOpen(bytes, at, key, out = bytes, to = at) {
      const plain = backend.secretboxOpen(key, nonceBefore(bytes, at), bytes.subarray(at - TAG_BYTES));
      if (plain !== undefined) out.set(plain, to);
      return plain !== undefined;
    },
  };
}

/** The nonce of a secretbox whose text begins at `at`: see IntoBackend. */
function nonceBefore(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at - TAG_BYTES - NONCE_BYTES, at - TAG_BYTES);
}

const CSID = 0x3a;
const KEY_BYTES = 32; // public keys, secrets and shared secrets alike
const NONCE_BYTES = 24; // XSalsa20
const OPENED_BYTES = 2048; // what a message of up to 512 bytes that somebody keeps may keep alive
const TAG_BYTES = 16; // Poly1305, of the secretbox and of the authenticator
const TOKEN_BYTES = 16;
const MESSAGE_INNER = KEY_BYTES + NONCE_BYTES + TAG_BYTES; // where the inner packet stands in a message that is made in place
const MESSAGE_BYTES = MESSAGE_INNER + TAG_BYTES; // BODY of an empty inner packet
const CHANNEL_INNER = TOKEN_BYTES + NONCE_BYTES + TAG_BYTES; // the same in a channel packet
const OUTER_HEAD_BYTES = 3; // LOB length 00 01 and the CSID
const SECRETS = 1024; // per pair of ours, some 250 KiB; without it each message costs two DHs of 25-1500 us
