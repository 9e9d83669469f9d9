/**
 * The formats of OpenBazaar's offline messages, byte for byte, and our additions to them. Pure: no I/O, no clock, no
 * randomness of its own; what others sent never makes any of it throw. protocol/bazaar.md
 */
export {
  type Chat,
  chatId,
  chatMessage,
  chatOf,
  commandMessage,
  commandOf,
  encodeChat,
  innerId,
  type Moment,
  momentOf,
  SUBJECT_BYTES,
  TEXT_BYTES,
  writeTime,
} from "./chat.ts";
export {
  ADDRESS_BYTES,
  ANSWER_BYTES,
  encodedPointerBytes,
  encodePointerAnswer,
  encodePointerRequest,
  isKey,
  isMagicId,
  PAGE_POINTERS,
  type PointerAnswer,
  type PointerRecord,
  type PointerRequest,
  type PointerStatus,
  parsePointerAnswer,
  parsePointerRequest,
  REQUEST_BYTES,
} from "./dht.ts";
export { boxKeyOf, decrypt, ENCRYPTION_BYTES, encrypt } from "./encryption.ts";
export { encodeEnvelope, type Opened, open, parseEnvelope, seal } from "./envelope.ts";
export { type Extension, extend, extensionOf, sealedMessage, sealedOf } from "./extension.ts";
export { encodeFrame, FRAME_BYTES, Frames } from "./frames.ts";
export {
  ed25519KeyOf,
  encodeEd25519,
  type Identity,
  identityFromRsa,
  identityFromSeed,
  identityFromWords,
  type PublicKey,
  parsePrivateKey,
  parsePublicKey,
  sign,
  verify,
} from "./identity.ts";
export {
  type Cid,
  cidOf,
  fromBase58,
  isMultihash,
  multihash,
  type PeerId,
  parseCid,
  parsePeerId,
  peerIdOf,
  toBase58,
} from "./ids.ts";
export {
  acknowledgedBy,
  blockMessage,
  blockOf,
  bytesOf,
  encodeMessage,
  errorMessage,
  errorOf,
  type Message,
  offlineAck,
  type Payload,
  parseMessage,
  payloadOf,
  storedCids,
  storeMessage,
  TYPES,
} from "./message.ts";
export {
  type Address,
  encodeAddress,
  magicId,
  PREFIX_BITS,
  parseAddress,
  pointerKey,
  pointerKeyOfDigest,
  rendezvousOf,
  showAddress,
  topicOf,
} from "./pointer.ts";
export type { RsaKey, RsaPublicKey } from "./rsa.ts";
export { Assembly, split, type TreeBlock } from "./unixfs.ts";
