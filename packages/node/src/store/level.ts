/**
 * The store of a daemon: LevelDB for keys, one file per blob, everything encrypted.
 *
 * At rest: a value is sealed with XChaCha20-Poly1305, bound to the format and its place. Of a key only the group, the text
 * up to its first "/", and numbers are in clear; the rest is an HMAC, and the clear key lies sealed with the value. What
 * stays visible: how many entries of which group there are, their sizes, and the order of numbered ones.
 *
 * What LevelDB would lose in silence is noticed: its files are checked before it opens them (level-check.ts), and every
 * batch is numbered, with the last number in a file of its own, so that a log that lost its end shows. And a folder that was
 * put back whole is known by the place where it lies (place.ts).
 */
import { type FileHandle, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { type Backend, portable, RECORD_BYTES, RestanteError, type Store } from "restante";
import { assert, concat, equal, fromUtf8, utf8 } from "restante/protocol";
import { BlobFiles } from "./blob-files.ts";
import { claim } from "./claim.ts";
import { damageOf } from "./level-check.ts";
import { forgetPlaces, isPlace, takePlace } from "./place.ts";
import { privateFolder, syncFolder } from "./private-file.ts";
import { Sealer } from "./sealer.ts";

/** Where a store lies, and what it is encrypted with. docs/store.md */
export interface LevelStoreOptions {
  /** The store's folder, ours alone; made where there is none. */
  readonly dir: string;
  /** 32 bytes, from `loadOrCreateKey`. Without it the store cannot be read. */
  readonly key: Uint8Array;
  /** Default: the portable one. */
  readonly backend?: Backend;
}

/**
 * A `Store` in a folder. Beside what `Store` says, `open` throws "open-permissions" when other users can get into the
 * folder; everything throws "store-failed" when the disk is full or broken, or the store not open. After a failed commit
 * the next call opens the database again, so what was committed before can be read. Opening reads every byte of the
 * database once (0.3 s for 100 MB).
 * Prefixes with a "/" cost the entries of their group; numbered keys ("inbox/000000000012") cost what is asked for.
 * Prefixes without one cost the whole store.
 */
export function levelStore(options: LevelStoreOptions): DiskStore {
  return new LevelStore(options);
}

/** A store that can be gone through from end to end, to be carried elsewhere. */
export interface DiskStore extends Store {
  /** All that has a key, in no order. */
  entries(): AsyncIterable<readonly [key: string, value: Uint8Array]>;
  /** How many records a blob has room for: those that were never written among them are `undefined` when read. */
  blobLength(blob: string): Promise<number>;
}

/** `compactRange` is of the one that there is in Node, not of the one in browsers. */
type Database = Level<string, Uint8Array> & { compactRange(first: string, last: string): Promise<void> };
type Pair = [key: string, value: Uint8Array];

class LevelStore implements DiskStore {
  readonly #dir: string;
  readonly #sealer: Sealer;
  readonly #blobs: BlobFiles;
  #release: (() => Promise<void>) | undefined;
  #database: Database | undefined;
  /** A batch failed: what LevelDB appends after a half-written one is lost at its next start, so it must begin anew. */
  #isBroken = false;
  #repair: Promise<Database> | undefined;
  #mark: FileHandle | undefined;
  #batches = 0n;
  #isCopied = false;
  /** The next batch notes where we are; `#place`: what it notes, once that is there. */
  #isPlaceNew = false;
  #place: string | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ dir, key, backend = portable }: LevelStoreOptions) {
    assert(key.length === 32, "a store key has 32 bytes");
    this.#dir = dir;
    this.#sealer = new Sealer(backend, key);
    this.#blobs = new BlobFiles(join(dir, "blobs"), this.#sealer);
  }

  async open(): Promise<void> {
    assert(this.#release === undefined, "a store is opened once");
    try {
      await privateFolder(this.#dir);
      const claimed = await claim(this.#dir);
      if (claimed.pid !== undefined)
        throw new RestanteError("store-locked", `process ${claimed.pid} has the store in ${this.#dir} open`);
      this.#release = claimed.release;
      await privateFolder(join(this.#dir, "db"));
      await this.#blobs.open();
      this.#database = await this.#openDatabase();
      await this.#checkPlace(this.#database);
    } catch (error) {
      await this.close();
      const failure = this.#failure(error);
      // Whatever is put back here now, also where only what differs is put back, is to be known for a copy.
      if (failure.code === "store-damaged") await forgetPlaces(this.#dir).catch(() => {});
      throw failure;
    }
  }

  get isCopied(): boolean {
    return this.#isCopied;
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#repair?.catch(() => {});
    const [database, mark, release] = [this.#database, this.#mark, this.#release];
    this.#database = undefined;
    this.#mark = undefined;
    this.#release = undefined;
    this.#isBroken = false;
    this.#isCopied = false;
    this.#isPlaceNew = false;
    this.#place = undefined;
    await this.#blobs.close();
    await database?.close();
    await mark?.close();
    await release?.();
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const name = this.#nameOf(key);
    return this.#reading(async (database) => {
      const sealed = await database.get(name);
      return sealed && this.#unseal(name, sealed)[1];
    });
  }

  async load(prefix: string): Promise<Pair[]> {
    return this.list(prefix, "", Number.POSITIVE_INFINITY);
  }

  async list(prefix: string, after: string, limit: number): Promise<Pair[]> {
    if (limit <= 0) return [];
    const isWanted = (key: string): boolean => key.startsWith(prefix) && key > after;
    const slash = prefix.indexOf("/") + 1;
    const group = prefix.slice(0, slash);
    return this.#reading(async (database) => {
      const pairs: Pair[] = [];
      // Hashed names are in no order; and a prefix without a group may have something in every one.
      const hashed = slash === 0 ? {} : { gte: `${group}${HASHED}`, lt: `${group}${HASHED}~` };
      for await (const pair of this.#entries(database, hashed)) if (isWanted(pair[0])) pairs.push(pair);
      if (slash > 0) {
        // Numbers lie in order: from the first that is wanted to the last.
        const first = after > prefix && after.startsWith(group) ? after : prefix;
        const numbers = { gte: `${group}${NUMBER}${first.slice(slash)}`, lt: `${group}${NUMBER}~` };
        let left = limit;
        for await (const pair of this.#entries(database, numbers, Math.min(limit + 1, PAGE))) {
          if (isWanted(pair[0])) {
            pairs.push(pair);
            if (--left <= 0) break;
          } else if (pair[0] > first) break;
        }
      }
      return pairs.sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, limit);
    });
  }

  async commit(batch: readonly { key: string; value: Uint8Array | undefined }[]): Promise<void> {
    const turn = this.#turn.then(() => this.#commit(batch));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async blobWrite(blob: string, index: number, bytes: Uint8Array): Promise<void> {
    assert(bytes.length <= RECORD_BYTES, "a record is at most RECORD_BYTES long");
    await this.#io(() => this.#blobs.write(blob, index, bytes));
  }

  async blobSync(blobs: readonly string[]): Promise<void> {
    await this.#io(() => this.#blobs.sync(blobs));
  }

  async blobRead(blob: string, index: number): Promise<Uint8Array | undefined> {
    return this.#io(() => this.#blobs.read(blob, index));
  }

  async blobRemove(blob: string): Promise<void> {
    await this.#io(() => this.#blobs.remove(blob));
  }

  async free(): Promise<number> {
    return this.#blobs.free();
  }

  async compact(groups: readonly string[]): Promise<void> {
    const turn = this.#turn.then(() =>
      this.#reading(async (database) => {
        for (const group of groups) {
          const [first, last] = [`${group}!`, `${group}~`]; // around all names of the group, and none themselves
          // The first time what is in memory becomes a file, old values with it; and LevelDB rewrites a file only where a
          // younger one covers it. So the second time there is one.
          for (let time = 0; time < 2; time++) {
            await database.batch([
              { type: "del", key: first },
              { type: "del", key: last },
            ]);
            await database.compactRange(first, last);
          }
        }
      }),
    );
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async *entries(): AsyncGenerator<Pair> {
    yield* this.#entries(await this.#reading(async (database) => database), {});
  }

  async blobLength(blob: string): Promise<number> {
    return this.#io(() => this.#blobs.length(blob));
  }

  async #commit(batch: readonly { key: string; value: Uint8Array | undefined }[]): Promise<void> {
    await this.#reading(async (database) => {
      const batches = this.#batches + 1n;
      const latest = new Map(batch.map(({ key, value }) => [this.#nameOf(key), { key, value }]));
      const operations = [...latest].map(([name, { key, value }]) =>
        value === undefined
          ? ({ type: "del", key: name } as const)
          : ({ type: "put", key: name, value: this.#seal(name, key, value) } as const),
      );
      const count = { type: "put", key: BATCHES, value: this.#sealer.seal(BATCHES, counter(batches)) } as const;
      // Once for all tries: on a full disk there may be many.
      if (this.#isPlaceNew) this.#place ??= await takePlace(this.#dir);
      const place = this.#place;
      const note =
        place === undefined ? [] : [{ type: "put", key: PLACE, value: this.#sealer.seal(PLACE, utf8(place)) } as const];
      try {
        await database.batch([...operations, ...note, count], { sync: true });
      } catch (error) {
        this.#isBroken = true;
        throw error;
      }
      this.#batches = batches;
      await this.#writeMark();
      if (place === undefined) return;
      this.#isPlaceNew = false;
      this.#place = undefined;
      this.#isCopied = false;
      await forgetPlaces(this.#dir, place).catch(() => {}); // more than one does no harm
    });
  }

  /** Run with the database that is open; after a failed batch with one that was opened anew. */
  async #reading<T>(run: (database: Database) => Promise<T>): Promise<T> {
    return this.#io(async () => {
      if (this.#isBroken && this.#release !== undefined) {
        this.#repair ??= this.#reopen().finally(() => {
          this.#repair = undefined;
        });
        await this.#repair;
      }
      if (this.#database === undefined) throw new RestanteError("store-failed", "the store is not open");
      return run(this.#database);
    });
  }

  async #io<T>(run: () => Promise<T>): Promise<T> {
    try {
      if (this.#release === undefined) throw new RestanteError("store-failed", "the store is not open");
      return await run();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async #reopen(): Promise<Database> {
    await this.#database?.close();
    this.#database = undefined;
    await this.#mark?.close();
    this.#mark = undefined;
    const database = await this.#openDatabase();
    this.#database = database;
    this.#isBroken = false;
    return database;
  }

  async #openDatabase(): Promise<Database> {
    const dir = join(this.#dir, "db");
    const damage = await damageOf(dir);
    if (damage !== undefined) throw this.#damaged(damage);
    // What is encrypted cannot be compressed.
    const options = { keyEncoding: "utf8", valueEncoding: "view", compression: false } as const;
    const database = new Level<string, Uint8Array>(dir, options) as Database;
    await database.open();
    try {
      await this.#checkDatabase(database);
    } catch (error) {
      await database.close();
      throw error;
    }
    return database;
  }

  /** The schema, the key and the number of batches: are they what we left? A new database gets them. */
  async #checkDatabase(database: Database): Promise<void> {
    const [schema, check, count] = await database.getMany([SCHEMA, CHECK, BATCHES]);
    const mark = await this.#readMark();
    if (schema === undefined) {
      if (check !== undefined || count !== undefined || mark !== undefined)
        throw this.#damaged("its beginning is missing");
      await database.batch(
        [
          { type: "put", key: SCHEMA, value: utf8(String(NEWEST_SCHEMA)) },
          { type: "put", key: CHECK, value: this.#sealer.check },
          { type: "put", key: BATCHES, value: this.#sealer.seal(BATCHES, counter(0n)) },
        ],
        { sync: true },
      );
      this.#batches = 0n;
    } else {
      const number = Number(fromUtf8(schema));
      if (!Number.isInteger(number) || number < 1) throw this.#damaged("its schema is not readable");
      if (number > NEWEST_SCHEMA)
        throw new RestanteError(
          "store-schema",
          `the store in ${this.#dir} was written by a newer version (schema ${number}, this one knows ${NEWEST_SCHEMA}); use that one`,
        );
      if (check === undefined || !equal(check, this.#sealer.check))
        throw new RestanteError("store-key", `the key does not belong to the store in ${this.#dir}`);
      const batches = count && this.#sealer.open(BATCHES, count);
      if (batches?.length !== COUNTER_BYTES) throw this.#damaged("the number of its batches is not readable");
      this.#batches = counted(batches);
      await this.#compareMark(mark);
      for (const migrate of MIGRATIONS.slice(number - 1)) await migrate(database);
    }
    this.#mark = await open(join(this.#dir, "mark"), mark === undefined ? "w+" : "r+", 0o600);
    await this.#writeMark();
    if (mark !== undefined) return;
    // From here on it is overwritten in place, less than a sector: never half.
    await this.#mark.sync();
    await syncFolder(this.#dir);
  }

  /** Is this where the last batch of the store was written? The next one notes where it is, and so ends a copy being one. */
  async #checkPlace(database: Database): Promise<void> {
    const sealed = await database.get(PLACE);
    const note = sealed && this.#sealer.open(PLACE, sealed);
    if (sealed !== undefined && note === undefined) throw this.#damaged("the note of its place is not readable");
    // What nothing was ever written to can be no copy of anything.
    this.#isCopied = this.#batches > 0n && !(await isPlace(this.#dir, note && fromUtf8(note)));
    this.#isPlaceNew = true;
  }

  async #readMark(): Promise<Uint8Array | undefined> {
    const bytes = await readFile(join(this.#dir, "mark")).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    // An empty one was made and never written.
    return bytes === undefined || bytes.length === 0 ? undefined : new Uint8Array(bytes);
  }

  async #compareMark(mark: Uint8Array | undefined): Promise<void> {
    if (mark === undefined) return;
    const last = this.#sealer.open("mark", mark);
    if (last?.length !== COUNTER_BYTES)
      throw this.#damaged("its file mark is not readable; without that file the rest is checked alone");
    if (counted(last) > this.#batches) throw this.#damaged(`${counted(last) - this.#batches} batches are missing`);
  }

  /**
   * Note the last batch, outside the database. Not synced: after a power failure an older number is as good, it only
   * notices less. For the same reason a failure does not matter.
   */
  async #writeMark(): Promise<void> {
    const bytes = this.#sealer.seal("mark", counter(this.#batches));
    await this.#mark?.write(bytes, 0, bytes.length, 0).catch(() => {});
  }

  /** The entries of a range in the order of their names, read so many at once. */
  async *#entries(database: Database, range: { gte?: string; lt?: string }, page = PAGE): AsyncGenerator<Pair> {
    const iterator = database.iterator(range);
    try {
      for (;;) {
        const entries = await iterator.nextv(page);
        if (entries.length === 0) return;
        for (const [name, sealed] of entries) if (!OWN.has(name)) yield this.#unseal(name, sealed);
      }
    } finally {
      await iterator.close();
    }
  }

  /** Under which name a key lies in the database. */
  #nameOf(key: string): string {
    const slash = key.indexOf("/") + 1;
    const [group, rest] = [key.slice(0, slash), key.slice(slash)];
    return NUMERIC.test(rest) ? `${group}${NUMBER}${rest}` : `${group}${HASHED}${this.#sealer.name(key)}`;
  }

  #seal(name: string, key: string, value: Uint8Array): Uint8Array {
    const clear = utf8(key);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, clear.length);
    return this.#sealer.seal(name, concat(length, clear, value));
  }

  #unseal(name: string, sealed: Uint8Array): Pair {
    const plain = this.#sealer.open(name, sealed);
    if (plain === undefined || plain.length < 4) throw this.#damaged("an entry does not verify");
    const end = 4 + new DataView(plain.buffer, plain.byteOffset).getUint32(0);
    const key = fromUtf8(plain.subarray(4, end));
    if (key === undefined) throw this.#damaged("an entry has no key");
    return [key, plain.slice(end)];
  }

  #damaged(what: string): RestanteError {
    return new RestanteError(
      "store-damaged",
      `the store in ${this.#dir} is damaged (${what}); bring it back from a backup`,
    );
  }

  #failure(error: unknown): RestanteError {
    if (error instanceof RestanteError) return error;
    const cause = rootCause(error);
    switch (cause.code) {
      case "LEVEL_CORRUPTION":
      case "LEVEL_NOT_FOUND":
        return this.#damaged("LevelDB cannot read it");
      case "LEVEL_LOCKED":
        return new RestanteError("store-locked", `another process has the store in ${this.#dir} open`, { cause });
    }
    const why = DISK_FULL.test(`${cause.code} ${cause.message}`) ? "the disk is full" : cause.message;
    return new RestanteError("store-failed", `the store in ${this.#dir} does not work: ${why}`, { cause });
  }
}

/** abstract-level wraps what went wrong. */
function rootCause(error: unknown): { readonly code?: string; readonly message: string } {
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error ? rootCause(cause) : (error as Error);
}

function counter(value: bigint): Uint8Array {
  const bytes = new Uint8Array(COUNTER_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

function counted(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
}

/** What makes a store of schema n one of n + 1, at n - 1; each writes SCHEMA in its last batch. None yet. */
const MIGRATIONS: readonly ((database: Database) => Promise<void>)[] = [];
const NEWEST_SCHEMA = MIGRATIONS.length + 1;

// Names in the database: the group, then "=" and the number, or "#" and the HMAC. These are the store's own:
const SCHEMA = "!schema"; // in clear, so that a newer format can say that it is one
const CHECK = "!check"; // tells a wrong key from damage
const BATCHES = "!batches"; // how many there were, in every batch
const PLACE = "!place"; // which file in its folder tells that it is no copy
const OWN = new Set([SCHEMA, CHECK, BATCHES, PLACE]);
const HASHED = "#";
const NUMBER = "=";
const NUMERIC = /^(\d{1,12}|\d{15})$/; // others could be ids without a letter
const COUNTER_BYTES = 8;
const PAGE = 100; // entries read at once
const DISK_FULL = /ENOSPC|EDQUOT|No space left|quota/;
