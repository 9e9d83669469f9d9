/** What the root machine decides by: whom it knows, whom it lets in, whom it looks for; and what passes inside it. */
export { Acquaintance } from "./acquaintance.ts";
export { Book, type ContactInfo } from "./book.ts";
export { type Children, createChildren } from "./children.ts";
export type {
  Call,
  HandshakeInfo,
  OutgoingMail,
  PeerEvent,
  PeerStatus,
  RequestInfo,
  RootIn,
  RootOptions,
  RootOut,
} from "./contract.ts";
export { Door } from "./door.ts";
export { handshakeProblem, setHandshakes } from "./handshakes.ts";
export { Joining } from "./joining.ts";
export { Links } from "./links.ts";
export { OwnCard } from "./own-card.ts";
export { Porter } from "./porter.ts";
export { type Child, OURS, type Role, refuse, type Step, type Task } from "./step.ts";
