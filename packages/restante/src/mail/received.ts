/**
 * Received: what one peer of a contact sent us. Commits numbers, puts files together, and knows when an acknowledgement is
 * due. Whether a mail was shown before is asked of the store, one question per mail; nothing waits for another's answer.
 * protocol/mail.md §8, §9
 */
import { assert, concat, Deadlines, fromBase32, type Machine, type Time, toBase32, utf8 } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { AckReport } from "./acknowledgement.ts";
import type { FileHead } from "./envelope.ts";
import type { Hello } from "./hello.ts";
import type { ClosedPart, Part, Suite } from "./inner.ts";
import { Numbering } from "./numbering.ts";
import { asJson, ofJson, type Save } from "./record.ts";
import type { Ring } from "./ring.ts";

/** Where a copy of a part came from, and so where it has to be removed. */
export type Source =
  | { readonly type: "cache" | "direct"; readonly via: Hashname; readonly box: string; readonly id: string }
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
}

export type ReceivedIn =
  /** Once, before all else: takes up again what was stopped half-way. */
  | { type: "start" }
  /** From this peer, proven and for us. */
  | { type: "part"; part: Part | ClosedPart; source: Source }
  /** Answer to `arrived`: is its id new to us, and is the file undamaged? */
  | { type: "judged"; arrival: Arrival; isNew: boolean; isDamaged: boolean }
  /** The floor in an acknowledgement of the peer. */
  | { type: "floor"; epoch: string; floor: number }
  /** Which of our forward keys the peer says that it uses: see `Ring`. */
  | { type: "uses"; ids: readonly string[] }
  /** Our own floor moved, or which of its keys we use: the peer should hear of it some time. */
  | { type: "own-floor" }
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
  /** It turned out to be no mail. */
  | { type: "junk"; source: Source }
  | { type: "arrived"; arrival: Arrival }
  /** To the inbox, in the very batch that commits its number. */
  | { type: "show"; arrival: Arrival; isDamaged: boolean }
  /** What a hello of the peer says of itself, and the secret of an invite of ours if it used one. */
  | { type: "card"; card: Uint8Array; secret: Uint8Array | undefined }
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
  /** Keys "mail/in/<peer>" and "mail/file/<peer>/...". */
  readonly saved: ReadonlyMap<string, Uint8Array>;
}

/** The recipient's side towards one peer. */
export class Received implements Machine<ReceivedIn, ReceivedOut> {
  readonly #options: ReceivedOptions;
  readonly #numbering: Numbering;
  readonly #seed: Uint8Array;
  /** Ids of the mails seen last, oldest first. */
  readonly #recent: string[];
  /** Mails of one part whose id is being looked up, with all copies of them that came. */
  readonly #waiting = new Map<string, Source[]>();
  readonly #files = new Map<string, IncomingFile>();
  readonly #deadlines = new Deadlines<string>();
  /** Copies that we took away, by cache and message id: who shows one again has put it there again. */
  readonly #removed = new Set<string>();
  #card: string | undefined;
  /** There is news that the peer has not been told. */
  #isDue: boolean;
  #acknowledgeAt: Time | undefined;
  #acknowledgedAt = 0;
  #toldAt: Time;
  /** Acknowledgements since the last news. */
  #repeats = 0;
  #out: ReceivedOut[] = [];

  constructor(options: ReceivedOptions) {
    this.#options = options;
    const own = options.saved.get(inKey(options.peer));
    const record: InRecord | undefined = own && ofJson(own);
    this.#numbering = (record && Numbering.decode(bytesOf(record.numbering))) ?? new Numbering();
    this.#seed = record === undefined ? options.fresh() : bytesOf(record.seed);
    this.#recent = [...(record?.recent ?? [])];
    this.#isDue = record?.isDue ?? false;
    this.#toldAt = record?.toldAt ?? 0;
    for (const [key, value] of options.saved)
      if (key.startsWith(fileKey(options.peer, ""))) this.#files.set(key, ofJson(value));
  }

  handle(input: ReceivedIn, now: Time): ReceivedOut[] {
    this.#take(input, now);
    const out = this.#out;
    this.#out = []; // what has left is not kept until the next turn
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  // --- questions ---

  /** Secret: the same state gives the same acknowledgement, byte by byte. */
  get seed(): Uint8Array {
    return this.#seed;
  }

  get recent(): readonly string[] {
    return this.#recent;
  }

  report(): AckReport[] {
    return this.#numbering.report();
  }

  /** Mails that are known to be missing. */
  gaps(): number {
    return this.#numbering.gaps();
  }

  /** Whether the peer has not been told yet of what came from it. */
  get isDue(): boolean {
    return this.#isDue;
  }

  // --- inputs ---

  #take(input: ReceivedIn, now: Time): void {
    switch (input.type) {
      case "start":
        for (const [key, file] of this.#files) {
          this.#deadlines.set(key, file.expires + GRACE_MS);
          if (file.isWhole) this.#out.push({ type: "arrived", arrival: file });
        }
        if (this.#isDue) this.#acknowledgeBy(now);
        // What the peer seals to keys that we no longer have, it would seal in vain.
        if (this.#options.ring.isRestored) {
          this.#saveRing();
          this.#acknowledgeBy(now + DELAY_MS);
        }
        return;
      case "part":
        this.#part(input.part, input.source, now);
        return;
      case "judged":
        if (input.arrival.content === undefined) {
          this.#fileJudged(input.arrival, input.isNew, input.isDamaged);
          return;
        }
        this.#mailJudged(input.arrival, input.isNew, now);
        return;
      case "floor":
        if (this.#lower(input.epoch, input.floor)) this.#save();
        return;
      case "uses":
        if (this.#options.ring.heed(input.ids)) this.#saveRing();
        return;
      case "own-floor":
        this.#acknowledgeBy(now + FLOOR_DELAY_MS);
        return;
      case "told":
        this.#isDue = false;
        this.#toldAt = now;
        this.#save();
        return;
      case "flush":
        if (this.#isDue && this.#acknowledgeAt !== undefined) this.#acknowledgeBy(now);
        return;
      case "end":
        for (const key of this.#files.keys()) this.#forget(key, false);
        this.#deadlines.set(ACKNOWLEDGE, undefined);
        this.#out.push({ type: "save", key: inKey(this.#options.peer), value: undefined });
        this.#out.push({ type: "save", key: ringKey(this.#options.peer), value: undefined });
        return;
      case "tick":
        for (const key of this.#deadlines.due(now)) this.#wake(key, now);
    }
  }

  #part(given: Part | ClosedPart, source: Source, now: Time): void {
    const { head } = given;
    const { epoch, seq } = head;
    const moved = this.#lower(epoch, head.floor);
    if (!this.#numbering.isNew(epoch, seq, head.part)) {
      if (moved) this.#save();
      this.#duplicate(source, now);
      return;
    }
    const part = "envelope" in given ? given : this.#open(given, source, now);
    if (part === undefined) {
      if (moved) this.#save();
      return;
    }
    const { hello, envelope } = part;
    const suite: Suite = part === given ? "static" : "forward";
    if (now > envelope.expires + GRACE_MS || head.of > PARTS_TAKEN || envelope.content.length > RECORD_BYTES) {
      if (moved) this.#save();
      this.#done(source);
      return;
    }
    if (hello !== undefined) this.#showCard(hello);
    if (envelope.kind === "card") this.#commitCard(part, source, now);
    else if (head.of === 1 && envelope.kind !== "file") this.#mail(part, suite, source);
    else this.#filePart(part, suite, source, now);
    if (moved) this.#save();
  }

  /** `undefined`: it cannot be opened, and is dealt with. */
  #open(closed: ClosedPart, source: Source, now: Time): Part | undefined {
    const { ring } = this.#options;
    const { part, isChanged } = ring.open(closed);
    if (isChanged) this.#saveRing();
    if (part === undefined) {
      this.#out.push({ type: "junk", source });
      return undefined;
    }
    if (part !== "gone") return part;
    // Not taken, so it is not acknowledged, and its sender has it still. The copy itself nobody will ever open: it is told
    // which keys there are, and seals it anew.
    if (ring.rename()) this.#saveRing();
    this.#done(source);
    this.#acknowledgeAgain(now);
    return undefined;
  }

  /** The user has no use for it: it came for what was with it. */
  #commitCard({ head: { epoch, seq, part, of } }: Part, source: Source, now: Time): void {
    if (this.#numbering.commit(epoch, seq, part, of) === undefined) {
      this.#refuse(source);
      return;
    }
    this.#news(now, true);
    this.#done(source);
  }

  #mail({ head, envelope }: Part, suite: Suite, source: Source): void {
    const { from, epoch, seq } = head;
    const key = `${epoch}/${seq}`;
    const copies = this.#waiting.get(key);
    if (copies !== undefined) {
      if (copies.length < COPIES_LIMIT) copies.push(source);
      else this.#refuse(source);
      return;
    }
    if (this.#waiting.size >= WAITING_LIMIT) {
      this.#refuse(source);
      return;
    }
    this.#waiting.set(key, [source]);
    const { id, after, time, kind, content } = envelope;
    const arrival = { from, epoch, seq, id, after, time, kind, suite, content: content.slice(), parts: 1 };
    this.#out.push({ type: "arrived", arrival });
  }

  #mailJudged(arrival: Arrival, isNew: boolean, now: Time): void {
    const { epoch, seq, id } = arrival;
    const key = `${epoch}/${seq}`;
    const sources = this.#waiting.get(key) ?? [];
    this.#waiting.delete(key);
    const isCommitted = this.#numbering.commit(epoch, seq, 0, 1) !== undefined;
    // Refused and still new: the numbers have no room. Neither shown nor removed, so it is offered again.
    if (!isCommitted && this.#numbering.isNew(epoch, seq, 0)) {
      for (const source of sources) this.#refuse(source);
      return;
    }
    if (isCommitted) {
      this.#remember(id);
      this.#news(now, true);
      if (isNew) this.#out.push({ type: "show", arrival, isDamaged: false });
    }
    for (const source of sources) this.#done(source);
  }

  #filePart({ head, envelope }: Part, suite: Suite, source: Source, now: Time): void {
    const { from, epoch, seq, part, of } = head;
    const key = fileKey(this.#options.peer, `${epoch}/${seq}`);
    const known = this.#files.get(key);
    const { id, after, time, kind } = envelope;
    // A sender may say what it likes; half a file is not kept for ever.
    const expires = Math.min(envelope.expires, now + LONGEST_MS);
    // All parts are of one mail: a file among parts of another kind would be shown with its digest unchecked.
    const isOther = known !== undefined && (known.id !== id || known.kind !== kind);
    const isFull = known === undefined && this.#files.size >= FILES_LIMIT;
    const committed = isOther || isFull ? undefined : this.#numbering.commit(epoch, seq, part, of);
    if (committed === undefined) {
      this.#refuse(source);
      return;
    }
    // With the seed, which dies with what we know of the peer: numbers that begin anew never reach what was shown before.
    const blob = known?.blob ?? this.#options.digest(concat(this.#seed, utf8(`${from} ${epoch} ${seq}`))).slice(0, 32);
    const file: IncomingFile = {
      ...(known ?? { from, epoch, seq, id, after, time, expires, kind, suite, blob, parts: of }),
      ...(suite === "static" && { suite }),
      ...(envelope.file && { file: envelope.file }),
      isWhole: committed === "whole",
    };
    this.#files.set(key, file);
    this.#deadlines.set(key, expires + GRACE_MS);
    this.#out.push({ type: "blob-write", blob, index: part, bytes: envelope.content.slice() });
    if (known === undefined || envelope.file !== undefined || file.isWhole || file.suite !== known.suite)
      this.#out.push({ type: "save", key, value: asJson(file) });
    this.#news(now, file.isWhole);
    this.#done(source);
    // Its last part is committed: from here on the record alone sees to it that the file is shown, also after a crash.
    if (file.isWhole) this.#out.push({ type: "arrived", arrival: file });
  }

  #fileJudged({ epoch, seq, blob }: Arrival, isNew: boolean, isDamaged: boolean): void {
    const key = fileKey(this.#options.peer, `${epoch}/${seq}`);
    const file = this.#files.get(key);
    // The peer left its contact and came back while the store was asked: what was known of it is gone.
    if (file?.isWhole !== true || file.blob !== blob) return;
    this.#forget(key, isNew && !isDamaged);
    this.#remember(file.id);
    this.#save();
    if (isNew) this.#out.push({ type: "show", arrival: file, isDamaged });
  }

  /** The sender forgets numbers below its floor: so do we, with what is unfinished of them. */
  #lower(epoch: string, floor: number): boolean {
    const dropped = this.#numbering.lower(epoch, floor);
    for (const seq of dropped ?? []) this.#forget(fileKey(this.#options.peer, `${epoch}/${seq}`), false);
    return dropped !== undefined;
  }

  #forget(key: string, keepBlob: boolean): void {
    const file = this.#files.get(key);
    if (file === undefined) return;
    this.#files.delete(key);
    this.#deadlines.set(key, undefined);
    this.#out.push({ type: "save", key, value: undefined });
    if (!keepBlob && file.blob !== undefined) this.#out.push({ type: "blob-remove", blob: file.blob });
  }

  #showCard({ card, secret }: Hello): void {
    const digest = this.#options.digest(card);
    if (digest === this.#card && secret === undefined) return;
    this.#card = digest;
    this.#out.push({ type: "card", card: card.slice(), secret: secret?.slice() });
  }

  #remember(id: string): void {
    this.#recent.push(id);
    this.#recent.splice(0, this.#recent.length - RECENT_LIMIT);
  }

  // --- copies and acknowledgements ---

  #done(source: Source): void {
    if (source.type === "cache") this.#isRemovedBefore(source);
    this.#out.push({ type: "done", source });
  }

  /** Not taken is not removed: it comes again when there is room. */
  #refuse(source: Source): void {
    this.#out.push({ type: "done", source, keep: true });
  }

  #isRemovedBefore({ via, id }: { via: Hashname; id: string }): boolean {
    const key = `${via} ${id}`;
    const known = this.#removed.delete(key);
    this.#removed.add(key);
    const [oldest] = this.#removed;
    if (this.#removed.size > REMOVED_LIMIT && oldest !== undefined) this.#removed.delete(oldest);
    return known;
  }

  /**
   * A copy of what we have. The second of two caches shows one, too, and that means nothing. But where the first copy was
   * taken away before, or over a link, or long after we told: there the sender has not heard from us.
   */
  #duplicate(source: Source, now: Time): void {
    const isAgain =
      source.type === "direct" ||
      (source.type === "cache" && (this.#isRemovedBefore(source) || now > this.#toldAt + LONG_MS));
    this.#out.push({ type: "done", source });
    if (isAgain) this.#acknowledgeAgain(now);
  }

  /** Ever more rarely, until there is news. */
  #acknowledgeAgain(now: Time): void {
    const wait = Math.min(REPEAT_MS * 2 ** this.#repeats, REPEAT_MAX_MS);
    const at = Math.max(now + DELAY_MS, this.#acknowledgedAt + wait);
    if (this.#acknowledgeAt !== undefined && this.#acknowledgeAt <= at) return;
    this.#acknowledgeBy(at);
    this.#repeats++;
  }

  #news(now: Time, isWhole: boolean): void {
    this.#isDue = true;
    this.#repeats = 0;
    this.#save();
    this.#acknowledgeBy(Math.max(now + (isWhole ? DELAY_MS : PART_DELAY_MS), this.#acknowledgedAt + GAP_MS));
  }

  #acknowledgeBy(at: Time): void {
    this.#acknowledgeAt = Math.min(at, this.#acknowledgeAt ?? at);
    this.#deadlines.set(ACKNOWLEDGE, this.#acknowledgeAt);
  }

  // --- time and store ---

  #wake(key: string, now: Time): void {
    if (key !== ACKNOWLEDGE) {
      // A file that never became whole. A whole one waits for its answer, which always comes.
      if (this.#files.get(key)?.isWhole === false) this.#forget(key, false);
      return;
    }
    this.#acknowledgeAt = undefined;
    this.#acknowledgedAt = now;
    if (this.#options.ring.isEmpty) {
      this.#options.ring.fill();
      this.#saveRing();
    }
    this.#out.push({ type: "acknowledge" });
  }

  #saveRing(): void {
    const { peer, ring } = this.#options;
    this.#out.push({ type: "save", key: ringKey(peer), value: ring.encode() });
  }

  #save(): void {
    const record: InRecord = {
      numbering: toBase32(this.#numbering.encode()),
      seed: toBase32(this.#seed),
      recent: this.#recent,
      isDue: this.#isDue,
      toldAt: this.#toldAt,
    };
    this.#out.push({ type: "save", key: inKey(this.#options.peer), value: asJson(record) });
  }
}

/** The key of our forward keys for a peer. Apart from the rest, so that they are not written with each mail. */
export function ringKey(peer: Hashname): string {
  return `mail/keys/${peer}`;
}

/** The key of what we have from a peer. */
function inKey(peer: Hashname): string {
  return `mail/in/${peer}`;
}

/** The key of an unfinished file of a peer; with an empty name the start of all of them. */
function fileKey(peer: Hashname, name: string): string {
  return `mail/file/${peer}/${name}`;
}

/** A file of which some parts are here, as it is stored. `isWhole`: all, but not yet shown. */
interface IncomingFile extends Arrival {
  readonly expires: Time;
  readonly isWhole: boolean;
}

interface InRecord {
  readonly numbering: string;
  readonly seed: string;
  readonly recent: readonly string[];
  readonly isDue: boolean;
  readonly toldAt: Time;
}

function bytesOf(text: string): Uint8Array {
  const bytes = fromBase32(text);
  assert(bytes !== undefined, "a record holds what was written");
  return bytes;
}

const ACKNOWLEDGE = "acknowledge"; // beside the keys of files in the heap
const GRACE_MS = 2 * 86_400_000; // X36: after its expiry nobody shows a mail
const PARTS_TAKEN = 1024; // of one mail: 28 MiB
const RECORD_BYTES = 32 * 1024; // of one part: what a blob record takes
const FILES_LIMIT = 64; // unfinished at once, of one peer
const WAITING_LIMIT = 256;
const COPIES_LIMIT = 16;
const RECENT_LIMIT = 8;
const REMOVED_LIMIT = 1024;
const DELAY_MS = 200; // several mails, one acknowledgement
const PART_DELAY_MS = 5_000;
const LONGEST_MS = 60 * 86_400_000; // four times what our own mail is given
const GAP_MS = 1_000;
const REPEAT_MS = 60_000;
const REPEAT_MAX_MS = 6 * 3_600_000;
const LONG_MS = 3_600_000;
const FLOOR_DELAY_MS = 6 * 3_600_000;
