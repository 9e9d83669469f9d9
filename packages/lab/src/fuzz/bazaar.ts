/** The formats of the bazaar: what reads the bytes of its peers, push nodes, DHT and storages. */
import { isDeepStrictEqual } from "node:util";
import {
  ANSWER_BYTES,
  Assembly,
  acknowledgedBy,
  blockOf,
  chatOf,
  cidOf,
  commandOf,
  encodeAddress,
  encodedPointerBytes,
  encodeEd25519,
  encodeEnvelope,
  encodeMessage,
  encodePointerAnswer,
  encodePointerRequest,
  errorOf,
  extend,
  extensionOf,
  Frames,
  identityFromRsa,
  identityFromSeed,
  isMagicId,
  type Message,
  magicId,
  type Opened,
  open,
  PAGE_POINTERS,
  type PointerAnswer,
  parseAddress,
  parseEnvelope,
  parseMessage,
  parsePeerId,
  parsePointerAnswer,
  parsePointerRequest,
  parsePrivateKey,
  parsePublicKey,
  peerIdOf,
  seal,
  sealedOf,
  sign,
  split,
  storedCids,
  verify,
} from "@restante/bazaar/format";
import { nodeRsaKey } from "@restante/bazaar/rsa";
import { concat, encodeVarint, equal, toHex } from "restante/protocol";
import { Chance } from "restante/testing";
import { type Bound, BYTES, hex, parser, type Target, TEXT, vectors } from "./target.ts";

const { vectors: messages } = vectors<{ vectors: { messageHex: string; streamFrameHex: string }[] }>(
  "vectors/openbazaar/messages.json",
);
const { vectors: sealed } = vectors<{ vectors: { envelopeHex?: string; messageHex?: string }[] }>(
  "vectors/openbazaar/envelopes.json",
);
const { identities } = vectors<{
  identities: { name: string; peerId: string; pubKeyPbHex: string; privKeyPbHex: string; rsaPkcs1DerHex?: string }[];
}>("vectors/openbazaar/identities.json");
const { vectors: pointers } = vectors<{
  vectors: { addProviderHex: string; getProvidersHex: string; addrBytesHex: string }[];
}>("vectors/openbazaar/pointers.json");

const COSTLY: Bound = { ms: 200, msPerKilobyte: 2 }; // curves
const THRICE: Bound = { ms: 20, msPerKilobyte: 6 }; // what is judged is read again, and byte by byte
const { random } = new Chance(3);
const [alice, bob] = [identityFromSeed(random(32)), identityFromSeed(random(32))];
const old = oldIdentity();
const encoded = messages.map(({ messageHex }) => hex(messageHex)).filter((bytes) => bytes.length > 0);
const extended = encoded.map((bytes) =>
  extend(parseMessage(bytes) ?? { type: 0 }, { recipient: bob.id, id: random(16), time: 1, preimage: random(32) }),
);
const contents = extended.flatMap((message, at) => [
  seal(alice, bob.publicKey, message, random) ?? hex(""),
  ...(at === 0 ? [seal(alice, old.publicKey, { type: 1 }, random) ?? hex("")] : []),
]);
const envelopes = [
  ...sealed.flatMap(({ envelopeHex }) => (envelopeHex === undefined ? [] : [hex(envelopeHex)])),
  ...extended.map((message) => encodeEnvelope(alice, message)),
];
/** What somebody has signed: nothing else may come out of an envelope. */
const signed = new Set([...sealed.flatMap(({ messageHex }) => messageHex ?? []), ...extended.map(spelled)]);
const genuine = new Set(contents.map(toHex));
const tree = split(new Uint8Array(300_000).fill(1));
const pointer = {
  id: magicId(hex("00")),
  address: hex(pointers[0]?.addrBytesHex ?? ""),
  size: 7,
  withdraw: random(32),
};
const bare = { id: magicId(hex("01")), address: encodeAddress({ type: "https", url: "https://example.org/x" }) };
const key = cidKey();

export const BAZAAR: readonly Target[] = [
  parser("bazaar-message", 6000, BYTES, [...encoded, ...extended.map(encodeMessage)], (bytes) => {
    const message = parseMessage(bytes);
    if (message === undefined) return undefined;
    const twice = parseMessage(encodeMessage(message));
    if (twice === undefined || !isDeepStrictEqual(twice, message)) throw new Error("written again, it is another one");
    const said = READERS.map((read) => read(message));
    if (
      !isDeepStrictEqual(
        said,
        READERS.map((read) => read(twice)),
      )
    )
      throw new Error("written again, it says other things");
    return message;
  }),
  parser(
    "bazaar-envelope",
    1000,
    BYTES,
    [...envelopes, ...extended.map(encodeMessage)],
    (bytes) => {
      const opened = parseEnvelope(bytes, bob.id);
      if (opened === undefined) return judged(parseEnvelope(signedBy(bytes), bob.id));
      if (!signed.has(toHex(opened.signed))) throw new Error("a message that nobody signed opens");
      return judged(opened);
    },
    COSTLY,
  ),
  parser(
    "bazaar-open",
    400,
    BYTES,
    contents,
    (content) => {
      const opened = open(bob, content) ?? open(old, content);
      if (opened !== undefined && !genuine.has(toHex(content))) throw new Error("a message that nobody sealed opens");
      return opened;
    },
    COSTLY,
  ),
  parser(
    "bazaar-frames",
    4000,
    BYTES,
    [...messages.map(({ streamFrameHex }) => hex(streamFrameHex))],
    (bytes) => {
      const frames = new Frames(FRAME);
      const whole = frames.push(bytes);
      if (frames.held > HELD) throw new Error("more is held than a frame may have");
      for (const length of [1, 1 + (bytes.length >> 1)]) {
        const cut = new Frames(FRAME);
        const pieces: string[] = [];
        for (let at = 0; at < bytes.length; at += length)
          pieces.push(...(cut.push(bytes.subarray(at, at + length))?.map(toHex) ?? []));
        if (frames.held !== cut.held) throw new Error("pieces are held in another way");
        // Cut anywhere, the frames before a bad length still come; whole, a bad length spoils its piece.
        if (whole !== undefined && whole.map(toHex).join() !== pieces.join())
          throw new Error("pieces give other frames");
      }
      return whole;
    },
    THRICE,
  ),
  parser(
    "bazaar-pointer",
    4000,
    BYTES,
    [
      ...pointers.flatMap((one) => [hex(one.addProviderHex), hex(one.getProvidersHex)]),
      encodePointerRequest({ type: "add", key, pointer }),
      encodePointerRequest({ type: "get", key, cursor: random(4) }),
      encodePointerRequest({ type: "withdraw", key, id: pointer.id, preimage: random(32) }),
    ],
    (bytes) => {
      const request = parsePointerRequest(bytes);
      if (request !== undefined && !isDeepStrictEqual(parsePointerRequest(encodePointerRequest(request)), request))
        throw new Error("what was read does not read again");
      return request;
    },
  ),
  parser(
    "bazaar-pointers",
    3000,
    BYTES,
    [
      encodePointerAnswer({ type: "pointers", key, pointers: [pointer, { ...bare, life: 600 }], next: random(8) }),
      encodePointerAnswer({ type: "pointers", key, pointers: Array.from({ length: PAGE_POINTERS }, () => bare) }),
      encodePointerAnswer({ type: "status", key, status: "full" }),
    ],
    (bytes) => {
      const answer = parsePointerAnswer(bytes);
      if (answer?.type === "pointers") judgePage(answer);
      else if (answer !== undefined && !isDeepStrictEqual(parsePointerAnswer(encodePointerAnswer(answer)), answer))
        throw new Error("a status reads as another");
      return answer;
    },
  ),
  parser("bazaar-address", 4000, BYTES, [pointer.address, bare.address], (bytes) => {
    const address = parseAddress(bytes);
    if (address !== undefined && !equal(encodeAddress(address), bytes)) throw new Error("an address has two forms");
    return address;
  }),
  parser("bazaar-block", 4000, BYTES, [tree[0]?.bytes ?? hex(""), split(random(9))[0]?.bytes ?? hex("")], (bytes) => {
    const assembly = new Assembly(cidOf(bytes), LIMIT);
    if (!assembly.add(bytes)) throw new Error("the root was wanted");
    if (assembly.failed) return undefined;
    const wanted = assembly.wanted(1000).length;
    if (wanted > 174) throw new Error("one block wants more than it may");
    const content = assembly.content();
    if ((content === undefined) !== wanted > 0) throw new Error("a content is there too early, or not at all");
    if ((content?.length ?? 0) > bytes.length) throw new Error("a content is longer than its block");
    return assembly;
  }),
  parser(
    "bazaar-id",
    3000,
    TEXT,
    identities.map(({ peerId }) => peerId),
    parsePeerId,
  ),
  parser(
    "bazaar-key",
    2000,
    BYTES,
    identities.map(({ pubKeyPbHex }) => hex(pubKeyPbHex)),
    (bytes) => {
      const read = parsePublicKey(bytes);
      if (read?.kind === "ed25519" && !equal(encodeEd25519(read.key), bytes)) throw new Error("a key has two forms");
      const length = read?.kind === "rsa" ? read.key.modulus.length : 64;
      for (const first of [0, 1]) {
        const forged = Uint8Array.from({ length }, (_, at) => (at === 0 ? first : 0)); // with 1: a point of low order
        if (verify(bytes, hex("00"), forged)) throw new Error("a signature that anybody can write is taken");
      }
      return read;
    },
    COSTLY,
  ),
  parser(
    "bazaar-private-key",
    300,
    BYTES,
    identities.map(({ privKeyPbHex }) => hex(privKeyPbHex)),
    parsePrivateKey,
    COSTLY,
  ),
];

/** What an envelope gives is what it says of itself. */
function judged(opened: Opened | undefined): Opened | undefined {
  if (opened === undefined) return undefined;
  const { from, publicKey, message, signed: bytes, extension } = opened;
  if (from !== peerIdOf(publicKey)) throw new Error("a message comes from another than its signer");
  if (!isDeepStrictEqual(parseMessage(bytes), message)) throw new Error("what was read is not what was signed");
  if (extension !== undefined && extension.recipient !== bob.id) throw new Error("it is another's, and opens");
  return opened;
}

function spelled(message: Message): string {
  return toHex(encodeMessage(message));
}

function judgePage(page: PointerAnswer & { type: "pointers" }): void {
  if (page.pointers.length > PAGE_POINTERS) throw new Error("a page is too long");
  const empty = encodePointerAnswer({ ...page, pointers: [] }).length;
  for (const one of page.pointers) {
    if (!isMagicId(one.id) || parseAddress(one.address) === undefined) throw new Error("a pointer leads nowhere");
    const { length } = encodePointerAnswer({ ...page, pointers: [one] });
    if (length - empty > encodedPointerBytes(one)) throw new Error("a pointer takes more than is said");
  }
  const again = encodePointerAnswer(page);
  if (again.length <= ANSWER_BYTES && !isDeepStrictEqual(parsePointerAnswer(again), page))
    throw new Error("what was read does not read again");
}

/** What a hostile sender does: signs whatever it likes. */
function signedBy(message: Uint8Array): Uint8Array {
  const fields = [message, alice.publicKey, sign(alice, message)];
  return concat(...fields.flatMap((field, at) => [Uint8Array.of(8 * (at + 1) + 2), encodeVarint(field.length), field]));
}

function cidKey(): Uint8Array {
  return hex(pointers[0]?.getProvidersHex.slice(8) ?? "");
}

/** Of the time before Ed25519. */
function oldIdentity(): ReturnType<typeof identityFromSeed> {
  const { rsaPkcs1DerHex = "" } = identities.find(({ name }) => name === "rsa-4096") ?? {};
  const identity = identityFromRsa(nodeRsaKey(hex(rsaPkcs1DerHex)));
  if (identity === undefined) throw new Error("a vector holds no key");
  return identity;
}

const READERS: readonly ((message: Message) => unknown)[] = [
  chatOf,
  commandOf,
  blockOf,
  errorOf,
  acknowledgedBy,
  extensionOf,
  sealedOf,
  (message) => storedCids(message, 100),
];
const LIMIT = 1_000_000;
const FRAME = 1000;
const HELD = FRAME + 5; // of one frame, and its length
