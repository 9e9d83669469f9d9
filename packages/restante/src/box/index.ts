/** Boxes: who has mail for whom. Three roles: sender, cache, recipient; and how one becomes a recipient. protocol/box.md */
export { Cache, type CacheIn, type CacheOptions, type CacheOut } from "./cache.ts";
export type { ChannelEvent, ChannelOp } from "./channel.ts";
export { boxId, messageId } from "./ids.ts";
export { Inbox, type InboxIn, type InboxOut } from "./inbox.ts";
export { JOIN_CHANNEL, Join, type JoinIn, type JoinOptions, type JoinOut } from "./join.ts";
export type { BoxAnswer, BoxClass, BoxOp } from "./operations.ts";
export { Outbox, type OutboxFailure, type OutboxIn, type OutboxOut } from "./outbox.ts";
export { REVOKE_CHANNEL, Revocation, type RevocationIn, type RevocationOut } from "./revocation.ts";
