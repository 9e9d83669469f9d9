/**
 * Messages: what peers send each other, on streams and in envelopes. The bytes are those of Go's protobuf: fields in the order
 * of their numbers, nothing for defaults, unknown fields kept and put last. protocol/bazaar.md §2
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
  type UnknownField,
} from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { fromUtf8, utf8 } from "restante/protocol";
import { BlockSchema, CidListSchema, ErrorSchema, MessageSchema } from "./gen/openbazaar_pb.ts";
import { type Cid, fromBase58, parseCid, toBase58 } from "./ids.ts";

/** A message. Fields that are absent have the default of their kind. */
export interface Message {
  /** One of `TYPES`, or a number that we do not know. */
  readonly type: number;
  readonly payload?: Payload | undefined;
  /** Not 0 on a request, and the same on its answer. */
  readonly requestId?: number | undefined;
  readonly isResponse?: boolean | undefined;
  /** Fields that we do not know, as they came, tags included. */
  readonly unknown?: Uint8Array | undefined;
}

/** A protobuf Any: the kind of the bytes (`type.googleapis.com/Chat`, or empty), and the bytes. */
export interface Payload {
  readonly typeUrl: string;
  readonly value: Uint8Array;
  readonly unknown?: Uint8Array | undefined;
}

/** The types of messages. */
export const TYPES = {
  PING: 0,
  CHAT: 1,
  FOLLOW: 2,
  UNFOLLOW: 3,
  ORDER: 4,
  ORDER_REJECT: 5,
  ORDER_CANCEL: 6,
  ORDER_CONFIRMATION: 7,
  ORDER_FULFILLMENT: 8,
  ORDER_COMPLETION: 9,
  DISPUTE_OPEN: 10,
  DISPUTE_UPDATE: 11,
  DISPUTE_CLOSE: 12,
  REFUND: 13,
  OFFLINE_ACK: 14,
  OFFLINE_RELAY: 15,
  MODERATOR_ADD: 16,
  MODERATOR_REMOVE: 17,
  STORE: 18,
  BLOCK: 19,
  VENDOR_FINALIZED_PAYMENT: 20,
  ORDER_PAYMENT: 21,
  ERROR: 500,
  ORDER_PROCESSING_FAILURE: 501,
  /** Ours: a sealed Restante message (protocol/bazaar.md §7). */
  SEALED: 1000,
} as const;

/** The message in canonical bytes. */
export function encodeMessage(message: Message): Uint8Array {
  const { payload } = message;
  const shape = create(MessageSchema, {
    messageType: message.type,
    requestId: message.requestId ?? 0,
    isResponse: message.isResponse ?? false,
  });
  if (message.unknown !== undefined) shape.$unknown = fieldsOf(message.unknown);
  if (payload !== undefined) {
    shape.payload = create(AnySchema, { typeUrl: payload.typeUrl, value: payload.value });
    if (payload.unknown !== undefined) shape.payload.$unknown = fieldsOf(payload.unknown);
  }
  return toBinary(MessageSchema, shape);
}

/** Reads a message; `undefined` when the bytes are none. Extensions are among the unknown fields: `extensionOf`. */
export function parseMessage(bytes: Uint8Array): Message | undefined {
  const shape = parse(MessageSchema, bytes);
  if (shape === undefined) return undefined;
  const { payload, requestId, isResponse } = shape;
  return {
    type: shape.messageType,
    ...(payload && {
      payload: { typeUrl: payload.typeUrl, value: payload.value, ...unknownBytes(payload.$unknown) },
    }),
    ...(requestId !== 0 && { requestId }),
    ...(isResponse && { isResponse }),
    ...unknownBytes(shape.$unknown),
  };
}

/** A payload of one of OpenBazaar's own kinds: "Chat" gives the type_url "type.googleapis.com/Chat". */
export function payloadOf(kind: string, value: Uint8Array): Payload {
  return { typeUrl: TYPE_PREFIX + kind, value };
}

/** The bytes of a payload of this kind; `undefined` when the message has none, or one of another kind. */
export function bytesOf(message: Message, kind: string): Uint8Array | undefined {
  return message.payload?.typeUrl === TYPE_PREFIX + kind ? message.payload.value : undefined;
}

/** OFFLINE_ACK: "I have what this pointer led to". The type_url is empty, the value the magic id as text. */
export function offlineAck(magicId: Uint8Array): Message {
  return { type: TYPES.OFFLINE_ACK, payload: { typeUrl: "", value: utf8(toBase58(magicId)) } };
}

/** The magic id (34 bytes) that an OFFLINE_ACK names; `undefined` when this is none. */
export function acknowledgedBy(message: Message): Uint8Array | undefined {
  if (message.type !== TYPES.OFFLINE_ACK || message.payload === undefined) return undefined;
  const text = message.payload.value.length <= ID_TEXT_MAX ? fromUtf8(message.payload.value) : undefined;
  return text === undefined ? undefined : fromBase58(text);
}

/** STORE: which of these blocks do you want? The answer is the same kind of message with those that are wanted. */
export function storeMessage(cids: readonly Cid[]): Message {
  const list = create(CidListSchema, { cids: [...cids] });
  return { type: TYPES.STORE, payload: payloadOf("CidList", toBinary(CidListSchema, list)) };
}

/** The ids in a STORE, at most `limit`; `undefined` when this is none, or one of them is no CIDv0. */
export function storedCids(message: Message, limit: number): readonly Cid[] | undefined {
  const bytes = message.type === TYPES.STORE ? bytesOf(message, "CidList") : undefined;
  if (bytes === undefined || bytes.length > limit * (ID_TEXT_MAX + 2)) return undefined;
  const list = parse(CidListSchema, bytes)?.cids;
  if (list === undefined || list.length > limit) return undefined;
  const cids = list.map(parseCid);
  return cids.every((cid) => cid !== undefined) ? cids : undefined;
}

/** BLOCK: a block that was wanted. */
export function blockMessage(cid: Cid, bytes: Uint8Array): Message {
  const block = create(BlockSchema, { rawData: bytes, cid });
  return { type: TYPES.BLOCK, payload: payloadOf("Block", toBinary(BlockSchema, block)) };
}

/** What a BLOCK holds; its bytes are not yet checked against its id. `undefined` when this is none. */
export function blockOf(message: Message): { readonly cid: Cid; readonly bytes: Uint8Array } | undefined {
  const bytes = message.type === TYPES.BLOCK ? bytesOf(message, "Block") : undefined;
  const block = bytes && parse(BlockSchema, bytes);
  const cid = block && parseCid(block.cid);
  return cid && { cid, bytes: block.rawData };
}

/** ERROR, as the answer to a request. */
export function errorMessage(code: number, text: string): Message {
  const error = create(ErrorSchema, { code, errorMessage: text });
  return { type: TYPES.ERROR, payload: payloadOf("Error", toBinary(ErrorSchema, error)) };
}

/** What an ERROR says, at most 1000 characters; `undefined` when this is none. */
export function errorOf(message: Message): { readonly code: number; readonly text: string } | undefined {
  if (message.type !== TYPES.ERROR || message.payload === undefined) return undefined;
  const { typeUrl, value } = message.payload;
  if (typeUrl === "") return { code: 0, text: (fromUtf8(value) ?? "").slice(0, ERROR_TEXT) }; // bare text: the STORE handler
  const error = typeUrl === `${TYPE_PREFIX}Error` ? parse(ErrorSchema, value) : undefined;
  return error && { code: error.code, text: error.errorMessage.slice(0, ERROR_TEXT) };
}

/** Reads a generated kind; what is not of that kind is `undefined` instead of an exception, and what has more than 1000 fields. */
export function parse<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D> | undefined {
  try {
    return fieldsLeft(schema, bytes, FIELDS) < 0 ? undefined : fromBinary(schema, bytes);
  } catch {
    return undefined;
  }
}

/**
 * How many fields there may still be after those in these bytes and in the kinds within; below 0: there are too many, and the rest was
 * not looked at. The library makes an object of each, even of two bytes: 4 MiB would be seconds, and hundreds of megabytes.
 */
function fieldsLeft(schema: DescMessage, bytes: Uint8Array, most: number): number {
  const reader = new BinaryReader(bytes);
  let left = most;
  while (reader.pos < reader.len && left >= 0) {
    const [no, wireType] = reader.tag();
    left--;
    const inner = schema.fields.find(({ number }) => number === no)?.message;
    if (inner && wireType === WireType.LengthDelimited) left = fieldsLeft(inner, reader.bytes(), left);
    else reader.skip(wireType, no);
  }
  return left;
}

/** Fields in bytes, one by one, as the library wants them. They are ours, or came whole from it. */
function fieldsOf(bytes: Uint8Array): UnknownField[] {
  const reader = new BinaryReader(bytes);
  const fields: UnknownField[] = [];
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag();
    fields.push({ no, wireType, data: reader.skip(wireType, no) });
  }
  return fields;
}

function unknownBytes(fields: readonly UnknownField[] | undefined): { unknown?: Uint8Array } {
  if (fields === undefined || fields.length === 0) return {};
  const writer = new BinaryWriter();
  for (const { no, wireType, data } of fields) writer.tag(no, wireType).raw(data);
  return { unknown: writer.finish() };
}

const FIELDS = 1000; // a STORE of 128 blocks has the most
const TYPE_PREFIX = "type.googleapis.com/";
const ID_TEXT_MAX = 46; // `Qm...`
const ERROR_TEXT = 1000;
