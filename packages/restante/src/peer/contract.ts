/** What goes into the root machine, and what comes out of it. protocol/driver.md */
import type { BoxAnswer, BoxOp } from "../box/index.ts";
import type { Random, Time } from "../bytes/index.ts";
import type { Path, StampTask } from "../card/index.ts";
import type { Crypto, Hashname, Identity, Keys } from "../crypto/index.ts";
import type { HandshakeMessage } from "../e3x/index.ts";
import type { CacheTest, MailEvent, ReadMail } from "../mail/index.ts";
import type { Noise } from "../mesh/index.ts";
import type { ContactInfo } from "./book.ts";

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
  | { type: "send"; contact: string; mail: OutgoingMail; expires?: Time }
  /** The list has these contacts from now on; without any there is none. */
  | { type: "list"; name: string; contacts: readonly string[] }
  /** One mail to several contacts, under one id. Each gets content of its own: the blob of a file is of one mail. */
  | {
      type: "send-list";
      list: string;
      to: readonly { readonly contact: string; readonly mail: OutgoingMail }[];
      expires?: Time;
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
  /** What was written with the contact is erased after so many days; without `days` it is kept. */
  | { type: "keep"; contact: string; days?: number }
  /** Forget these records of mail that is over. */
  | { type: "erase"; keys: readonly string[] }
  /** Use the cache behind this join link for our own mail. */
  | { type: "join"; link: string }
  /** Leave a mail for ourselves at each of our caches, and see whether it comes back. */
  | { type: "test-caches" }
  /** Not to use a cache any more. Contacts are told, and so is the cache if it is there: then it keeps nothing for us. */
  | { type: "leave"; cache: Hashname }
  /** Send these with our keys in every handshake from now on, in place of those before. See `handshakeProblem`. */
  | { type: "handshakes"; messages: readonly HandshakeMessage[] };

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
  | { type: "blob"; req: number; bytes: Uint8Array | undefined }
  | { type: "hash"; req: number; sha256: string }
  /** The application's word on an `ask`. Without effect when none is open, or the stranger was let in otherwise since. */
  | { type: "asked"; hashname: Hashname; ok: boolean }
  /** The answer to `find-stamp`; `undefined`: it could not be looked for. */
  | { type: "stamp"; req: number; stamp: Uint8Array | undefined }
  /** We are about to be stopped: say what others wait for. `owesAcknowledgement` tells when that is done. */
  | { type: "flush" }
  | { type: "tick" };

export type RootOut =
  | { type: "transmit"; path: Path; bytes: Uint8Array }
  | { type: "save"; key: string; value: Uint8Array | undefined }
  | { type: "read"; req: number; key: string }
  | { type: "blob-write"; blob: string; index: number; bytes: Uint8Array }
  | { type: "blob-read"; req: number; blob: string; index: number }
  | { type: "blob-hash"; req: number; blob: string; count: number; size: number }
  | { type: "blob-remove"; blob: string }
  | { type: "boxes"; op: BoxOp }
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
  | { type: "link"; hashname: Hashname; up: boolean }
  /** The two hashnames have used up all numbers of handshakes: only a new identity, of us or of them, links them again. */
  | { type: "dead"; hashname: Hashname };

/** A stranger who wrote to us. `name` is what the stranger claims. */
export interface RequestInfo {
  readonly request: string;
  readonly hashname: Hashname;
  readonly name: string | undefined;
  /** When the first of it came. */
  readonly at: Time;
  readonly texts: readonly string[];
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
  readonly cache?: { readonly cap: number; readonly quota: number; readonly secret?: Uint8Array };
  /** Whether we pass on packets between those who use that cache, and contacts. */
  readonly routes?: boolean;
  /** At how many caches of the recipient a mail lies, if none fails: 1 to 8. Default: 2. */
  readonly copies?: number;
  /** As in `MailOptions`. */
  readonly keepSent?: boolean;
  readonly dailyBytes?: number;
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
  /** Id of the contact that it belongs to; absent: it is ours. */
  readonly contact?: string;
  readonly up: boolean;
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

/** Figures for `status`: totals and one's own links, never what a cache holds for whom. */
export interface PeerStatus {
  readonly hashname: Hashname;
  readonly paths: readonly Path[];
  readonly links: readonly { hashname: Hashname; state: string }[];
  /** Open ones of boxes and mail. */
  readonly channels: number;
  readonly caches: readonly { hashname: Hashname; up: boolean; cap: number }[];
  readonly contacts: number;
  readonly requests: number;
  /** Number of the newest mail. */
  readonly inbox: number;
  /** Number of the newest mail of ours that was kept. */
  readonly sent: number;
  /** When a contact last spoke of mail that another copy of our store sent it: see the event "copied". */
  readonly copiedAt: Time | undefined;
}
