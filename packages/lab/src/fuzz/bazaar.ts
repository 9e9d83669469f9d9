/** The formats of the bazaar: what reads the bytes of its peers, push nodes, DHT and storages. */
import {
  Assembly,
  acknowledgedBy,
  blockOf,
  chatOf,
  cidOf,
  commandOf,
  encodeAddress,
  encodeMessage,
  encodePointerAnswer,
  encodePointerRequest,
  errorOf,
  extend,
  extensionOf,
  Frames,
  identityFromSeed,
  magicId,
  open,
  parseAddress,
  parseEnvelope,
  parseMessage,
  parsePeerId,
  parsePointerAnswer,
  parsePointerRequest,
  parsePrivateKey,
  parsePublicKey,
  seal,
  sign,
  split,
  storedCids,
} from "@restante/bazaar/format";
import { concat, encodeVarint, toHex } from "restante/protocol";
import { Chance } from "restante/testing";
import { type Bound, BYTES, hex, parser, type Target, TEXT, vectors } from "./target.ts";

const { vectors: messages } = vectors<{ vectors: { messageHex: string; streamFrameHex: string }[] }>(
  "vectors/openbazaar/messages.json",
);
const { vectors: sealed } = vectors<{ vectors: { envelopeHex?: string; to: string; ciphertextHex: string }[] }>(
  "vectors/openbazaar/envelopes.json",
);
const { identities } = vectors<{
  identities: { name: string; peerId: string; pubKeyPbHex: string; privKeyPbHex: string }[];
}>("vectors/openbazaar/identities.json");
const { vectors: pointers } = vectors<{
  vectors: { addProviderHex: string; getProvidersHex: string; addrBytesHex: string }[];
}>("vectors/openbazaar/pointers.json");

const COSTLY: Bound = { ms: 200, msPerKilobyte: 2 }; // curves
const { random } = new Chance(3);
const [alice, bob] = [identityFromSeed(random(32)), identityFromSeed(random(32))];
const encoded = messages.map(({ messageHex }) => hex(messageHex));
const extended = encoded
  .filter((bytes) => bytes.length > 0)
  .map((bytes) =>
    encodeMessage(
      extend(parseMessage(bytes) ?? { type: 0 }, { recipient: bob.id, id: random(16), time: 1, preimage: random(32) }),
    ),
  );
const contents = extended.map(
  (bytes) => seal(alice, bob.publicKey, parseMessage(bytes) ?? { type: 0 }, random) ?? hex(""),
);
const envelopes = [
  ...sealed.flatMap(({ envelopeHex }) => (envelopeHex === undefined ? [] : [hex(envelopeHex)])),
  ...extended,
];
const genuine = new Set(contents.map(toHex));
const tree = split(new Uint8Array(300_000).fill(1));
const pointer = {
  id: magicId(hex("00")),
  address: hex(pointers[0]?.addrBytesHex ?? ""),
  size: 7,
  withdraw: random(32),
};
const key = cidKey();

export const BAZAAR: readonly Target[] = [
  parser("bazaar-message", 6000, BYTES, [...encoded.filter((bytes) => bytes.length > 0), ...extended], (bytes) => {
    const message = parseMessage(bytes);
    if (message === undefined) return undefined;
    for (const read of [chatOf, commandOf, blockOf, errorOf, acknowledgedBy, extensionOf]) read(message);
    storedCids(message, 100);
    const again = encodeMessage(message);
    const twice = parseMessage(again);
    if (twice === undefined || toHex(encodeMessage(twice)) !== toHex(again)) throw new Error("it is another one");
    return message;
  }),
  parser(
    "bazaar-envelope",
    1000,
    BYTES,
    envelopes,
    (bytes) => parseEnvelope(bytes, bob.id) ?? parseEnvelope(signedBy(bytes), bob.id),
    COSTLY,
  ),
  parser(
    "bazaar-open",
    400,
    BYTES,
    contents,
    (content) => {
      const opened = open(bob, content);
      if (opened !== undefined && !genuine.has(toHex(content))) throw new Error("a message that nobody sealed opens");
      return opened;
    },
    COSTLY,
  ),
  parser("bazaar-frames", 4000, BYTES, [...messages.map(({ streamFrameHex }) => hex(streamFrameHex))], (bytes) => {
    const frames = new Frames(1000);
    const whole = frames.push(bytes);
    const cut = new Frames(1000);
    const pieces = [...bytes].flatMap((byte) => cut.push(Uint8Array.of(byte))?.map(toHex) ?? []);
    // Cut anywhere, the frames before a bad length still come; whole, a bad length spoils its piece.
    if (whole !== undefined && whole.map(toHex).join() !== pieces.join()) throw new Error("pieces give other frames");
    return whole;
  }),
  parser(
    "bazaar-pointer",
    4000,
    BYTES,
    [
      ...pointers.flatMap((one) => [hex(one.addProviderHex), hex(one.getProvidersHex)]),
      encodePointerRequest({ type: "add", key, pointer }),
      encodePointerRequest({ type: "withdraw", key, id: pointer.id, preimage: random(32) }),
    ],
    (bytes) => {
      const request = parsePointerRequest(bytes);
      if (request !== undefined && parsePointerRequest(encodePointerRequest(request)) === undefined)
        throw new Error("what was read does not read again");
      return request;
    },
  ),
  parser(
    "bazaar-pointers",
    3000,
    BYTES,
    [encodePointerAnswer({ type: "pointers", key, pointers: [pointer, pointer], next: random(8) })],
    (bytes) => parsePointerAnswer(bytes),
  ),
  parser(
    "bazaar-address",
    4000,
    BYTES,
    [hex(pointers[0]?.addrBytesHex ?? ""), encodeAddress({ type: "https", url: "https://example.org/x" })],
    parseAddress,
  ),
  parser("bazaar-block", 4000, BYTES, [tree[0]?.bytes ?? hex("")], (bytes) => {
    const assembly = new Assembly(cidOf(bytes), 1_000_000);
    if (!assembly.add(bytes)) throw new Error("the root was wanted");
    if (assembly.failed) return undefined;
    if (assembly.wanted(1000).length > 174) throw new Error("one block wants more than it may");
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
    parsePublicKey,
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

/** What a hostile sender does: signs whatever it likes. */
function signedBy(message: Uint8Array): Uint8Array {
  const fields = [message, alice.publicKey, sign(alice, message)];
  return concat(...fields.flatMap((field, at) => [Uint8Array.of(8 * (at + 1) + 2), encodeVarint(field.length), field]));
}

function cidKey(): Uint8Array {
  return hex(pointers[0]?.getProvidersHex.slice(8) ?? "");
}
