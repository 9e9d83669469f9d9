/**
 * Blobs: one file each, of records of one length, sealed one by one to their blob and index. A hole, a torn record and a
 * record of elsewhere are all the same: they do not open, so there is none.
 */
import { type FileHandle, open, stat, unlink } from "node:fs/promises";
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
    const file = this.#fileOf(blob);
    let handle = await openIfThere(file, "r+");
    if (handle === undefined) {
      handle = await open(file, "w+", 0o600);
      this.#isNew = true;
    }
    await using(handle, async () => {
      for (let at = 0; at < sealed.length; ) {
        const { bytesWritten } = await handle.write(sealed, at, sealed.length - at, index * STRIDE + at);
        at += bytesWritten;
      }
    });
  }

  async read(blob: string, index: number): Promise<Uint8Array | undefined> {
    const handle = await openIfThere(this.#fileOf(blob), "r");
    if (handle === undefined) return undefined;
    const sealed = new Uint8Array(STRIDE);
    await using(handle, async () => {
      for (let at = 0; at < STRIDE; ) {
        const { bytesRead } = await handle.read(sealed, at, STRIDE - at, index * STRIDE + at);
        if (bytesRead === 0) break; // past the end
        at += bytesRead;
      }
    });
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
    for (const blob of blobs) {
      const handle = await openIfThere(this.#fileOf(blob), "r+");
      if (handle !== undefined) await using(handle, () => handle.sync());
    }
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
    await unlink(this.#fileOf(blob)).catch(unlessAbsent);
  }

  #fileOf(blob: string): string {
    return join(this.#dir, this.#sealer.name(`blob/${blob}`));
  }
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

async function using(handle: FileHandle, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } finally {
    await handle.close();
  }
}

const LENGTH_BYTES = 4;
const STRIDE = LENGTH_BYTES + RECORD_BYTES + SEAL_BYTES; // short records are filled up: lengths are nobody's business
