/** Cryptography: backends, cipher sets, hashnames, identities. */
export type { Backend, IntoBackend, Rsa } from "./backend.ts";
export type { ChannelCipher, ChannelInPlace, CipherSet, Ephemeral, OpenedMessage } from "./cipher-set.ts";
export { type Crypto, createCrypto, highestCommon, order, routingToken } from "./crypto.ts";
export { cs1a } from "./cs1a.ts";
export { cs2a } from "./cs2a.ts";
export { cs3a } from "./cs3a.ts";
export {
  type Hashname,
  hashnameBytes,
  hashnameFromBytes,
  hashnameOf,
  intermediate,
  parseHashname,
} from "./hashname.ts";
export {
  createIdentity,
  type ExportedIdentity,
  exportIdentity,
  type Identity,
  importIdentity,
  isWhole,
} from "./identity.ts";
export { encodeJwk, type PublicIdentity, parseJwk } from "./jwk.ts";
export { csidText, encodeKeys, type KeyPair, type Keys, parseCsid, parseKeys } from "./keys.ts";
export { hsalsa20, portable } from "./portable.ts";
export { isRsaKey, oaepEncode } from "./rsa.ts";
export { type SodiumMemory, type WasmSodium, wasmBackend } from "./wasm.ts";
