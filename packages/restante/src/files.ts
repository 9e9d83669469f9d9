/** Files in the store: cut into records when they are sent, and put together again. */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Random, RestanteError, toHex } from "./bytes/index.ts";
import { CONTENT_LIMIT, isFileName, isMedia, PART_CONTENT, type InboxRecord as Received } from "./mail/index.ts";
import type { Store } from "./store/index.ts";

/** A file to send: bytes at once, or as they come. */
export interface OutgoingFile {
  readonly name: string;
  /** A media type, like "image/png". Default: application/octet-stream. */
  readonly media?: string;
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
}

/** SHA-256, hex, of the first `size` bytes in the first `count` records; "" where these are not all there. */
export async function hashBlob(store: Store, blob: string, count: number, size: number): Promise<string> {
  const hash = sha256.create();
  let left = size;
  for (let index = 0; index < count && left > 0; index++) {
    const record = await store.blobRead(blob, index);
    if (record === undefined) return "";
    hash.update(record.subarray(0, left));
    left -= Math.min(record.length, left);
  }
  return left === 0 ? toHex(hash.digest()) : "";
}

/** Cut a file into records, so that it can be sent part by part, and again after a restart. Throws "bad-file", "too-large". */
export async function keepFile(
  store: Store,
  random: Random,
  file: OutgoingFile,
): Promise<{ kind: "file"; name: string; media: string; size: number; sha256: string; blob: string }> {
  const { name, media = "application/octet-stream" } = file;
  if (!isFileName(name))
    throw new RestanteError("bad-file", "a file needs a name of 1 to 255 bytes without slashes or control characters");
  if (!isMedia(media)) throw new RestanteError("bad-file", "the media type is not like text/plain");
  const blob = `out/${toHex(random(16))}`;
  const hash = sha256.create();
  const record = new Uint8Array(PART_CONTENT);
  let used = 0;
  let index = 0;
  let size = 0;
  try {
    for await (const piece of file.bytes instanceof Uint8Array ? [file.bytes] : file.bytes) {
      size += piece.length;
      if (size > CONTENT_LIMIT)
        throw new RestanteError(
          "too-large",
          `a file of more than ${CONTENT_LIMIT} bytes does not fit into one box yet`,
        );
      hash.update(piece);
      for (let at = 0; at < piece.length; ) {
        const taken = Math.min(piece.length - at, PART_CONTENT - used);
        record.set(piece.subarray(at, at + taken), used);
        used += taken;
        at += taken;
        if (used < PART_CONTENT) continue;
        await store.blobWrite(blob, index++, record.slice());
        used = 0;
      }
    }
    if (used > 0 || index === 0) await store.blobWrite(blob, index, record.slice(0, used));
    await store.blobSync([blob]);
  } catch (error) {
    await store.blobRemove(blob);
    throw error;
  }
  return { kind: "file", name, media, size, sha256: toHex(hash.digest()), blob };
}

/** The same records under another name. */
export async function copyBlob(store: Store, random: Random, from: string): Promise<string> {
  const blob = `out/${toHex(random(16))}`;
  try {
    for (let index = 0; ; index++) {
      const record = await store.blobRead(from, index);
      if (record === undefined) break;
      await store.blobWrite(blob, index, record);
    }
    await store.blobSync([blob]);
  } catch (error) {
    await store.blobRemove(blob);
    throw error;
  }
  return blob;
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
