/**
 * Messages about pointers: OpenBazaar's ADD_PROVIDER and GET_PROVIDERS (libp2p's kad-dht Message), with fields of our own that
 * others pass over, and one type of our own. protocol/bazaar-network.md §3
 */
import { concat, encodeVarint, Reader } from "restante/protocol";
import { parseAddress } from "./pointer.ts";

/** Where the ciphertext of a message lies, under the key of its recipient. Says neither who wrote it nor to whom. */
export interface PointerRecord {
  /** The magic id, 34 bytes: 12 20, twelve zero bytes, the first 20 bytes of SHA-256(ciphertext). */
  readonly id: Uint8Array;
  /** A multiaddr: /ipfs/CID or an https address in the old form (`parseAddress`). At most ADDRESS_BYTES. */
  readonly address: Uint8Array;
  /** Bytes of the ciphertext, as whoever put the pointer says: a reader bounds its download by it. */
  readonly size?: number;
  /** SHA-256 of a secret of 32 bytes: who shows the secret withdraws the pointer. */
  readonly withdraw?: Uint8Array;
  /** Seconds until the pointer is forgotten where it lies; in answers only. */
  readonly life?: number;
}

/** What one asks a node that keeps pointers. `key`: the multihash (34 bytes) of the recipient's pointer key. */
export type PointerRequest =
  | { readonly type: "add"; readonly key: Uint8Array; readonly pointer: PointerRecord }
  | { readonly type: "get"; readonly key: Uint8Array; readonly cursor?: Uint8Array }
  | { readonly type: "withdraw"; readonly key: Uint8Array; readonly id: Uint8Array; readonly preimage: Uint8Array };

/** What became of an "add" or a "withdraw". "full": no room for this source; "gone": withdrawn before; "unknown": not here. */
export type PointerStatus = "done" | "full" | "gone" | "unknown" | "slow down";

/** What a node answers: pointers to a "get" (with `next`: there are more, ask with it as `cursor`), else a status. */
export type PointerAnswer =
  | {
      readonly type: "pointers";
      readonly key: Uint8Array;
      readonly pointers: readonly PointerRecord[];
      readonly next?: Uint8Array;
    }
  | { readonly type: "status"; readonly key: Uint8Array; readonly status: PointerStatus };

/** The most bytes of a pointer's address. */
export const ADDRESS_BYTES = 512;
/** The most pointers in one answer. */
export const PAGE_POINTERS = 64;
/** The most bytes of a request. */
export const REQUEST_BYTES = 1024;
/** The most bytes of an answer, and so of a page of pointers. */
export const ANSWER_BYTES: number = 64 * 1024;

/** A request as bytes, without a frame. "add" without `size` and `withdraw` and "get" without `cursor` are OpenBazaar's own. */
export function encodePointerRequest(request: PointerRequest): Uint8Array {
  switch (request.type) {
    case "add":
      return concat(numberField(1, ADD), bytesField(2, request.key), bytesField(9, encodePointer(request.pointer)));
    case "get":
      return concat(numberField(1, GET), bytesField(2, request.key), optionalBytes(100, request.cursor));
    case "withdraw": {
      const peer = concat(bytesField(1, request.id), bytesField(102, request.preimage));
      return concat(numberField(1, WITHDRAW), bytesField(2, request.key), bytesField(9, peer));
    }
  }
}

/** A request; `undefined` for everything that is none: other types, a key or an id of another shape, several pointers. */
export function parsePointerRequest(bytes: Uint8Array): PointerRequest | undefined {
  if (bytes.length > REQUEST_BYTES) return undefined;
  const message = parseMessage(bytes, 1);
  if (message === undefined) return undefined;
  const { type, key, cursor } = message;
  const [peer] = message.peers;
  if (type === GET && peer === undefined) return { type: "get", key, ...(cursor && { cursor }) };
  const parsed = peer && parsePeer(peer);
  if (parsed === undefined) return undefined;
  const { preimage, pointer } = parsed;
  if (type === ADD && pointer) return { type: "add", key, pointer };
  if (type === WITHDRAW && preimage) return { type: "withdraw", key, id: parsed.id, preimage };
  return undefined;
}

/** An answer as bytes, without a frame. At most PAGE_POINTERS pointers that together fit: see `encodedPointerBytes`. */
export function encodePointerAnswer(answer: PointerAnswer): Uint8Array {
  if (answer.type === "status") {
    return concat(
      numberField(1, ADD),
      bytesField(2, answer.key),
      numberField(101, STATUSES.indexOf(answer.status) + 1),
    );
  }
  const peers = answer.pointers.map((pointer) => bytesField(9, encodePointer(pointer)));
  return concat(numberField(1, GET), bytesField(2, answer.key), ...peers, optionalBytes(100, answer.next));
}

/** An answer; `undefined` for what is none. Pointers of another shape within a page are left out; a page is at most PAGE_POINTERS. */
export function parsePointerAnswer(bytes: Uint8Array): PointerAnswer | undefined {
  if (bytes.length > ANSWER_BYTES) return undefined;
  const message = parseMessage(bytes, PAGE_POINTERS);
  if (message === undefined) return undefined;
  const { type, key, cursor } = message;
  if (type === ADD) {
    const status = STATUSES[(message.status ?? 0) - 1];
    return status && { type: "status", key, status };
  }
  if (type !== GET) return undefined;
  const pointers = message.peers.flatMap((peer) => parsePeer(peer)?.pointer ?? []);
  return { type: "pointers", key, pointers, ...(cursor && { next: cursor }) };
}

/** How many bytes a pointer takes in an answer, at most: for who fills a page. */
export function encodedPointerBytes(pointer: PointerRecord): number {
  return pointer.address.length + POINTER_OVERHEAD;
}

/** Whether these are the 34 bytes of a multihash of SHA-256: every key is one. */
export function isKey(bytes: Uint8Array): boolean {
  return bytes.length === MULTIHASH_BYTES && bytes[0] === 0x12 && bytes[1] === 0x20;
}

/** Whether these are the 34 bytes of a magic id: a multihash whose digest begins with twelve zero bytes. */
export function isMagicId(bytes: Uint8Array): boolean {
  return isKey(bytes) && bytes.subarray(2, 14).every((byte) => byte === 0);
}

interface Message {
  readonly type: number;
  readonly key: Uint8Array;
  readonly peers: readonly Uint8Array[];
  readonly cursor: Uint8Array | undefined;
  readonly status: number | undefined;
}

function parseMessage(bytes: Uint8Array, mostPeers: number): Message | undefined {
  let type = 0;
  let key: Uint8Array | undefined;
  let cursor: Uint8Array | undefined;
  let status: number | undefined;
  const peers: Uint8Array[] = [];
  const isRead = eachField(bytes, (field, value) => {
    if (field === 1 && typeof value === "number") type = value;
    if (field === 2 && typeof value !== "number") key = value;
    if (field === 9 && typeof value !== "number") peers.push(value);
    if (field === 100 && typeof value !== "number") cursor = value;
    if (field === 101 && typeof value === "number") status = value;
  });
  if (!isRead || key === undefined || !isKey(key) || peers.length > mostPeers) return undefined;
  if (cursor !== undefined && (cursor as Uint8Array).length > CURSOR_BYTES) return undefined;
  return { type, key, peers, cursor, status };
}

interface Peer {
  readonly id: Uint8Array;
  readonly pointer: PointerRecord | undefined;
  readonly preimage: Uint8Array | undefined;
}

function parsePeer(bytes: Uint8Array): Peer | undefined {
  const parts: { -readonly [K in keyof PointerRecord]?: PointerRecord[K] } & { preimage?: Uint8Array } = {};
  let addresses = 0;
  const isRead = eachField(bytes, (field, value) => {
    if (typeof value === "number") {
      if (field === 100) parts.size = value;
      if (field === 103) parts.life = value;
      return;
    }
    if (field === 1) parts.id = value;
    if (field === 2) {
      parts.address = value;
      addresses++;
    }
    if (field === 101) parts.withdraw = value;
    if (field === 102) parts.preimage = value;
  });
  const { id, address, preimage, ...rest } = parts;
  if (!isRead || id === undefined || !isMagicId(id) || addresses > 1) return undefined;
  if ([rest.withdraw, preimage].some((hash) => hash !== undefined && hash.length !== HASH_BYTES)) return undefined;
  if (address !== undefined && !parseAddress(address)) return undefined;
  return { id, pointer: address && { id, address, ...rest }, preimage };
}

function encodePointer({ id, address, size, withdraw, life }: PointerRecord): Uint8Array {
  return concat(
    bytesField(1, id),
    bytesField(2, address),
    size === undefined ? NOTHING : numberField(100, size),
    optionalBytes(101, withdraw),
    life === undefined ? NOTHING : numberField(103, life),
  );
}

/** Calls `take` with each varint and each length-delimited field; passes over others. False for bytes that are no message. */
function eachField(bytes: Uint8Array, take: (field: number, value: number | Uint8Array) => void): boolean {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === undefined) return false;
    const wire = tag % 8;
    const field = Math.floor(tag / 8);
    let value: number | Uint8Array | undefined;
    if (wire === 0) value = reader.varint();
    else if (wire === 2) value = reader.take(reader.varint());
    else if (wire === 1) value = reader.take(8);
    else if (wire === 5) value = reader.take(4);
    if (value === undefined || field === 0) return false;
    if (wire === 0 || wire === 2) take(field, typeof value === "number" ? value : value.slice());
  }
  return true;
}

function numberField(field: number, value: number): Uint8Array {
  return concat(encodeVarint(field * 8), encodeVarint(value));
}

function bytesField(field: number, value: Uint8Array): Uint8Array {
  return concat(encodeVarint(field * 8 + 2), encodeVarint(value.length), value);
}

function optionalBytes(field: number, value: Uint8Array | undefined): Uint8Array {
  return value === undefined ? NOTHING : bytesField(field, value);
}

const NOTHING = new Uint8Array(0);
const ADD = 2; // kad-dht's ADD_PROVIDER
const GET = 3; // kad-dht's GET_PROVIDERS
const WITHDRAW = 100; // ours
const STATUSES: readonly PointerStatus[] = ["done", "full", "gone", "unknown", "slow down"];
const MULTIHASH_BYTES = 34;
const HASH_BYTES = 32;
const CURSOR_BYTES = 64;
const POINTER_OVERHEAD = 120; // the frame of the field, id, hash, size, life: 4 + 36 + 35 + 10 + 7, and some
