/** Cipher set 2a: RSA-2048, P-256, AES-256-GCM. Only for backends with RSA. protocol/cs2a.md */
import { assert, concat, equal, type Random, shortLived } from "../bytes/index.ts";
import type { Backend, Rsa } from "./backend.ts";
import type { ChannelCipher, CipherSet, Ephemeral, OpenedMessage } from "./cipher-set.ts";
import type { KeyPair } from "./keys.ts";
import { encodeSpki, isRsaKey, oaepEncode } from "./rsa.ts";
import { SharedSecrets } from "./shared-secrets.ts";

/** Cipher set 2a over a backend and its RSA. Remembers the KEYS that it decrypted (see `SharedSecrets`), nothing else. */
export function cs2a(backend: Backend, rsa: Rsa): CipherSet {
  const opened = new SharedSecrets((ours, keys): Opened | undefined => {
    const half = rsa.decrypt(ours, keys);
    if (half?.length !== HALF_BYTES) return undefined;
    return { aesKey: half.slice(P256_BYTES), told: { ephemeral: half, prefix: keys.slice() } };
  }, EXCHANGES);

  const p256Pair = (random: Random): KeyPair => {
    let secret = random(SECRET_BYTES);
    let key = backend.p256Key(secret);
    for (let tries = 1; key === undefined; tries++) {
      assert(tries < TRIES, "of 2^32 random secrets all but one are good");
      secret = random(SECRET_BYTES);
      key = backend.p256Key(secret);
    }
    return { key, secret };
  };

  /** The AES key in a half, each time the same array, since backends remember what they made of a key. */
  const aesKeys = new WeakMap<Uint8Array, Uint8Array>();
  const aesKey = (half: Uint8Array): Uint8Array => {
    const key = aesKeys.get(half) ?? half.subarray(P256_BYTES);
    aesKeys.set(half, key);
    return key;
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
    if (!isRsaKey(to)) return undefined;
    const sealed = new Uint8Array(front + MESSAGE_BYTES + inner.length);
    const iv = sealed.subarray(front + KEYS_BYTES, front + HEAD); // in place: libraries reach small arrays slowly
    const start = front + HEAD; // of the inner packet and its signature, and then of what they are encrypted to
    const end = start + inner.length;
    sealed.set(ephemeral.prefix, front);
    iv.set(random(IV_BYTES));
    sealed.set(inner, start);
    sealed.set(rsa.sign(from, sealed.subarray(front, end)), end);
    const signed = sealed.subarray(start, end + SIGNATURE_BYTES);
    sealed.set(backend.aes256gcmSeal(aesKey(ephemeral.key), iv, signed, ephemeral.prefix), start);
    return sealed;
  };

  const desk = new Uint8Array(DESK_BYTES);
  /** What is signed: the head of a body, then the inner packet. Short ones in an array that the next call fills anew. */
  const joined = (body: Uint8Array, inner: Uint8Array): Uint8Array => {
    if (body.length > DESK_BYTES) return concat(body.subarray(0, HEAD), inner);
    desk.set(body);
    desk.set(inner, HEAD);
    return desk.subarray(0, HEAD + inner.length);
  };

  const padded = new Uint8Array(KEYS_BYTES);

  return {
    csid: CSID,
    overhead: OUTER_HEAD_BYTES + MESSAGE_BYTES,

    generate: () => rsa.generate(),
    keyPair(secret, key) {
      const pair = rsa.keyPair(secret);
      // A peer may have published its key in the other form, and its hashname is that of the bytes published.
      return pair && key && equal(key, encodeSpki(pair.key)) ? { key: key.slice(), secret: pair.secret } : pair;
    },
    isKey: isRsaKey,

    exchange(to, random): Ephemeral | undefined {
      if (!isRsaKey(to)) return undefined;
      const pair = p256Pair(random);
      const half = concat(pair.key, random(AES_BYTES));
      const prefix = rsa.encrypt(to, oaepEncode(rsa, half, random(SEED_BYTES), padded));
      padded.fill(0);
      return { prefix, key: half, secret: pair.secret };
    },

    seal: (from, to, ephemeral, inner, random) => seal(0, from, to, ephemeral, inner, random),
    sealOuter(from, to, ephemeral, inner, random) {
      const outer = seal(OUTER_HEAD_BYTES, from, to, ephemeral, inner, random);
      if (outer === undefined) return undefined;
      outer[1] = 1; // 00 01: a head of one byte
      outer[2] = CSID;
      return outer;
    },

    open(to, body): OpenedMessage | undefined {
      if (body.length < MESSAGE_BYTES) return undefined;
      const [keys, iv, sealed] = [body.subarray(0, KEYS_BYTES), body.subarray(KEYS_BYTES, HEAD), body.subarray(HEAD)];
      const exchange = opened.get(to, keys);
      if (exchange === undefined) return undefined;
      const plain = backend.aes256gcmOpen(exchange.aesKey, iv, sealed, keys);
      if (plain === undefined) return undefined;
      const end = plain.length - SIGNATURE_BYTES;
      const [inner, signature] = [plain.subarray(0, end), plain.subarray(end)];
      const verify = (from: Uint8Array): boolean => {
        if (!isRsaKey(from)) return false;
        const isTheirs = rsa.verify(from, joined(body, inner), signature);
        desk.fill(0);
        return isTheirs;
      };
      const { ephemeral, prefix } = exchange.told;
      return { inner, ephemeral, prefix, verify };
    },

    channel(local, remote): ChannelCipher | undefined {
      if (remote.length !== HALF_BYTES) return undefined;
      // With either part of our own half reflected at us we could end with one key for both directions.
      const [ourKey, theirKey] = [local.key.subarray(P256_BYTES), remote.subarray(P256_BYTES)];
      if (equal(point(remote), point(local.key)) || equal(theirKey, ourKey)) return undefined;
      const secret = backend.p256(local.secret, point(remote));
      if (secret === undefined) return undefined;
      const sendKey = backend.sha256(concat(secret, ourKey, theirKey));
      const receiveKey = backend.sha256(concat(secret, theirKey, ourKey));
      let iv: Uint8Array | undefined;
      return {
        sendKey,
        receiveKey,
        seal(token, inner, random) {
          assert(token.length === TOKEN_BYTES, "a routing token has 16 bytes");
          iv = iv === undefined ? random(IV_BYTES) : following(iv);
          const sealed = shortLived(TOKEN_BYTES + IV_BYTES + inner.length + TAG_BYTES);
          sealed.set(token);
          sealed.set(iv, TOKEN_BYTES);
          sealed.set(backend.aes256gcmSeal(sendKey, iv, inner, NO_AAD), TOKEN_BYTES + IV_BYTES);
          return sealed;
        },
        open(body) {
          if (body.length < TOKEN_BYTES + IV_BYTES + TAG_BYTES) return undefined;
          const sealed = TOKEN_BYTES + IV_BYTES;
          return backend.aes256gcmOpen(receiveKey, body.subarray(TOKEN_BYTES, sealed), body.subarray(sealed), NO_AAD);
        },
      };
    },
  };
}

/** An exchange of theirs. What is told of it is the same with each of its messages: to copy it costs as much as a hash. */
interface Opened {
  readonly aesKey: Uint8Array;
  readonly told: Pick<OpenedMessage, "ephemeral" | "prefix">;
}

/** Of what KEYS hold, the P-256 key for the channel keys. Behind it stands an AES key for the messages of the exchange. */
function point(half: Uint8Array): Uint8Array {
  return half.subarray(0, P256_BYTES);
}

/** The IV after this one: its first 8 bytes count up, little-endian. */
function following(iv: Uint8Array): Uint8Array {
  const next = iv.slice();
  for (let i = 0; i < COUNTER_BYTES; i++) {
    const byte = ((next[i] ?? 0) + 1) & 0xff;
    next[i] = byte;
    if (byte !== 0) break;
  }
  return next;
}

const CSID = 0x2a;
const SECRET_BYTES = 32;
const P256_BYTES = 65; // uncompressed
const AES_BYTES = 32;
const HALF_BYTES = P256_BYTES + AES_BYTES;
const SEED_BYTES = 20; // of OAEP with SHA-1
const KEYS_BYTES = 256; // one RSA block
const IV_BYTES = 12;
const COUNTER_BYTES = 8;
const SIGNATURE_BYTES = 256;
const TAG_BYTES = 16;
const TOKEN_BYTES = 16;
const NO_AAD = new Uint8Array(0);
const HEAD = KEYS_BYTES + IV_BYTES; // what stands in the clear, in front of the sealed
const MESSAGE_BYTES = HEAD + SIGNATURE_BYTES + TAG_BYTES; // BODY of an empty inner packet
const OUTER_HEAD_BYTES = 3; // LOB length 00 01 and the CSID
const DESK_BYTES = 2048; // handshakes and messages of the usual size
const EXCHANGES = 1024; // decrypted KEYS per pair of ours, some 1.5 MiB; each costs an RSA decryption of 400 us
const TRIES = 8;
