/** The vectors of two other telehash implementations, against the public functions. vectors/README.md says when a case passes. */
import { loadBackend } from "@restante/node";
import {
  type Backend,
  box,
  type CipherSet,
  type Crypto,
  cloak,
  createCrypto,
  cs1a,
  cs2a,
  cs3a,
  Dechunker,
  decloak,
  type Ephemeral,
  encodeChunks,
  encodePacket,
  fromBase32,
  hashnameOf,
  type Identity,
  importIdentity,
  intermediate,
  type KeyPair,
  openMessage,
  order,
  parseHandshake,
  parseHashname,
  parseKeyPacket,
  parseKeys,
  parsePacket,
  portable,
  sealMessage,
  toBase32,
} from "restante/protocol";
import {
  bytes,
  type Case,
  type Fields,
  given,
  has,
  holds,
  list,
  number,
  object,
  type Runner,
  same,
  sameText,
  text,
} from "./cases.ts";

/** By file name. */
export const TELEHASH: Readonly<Record<string, Runner>> = {
  base32: (file) => [
    ...each(object(file, "base32")["encode"], "encode", (one) => {
      sameText(toBase32(bytes(one, "hex")), text(one, "expect"), "encoded");
    }),
    ...each(object(file, "base32")["decode"], "decode", (one) => {
      same(fromBase32(text(one, "text")), one["expect"] === null ? null : bytes(one, "expect"), "decoded");
    }),
  ],
  hashname: (file) => each(file, "hashname", hashname),
  lob: (file) => each(file, "lob", lob),
  "lob-encode": (file) =>
    each(file, "lob-encode", (one) => {
      same(encodePacket(bytes(one, "head"), bytes(one, "body")), bytes(one, "expect"), "encoded");
    }),
  chunking: (file) => each(file, "chunking", chunking),
  cloaking: (file) => {
    const key = bytes(object(file, "cloaking"), "key");
    return each(object(file, "cloaking")["cases"], "cases", (one) => cloaking(one, key));
  },
  messages: (file) => {
    const { sender, recipient, cases } = object(file, "messages");
    const [from, to] = [object(sender, "sender"), object(recipient, "recipient")];
    return each(cases, "cases", (one) => message(one, from, to));
  },
  sessions: (file) => {
    const { id_a, id_b, sessions } = object(file, "sessions");
    const [a, b] = [object(id_a, "id_a"), object(id_b, "id_b")];
    return each(sessions, "sessions", (one) => session(one, a, b));
  },
  siphash: (file) => each(object(file, "siphash")["box_ids"], "box_ids", siphash),
};

/** A case for each item of the list. */
function each(items: unknown, what: string, check: (one: Fields) => void): Case[] {
  return list(items, what).map((one, index) => ({
    name: `${what}[${index}]`,
    isUnsupported: false,
    check: () => check(one),
  }));
}

function hashname(one: Fields): void {
  const keys = given(parseKeys(one["keys"]), "the keys do not parse");
  const known = object(one["hashname_js"] ?? {}, "hashname_js");
  const names = [one, known].flatMap((from) =>
    ["telehash_c", "hashname", "from_im_only"].filter((key) => has(from, key)).map((key) => text(from, key)),
  );
  holds(names.length > 0, "no hashname to compare with");
  for (const name of names) sameText(hashnameOf(portable, keys), name, "hashname");
  if (!has(known, "intermediates")) return;
  const intermediates = given(parseKeys(known["intermediates"]), "the intermediates do not parse");
  holds(intermediates.size === keys.size, "there is one intermediate for each key");
  for (const [csid, key] of keys)
    same(intermediate(portable, key), intermediates.get(csid) ?? null, `intermediate ${csid.toString(16)}`);
  sameText(hashnameOf(portable, new Map(), intermediates), names[0] ?? null, "hashname of intermediates alone");
}

function lob(one: Fields): void {
  const packet = parsePacket(bytes(one, "packet"));
  if (one["expect"] === null) {
    holds(packet === undefined, "parsed, and should not have been");
    return;
  }
  const { head, json, jsonError, body } = given(packet, "a parse error");
  const expected = object(one["expect"], "expect");
  same(head, bytes(expected, "head"), "head");
  same(body, bytes(expected, "body"), "body");
  holds(jsonError === (expected["json_error"] === true), `json_error is ${jsonError}`);
  sameText(canonical(json ?? null), canonical(expected["json"]), "json");
}

/** JSON with sorted keys. Large integers as the file has them, which was read with the precision of a double. */
function canonical(value: unknown): string {
  if (typeof value === "bigint") return JSON.stringify(Number(value));
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join()}}`;
}

function chunking(one: Fields): void {
  const [packet, expected] = [bytes(one, "packet"), bytes(one, "expect")];
  same(encodeChunks(packet, number(one, "size_arg")), expected, "chunks");
  same(dechunk([expected]), packet, "decoded whole");
  same(dechunk([...expected].map((byte) => Uint8Array.of(byte))), packet, "decoded byte by byte");
  const step = Math.max(1, Math.floor(expected.length / SPLITS));
  for (let at = 1; at < expected.length; at += step)
    same(dechunk([expected.subarray(0, at), expected.subarray(at)]), packet, `decoded in two, split at ${at}`);
  if (!has(one, "telehash_c_stream")) return;
  const stream = bytes(one, "telehash_c_stream");
  if (one["same"] === false) same(dechunk([stream]), new Uint8Array(0), "a stream without its terminator");
  else same(dechunk([stream]), packet, "the stream of telehash-c");
}

/** The packets of a stream, one after the other. */
function dechunk(pieces: readonly Uint8Array[]): Uint8Array {
  const dechunker = new Dechunker(MAX_PACKET);
  const packets = pieces.flatMap((piece) => dechunker.push(piece.slice()));
  holds(packets.length <= 1, `${packets.length} packets of one`);
  return packets[0] ?? new Uint8Array(0);
}

function cloaking(one: Fields, key: Uint8Array): void {
  const [packet, cloaked, rounds] = [bytes(one, "packet"), bytes(one, "cloaked"), number(one, "rounds")];
  const found = given(decloak(portable.chacha20, cloaked), "not decloaked");
  same(found.packet, packet, "decloaked");
  holds(found.rounds === rounds, `${found.rounds} rounds instead of ${rounds}`);

  const nonces: Uint8Array[] = []; // the outermost first; cloaking draws the innermost first
  for (let left = cloaked; nonces.length < rounds; ) {
    nonces.push(left.subarray(0, CLOAK_NONCE));
    left = portable.chacha20(key, left.subarray(0, CLOAK_NONCE), left.subarray(CLOAK_NONCE));
  }
  same(
    cloak(portable.chacha20, packet, () => given(nonces.pop(), "one more nonce was drawn"), rounds),
    cloaked,
    "cloaked",
  );
}

function message(one: Fields, sender: Fields, recipient: Fields): void {
  const { crypto, set } = cryptoOf(one);
  const [from, to] = [identity(crypto, sender), identity(crypto, recipient)];
  const [outer, inner] = [bytes(one, "outer"), bytes(one, "inner")];
  const body = given(parsePacket(outer), "no packet").body;
  const opened = openMessage(crypto, to, outer);
  if (one["expect"] === "refuse") {
    holds(opened?.verify(keyOf(from, set).key) !== true, "opened and verified, and should have been refused");
    return;
  }
  const found = given(opened, "does not open");
  same(found.inner, inner, "inner");
  holds(found.verify(keyOf(from, set).key), "the sender does not verify");
  holds(!found.verify(keyOf(to, set).key), "a wrong sender verifies");
  if (has(one, "ephemeral_key")) same(found.ephemeral, bytes(one, "ephemeral_key"), "ephemeral key");
  if (has(one, "routing_token_sha256_form")) same(found.token, bytes(one, "routing_token_sha256_form"), "token");
  if (has(one, "routing_token_raw_form"))
    same(body.subarray(0, TOKEN), bytes(one, "routing_token_raw_form"), "raw token");
  if (has(one, "ephemeral_secret")) {
    const exchange = ephemeralOf(set, one);
    const random = () => body.slice(...nonceOf(set));
    same(sealMessage(crypto, { from, to: to.keys, inner, random, ephemeral: exchange }), outer, "sealed again");
  }
}

function session(one: Fields, idA: Fields, idB: Fields): void {
  const { crypto, set } = cryptoOf(one);
  const [a, b] = [object(one["a"], "a"), object(one["b"], "b")];
  for (const [side, from, to, other] of [
    [a, identity(crypto, idA), identity(crypto, idB), b],
    [b, identity(crypto, idB), identity(crypto, idA), a],
  ] as const) {
    const opened = given(openMessage(crypto, to, bytes(side, "handshake")), "a handshake does not open");
    same(opened.inner, bytes(side, "handshake_inner"), "inner of the handshake");
    same(opened.token, bytes(side, "token"), "token");
    if (has(side, "session_token")) sameText(text(side, "session_token"), text(other, "token"), "token of the other");
    if (has(side, "ephemeral_key")) same(opened.ephemeral, bytes(side, "ephemeral_key"), "ephemeral key");
    holds(opened.verify(keyOf(from, set).key), "the sender of a handshake does not verify");
    holds(!opened.verify(keyOf(to, set).key), "a wrong sender of a handshake verifies");
    const handshake = given(parseHandshake(opened.inner), "no handshake");
    holds(Number(handshake.at) === number(side, "at"), `at is ${handshake.at}`);
    const keys = given(parseKeyPacket(crypto, set.csid, handshake.message.body), "no key packet");
    sameText(keys.hashname, from.hashname, "hashname of the sender");
    const isOdd = order(keyOf(from, set).key, keyOf(to, set).key) === 1;
    holds(isOdd === (number(side, "order") === ODD), "order");
  }
  if (!has(a, "ephemeral_secret") || !has(b, "ephemeral_secret")) return;

  const [ofA, ofB] = [ephemeralOf(set, a), ephemeralOf(set, b)];
  const atA = given(set.channel(ofA, ofB.key), "no channel of a");
  const atB = given(set.channel(ofB, ofA.key), "no channel of b");
  if (has(one, "a_enckey")) same(atA.sendKey, bytes(one, "a_enckey"), "a_enckey");
  if (has(one, "a_deckey")) same(atA.receiveKey, bytes(one, "a_deckey"), "a_deckey");
  for (const [direction, sends, receives, token] of [
    ["a_to_b", atA, atB, bytes(b, "token")],
    ["b_to_a", atB, atA, bytes(a, "token")],
  ] as const) {
    const packet = object(one[direction], direction);
    const [body, inner] = [channelBody(bytes(packet, "outer")), bytes(packet, "inner")];
    same(body.subarray(0, TOKEN), token, `token of ${direction}`);
    same(receives.open(body), inner, `inner of ${direction}`);
    const nonce = body.slice(TOKEN, TOKEN + (nonceOf(set)[1] - nonceOf(set)[0]));
    same(
      sends.seal(token, inner, () => nonce),
      body,
      `${direction}, sealed again`,
    );
  }
  for (const tampered of list(one["tampered"] ?? [], "tampered")) {
    const receiver = text(tampered, "direction") === "a_to_b" ? atB : atA;
    same(receiver.open(channelBody(bytes(tampered, "outer"))), null, "a tampered packet");
  }
}

function siphash(one: Fields): void {
  const sender = given(parseHashname(text(one, "sender")), "sender is no hashname");
  const recipient = given(parseHashname(text(one, "recipient")), "recipient is no hashname");
  const id = box.boxId(portable, sender, recipient);
  sameText(id, text(one, "expect"), "box id");
  for (const each of list(one["messages"] ?? [], "messages"))
    sameText(box.messageId(portable, id, bytes(each, "message")), text(each, "expect"), "message id");
}

/** The cipher set of a case, and a cryptography that has it alone, so that no higher one is preferred. */
function cryptoOf(one: Fields): { crypto: Crypto; set: CipherSet } {
  const set = given(SETS[text(one, "csid")], `there is no cipher set ${text(one, "csid")}`);
  return { crypto: createCrypto(backend, [set]), set };
}

function identity(crypto: Crypto, fields: Fields): Identity {
  return given(importIdentity(crypto, fields), "the keys make no identity");
}

function keyOf(identity: Identity, set: CipherSet): KeyPair {
  return given(identity.pairs.get(set.csid), "there is no key of the set");
}

/** The exchange of a known secret. Only for sets whose prefix is the key of the exchange: the vectors have no other. */
function ephemeralOf(set: CipherSet, fields: Fields): Ephemeral {
  const pair = given(set.keyPair(bytes(fields, "ephemeral_secret")), "ephemeral_secret is no secret of the set");
  return { ...pair, prefix: pair.key };
}

/** Where the nonce of a message BODY stands: protocol/cs3a.md §3. */
function nonceOf(set: CipherSet): readonly [number, number] {
  return given(NONCES.get(set.csid), "no known nonce");
}

function channelBody(outer: Uint8Array): Uint8Array {
  const packet = given(parsePacket(outer), "no packet");
  holds(packet.head.length === 0, "a channel packet has no head");
  return packet.body;
}

const { rsa } = await loadBackend(() => {});
const backend: Backend = { ...portable, ...(rsa && { rsa }) };
const SETS: Readonly<Record<string, CipherSet | undefined>> = {
  "1a": cs1a(backend),
  ...(rsa && { "2a": cs2a(backend, rsa) }),
  "3a": cs3a(backend),
};
const NONCES: ReadonlyMap<number, readonly [number, number]> = new Map([
  [0x1a, [21, 25]],
  [0x3a, [32, 56]],
]);
const ODD = 1;
const TOKEN = 16;
const CLOAK_NONCE = 8;
const MAX_PACKET = 1 << 20;
const SPLITS = 2048; // split everywhere up to this length, and at so many places of a longer stream
