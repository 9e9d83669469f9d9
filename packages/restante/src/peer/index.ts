/** What the root machine decides by: whom it knows, whom it lets in, whom it looks for; and what passes inside it. */
export { Acquaintance } from "./acquaintance.ts";
export { Blocked, type BlockedInfo } from "./blocked.ts";
export { Book, type Contact, type ContactInfo } from "./book.ts";
export { Calls } from "./calls.ts";
export { type Children, createChildren } from "./children.ts";
export type {
  CacheInfo,
  Call,
  DeviceInfo,
  HandshakeInfo,
  LinkInfo,
  OutgoingMail,
  PeerEvent,
  PeerStatus,
  RequestInfo,
  RootIn,
  RootOptions,
  RootOut,
  SafetyInfo,
} from "./contract.ts";
export { Devices } from "./devices.ts";
export { Dispatch, isSecondDeposit } from "./dispatch.ts";
export { Door } from "./door.ts";
export { Family } from "./family.ts";
export { type FannedOut, FanOut, type FanRecord, type ListedEntry } from "./fan-out.ts";
export { handshakeProblem } from "./handshakes.ts";
export { Joining, ownCaches } from "./joining.ts";
export { Links } from "./links.ts";
export { type ListInfo, Lists } from "./lists.ts";
export { migrated, RECORDS_KEY, recordsState } from "./migrate.ts";
export type { OfferInfo } from "./offers.ts";
export { OWN_CARD_KEY, OwnCard, sendCard } from "./own-card.ts";
export { Porter } from "./porter.ts";
export { cacheInfos, offersTo, type Reporters, statusOf } from "./reports.ts";
export { restored } from "./restored.ts";
export { KEEP_PREFIX } from "./retention.ts";
export { inForce } from "./serving.ts";
export { type Child, ESTRANGED, forRole, OURS, type Role, type Step, type Task } from "./step.ts";
