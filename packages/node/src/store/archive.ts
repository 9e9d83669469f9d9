/**
 * Archives: one file under a passphrase that holds all of a peer, to carry it elsewhere or to keep. docs/identity.md §6
 *
 *   header (48 bytes)   "restante archive", version (1), kdf (1), passes (2), KiB of memory (4), salt (16), 8 zero bytes
 *   frames              sealed pieces of the stream, 64 KiB each but the last; nonce: 15 zero bytes, counter (8), is-last (1)
 *   the stream          records: type (1), length of the key (2), length of the value (4), key, value
 *
 * The key is of this salt alone, so a counter is a nonce. A frame that is missing, moved or of another file does not open, and
 * a file that was cut has no last one. Numbers are big-endian.
 */
import { randomBytes } from "node:crypto";
import { type Backend, RestanteError } from "restante";
import { concat, fromUtf8, utf8 } from "restante/protocol";
import { FRAME_BYTES, nonceOf, Pieces, SEALED_BYTES } from "./frames.ts";
import { isBearable, SALT_BYTES, STRETCH, type Stretch, stretched } from "./passphrase.ts";

/** What stands in an archive, in this order: one head, then all others. */
export type ArchiveRecord =
  | { readonly type: "head"; readonly head: ArchiveHead }
  /** A small file of the home: its name there and its bytes. */
  | { readonly type: "file"; readonly key: string; readonly value: Uint8Array }
  /** A key of the store. */
  | { readonly type: "entry"; readonly key: string; readonly value: Uint8Array }
  /** A record of a blob of the store. */
  | { readonly type: "blob"; readonly key: string; readonly index: number; readonly value: Uint8Array };

export interface ArchiveHead {
  readonly hashname: string;
  /** When it was made, ms since 1970. */
  readonly made: number;
  /** Of the program. */
  readonly version: string;
}

/** The records as the bytes of a file. Keys have at most 64 KiB. */
export async function* sealArchive(
  records: AsyncIterable<ArchiveRecord>,
  passphrase: string,
  backend: Backend,
  stretch: Stretch = STRETCH,
): AsyncGenerator<Uint8Array> {
  const salt = new Uint8Array(randomBytes(SALT_BYTES));
  const header = encodeHeader(salt, stretch);
  const key = await stretched(passphrase, salt, stretch);
  yield header;
  let counter = 0;
  const pieces = new Pieces();
  for await (const record of records) {
    pieces.push(encodeRecord(record));
    // The last one is sealed as such: so one is kept back until it is known.
    while (pieces.length > FRAME_BYTES)
      yield backend.xchachaSeal(key, nonceOf(counter++, false), pieces.take(FRAME_BYTES), header);
  }
  yield backend.xchachaSeal(key, nonceOf(counter, true), pieces.take(pieces.length), header);
}

/**
 * The records of an archive, each when all before it was verified. Whether it is whole is known at the end: throws "bad-archive"
 * when something is missing, changed or added, "bad-passphrase" when nothing opens. Uses memory for one record.
 */
export async function* openArchive(
  bytes: AsyncIterable<Uint8Array>,
  passphrase: string,
  backend: Backend,
): AsyncGenerator<ArchiveRecord> {
  const stream = new Pieces();
  let key: Uint8Array | undefined;
  let header: Uint8Array = new Uint8Array(0);
  let counter = 0;
  const sealed = new Pieces();
  const open = (frame: Uint8Array, isLast: boolean): void => {
    const tried = (last: boolean): Uint8Array | undefined =>
      key && backend.xchachaOpen(key, nonceOf(counter, last), frame, header);
    const plain = tried(isLast);
    if (plain === undefined && counter === 0 && tried(!isLast) === undefined)
      throw new RestanteError(
        "bad-passphrase",
        "this is not the passphrase, or the beginning of the archive was changed",
      );
    if (plain === undefined) throw damaged("it was cut or changed");
    stream.push(plain);
    counter++;
  };
  let hasHead = false;
  const ready = function* (): Generator<ArchiveRecord> {
    for (let record = decodeRecord(stream); record !== undefined; record = decodeRecord(stream)) {
      if ((record.type === "head") === hasHead) throw damaged("its records are in no order");
      hasHead = true;
      yield record;
    }
  };
  for await (const piece of bytes) {
    sealed.push(piece);
    if (key === undefined && sealed.length >= HEADER_BYTES) {
      header = sealed.take(HEADER_BYTES);
      const { salt, stretch } = decodeHeader(header);
      if (!isBearable(stretch)) throw damaged("it asks for more work than this version does for a passphrase");
      key = await stretched(passphrase, salt, stretch);
    }
    while (key !== undefined && sealed.length > SEALED_BYTES) {
      open(sealed.take(SEALED_BYTES), false);
      yield* ready();
    }
  }
  if (key === undefined) throw damaged("it is none, or it was cut");
  open(sealed.take(sealed.length), true);
  yield* ready();
  if (!hasHead || stream.length > 0) throw damaged("its last record is not whole");
}

function encodeHeader(salt: Uint8Array, { passes, kibibytes }: Stretch): Uint8Array {
  const header = concat(utf8(MAGIC), Uint8Array.of(VERSION, ARGON2ID), new Uint8Array(6), salt, new Uint8Array(8));
  const view = new DataView(header.buffer);
  view.setUint16(18, passes);
  view.setUint32(20, kibibytes);
  return header;
}

function decodeHeader(header: Uint8Array): { salt: Uint8Array; stretch: Stretch } {
  if (fromUtf8(header.subarray(0, MAGIC.length)) !== MAGIC)
    throw new RestanteError("bad-archive", "this is no archive of a home");
  if (header[16] !== VERSION || header[17] !== ARGON2ID) throw damaged("it was made by a newer version; use that one");
  const view = new DataView(header.buffer, header.byteOffset);
  return { salt: header.subarray(24, 40), stretch: { passes: view.getUint16(18), kibibytes: view.getUint32(20) } };
}

function encodeRecord(record: ArchiveRecord): Uint8Array {
  switch (record.type) {
    case "head":
      return encodeParts(record.type, "", utf8(JSON.stringify(record.head)));
    case "blob": {
      const index = new Uint8Array(4);
      new DataView(index.buffer).setUint32(0, record.index);
      return encodeParts(record.type, record.key, concat(index, record.value));
    }
    default:
      return encodeParts(record.type, record.key, record.value);
  }
}

function encodeParts(type: ArchiveRecord["type"], key: string, value: Uint8Array): Uint8Array {
  const name = utf8(key);
  const head = new Uint8Array(RECORD_HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setUint8(0, TYPES.indexOf(type));
  view.setUint16(1, name.length);
  view.setUint32(3, value.length);
  return concat(head, name, value);
}

/** The next record, taken from the stream; `undefined`: not all of it is there yet. What it says of itself is verified. */
function decodeRecord(stream: Pieces): ArchiveRecord | undefined {
  if (stream.length < RECORD_HEAD_BYTES) return undefined;
  const head = stream.peek(RECORD_HEAD_BYTES);
  const view = new DataView(head.buffer, head.byteOffset);
  const [type, keyBytes, valueBytes] = [TYPES[view.getUint8(0)], view.getUint16(1), view.getUint32(3)];
  if (type === undefined) throw damaged("it has records that this version does not know; use a newer one");
  const length = RECORD_HEAD_BYTES + keyBytes + valueBytes;
  if (stream.length < length) return undefined;
  const bytes = stream.take(length);
  const key = fromUtf8(bytes.subarray(RECORD_HEAD_BYTES, RECORD_HEAD_BYTES + keyBytes));
  const value = bytes.subarray(RECORD_HEAD_BYTES + keyBytes);
  if (key === undefined || (type === "blob" && value.length < 4)) throw damaged("a record is not readable");
  if (type === "head") return { type, head: parseHead(value) };
  if (type !== "blob") return { type, key, value };
  return { type, key, index: new DataView(value.buffer, value.byteOffset).getUint32(0), value: value.subarray(4) };
}

function parseHead(value: Uint8Array): ArchiveHead {
  try {
    const head = JSON.parse(fromUtf8(value) ?? "") as Partial<ArchiveHead> | null;
    const { hashname, made, version } = head ?? {};
    const isTime = typeof made === "number" && made >= 0 && made < 2 ** 48;
    if (typeof hashname === "string" && isTime && typeof version === "string") return { hashname, made, version };
  } catch {
    // No JSON: refused below.
  }
  throw damaged("its head is not readable");
}

function damaged(what: string): RestanteError {
  return new RestanteError("bad-archive", `this is no whole archive: ${what}`);
}

const MAGIC = "restante archive";
const VERSION = 1;
const ARGON2ID = 1;
const HEADER_BYTES = 48;
const RECORD_HEAD_BYTES = 7;
/** By the byte that says which; new ones come at the end. */
const TYPES = ["head", "file", "entry", "blob"] as const;
