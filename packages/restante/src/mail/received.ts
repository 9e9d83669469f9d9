/**
 * Received: what one peer of a contact sent us. Commits numbers, puts files together, and knows when an acknowledgement is
 * due. Whether a mail was shown before is asked of the store, one question per mail; nothing waits for another's answer.
 * protocol/mail.md §8, §9
 */
import {
  asJson,
  assert,
  concat,
  Deadlines,
  fromBase32,
  type Machine,
  ofJson,
  type Time,
  toBase32,
  utf8,
} from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { AckReport } from "./acknowledgement.ts";
import type { Hello } from "./hello.ts";
import type { ClosedPart, Part, Suite } from "./inner.ts";
import { type Marked, Marks, markOf } from "./marks.ts";
import { Numbering } from "./numbering.ts";
import { type Read, Reads } from "./reads.ts";
import type { Arrival, ReceivedIn, ReceivedOptions, ReceivedOut, Source } from "./received-contract.ts";
import { Showings, type Shown } from "./shown.ts";

/** The recipient's side towards one peer. */
export class Received implements Machine<ReceivedIn, ReceivedOut> {
  readonly #options: ReceivedOptions;
  readonly #numbering: Numbering;
  readonly #seed: Uint8Array;
  /** Ids of the mails seen last, oldest first. */
  readonly #recent: string[];
  /** Mails of one part whose id is being looked up, with all copies of them that came. */
  readonly #waiting = new Map<string, { readonly id: string; readonly copies: Source[] }>();
  readonly #files = new Map<string, IncomingFile>();
  readonly #deadlines = new Deadlines<string>();
  /** Copies that we took away, by cache and message id: who shows one again has put it there again. */
  readonly #removed = new Set<string>();
  /** By which caches its mail came. */
  readonly #showings: Showings;
  /** Which mails have the numbers that were committed last. */
  readonly #marks: Marks;
  /** Epochs in which two copies of the peer's store number mail, or would if they could. The latest last. */
  readonly #twice: string[];
  /** Its mails of several parts that it cancelled before they were whole here. */
  readonly #cancelled: Marks;
  /** What of its mail the user has seen. */
  readonly #reads: Reads;
  /** Message ids of copies that were committed lately: the same bytes are the same mail. */
  readonly #taken = new Set<string>();
  #card: string | undefined;
  /** It was known before, and what came then is not remembered: where its numbers begin for us; "open": none came yet. */
  #since: InRecord["since"];
  /** There is news that the peer has not been told. */
  #isDue: boolean;
  #acknowledgeAt: Time | undefined;
  #acknowledgedAt = 0;
  #toldAt: Time;
  /** Acknowledgements since the last news. */
  #repeats = 0;
  /** Parts that came over the link since the last one. */
  #streamed = 0;
  #out: ReceivedOut[] = [];

  constructor(options: ReceivedOptions) {
    this.#options = options;
    const own = options.saved.get(inKey(options.peer));
    const record: InRecord | undefined = own && ofJson(own);
    this.#numbering = (record && Numbering.decode(bytesOf(record.numbering))) ?? new Numbering();
    this.#seed = record === undefined ? options.fresh() : bytesOf(record.seed);
    this.#recent = [...(record?.recent ?? [])];
    this.#showings = Showings.of(record?.shown);
    this.#marks = Marks.of(record?.marked);
    this.#twice = [...(record?.twice ?? [])];
    this.#reads = Reads.of(record?.read);
    this.#cancelled = Marks.of(record?.cancelled);
    this.#since = record === undefined && options.saved.has(metKey(options.peer)) ? "open" : record?.since;
    this.#isDue = record?.isDue ?? false;
    this.#toldAt = record?.toldAt ?? 0;
    for (const [key, value] of options.saved)
      if (key.startsWith(fileKey(options.peer, ""))) this.#files.set(key, ofJson(value));
    for (const [key, file] of this.#files)
      options.disk?.begin(key, { contact: this.#contact, parts: file.parts, written: this.#written(file) });
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

  /** What is acknowledged. A whole file is committed, but whoever hears that it is delivered may look for it in the inbox. */
  report(): AckReport[] {
    return this.#numbering.report([...this.#files.values()].filter(({ isWhole }) => isWhole));
  }

  /** What the peer is told of our caches. */
  shown(): Shown | undefined {
    return this.#showings.tell();
  }

  /** Which mails the peer is told to have the numbers that were committed last. */
  marked(): readonly Marked[] | undefined {
    return this.#marks.tell();
  }

  /** Epochs of which the peer is told that two copies of its store number mail in them; `undefined`: none. */
  twice(): readonly string[] | undefined {
    return this.#twice.length === 0 ? undefined : this.#twice;
  }

  /** What the peer is told that the user has seen. */
  read(): readonly Read[] | undefined {
    return this.#reads.tell();
  }

  /** Mails that are known to be missing. */
  gaps(): number {
    // What was open in an epoch that the peer left has another number since.
    const since = this.#since === "open" ? undefined : this.#since;
    const cancelled = (this.#cancelled.tell() ?? []).flatMap(({ epoch, marks }) =>
      marks.map(({ seq }) => ({ epoch, seq })),
    );
    return this.#numbering.gaps({ left: this.#twice, since, cancelled });
  }

  /** Whether numbers of the peer are known: what is missing of them says nothing when it is met again. */
  get hasMet(): boolean {
    return this.#since !== undefined || this.#numbering.report().length > 0;
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
        this.#watchAside();
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
        if (input.arrival.isRepeat) {
          this.#repeatJudged(input.arrival, input.isNew, now);
          return;
        }
        if (input.arrival.content === undefined) {
          this.#fileJudged(input.arrival, input.isNew, input.isDamaged, now);
          return;
        }
        this.#mailJudged(input.arrival, input.isNew, now);
        return;
      case "floor":
        this.#meet(input.epoch, now);
        this.#cancel(input.cancelled ?? [], now);
        if (this.#lower(input.epoch, input.floor, now)) this.#save();
        return;
      case "uses":
        if (this.#options.ring.heed(input.ids)) this.#saveRing();
        return;
      case "read":
        for (const { epoch, seq } of input.numbers) this.#reads.note(epoch, seq);
        this.#news(now, false);
        return;
      case "left":
        for (const epoch of input.epochs) this.#tellTwice(epoch, now);
        return;
      case "copied":
        // It may have heard of the forward keys of the other: now it hears of those that are here.
        if (this.#options.ring.rename()) this.#saveRing();
        this.#acknowledgeBy(now + DELAY_MS);
        return;
      case "own-floor":
        this.#acknowledgeBy(
          input.isUrgent === true ? Math.max(now + DELAY_MS, this.#acknowledgedAt + GAP_MS) : now + FLOOR_DELAY_MS,
        );
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
        // Whoever brought it waits for a word, and nothing of it is shown now.
        for (const { copies } of this.#waiting.values()) for (const source of copies) this.#refuse(source);
        this.#waiting.clear();
        this.#deadlines.set(ACKNOWLEDGE, undefined);
        this.#deadlines.set(ASIDE, undefined);
        this.#out.push({ type: "save", key: inKey(this.#options.peer), value: undefined });
        if (this.hasMet) this.#out.push({ type: "save", key: metKey(this.#options.peer), value: MET });
        this.#out.push({ type: "save", key: ringKey(this.#options.peer), value: undefined });
        return;
      case "tick":
        for (const key of this.#deadlines.due(now)) this.#wake(key, now);
    }
  }

  #part(given: Part | ClosedPart, source: Source, now: Time): void {
    const { head } = given;
    const { epoch, seq } = head;
    // Before its keys are heeded and before the epoch is known by its floor.
    this.#meet(epoch, now);
    const moved = this.#lower(epoch, head.floor, now);
    const isNew = this.#numbering.isNew(epoch, seq, head.part);
    if (source.type === "cache") this.#showings.note(source.via, epoch, seq, isNew);
    if (!isNew) {
      if (moved) this.#save();
      this.#known(given, source, now);
      return;
    }
    const part = "envelope" in given ? given : this.#open(given, source, now);
    if (part === undefined) {
      if (moved) this.#save();
      return;
    }
    const { hello, envelope } = part;
    const suite: Suite = part === given ? "static" : "forward";
    const isCancelled = head.of > 1 && this.#cancelled.is(epoch, seq, envelope.id) === true;
    if (now > envelope.expires + GRACE_MS || envelope.content.length > RECORD_BYTES || isCancelled) {
      if (moved) this.#save();
      this.#done(source);
      return;
    }
    if (hello !== undefined) this.#showCard(hello);
    const isInBlob = head.of > 1 || envelope.kind === "file";
    if (this.#isSilent(envelope.kind) && !this.#isOther(part)) this.#commitCard(part, source, now);
    else if (this.#isTooMuch(isInBlob ? NOTHING : envelope.content, now)) this.#refuse(source);
    else if (this.#isOther(part)) this.#repeat(part, suite, source);
    else if (isInBlob) this.#filePart(part, suite, source, now);
    else this.#mail(part, suite, source);
    if (moved) this.#save();
  }

  /** An epoch of the peer's: with a new one our forward keys are kept for what it may have forgotten. */
  #meet(epoch: string, now: Time): void {
    const { ring } = this.#options;
    if (!ring.meet(epoch, !this.#numbering.knows(epoch), now + ASIDE_MS)) return;
    this.#watchAside();
    if (!ring.isEmpty) this.#saveRing();
  }

  #watchAside(): void {
    this.#deadlines.set(ASIDE, this.#options.ring.asideUntil);
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

  /**
   * A part under a number that we have. Almost always of the same mail. But where the sender's store was copied, both copies
   * go on counting from the same number: then it is another mail, of which the numbers know nothing.
   */
  #known(given: Part | ClosedPart, source: Source, now: Time): void {
    const { epoch, seq } = given.head;
    // Below the floor, and in a closed epoch, there is nothing left to compare with.
    const isSame = !this.#numbering.has(epoch, seq) || (source.type !== "request" && this.#taken.has(source.id));
    const part = isSame ? undefined : this.#peek(given);
    const isOver = part !== undefined && now > part.envelope.expires + GRACE_MS;
    if (part === undefined || isOver || part.envelope.content.length > RECORD_BYTES) {
      this.#duplicate(source, now);
      return;
    }
    const { id, kind } = part.envelope;
    const isMarked = this.#marks.is(epoch, seq, id);
    // Of a card that came long ago nothing is known but its number.
    const isLike = isMarked ?? (this.#isSilent(kind) || this.#files.get(this.#fileKey(part))?.id === id);
    if (isLike) this.#duplicate(source, now);
    else if (this.#isTooMuch(part.envelope.content, now)) this.#refuse(source);
    else this.#repeat(part, part === given ? "static" : "forward", source);
  }

  /** Not taken today: whoever floods us has to keep it. */
  #isTooMuch(content: Uint8Array, now: Time): boolean {
    const { allowance } = this.#options;
    if (allowance === undefined || allowance.hasRoom(content.length, now)) return false;
    const until = allowance.refused(now);
    if (until !== undefined) this.#out.push({ type: "full", until });
    return true;
  }

  #spend(content: Uint8Array | undefined, now: Time): void {
    this.#out.push(...(this.#options.allowance?.spend(content?.length ?? 0, now) ?? []));
  }

  /** What is in it, if that can be seen. Nobody is told otherwise. */
  #peek(given: Part | ClosedPart): Part | undefined {
    if ("envelope" in given) return given;
    const { part, isChanged } = this.#options.ring.open(given);
    if (isChanged) this.#saveRing();
    return part === "gone" ? undefined : part;
  }

  /** Are parts of another mail here, under the number of this one? */
  #isOther(part: Part): boolean {
    const known = this.#files.get(this.#fileKey(part));
    return known !== undefined && known.id !== part.envelope.id;
  }

  /** A mail whose number is taken, or may be, by another: the store is asked whether we ever showed it. */
  #repeat({ head, envelope }: Part, suite: Suite, source: Source): void {
    const { from, epoch, seq, of: parts } = head;
    const { id, after, time, kind, content } = envelope;
    const isFirst = this.#wait(`${epoch}/${seq}/${id}`, id, source);
    if (!isFirst) return;
    const isShowable = parts === 1 && kind !== "file" && !this.#isSilent(kind);
    const whole = isShowable ? { content: content.slice() } : {};
    const arrival = { from, epoch, seq, id, after, time, kind, suite, ...whole, parts, isRepeat: true } as const;
    this.#out.push({ type: "arrived", arrival });
  }

  /**
   * Nothing is committed, for there is no number to do it under, and the sender is told: under a number of its own the mail
   * comes again. But what is here whole is shown at once, and known by its id from then on.
   */
  #repeatJudged(arrival: Arrival, isNew: boolean, now: Time): void {
    const { epoch, seq, id, content } = arrival;
    const sources = this.#waited(`${epoch}/${seq}/${id}`);
    if (isNew && content !== undefined) {
      this.#spend(content, now);
      this.#remember(id);
      this.#out.push({ type: "show", arrival, isDamaged: false });
    }
    const isTwice = isNew || this.#marks.is(epoch, seq, id) === false;
    if (isTwice) this.#tellTwice(epoch, now);
    for (const source of sources) this.#duplicate(source, now);
  }

  #tellTwice(epoch: string, now: Time): void {
    if (this.#twice.includes(epoch)) return;
    this.#twice.push(epoch);
    this.#twice.splice(0, this.#twice.length - TWICE_LIMIT);
    this.#news(now, true);
  }

  /** Puts a copy to those that wait for the same answer, if there is room; whether it is the first. */
  #wait(key: string, id: string, source: Source): boolean {
    const known = this.#waiting.get(key);
    if (known === undefined && this.#waiting.size < WAITING_LIMIT) {
      this.#waiting.set(key, { id, copies: [source] });
      return true;
    }
    if (known?.id === id && known.copies.length < COPIES_LIMIT) known.copies.push(source);
    else this.#refuse(source);
    return false;
  }

  /** The answer is here: who waited for it. */
  #waited(key: string): readonly Source[] {
    const { copies = [] } = this.#waiting.get(key) ?? {};
    this.#waiting.delete(key);
    return copies;
  }

  /** The user has no use for it: it came for what was with it. */
  #commitCard({ head: { epoch, seq, part, of }, envelope }: Part, source: Source, now: Time): void {
    if (this.#commit(epoch, seq, part, of) === undefined) {
      this.#refuse(source);
      return;
    }
    this.#marks.note(epoch, seq, envelope.id);
    if (envelope.kind !== "card") this.#out.push({ type: "sync", content: envelope.content.slice() });
    this.#news(now, true);
    this.#done(source);
  }

  /** Of kinds that the user does not see. From anybody but our own devices "sync" is a kind that we do not know. */
  #isSilent(kind: string): boolean {
    return kind === "card" || (kind === "sync" && this.#options.isOwn === true);
  }

  #mail({ head, envelope }: Part, suite: Suite, source: Source): void {
    const { from, epoch, seq } = head;
    const { id, after, time, kind, content } = envelope;
    if (!this.#wait(`${epoch}/${seq}`, id, source)) return;
    const arrival = { from, epoch, seq, id, after, time, kind, suite, content: content.slice(), parts: 1 };
    this.#out.push({ type: "arrived", arrival });
  }

  #mailJudged(arrival: Arrival, isNew: boolean, now: Time): void {
    const { epoch, seq, id } = arrival;
    const sources = this.#waited(`${epoch}/${seq}`);
    const isCommitted = this.#commit(epoch, seq, 0, 1) !== undefined;
    // Refused and still new: the numbers have no room. Neither shown nor removed, so it is offered again.
    if (!isCommitted && this.#numbering.isNew(epoch, seq, 0)) {
      for (const source of sources) this.#refuse(source);
      return;
    }
    if (isCommitted) {
      this.#spend(arrival.content, now);
      this.#remember(id);
      this.#marks.note(epoch, seq, id);
      this.#news(now, true);
      if (isNew) this.#out.push({ type: "show", arrival, isDamaged: false });
    }
    for (const source of sources) this.#done(source);
  }

  #filePart({ head, envelope }: Part, suite: Suite, source: Source, now: Time): void {
    const { from, epoch, seq, part, of } = head;
    const key = this.#fileKey({ head });
    const known = this.#files.get(key);
    const { id, after, time, kind } = envelope;
    // A sender may say what it likes; half a file is not kept for ever.
    const expires = Math.min(envelope.expires, now + LONGEST_MS);
    // All parts are of one kind: a file among others would be shown with its digest unchecked.
    const isOther = known !== undefined && known.kind !== kind;
    const isFull = (known === undefined && this.#files.size >= FILES_LIMIT) || this.#hasNoRoom(known, id, of, now);
    const committed = isOther || isFull ? undefined : this.#commit(epoch, seq, part, of);
    if (committed === undefined) {
      this.#refuse(source);
      return;
    }
    const blob = known?.blob ?? this.#blobOf(epoch, seq);
    const file: IncomingFile = {
      ...(known ?? { from, epoch, seq, id, after, time, expires, kind, suite, blob, parts: of }),
      ...(suite === "static" && { suite }),
      ...(envelope.file && { file: envelope.file }),
      isWhole: committed === "whole",
    };
    if (known === undefined) this.#options.disk?.begin(key, { contact: this.#contact, parts: of, written: 0 });
    this.#options.disk?.write(key);
    this.#files.set(key, file);
    this.#deadlines.set(key, expires + GRACE_MS);
    this.#out.push({ type: "blob-write", blob, index: part, bytes: envelope.content.slice() });
    this.#spend(undefined, now);
    if (known === undefined || envelope.file !== undefined || file.isWhole || file.suite !== known.suite)
      this.#out.push({ type: "save", key, value: asJson(file) });
    this.#marks.note(epoch, seq, id);
    // Over a link its sender goes no further than it hears of, so it hears soon.
    if (source.type === "direct") this.#streamed++;
    if (file.isWhole) this.#save();
    else this.#news(now, this.#streamed >= STREAM_PARTS);
    this.#done(source);
    if (of > 1) this.#out.push({ type: "progress", arrival: file, done: this.#written(file) });
    // Its last part is committed: from here on the record alone sees to it that the file is shown, also after a crash.
    if (file.isWhole) this.#out.push({ type: "arrived", arrival: file });
  }

  /** For what lies in blobs: whether it fits on the disk, and into what its contact may take of it. */
  #hasNoRoom(known: IncomingFile | undefined, id: string, parts: number, now: Time): boolean {
    const { disk } = this.#options;
    if (disk === undefined) return false;
    const why = disk.full ?? (known === undefined ? disk.refuses(this.#contact, parts) : undefined);
    if (why !== undefined && disk.waits(`${this.#contact} ${id}`, now))
      this.#out.push({ type: "no-room", id, parts, why });
    return why !== undefined;
  }

  get #contact(): string {
    return this.#options.contact ?? "";
  }

  #written({ epoch, seq, parts, isWhole }: IncomingFile): number {
    return isWhole ? parts : this.#numbering.parts(epoch, seq);
  }

  #fileJudged({ epoch, seq, blob }: Arrival, isNew: boolean, isDamaged: boolean, now: Time): void {
    const key = fileKey(this.#options.peer, `${epoch}/${seq}`);
    const file = this.#files.get(key);
    // The peer left its contact and came back while the store was asked: what was known of it is gone.
    if (file?.isWhole !== true || file.blob !== blob) return;
    this.#forget(key, isNew && !isDamaged);
    this.#remember(file.id);
    this.#news(now, true);
    if (isNew) this.#out.push({ type: "show", arrival: file, isDamaged });
  }

  #commit(epoch: string, seq: number, part: number, of: number): "part" | "whole" | undefined {
    const committed = this.#numbering.commit(epoch, seq, part, of);
    if (committed !== undefined && this.#since === "open") this.#since = { epoch, seq };
    return committed;
  }

  /** The sender forgets numbers below its floor: so do we, with what is unfinished of them. */
  #lower(epoch: string, floor: number, now: Time): boolean {
    // Of a file whose first part was written when we crashed nothing is known but, perhaps, that part.
    const unseen = this.#numbering.missing(epoch, floor, UNSEEN_LIMIT);
    const dropped = this.#numbering.lower(epoch, floor);
    if (dropped === undefined) return false;
    this.#cancelled.cut(epoch, floor);
    for (const seq of unseen) this.#out.push({ type: "blob-remove", blob: this.#blobOf(epoch, seq) });
    for (const seq of dropped) this.#giveUp(fileKey(this.#options.peer, `${epoch}/${seq}`), now);
    return true;
  }

  /** The peer offers them no more: parts that are here go, and those that come are not taken. What is whole was there before. */
  #cancel(mails: readonly Marked[], now: Time): void {
    let isNews = false;
    for (const { epoch, marks } of mails)
      for (const { seq, mark } of marks) {
        const key = fileKey(this.#options.peer, `${epoch}/${seq}`);
        const file = this.#files.get(key);
        // Of two copies of the peer's store only one cancelled what has this number.
        const isOther = file !== undefined && markOf(file.id) !== mark;
        if (isOther || this.#cancelled.is(epoch, seq, mark) === true || !this.#numbering.forget(epoch, seq)) continue;
        this.#cancelled.note(epoch, seq, mark);
        if (file !== undefined) this.#giveUp(key, now);
        isNews = true;
      }
    if (isNews) this.#save();
  }

  /** It will not be whole. */
  #giveUp(key: string, now: Time): void {
    const file = this.#files.get(key);
    if (file === undefined || file.isWhole) return this.#forget(key, false);
    this.#forget(key, false);
    const why = now < file.expires ? "cancelled" : "lost";
    if (file.parts > 1) this.#out.push({ type: "progress", arrival: file, done: 0, ended: why });
  }

  /** With the seed, which dies with what we know of the peer: numbers that begin anew never reach what was shown before. */
  #blobOf(epoch: string, seq: number): string {
    const { peer, digest } = this.#options;
    return digest(concat(this.#seed, utf8(`${peer} ${epoch} ${seq}`))).slice(0, 32);
  }

  #fileKey({ head: { epoch, seq } }: Pick<Part, "head">): string {
    return fileKey(this.#options.peer, `${epoch}/${seq}`);
  }

  #forget(key: string, keepBlob: boolean): void {
    const file = this.#files.get(key);
    if (file === undefined) return;
    this.#out.push(...(this.#options.disk?.end(key, keepBlob) ?? []));
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
    if (source.type !== "request") keepNewest(this.#taken, source.id);
    this.#out.push({ type: "done", source });
  }

  /** Not taken is not removed: it comes again when there is room. */
  #refuse(source: Source): void {
    this.#out.push({ type: "done", source, keep: true });
  }

  #isRemovedBefore({ via, id }: { via: Hashname; id: string }): boolean {
    const key = `${via} ${id}`;
    const known = this.#removed.delete(key);
    keepNewest(this.#removed, key);
    return known;
  }

  /**
   * A copy of what we have. The second of two caches shows one, too, and that means nothing. But where the first copy was
   * taken away before, or over a link, or long after we told: there the sender has not heard from us.
   * (The bazaar itself brings the same once.)
   */
  #duplicate(source: Source, now: Time): void {
    const isLate = source.type !== "request" && now > this.#toldAt + LONG_MS;
    const isAgain = source.type === "direct" || (source.type === "cache" && this.#isRemovedBefore(source)) || isLate;
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
    if (key === ASIDE) {
      if (this.#options.ring.expire(now)) this.#saveRing();
      this.#watchAside();
      return;
    }
    if (key !== ACKNOWLEDGE) {
      // A file that never became whole. A whole one waits for its answer, which always comes.
      if (this.#files.get(key)?.isWhole === false) this.#giveUp(key, now);
      return;
    }
    this.#acknowledgeAt = undefined;
    this.#acknowledgedAt = now;
    this.#streamed = 0;
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
    const shown = this.#showings.tell();
    const marked = this.#marks.tell();
    const read = this.#reads.tell();
    const cancelled = this.#cancelled.tell();
    const record: InRecord = {
      numbering: toBase32(this.#numbering.encode()),
      seed: toBase32(this.#seed),
      recent: this.#recent,
      isDue: this.#isDue,
      toldAt: this.#toldAt,
      ...(shown && { shown }),
      ...(marked && { marked }),
      ...(read && { read }),
      ...(cancelled && { cancelled }),
      ...(this.#twice.length > 0 && { twice: this.#twice }),
      ...(this.#since && { since: this.#since }),
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

/** The key that says that a peer was known before. All that was known of it is gone. */
export function metKey(peer: Hashname): string {
  return `mail/met/${peer}`;
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
  /** Of a peer that was known before: the first number that came since. */
  readonly since?: { readonly epoch: string; readonly seq: number } | "open";
  readonly shown?: Shown;
  readonly marked?: readonly Marked[];
  readonly read?: readonly Read[];
  readonly cancelled?: readonly Marked[];
  readonly twice?: readonly string[];
}

/** Puts it as the last into a set of the last so many. */
function keepNewest(set: Set<string>, key: string): void {
  set.delete(key);
  set.add(key);
  const [oldest] = set;
  if (set.size > REMOVED_LIMIT && oldest !== undefined) set.delete(oldest);
}

function bytesOf(text: string): Uint8Array {
  const bytes = fromBase32(text);
  assert(bytes !== undefined, "a record holds what was written");
  return bytes;
}

const ACKNOWLEDGE = "acknowledge"; // beside the keys of files in the heap
const ASIDE = "aside"; // the same
const ASIDE_MS = 30 * 86_400_000; // as long as a cache keeps anything
const GRACE_MS = 2 * 86_400_000; // X36: after its expiry nobody shows a mail
const NOTHING: Uint8Array = new Uint8Array(0); // files are counted by the disk they take, and here for what is kept beside
const STREAM_PARTS = 32; // half of what a sender dares without an answer
const RECORD_BYTES = 32 * 1024; // of one part: what a blob record takes
const FILES_LIMIT = 64; // unfinished at once, of one peer
const UNSEEN_LIMIT = 64; // as many as may be unfinished at once
const WAITING_LIMIT = 256;
const COPIES_LIMIT = 16;
const RECENT_LIMIT = 8;
const REMOVED_LIMIT = 1024;
const TWICE_LIMIT = 4; // as many as an acknowledgement tells
const DELAY_MS = 200; // several mails, one acknowledgement
const PART_DELAY_MS = 5_000;
const LONGEST_MS = 60 * 86_400_000; // four times what our own mail is given
const GAP_MS = 1_000;
const REPEAT_MS = 60_000;
const REPEAT_MAX_MS = 6 * 3_600_000;
const LONG_MS = 3_600_000;
/** What lies under `metKey`. */
export const MET: Uint8Array = asJson({});
const FLOOR_DELAY_MS = 6 * 3_600_000;
