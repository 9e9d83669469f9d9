/**
 * Files as trees of blocks: unixfs in dag-pb, as `ipfs add` made them: chunks of 262,144 bytes, at most 174 links in a block.
 * `split` makes the blocks of a content, `Assembly` the content of blocks that anybody may have sent. protocol/bazaar.md §5
 */
import { concat, encodeVarint, Reader } from "restante/protocol";
import { type Cid, cidOf, fromBase58, isMultihash, toBase58 } from "./ids.ts";

/** A block, and what names it. */
export interface TreeBlock {
  readonly cid: Cid;
  readonly bytes: Uint8Array;
}

/** The blocks of a content: the root first, each once. */
export function split(content: Uint8Array): readonly TreeBlock[] {
  const blocks = new Map<Cid, Uint8Array>();
  const add = (bytes: Uint8Array, size: number, below: number): Node => {
    const cid = cidOf(bytes);
    blocks.set(cid, bytes);
    return { cid, size, total: bytes.length + below };
  };
  let level: Node[] = [];
  for (let at = 0; at === 0 || at < content.length; at += CHUNK) {
    const chunk = content.subarray(at, at + CHUNK);
    level.push(add(leaf(chunk), chunk.length, 0));
  }
  while (level.length > 1) {
    const above: Node[] = [];
    for (let at = 0; at < level.length; at += LINKS) {
      const children = level.slice(at, at + LINKS);
      const size = children.reduce((sum, child) => sum + child.size, 0);
      const total = children.reduce((sum, child) => sum + child.total, 0);
      above.push(add(branch(children, size), size, total));
    }
    level = above;
  }
  // What was added last is the root.
  return [...blocks].map(([cid, bytes]) => ({ cid, bytes })).reverse();
}

/**
 * Puts a content together from its blocks, whoever sends them, in any order in which they are wanted. A block is taken only
 * when it hashes to an id that is wanted and says of itself what its parent said of it. Never holds more than `limit` bytes of
 * content and a bounded number of nodes; never throws.
 */
export class Assembly {
  readonly #limit: number;
  readonly #wanted = new Map<Cid, Place[]>();
  readonly #root: Place = { size: undefined, depth: 0, parts: undefined };
  #nodes = 1;
  #failed = false;

  /** `limit`: the most bytes that the content may have. */
  constructor(root: Cid, limit: number) {
    this.#limit = limit;
    this.#wanted.set(root, [this.#root]);
  }

  /** Whether this tree can never become a content: a block with the right hash is no file, or too large. */
  get failed(): boolean {
    return this.#failed;
  }

  /** The ids of blocks that are missing now, at most `most`. None, when all are there or the assembly has failed. */
  wanted(most: number): readonly Cid[] {
    const cids: Cid[] = [];
    for (const cid of this.#wanted.keys()) {
      if (cids.length >= most) break;
      cids.push(cid);
    }
    return cids;
  }

  /** Takes a block. Whether it was wanted; one that was not changes nothing. */
  add(bytes: Uint8Array): boolean {
    const cid = bytes.length <= BLOCK_MAX ? cidOf(bytes) : undefined;
    const places = cid && this.#wanted.get(cid);
    if (places === undefined || this.#failed) return false;
    this.#wanted.delete(cid as Cid);
    const node = parseNode(bytes);
    for (const place of places) {
      if (!this.#put(place, node)) {
        this.#failed = true;
        this.#wanted.clear();
        this.#root.parts = undefined;
        break;
      }
    }
    return true;
  }

  /** The content, when all blocks are there. */
  content(): Uint8Array | undefined {
    if (this.#failed || this.#wanted.size > 0) return undefined;
    const pieces: Uint8Array[] = [];
    const gather = (place: Place): void => {
      if (place.parts instanceof Uint8Array) pieces.push(place.parts);
      else for (const part of place.parts ?? []) gather(part);
    };
    gather(this.#root);
    return concat(...pieces);
  }

  #put(place: Place, node: ParsedNode | undefined): boolean {
    if (node === undefined || node.size > this.#limit) return false;
    if (place.size !== undefined && place.size !== node.size) return false;
    if (node.links.length === 0) {
      place.parts = node.data;
      return true;
    }
    this.#nodes += node.links.length;
    if (place.depth >= DEPTH_MAX || this.#nodes > NODES_MIN + this.#limit / NODE_BYTES) return false;
    place.parts = node.links.map(({ cid, size }) => {
      const child: Place = { size, depth: place.depth + 1, parts: undefined };
      const others = this.#wanted.get(cid);
      if (others === undefined) this.#wanted.set(cid, [child]);
      else others.push(child);
      return child;
    });
    return true;
  }
}

interface Node {
  readonly cid: Cid;
  /** Bytes of content below. */
  readonly size: number;
  /** Bytes of blocks, itself included. */
  readonly total: number;
}

interface Place {
  readonly size: number | undefined;
  readonly depth: number;
  parts: Uint8Array | Place[] | undefined;
}

interface ParsedNode {
  readonly size: number;
  readonly data: Uint8Array;
  readonly links: readonly { readonly cid: Cid; readonly size: number }[];
}

function leaf(chunk: Uint8Array): Uint8Array {
  const data = chunk.length === 0 ? [] : [bytesField(2, chunk)];
  return bytesField(1, concat(FILE, ...data, numberField(3, chunk.length)));
}

/** dag-pb writes the links before the data, whatever their numbers say. */
function branch(children: readonly Node[], size: number): Uint8Array {
  const links = children.map(({ cid, total }) =>
    bytesField(2, concat(bytesField(1, fromBase58(cid) ?? EMPTY), bytesField(2, EMPTY), numberField(3, total))),
  );
  const sizes = children.map((child) => numberField(4, child.size));
  return concat(...links, bytesField(1, concat(FILE, numberField(3, size), ...sizes)));
}

/** A block as a node of a file; `undefined` when it is none, or says of its size what its parts do not. */
function parseNode(bytes: Uint8Array): ParsedNode | undefined {
  const hashes: Cid[] = [];
  let unixfs: Uint8Array | undefined;
  const ok = fields(bytes, (field, value) => {
    if (typeof value === "number") return false;
    if (field === 1 && unixfs === undefined) {
      unixfs = value;
      return true;
    }
    const cid = field === 2 ? linkOf(value) : undefined;
    if (cid !== undefined) hashes.push(cid);
    return cid !== undefined && hashes.length <= LINKS;
  });
  const file = ok && unixfs !== undefined ? parseFile(unixfs) : undefined;
  if (file === undefined || file.sizes.length !== hashes.length) return undefined;
  const below = file.sizes.reduce((sum, size) => sum + size, 0);
  // Data in a branch, or a branch that holds nothing, is never written: it would only serve to make a small block large.
  if (hashes.length > 0 && (file.data.length > 0 || file.sizes.some((size) => size === 0))) return undefined;
  if (file.size !== (hashes.length > 0 ? below : file.data.length)) return undefined;
  return { size: file.size, data: file.data, links: hashes.map((cid, i) => ({ cid, size: file.sizes[i] ?? 0 })) };
}

function linkOf(bytes: Uint8Array): Cid | undefined {
  let cid: Cid | undefined;
  const ok = fields(bytes, (field, value) => {
    if (field === 1 && typeof value !== "number" && isMultihash(value)) cid = toBase58(value) as Cid;
    return field >= 1 && field <= 3;
  });
  return ok ? cid : undefined;
}

function parseFile(bytes: Uint8Array): { data: Uint8Array; size: number; sizes: readonly number[] } | undefined {
  let type = -1;
  let data: Uint8Array = EMPTY;
  let size: number | undefined;
  const sizes: number[] = [];
  const ok = fields(bytes, (field, value) => {
    if (field === 1 && typeof value === "number") type = value;
    else if (field === 2 && typeof value !== "number") data = value;
    else if (field === 3 && typeof value === "number") size = value;
    else if (field === 4 && typeof value === "number") sizes.push(value);
    else return false;
    return sizes.length <= LINKS;
  });
  return ok && (type === 0 || type === 2) ? { data, size: size ?? data.length, sizes } : undefined;
}

/** Gives every varint and every length-delimited field to `take` until it says no. False as well for bytes that are no fields. */
function fields(bytes: Uint8Array, take: (field: number, value: number | Uint8Array) => boolean): boolean {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === undefined) return false;
    const value = tag % 8 === 0 ? reader.varint() : tag % 8 === 2 ? reader.take(reader.varint()) : undefined;
    if (value === undefined || !take(Math.floor(tag / 8), value)) return false;
  }
  return true;
}

function numberField(field: number, value: number): Uint8Array {
  return concat(encodeVarint(field * 8), encodeVarint(value));
}

function bytesField(field: number, value: Uint8Array): Uint8Array {
  return concat(encodeVarint(field * 8 + 2), encodeVarint(value.length), value);
}

const EMPTY = new Uint8Array(0);
const CHUNK = 262_144;
const LINKS = 174;
const FILE = Uint8Array.of(8, 2); // unixfs type: file
const BLOCK_MAX = CHUNK + 64 * 1024; // a chunk and its head, or 174 links: 8 KiB
const DEPTH_MAX = 3; // 174^3 chunks are 1.4 TB
const NODES_MIN = 256;
const NODE_BYTES = 1024; // trees of smaller chunks than this on average are not put together
