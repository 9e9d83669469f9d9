/**
 * Ceilings: the cryptography of messages and channel packets as bare calls of the libraries, on arrays that are made once
 * and used for ever. What is ours is not in them: packets, nonces from a pool, remembered secrets, arrays for results.
 */
import {
  createCipheriv,
  createECDH,
  createHash,
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
} from "node:crypto";
import type { Backend } from "restante/protocol";
import type { Work } from "./harness.ts";

/** What is measured of a cipher set, and the least that it takes. */
export type Ceilings = Readonly<Record<Operation, Work>>;
export type Operation = "seal.reused" | "seal.fresh" | "open.cached" | "open.fresh" | "send" | "receive";

/** Set 3a as calls of sodium-native. `undefined`: it is not installed. */
export async function sodiumCeilings(message: number, packet: number): Promise<Ceilings | undefined> {
  const name = "sodium-native"; // in a variable: it is optional, and has no types
  const sodium: Sodium | undefined = await import(name).then(
    (loaded) => loaded.default,
    () => undefined,
  );
  if (sodium === undefined) return undefined;
  const [ours, secret, theirs, shared] = [bytes(32), bytes(32), bytes(32), bytes(32)];
  const [key, nonce, preimage, hash, tag] = [bytes(32), bytes(24), bytes(24 + 32), bytes(32), bytes(16)];
  const [signed, auth] = [bytes(32 + 24 + 16 + message), bytes(16)];
  sodium.crypto_box_keypair(theirs, secret);
  sodium.crypto_box_keypair(ours, secret);
  sodium.crypto_onetimeauth(auth, signed, hash);
  const sealing = (length: number): Work => {
    const [plain, boxed] = [bytes(length), bytes(length + 16)];
    return () => {
      sodium.randombytes_buf(nonce);
      sodium.crypto_secretbox_easy(boxed, plain, nonce, key);
      return 1;
    };
  };
  const opening = (length: number): Work => {
    const [plain, boxed, fixed] = [bytes(length), bytes(length + 16), bytes(24)];
    sodium.crypto_secretbox_easy(boxed, plain, fixed, key);
    return () => (sodium.crypto_secretbox_open_easy(plain, boxed, fixed, key) ? 1 : 0);
  };
  const [seal, open] = [sealing(message), opening(message)];
  const sealReused = (): number => {
    seal();
    sodium.crypto_hash_sha256(hash, preimage);
    sodium.crypto_onetimeauth(tag, signed, hash);
    return 1;
  };
  const openCached = (): number => {
    open();
    sodium.crypto_hash_sha256(hash, preimage);
    sodium.crypto_onetimeauth_verify(auth, signed, hash);
    return 1;
  };
  return {
    "seal.reused": sealReused,
    "seal.fresh"() {
      sodium.crypto_box_keypair(ours, secret);
      sodium.crypto_scalarmult(shared, secret, theirs);
      return sealReused();
    },
    "open.cached": openCached,
    "open.fresh"() {
      sodium.crypto_scalarmult(shared, secret, theirs);
      return openCached();
    },
    send: sealing(packet),
    receive: opening(packet),
  };
}

/** Set 3a as the primitives of a backend. */
export function primitiveCeilings(backend: Backend, message: number, packet: number): Ceilings {
  const pair = { secret: bytes(32).fill(1), theirs: backend.x25519Key(bytes(32).fill(2)) };
  const [key, nonce, preimage, signed] = [bytes(32), bytes(24), bytes(24 + 32), bytes(32 + 24 + 16 + message)];
  const sealing = (length: number): Work => {
    const plain = bytes(length);
    return () => (backend.secretboxSeal(key, nonce, plain) ? 1 : 0);
  };
  const opening = (length: number): Work => {
    const boxed = backend.secretboxSeal(key, nonce, bytes(length));
    return () => (backend.secretboxOpen(key, nonce, boxed) ? 1 : 0);
  };
  const authenticated = (work: Work): Work => {
    return () => (backend.onetimeauth(backend.sha256(preimage), signed) ? work() : 0);
  };
  const [sealReused, openCached] = [authenticated(sealing(message)), authenticated(opening(message))];
  return {
    "seal.reused": sealReused,
    "seal.fresh": () =>
      backend.x25519Key(pair.secret) && backend.beforenm(pair.secret, pair.theirs) ? sealReused() : 0,
    "open.cached": openCached,
    "open.fresh": () => (backend.beforenm(pair.secret, pair.theirs) ? openCached() : 0),
    send: sealing(packet),
    receive: opening(packet),
  };
}

/** Set 2a as calls of OpenSSL: for messages RSA alone, beside which all else should hardly count; for packets AES. */
export function rsaCeilings(message: number, packet: number): Ceilings {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const [signed, block] = [bytes(256 + 12 + message), bytes(97)];
  const signature = sign("sha256", signed, privateKey);
  // Keys without options mean OAEP with SHA-1. With options Node 24 would take 9 us more.
  const encrypted = publicEncrypt(publicKey, block);
  const [sealReused, openCached] = [
    () => (sign("sha256", signed, privateKey) ? 1 : 0),
    () => (verify("sha256", signed, publicKey, signature) ? 1 : 0),
  ];
  const [key, iv, data] = [createSecretKey(bytes(32)), bytes(12), bytes(packet)];
  const gcm = (): number => {
    const cipher = createCipheriv("aes-256-gcm", key, iv);
    cipher.update(data);
    cipher.final();
    return cipher.getAuthTag().length > 0 ? 1 : 0;
  };
  return {
    "seal.reused": sealReused,
    "seal.fresh": () => (publicEncrypt(publicKey, block) ? sealReused() : 0),
    "open.cached": openCached,
    "open.fresh": () => (privateDecrypt(privateKey, encrypted) ? openCached() : 0),
    send: gcm,
    receive: gcm,
  };
}

/** Set 1a as calls of OpenSSL. */
export function smallCurveCeilings(message: number, packet: number): Ceilings {
  const [own, theirs] = [createECDH("secp160r1"), createECDH("secp160r1")];
  const secret = own.generateKeys() && own.getPrivateKey();
  const point = theirs.generateKeys();
  const [key, iv] = [createSecretKey(bytes(16)), bytes(16)];
  const macKey = createSecretKey(bytes(24));
  const work = (length: number, extra: number): Work => {
    const [data, signed] = [bytes(length), bytes(length + extra)];
    return () => {
      createCipheriv("aes-128-ctr", key, iv).update(data);
      createHmac("sha256", macKey).update(signed).digest();
      return 1;
    };
  };
  const onMessage = work(message, 25);
  const agree = (): void => {
    own.setPrivateKey(secret);
    createHash("sha256").update(own.computeSecret(point)).digest();
  };
  return {
    "seal.reused": onMessage,
    "seal.fresh"() {
      own.generateKeys();
      agree();
      return onMessage();
    },
    "open.cached": onMessage,
    "open.fresh"() {
      agree();
      return onMessage();
    },
    send: work(packet, 0),
    receive: work(packet, 0),
  };
}

function bytes(length: number): Uint8Array {
  return new Uint8Array(length);
}

interface Sodium {
  randombytes_buf(bytes: Uint8Array): void;
  crypto_box_keypair(key: Uint8Array, secret: Uint8Array): void;
  crypto_scalarmult(point: Uint8Array, secret: Uint8Array, key: Uint8Array): void;
  crypto_secretbox_easy(boxed: Uint8Array, plain: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  crypto_secretbox_open_easy(plain: Uint8Array, boxed: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean;
  crypto_hash_sha256(hash: Uint8Array, data: Uint8Array): void;
  crypto_onetimeauth(tag: Uint8Array, data: Uint8Array, key: Uint8Array): void;
  crypto_onetimeauth_verify(tag: Uint8Array, data: Uint8Array, key: Uint8Array): boolean;
}
