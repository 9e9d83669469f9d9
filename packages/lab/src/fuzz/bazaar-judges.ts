/**
 * What sender and recipient of the bazaar promise, whatever comes: judged by what they save, ask and say, turn by turn. The keys of their
 * records and the fields in them are those of protocol/bazaar.md §10.
 */
import { encodeMessage, type Message, type PeerId } from "@restante/bazaar/format";
import type {
  OutgoingInput,
  OutgoingOutput,
  RetrieveInput,
  RetrieveOutput,
  Save,
  Taken,
} from "@restante/bazaar/offline";
import { fromUtf8, type Time, toBase64url, toHex } from "restante/protocol";
import type { Mutator } from "./mutate.ts";

/** What is on the disk, as the saves have left it. */
class Disk {
  readonly records = new Map<string, Uint8Array>();
  /** Whether a machine was ever started on damaged records. It has to bear them, and cannot keep all that it promised. */
  isDamaged = false;
  readonly #mutator: Mutator;
  readonly #isFragile: boolean;

  constructor(mutator: Mutator) {
    this.#mutator = mutator;
    this.#isFragile = mutator.chance.happens(0.3);
  }

  save({ key, value }: Save): void {
    if (value === undefined) this.records.delete(key);
    else this.records.set(key, value);
  }

  /** For a new start; in some runs records are damaged now and then. */
  load(): [key: string, value: Uint8Array][] {
    const { chance } = this.#mutator;
    const records = [...this.records];
    if (!this.#isFragile || records.length === 0 || !chance.happens(0.2)) return records;
    this.isDamaged = true;
    return records.map(([key, value]) => [key, chance.happens(0.3) ? this.#mutator.bytes([value]) : value]);
  }
}

/** Of the recipient: protocol/bazaar.md §9. */
export class RetrieveJudge {
  readonly #disk: Disk;
  /** Magic ids of contents that are remembered on the disk. */
  readonly #remembered = new Set<string>();
  /** What the application took for good, and when it had come. */
  readonly #taken = new Map<string, Time>();
  #offered: { readonly id: number; readonly said: string; readonly at: Time } | undefined;
  readonly #fetches = new Set<number>();
  #latest = 0;

  constructor(mutator: Mutator) {
    this.#disk = new Disk(mutator);
  }

  /** How many messages wait on the disk. */
  get waiting(): number {
    return [...this.#disk.records.keys()].filter((key) => key.startsWith(IN)).length;
  }

  /** The machine's records, for a new start. */
  restart(): [key: string, value: Uint8Array][] {
    this.#offered = undefined;
    this.#fetches.clear();
    return this.#disk.load();
  }

  turn(input: RetrieveInput, outs: readonly RetrieveOutput[], now: Time): void {
    this.#latest = Math.max(this.#latest, now);
    if (input.type === "taken") this.#took(input.id, input.result);
    else if (input.type === "content") this.#fetches.delete(input.id);
    for (const out of outs) {
      if (out.type === "save") this.#save(out);
      else if (out.type === "offer") this.#offer(out);
      else if (out.type === "fetch") this.#fetches.add(out.id);
      else if (out.type === "acknowledge" && !this.#remembered.has(toBase64url(out.magic)))
        throw new Error("it acknowledges what is not on the disk");
    }
    if (this.#fetches.size > FETCHES) throw new Error("it downloads too much at a time");
  }

  #save(save: Save): void {
    this.#disk.save(save);
    const { magic } = save.key.startsWith(SEEN) ? jsonOf(save) : {};
    if (magic !== undefined) this.#remembered.add(magic);
  }

  #offer({ id, from, message, at }: RetrieveOutput & { type: "offer" }): void {
    if (this.#offered !== undefined) throw new Error("it offers two at a time");
    if (!this.#disk.records.has(IN + String(id).padStart(15, "0")))
      throw new Error("it offers what is not on the disk");
    const said = saidBy(from, message);
    const taken = this.#taken.get(said);
    const isKnown = taken !== undefined && this.#latest - taken < LIFE_MS;
    if (isKnown && !this.#disk.isDamaged) throw new Error("it offers what was taken");
    this.#offered = { id, said, at };
  }

  #took(id: number, result: Taken): void {
    if (this.#offered?.id !== id) return;
    if (result !== "early") this.#taken.set(this.#offered.said, this.#offered.at);
    this.#offered = undefined;
  }
}

/** What a sender has saved of a message. */
interface Kept {
  readonly to: string | undefined;
  /** The name of its file, from before that is stored. */
  readonly file: string | undefined;
  readonly magic: string | undefined;
  readonly isOver: boolean;
}

/** Of the sender: protocol/bazaar.md §8. */
export class OutgoingJudge {
  readonly #disk: Disk;
  readonly #kept = new Map<string, Kept>();
  /** Names of files that were saved, and of those that the storage was asked to forget and did. */
  readonly #named = new Set<string>();
  readonly #removed = new Set<string>();
  readonly #removals = new Map<number, string>();
  /** Magic ids that were saved; and of them those of messages that had come to their end. */
  readonly #known = new Set<string>();
  readonly #over = new Set<string>();
  /** Messages that came to their end in this life, and those that may begin anew. */
  readonly #ended = new Set<string>();
  readonly #anew = new Set<string>();

  constructor(mutator: Mutator) {
    this.#disk = new Disk(mutator);
  }

  /** How many records are on the disk; `undefined` when some were damaged, and may stay for ever. */
  get left(): number | undefined {
    return this.#disk.isDamaged ? undefined : this.#disk.records.size;
  }

  /** The machine's records, for a new start. */
  restart(): [key: string, value: Uint8Array][] {
    this.#removals.clear();
    // Of what came to its end it knows what it still has to take back.
    for (const ref of this.#ended) if (!this.#kept.has(ref)) this.#ended.delete(ref);
    return this.#disk.load();
  }

  turn(input: OutgoingInput, outs: readonly OutgoingOutput[]): void {
    if (this.#disk.isDamaged) {
      for (const out of outs) if (out.type === "save") this.#disk.save(out);
      return;
    }
    if (input.type === "send" && input.isAnew) this.#anew.add(input.ref);
    const removed = input.type === "removed" && input.ok ? this.#removals.get(input.id) : undefined;
    if (removed !== undefined) this.#removed.add(removed);
    for (const out of outs) {
      if (out.type === "save") this.#save(out);
      else if (out.type === "progress") this.#progress(input, out);
      else if (out.type === "remove") this.#removals.set(out.id, out.name);
      else if (out.type === "put") {
        if (!this.#named.has(out.name)) throw new Error("it stores a file that nothing on the disk names");
        this.#removed.delete(out.name);
      } else if (out.type === "provide") {
        const magic = toBase64url(out.pointer.id);
        if (!this.#known.has(magic)) throw new Error("it points to what is not on the disk");
        if (this.#over.has(magic)) throw new Error("it points to what came to its end");
      }
    }
  }

  #save(save: Save): void {
    this.#disk.save(save);
    const ref = save.key.slice(OUT.length);
    if (save.value === undefined) {
      const file = this.#kept.get(ref)?.file;
      if (file !== undefined && !this.#removed.has(file)) throw new Error("it forgets a file that was not removed");
      this.#kept.delete(ref);
      return;
    }
    const { to, draft, stored, isOver = false } = jsonOf(save);
    const addressee = typeof to === "object" ? to.id : undefined;
    const kept = { to: addressee, file: stored?.name ?? draft?.file?.name, magic: stored?.magic, isOver };
    this.#kept.set(ref, kept);
    if (kept.file !== undefined) this.#named.add(kept.file);
    if (kept.magic !== undefined) this.#known.add(kept.magic);
    if (kept.magic !== undefined && isOver) this.#over.add(kept.magic);
  }

  #progress(input: OutgoingInput, { ref, state, how }: OutgoingOutput & { type: "progress" }): void {
    if (state === "refused") return;
    if (state === "accepted") {
      if (this.#ended.has(ref) && !this.#anew.has(ref)) throw new Error("what came to its end is sent again");
      this.#ended.delete(ref);
      this.#anew.delete(ref);
    } else if (this.#ended.has(ref)) throw new Error(`${state}, after its end`);
    if (state === "delivered") this.#delivered(input, ref, how);
    if (ENDS.includes(state)) this.#ended.add(ref);
  }

  #delivered(input: OutgoingInput, ref: string, how: string | undefined): void {
    if (how === "online") {
      const isAnswer =
        (input.type === "sent" && input.ok) || (input.type === "answered" && input.message !== undefined);
      if (!isAnswer) throw new Error("delivered online, and nobody took it");
      return;
    }
    const kept = this.#kept.get(ref);
    const isAddressee = input.type === "acknowledged" && (kept === undefined || input.from === kept.to);
    const isIt = input.type === "acknowledged" && (kept === undefined || toBase64url(input.magic) === kept.magic);
    if (!isAddressee || !isIt) throw new Error("delivered, and its addressee did not say so");
  }
}

/** By what two copies of a message are one. */
function saidBy(from: PeerId, { requestId: _, isResponse: __, ...message }: Message): string {
  return `${from} ${toHex(encodeMessage(message))}`;
}

/** The fields of a record that are looked at here. */
interface Fields {
  readonly to?: { readonly id: string } | string;
  readonly magic?: string;
  readonly draft?: { readonly file?: { readonly name: string } };
  readonly stored?: { readonly name: string; readonly magic: string };
  readonly isOver?: boolean;
}

function jsonOf({ value }: Save): Fields {
  return JSON.parse((value && fromUtf8(value)) ?? "{}") as Fields;
}

const IN = "bazaar/in/";
const SEEN = "bazaar/seen/";
const OUT = "bazaar/out/";
const FETCHES = 5;
const LIFE_MS = 37 * 86_400_000; // what is said for so long is remembered
const ENDS: readonly string[] = ["delivered", "expired", "cancelled"];
