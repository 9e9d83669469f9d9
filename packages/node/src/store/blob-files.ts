/**
 * Blobs: one file each, of records of one length, sealed one by one to their blob and index. A hole, a torn record and a
 * record of elsewhere are all the same: they do not open, so there is none.
 */
import { type FileHandle, open, stat, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { RECORD_BYTES } from "restante";
import { privateFolder, syncFolder } from "./private-file.ts";
import { SEAL_BYTES, type Sealer } from "./sealer.ts";

/** The blobs in a folder. Everything rejects with the system's error when the disk is full or broken. */
export class BlobFiles {
  readonly #dir: string;
  readonly #sealer: Sealer;
  /** A file was made whose name may not be on the disk yet. */
  #isNew = false;
  /** Files in use, and the last few that were: a large one is asked for record by record. The latest last. */
  readonly #open = new Map<string, OpenFile>();

  constructor(dir: string, sealer: Sealer) {
    this.#dir = dir;
    this.#sealer = sealer;
  }

  async open(): Promise<void> {
    await privateFolder(this.#dir);
  }

  /** `bytes`: at most RECORD_BYTES. */
  async write(blob: string, index: number, bytes: Uint8Array): Promise<void> {
    const plain = new Uint8Array(LENGTH_BYTES + RECORD_BYTES);
    new DataView(plain.buffer).setUint32(0, bytes.length);
    plain.set(bytes, LENGTH_BYTES);
    const sealed = this.#sealer.seal(place(blob, index), plain);
    await this.#with(blob, true, async (handle) => {
      for (let at = 0; at < sealed.length; ) {
        const { bytesWritten } = await handle.write(sealed, at, sealed.length - at, index * STRIDE + at);
        at += bytesWritten;
      }
    });
  }

  async read(blob: string, index: number): Promise<Uint8Array | undefined> {
    const sealed = new Uint8Array(STRIDE);
    const isThere = await this.#with(blob, false, async (handle) => {
      for (let at = 0; at < STRIDE; ) {
        const { bytesRead } = await handle.read(sealed, at, STRIDE - at, index * STRIDE + at);
        if (bytesRead === 0) break; // past the end
        at += bytesRead;
      }
    });
    if (!isThere) return undefined;
    const plain = this.#sealer.open(place(blob, index), sealed);
    if (plain === undefined) return undefined;
    const length = new DataView(plain.buffer, plain.byteOffset).getUint32(0);
    return plain.slice(LENGTH_BYTES, LENGTH_BYTES + length);
  }

  /** How many records the file has room for. */
  async length(blob: string): Promise<number> {
    const found = await stat(this.#fileOf(blob)).catch(unlessAbsent);
    return Math.ceil((found?.size ?? 0) / STRIDE);
  }

  async sync(blobs: readonly string[]): Promise<void> {
    for (const blob of blobs) await this.#with(blob, false, (handle) => handle.sync());
    if (!this.#isNew) return;
    this.#isNew = false;
    try {
      await syncFolder(this.#dir);
    } catch (error) {
      this.#isNew = true;
      throw error;
    }
  }

  async remove(blob: string): Promise<void> {
    await this.#evict(blob);
    await unlink(this.#fileOf(blob)).catch(unlessAbsent);
  }

  /** Bytes that the disk still takes. */
  async free(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#dir);
    return bavail * bsize;
  }

  async close(): Promise<void> {
    for (const blob of [...this.#open.keys()]) await this.#evict(blob);
  }

  /** Does something with the file; whether there is one. With `make` there is. */
  async #with(blob: string, make: boolean, use: (handle: FileHandle) => Promise<unknown>): Promise<boolean> {
    const file = this.#open.get(blob) ?? { handle: this.#openFile(blob, make), users: 0, isEvicted: false };
    this.#open.delete(blob);
    this.#open.set(blob, file);
    file.users++;
    let handle: FileHandle | undefined;
    try {
      handle = await file.handle;
      if (handle !== undefined) await use(handle);
    } finally {
      file.users--;
      if (handle === undefined && this.#open.get(blob) === file) this.#open.delete(blob);
      if (file.isEvicted && file.users === 0) await handle?.close();
      await this.#tidy();
    }
    // Somebody asked for it before it was there.
    if (handle === undefined && make) return this.#with(blob, make, use);
    return handle !== undefined;
  }

  async #openFile(blob: string, make: boolean): Promise<FileHandle | undefined> {
    const file = this.#fileOf(blob);
    const handle = await openIfThere(file, "r+");
    if (handle !== undefined || !make) return handle;
    this.#isNew = true;
    return open(file, "w+", 0o600);
  }

  /** Closes those that were not used for longest. */
  async #tidy(): Promise<void> {
    for (const [blob, { users }] of this.#open) {
      if (this.#open.size <= OPEN_LIMIT) return;
      if (users === 0) await this.#evict(blob);
    }
  }

  /** Whoever still uses it closes it. */
  async #evict(blob: string): Promise<void> {
    const file = this.#open.get(blob);
    if (file === undefined) return;
    this.#open.delete(blob);
    file.isEvicted = true;
    if (file.users === 0) await (await file.handle)?.close();
  }

  #fileOf(blob: string): string {
    return join(this.#dir, this.#sealer.name(`blob/${blob}`));
  }
}

interface OpenFile {
  readonly handle: Promise<FileHandle | undefined>;
  users: number;
  /** Not to be used by anybody else any more. */
  isEvicted: boolean;
}

function place(blob: string, index: number): string {
  return `blob/${index}/${blob}`;
}

async function openIfThere(file: string, flags: string): Promise<FileHandle | undefined> {
  return open(file, flags).catch(unlessAbsent);
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

const OPEN_LIMIT = 8;
const LENGTH_BYTES = 4;
const STRIDE = LENGTH_BYTES + RECORD_BYTES + SEAL_BYTES; // short records are filled up: lengths are nobody's business
