/** Cryptography: backends, cipher sets, hashnames, identities. */
export type { Backend } from "./backend.ts";
export type { ChannelCipher, CipherSet, OpenedMessage } from "./cipher-set.ts";
export { type Crypto, createCrypto, highestCommon, order, routingToken } from "./crypto.ts";
export { cs3a } from "./cs3a.ts";
export {
  type Hashname,
  hashnameBytes,
  hashnameFromBytes,
  hashnameOf,
  intermediate,
  parseHashname,
} from "./hashname.ts";
export { createIdentity, type ExportedIdentity, exportIdentity, type Identity, importIdentity } from "./identity.ts";
export { csidText, encodeKeys, type KeyPair, type Keys, parseCsid, parseKeys } from "./keys.ts";
export { hsalsa20, portable } from "./portable.ts";
