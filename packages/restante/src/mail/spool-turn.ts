/** What goes into the spool and what comes out of it. */

import type { Save } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import type { LedgerEntry } from "./ledger.ts";
import type { Page, PagingOut } from "./paging.ts";
import type { Parcel, Withdrawal } from "./parcel.ts";
import type { Ownerless, Posted } from "./posted.ts";
import type { Route } from "./route.ts";

/** A peer that a mail goes to. */
export interface Addressee {
  readonly peer: Hashname;
  readonly hello: boolean;
  readonly partBytes: number;
}

export type SpoolIn =
  /** Once, before all else: carries out what was stopped half-way. */
  | { type: "start" }
  /** The peer is one of the contact's, again after a start. */
  | { type: "join"; peer: Hashname; contact: string }
  | { type: "post"; mail: Ownerless; to: readonly Addressee[] }
  /** The answer to `turn`: how the mail goes to the peer; `undefined`: it cannot. */
  | { type: "address"; mail: string; to: Addressee | undefined }
  /** There may be room for more mail to the peer. */
  | { type: "room"; peer: Hashname }
  /** What could not be sent to peers of the contact may be now. */
  | { type: "again"; contact: string }
  /** A mail that is not in memory is asked for. */
  | { type: "find"; req: number; mail: string }
  | { type: "listed"; req: number; pairs: Page }
  | { type: "read"; req: number; value: Uint8Array | undefined }
  | { type: "changed"; mail: string }
  | { type: "handed"; mail: string; route: Route }
  | { type: "acknowledged"; peer: Hashname; acknowledgement: Acknowledgement }
  | { type: "cancel"; mail: string; why?: string }
  /** The peer is no longer one of ours: its numbers are over. */
  | { type: "leave"; peer: Hashname }
  /** All that goes to the contact ends. */
  | { type: "forget"; contact: string }
  | { type: "tick" };

export type SpoolOut =
  | Save
  | Withdrawal
  | { type: "blob-remove"; blob: string }
  | { type: "state"; mail: Posted; entry: LedgerEntry }
  | PagingOut
  /** `isNew`: it has just got its number. */
  | { type: "offer"; parcel: Parcel; isNew?: true }
  | { type: "stop"; parcel: Parcel }
  /** A mail to the peer was sent, and others are before it. */
  | { type: "behind"; peer: Hashname }
  /** What the peer is told of our own mail has changed; or, `isUrgent`, it waits for what will not come. */
  | { type: "floor"; peer: Hashname; isUrgent?: true }
  /** The peer told news; `below`: the highest number of the present epoch that it has. */
  | { type: "progress"; peer: Hashname; below?: { readonly epoch: string; readonly seq: number } }
  | { type: "restored"; peer: Hashname }
  /** Another copy of our store numbers mail to the peer; ours has an epoch of its own towards it from now on. */
  | { type: "copied"; peer: Hashname };
