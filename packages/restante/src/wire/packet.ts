/**
 * Packets (LOB, length-object-binary): the length of the head, the head, the body. A head is nothing, 1 to 6 bytes
 * of any kind, or a JSON object; the body is any bytes. protocol/lob.md
 */
import { RestanteError } from "../bytes/index.ts";
import { encodeJson, isObject, type JsonObject, parseJson } from "./json.ts";

/** A LOB packet: a head, which may be JSON, and a body. protocol/lob.md */
export interface Packet {
  /** The head as it stood there, 0 to 65535 bytes. A view of the parsed bytes: copy what you keep. */
  readonly head: Uint8Array;
  /** The head as a JSON object; `undefined` when it is shorter than 7 bytes or `jsonError`. */
  readonly json: JsonObject | undefined;
  /** Whether the head has 7 bytes or more and is not a JSON object that `parseJson` accepts. */
  readonly jsonError: boolean;
  /** All bytes after the head. A view of the parsed bytes: copy what you keep. */
  readonly body: Uint8Array;
}

/**
 * The parts of a packet. `undefined` only when there are fewer than 2 bytes, or fewer bytes than the length says. A
 * JSON head starts with `{` and ends with `}`; white space around it is an error. Never throws.
 */
export function parsePacket(bytes: Uint8Array): Packet | undefined {
  const high = bytes[0]; // an array pattern would make an object for each
  const low = bytes[1];
  if (high === undefined || low === undefined) return undefined;
  const end = LENGTH_BYTES + high * 0x100 + low;
  if (end > bytes.length) return undefined;
  const head = bytes.subarray(LENGTH_BYTES, end);
  const isJson = head.length >= MIN_JSON;
  const json = isJson ? parseHead(head) : undefined;
  return { head, json, jsonError: isJson && json === undefined, body: bytes.subarray(end) };
}

/**
 * The bytes of a packet. `head`: nothing, bytes taken as they are, or a JSON object. An empty object is no head, and
 * one of fewer than 7 bytes is filled up with spaces before its end, since a shorter head is not read as JSON. Throws
 * RestanteError "head-size" when the head has more than 65535 bytes, "json-value" as `encodeJson` does.
 */
export function encodePacket(head: JsonObject | Uint8Array | undefined, body: Uint8Array = NOTHING): Uint8Array {
  const bytes = head === undefined ? NOTHING : head instanceof Uint8Array ? head : encodeHead(head);
  if (bytes.length > MAX_HEAD) throw new RestanteError("head-size", "a packet's head has at most 65535 bytes");
  const packet = new Uint8Array(LENGTH_BYTES + bytes.length + body.length);
  packet[0] = bytes.length >> 8;
  packet[1] = bytes.length;
  packet.set(bytes, LENGTH_BYTES);
  packet.set(body, LENGTH_BYTES + bytes.length);
  return packet;
}

function parseHead(head: Uint8Array): JsonObject | undefined {
  if (head[0] !== OPEN_BRACE || head[head.length - 1] !== CLOSE_BRACE) return undefined;
  const json = parseJson(head);
  return isObject(json) ? json : undefined;
}

function encodeHead(head: JsonObject): Uint8Array {
  const bytes = encodeJson(head);
  if (bytes.length === "{}".length) return NOTHING;
  if (bytes.length >= MIN_JSON) return bytes;
  const filled = new Uint8Array(MIN_JSON).fill(SPACE);
  filled.set(bytes.subarray(0, -1));
  filled[MIN_JSON - 1] = CLOSE_BRACE;
  return filled;
}

const LENGTH_BYTES = 2; // protocol/lob.md §1
const MAX_HEAD = 0xffff; // what two bytes can say
const MIN_JSON = 7; // protocol/lob.md §1
const [OPEN_BRACE, CLOSE_BRACE, SPACE] = [0x7b, 0x7d, 0x20];
const NOTHING = new Uint8Array(0);
