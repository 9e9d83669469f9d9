/** Mail: what is sent, kept, delivered, acknowledged and shown once. */
export type { CacheTest, OwnCache, TestOutcome } from "./canary.ts";
export { CONTENT_LIMIT, PART_CONTENT, TEXT_LIMIT } from "./constants.ts";
export { inOrder, shownTime } from "./conversation.ts";
export type { RankedCache } from "./delivery.ts";
export { isFileName, isMedia } from "./envelope.ts";
export type { InboxRecord } from "./inbox.ts";
export { type LedgerEntry, type MailState, mayFollow, stateOf } from "./ledger.ts";
export { type PlaceRecord, placeKey, queueKey } from "./lines.ts";
export { Mail } from "./mail.ts";
export { queueToLines } from "./migrate-lines.ts";
export { EPOCH_KEY } from "./pairs.ts";
export { type LedgerRecord, type OutboxEntry, UPLOAD_PREFIX, uploadKey } from "./posted.ts";
export type { FileProgress } from "./progress.ts";
export type { CacheOffer, CarrierUse, Destination, Route } from "./route.ts";
export type { SentRecord } from "./sent.ts";
export { RESTORED_KEY, type Request } from "./strangers.ts";
export type { Draft, ErasedFile, MailContact, MailEvent, MailIn, MailOptions, MailOut, ReadMail } from "./turn.ts";
