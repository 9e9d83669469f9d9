/**
 * Restante: end-to-end encrypted mail between peers that are never online at the same time.
 * Start with `createPeer`. Below it are the seams for adapters; the protocol itself is `restante/protocol`.
 */
export { type Random, RestanteError } from "./bytes/index.ts";
export { type BazaarAddress, type BazaarNode, type Path, pathKey } from "./card/index.ts";
export type { Carrier, CarrierEvents } from "./carrier.ts";
export {
  type Backend,
  createCrypto,
  createIdentity,
  exportIdentity,
  type Hashname,
  type Identity,
  importIdentity,
  portable,
} from "./crypto/index.ts";
export {
  type DiscoveryOptions,
  type DiscoveryWay,
  type LinkResolver,
  type ResolvedLink,
  resolveLink,
  type SrvRecord,
} from "./discovery.ts";
export type { HandshakeMessage } from "./e3x/index.ts";
export type { OutgoingFile } from "./files.ts";
export type { ConversationPage, HistoryEntry, Retention } from "./history.ts";
export {
  type CacheTest,
  type CarrierUse,
  CONTENT_LIMIT,
  type FileProgress,
  type InboxRecord as Received,
  type LedgerEntry,
  type MailState,
  type OutboxEntry,
  shownTime,
  type TestOutcome,
} from "./mail/index.ts";
export type { Noise } from "./mesh/index.ts";
export type { ContactInfo } from "./peer/index.ts";
export type {
  BlockedInfo,
  CacheInfo,
  DeviceInfo,
  HandshakeInfo,
  LinkInfo,
  ListedEntry,
  ListInfo,
  OfferInfo,
  PeerEvent,
  PeerStatus,
  RequestInfo,
  SafetyInfo,
} from "./peer.ts";
export { createPeer, type Peer, type PeerOptions } from "./run.ts";
export type { ChannelEnd, IncomingPacket, OpenOptions, OutgoingPacket, PeerChannel } from "./run-channels.ts";
export { ChannelBroken } from "./run-channels.ts";
export type { SendOptions } from "./sending.ts";
export {
  BOX_LIMITS,
  type BoxAnswer,
  type BoxLimits,
  type BoxOp,
  type BoxStats,
  type BoxStore,
  memoryBoxStore,
  memoryStore,
  RECORD_BYTES,
  type Store,
} from "./store/index.ts";
export { MemoryNetwork, type Transport, type TransportEvents, type TransportPath } from "./transport/index.ts";
export type { Json, JsonObject } from "./wire/index.ts";
