/** Mail: what is sent, kept, delivered, acknowledged and shown once. */
export { CONTENT_LIMIT, PART_CONTENT, TEXT_LIMIT } from "./constants.ts";
export { isFileName, isMedia } from "./envelope.ts";
export type { InboxRecord } from "./inbox.ts";
export { type LedgerEntry, type MailState, mayFollow, stateOf } from "./ledger.ts";
export { Mail, type MailOptions } from "./mail.ts";
export type { CacheOffer, Destination, Route } from "./route.ts";
export type { LedgerRecord, OutboxEntry } from "./spool.ts";
export type { Request } from "./strangers.ts";
export type { Draft, MailContact, MailEvent, MailIn, MailOut } from "./turn.ts";
