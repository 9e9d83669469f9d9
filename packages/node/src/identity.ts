/** A whole peer in one file, and a home made of it: to move to another machine, or to keep. docs/identity.md */
import { createReadStream } from "node:fs";
import { open, readFile, rename, rm, stat, unlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Backend, RECORD_BYTES, RestanteError } from "restante";
import { fromUtf8 } from "restante/protocol";
import { type HomePaths, openHome } from "./home.ts";
import { type ArchiveHead, type ArchiveRecord, openArchive, sealArchive } from "./store/archive.ts";
import { type AskPassphrase, loadOrCreateKey } from "./store/key.ts";
import { type DiskStore, levelStore } from "./store/level.ts";
import type { Stretch } from "./store/passphrase.ts";
import { forgetPlaces } from "./store/place.ts";
import { createPrivate, privateFolder, syncFolder } from "./store/private-file.ts";
import { VERSION } from "./version.ts";

/** A home, and the one file that it is written to or made of. Both are paths. */
export interface ArchiveOptions {
  readonly home: string;
  readonly file: string;
  /** Of the archive. */
  readonly passphrase: AskPassphrase;
  readonly backend: Backend;
}

/** Also: how the home is read, and how hard its archive is to guess. */
export interface ExportOptions extends ArchiveOptions {
  /** Of the home's key, where that is under one. */
  readonly keyPassphrase?: AskPassphrase;
  readonly stretch?: Stretch;
}

/** What an archive has. */
export interface ArchiveSummary extends ArchiveHead {
  readonly entries: number;
  /** Of file contents. */
  readonly bytes: number;
}

/**
 * Write all of a home into a new file, mode 0600, under a passphrase: keys and identity, contacts, mail that came and mail that
 * is on its way. Throws "home-locked" while a daemon runs there, "no-home" when there is none, "file-exists", and what key and
 * store throw; then no file is left.
 */
export async function exportHome(options: ExportOptions): Promise<ArchiveSummary> {
  const { home: dir, file, passphrase, keyPassphrase, backend, stretch } = options;
  if (!(await isThere(join(resolve(dir), "store")))) throw new RestanteError("no-home", `there is no peer in ${dir}`);
  const home = await openHome(dir);
  try {
    const key = await loadOrCreateKey(home.key, keyPassphrase);
    const store = levelStore({ dir: home.store, key, backend });
    await store.open();
    try {
      const count = { entries: 0, bytes: 0 };
      const head = { hashname: await hashnameOf(store), made: Date.now(), version: VERSION };
      const records = counting(recordsOf(home, store, head), count);
      await writeNew(file, sealArchive(records, await passphrase(), backend, stretch));
      return { ...head, ...count };
    } finally {
      await store.close();
    }
  } finally {
    await home.release();
  }
}

/**
 * Make a home of an archive. Its peer goes on under new numbers, as one that was put back from a backup does, and its store has a
 * new key, in clear. Throws "home-not-empty" when there is a peer already, "home-locked", "no-file", "bad-archive",
 * "bad-passphrase"; then the home is as empty as before.
 */
export async function importHome({ home: dir, file, passphrase, backend }: ArchiveOptions): Promise<ArchiveSummary> {
  if (!(await isThere(file))) throw new RestanteError("no-file", `there is no file "${file}"`);
  const home = await openHome(dir);
  const draft = join(home.dir, "import");
  try {
    for (const path of [home.store, home.key, home.identity])
      if (await isThere(path))
        throw new RestanteError("home-not-empty", `there is a peer in ${home.dir} already; use another home`);
    await rm(draft, { recursive: true, force: true }); // of an import that was cut off
    await privateFolder(draft);
    const summary = await unpack(file, draft, { passphrase: await passphrase(), backend });
    // The store last: without one the home is an empty one, whatever else is there.
    for (const name of [...HOME_FILES, "key", "store"])
      if (await isThere(join(draft, name))) await rename(join(draft, name), join(home.dir, name));
    await syncFolder(home.dir);
    return summary;
  } finally {
    await rm(draft, { recursive: true, force: true });
    await home.release();
  }
}

async function* recordsOf(home: HomePaths, store: DiskStore, head: ArchiveHead): AsyncGenerator<ArchiveRecord> {
  yield { type: "head", head };
  for (const key of HOME_FILES) {
    const path = join(home.dir, key);
    if (await isThere(path)) yield { type: "file", key, value: new Uint8Array(await readFile(path)) };
  }
  const blobs = new Set<string>();
  for await (const [key, value] of store.entries()) {
    yield { type: "entry", key, value };
    // What no entry names is left over from something that was cut off: it is not needed.
    for (const [, blob = ""] of (fromUtf8(value) ?? "").matchAll(BLOB_NAME)) blobs.add(blob);
  }
  for (const key of blobs) {
    const length = await store.blobLength(key);
    for (let index = 0; index < length; index++) {
      const value = await store.blobRead(key, index);
      if (value !== undefined) yield { type: "blob", key, index, value };
    }
  }
}

async function* counting(
  records: AsyncIterable<ArchiveRecord>,
  count: { entries: number; bytes: number },
): AsyncGenerator<ArchiveRecord> {
  for await (const record of records) {
    if (record.type === "entry") count.entries++;
    if (record.type === "blob") count.bytes += record.value.length;
    yield record;
  }
}

/** Everything of the archive, as the inside of a home in `dir`. */
async function unpack(
  file: string,
  dir: string,
  { passphrase, backend }: { passphrase: string; backend: Backend },
): Promise<ArchiveSummary> {
  const key = await loadOrCreateKey(join(dir, "key"));
  const folder = join(dir, "store");
  const store = levelStore({ dir: folder, key, backend });
  await store.open();
  const count = { entries: 0, bytes: 0 };
  let head: ArchiveHead | undefined;
  try {
    let batch: { key: string; value: Uint8Array }[] = [];
    let size = 0;
    const blobs = new Set<string>();
    const flush = async (): Promise<void> => {
      if (batch.length > 0) await store.commit(batch);
      batch = [];
      size = 0;
    };
    const stream = createReadStream(file) as AsyncIterable<Uint8Array>;
    for await (const record of counting(openArchive(stream, passphrase, backend), count)) {
      if (record.type === "head") head = record.head;
      else if (record.type === "entry") {
        batch.push(record);
        size += record.value.length;
        if (size > BATCH_BYTES || batch.length >= BATCH_ENTRIES) await flush();
      } else if (record.type === "blob") {
        // Not where no file of a mail has one: what is written there would be a file of any size.
        if (record.value.length > RECORD_BYTES || record.index > MAX_INDEX)
          throw new RestanteError("bad-archive", "a record of a file is too long, or too far on");
        await store.blobWrite(record.key, record.index, record.value);
        blobs.add(record.key);
      } else if (HOME_FILES.includes(record.key)) await createPrivate(join(dir, record.key), record.value);
    }
    await flush();
    await store.blobSync([...blobs]);
  } finally {
    await store.close();
  }
  if (head === undefined) throw new RestanteError("bad-archive", "this is no whole archive: it has no head");
  // It is a copy, and the other one may have gone on since: the first start draws the conclusions.
  await forgetPlaces(folder);
  return { ...head, ...count };
}

/** Our hashname, from a store that is not running. */
async function hashnameOf(store: DiskStore): Promise<string> {
  const text = fromUtf8((await store.get("identity")) ?? new Uint8Array(0)) ?? "";
  return (JSON.parse(text === "" ? "{}" : text) as { hashname?: string }).hashname ?? "";
}

async function writeNew(file: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const handle = await open(file, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST")
      throw new RestanteError("file-exists", `"${file}" is there already; give another name`);
    throw error;
  });
  try {
    for await (const piece of pieces) await handle.writeFile(piece);
    await handle.sync();
  } catch (error) {
    await unlink(file).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Small files of a home that belong to its peer. */
const HOME_FILES: readonly string[] = ["name", "seen"];
const BATCH_BYTES = 1024 * 1024;
const BATCH_ENTRIES = 1000;
const MAX_INDEX = 0xffff; // a mail has at most 65535 parts (protocol/mail.md), and each is one record
/** How any record of the store names a blob. */
const BLOB_NAME = /"blob":"([^"\\]+)"/g;
