/**
 * Where a peer is found in the bazaar: a network beside ours that keeps what is sealed for somebody until it is read. What a key or
 * an address means there only a `Carrier` knows; here they are bytes and text with a limit. protocol/card.md §1, §4
 */
import { concat, encodeVarint, equal, fromBase32, fromUtf8, Reader, siphash, toBase32, utf8 } from "../bytes/index.ts";
import type { Json, JsonObject } from "../wire/index.ts";
import { asList, asObject } from "./path.ts";

/** Somebody there. */
export interface BazaarNode {
  /** Its public key as the bazaar spells it, 1 to 64 bytes. */
  readonly key: Uint8Array;
  /** Where it was seen, at most 2, each 1 to 200 visible ASCII characters. May be empty: keys can be looked for. */
  readonly addrs: readonly string[];
}

/** A peer there, and who keeps what is left for it. */
export interface BazaarAddress extends BazaarNode {
  /** At most 3. */
  readonly push: readonly BazaarNode[];
}

/** As it stands in a card. */
export function bazaarJson({ push, ...node }: BazaarAddress): JsonObject {
  return { ...nodeJson(node), push: push.length === 0 ? undefined : push.map(nodeJson) };
}

/** What stands in a card; `undefined` for all that is not exactly so: nobody is refused for it. */
export function parseBazaar(json: Json | undefined): BazaarAddress | undefined {
  const object = asObject(json);
  const node = parseNode(object);
  const items = asList(object?.["push"] ?? [], MAX_PUSH)?.map((item) => parseNode(asObject(item)));
  const push = items?.filter((item) => item !== undefined);
  return node === undefined || push === undefined || push.length < (items?.length ?? 0) ? undefined : { ...node, push };
}

/** As much of it as a card takes; `undefined`: its key is none. */
export function bazaarInRoom({ push, ...node }: BazaarAddress): BazaarAddress | undefined {
  const own = nodeInRoom(node);
  const nodes = push.map(nodeInRoom).filter((each) => each !== undefined);
  return own && { ...own, push: nodes.slice(0, MAX_PUSH) };
}

/** As bytes, for an invite: with a checksum, for it stands outside of what the invite's own one covers. */
export function encodeBazaar({ push, ...node }: BazaarAddress): Uint8Array {
  const body = concat(Uint8Array.of(FORMAT), nodeBytes(node), Uint8Array.of(push.length), ...push.map(nodeBytes));
  return concat(body, checksum(body));
}

/** What `encodeBazaar` wrote; `undefined` for all else. */
export function decodeBazaar(bytes: Uint8Array): BazaarAddress | undefined {
  const body = bytes.subarray(0, -CHECK_BYTES);
  if (body[0] !== FORMAT || !equal(bytes.subarray(-CHECK_BYTES), checksum(body))) return undefined;
  const reader = new Reader(body.subarray(1));
  const node = readNode(reader);
  const count = reader.u8() ?? 0;
  if (node === undefined || count > MAX_PUSH) return undefined;
  const push = Array.from({ length: count }, () => readNode(reader)).filter((each) => each !== undefined);
  return reader.done && push.length === count ? { ...node, push } : undefined;
}

function nodeJson({ key, addrs }: BazaarNode): JsonObject {
  return { key: toBase32(key), addrs: addrs.length === 0 ? undefined : addrs };
}

function parseNode(object: JsonObject | undefined): BazaarNode | undefined {
  const text = object?.["key"];
  const key = typeof text === "string" ? fromBase32(text) : undefined;
  const addrs = asList(object?.["addrs"] ?? [], MAX_ADDRS);
  const isGood = addrs?.every((addr) => typeof addr === "string" && ADDR.test(addr));
  return key !== undefined && isKey(key) && isGood ? { key, addrs: addrs as string[] } : undefined;
}

function nodeInRoom({ key, addrs }: BazaarNode): BazaarNode | undefined {
  return isKey(key) ? { key, addrs: addrs.filter((addr) => ADDR.test(addr)).slice(0, MAX_ADDRS) } : undefined;
}

function nodeBytes({ key, addrs }: BazaarNode): Uint8Array {
  return concat(sized(key), Uint8Array.of(addrs.length), ...addrs.map((addr) => sized(utf8(addr))));
}

function readNode(reader: Reader): BazaarNode | undefined {
  const key = reader.take(reader.varint())?.slice();
  const count = reader.u8() ?? 0;
  if (key === undefined || !isKey(key) || count > MAX_ADDRS) return undefined;
  const addrs = Array.from({ length: count }, () => fromUtf8(reader.take(reader.varint()) ?? NOTHING) ?? "");
  return addrs.every((addr) => ADDR.test(addr)) ? { key, addrs } : undefined;
}

function isKey({ length }: Uint8Array): boolean {
  return length >= 1 && length <= KEY_BYTES;
}

function sized(bytes: Uint8Array): Uint8Array {
  return concat(encodeVarint(bytes.length), bytes);
}

function checksum(body: Uint8Array): Uint8Array {
  return siphash(CHECK_KEY, body).subarray(0, CHECK_BYTES);
}

const FORMAT = 1;
const KEY_BYTES = 64; // an Ed25519 key has 36 there
const MAX_ADDRS = 2;
const MAX_PUSH = 3;
const ADDR = /^[\x21-\x7e]{1,200}$/;
const CHECK_BYTES = 4;
const CHECK_KEY = utf8("restante/bazaar/"); // 16 bytes: any constant would do
const NOTHING = new Uint8Array(0);
