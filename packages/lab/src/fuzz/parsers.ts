/** Every pure function that reads what others wrote, with samples that it takes. */

import { jwtHandshake } from "restante/jwt";
import {
  channelHeadLength,
  createCrypto,
  Dechunker,
  decloak,
  decodePayload,
  encodeHandshake,
  encodeJoinLink,
  encodeJson,
  encodeLink,
  encodePacket,
  encodePayload,
  encodeRevocations,
  encodeTxt,
  equal,
  fromBase32,
  fromBase64url,
  fromHex,
  fromUtf8,
  type Hashname,
  hashnameOf,
  importIdentity,
  inviteProblem,
  isObject,
  type JsonObject,
  jweToPacket,
  jwsToPacket,
  LINK_REL,
  linkHref,
  linkInJwks,
  linkJwk,
  packetToJwe,
  packetToJws,
  parseAdmissionUri,
  parseCard,
  parseHandshake,
  parseHashname,
  parseInvite,
  parseJoinAnswer,
  parseJoinLink,
  parseJson,
  parseKeyPacket,
  parseKeys,
  parseLink,
  parseLinkJson,
  parseLinkJwk,
  parsePacket,
  parsePath,
  parseRevocations,
  parseTxt,
  portable,
  Reader,
  type StampPlace,
  scanChannelHead,
  toBase64url,
  uint,
  utf8,
  verifyFragment,
  verifyStamp,
  verifyToken,
  writeChannelHead,
} from "restante/protocol";
import { discovery } from "./discovery.ts";
import { BYTES, hex, OBJECT, PACKET, parser, type Target, TEXT, vectors } from "./target.ts";

const lob = vectors<{ packet: string }[]>("vectors/telehash/lob.json").map(({ packet }) => hex(packet));
const streams = vectors<{ expect: string }[]>("vectors/telehash/chunking.json").map(({ expect }) => hex(expect));
const cloaked = vectors<{ cases: { cloaked: string }[] }>("vectors/telehash/cloaking.json").cases.map((one) =>
  hex(one.cloaked),
);
const names = vectors<{ telehash_c: string; keys: JsonObject }[]>("vectors/telehash/hashname.json");
const messages = vectors<{ recipient: JsonObject; cases: { inner: string; outer: string }[] }>(
  "vectors/telehash/messages.json",
);
const { sessions } = vectors<{ sessions: Session[] }>("vectors/telehash/sessions.json");
const cards = vectors<{
  card: string;
  read: { peers: JsonObject[] };
  invite: string;
  fragment: { hashname: Hashname; text: string };
  offer: JsonObject;
}>("protocol/vectors/card.json");
const tokens = vectors<{
  cacheKey: string;
  accept: { token: string; uri: string; shownBy: Hashname }[];
  stamps: StampPlace & { accept: { day: number; text: string }[] };
}>("protocol/vectors/admission.json");
const mail = vectors<{ messages: { inner: string; sealed: string }[] }>("protocol/vectors/mail.json");

interface Session {
  csid: string;
  a: { handshake_inner: string };
  a_to_b: { inner: string };
  b_to_a: { inner: string };
}

const crypto = createCrypto(portable);
const inners = [
  ...messages.cases.map(({ inner }) => hex(inner)),
  ...sessions.flatMap(({ a, a_to_b, b_to_a }) => [a.handshake_inner, a_to_b.inner, b_to_a.inner].map(hex)),
  ...mail.messages.map(({ inner }) => hex(inner)),
];
const packets = [...lob, ...inners, ...messages.cases.map(({ outer }) => hex(outer))];
const heads = packets.flatMap((packet): JsonObject[] => {
  const json = parsePacket(packet)?.json;
  return json === undefined ? [] : [json];
});
const readable = packets.flatMap((packet) =>
  parsePacket(packet)?.json === undefined ? [] : [parsePacket(packet)?.head ?? packet],
);
const channelHeads = [
  { c: 1 },
  { c: 4294967295, seq: 0, ack: 4294967295, miss: [1, 22, 333], end: true },
  { c: 2, ack: 5 },
  { c: 3, seq: 7, miss: [], type: "test" },
].map((head) => encodeJson(head));
const payloads = [
  ...inners.filter((inner) => uint(parsePacket(inner)?.json, "c") !== undefined),
  ...channelHeads.map((head) => encodePacket(head)),
].map(encodePayload);
const keyPackets = sessions
  .filter(({ csid }) => csid === "3a")
  .flatMap(({ a }) => parsePacket(hex(a.handshake_inner))?.body ?? lob);
const telehashNames = names.map((one) => one.telehash_c);
const uris = tokens.accept.map(({ uri }) => uri);
const token = tokens.accept.map((one) => hex(one.token));
const [, stamp = { day: 0, text: "" }] = tokens.stamps.accept;
const [cardPeer = {}]: readonly JsonObject[] = cards.read.peers;
const withOffer = encodeJson({
  ...(parseJson(hex(cards.card)) as JsonObject),
  peers: [{ ...cardPeer, offer: cards.offer }, ...cards.read.peers.slice(1)],
});
const keys = parseKeys(cardPeer["keys"]) ?? new Map();
const jws = ['{"alg":"HS256","typ":"JWT"}', '{"iss":"joe"}', "a signature"].map(utf8).map(toBase64url).join(".");
const jwe = ['{"alg":"dir","enc":"A128GCM"}', "a key", "iv", "a secret", "a tag"].map(utf8).map(toBase64url).join(".");
const jwk = linkJwk({ hashname: hashnameOf(portable, keys), keys, paths: [] });
const webfinger = { subject: "acct:a@example.org", links: [{ rel: LINK_REL, href: "https://example.org/link.json" }] };
const join = encodeJoinLink({
  keys,
  paths: (cardPeer["paths"] as JsonObject[]).flatMap((path) => parsePath(path) ?? []),
  token: token[0] ?? hex(""),
});

export const PARSERS: readonly Target[] = [
  parser("fromBase32", 12_000, TEXT, telehashNames, fromBase32),
  parser(
    "fromHex",
    5_000,
    TEXT,
    messages.cases.map(({ inner }) => inner),
    fromHex,
  ),
  parser("fromUtf8", 5_000, BYTES, [utf8("a line, 📬 and ünïcödé"), ...readable], fromUtf8),
  parser("Reader", 8_000, BYTES, inners, readAll),
  parser("parsePacket", 16_000, PACKET, packets, packet),
  parser("parseJson", 16_000, BYTES, readable, json),
  parser("scanChannelHead", 8_000, BYTES, channelHeads, scanned),
  parser("Dechunker", 12_000, BYTES, streams, dechunk),
  parser("decloak", 8_000, BYTES, cloaked, (each) => decloak(portable.chacha20, each)),
  parser("parseHashname", 6_000, TEXT, telehashNames, parseHashname),
  parser(
    "parseKeys",
    6_000,
    OBJECT,
    names.map(({ keys }) => keys),
    parseKeys,
  ),
  parser("importIdentity", 600, OBJECT, [messages.recipient], (each) => importIdentity(crypto, each), {
    ms: 200, // keys are computed
    msPerKilobyte: 1,
  }),
  parser("parseHandshake", 10_000, PACKET, inners, parseHandshake),
  parser("payload", 8_000, BYTES, payloads, payload),
  parser("parseKeyPacket", 3_000, PACKET, keyPackets, (body) => parseKeyPacket(crypto, 0x3a, body)),
  parser("parseCard", 6_000, BYTES, [hex(cards.card), withOffer], (card) => parseCard(portable, card)),
  parser("parseLink", 8_000, TEXT, [cards.invite, join, ...uris], link),
  parser("parseLinkJson", 4_000, OBJECT, [cardPeer], (json) => parseLinkJson(portable, json)),
  parser("parsePath", 4_000, OBJECT, cardPeer["paths"] as JsonObject[], parsePath),
  parser("parseInvite", 6_000, TEXT, [cards.invite], invite),
  parser("parseJoinLink", 5_000, TEXT, [join], parseJoinLink),
  parser("parseAdmissionUri", 5_000, TEXT, uris, parseAdmissionUri),
  parser("verifyToken", 4_000, BYTES, token, (each) =>
    verifyToken(portable, hex(tokens.cacheKey), each, tokens.accept[0]?.shownBy as Hashname, 1e12),
  ),
  parser("verifyStamp", 4_000, TEXT, [stamp.text], (text) =>
    verifyStamp(portable, tokens.stamps, 1, text, stamp.day * DAY_MS) ? text : undefined,
  ),
  parser(
    "parseJoinAnswer",
    4_000,
    OBJECT,
    [{ key: "a".repeat(52), quota: 1 << 26, cap: 1 << 23, store: "one" }, ...heads],
    parseJoinAnswer,
  ),
  parser("fromBase64url", 5_000, TEXT, [jws.split(".")[0] ?? ""], base64url),
  parser("jws", 6_000, TEXT, [jws], (each) => sameAgain(each, jwsToPacket, packetToJws)),
  parser("jwe", 6_000, TEXT, [jwe], (each) => sameAgain(each, jweToPacket, packetToJwe)),
  parser("jws-packet", 6_000, PACKET, [jwsToPacket(jws) ?? hex("")], (each) =>
    sameAgain(each, packetToJws, jwsToPacket),
  ),
  parser("jwe-packet", 6_000, PACKET, [jweToPacket(jwe) ?? hex("")], packetToJwe),
  parser("jwt", 4_000, TEXT, [jws], jwt),
  parser("parseLinkJwk", 4_000, OBJECT, [jwk], (json) => parseLinkJwk(portable, json)),
  parser("linkInJwks", 2_000, OBJECT, [{ keys: [{ kty: "RSA" }, jwk] }], (json) => linkInJwks(portable, json)),
  parser("linkHref", 3_000, OBJECT, [webfinger], linkHref),
  parser("parseTxt", 5_000, TEXT, [encodeTxt({ keys, invite: "a".repeat(300) }).join("\n")], (records) =>
    parseTxt(records.split("\n")),
  ),
  discovery(keys, parseLink(cards.invite)?.query.find(([name]) => name === "invite")?.[1] ?? ""),
  parser("parseRevocations", 4_000, BYTES, encodeRevocations([1, 2, 2 ** 40, 2 ** 48 - 1]), parseRevocations),
  parser("verifyFragment", 4_000, TEXT, [cards.fragment.text], (each) =>
    verifyFragment(portable, cards.fragment.hashname, each, each),
  ),
];

/** What is translated comes back as it was. */
function sameAgain<A extends string | Uint8Array, B>(
  input: A,
  there: (input: A) => B | undefined,
  back: (output: B) => A | undefined,
): B | undefined {
  const output = there(input);
  if (output !== undefined && String(back(output)) !== String(input)) throw new Error("it is another one");
  return output;
}

/** A token in a handshake, which must come out of it as it was put in. Its signature is for `jose`. */
function jwt(text: string): unknown {
  const message = jwtHandshake(text);
  const read = message && parseHandshake(encodeHandshake(1n, message));
  if (message !== undefined && (read === undefined || packetToJws(read.message.body) !== text))
    throw new Error("the token is another one");
  return message;
}

function base64url(text: string): unknown {
  return sameAgain(text, fromBase64url, toBase64url);
}

/** A packet, which must be what its head and body make again. */
function packet(input: Uint8Array): unknown {
  const read = parsePacket(input);
  if (read !== undefined && !equal(encodePacket(read.head, read.body), input)) throw new Error("it is another packet");
  return read;
}

/** A head, which must have one reading only: what is written of it reads as the same. */
function json(input: Uint8Array): unknown {
  const read = parseJson(input);
  if (read === undefined) return undefined;
  const written = encodeJson(read);
  const again = parseJson(written);
  if (again === undefined || !equal(encodeJson(again), written)) throw new Error("it reads otherwise the second time");
  return read;
}

/** The head of a channel packet: what the fast reader says, the strict one must say too, and writing it gives the same. */
function scanned(input: Uint8Array): unknown {
  const read = scanChannelHead(input, 0, input.length);
  if (read === undefined) return undefined;
  const strict = parseJson(input);
  const { c, seq, ack, miss, end, fields } = read;
  const same = encodeJson({ c, seq, ack, miss, end: end || undefined, ...fields });
  if (!isObject(strict)) throw new Error("the strict parser refuses it");
  const { c: _, seq: _s, ack: _a, miss: _m, end: _e, ...others } = strict;
  const again = encodeJson({
    c: strict["c"],
    seq: strict["seq"],
    ack: strict["ack"],
    miss: strict["miss"],
    end: strict["end"],
    ...others,
  });
  if (!equal(same, again)) throw new Error("the strict parser reads it otherwise");
  const beside = encodeJson(fields);
  const written = new Uint8Array(channelHeadLength(read, beside));
  writeChannelHead(written, 0, read, beside);
  if (!equal(written, same)) throw new Error("it is written otherwise");
  return read;
}

/** A channel packet in CBOR, which stands for one packet: in its own CBOR it is that one again. */
function payload(input: Uint8Array): unknown {
  const inner = decodePayload(input);
  if (inner === undefined) return undefined;
  if (uint(parsePacket(inner)?.json, "c") === undefined) throw new Error("it is no packet of a channel");
  const again = decodePayload(encodePayload(inner));
  if (again === undefined || !equal(sorted(again), sorted(inner))) throw new Error("it is another packet");
  return inner;
}

/** The packet with its fields in the order of their names. */
function sorted(packet: Uint8Array): Uint8Array {
  const { json = {}, body } = parsePacket(packet) ?? {};
  const fields = Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1));
  return encodePacket(Object.fromEntries(fields), body);
}

/** A link, which must be the same when it is written and read again. */
function link(text: string): unknown {
  const read = parseLink(text);
  if (read === undefined) return undefined;
  const written = encodeLink(read);
  const again = written.length > LINK_LENGTH ? read : parseLink(written); // escapes may make it longer than a link may be
  if (again === undefined || (again !== read && encodeLink(again) !== written)) throw new Error("it is another link");
  return read;
}

function invite(text: string): unknown {
  const read = parseInvite(portable, text);
  const hasProblem = inviteProblem(text) !== "";
  if (hasProblem === (read !== undefined)) throw new Error("it reads, and has a problem; or neither");
  return read;
}

/** Reads fields of all kinds, in an order that the bytes choose. */
function readAll(input: Uint8Array): unknown {
  const reader = new Reader(input);
  for (let i = 0; i < 64 && !reader.done; i++) {
    const kind = input[i] ?? 0;
    const value =
      [reader.u8, reader.u16, reader.u32, reader.varint][kind % 6]?.call(reader) ?? reader.take(reader.varint());
    if (value === undefined) return undefined;
  }
  return reader.rest();
}

/** The packets of a stream that comes in two pieces. More is never held than was asked for. */
function dechunk(stream: Uint8Array): unknown {
  const dechunker = new Dechunker(MAX_PACKET);
  const cut = stream.length >> 1;
  const found = [...dechunker.push(stream.slice(0, cut)), ...dechunker.push(stream.slice(cut))];
  if (found.some(({ length }) => length === 0 || length > MAX_PACKET)) throw new Error("a packet of a wrong length");
  return found.length > 0 ? found : undefined;
}

const DAY_MS = 86_400_000;
const MAX_PACKET = 400;
const LINK_LENGTH = 8192; // protocol/card.md §3
