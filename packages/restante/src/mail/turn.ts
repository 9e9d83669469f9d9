/** What goes into the mail machine and what comes out of it. */
import type { Random, Save, Time } from "../bytes/index.ts";
import type { Crypto, Hashname, Identity, Keys } from "../crypto/index.ts";
import type { CacheTest, OwnCache } from "./canary.ts";
import type { NoRoom } from "./disk.ts";
import type { FileHead } from "./envelope.ts";
import type { InboxRecord } from "./inbox.ts";
import type { MailState } from "./ledger.ts";
import type { Withdrawal } from "./parcel.ts";
import type { FileProgress } from "./progress.ts";
import type { CarrierUse, Destination, Route } from "./route.ts";
import type { Request } from "./strangers.ts";

/** What `Mail` is made of. */
export interface MailOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  readonly boxId: (sender: Hashname, recipient: Hashname) => string;
  readonly messageId: (box: string, bytes: Uint8Array) => string;
  /** Our card for this reader. */
  readonly cardFor: (reader: Hashname) => Uint8Array;
  /** Whether an invite of ours with this secret waits for its guest. Default: any may be one. */
  readonly isInvite?: (secret: Uint8Array) => boolean;
  /** Whether a box towards us is of somebody whom the user blocked. Default: none is. */
  readonly isBlocked?: (box: string) => boolean;
  /** At how many caches of the recipient a mail lies, if none fails: 1 to 8. Default: 2. */
  readonly copies?: number;
  /** How many mails to one peer, of one part each, are in memory before any way has taken them. Default: 256. */
  readonly window?: number;
  /** What one contact may make us keep in a day. Default: 256 MiB. */
  readonly dailyBytes?: number;
  /** Bytes on the disk that files of contacts may take, one contact half of them. Default: 4 GiB. */
  readonly disk?: number;
  /** Files of more bytes wait for a link unless the user insists (X8). Default: 16 MiB. */
  readonly waitForLink?: number;
  /** Whether texts and the names of files that we send are kept under "sent/". Default: true. */
  readonly keepSent?: boolean;
  /** When mail goes by the bazaar. Absent: never. */
  readonly carrier?: CarrierUse;
  /** Every key that begins with "mail/". */
  readonly saved: ReadonlyMap<string, Uint8Array>;
}

/** Somebody to exchange mail with. A hashname is in one contact at most. */
export interface MailContact {
  /** 32 hex: the id of the card. */
  readonly id: string;
  /** Those of the contact's peers that may be written to. */
  readonly peers: readonly Destination[];
  /** Of the invite that made the contact: shown until the first acknowledgement. */
  readonly secret?: Uint8Array;
  /** Whether it is told which of its mail the user has seen. Default: it is not. */
  readonly readMarks?: boolean;
  /** It is a device of our own. Said when it comes, and the same ever after. */
  readonly own?: true;
}

/** What can be sent. The content of a file lies in `blob` already, in records of PART_CONTENT bytes; it is ours from now on. */
export type Draft =
  | { readonly kind: "text"; readonly text: string }
  | ({ readonly kind: "file"; readonly blob: string } & FileHead)
  /** Nothing but our card: an introduction, or news of it. */
  | { readonly kind: "card" }
  /** For a device of our own, by `own` of its contact: what it has to know of us. Shown to nobody. */
  | { readonly kind: "sync"; readonly text: string };

/** A mail of the inbox, as its sender knows it. */
export interface ReadMail {
  readonly from: Hashname;
  readonly epoch: string;
  readonly seq: number;
}

/** A file that came, and is erased. */
export interface ErasedFile {
  readonly contact: string;
  readonly parts: number;
}

export type MailIn =
  /** New or changed. After a restart every contact is told again, before all else. */
  | { type: "contact"; contact: MailContact }
  | { type: "forget"; contact: string }
  /** Answered by `reply` with { id }, after which the mail is durable; or by `refuse`. */
  | { type: "send"; req: number; contact: string; mail: Draft; expires?: Time; insist?: boolean; id?: string }
  | { type: "cancel"; req: number; id: string }
  /** A message that came out of a box at a cache, or over the link of its sender (then `via` is the sender). */
  | { type: "message"; via: Hashname; direct: boolean; box: string; id: string; bytes: Uint8Array }
  /** A message that the bazaar brought, signed there with this key. Answered by one `taken`. */
  | { type: "brought"; number: number; key: Uint8Array; bytes: Uint8Array }
  /** Answer to `deliver`: owed for each, whatever happens. */
  | { type: "delivered"; id: number; ok: boolean; why?: string }
  | { type: "link"; peer: Hashname; up: boolean }
  /** A peer with a link started anew. */
  | { type: "renewed"; peer: Hashname }
  /** `accept` comes after the `contact` that it made. */
  | { type: "accept" | "ignore"; req: number; request: string }
  | { type: "read"; req: number; value: Uint8Array | undefined }
  | { type: "listed"; req: number; pairs: readonly (readonly [key: string, value: Uint8Array])[] }
  | { type: "hash"; req: number; sha256: string }
  | { type: "blob"; req: number; bytes: Uint8Array | undefined }
  /** Records of mail that is over, and files of whom went with it: how many parts each had. */
  | { type: "erase"; req: number; keys: readonly string[]; files?: readonly ErasedFile[] }
  /** So many bytes are free on the disk of our store. */
  | { type: "space"; free: number }
  | { type: "seen"; req: number; n: number; read?: readonly ReadMail[] }
  /** All caches of ours: they are tested now and then. */
  | { type: "caches"; caches: readonly OwnCache[] }
  /** What a cache of ours says of itself: whether it is one. */
  | { type: "keeps"; via: Hashname; keeps: boolean }
  /** Test them now. Answered by `reply` with a `CacheTest` of each; or by `refuse`. */
  | { type: "test"; req: number }
  /** A new invite is out: ignored strangers may try again. */
  | { type: "forgive" }
  /** We are about to leave: acknowledge at once what is not acknowledged yet. */
  | { type: "flush" }
  | { type: "tick" };

export type MailOut =
  | Save
  | Withdrawal
  | { type: "read"; req: number; key: string }
  /** Pairs whose key starts with `prefix` and sorts above `after`, in key order. Answered by `listed`: fewer than `limit` are all. */
  | { type: "list"; req: number; prefix: string; after: string; limit: number }
  | { type: "blob-write"; blob: string; index: number; bytes: Uint8Array }
  | { type: "blob-read"; req: number; blob: string; index: number }
  | { type: "blob-remove"; blob: string }
  | { type: "blob-hash"; req: number; blob: string; count: number; size: number }
  /** `message`: its id in our box for the peer; absent over a link. */
  | { type: "deliver"; id: number; route: Route; to: Hashname; message?: string; bytes: Uint8Array; expires: Time }
  /**
   * This message is dealt with: remove the copy at the cache that showed it, or with `keep` leave it there to be shown again.
   * Owed for each `message`, direct ones too.
   */
  | { type: "done"; via: Hashname; box: string; id: string; keep?: true }
  /** What was left in its box with `keep` is to be fetched anew: it is a contact's now. */
  | { type: "again"; box: string }
  /** Mail of ours was offered again and again, and the contact is silent: it may not know us any more. */
  | { type: "unanswered"; contact: string }
  /** `done`, for what the bazaar brought. */
  | { type: "taken"; number: number; keep: boolean }
  | {
      type: "introduce";
      request: string;
      sender: { hashname: Hashname; keys: Keys };
      card: Uint8Array;
      secret: Uint8Array | undefined;
    }
  /** A contact's card, proven; and the secret of an invite of ours that it used although it is a contact. */
  | { type: "card"; contact: string; from: Hashname; card: Uint8Array; secret: Uint8Array | undefined }
  /** What a device of our own has us know. */
  | { type: "sync"; contact: string; from: Hashname; text: string }
  | { type: "reply"; req: number; value: unknown }
  | { type: "refuse"; req: number; code: string; message: string }
  | { type: "event"; event: MailEvent };

/** What the application is told, each after the commit that makes it true. */
export type MailEvent =
  | ({ type: "mail" } & InboxRecord)
  | ({ type: "request" } & Request)
  /** Once for each entry of its ledger: `delivered` for each `peer` of the contact that has it. */
  | { type: "state"; id: string; contact: string; state: MailState; at: Time; why?: string; peer?: Hashname }
  /** The contact sent more in a day than it may: what comes until then is not taken, and comes again. */
  | { type: "full"; contact: string; until: Time }
  /**
   * A file of the contact waits at its sender for want of room: because of what this contact's files take already ("share"), of what
   * all files take ("total"), or because the disk is nearly full. Once for each mail; it comes when there is room.
   */
  | { type: "no-room"; contact: string; id: string; parts: number; why: NoRoom }
  /** How far a file is. Twice a second at most, and with its last part. */
  | ({ type: "progress" } & FileProgress)
  /** So many mails of the contact are known to be missing now. */
  | { type: "gap"; contact: string; missing: number }
  /** A test of one of our caches ended otherwise than the one before. */
  | ({ type: "cache-test" } & CacheTest)
  /** A peer of the contact lost or restored its store: what we still have is offered to it again. */
  | { type: "restored"; contact: string; from: Hashname }
  /**
   * Another copy of our store sends mail to the contact, too: this peer of it had mail of both under the same numbers. Ours goes
   * on under numbers of its own; but the two copies take each other's mail, so one of them should be stopped.
   */
  | { type: "copied"; contact: string; from: Hashname };
