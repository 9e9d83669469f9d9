/** Every pure function that reads what others wrote, with samples that it takes. */
import {
  createCrypto,
  createIdentity,
  cs3a,
  Dechunker,
  decloak,
  encodeJoinLink,
  encodeRevocations,
  fromBase32,
  fromHex,
  fromUtf8,
  type Hashname,
  importIdentity,
  inviteProblem,
  type JsonObject,
  openMessage,
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
  parsePacket,
  parsePath,
  parseRevocations,
  portable,
  Reader,
  sealMessage,
  utf8,
  verifyFragment,
  verifyToken,
} from "restante/protocol";
import { Chance, cs01 } from "restante/testing";
import type { Mutator } from "./mutate.ts";
import { hex, parser, type Target, vectors } from "./target.ts";

const lob = vectors<{ packet: string }[]>("vectors/telehash/lob.json").map(({ packet }) => hex(packet));
const streams = vectors<{ expect: string }[]>("vectors/telehash/chunking.json").map(({ expect }) => hex(expect));
const cloaked = vectors<{ cases: { cloaked: string }[] }>("vectors/telehash/cloaking.json").cases.map((one) =>
  hex(one.cloaked),
);
const names = vectors<{ telehash_c: string; keys: JsonObject }[]>("vectors/telehash/hashname.json");
const messages = vectors<{ recipient: JsonObject; cases: { csid: string; inner: string; outer: string }[] }>(
  "vectors/telehash/messages.json",
);
const { sessions } = vectors<{ sessions: Session[] }>("vectors/telehash/sessions.json");
const cards = vectors<{
  card: string;
  read: { peers: JsonObject[] };
  invite: string;
  fragment: { hashname: Hashname; text: string };
}>("protocol/vectors/card.json");
const tokens = vectors<{ cacheKey: string; accept: { token: string; uri: string; shownBy: Hashname }[] }>(
  "protocol/vectors/admission.json",
);
const mail = vectors<{ messages: { inner: string; sealed: string }[] }>("protocol/vectors/mail.json");

interface Session {
  csid: string;
  a: { handshake: string; handshake_inner: string; ephemeral_secret?: string };
  b: { ephemeral_key?: string };
  a_to_b: { inner: string; outer: string };
  b_to_a: { inner: string; outer: string };
}

const crypto = createCrypto(portable);
const session = sessions.find(({ csid }) => csid === "3a") as Session;
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
const keyPackets = sessions
  .filter(({ csid }) => csid === "3a")
  .flatMap(({ a }) => parsePacket(hex(a.handshake_inner))?.body ?? lob);
const token = tokens.accept.map((one) => hex(one.token));
const [cardPeer = {}]: readonly JsonObject[] = cards.read.peers;
const join = encodeJoinLink({
  keys: parseKeys(cardPeer["keys"]) ?? new Map(),
  paths: (cardPeer["paths"] as JsonObject[]).flatMap((path) => parsePath(path) ?? []),
  token: token[0] ?? hex(""),
});

const bytes = (mutator: Mutator, samples: readonly Uint8Array[]): Uint8Array => mutator.bytes(samples);
const packet = (mutator: Mutator, samples: readonly Uint8Array[]): Uint8Array => mutator.packet(samples);
const text = (mutator: Mutator, samples: readonly string[]): string => mutator.text(samples);
const object = (mutator: Mutator, samples: readonly JsonObject[]): JsonObject =>
  mutator.object(mutator.chance.pick(samples));

export const PARSERS: readonly Target[] = [
  parser(
    "fromBase32",
    12_000,
    names.map((one) => one.telehash_c),
    text,
    fromBase32,
  ),
  parser(
    "fromHex",
    5_000,
    messages.cases.map(({ inner }) => inner),
    text,
    fromHex,
  ),
  parser("fromUtf8", 5_000, [utf8("a line, 📬 and ünïcödé"), ...readable], bytes, fromUtf8),
  parser("Reader", 8_000, inners, bytes, readAll),
  parser("parsePacket", 16_000, packets, bytes, parsePacket),
  parser("parseJson", 16_000, readable, bytes, (head) => parseJson(head)),
  parser("Dechunker", 12_000, streams, bytes, dechunk),
  parser("decloak", 8_000, cloaked, bytes, (each) => decloak(portable.chacha20, each)),
  parser(
    "parseHashname",
    6_000,
    names.map((one) => one.telehash_c),
    text,
    parseHashname,
  ),
  parser(
    "parseKeys",
    6_000,
    names.map(({ keys }) => keys),
    object,
    parseKeys,
  ),
  parser("importIdentity", 600, [messages.recipient], object, (json) => importIdentity(crypto, json)),
  parser(
    "openMessage 3a",
    1_200,
    messages.cases.filter(({ csid }) => csid === "3a").map(({ outer }) => hex(outer)),
    bytes,
    opener(),
  ),
  fastMessages(),
  parser("channel cipher 3a", 5_000, [hex(session.a_to_b.outer), hex(session.b_to_a.outer)], bytes, channelOpener()),
  parser("parseHandshake", 10_000, inners, packet, parseHandshake),
  parser("parseKeyPacket", 3_000, keyPackets, packet, (body) => parseKeyPacket(crypto, 0x3a, body)),
  parser("parseCard", 6_000, [hex(cards.card)], bytes, (card) => parseCard(portable, card)),
  parser("parseLink", 8_000, [cards.invite, join, ...tokens.accept.map(({ uri }) => uri)], text, parseLink),
  parser("parseLinkJson", 4_000, [cardPeer], object, (json) => parseLinkJson(portable, json)),
  parser("parsePath", 4_000, cardPeer["paths"] as JsonObject[], object, parsePath),
  parser(
    "parseInvite",
    6_000,
    [cards.invite],
    text,
    (link) => inviteProblem(link) === "" || parseInvite(portable, link),
  ),
  parser("parseJoinLink", 5_000, [join], text, parseJoinLink),
  parser(
    "parseAdmissionUri",
    5_000,
    tokens.accept.map(({ uri }) => uri),
    text,
    parseAdmissionUri,
  ),
  parser("verifyToken", 4_000, token, bytes, (each) =>
    verifyToken(portable, hex(tokens.cacheKey), each, tokens.accept[0]?.shownBy as Hashname, 1e12),
  ),
  parser(
    "parseJoinAnswer",
    4_000,
    [{ key: "a".repeat(52), quota: 1 << 26, cap: 1 << 23, store: "one" }, ...heads],
    object,
    parseJoinAnswer,
  ),
  parser("parseRevocations", 4_000, encodeRevocations([1, 2, 2 ** 40, 2 ** 48 - 1]), bytes, parseRevocations),
  parser("verifyFragment", 4_000, [cards.fragment.text], text, (each) =>
    verifyFragment(portable, cards.fragment.hashname, each, each),
  ),
];

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
  const found = [...dechunker.push(stream.subarray(0, cut)), ...dechunker.push(stream.subarray(cut))];
  if (found.some(({ length }) => length === 0 || length > MAX_PACKET)) throw new Error("a packet of a wrong length");
  return found.length > 0 ? found : undefined;
}

function opener(): (outer: Uint8Array) => unknown {
  const identity = importIdentity(crypto, messages.recipient);
  return (outer) => {
    const opened = identity && openMessage(crypto, identity, outer);
    return opened?.verify(outer.subarray(3, 35)) === undefined ? undefined : opened;
  };
}

/** Messages of the test set, which are cheap: damaged ones must not verify. */
function fastMessages(): Target {
  const fast = createCrypto(portable, [cs01()]);
  const { random } = new Chance(1);
  const [from, to] = [createIdentity(fast, random), createIdentity(fast, random)];
  const samples = inners.flatMap((inner) => sealMessage(fast, { from, to: to.keys, inner, random }) ?? []);
  const whole = new Set(samples.map(String));
  return parser("openMessage 01", 8_000, samples, bytes, (outer) => {
    const opened = openMessage(fast, to, outer);
    const isProven = opened?.verify(from.keys.get(1) ?? outer) === true;
    if (isProven && !whole.has(String(outer))) throw new Error("a damaged message verifies");
    return opened;
  });
}

function channelOpener(): (outer: Uint8Array) => unknown {
  const set = cs3a(portable);
  const ours = set.keyPair(hex(session.a.ephemeral_secret ?? ""));
  const cipher = ours && set.channel(ours, hex(session.b.ephemeral_key ?? ""));
  return (outer) => cipher?.open(parsePacket(outer)?.body ?? outer);
}

const MAX_PACKET = 400;
