/**
 * The /v1 API as data: what a request may say and what an answer says. Requests are checked against these schemas and
 * unknown members are refused; answers are typed only, since both ends come from one release.
 */
import type {
  BlockedInfo,
  CacheInfo,
  CacheTest,
  ContactInfo,
  ConversationPage,
  DeviceInfo,
  Hashname,
  HistoryEntry,
  LedgerEntry,
  ListedEntry,
  ListInfo,
  MailState,
  Peer,
  RequestInfo,
  Retention,
  SafetyInfo,
} from "restante";
import { MAX_WORK } from "restante/protocol";
import { z } from "zod";

const text = (max: number) => z.string().min(1, "must not be empty").max(max);
/** Decimal digits only: "1e3", "" and " 7" are numbers to JavaScript, but nobody means them. */
const natural = z
  .string()
  .regex(/^\d{1,15}$/, "must be a whole number")
  .transform(Number);

/** Id, hashname, name, or a start of one. */
const contact = text(256);

/** POST /v1/invites. `work`: bits that mail by it costs its sender. */
export const inviteBody = z.strictObject({
  once: z.boolean().optional(),
  work: z.int().min(0).max(MAX_WORK).optional(),
});
/** POST /v1/contacts, POST /v1/caches, POST /v1/invites/close */
export const linkBody = z.strictObject({ link: text(16_384) });
/** POST /v1/messages. `expires`: milliseconds since 1970. */
export const textBody = z.strictObject({
  contact,
  text: z.string().min(1, "must not be empty"),
  expires: z.int().positive().optional(),
});
/** PUT /v1/files, the body being the file */
export const fileQuery = z.strictObject({ contact, name: text(255), media: text(255).optional() });
/** GET /v1/messages */
export const pageQuery = z.strictObject({ after: natural.optional(), limit: natural.optional() });
/** POST /v1/blocked: a contact as above, the id of a request or its start, or a whole hashname. */
export const blockBody = z.strictObject({ who: contact });
/** PUT /v1/contacts/:id/read-marks */
export const readMarksBody = z.strictObject({ on: z.boolean() });
/** PUT /v1/contacts/:id/verified: what was read or scanned at the contact's. */
export const saidBody = z.strictObject({ said: text(1024) });
/** PUT /v1/lists/:name */
export const listBody = z.strictObject({ contacts: z.array(contact).min(1, "must not be empty").max(256) });
/** GET /v1/contacts/:id/history */
export const historyQuery = z.strictObject({ before: text(30).optional(), limit: natural.optional() });
/** GET /v1/search */
export const searchQuery = z.strictObject({ q: text(256), contact: contact.optional(), limit: natural.optional() });
/** PUT /v1/contacts/:id/keep */
export const keepBody = z.strictObject({ days: z.int().min(1) });
/** PUT /v1/seen */
export const seenBody = z.strictObject({ n: z.int().min(0) });

/** application/problem+json, RFC 9457. */
export interface Problem {
  readonly status: number;
  readonly title: string;
  /** Stable: that of the `RestanteError`, or "bad-request", "internal". */
  readonly code: string;
  /** For people. */
  readonly detail: string;
}

/** What somebody sent us. Times in milliseconds since 1970. */
export interface MessageInfo {
  /** Its number in the inbox: 1, 2, 3, ... */
  readonly n: number;
  readonly id: string;
  readonly contact: string;
  /** The contact's name, when it has one. */
  readonly name?: string;
  readonly from: Hashname;
  /** When it was written, by the sender's clock, but a day after it came at most. */
  readonly time: number;
  /** What the sender's clock said, where that was later. */
  readonly claimed?: number;
  readonly received: number;
  readonly kind: string;
  /** Its security label. "static": whoever steals our key opens a recording of it; "forward": not once it was delivered and answered. */
  readonly suite?: string;
  /** Of kind "text". */
  readonly text?: string;
  /** Of kind "file"; its bytes are at /v1/messages/:n/file. */
  readonly file?: FileInfo;
  /** "damaged": the content was not what its digest says, and is not kept. */
  readonly why?: string;
}

export interface FileInfo {
  readonly name: string;
  readonly media: string;
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
}

/** GET /v1/outbox/:id */
export interface TrackInfo {
  readonly id: string;
  readonly state: MailState;
  /** `contact`: whose step it is, of a mail to a list. */
  readonly ledger: readonly (LedgerEntry & { readonly contact?: string })[];
  /** While the mail is not final, and some days longer. */
  readonly mail?: ListedEntry;
}

/** GET /v1/status */
export type StatusInfo = ReturnType<Peer["status"]> & {
  readonly version: string;
  readonly home: string;
  readonly name?: string;
  /** Of the cryptography. */
  readonly backend: string;
  /** The highest inbox number that was shown to the user. */
  readonly seen: number;
  /** Mail of ours that is neither delivered nor given up. */
  readonly waiting: number;
  /** Mails that our contacts sent before others that are here, and that have not come. */
  readonly missing: number;
  /** When this daemon serves a cache. */
  readonly joinLink?: string;
  /** What is wrong, in plain words. Empty: all is well. */
  readonly problems: readonly string[];
};

export interface MessagePage {
  readonly messages: readonly MessageInfo[];
}
export interface ContactList {
  readonly contacts: readonly ContactInfo[];
}
/** Whom we do not want to hear of. */
export interface BlockedList {
  readonly blocked: readonly BlockedInfo[];
}
/** GET /v1/contacts/:id/safety */
export interface SafetyList {
  readonly contact: ContactInfo;
  /** Of each of its devices: what is the same there, if nobody stands between. */
  readonly devices: readonly SafetyInfo[];
}
/** GET /v1/devices: this one first. Empty: there is no other. */
export interface DeviceList {
  readonly devices: readonly DeviceInfo[];
}
/** POST /v1/devices */
export interface AddedInfo {
  readonly hashname: Hashname;
}
/** GET /v1/lists */
export interface Lists {
  readonly lists: readonly ListInfo[];
}
export interface RequestList {
  readonly requests: readonly RequestInfo[];
}
export interface OutboxList {
  readonly outbox: readonly ListedEntry[];
}
export interface InviteInfo {
  readonly link: string;
}
export interface SentInfo {
  readonly id: string;
  /** To a list: to how many contacts. */
  readonly contacts?: number;
}
export interface SeenInfo {
  readonly n: number;
}
export interface JoinedInfo {
  readonly cache: Hashname;
  /** Bytes it holds for us at most. */
  readonly quota: number;
  /** Bytes it holds of one sender at most. */
  readonly cap: number;
}
export interface LeftInfo {
  readonly cache: Hashname;
  /** How many caches are still ours. */
  readonly others: number;
}

/** POST /v1/caches/test: answered when all of our caches are tested, in some two minutes at most. */
export interface CacheTestList {
  readonly tests: readonly CacheTest[];
}
/** GET /v1/peers: our caches, then those of our contacts, of each contact the best first. */
export interface PeerList {
  readonly caches: readonly (CacheInfo & {
    /** Of the contact, when it has one. */
    readonly name?: string;
  })[];
}

/** GET /v1/contacts/:id/history: in the order of the conversation. `before`: what to ask for to get the page before. */
export interface HistoryPage extends ConversationPage {
  readonly contact: ContactInfo;
}
/** GET /v1/search: the newest first. */
export interface FoundList {
  readonly found: readonly (HistoryEntry & {
    /** Of the contact, when it has one. */
    readonly name?: string;
  })[];
}
/** GET /v1/retentions: for whom mail is erased after some days. */
export interface RetentionList {
  readonly retentions: readonly Retention[];
}

/** The most messages in one answer. */
export const MAX_PAGE = 1000;
/** The largest JSON body, in bytes. */
export const MAX_JSON_BYTES: number = 1024 * 1024;
