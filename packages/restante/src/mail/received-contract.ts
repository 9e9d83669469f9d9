/** The contract of `Received`: what it is told and tells, of what one peer of a contact sent. protocol/mail.md §8, §9 */
import type { Save, Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Allowance } from "./allowance.ts";
import type { Disk, NoRoom } from "./disk.ts";
import type { FileHead } from "./envelope.ts";
import type { ClosedPart, Part, Suite } from "./inner.ts";
import type { Marked } from "./marks.ts";
import type { Ring } from "./ring.ts";

/** Where a copy of a part came from, and so where it has to be removed. */
export type Source =
  | { readonly type: "cache" | "direct"; readonly via: Hashname; readonly box: string; readonly id: string }
  /** `number`: of what the carrier brought; `id`: of the message, as a cache would name it. */
  | { readonly type: "bazaar"; readonly number: number; readonly id: string }
  | { readonly type: "request"; readonly request: string };

/** A mail of which everything is here. */
export interface Arrival {
  readonly from: Hashname;
  readonly epoch: string;
  readonly seq: number;
  readonly id: string;
  readonly after: readonly string[];
  readonly time: Time;
  readonly kind: string;
  /** "forward" when all of its parts were. Absent in what was kept before there was another than "static". */
  readonly suite?: Suite;
  /** A mail of one part, but for files. */
  readonly content?: Uint8Array;
  /** Of kind "file". */
  readonly file?: FileHead;
  /** Where the content of the other mails lies, one record per part. */
  readonly blob?: string;
  readonly parts: number;
  /** Something came under its number before, perhaps another mail. Only the store knows whether this one was shown. */
  readonly isRepeat?: true;
}

export type ReceivedIn =
  /** Once, before all else: takes up again what was stopped half-way. */
  | { type: "start" }
  /** From this peer, proven and for us. */
  | { type: "part"; part: Part | ClosedPart; source: Source }
  /** Answer to `arrived`: is its id new to us, and is the file undamaged? */
  | { type: "judged"; arrival: Arrival; isNew: boolean; isDamaged: boolean }
  /** The floor in an acknowledgement of the peer, and which of its mails of several parts it cancelled. */
  | { type: "floor"; epoch: string; floor: number; cancelled?: readonly Marked[] }
  /** Which of our forward keys the peer says that it uses: see `Ring`. */
  | { type: "uses"; ids: readonly string[] }
  /** Epochs in which the peer numbers no mail any more: who does is another copy of its store, and is told. */
  | { type: "left"; epochs: readonly string[] }
  /** The user has seen these mails, and the peer shall know. */
  | { type: "read"; numbers: readonly Pick<Arrival, "epoch" | "seq">[] }
  /** Another copy of our store writes to the peer, too: our own numbers towards it began anew. */
  | { type: "copied" }
  /** Our own floor moved, or which of its keys we use: the peer should hear of it some time; or soon. */
  | { type: "own-floor"; isUrgent?: boolean }
  /** The latest acknowledgement was handed over. */
  | { type: "told" }
  /** We are about to leave: what the peer should hear, it should hear now. */
  | { type: "flush" }
  /** The peer is no longer one of ours: forget it all. */
  | { type: "end" }
  | { type: "tick" };

export type ReceivedOut =
  | Save
  | { type: "blob-write"; blob: string; index: number; bytes: Uint8Array }
  | { type: "blob-remove"; blob: string }
  /** The copy is dealt with and of no more use; or, with `keep`, there is no room for it now, and it shall come again. */
  | { type: "done"; source: Source; keep?: true }
  /** Something was not taken because the contact sent more than it may: until then. Told once a day. */
  | { type: "full"; until: Time }
  /** There is no room for this mail of several parts, or a file: it waits at its sender. Told once. */
  | { type: "no-room"; id: string; parts: number; why: NoRoom }
  /** One more part of it is here. `ended`: it will not be whole, and nothing of it is here any more. */
  | { type: "progress"; arrival: Arrival; done: number; ended?: "cancelled" | "lost" }
  /** It turned out to be no mail. */
  | { type: "junk"; source: Source }
  | { type: "arrived"; arrival: Arrival }
  /** To the inbox, in the very batch that commits its number. */
  | { type: "show"; arrival: Arrival; isDamaged: boolean }
  /** What a hello of the peer says of itself, and the secret of an invite of ours if it used one. */
  | { type: "card"; card: Uint8Array; secret: Uint8Array | undefined }
  /** What a device of our own has us know. */
  | { type: "sync"; content: Uint8Array }
  /** Make an acknowledgement of the present state and hand it over. */
  | { type: "acknowledge" };

export interface ReceivedOptions {
  readonly peer: Hashname;
  /** 32 bytes for sealing acknowledgements, when none are saved. */
  readonly fresh: () => Uint8Array;
  /** SHA-256 in hex. */
  readonly digest: (bytes: Uint8Array) => string;
  /** Our forward keys for the peer, as `ringKey` has them. */
  readonly ring: Ring;
  /** What the contact may make us keep; all of its peers have the same. Absent: as much as it likes. */
  readonly allowance?: Allowance;
  /** Room for what lies in blobs, and whose it is. Absent: as much as it likes. */
  readonly disk?: Disk;
  readonly contact?: string;
  /** Whether it is a device of our own. */
  readonly isOwn?: boolean;
  /** Keys "mail/in/<peer>" and "mail/file/<peer>/...". */
  readonly saved: ReadonlyMap<string, Uint8Array>;
}
