/** Envelopes: a message, who wrote it, and the proof; encrypted, what an outbox file holds. protocol/bazaar.md §3 */
import { concat, encodeVarint, type Random, Reader } from "restante/protocol";
import { decrypt, encrypt } from "./encryption.ts";
import { type Extension, extensionOf } from "./extension.ts";
import { type Identity, sign, verify } from "./identity.ts";
import { type PeerId, peerIdOf } from "./ids.ts";
import { encodeMessage, type Message, parseMessage } from "./message.ts";

/** A message that its sender signed. */
export interface Opened {
  readonly from: PeerId;
  /** The sender's libp2p PublicKey protobuf. */
  readonly publicKey: Uint8Array;
  readonly message: Message;
  /** The signed bytes as they came. */
  readonly signed: Uint8Array;
  /**
   * What the sender signed beside the message. Absent: OpenBazaar's own envelope, whose signature names nobody: whoever got it
   * once may have passed it on to us ("addressee unproven").
   */
  readonly extension?: Extension | undefined;
}

/** Signs a message and puts it into an envelope. */
export function encodeEnvelope(identity: Identity, message: Message): Uint8Array {
  const bytes = encodeMessage(message);
  return concat(field(1, bytes), field(2, identity.publicKey), field(3, sign(identity, bytes)));
}

/**
 * Opens an envelope that came to `recipient`. The signature is verified over the bytes of field 1 as they came, so what is
 * verified is what is read. `undefined` when it is wrong, when one of the three fields is missing or there twice, when the
 * extension names another recipient or is of no known form, and for everything that is no envelope.
 */
export function parseEnvelope(bytes: Uint8Array, recipient: PeerId): Opened | undefined {
  const fields: (Uint8Array | undefined)[] = [undefined, undefined, undefined];
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = reader.varint();
    const at = tag === undefined ? -1 : Math.floor(tag / 8) - 1;
    const value = tag === undefined ? undefined : read(reader, tag % 8);
    if (value === undefined || at < 0) return undefined;
    if (at > 2) continue; // unknown, and unsigned: passed over
    if (fields[at] !== undefined || (tag ?? 0) % 8 !== 2) return undefined;
    fields[at] = value;
  }
  const [signed, publicKey, signature] = fields;
  if (signed === undefined || publicKey === undefined || signature === undefined) return undefined;
  if (!verify(publicKey, signed, signature)) return undefined;
  const message = parseMessage(signed);
  const extension = message && extensionOf(message);
  if (message === undefined || extension === "bad") return undefined;
  if (extension !== undefined && extension.recipient !== recipient) return undefined;
  return { from: peerIdOf(publicKey), publicKey, message, signed, ...(extension && { extension }) };
}

/**
 * A message as an outbox file: its envelope, encrypted to the holder of `publicKey`. `undefined` when nothing can be encrypted to
 * such a key. `random` as in `encrypt`.
 */
export function seal(
  identity: Identity,
  publicKey: Uint8Array,
  message: Message,
  random: Random,
): Uint8Array | undefined {
  return encrypt(publicKey, encodeEnvelope(identity, message), random);
}

/** Opens an outbox file that is for us; `undefined` for what is not, or not as `parseEnvelope` wants it. */
export function open(identity: Identity, ciphertext: Uint8Array): Opened | undefined {
  const plain = decrypt(identity, ciphertext);
  return plain && parseEnvelope(plain, identity.id);
}

function read(reader: Reader, wireType: number): Uint8Array | undefined {
  if (wireType === 0) return reader.varint() === undefined ? undefined : new Uint8Array(0);
  if (wireType === 1) return reader.take(8);
  if (wireType === 2) return reader.take(reader.varint());
  return wireType === 5 ? reader.take(4) : undefined; // groups are long gone
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  return concat(encodeVarint(number * 8 + 2), encodeVarint(bytes.length), bytes);
}
