/** RSA-4096 private keys on Node: what `RsaKey` asks for. Of identities that OpenBazaar made before it had Ed25519. */
import { constants, createHash, createPrivateKey, createPublicKey, privateDecrypt, sign } from "node:crypto";
import type { RsaKey } from "./format/index.ts";

/**
 * The key in a PKCS#1 DER. Throws what node:crypto throws when it is none. Decryption is asked for without padding: Node 20
 * refuses PKCS#1 v1.5 itself, and unpadding that never tells whether it failed is done by `decryptRsa`.
 */
export function nodeRsaKey(pkcs1: Uint8Array): RsaKey {
  const key = createPrivateKey({ key: Buffer.from(pkcs1), format: "der", type: "pkcs1" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return {
    spki: new Uint8Array(spki),
    rejection: new Uint8Array(createHash("sha256").update("restante/bazaar/rejection").update(pkcs1).digest()),
    sign: (message) => new Uint8Array(sign("sha256", message, key)),
    decryptRaw(block) {
      try {
        return new Uint8Array(privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, block));
      } catch {
        return undefined;
      }
    },
  };
}
