/** Files in the store: cut into records when they are sent, and put together again. */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Random, RestanteError, toHex } from "./bytes/index.ts";
import {
  CONTENT_LIMIT,
  isFileName,
  isMedia,
  PART_CONTENT,
  type InboxRecord as Received,
  UPLOAD_PREFIX,
  uploadKey,
} from "./mail/index.ts";
import type { Call, OutgoingMail } from "./peer.ts";
import type { Store } from "./store/index.ts";

/** A file to send: bytes at once, or as they come. */
export interface OutgoingFile {
  readonly name: string;
  /** A media type, like "image/png". Default: application/octet-stream. */
  readonly media?: string;
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
}

/** What the machine is given of a file. */
export type FileMail = Extract<OutgoingMail, { kind: "file" }>;

/** SHA-256, hex, of the first `size` bytes in the first `count` records; "" where these are not all there. */
export async function hashBlob(store: Store, blob: string, count: number, size: number): Promise<string> {
  const hash = sha256.create();
  let left = size;
  for (let index = 0; index < count && left > 0; index++) {
    const record = await store.blobRead(blob, index);
    if (record === undefined) return "";
    hash.update(record.subarray(0, left));
    left -= Math.min(record.length, left);
    await breathe(index);
  }
  return left === 0 ? toHex(hash.digest()) : "";
}

/** The bytes of files that we send, before and until a mail names them. */
export class Uploads {
  readonly #store: Store;
  readonly #random: Random;
  readonly #call: (what: Call) => Promise<unknown>;

  /** `call`: of the peer; all that is written beside blobs goes through it. */
  constructor(options: { store: Store; random: Random; call: (what: Call) => Promise<unknown> }) {
    this.#store = options.store;
    this.#random = options.random;
    this.#call = options.call;
  }

  /** Cut a file into records, so that it can be sent part by part, and again after a restart. Throws "bad-file", "too-large", "no-room". */
  async keep({ name, media = "application/octet-stream", bytes }: OutgoingFile): Promise<FileMail> {
    if (!isFileName(name))
      throw new RestanteError(
        "bad-file",
        "a file needs a name of 1 to 255 bytes without slashes or control characters",
      );
    if (!isMedia(media)) throw new RestanteError("bad-file", "the media type is not like text/plain");
    const hash = sha256.create();
    let size = 0;
    const blob = await this.#fill(async (write) => {
      const record = new Uint8Array(PART_CONTENT);
      let used = 0;
      for await (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) {
        size += piece.length;
        if (size > CONTENT_LIMIT) throw new RestanteError("too-large", `a file has at most ${CONTENT_LIMIT} bytes`);
        for (let at = 0; at < piece.length; ) {
          const taken = Math.min(piece.length - at, PART_CONTENT - used);
          record.set(piece.subarray(at, at + taken), used);
          used += taken;
          at += taken;
          if (used < PART_CONTENT) continue;
          hash.update(record);
          await write(record.slice());
          used = 0;
        }
      }
      hash.update(record.subarray(0, used));
      if (used > 0 || size === 0) await write(record.slice(0, used));
    });
    return { kind: "file", name, media, size, sha256: toHex(hash.digest()), blob };
  }

  /** The same file again: each mail erases its own. */
  async copy(file: FileMail): Promise<FileMail> {
    const blob = await this.#fill(async (write) => {
      for (let index = 0; ; index++) {
        const record = await this.#store.blobRead(file.blob, index);
        if (record === undefined) return;
        await write(record);
      }
    });
    return { ...file, blob };
  }

  /** No mail names it, or will. */
  async drop({ blob }: FileMail): Promise<void> {
    await this.#store.blobRemove(blob);
    await this.#call({ type: "erase", keys: [uploadKey(blob)] });
  }

  async #fill(write: (add: (record: Uint8Array) => Promise<void>) => Promise<void>): Promise<string> {
    const blob = `out/${toHex(this.#random(16))}`;
    await this.#mustFit();
    await this.#call({ type: "upload", blob });
    let index = 0;
    try {
      await write(async (record) => {
        await this.#store.blobWrite(blob, index++, record);
        await breathe(index);
        // So that the last one need not wait until the disk has taken all of it.
        if (index % SYNC_RECORDS > 0) return;
        await this.#store.blobSync([blob]);
        await this.#mustFit();
      });
      await this.#store.blobSync([blob]);
    } catch (error) {
      await this.#store.blobRemove(blob);
      await this.#call({ type: "erase", keys: [uploadKey(blob)] }).catch(() => {}); // the next start does it
      throw error;
    }
    return blob;
  }

  /** A full disk would be the end of all mail, not of this file alone. */
  async #mustFit(): Promise<void> {
    if (((await this.#store.free?.()) ?? Number.POSITIVE_INFINITY) < SPARE_BYTES)
      throw new RestanteError("no-room", "the disk has no room for this file");
  }
}

/** Remove what was left of files whose sending was cut off by the end of the process. Only while no peer runs on the store. */
export async function sweepUploads(store: Store): Promise<void> {
  const keys = (await store.load(UPLOAD_PREFIX)).map(([key]) => key);
  for (const key of keys) await store.blobRemove(key.slice(UPLOAD_PREFIX.length));
  if (keys.length > 0) await store.commit(keys.map((key) => ({ key, value: undefined })));
}

/** The bytes of a received file. Throws "not-found" for a mail that is none, and where it is no longer kept. */
export async function* readFile(store: Store, mail: Received): AsyncIterable<Uint8Array> {
  if (mail.file === undefined) throw new RestanteError("not-found", "this mail is not a file");
  let left = mail.file.size;
  for (let index = 0; left > 0; index++) {
    const record = await store.blobRead(mail.file.blob, index);
    if (record === undefined) throw new RestanteError("not-found", "the file is no longer kept here");
    yield record.subarray(0, left);
    left -= Math.min(record.length, left);
  }
}

/** Now and then everybody else has a turn, also with a store that answers at once. */
async function breathe(index: number): Promise<void> {
  if (index % BREATH_RECORDS === 0) await new Promise((resolve) => setTimeout(resolve));
}

const BREATH_RECORDS = 64; // 1.75 MiB: some 10 ms of hashing
const SYNC_RECORDS = 2048; // 56 MiB
const SPARE_BYTES = 128 * 1024 * 1024; // as is left free of files that come
