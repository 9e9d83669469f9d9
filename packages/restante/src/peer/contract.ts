/** What goes into the root machine, and what comes out of it. protocol/driver.md */
import type { ApplicationCall } from "../application/index.ts";
import type { BoxAnswer, BoxOp } from "../box/index.ts";
import type { Random, Time } from "../bytes/index.ts";
import type { BazaarAddress, Path, StampTask } from "../card/index.ts";
import type { Crypto, Hashname, Identity, Keys } from "../crypto/index.ts";
import type { HandshakeMessage } from "../e3x/index.ts";
import type { CacheTest, CarrierUse, ErasedFile, MailEvent, ReadMail } from "../mail/index.ts";
import type { Noise } from "../mesh/index.ts";
import type { ContactInfo } from "./book.ts";
import type { OfferInfo } from "./offers.ts";

/** What the application asks. Each is answered by one `reply` or `refuse` with the same `req`. */
export type Call =
  /**
   * A link for somebody to write to us. `once`: the first who uses it is accepted unasked, and nobody after. `work`: bits of
   * work that a message by our caches costs its sender each day, 0 to 24; without it none.
   */
  | { type: "invite"; once: boolean; work?: number }
  /** Become the contact of whoever made this invite. */
  | { type: "add"; link: string }
  /** Nobody may use this invite of ours any more. */
  | { type: "close"; link: string }
  | { type: "accept" | "ignore"; request: string }
  /** Not to know a contact any more: mail to it is dropped, and what it was given to leave mail for us is worth nothing. */
  | { type: "remove"; contact: string }
  /** Never to hear of somebody again. `who`: the id of a contact, the id of a request, or any hashname. */
  | { type: "block"; who: string }
  | { type: "unblock"; hashname: Hashname }
  /** `said`: words or line that the user compared; whose device it is of is verified. Without it none of the contact's is. */
  | { type: "verify"; contact: string; said?: string }
  /** `insist`: by caches as well, however large it is. `id`: of the mail, 32 hex, in place of one of our making. */
  | { type: "send"; contact: string; mail: OutgoingMail; expires?: Time; insist?: boolean; id?: string }
  /** A file is about to be written to this blob. What a crash leaves of it is removed at the next start. */
  | { type: "upload"; blob: string }
  /** The list has these contacts from now on; without any there is none. */
  | { type: "list"; name: string; contacts: readonly string[] }
  /** One mail to several contacts, under one id. Each gets content of its own: the blob of a file is of one mail. */
  | {
      type: "send-list";
      list: string;
      to: readonly { readonly contact: string; readonly mail: OutgoingMail }[];
      expires?: Time;
      insist?: boolean;
      id?: string;
    }
  | { type: "cancel"; id: string }
  /** A link by which another device of the user takes this one in, which knows nobody yet. */
  | { type: "device-link" }
  /** Take in the device that made this link: what is written to us goes to it, too, and it knows whom we know. */
  | { type: "device-add"; link: string }
  /** A device is lost: nobody writes to it any more. */
  | { type: "device-remove"; hashname: Hashname }
  /** The user has seen the inbox up to the nth mail, and of the mails that are new by that these have a number. */
  | { type: "seen"; n: number; read: readonly ReadMail[] }
  /** Whether the contact is told which of its mail was seen. */
  | { type: "read-marks"; contact: string; on: boolean }
  /** Have the devices of a contact answer: events "pong" follow. Replies with their hashnames. */
  | { type: "ping"; contact: string }
  /** What was written with the contact is erased after so many days; without `days` it is kept. */
  | { type: "keep"; contact: string; days?: number }
  /** Forget these records of mail that is over, and count these files of contacts no more. */
  | { type: "erase"; keys: readonly string[]; files?: readonly ErasedFile[] }
  /** Use the cache behind this join link for our own mail. */
  | { type: "join"; link: string }
  /** Use the cache that this contact offers. */
  | { type: "take-offer"; contact: string }
  /** Whether contacts may use the cache that we serve. They are told. `end`: who does by an offer until now may not any more. */
  | { type: "offer"; on: boolean; end?: true }
  /** Whether we serve a cache, where that is on demand. It holds for the next root: whoever says it wants that at once. */
  | { type: "serve"; on: boolean }
  /** Leave a mail for ourselves at each of our caches, and see whether it comes back. */
  | { type: "test-caches" }
  /** Not to use a cache any more. Contacts are told, and so is the cache if it is there: then it keeps nothing for us. */
  | { type: "leave"; cache: Hashname }
  /** Contacts see this name from now on: they are sent our card. */
  | { type: "rename"; name: string }
  /** Send these with our keys in every handshake from now on, in place of those before. See `handshakeProblem`. */
  | { type: "handshakes"; messages: readonly HandshakeMessage[] }
  /** Of the channels of applications. Answered when it is done, which may take until the channel ends. */
  | { type: "channel"; ask: ApplicationCall };

/** A text, or a file whose bytes lie already in blob `blob`, in records of PART_CONTENT bytes. */
export type OutgoingMail =
  | { kind: "text"; text: string }
  | { kind: "file"; name: string; media: string; size: number; sha256: string; blob: string };

export type RootIn =
  | { type: "start" }
  | { type: "call"; req: number; call: Call }
  | { type: "received"; path: Path; bytes: Uint8Array }
  | { type: "path"; path: Path; open: boolean }
  | { type: "writable"; path: Path; credit: number }
  | { type: "boxes"; answers: readonly BoxAnswer[] }
  | { type: "read"; req: number; value: Uint8Array | undefined }
  | { type: "listed"; req: number; pairs: readonly (readonly [key: string, value: Uint8Array])[] }
  | { type: "blob"; req: number; bytes: Uint8Array | undefined }
  | { type: "hash"; req: number; sha256: string }
  /** The application's word on an `ask`. Without effect when none is open, or the stranger was let in otherwise since. */
  | { type: "asked"; hashname: Hashname; ok: boolean }
  /** The answer to `find-stamp`; `undefined`: it could not be looked for. */
  | { type: "stamp"; req: number; stamp: Uint8Array | undefined }
  /** The answer to `deliver`. */
  | { type: "delivered"; id: number; ok: boolean }
  /** A message that the carrier brought, signed in the bazaar with this key. Answered by one `taken` with the same number. */
  | { type: "brought"; number: number; key: Uint8Array; bytes: Uint8Array }
  /** So many bytes are free on the disk of the store. */
  | { type: "space"; free: number }
  /** We are about to be stopped: say what others wait for. `owesAcknowledgement` tells when that is done. */
  | { type: "flush" }
  /** The last input: nothing comes of it but packets that tell our peers. They may leave at once, whatever is not yet saved. */
  | { type: "leave" }
  | { type: "tick" };

export type RootOut =
  | { type: "transmit"; path: Path; bytes: Uint8Array }
  | { type: "save"; key: string; value: Uint8Array | undefined }
  | { type: "read"; req: number; key: string }
  /** Pairs whose key starts with `prefix` and sorts above `after`, in key order. Answered by `listed`: fewer than `limit` are all. */
  | { type: "list"; req: number; prefix: string; after: string; limit: number }
  | { type: "blob-write"; blob: string; index: number; bytes: Uint8Array }
  | { type: "blob-read"; req: number; blob: string; index: number }
  | { type: "blob-hash"; req: number; blob: string; count: number; size: number }
  | { type: "blob-remove"; blob: string }
  /** Asks the boxes. A put, or `isSenders`: what was transmitted before has to be gone (protocol/box.md §4). */
  | { type: "boxes"; op: BoxOp; isSenders?: true }
  /** Slow: look for a stamp. Answered by one `stamp`, unless it is taken back. Not more than one at a time is wanted. */
  | { type: "find-stamp"; req: number; task: StampTask }
  /** The stamp is not needed any more. */
  | { type: "forget-stamp"; req: number }
  /**
   * May this stranger have a link? All messages of its handshake that came so far. Answered by one `asked`. Until then, and
   * after a no, nothing is sent to it. What comes before the answer is asked about after it, if that is a no. Of one stranger
   * one question is open at a time, and 256 in all: about further strangers nothing is asked.
   */
  | ({ type: "ask" } & HandshakeInfo)
  /**
   * Leave this in the bazaar. `ref` names it for good: the same once more is the same. Answered by one `delivered`: whether it lies
   * outside of this machine now.
   */
  | { type: "deliver"; id: number; ref: string; to: BazaarAddress; bytes: Uint8Array }
  /** What was delivered under these names is not needed there any more. */
  | { type: "withdraw"; refs: readonly string[] }
  /** What the carrier brought is dealt with; or, with `keep`, there is no room for it now, and it shall come again. */
  | { type: "taken"; number: number; keep: boolean }
  | { type: "reply"; req: number; value: unknown }
  | { type: "refuse"; req: number; code: string; message: string }
  | { type: "event"; event: PeerEvent };

/** What the application is told unasked, always after it is committed. */
export type PeerEvent =
  | Exclude<MailEvent, { type: "request" | "state" }>
  /** `list`: the id of the mail to a list that this mail is one of. */
  | (Extract<MailEvent, { type: "state" }> & { readonly list?: string })
  | ({ type: "request" } & RequestInfo)
  /** There is a new contact, or we have a newer card of one. */
  | { type: "contact"; contact: ContactInfo; isNew: boolean }
  /** A contact offers a cache that it did not offer before. */
  | ({ type: "offer" } & OfferInfo)
  | { type: "link"; hashname: Hashname; up: boolean }
  /** The peer answered, asked by `Peer.ping`, after so many milliseconds. */
  | { type: "pong"; hashname: Hashname; ms: number }
  /** What serves channels of this type threw: the channel to this device ended, "failed". */
  | { type: "channel-failed"; channel: string; hashname: Hashname; message: string }
  /** The two hashnames have used up all numbers of handshakes: only a new identity, of us or of them, links them again. */
  | { type: "dead"; hashname: Hashname };

/** A stranger who wrote to us. `name` is what the stranger claims. */
export interface RequestInfo {
  readonly request: string;
  readonly hashname: Hashname;
  readonly name?: string | undefined;
  /** When the first of it came. */
  readonly at: Time;
  readonly texts: readonly string[];
  /**
   * Mail of its waits at our caches that is written as to somebody whom it knows: somebody from before we were restored from a backup, or
   * who says so. What waits comes when the request is accepted.
   */
  readonly before?: true;
}

/** What to compare with a contact about one of its devices. The same from both sides. */
export interface SafetyInfo {
  readonly hashname: Hashname;
  /** 16 words to read to each other. */
  readonly words: readonly string[];
  /** One line for a QR code. */
  readonly text: string;
  readonly isVerified: boolean;
}

/** A device of the user. */
export interface DeviceInfo {
  readonly hashname: Hashname;
  /** Whether it is the one that is asked. */
  readonly isThis: boolean;
  /** Whether it has been heard of since it was added: only then contacts are told of it. */
  readonly isReady: boolean;
}

/** A handshake of somebody whom neither a contact, nor a token, nor an invite admits. The sender is proven. */
export interface HandshakeInfo {
  readonly hashname: Hashname;
  /** Its key of the cipher set in use. */
  readonly keys: Keys;
  readonly path: Path;
  /** By type: "key", "jwt", "uri", "tx"; one of each. What a "jwt" or "tx" says is for the application to verify. */
  readonly messages: readonly HandshakeMessage[];
}

export interface RootOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  /** Everything that was saved: the keys of the head space. */
  readonly saved: ReadonlyMap<string, Uint8Array>;
  /** Our own addresses, as given in cards. */
  readonly paths: readonly Path[];
  /** What people who get our card see. */
  readonly name?: string;
  /** Limits of the cache that we serve. Absent: a peer that offers no cache accepts, acknowledges and drops (X20). */
  readonly cache?: {
    readonly cap: number;
    readonly quota: number;
    readonly secret?: Uint8Array;
    /** Only while the call "serve" said so last. */
    readonly onDemand?: true;
  };
  /** Whether we pass on packets between those who use that cache, and contacts. */
  readonly routes?: boolean;
  /** At how many caches of the recipient a mail lies, if none fails: 1 to 8. Default: 2. */
  readonly copies?: number;
  /** As in `MailOptions`. */
  readonly window?: number;
  readonly keepSent?: boolean;
  readonly dailyBytes?: number;
  readonly disk?: number;
  readonly waitForLink?: number;
  /** There is a carrier to the bazaar: where we are found there, for cards, and when mail goes by it. See `CarrierUse`. */
  readonly bazaar?: { readonly address: BazaarAddress; readonly use: CarrierUse } | undefined;
  /** False: no mail of our own, nothing is ever saved. */
  readonly mail: boolean;
  readonly cloak?: boolean;
  /** As the call "handshakes"; none without it. */
  readonly handshakes?: readonly HandshakeMessage[];
  /** Offer channel payloads in CBOR. */
  readonly cbor?: boolean;
  /** As in `MeshOptions`. */
  readonly noise?: Noise | undefined;
  /** Whether the application decides about strangers, by `ask`. Otherwise they are refused. */
  readonly asks?: boolean;
}

/** A cache of ours, or one of a contact's as our mail goes there. */
export interface CacheInfo {
  readonly cache: Hashname;
  /** Id of the contact for whom it holds mail; absent: it holds ours. */
  readonly contact?: string;
  /** Of ours: id of the contact one of whose devices it is. */
  readonly of?: string;
  readonly up: boolean;
  /** Whether a link to it is looked for: to a contact's only while there is mail to leave, unless it is somebody else to us as well. */
  readonly wanted: boolean;
  /** What it says that it keeps of one sender, in bytes. */
  readonly cap: number;
  /**
   * Of a contact's: mails that it took and that ended since, and how many of these came to the contact by it. Both are halved
   * now and then, so that what is long ago counts less. What came over a link says nothing of any cache.
   */
  readonly settled?: number;
  readonly delivered?: number;
  /** Of a contact's: failed attempts since the last good one. */
  readonly failures?: number;
  /** Of ours: its last test. */
  readonly test?: CacheTest;
}

/** A link, as it is now. */
export interface LinkInfo {
  readonly hashname: Hashname;
  /** "unresolved": nothing is known of where the other end is. */
  readonly state: "unresolved" | "down" | "up";
  /** Where the other end is, while that is known. Of type "peer": by the router `hn`. */
  readonly path?: Path;
  /** While it is up: when it came up. */
  readonly since?: Time;
  /** Milliseconds from our last handshake to its answer. Absent where that was not seen: it asked, we answered. */
  readonly roundTrip?: number;
}

/** "always" and "never" were said at the start; "on" and "off" by the call "serve". */
export type Serving = "always" | "never" | "on" | "off";

/** Figures for `status`: totals and one's own links, never what a cache holds for whom. */
export interface PeerStatus {
  readonly hashname: Hashname;
  /** What contacts are told: of several devices all give out one name. */
  readonly name?: string;
  readonly paths: readonly Path[];
  readonly links: readonly LinkInfo[];
  /** Open ones, of boxes, mail and applications. */
  readonly channels: number;
  /** `of`: id of the contact one of whose devices it is. */
  readonly caches: readonly { hashname: Hashname; up: boolean; cap: number; of?: string }[];
  /** How many caches of ours and of our other devices our card has no room for: contacts do not learn of those. */
  readonly cachesLeftOut: number;
  /** Whether we serve a cache: from start to end, or as the user said last. */
  readonly serving: Serving;
  /** Whether our contacts may use the cache that we serve; absent where we serve none. */
  readonly offering?: boolean;
  /** How many devices of contacts use it because it was offered; absent where we serve none. */
  readonly takers?: number;
  /** How many caches contacts offer us that are not ours yet. */
  readonly offers: number;
  readonly contacts: number;
  readonly requests: number;
  /** Number of the newest mail. */
  readonly inbox: number;
  /** Number of the newest mail of ours that was kept. */
  readonly sent: number;
  /** Mails of ours that are not in `outbox`: their turn has not come, for many others wait for the same contact before them. */
  readonly behind: number;
  /**
   * After a restore from a backup, for 30 days: of how many people mail waits at our caches who write as if we knew them. They are shown
   * as requests as soon as they say who they are, which may take days; what waits comes when they are accepted.
   */
  readonly unknown: number;
  /** When a contact last spoke of mail that another copy of our store sent it: see the event "copied". */
  readonly copiedAt: Time | undefined;
}
