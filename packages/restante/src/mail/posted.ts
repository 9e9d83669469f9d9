/** A mail of ours on its way: what the spool keeps of it in memory and in the store, and what the application sees of it. */
import { asJson, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { FileHead } from "./envelope.ts";
import type { Suite } from "./inner.ts";
import { handedCount, isFinal, type LedgerEntry, type MailState, stateOf } from "./ledger.ts";
import type { LineKind } from "./lines.ts";
import { type Parcel, type ParcelJson, parcelJson, parcelOf } from "./parcel.ts";

/** A mail in the spool. */
export interface Posted {
  /** 32 hex. */
  readonly id: string;
  readonly contact: string;
  readonly kind: string;
  readonly created: Time;
  readonly expires: Time;
  /** Bytes of content. */
  readonly size: number;
  readonly parts: number;
  /** Of kind "file": what part 0 says, and the blob that holds the content, one record per part. */
  readonly file?: FileHead & { readonly blob: string };
  /** It goes over links and to no cache. */
  readonly linkOnly?: true;
  /** How many mails of the contact its content names as those we had by then. */
  readonly after?: number;
  /** Where it stands in the lines. */
  readonly place: number;
  readonly ledger: LedgerEntry[];
  /** One per peer of the contact whose turn has come. */
  readonly parcels: Parcel[];
  /** Peers that it goes to when their turn comes, even if others have it by then. */
  waits: readonly Hashname[];
  /** Set when content and copies were given up: until this time a crash means to do it again. 0: that time is over. */
  leftover?: Time;
}

/** A mail before it has a place and a ledger. */
export type Ownerless = Omit<Posted, "ledger" | "parcels" | "leftover" | "place" | "waits">;

/** What the application sees of a mail in the spool. */
export interface OutboxEntry {
  readonly id: string;
  readonly contact: string;
  readonly kind: string;
  readonly state: MailState;
  /**
   * Its security label. "static": whoever steals the recipient's key opens a recording of it, at least on the way to one of
   * its peers. "forward": on no way, once the keys it was sealed to are deleted.
   */
  readonly suite: string;
  /** Ways that took it: caches, the link. */
  readonly handed: number;
  readonly created: Time;
  readonly expires: Time;
  readonly size: number;
  /** Of kind "file". */
  readonly name?: string;
  readonly parts: number;
  /** Parts acknowledged, by the peer that has most of them. */
  readonly acked: number;
  /** How many of the contact's peers have it whole, and to how many it goes. */
  readonly delivered: { readonly k: number; readonly n: number };
  /** "link": it is too large for caches, and its contact is not there. */
  readonly waits?: "link";
}

/** In which line of its contact a mail stands. */
export function kindOfLine({ parts }: Pick<Posted, "parts">): LineKind {
  return parts === 1 ? "text" : "file";
}

/** Has the mail to go to this peer, and has its turn not come? Where nobody has it yet it goes to whoever is one of the contact's. */
export function isFor({ leftover, waits, ledger, parcels }: Posted, peer: Hashname): boolean {
  if (leftover !== undefined || !(waits.includes(peer) || !isFinal(stateOf(ledger)))) return false;
  return !parcels.some((parcel) => parcel.peer === peer && parcel.state !== "stopped");
}

/** Is there nobody any more that it has to go to? */
export function isDone({ parcels, waits }: Posted): boolean {
  return waits.length === 0 && parcels.every(({ state }) => state !== "open");
}

/** What the application sees of it. `acked`: see there. `isUp`: whether there is a link to the peer. */
export function entryOf(mail: Posted, acked: number, isUp: (peer: Hashname) => boolean): OutboxEntry {
  const { id, contact, kind, created, expires, size, parts, ledger, parcels, waits, linkOnly } = mail;
  const state = stateOf(ledger);
  const isWaiting = linkOnly && !isFinal(state) && !parcels.some(({ peer }) => isUp(peer));
  // A peer may have had more than one parcel: of an epoch before.
  const having = parcels.filter((parcel) => parcel.state === "acknowledged");
  return {
    ...{
      id,
      contact,
      kind,
      state,
      suite: labelOf(mail),
      handed: handedCount(ledger),
      created,
      expires,
      size,
      parts,
      acked,
    },
    delivered: {
      k: new Set(having.map(({ peer }) => peer)).size,
      n: new Set([...parcels.map(({ peer }) => peer), ...waits]).size,
    },
    ...(mail.file && { name: mail.file.name }),
    ...(isWaiting && { waits: "link" }),
  };
}

/** The weakest that any of its parcels left under; as long as it has to go to others, or nobody gets it, that of no promise. */
function labelOf({ parcels, waits }: Pick<Posted, "parcels" | "waits">): Suite {
  return parcels.length > 0 && waits.length === 0 && parcels.every(({ forward }) => forward !== undefined)
    ? "forward"
    : "static";
}

/** The mail as it lies in the store: the key says its place. */
export function postedRecord({ place: _, waits, ...mail }: Posted): Uint8Array {
  const record: PostedJson = { ...mail, ...(waits.length > 0 && { waits }), parcels: mail.parcels.map(parcelJson) };
  return asJson(record);
}

/** What `postedRecord` wrote. */
export function postedOf(json: PostedJson, place: number): Posted {
  return { ...json, place, waits: json.waits ?? [], parcels: json.parcels.map(parcelOf) };
}

/** The value of "queue/<place>". */
export interface PostedJson extends Omit<Posted, "parcels" | "place" | "waits"> {
  readonly waits?: readonly Hashname[];
  readonly parcels: readonly ParcelJson[];
}

/** What remains of it when it is over. */
export function ledgerRecord(mail: Posted): Uint8Array {
  const { id, contact, kind, created, expires, size, file, ledger } = mail;
  const name = file && { name: file.name };
  const record: LedgerRecord = { id, contact, kind, created, expires, size, ...name, suite: labelOf(mail), ledger };
  return asJson(record);
}

/** The value of "ledger/<id>": what remains of a mail. JSON. */
export interface LedgerRecord {
  readonly id: string;
  readonly contact: string;
  readonly kind: string;
  readonly created: Time;
  readonly expires: Time;
  readonly size: number;
  /** Of a file. */
  readonly name?: string;
  /** Its security label, as in `OutboxEntry`. Absent in what ended before there was another than "static". */
  readonly suite?: Suite;
  readonly ledger: readonly LedgerEntry[];
}

/** Where the content of a mail lies: read when its turn comes. */
export function contentKey(mail: string): string {
  return `spool/${mail}`;
}

/** Where the hello of a mail for one peer lies. */
export function helloKey(mail: string, peer: Hashname): string {
  return `spool/${mail}/${peer}`;
}

/** A key that is there as long as a blob "out/..." has content that no mail of ours names: what is left of it nobody wants. */
export function uploadKey(blob: string): string {
  return `${UPLOAD_PREFIX}${blob}`;
}

/** What all of these keys begin with. */
export const UPLOAD_PREFIX = "upload/";
