/**
 * What OpenBazaar's signature does not say (X28): for whom a message is, in which meaning it was signed, which one it is and
 * when. It stands inside the signed bytes, as field 100 of Message, which other nodes keep and pass over. protocol/bazaar.md §7
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { concat } from "restante/protocol";
import { ExtensionSchema } from "./gen/openbazaar_pb.ts";
import { fromBase58, isMultihash, type PeerId, toBase58 } from "./ids.ts";
import { type Message, parse, TYPES } from "./message.ts";

/** What we add to a message, for who knows of it: other readers pass it over. protocol/bazaar.md */
export interface Extension {
  readonly recipient: PeerId;
  /** 16 random bytes: the message, whatever its copies. */
  readonly id: Uint8Array;
  /** Milliseconds since 1970, as the sender's clock says. */
  readonly time: number;
  /** 32 random bytes whose SHA-256 stands in the message's pointer: who shows them may withdraw it. */
  readonly preimage?: Uint8Array | undefined;
}

/** The message with the extension behind its fields. It must have none yet. */
export function extend(message: Message, extension: Extension): Message {
  const { recipient, id, time, preimage } = extension;
  const shape = create(ExtensionSchema, {
    recipient: fromBase58(recipient) ?? new Uint8Array(0),
    context: CONTEXT,
    id,
    time: BigInt(time),
    preimage: preimage ?? new Uint8Array(0),
  });
  const field = new BinaryWriter()
    .tag(FIELD, WireType.LengthDelimited)
    .bytes(toBinary(ExtensionSchema, shape))
    .finish();
  return { ...message, unknown: message.unknown === undefined ? field : concat(message.unknown, field) };
}

/**
 * The message's extension. `undefined` when it has none; "bad" when it has one that is not of this form, or several: nobody
 * who meant well signed that.
 */
export function extensionOf(message: Message): Extension | "bad" | undefined {
  let bytes: Uint8Array | undefined;
  const reader = new BinaryReader(message.unknown ?? new Uint8Array(0));
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag(); // these fields were parsed before: this cannot fail
    if (no !== FIELD) reader.skip(wireType, no);
    else if (wireType !== WireType.LengthDelimited || bytes !== undefined) return "bad";
    else bytes = reader.bytes();
  }
  if (bytes === undefined) return undefined;
  const shape = parse(ExtensionSchema, bytes);
  if (shape === undefined || shape.context !== CONTEXT || !isMultihash(shape.recipient)) return "bad";
  const { id, preimage } = shape;
  const time = Number(shape.time);
  if (id.length !== ID || !Number.isSafeInteger(time)) return "bad";
  if (preimage.length !== 0 && preimage.length !== PREIMAGE) return "bad";
  return { recipient: toBase58(shape.recipient) as PeerId, id, time, ...(preimage.length > 0 && { preimage }) };
}

/** A sealed Restante message as a message between peers of ours: padding, numbering and ratchet are its own. */
export function sealedMessage(sealed: Uint8Array): Message {
  return { type: TYPES.SEALED, payload: { typeUrl: SEALED_URL, value: sealed } };
}

/** The sealed Restante message in it; `undefined` when this is none. */
export function sealedOf(message: Message): Uint8Array | undefined {
  return message.type === TYPES.SEALED && message.payload?.typeUrl === SEALED_URL ? message.payload.value : undefined;
}

const FIELD = 100;
const CONTEXT = "restante/bazaar/1";
const SEALED_URL = "restante/sealed/1";
const ID = 16;
const PREIMAGE = 32;
