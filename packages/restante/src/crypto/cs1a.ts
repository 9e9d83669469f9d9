/**
 * Cipher set 1a: secp160r1, AES-128-CTR, HMAC-SHA-256 cut to 4 bytes, for very small devices. An 80-bit curve and a
 * 32-bit tag: WEAK, so nobody speaks it who was not asked to. protocol/cs1a.md
 */
import { assert, concat, equal, type Random } from "../bytes/index.ts";
import type { Backend } from "./backend.ts";
import type { ChannelCipher, CipherSet, Ephemeral, OpenedMessage } from "./cipher-set.ts";
import type { KeyPair } from "./keys.ts";
import { SharedSecrets } from "./shared-secrets.ts";

/** Cipher set 1a over a backend. Remembers Diffie-Hellman results (see `SharedSecrets`) and the IVs of our exchanges. */
export function cs1a(backend: Backend): CipherSet {
  const agree = (ours: KeyPair, theirs: Uint8Array) => backend.secp160r1(ours.secret, theirs);
  const agreeKey = (ours: KeyPair, theirs: Uint8Array) => {
    const secret = agree(ours, theirs);
    return secret && fold(backend.sha256(secret), AES_BYTES);
  };
  // Apart, so that strangers who make us open messages cannot push out the secrets shared with contacts.
  const forOpening = new SharedSecrets(agreeKey, SECRETS); // an ephemeral and an identity key
  const forProof = new SharedSecrets(agree, SECRETS); // two identity keys
  const counters = new WeakMap<Ephemeral, Counter>();

  /** The next IV of an exchange: one sequence for all that we encrypt in it, so that none comes twice under any key. */
  const nextIv = (ephemeral: Ephemeral, random: Random): Uint8Array | undefined => {
    let counter = counters.get(ephemeral);
    if (counter === undefined) {
      counter = { value: littleEndian(random(IV_BYTES)), left: IVS };
      counters.set(ephemeral, counter);
    }
    if (counter.left === 0) return undefined;
    counter.left--;
    const { value } = counter;
    counter.value = (value + 1) >>> 0;
    return Uint8Array.of(value, value >> 8, value >> 16, value >> 24);
  };

  const crypt = (key: Uint8Array, iv: Uint8Array, data: Uint8Array) =>
    backend.aes128ctr(key, concat(iv, REST_OF_IV), data);
  const mac = (key: Uint8Array, iv: Uint8Array, data: Uint8Array) =>
    fold(backend.hmac(concat(key, iv), data), MAC_BYTES);

  const verify = (to: KeyPair, from: Uint8Array, body: Uint8Array): boolean => {
    const secret = isKey(from) ? forProof.get(to, from) : undefined;
    const end = body.length - MAC_BYTES;
    return (
      secret !== undefined &&
      equal(mac(secret, body.subarray(KEY_BYTES, TEXT), body.subarray(0, end)), body.subarray(end))
    );
  };

  const keyPair = (secret: Uint8Array): KeyPair | undefined => {
    const key = backend.secp160r1Key(secret);
    return key && { key, secret };
  };
  const generate = (random: Random): KeyPair => {
    const pair = keyPair(random(SECRET_BYTES));
    assert(pair !== undefined, "160 random bits are not all zero");
    return pair;
  };

  return {
    csid: 0x1a,
    overhead: OUTER_HEAD_BYTES + MESSAGE_BYTES,
    isWeak: true,

    generate,
    // telehash-c writes one byte more in front, for an order of 161 bits.
    keyPair(secret) {
      const digits = secret.length === SECRET_BYTES + 1 && secret[0] === 0 ? secret.slice(1) : secret.slice();
      return digits.length === SECRET_BYTES ? keyPair(digits) : undefined;
    },
    isKey,

    exchange(to, random) {
      const pair = generate(random);
      return isKey(to) ? { ...pair, prefix: pair.key } : undefined;
    },

    seal(from, to, ephemeral, inner, random) {
      if (!isKey(to)) return undefined;
      const [key, secret] = [forOpening.get(ephemeral, to), forProof.get(from, to)];
      if (key === undefined || secret === undefined) return undefined;
      const iv = nextIv(ephemeral, random);
      if (iv === undefined) return undefined;
      const signed = concat(ephemeral.key, iv, crypt(key, iv, inner));
      return concat(signed, mac(secret, iv, signed));
    },

    open(to, body): OpenedMessage | undefined {
      if (body.length < MESSAGE_BYTES) return undefined;
      const ephemeral = body.slice(0, KEY_BYTES);
      const key = forOpening.get(to, ephemeral);
      // Whatever the bytes, they decrypt: only `verify` tells a message from noise.
      const inner = key && crypt(key, body.subarray(KEY_BYTES, TEXT), body.subarray(TEXT, body.length - MAC_BYTES));
      return inner && { inner, ephemeral, prefix: ephemeral, verify: (from) => verify(to, from, body) };
    },

    channel(local, remote): ChannelCipher | undefined {
      // With our own key reflected at us both directions would share one key.
      if (equal(remote, local.key)) return undefined;
      const secret = agree(local, remote);
      if (secret === undefined) return undefined;
      const sendKey = fold(backend.sha256(concat(secret, local.key, remote)), AES_BYTES);
      const receiveKey = fold(backend.sha256(concat(secret, remote, local.key)), AES_BYTES);
      return {
        sendKey,
        receiveKey,
        seal(token, inner, random) {
          assert(token.length === TOKEN_BYTES, "a routing token has 16 bytes");
          const iv = nextIv(local, random);
          assert(iv !== undefined, "an exchange of 1a ends before 2^32 packets");
          const ciphertext = crypt(sendKey, iv, inner);
          return concat(token, iv, ciphertext, mac(sendKey, iv, ciphertext));
        },
        open(body) {
          const [start, end] = [TOKEN_BYTES + IV_BYTES, body.length - MAC_BYTES];
          if (end < start) return undefined;
          const [iv, ciphertext] = [body.subarray(TOKEN_BYTES, start), body.subarray(start, end)];
          return equal(mac(receiveKey, iv, ciphertext), body.subarray(end))
            ? crypt(receiveKey, iv, ciphertext)
            : undefined;
        },
      };
    },
  };
}

/** How far the IVs of one exchange have come. */
interface Counter {
  value: number;
  left: number;
}

/** Compressed points only. That one is on the curve shows when a secret is shared with it. */
function isKey(key: Uint8Array): boolean {
  return key.length === KEY_BYTES && (key[0] === 2 || key[0] === 3);
}

/** Halves, XORed together until `length` bytes are left. */
function fold(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length <= length) return bytes;
  const half = bytes.length / 2;
  return fold(
    bytes.slice(0, half).map((byte, i) => byte ^ (bytes[half + i] ?? 0)),
    length,
  );
}

function littleEndian([a = 0, b = 0, c = 0, d = 0]: Uint8Array): number {
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

const SECRET_BYTES = 20;
const KEY_BYTES = 21; // compressed
const IV_BYTES = 4;
const IVS = 2 ** 32;
const REST_OF_IV = new Uint8Array(12); // in which the counter of blocks runs, so it never meets another IV's
const AES_BYTES = 16;
const MAC_BYTES = 4;
const TOKEN_BYTES = 16;
const TEXT = KEY_BYTES + IV_BYTES; // where the ciphertext begins
const MESSAGE_BYTES = TEXT + MAC_BYTES; // BODY of an empty inner packet
const OUTER_HEAD_BYTES = 3; // LOB length 00 01 and the CSID
const SECRETS = 1024; // per pair of ours, as in 3a
