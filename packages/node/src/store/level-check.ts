/**
 * Is a LevelDB folder whole? LevelDB as `level` builds it (1.20, paranoid_checks and verify_checksums off) compares no
 * checksum when it reads a table, trusts lengths in them, and leaves damaged batches of its log out without a word. For
 * us each of these is mail lost in silence, so the files are checked before LevelDB may see them: everything that is in
 * use has a CRC. Formats: leveldb/doc/{log_format,table_format}.md, db/version_edit.cc.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * What is damaged, in a few words with the file's name; `undefined` when all is whole, and for a folder without a
 * database. A torn end of the newest log is whole: that is what a crash in the middle of a batch leaves.
 * Nobody may have the database open meanwhile.
 */
export async function damageOf(dir: string): Promise<string | undefined> {
  const names = new Set(await readdir(dir));
  if (!names.has("CURRENT")) {
    const isEmpty = ![...names].some((name) => /\.(?:log|ldb|sst)$/.test(name));
    return isEmpty ? undefined : "CURRENT is missing";
  }
  const read = (name: string): Promise<Uint8Array> => readFile(join(dir, name));
  const current = /^(MANIFEST-\d+)\n$/.exec((await readFile(join(dir, "CURRENT"), "latin1")).toString())?.[1];
  if (current === undefined || !names.has(current)) return "CURRENT is damaged";
  const manifest = readLog(await read(current));
  const version = manifest.state === "damaged" ? undefined : liveFiles(manifest.records);
  if (version === undefined) return `${current} is damaged`;
  for (const [number, size] of version.tables) {
    const name = [`${fileNumber(number)}.ldb`, `${fileNumber(number)}.sst`].find((name) => names.has(name));
    if (name === undefined) return `${fileNumber(number)}.ldb is missing`;
    const bytes = await read(name);
    if (bytes.length !== size || !isWholeTable(bytes)) return `${name} is damaged`;
  }
  const logs = [...names]
    .filter((name) => /^\d+\.log$/.test(name) && Number.parseInt(name, 10) >= version.log)
    .sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
  let isNewest = true;
  for (const name of logs) {
    const bytes = await read(name);
    const { state } = readLog(bytes);
    if (state === "damaged" || (state === "torn" && !isNewest)) return `${name} is damaged`;
    // A log that was just begun may be empty while the one before it still has the end.
    if (bytes.length > 0) isNewest = false;
  }
  return undefined;
}

/**
 * The records of a log or manifest. "torn": it ends in something that is no record; "damaged": after that comes a good
 * one, so it is no end.
 */
export function readLog(bytes: Uint8Array): { records: Uint8Array[]; state: "whole" | "torn" | "damaged" } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let isTorn = false;
  for (let block = 0; block < bytes.length; block += BLOCK_BYTES) {
    const end = Math.min(block + BLOCK_BYTES, bytes.length);
    let at = block;
    // Less than a header is filling, at the end of the file a torn header.
    for (; at + HEADER_BYTES <= end; ) {
      const length = view.getUint16(at + 4, true);
      const type = bytes[at + 6] ?? 0;
      const next = at + HEADER_BYTES + length;
      if (type < FULL || type > LAST || next > end || crc(bytes, at + 6, next) !== view.getUint32(at, true)) {
        isTorn = true;
        break;
      }
      const isContinued = type === MIDDLE || type === LAST;
      if (isTorn || isContinued !== parts.length > 0) return { records, state: "damaged" };
      parts.push(bytes.subarray(at + HEADER_BYTES, next));
      if (type === FULL || type === LAST) {
        records.push(Uint8Array.from(Buffer.concat(parts)));
        parts = [];
      }
      at = next;
    }
    if (end - block < BLOCK_BYTES && at < end) isTorn = true;
  }
  return { records, state: isTorn || parts.length > 0 ? "torn" : "whole" };
}

/** Whether every block of a table has its CRC, and the footer leads to them. */
export function isWholeTable(bytes: Uint8Array): boolean {
  const footer = bytes.subarray(-FOOTER_BYTES);
  if (footer.length < FOOTER_BYTES || TABLE_MAGIC.some((byte, i) => footer[FOOTER_BYTES - 8 + i] !== byte))
    return false;
  const input = new Input(footer);
  const blocks = bytes.subarray(0, -FOOTER_BYTES);
  for (const handle of [readHandle(input), readHandle(input)]) {
    const index = blockAt(blocks, handle);
    const handles = index && handlesOf(index);
    if (!handles?.every((handle) => blockAt(blocks, handle) !== undefined)) return false;
  }
  return input.take(input.left - TABLE_MAGIC.length).every((byte) => byte === 0); // filled up to its length
}

interface Handle {
  readonly offset: number;
  readonly size: number;
}

function readHandle(input: Input): Handle {
  return { offset: input.varint(), size: input.varint() };
}

/** The contents of a block, with a CRC that is right and without compression (ours is off); else `undefined`. */
function blockAt(blocks: Uint8Array, { offset, size }: Handle): Uint8Array | undefined {
  const end = offset + size;
  if (!(end + TRAILER_BYTES <= blocks.length)) return undefined; // also what is not a number
  const stored = new DataView(blocks.buffer, blocks.byteOffset + end + 1, 4).getUint32(0, true);
  return blocks[end] === 0 && crc(blocks, offset, end + 1) === stored ? blocks.subarray(offset, end) : undefined;
}

/** The handles that are the values of an index block; `undefined` when it is none. */
function handlesOf(block: Uint8Array): Handle[] | undefined {
  if (block.length < 4) return undefined;
  const restarts = new DataView(block.buffer, block.byteOffset + block.length - 4, 4).getUint32(0, true);
  const end = block.length - 4 - restarts * 4;
  if (end < 0) return undefined;
  const input = new Input(block.subarray(0, end));
  const handles: Handle[] = [];
  while (input.left > 0) {
    input.varint(); // how much of the key before this one shares
    const key = input.varint();
    const value = input.varint();
    input.take(key);
    handles.push(readHandle(new Input(input.take(value))));
  }
  return input.left === 0 ? handles : undefined;
}

/** The tables in use, number to size, and the number of the oldest log in use; `undefined` for what is no manifest. */
function liveFiles(records: readonly Uint8Array[]): { tables: Map<number, number>; log: number } | undefined {
  const tables = new Map<number, number>();
  let log = 0;
  let previous = 0;
  for (const record of records) {
    const input = new Input(record);
    while (input.left > 0) {
      switch (input.varint()) {
        case 1: // comparator
          input.take(input.varint());
          break;
        case 2:
          log = input.varint();
          break;
        case 3: // next file
        case 4: // last sequence
          input.varint();
          break;
        case 5: // compaction pointer: level, key
          input.varint();
          input.take(input.varint());
          break;
        case 6: // deleted file: level, number
          input.varint();
          tables.delete(input.varint());
          break;
        case 7: {
          input.varint(); // level
          const number = input.varint();
          tables.set(number, input.varint());
          input.take(input.varint());
          input.take(input.varint());
          break;
        }
        case 9:
          previous = input.varint();
          break;
        default:
          return undefined;
      }
    }
    if (Number.isNaN(input.left)) return undefined;
  }
  return { tables, log: previous > 0 ? Math.min(log, previous) : log };
}

/** Reads what LevelDB writes. Past the end everything is NaN, or empty, and so is `left`. */
class Input {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128 && (byte > 0 || scale === 1)) return value;
      if (byte === 0) break; // the same number has a shorter form, which LevelDB writes
    }
    this.#at = Number.NaN;
    return Number.NaN;
  }

  take(length: number): Uint8Array {
    if (!(length <= this.left)) {
      this.#at = Number.NaN;
      return new Uint8Array(0);
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function fileNumber(number: number): string {
  return String(number).padStart(6, "0");
}

/** The masked CRC-32C of bytes[start..end), as LevelDB stores it (util/crc32c.h). */
function crc(bytes: Uint8Array, start: number, end: number): number {
  let value = -1;
  for (let i = start; i < end; i++) value = (CRC_TABLE[(value ^ (bytes[i] ?? 0)) & 255] ?? 0) ^ (value >>> 8);
  const sum = ~value >>> 0;
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32C, reflected polynomial 0x82f63b78 (RFC 3720, appendix B.4). */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

const BLOCK_BYTES = 32_768; // of a log
const HEADER_BYTES = 7; // CRC, length, type
const [FULL, MIDDLE, LAST] = [1, 3, 4]; // types of log records; 2 is FIRST
const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5; // type of compression, CRC
const TABLE_MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];
