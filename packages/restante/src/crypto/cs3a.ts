/** Cipher set 3a: Curve25519, XSalsa20, Poly1305, as in NaCl's crypto_box. protocol/cs3a.md */
import { assert, concat, equal, type Random } from "../bytes/index.ts";
import type { Backend } from "./backend.ts";
import type { ChannelCipher, CipherSet, OpenedMessage } from "./cipher-set.ts";
import type { KeyPair } from "./keys.ts";
import { SharedSecrets } from "./shared-secrets.ts";

/** Cipher set 3a over a backend. Remembers Diffie-Hellman results (see `SharedSecrets`), nothing else. */
export function cs3a(backend: Backend): CipherSet {
  const agree = (ours: KeyPair, theirs: Uint8Array) => backend.beforenm(ours.secret, theirs);
  // Apart, so that strangers who make us open messages cannot push out the secrets shared with contacts.
  const forOpening = new SharedSecrets(agree, SECRETS); // an ephemeral and an identity key
  const forProof = new SharedSecrets(agree, SECRETS); // two identity keys

  /** The authenticator of the sender over all that precedes it in the BODY. cs3a.md §3 */
  const authenticator = (us: KeyPair, them: Uint8Array, nonce: Uint8Array, signed: Uint8Array) => {
    const secret = forProof.get(us, them);
    // Hashed with the nonce, since a Poly1305 key must never serve twice.
    return secret && backend.onetimeauth(backend.sha256(concat(nonce, secret)), signed);
  };

  const keyPair = (secret: Uint8Array): KeyPair => ({ key: backend.x25519Key(secret), secret });

  return {
    csid: 0x3a,
    overhead: OUTER_HEAD_BYTES + MESSAGE_BYTES,

    generate: (random) => keyPair(random(KEY_BYTES)),
    keyPair: (secret) => (secret.length === KEY_BYTES ? keyPair(secret.slice()) : undefined),
    isKey: (key) => key.length === KEY_BYTES,

    seal(from: KeyPair, to: Uint8Array, ephemeral: KeyPair, inner: Uint8Array, random: Random) {
      if (to.length !== KEY_BYTES) return undefined;
      const secret = forOpening.get(ephemeral, to);
      if (secret === undefined) return undefined;
      const nonce = random(NONCE_BYTES);
      const signed = concat(ephemeral.key, nonce, backend.secretboxSeal(secret, nonce, inner));
      const auth = authenticator(from, to, nonce, signed);
      return auth && concat(signed, auth);
    },

    open(to: KeyPair, body: Uint8Array): OpenedMessage | undefined {
      if (body.length < MESSAGE_BYTES) return undefined;
      const ephemeral = body.slice(0, KEY_BYTES);
      const secret = forOpening.get(to, ephemeral);
      if (secret === undefined) return undefined;
      const nonce = body.subarray(KEY_BYTES, CIPHERTEXT);
      const inner = backend.secretboxOpen(secret, nonce, body.subarray(CIPHERTEXT, body.length - TAG_BYTES));
      return inner && { inner, ephemeral };
    },

    verify(to: KeyPair, from: Uint8Array, body: Uint8Array): boolean {
      if (body.length < MESSAGE_BYTES || from.length !== KEY_BYTES) return false;
      const end = body.length - TAG_BYTES;
      const auth = authenticator(to, from, body.subarray(KEY_BYTES, CIPHERTEXT), body.subarray(0, end));
      return auth !== undefined && equal(auth, body.subarray(end));
    },

    channel(local: KeyPair, remote: Uint8Array): ChannelCipher | undefined {
      // With our own key reflected at us both directions would share one key.
      if (remote.length !== KEY_BYTES || equal(remote, local.key)) return undefined;
      const secret = backend.beforenm(local.secret, remote);
      if (secret === undefined) return undefined;
      const sendKey = backend.sha256(concat(secret, local.key, remote));
      const receiveKey = backend.sha256(concat(secret, remote, local.key));
      return {
        sendKey,
        receiveKey,
        seal(token, inner, random) {
          assert(token.length === TOKEN_BYTES, "a routing token has 16 bytes");
          const nonce = random(NONCE_BYTES);
          return concat(token, nonce, backend.secretboxSeal(sendKey, nonce, inner));
        },
        open(body) {
          if (body.length < TOKEN_BYTES + NONCE_BYTES + TAG_BYTES) return undefined;
          const nonce = body.subarray(TOKEN_BYTES, TOKEN_BYTES + NONCE_BYTES);
          return backend.secretboxOpen(receiveKey, nonce, body.subarray(TOKEN_BYTES + NONCE_BYTES));
        },
      };
    },
  };
}

const KEY_BYTES = 32; // public keys, secrets and shared secrets alike
const NONCE_BYTES = 24; // XSalsa20
const TAG_BYTES = 16; // Poly1305, of the secretbox and of the authenticator
const TOKEN_BYTES = 16;
const CIPHERTEXT = KEY_BYTES + NONCE_BYTES; // where it begins
const MESSAGE_BYTES = CIPHERTEXT + TAG_BYTES + TAG_BYTES; // BODY of an empty inner packet
const OUTER_HEAD_BYTES = 3; // LOB length 00 01 and the CSID
const SECRETS = 1024; // per pair of ours, some 250 KiB; without it each message costs two DHs of 25-1500 us
