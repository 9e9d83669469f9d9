/** What goes into the mail machine and what comes out of it. */
import type { Time } from "../bytes/index.ts";
import type { Hashname, Keys } from "../crypto/index.ts";
import type { FileHead } from "./envelope.ts";
import type { InboxRecord } from "./inbox.ts";
import type { MailState } from "./ledger.ts";
import type { Withdrawal } from "./parcel.ts";
import type { Save } from "./record.ts";
import type { Destination, Route } from "./route.ts";
import type { Request } from "./strangers.ts";

/** Somebody to exchange mail with. A hashname is in one contact at most. */
export interface MailContact {
  /** 32 hex: the id of the card. */
  readonly id: string;
  /** Those of the contact's peers that may be written to. */
  readonly peers: readonly Destination[];
  /** Of the invite that made the contact: shown until the first acknowledgement. */
  readonly secret?: Uint8Array;
}

/** What can be sent. The content of a file lies in `blob` already, in records of PART_CONTENT bytes; it is ours from now on. */
export type Draft =
  | { readonly kind: "text"; readonly text: string }
  | ({ readonly kind: "file"; readonly blob: string } & FileHead)
  /** Nothing but our card: an introduction, or news of it. */
  | { readonly kind: "card" };

export type MailIn =
  /** New or changed. After a restart every contact is told again, before all else. */
  | { type: "contact"; contact: MailContact }
  | { type: "forget"; contact: string }
  /** Answered by `reply` with { id }, after which the mail is durable; or by `refuse`. */
  | { type: "send"; req: number; contact: string; mail: Draft; expires?: Time }
  | { type: "cancel"; req: number; id: string }
  /** A message that came out of a box at a cache, or over the link of its sender (then `via` is the sender). */
  | { type: "message"; via: Hashname; direct: boolean; box: string; id: string; bytes: Uint8Array }
  /** Answer to `deliver`: owed for each, whatever happens. */
  | { type: "delivered"; id: number; ok: boolean; why?: string }
  | { type: "link"; peer: Hashname; up: boolean }
  /** `accept` comes after the `contact` that it made. */
  | { type: "accept" | "ignore"; req: number; request: string }
  | { type: "read"; req: number; value: Uint8Array | undefined }
  | { type: "hash"; req: number; sha256: string }
  | { type: "blob"; req: number; bytes: Uint8Array | undefined }
  | { type: "seen"; req: number; n: number }
  /** A new invite is out: ignored strangers may try again. */
  | { type: "forgive" }
  /** We are about to leave: acknowledge at once what is not acknowledged yet. */
  | { type: "flush" }
  | { type: "tick" };

export type MailOut =
  | Save
  | Withdrawal
  | { type: "read"; req: number; key: string }
  | { type: "blob-write"; blob: string; index: number; bytes: Uint8Array }
  | { type: "blob-read"; req: number; blob: string; index: number }
  | { type: "blob-remove"; blob: string }
  | { type: "blob-hash"; req: number; blob: string; count: number; size: number }
  | { type: "deliver"; id: number; route: Route; to: Hashname; bytes: Uint8Array; expires: Time }
  /**
   * This message is dealt with: remove the copy at the cache that showed it, or with `keep` leave it there to be shown again.
   * Owed for each `message`, direct ones too.
   */
  | { type: "done"; via: Hashname; box: string; id: string; keep?: true }
  | {
      type: "introduce";
      request: string;
      sender: { hashname: Hashname; keys: Keys };
      card: Uint8Array;
      secret: Uint8Array | undefined;
    }
  /** A contact's card, proven; and the secret of an invite of ours that it used although it is a contact. */
  | { type: "card"; contact: string; from: Hashname; card: Uint8Array; secret: Uint8Array | undefined }
  | { type: "reply"; req: number; value: unknown }
  | { type: "refuse"; req: number; code: string; message: string }
  | { type: "event"; event: MailEvent };

/** What the application is told, each after the commit that makes it true. */
export type MailEvent =
  | ({ type: "mail" } & InboxRecord)
  | ({ type: "request" } & Request)
  | { type: "state"; id: string; contact: string; state: MailState; at: Time; why?: string }
  /** So many mails of the contact are known to be missing now. */
  | { type: "gap"; contact: string; missing: number }
  /** A peer of the contact lost or restored its store: what we still have is offered to it again. */
  | { type: "restored"; contact: string; from: Hashname };
