/** Cipher set 3a: Curve25519, XSalsa20, Poly1305, as in NaCl's crypto_box. protocol/cs3a.md */
import { assert, concat, equal, type Random, slabs } from "../bytes/index.ts";
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
  const nonce = new Uint8Array(NONCE_BYTES);
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
    sealed.set(ephemeral.key, front);
    sealed.set(drawn, front + KEY_BYTES);
    into.secretboxSeal(sealed, front + CIPHERTEXT, secret, drawn, inner);
    authenticate(sealed, end, proof, sealed.subarray(front, end));
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
      const boxed = body.subarray(CIPHERTEXT, body.length - TAG_BYTES);
      for (let i = 0; i < NONCE_BYTES; i++) nonce[i] = body[KEY_BYTES + i] ?? 0;
      if (!into.secretboxOpen(inner, 0, secret, nonce, boxed)) return undefined;
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
    this.sealInto(body, 0, token, inner, 0, random);
    return body;
  }

  open(body: Uint8Array): Uint8Array | undefined {
    if (body.length < CHANNEL_INNER) return undefined;
    const inner = new Uint8Array(body.length - CHANNEL_INNER);
    return this.openInto(inner, 0, body, 0) ? inner : undefined;
  }

  /** The BODY of what stands in `plain` from `from` on goes into `out` from `at` on, which may hold that already. */
  sealInto(out: Uint8Array, at: number, token: Uint8Array, plain: Uint8Array, from: number, random: Random): void {
    assert(token.length === TOKEN_BYTES, "a routing token has 16 bytes");
    const drawn = random(NONCE_BYTES);
    // One by one: to set so few bytes at once costs three times as much.
    for (let i = 0; i < TOKEN_BYTES; i++) out[at + i] = token[i] ?? 0;
    for (let i = 0; i < NONCE_BYTES; i++) out[at + TOKEN_BYTES + i] = drawn[i] ?? 0;
    this.#into.secretboxSeal(out, at + CHANNEL_BOX, this.sendKey, drawn, plain, from);
  }

  /** Opens the BODY that stands in `bytes` from `from` on, into `out` from `at` on. */
  openInto(out: Uint8Array, at: number, bytes: Uint8Array, from: number): boolean {
    for (let i = 0; i < NONCE_BYTES; i++) channelNonce[i] = bytes[from + TOKEN_BYTES + i] ?? 0;
    return this.#into.secretboxOpen(out, at, this.receiveKey, channelNonce, bytes, from + CHANNEL_BOX);
  }
}

class InPlace3a implements ChannelInPlace {
  readonly #cipher: Channel3a;

  constructor(cipher: Channel3a) {
    this.#cipher = cipher;
  }

  seal(token: Uint8Array, bytes: Uint8Array, random: Random, at = 0): void {
    this.#cipher.sealInto(bytes, at, token, bytes, at + CHANNEL_INNER, random);
  }

  open(bytes: Uint8Array, at: number): number {
    const start = at + CHANNEL_INNER;
    return bytes.length >= start && this.#cipher.openInto(bytes, start, bytes, at) ? start : -1;
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
    secretboxSeal: (out, at, key, nonce, plain, from = 0) =>
      out.set(backend.secretboxSeal(key, nonce, plain.subarray(from)), at),
    secretboxOpen(out, at, key, nonce, boxed, from = 0) {
      const plain = backend.secretboxOpen(key, nonce, boxed.subarray(from));
      if (plain !== undefined) out.set(plain, at);
      return plain !== undefined;
    },
  };
}

const CSID = 0x3a;
const KEY_BYTES = 32; // public keys, secrets and shared secrets alike
const NONCE_BYTES = 24; // XSalsa20
const OPENED_BYTES = 2048; // what a message of up to 512 bytes that somebody keeps may keep alive
const TAG_BYTES = 16; // Poly1305, of the secretbox and of the authenticator
const TOKEN_BYTES = 16;
const CIPHERTEXT = KEY_BYTES + NONCE_BYTES; // where it begins in a message
const MESSAGE_BYTES = CIPHERTEXT + TAG_BYTES + TAG_BYTES; // BODY of an empty inner packet
const CHANNEL_BOX = TOKEN_BYTES + NONCE_BYTES; // where the secretbox begins in a channel packet
const CHANNEL_INNER = CHANNEL_BOX + TAG_BYTES; // where the plain text stands when it is made in place
const OUTER_HEAD_BYTES = 3; // LOB length 00 01 and the CSID
const channelNonce = new Uint8Array(NONCE_BYTES); // filled anew by each packet
const SECRETS = 1024; // per pair of ours, some 250 KiB; without it each message costs two DHs of 25-1500 us
