/**
 * The /v1 API as types, for both of its ends. What they are made from is in requests.ts and answers.ts, which operations and
 * answers there are in operations.ts. Only types and numbers: who takes one of these takes no schema with it.
 */
import type { z } from "zod";
import type * as answer from "./answers.ts";

/** application/problem+json, RFC 9457. `code` is stable: that of the `RestanteError`, or "bad-request", "internal". */
export type Problem = z.infer<typeof answer.problem>;
/** What somebody sent us. Times in milliseconds since 1970. */
export type MessageInfo = z.infer<typeof answer.message>;
/** Of a mail of kind "file": name, media type as its sender says, size in bytes, SHA-256 in hex. */
export type FileInfo = z.infer<typeof answer.fileInfo>;
/** GET /v1/outbox/:id */
export type TrackInfo = z.infer<typeof answer.track>;
/** What `restante status` shows of it. */
export type BazaarInfo = z.infer<typeof answer.bazaarInfo>;
/** GET /v1/status */
export type StatusInfo = z.infer<typeof answer.status>;
/** GET /v1/health */
export type HealthInfo = z.infer<typeof answer.health>;
/** GET /v1/ready */
export type ReadyInfo = z.infer<typeof answer.ready>;
/** GET /v1/identities */
export type IdentityList = z.infer<typeof answer.identityList>;
/** GET /v1/messages: the oldest first, at most `MAX_PAGE`. */
export type MessagePage = z.infer<typeof answer.messagePage>;
/** POST /v1/contacts/:id/ping */
export type Pinged = z.infer<typeof answer.pinged>;
/** GET /v1/contacts */
export type ContactList = z.infer<typeof answer.contactList>;
/** Whom we do not want to hear of. */
export type BlockedList = z.infer<typeof answer.blockedList>;
/** GET /v1/contacts/:id/safety */
export type SafetyList = z.infer<typeof answer.safetyList>;
/** GET /v1/devices: this one first. Empty: there is no other. */
export type DeviceList = z.infer<typeof answer.deviceList>;
/** POST /v1/devices */
export type AddedInfo = z.infer<typeof answer.added>;
/** GET /v1/lists */
export type Lists = z.infer<typeof answer.lists>;
/** GET /v1/requests */
export type RequestList = z.infer<typeof answer.requestList>;
/** GET /v1/outbox. `behind`: how many mails are not in it, as their turn has not come. */
export type OutboxList = z.infer<typeof answer.outboxList>;
/** PUT /v1/name */
export type NameInfo = z.infer<typeof answer.name>;
/** POST /v1/web: the address of the web page, which lets one browser in, once. */
export type WebInfo = z.infer<typeof answer.webLink>;
/** POST /v1/invites, and whatever else is answered with a link alone. */
export type InviteInfo = z.infer<typeof answer.link>;
/** POST /v1/messages and PUT /v1/files: the id of a mail that is on the disk. */
export type SentInfo = z.infer<typeof answer.sent>;
/** GET and PUT /v1/seen: an inbox number. */
export type SeenInfo = z.infer<typeof answer.seen>;
/** GET /v1/offers: caches that contacts offer us, and that are not ours yet. */
export type OfferList = z.infer<typeof answer.offerList>;
/** GET and PUT /v1/cache */
export type CacheRole = z.infer<typeof answer.cacheRole>;
/** PUT /v1/caches/offer: whether contacts may use our cache. */
export type OfferingInfo = z.infer<typeof answer.offering>;
/** POST /v1/caches: what the cache keeps for us, in bytes. */
export type JoinedInfo = z.infer<typeof answer.joined>;
/** DELETE /v1/caches/:hashname */
export type LeftInfo = z.infer<typeof answer.left>;
/** POST /v1/caches/test: answered when all of our caches are tested, in some two minutes at most. */
export type CacheTestList = z.infer<typeof answer.cacheTestList>;
/** GET /v1/peers: our caches, then those of our contacts, of each contact the best first. */
export type PeerList = z.infer<typeof answer.peerList>;
/** GET /v1/contacts/:id/history: in the order of the conversation. `before`: what to ask for to get the page before. */
export type HistoryPage = z.infer<typeof answer.historyPage>;
/** GET /v1/conversations */
export type ConversationList = z.infer<typeof answer.conversationList>;
/** GET /v1/search: the newest first. */
export type FoundList = z.infer<typeof answer.foundList>;
/** GET /v1/retentions: for whom mail is erased after some days. */
export type RetentionList = z.infer<typeof answer.retentionList>;
/** GET /v1/webhooks */
export type WebhookList = z.infer<typeof answer.webhookList>;
/** DELETE /v1/webhooks/:id, and each of GET /v1/webhooks. */
export type WebhookInfo = z.infer<typeof answer.webhook>;
/** POST /v1/webhooks: with the secret, which is not said again. */
export type NewWebhook = z.infer<typeof answer.newWebhook>;
/** POST /v1/sealed */
export type SealedInfo = z.infer<typeof answer.sealed>;
/** POST /v1/sealed/open */
export type OpenedInfo = z.infer<typeof answer.opened>;
export type { ConfigInfo } from "./config.ts";
export type { MeshInfo, MeshPeer } from "./mesh.ts";
export type { TotalsInfo } from "./totals-answer.ts";

/** The most messages in one answer. */
export const MAX_PAGE = 1000;
/** The largest JSON body, in bytes. */
export const MAX_JSON_BYTES: number = 1024 * 1024;
