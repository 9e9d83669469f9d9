/** Sealing: the bytes of one part, from what the spool holds. Reads by effect; equal parts get equal bytes. mail.md §6 */
import {
  asJson,
  assert,
  fromBase32,
  type Machine,
  ofJson,
  RestanteError,
  type Save,
  type Time,
  toBase32,
  utf8,
} from "../bytes/index.ts";
import { type Crypto, type Hashname, highestCommon, type Identity, type Keys } from "../crypto/index.ts";
import { PART_CONTENT } from "./constants.ts";
import type { Hello } from "./hello.ts";
import { encodePart, type ForwardSeal, type Part } from "./inner.ts";
import type { Parcel } from "./parcel.ts";
import { contentKey, helloKey, type Ownerless, type Posted } from "./posted.ts";
import { sealSeeded } from "./seal.ts";

/** What the spool keeps of a mail beside its light index. */
export interface Content {
  /** 32 bytes. Secret. */
  readonly seed: Uint8Array;
  readonly after: readonly string[];
  /** Of kind "text". */
  readonly text?: string;
}

export type SealingIn =
  /** Store the content of a new mail. */
  | { type: "store"; mail: string; content: Content }
  /** Store how a mail presents itself to a peer that does not know us. */
  | { type: "greet"; mail: string; peer: Hashname; hello: Hello }
  /** Seal this part. `keys`: of its recipient. */
  | { type: "fetch"; flight: number; mail: Posted; parcel: Parcel; part: number; keys: Keys }
  | { type: "read"; req: number; value: Uint8Array | undefined }
  | { type: "blob"; req: number; bytes: Uint8Array | undefined };

export type SealingOut =
  | Save
  | { type: "read"; req: number; key: string }
  | { type: "blob-read"; req: number; blob: string; index: number }
  /** `undefined`: the content is gone, or the recipient has no key that we could use. */
  | { type: "sealed"; peer: Hashname; flight: number; bytes: Uint8Array | undefined };

export interface SealingOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  /** Numbers for reads, unique in the whole `Mail`. */
  readonly reads: () => number;
}

type Fetch = Extract<SealingIn, { type: "fetch" }>;

/** One part on its way through the reads it needs, one after the other. */
interface Job extends Fetch {
  readonly wants: "content" | "hello" | "blob";
  readonly key: string;
  readonly content?: Content;
  readonly hello?: Hello;
}

/** Reads and seals parts. */
export class Sealing implements Machine<SealingIn, SealingOut> {
  readonly #options: SealingOptions;
  readonly #jobs = new Map<number, Job>();
  /** Small records read or written lately, the newest last: a file needs the same two for each of its parts. */
  readonly #lately = new Map<string, Uint8Array>();
  #out: SealingOut[] = [];

  constructor(options: SealingOptions) {
    this.#options = options;
  }

  handle(input: SealingIn, _now: Time): SealingOut[] {
    switch (input.type) {
      case "store":
        this.#save(contentKey(input.mail), contentJson(input.content));
        break;
      case "greet":
        this.#save(helloKey(input.mail, input.peer), helloJson(input.hello));
        break;
      case "fetch":
        this.#next({ ...input, wants: "content", key: contentKey(input.mail.id) });
        break;
      case "read":
        this.#answer(input.req, input.value);
        break;
      case "blob":
        this.#answer(input.req, input.bytes);
    }
    const out = this.#out;
    this.#out = []; // what has left is not kept until the next turn
    return out;
  }

  deadline(): undefined {
    return undefined;
  }

  /** Parts whose content is being read. */
  get busy(): number {
    return this.#jobs.size;
  }

  #save(key: string, value: Uint8Array): void {
    this.#out.push({ type: "save", key, value });
    this.#keep(key, value);
  }

  #keep(key: string, value: Uint8Array): void {
    this.#lately.delete(key);
    this.#lately.set(key, value);
    const [oldest] = this.#lately.keys();
    if (this.#lately.size > LATELY_LIMIT && oldest !== undefined) this.#lately.delete(oldest);
  }

  #answer(req: number, value: Uint8Array | undefined): void {
    const job = this.#jobs.get(req);
    if (job === undefined) return;
    this.#jobs.delete(req);
    if (value === undefined) {
      this.#out.push({ type: "sealed", peer: job.parcel.peer, flight: job.flight, bytes: undefined });
      return;
    }
    if (job.wants !== "blob") this.#keep(job.key, value);
    this.#step(job, value);
  }

  #next(job: Job): void {
    const known = job.wants === "blob" ? undefined : this.#lately.get(job.key);
    if (known !== undefined) {
      this.#step(job, known);
      return;
    }
    const req = this.#options.reads();
    this.#jobs.set(req, job);
    if (job.wants === "blob") this.#out.push({ type: "blob-read", req, blob: job.key, index: job.part });
    else this.#out.push({ type: "read", req, key: job.key });
  }

  /** From one read to the next, or to the seal. */
  #step(job: Job, value: Uint8Array): void {
    const { mail, parcel } = job;
    const content = job.wants === "content" ? contentOf(value) : job.content;
    assert(content !== undefined, "the content is read first");
    const hello = job.wants === "hello" ? helloOf(value) : job.hello;
    if (parcel.hello && hello === undefined) {
      this.#next({ ...job, content, wants: "hello", key: helloKey(mail.id, parcel.peer) });
      return;
    }
    const whole = { ...job, content, ...(hello && { hello }) };
    const { file } = mail;
    if (file !== undefined && mail.size > 0 && job.wants !== "blob") {
      this.#next({ ...whole, wants: "blob", key: file.blob });
      return;
    }
    const bytes = job.wants === "blob" ? value : utf8(content.text ?? "");
    this.#out.push({
      type: "sealed",
      peer: job.parcel.peer,
      flight: job.flight,
      bytes: this.#seal(whole, content, bytes),
    });
  }

  #seal(
    { mail, parcel, part, keys, hello }: Job,
    { seed, after }: Content,
    content: Uint8Array,
  ): Uint8Array | undefined {
    const { crypto, identity } = this.#options;
    const csid = highestCommon(crypto, identity.keys, keys);
    if (csid === undefined) return undefined;
    const { peer: recipient, generation, forward } = parcel;
    const whole = partOf(identity, { mail, parcel, part, after, content, hello });
    const inner = innerOf(this.#options, csid, whole, forward && { forwarding: forward, seed, generation });
    return inner && sealSeeded(crypto, identity, keys, { seed, recipient, generation, inner });
  }
}

/** What makes up one part of a mail for one peer. */
export interface Ingredients {
  readonly mail: Ownerless;
  readonly parcel: Pick<Parcel, "peer" | "epoch" | "seq" | "floor">;
  readonly part: number;
  readonly after: readonly string[];
  readonly content: Uint8Array;
  readonly hello: Hello | undefined;
}

/** The part, as it is given to `encodePart`. */
export function partOf(identity: Identity, { mail, parcel, part, after, content, hello }: Ingredients): Part {
  const { peer, epoch, seq, floor } = parcel;
  const { id, created, expires, kind, file, parts } = mail;
  return {
    head: { from: identity.hashname, to: peer, epoch, seq, floor, part, of: parts },
    ...(hello && { hello }),
    envelope: {
      id,
      after,
      time: created,
      expires,
      kind,
      ...(file !== undefined &&
        part === 0 && { file: { name: file.name, media: file.media, size: file.size, sha256: file.sha256 } }),
      content,
    },
  };
}

/** The inner packet; `undefined` when there is none: the mail came from the user, and the key from a peer. */
function innerOf(
  { crypto, identity }: SealingOptions,
  csid: number,
  part: Part,
  forward: ForwardSeal | undefined,
): Uint8Array | undefined {
  try {
    return encodePart(crypto, csid, identity, part, forward);
  } catch (error) {
    if (error instanceof RestanteError) return undefined;
    throw error;
  }
}

/** How many parts content of this size makes. A file without content is one part, too. */
export function partsFor(size: number): number {
  return Math.max(1, Math.ceil(size / PART_CONTENT));
}

interface ContentRecord {
  readonly seed: string;
  readonly after: readonly string[];
  readonly text?: string;
}

interface HelloRecord {
  readonly card: string;
  readonly secret?: string;
}

function contentJson({ seed, after, text }: Content): Uint8Array {
  const record: ContentRecord = { seed: toBase32(seed), after, ...(text !== undefined && { text }) };
  return asJson(record);
}

function helloJson({ card, secret }: Hello): Uint8Array {
  const record: HelloRecord = { card: toBase32(card), ...(secret && { secret: toBase32(secret) }) };
  return asJson(record);
}

function contentOf(value: Uint8Array): Content {
  const { seed, ...rest }: ContentRecord = ofJson(value);
  return { ...rest, seed: bytesOf(seed) };
}

function helloOf(value: Uint8Array): Hello {
  const { card, secret }: HelloRecord = ofJson(value);
  return { card: bytesOf(card), ...(secret !== undefined && { secret: bytesOf(secret) }) };
}

function bytesOf(text: string): Uint8Array {
  const bytes = fromBase32(text);
  assert(bytes !== undefined, "a record holds what was written");
  return bytes;
}

const LATELY_LIMIT = 32; // at some 30 KiB at most: 1 MiB
