/** Mail: what is sent, kept, delivered, acknowledged and shown once. */
export type { CacheTest, OwnCache, TestOutcome } from "./canary.ts";
export { CONTENT_LIMIT, PART_CONTENT, TEXT_LIMIT } from "./constants.ts";
export { inOrder, shownTime } from "./conversation.ts";
export type { RankedCache } from "./delivery.ts";
export { isFileName, isMedia } from "./envelope.ts";
export type { InboxRecord } from "./inbox.ts";
export { type LedgerEntry, type MailState, mayFollow, stateOf } from "./ledger.ts";
export { Mail } from "./mail.ts";
export type { CacheOffer, Destination, Route } from "./route.ts";
export type { SentRecord } from "./sent.ts";
export { EPOCH_KEY, type LedgerRecord, type OutboxEntry } from "./spool.ts";
export type { Request } from "./strangers.ts";
export type { Draft, MailContact, MailEvent, MailIn, MailOptions, MailOut, ReadMail } from "./turn.ts";
