/**
 * Disk: how much of it the files of others may take. A file is let in as a whole or not at all, so that none stops for want of room
 * that another has taken since; what is not let in waits at its sender, and comes when there is room. How large a file is its
 * sender only says: before the room of others a contact has a claim of 32 MiB, and of eight times what it sent. protocol/mail.md §8
 */
import { asJson, assert, ofJson, type Save, type Time } from "../bytes/index.ts";

/** Why a file is not let in: its contact has used its share, all contacts all there is to share, or the disk is full. */
export type NoRoom = "share" | "total" | "disk";

/** What is kept of files, of all contacts, in bytes as they lie on the disk. */
export class Disk {
  readonly #limit: number;
  readonly #share: number;
  /** Of files that are whole, by contact. Saved. */
  readonly #kept = new Map<string, number>();
  /** Of those that are not, by contact: for all of their parts; and for those that are here. */
  readonly #reserved = new Map<string, number>();
  readonly #written = new Map<string, number>();
  readonly #files = new Map<string, Incoming>();
  /** Free on the disk, as far as we know. */
  #free = Number.POSITIVE_INFINITY;
  /** Mails whose sender waits, and whose user was told; when they were last heard of. The latest last. */
  readonly #told = new Map<string, Time>();

  /** `limit`: bytes for all. `saved`: keys "mail/disk/...". One contact may take half of it. */
  constructor({ limit, saved }: { limit: number; saved: ReadonlyMap<string, Uint8Array> }) {
    this.#limit = limit;
    this.#share = limit / 2;
    for (const [key, value] of saved)
      if (key.startsWith(DISK_PREFIX)) this.#kept.set(key.slice(DISK_PREFIX.length), ofJson<DiskRecord>(value).bytes);
  }

  /** So much is free on the disk now. */
  look(free: number): void {
    this.#free = free;
  }

  /** Bytes that all files take, or will when they are whole, as far as what is said of that counts. */
  get used(): number {
    return sum(this.#kept) + [...this.#reserved.keys()].reduce((all, contact) => all + this.#claim(contact), 0);
  }

  /** Why a new file of so many parts is not let in; `undefined`: it is. */
  refuses(contact: string, parts: number): NoRoom | undefined {
    const reserved = this.#reserved.get(contact) ?? 0;
    const bytes = parts * RECORD_BYTES + reserved;
    if ((this.#kept.get(contact) ?? 0) + bytes > this.#share) return "share";
    const wanted = this.used - this.#claim(contact) + bytes;
    if (wanted > this.#limit) return "total";
    return this.#free - (wanted - sum(this.#kept) - sum(this.#written)) < SPARE_BYTES ? "disk" : undefined;
  }

  /** Why no part of any file, let in or not, may be written: others fill the disk, too; or more was let in than has room. */
  get full(): NoRoom | undefined {
    if (this.#free < SPARE_BYTES / 2) return "disk";
    return sum(this.#kept) + sum(this.#written) + RECORD_BYTES > this.#limit ? "total" : undefined;
  }

  /** A file is let in, or was before a restart. */
  begin(file: string, incoming: Incoming): void {
    this.#files.set(file, { ...incoming });
    add(this.#reserved, incoming.contact, incoming.parts * RECORD_BYTES);
    add(this.#written, incoming.contact, incoming.written * RECORD_BYTES);
  }

  /** A part of it is written. */
  write(file: string): void {
    const incoming = this.#files.get(file);
    assert(incoming !== undefined && incoming.written < incoming.parts, "room is kept for each part");
    incoming.written++;
    add(this.#written, incoming.contact, RECORD_BYTES);
    this.#free -= RECORD_BYTES;
  }

  /** It is over: kept as a whole, or given up. */
  end(file: string, isKept: boolean): Save[] {
    const incoming = this.#files.get(file);
    assert(incoming !== undefined, "a file ends once");
    const { contact, parts, written } = incoming;
    this.#files.delete(file);
    add(this.#reserved, contact, -parts * RECORD_BYTES);
    add(this.#written, contact, -written * RECORD_BYTES);
    if (!isKept) return [];
    add(this.#kept, contact, parts * RECORD_BYTES);
    return [this.#save(contact)];
  }

  /** The user erased files with so many parts. */
  erased(contact: string, parts: number): Save {
    add(this.#kept, contact, -parts * RECORD_BYTES);
    return this.#save(contact);
  }

  /** Whether the user is to be told that this mail waits: once, and of so many that wait at a time. */
  waits(mail: string, now: Time): boolean {
    const isTold = this.#told.delete(mail);
    const [oldest] = this.#told;
    if (!isTold && this.#told.size >= TOLD_LIMIT && oldest !== undefined) {
      if (now - oldest[1] < UNHEARD_MS) return false;
      this.#told.delete(oldest[0]);
    }
    this.#told.set(mail, now);
    return !isTold;
  }

  /** What its unfinished files take of the room of others. */
  #claim(contact: string): number {
    const believed = CLAIM_BYTES + CLAIM_TIMES * (this.#written.get(contact) ?? 0);
    return Math.min(this.#reserved.get(contact) ?? 0, believed);
  }

  #save(contact: string): Save {
    const bytes = this.#kept.get(contact);
    const record: DiskRecord | undefined = bytes === undefined ? undefined : { bytes };
    return { type: "save", key: DISK_PREFIX + contact, value: record && asJson(record) };
  }
}

/** A file of which not all parts are here. */
interface Incoming {
  readonly contact: string;
  readonly parts: number;
  written: number;
}

interface DiskRecord {
  readonly bytes: number;
}

/** What a file kept before there was this account may be erased without having been counted. */
function add(bytes: Map<string, number>, contact: string, more: number): void {
  const after = (bytes.get(contact) ?? 0) + more;
  if (after > 0) bytes.set(contact, after);
  else bytes.delete(contact);
}

function sum(bytes: ReadonlyMap<string, number>): number {
  return [...bytes.values()].reduce((all, each) => all + each, 0);
}

const DISK_PREFIX = "mail/disk/";
const RECORD_BYTES = 32 * 1024; // what a part takes, whatever is in it
const SPARE_BYTES = 128 * 1024 * 1024; // left to all that is not a file: texts, the database, other programs
const CLAIM_BYTES = 32 * 1024 * 1024;
const CLAIM_TIMES = 8;
const TOLD_LIMIT = 256;
const UNHEARD_MS = 2 * 86_400_000; // a sender that waits offers each day
