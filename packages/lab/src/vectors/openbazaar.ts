/** The vectors of OpenBazaar's offline messages, against the public functions. vectors/README.md says when a case passes. */
import {
  Assembly,
  acknowledgedBy,
  blockMessage,
  blockOf,
  boxKeyOf,
  type Cid,
  chatId,
  chatOf,
  cidOf,
  commandMessage,
  commandOf,
  decrypt,
  ed25519KeyOf,
  encodeAddress,
  encodeChat,
  encodeEnvelope,
  encodeFrame,
  encodeMessage,
  encodePointerRequest,
  encrypt,
  errorOf,
  Frames,
  fromBase58,
  type Identity,
  identityFromRsa,
  identityFromSeed,
  identityFromWords,
  type Message,
  magicId,
  type Opened,
  offlineAck,
  open,
  parseAddress,
  parseMessage,
  parsePeerId,
  parsePointerRequest,
  parsePrivateKey,
  parsePublicKey,
  peerIdOf,
  pointerKey,
  pointerKeyOfDigest,
  rendezvousOf,
  showAddress,
  sign,
  split,
  storedCids,
  storeMessage,
  TYPES,
  toBase58,
  topicOf,
  writeTime,
} from "@restante/bazaar/format";
import { nodeRsaKey } from "@restante/bazaar/rsa";
import { concat, portable, toHex, utf8 } from "restante/protocol";
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
export const OPENBAZAAR: Readonly<Record<string, Runner>> = {
  identities: (file) => each(object(file, "identities")["identities"], "identities", identity),
  "chat-message-ids": (file) => each(object(file, "chat-message-ids")["vectors"], "vectors", chatMessageId),
  messages: (file) => each(object(file, "messages")["vectors"], "vectors", message),
  "signed-data": (file, beside) => {
    const who = identities(beside);
    return each(object(file, "signed-data")["vectors"], "vectors", (one) => signedData(one, who));
  },
  envelopes: (file, beside) => {
    const who = identities(beside);
    return each(object(file, "envelopes")["vectors"], "vectors", (one) => envelope(one, who));
  },
  "pointer-keys": (file) => {
    const { vectors, inlineIdentityPeerIds_all_collide } = object(file, "pointer-keys");
    return [
      ...each(vectors, "vectors", keyOfPointers),
      ...each(inlineIdentityPeerIds_all_collide ?? [], "inline", inlineId),
    ];
  },
  pointers: (file) => {
    const { vectors, dropbox } = object(file, "pointers");
    return [
      ...each(vectors, "vectors", pointer),
      ...each(dropbox === undefined ? [] : [dropbox], "dropbox", httpsPointer),
    ];
  },
  cids: (file) => each(object(file, "cids")["vectors"], "vectors", contentId),
  negative: (file, beside) => {
    const who = identities(beside);
    return each(object(file, "negative")["vectors"], "vectors", (one) => negative(one, who));
  },
};

/** An identity of the vectors, with its whole key. */
type Who = (name: string) => Identity;

/** A case for each item of the list. */
function each(items: unknown, what: string, check: (one: Fields) => void): Case[] {
  return list(items, what).map((one, index) => ({
    name: `${what}[${index}]${typeof one["name"] === "string" ? ` ${one["name"]}` : ""}`,
    isUnsupported: false,
    check: () => check(one),
  }));
}

/** Whoever is named in the file of identities, made when first asked for. */
function identities(beside: (name: string) => unknown): Who {
  const all = list(object(beside("identities"), "identities")["identities"], "identities");
  const made = new Map<string, Identity>();
  return (name) => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const one = given(
      all.find((each) => each["name"] === name),
      `no identity is called ${name}`,
    );
    const fresh = given(identityOf(bytes(one, "privKeyPbHex")), `the key of ${name} cannot be used`);
    made.set(name, fresh);
    return fresh;
  };
}

/** The identity of a libp2p PrivateKey protobuf; of RSA keys, only those of 4096 bits. */
function identityOf(privateKey: Uint8Array): Identity | undefined {
  const parsed = parsePrivateKey(privateKey);
  if (parsed === undefined) return undefined;
  return parsed.kind === "ed25519" ? identityFromSeed(parsed.seed) : identityFromRsa(nodeRsaKey(parsed.pkcs1));
}

function identity(one: Fields): void {
  const publicKey = bytes(one, "pubKeyPbHex");
  const id = text(one, "peerId");
  holds(parsePublicKey(publicKey) !== undefined, "the public key does not parse");
  sameText(peerIdOf(publicKey), id, "peerId");
  same(fromBase58(id), bytes(one, "peerIdMultihashHex"), "multihash");
  same(concat(utf8("/pk/"), bytes(one, "peerIdMultihashHex")), bytes(one, "dhtPubkeyRecordKeyHex"), "record key");
  same(Buffer.from(text(one, "privKeyPbBase64"), "base64"), bytes(one, "privKeyPbHex"), "base64");
  const whole = identityOf(bytes(one, "privKeyPbHex"));
  if (text(one, "keyType") === "RSA") {
    const parsed = parsePrivateKey(bytes(one, "privKeyPbHex"));
    same(parsed?.kind === "rsa" ? parsed.pkcs1 : undefined, bytes(one, "rsaPkcs1DerHex"), "private key");
    // OpenBazaar encrypts to smaller keys, and nobody can decrypt it: such an identity is refused.
    const isUsable = bytes(one, "rsaSpkiDerHex").length > 500;
    sameText(whole?.id, isUsable ? id : null, "identity");
    return;
  }
  const mine = given(whole, "the private key does not parse");
  sameText(mine.id, id, "identity");
  same(mine.publicKey, publicKey, "public key");
  same(ed25519KeyOf(publicKey), bytes(one, "ed25519PubRawHex"), "raw key");
  same(boxKeyOf(publicKey), bytes(one, "x25519PubHex"), "X25519 key");
  same(portable.x25519Key(bytes(one, "x25519PrivHex")), bytes(one, "x25519PubHex"), "X25519 key of the private one");
  if (has(one, "mnemonic")) sameText(identityFromWords(text(one, "mnemonic"))?.id, id, "identity from words");
  if (has(one, "ed25519SeedHex"))
    sameText(identityFromSeed(bytes(one, "ed25519SeedHex")).id, id, "identity from a seed");
  if (has(one, "modernIdentityMultihashPeerId")) {
    const inline = text(one, "modernIdentityMultihashPeerId");
    sameText(toBase58(concat(Uint8Array.of(0, publicKey.length), publicKey)), inline, "inline id");
    holds(parsePeerId(inline) === undefined, "an inline id is no peer id here");
  }
}

function chatMessageId(one: Fields): void {
  const time = { seconds: number(one, "timestampSeconds"), nanos: number(one, "timestampNanos") };
  const [said, subject] = [text(one, "message"), text(one, "subject")].map(repeated) as [string, string];
  sameText(writeTime(time), text(one, "timestampString"), "time");
  sameText(chatId(said, subject, time), text(one, "messageId"), "message id");
  same(fromBase58(text(one, "messageId")), bytes(one, "multihashHex"), "multihash");
  if (has(one, "sha256Hex")) same(bytes(one, "multihashHex").subarray(2), bytes(one, "sha256Hex"), "hash");
}

/** Long texts stand as "x*20000". */
function repeated(value: string): string {
  const [, character, count] = /^(.)\*(\d+)$/u.exec(value) ?? [];
  return character === undefined ? value : character.repeat(Number(count));
}

function message(one: Fields): void {
  const encoded = bytes(one, "messageHex");
  const parsed = given(parseMessage(encoded), "it does not parse");
  holds(parsed.type === number(one, "messageType"), `type ${parsed.type}`);
  same(encodeMessage(parsed), encoded, "encoded again");
  if (has(one, "streamFrameHex")) {
    const frame = bytes(one, "streamFrameHex");
    same(encodeFrame(encoded), frame, "frame");
    same(new Frames().push(frame)?.[0], encoded, "read from its frame");
  }
  if (!has(one, "payloadValueHex")) return;
  const value = bytes(one, "payloadValueHex");
  sameText(parsed.payload?.typeUrl, text(one, "payloadTypeUrl"), "type_url");
  same(parsed.payload?.value, value, "payload");
  const json = has(one, "payloadJson") ? object(one["payloadJson"], "payloadJson") : undefined;
  if (parsed.type === TYPES.OFFLINE_ACK) {
    const magic = given(acknowledgedBy(parsed), "an acknowledgement of nothing");
    same(encodeMessage(offlineAck(magic)), encoded, "acknowledgement");
  }
  if (json === undefined) return;
  if (parsed.type === TYPES.CHAT) chat(parsed, value, json);
  if (parsed.type === TYPES.STORE) {
    const cids = given(storedCids(parsed, 1000), "no list of ids");
    sameText(JSON.stringify(cids), JSON.stringify(json["cids"] ?? []), "ids");
    const again = { ...parsed, payload: storeMessage(cids).payload };
    same(encodeMessage(again), encoded, "list of ids");
  }
  if (parsed.type === TYPES.BLOCK) {
    const block = given(blockOf(parsed), "no block");
    sameText(block.cid, text(json, "cid"), "id of the block");
    sameText(Buffer.from(block.bytes).toString("base64"), text(json, "rawData"), "block");
    sameText(cidOf(block.bytes), block.cid, "hash of the block");
    same(encodeMessage(blockMessage(block.cid, block.bytes)), encoded, "block");
  }
  if (parsed.type === TYPES.ERROR) {
    const error = given(errorOf(parsed), "no error");
    sameText(error.text, has(json, "errorMessage") ? text(json, "errorMessage") : "", "error");
  }
  if (parsed.payload?.typeUrl.endsWith("/SignedData"))
    holds(commandOf(parsed) !== undefined, "the command is not signed");
}

function chat(parsed: Message, value: Uint8Array, json: Fields): void {
  const said = given(chatOf(parsed), "no chat");
  const or = (key: string): string => (has(json, key) ? text(json, key) : "");
  sameText(said.messageId, or("messageId"), "message id");
  sameText(said.subject, or("subject"), "subject");
  sameText(said.text, or("message"), "text");
  sameText(said.flag, ["message", "typing", "read"][Number(json["flag"] ?? 0)] ?? null, "flag");
  if (has(json, "timestamp")) {
    const time = object(json["timestamp"], "timestamp");
    sameText(`${said.time?.seconds}`, `${time["seconds"] ?? 0}`, "seconds");
    sameText(`${said.time?.nanos}`, `${time["nanos"] ?? 0}`, "nanoseconds");
  }
  same(encodeChat(said), value, "chat");
}

function signedData(one: Fields, who: Who): void {
  const signer = who(text(one, "signer"));
  const time = { seconds: number(one, "timestampSeconds"), nanos: number(one, "timestampNanos") };
  const peer = given(parsePeerId(text(one, "peerID")), "the peer is none");
  const type = number(one, "typeValue");
  const signed = commandMessage(signer, { peer, type, time });
  same(signed.payload?.value, bytes(one, "signedDataHex"), "signed data");
  same(sign(signer, bytes(one, "commandHex")), bytes(one, "signatureHex"), "signature");
  const command = given(commandOf(signed), "the signature is refused");
  sameText(command.from, signer.id, "signer");
  sameText(command.peer, peer, "peer");
  holds(command.type === type && commandOf({ ...signed, type: type + 1 }) === undefined, "type");
}

function envelope(one: Fields, who: Who): void {
  const ciphertext = bytes(one, "ciphertextHex");
  const to = whoOr(text(one, "to"), who);
  if (to === undefined) {
    const isRefused = !has(one, "open") || object(one["open"], "open")["ok"] !== true;
    holds(isRefused, "the recipient's key cannot be used");
    return;
  }
  if (has(one, "plaintextHex")) {
    const plain = bytes(one, "plaintextHex");
    same(decrypt(to, ciphertext), plain, "plaintext");
    same(encrypt(to.publicKey, plain, drawn(to, ciphertext, first(one))), ciphertext, "ciphertext");
    return;
  }
  const expected = object(one["open"], "open");
  const opened = open(to, ciphertext);
  if (expected["ok"] !== true) {
    holds(opened === undefined, "opened, and should not have been");
    return;
  }
  const read = given(opened, "refused");
  checkOpened(read, expected);
  const sealed = bytes(one, "envelopeHex");
  same(read.signed, bytes(one, "messageHex"), "message");
  const plain = given(decrypt(to, ciphertext), "it does not decrypt");
  same(plain, sealed, "envelope");
  const sender = whoOr(text(one, "from"), who);
  if (sender !== undefined) {
    same(encodeEnvelope(sender, read.message), sealed, "signed again");
    same(sign(sender, read.signed), bytes(one, "signatureHex"), "signature");
  }
  same(encrypt(to.publicKey, sealed, drawn(to, ciphertext, first(one))), ciphertext, "ciphertext");
  const named = one["ciphertextSha256Hex(outbox filename)"];
  if (typeof named === "string") sameText(toHex(portable.sha256(ciphertext)), named, "name of the file");
}

/** An identity whose key can be used: with RSA of 2048 bits one only verifies, not even OpenBazaar decrypts with it. */
function whoOr(name: string, who: Who): Identity | undefined {
  try {
    return who(name);
  } catch {
    return undefined;
  }
}

function checkOpened(opened: Opened, expected: Fields): void {
  sameText(opened.from, text(expected, "sender"), "sender");
  const name = Object.entries(TYPES).find(([, type]) => type === opened.message.type)?.[0] ?? `${opened.message.type}`;
  sameText(name, text(expected, "messageType"), "type");
  const again = bytes(expected, "remarshalledMessageHex");
  same(encodeMessage(opened.message), again, "encoded again");
}

function first(one: Fields): Uint8Array {
  const keys = ["ephemeralPrivHex", "secretKeyHex", "firstRandom32Hex(eph priv or rsa secret)"];
  return bytes(
    one,
    given(
      keys.find((key) => has(one, key)),
      "no randomness to repeat",
    ),
  );
}

/** The randomness with which a ciphertext was made: the first draw is known, the rest is in the ciphertext. */
function drawn(to: Identity, ciphertext: Uint8Array, secret: Uint8Array): (length: number) => Uint8Array {
  const key = to.secret.kind === "rsa" ? to.secret.key : undefined;
  const padded = key?.decryptRaw(ciphertext.subarray(4, 516));
  const rest =
    key === undefined ? [ciphertext.subarray(0, 24)] : [padded?.subarray(2, 479), ciphertext.subarray(516, 532)];
  const draws = [secret, ...rest];
  return (length) => {
    const next = given(draws.shift(), "more randomness than there was");
    holds(next.length === length, `${length} bytes of randomness instead of ${next.length}`);
    return next.slice();
  };
}

function keyOfPointers(one: Fields): void {
  const id = given(parsePeerId(text(one, "peerId")), "no peer id");
  const key = pointerKey(id, number(one, "prefixLen"));
  same(fromBase58(id)?.subarray(2), bytes(one, "digestHex"), "digest");
  same(key, bytes(one, "keyMultihashHex"), "key");
  sameText(toBase58(key), text(one, "keyCid"), "CID of the key");
  if (has(one, "dhtKeyBytesHex")) same(key, bytes(one, "dhtKeyBytesHex"), "key in the DHT");
  if (has(one, "kadSpaceSha256Hex")) same(portable.sha256(key), bytes(one, "kadSpaceSha256Hex"), "place in the DHT");
}

/** The inline form of an id would give everybody the same key: it is refused as an id. */
function inlineId(one: Fields): void {
  holds(parsePeerId(text(one, "identityMultihashPeerId")) === undefined, "an inline id is no peer id here");
  const digest = bytes(one, "mhHex").subarray(2);
  sameText(toBase58(pointerKeyOfDigest(digest, number(one, "prefixLen"))), text(one, "keyCid"), "CID of the key");
}

function pointer(one: Fields): void {
  const recipient = given(parsePeerId(text(one, "recipient")), "no peer id");
  const key = pointerKey(recipient);
  const id = magicId(bytes(one, "entropyHex(ciphertext)"));
  const address = bytes(one, "addrBytesHex");
  sameText(toBase58(key), text(one, "pointerCid"), "key");
  sameText(toBase58(id), text(one, "magicPeerId"), "magic id");
  same(id, bytes(one, "magicPeerIdMultihashHex"), "bytes of the magic id");
  const where = given(parseAddress(address), "no address");
  sameText(showAddress(where), text(one, "addr"), "address");
  same(encodeAddress(where), address, "bytes of the address");
  const add = { type: "add", key, pointer: { id, address } } as const;
  const get = { type: "get", key } as const;
  same(encodePointerRequest(add), bytes(one, "addProviderHex"), "ADD_PROVIDER");
  same(encodePointerRequest(get), bytes(one, "getProvidersHex"), "GET_PROVIDERS");
  for (const request of [add, get]) {
    const parsed = given(parsePointerRequest(encodePointerRequest(request)), `${request.type} does not parse`);
    same(encodePointerRequest(parsed), encodePointerRequest(request), `${request.type} parsed`);
  }
  sameText(topicOf(key), text(one, "pubsubTopic"), "topic");
  sameText(rendezvousOf(topicOf(key)), text(one, "pubsubRendezvousCid"), "rendezvous");
}

/** Later versions of its own libraries refuse the address that OpenBazaar makes of a URL; here it reads and writes. */
function httpsPointer(one: Fields): void {
  const url = text(one, "url");
  const address = encodeAddress({ type: "https", url });
  holds(toHex(address).includes(text(one, "multihashHex")), "the URL is not in the address as a multihash");
  const back = parseAddress(address);
  sameText(back?.type === "https" ? back.url : undefined, url, "URL");
}

function contentId(one: Fields): void {
  const content = contentOf(text(one, "content"), number(one, "size"));
  holds(content.length === number(one, "size"), `the content has ${content.length} bytes`);
  const blocks = split(content);
  const [root] = blocks;
  const cid = text(one, "cid");
  sameText(root?.cid, cid, "CID");
  same(fromBase58(cid), bytes(one, "cidBytesHex"), "bytes of the CID");
  holds(root?.bytes.length === number(one, "rootBlockLen"), `the root has ${root?.bytes.length} bytes`);
  if (has(one, "rootBlockHex")) same(root?.bytes, bytes(one, "rootBlockHex"), "root");
  if (has(one, "multiaddr"))
    sameText(showAddress({ type: "ipfs", cid: cid as Cid }), text(one, "multiaddr"), "address");
  if (has(one, "multiaddrBytesHex"))
    same(encodeAddress({ type: "ipfs", cid: cid as Cid }), bytes(one, "multiaddrBytesHex"), "bytes of the address");
  const hash = one["contentSha256Hex(outbox filename)"];
  if (typeof hash === "string") sameText(toHex(portable.sha256(content)), hash, "hash of the content");
  for (const link of has(one, "firstLinks") ? list(one["firstLinks"], "firstLinks") : [])
    holds(
      blocks.some((block) => block.cid === link["cid"]),
      `no block ${String(link["cid"])}`,
    );
  if (content.length > ASSEMBLED) return;
  const assembly = new Assembly(cid as Cid, content.length);
  const all = new Map(blocks.map((block) => [block.cid, block.bytes]));
  for (let next = assembly.wanted(1)[0]; next !== undefined; next = assembly.wanted(1)[0])
    holds(assembly.add(given(all.get(next), `no block ${next}`)), "a block that was wanted is refused");
  same(assembly.content(), content, "put together");
}

/** Contents stand as a rule, "byte[i] = (31*i+7) mod 251", or as text. */
function contentOf(rule: string, size: number): Uint8Array {
  const [, factor, offset, modulus] = /^byte\[i\] = \((\d+)\*i\+(\d+)\) mod (\d+)$/.exec(rule)?.map(Number) ?? [];
  if (factor === undefined || offset === undefined || modulus === undefined) return utf8(rule);
  const content = new Uint8Array(size);
  for (let i = 0; i < size; i++) content[i] = (factor * i + offset) % modulus;
  return content;
}

function negative(one: Fields, who: Who): void {
  const opened = open(who(text(one, "to")), bytes(one, "ciphertextHex"));
  const result = object(one["goResult"] ?? {}, "goResult");
  const isAccepted = has(one, "expect") ? text(one, "expect") === "accept" : result["ok"] === true;
  if (!isAccepted) {
    holds(opened === undefined, "opened, and should not have been");
    return;
  }
  const read = given(opened, "refused, and should not have been");
  if (result["ok"] === true) checkOpened(read, result);
  // Nothing in OpenBazaar's signature names a recipient: such a message is shown with that mark.
  holds(read.extension === undefined, "nothing proves for whom it was");
}

const ASSEMBLED = 2 * 1024 * 1024;
