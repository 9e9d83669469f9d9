/**
 * The inner packet of a mail: its head is what only the cipher set protects, and all that duplicates and acknowledgements
 * need; its body is the envelope, in a hello with the writer's keys and card before it. protocol/mail.md §3
 */
import { assert, concat, RestanteError } from "../bytes/index.ts";
import { type Crypto, type Hashname, type Identity, parseHashname } from "../crypto/index.ts";
import { encodePacket, type JsonObject, parsePacket, text, uint } from "../wire/index.ts";
import { PARTS_LIMIT, SECOND_CLASS, SEQ_LIMIT, SIZE_CLASSES } from "./constants.ts";
import { type Envelope, encodeEnvelope, isHex, parseEnvelope } from "./envelope.ts";
import { encodeHello, type Hello, parseHello } from "./hello.ts";

/** Where a part belongs. */
export interface Head {
  /** The sending peer. Only a claim until it is compared with the proven sender. */
  readonly from: Hashname;
  /** The receiving peer. */
  readonly to: Hashname;
  /** The sender's store epoch, 16 hex. */
  readonly epoch: string;
  /** Number of the mail between these two peers, in this direction and epoch: 1..2^48. */
  readonly seq: number;
  /** Which part this is, from 0. */
  readonly part: number;
  /** How many parts the mail has, 1..65535. */
  readonly of: number;
  /** Numbers below it may be forgotten: 1..seq. */
  readonly floor: number;
}

/** One part of a mail: what travels in one message. */
export interface Part {
  readonly head: Head;
  /** Until that peer's first acknowledgement. */
  readonly hello?: Hello;
  readonly envelope: Envelope;
}

/**
 * The inner packet, padded so that a message of cipher set `csid` has exactly the size of a class: the smallest possible,
 * for a hello not below the second. Equal input gives equal bytes. Throws RestanteError "too-large" when no class is
 * large enough, "bad-mail" when `parsePart` would refuse it.
 */
export function encodePart(crypto: Crypto, csid: number, identity: Identity, part: Part): Uint8Array {
  const { head, hello, envelope } = part;
  assert(head.from === identity.hashname, "a part is from ourselves");
  if (!isSound(head)) throw new RestanteError("bad-mail", "a number of the part is out of bounds");
  const fields: JsonObject = {
    ...encodeCommonHead({ type: hello === undefined ? "mail" : "hello", from: head.from, to: head.to }),
    epoch: head.epoch,
    seq: head.seq,
    part: head.part,
    of: head.of,
    floor: head.floor,
  };
  const sealed = encodeEnvelope(envelope, head);
  if (hello === undefined) return pad(crypto, csid, encodePacket(fields, sealed), 0);
  return pad(
    crypto,
    csid,
    encodePacket(fields, concat(encodeHello(crypto, csid, identity, hello), sealed)),
    SECOND_CLASS,
  );
}

/**
 * The part in an inner packet of a proven sender; its bytes are views of `inner`. `undefined` for everything that is not
 * exactly as protocol/mail.md says: another version or suite, a `crit` field we do not know, a wrong field, dirty padding.
 * The caller compares `from` and `to`.
 */
export function parsePart(inner: Uint8Array): Part | undefined {
  const packet = parsePacket(inner);
  const json = packet?.json;
  const common = parseCommonHead(json);
  const epoch = text(json, "epoch");
  const seq = uint(json, "seq");
  const part = uint(json, "part");
  const of = uint(json, "of");
  const floor = uint(json, "floor");
  if (packet === undefined || common === undefined || common.type === "ack" || epoch === undefined) return undefined;
  if (seq === undefined || part === undefined || of === undefined || floor === undefined) return undefined;
  const head: Head = { from: common.from, to: common.to, epoch, seq, part, of, floor };
  if (!isSound(head)) return undefined;
  const opened = common.type === "hello" ? parseHello(packet.body) : { envelope: packet.body };
  const envelope = opened && parseEnvelope(opened.envelope, head);
  return envelope && { head, ...("hello" in opened && { hello: opened.hello }), envelope };
}

/**
 * What an authenticated inner packet says it is, "mail" for a hello too; `undefined` for all else, a handshake among it.
 * Only chooses the parser: that one judges the rest.
 */
export function messageKind(inner: Uint8Array): "mail" | "ack" | undefined {
  const type = text(parsePacket(inner)?.json, "type");
  if (type === "ack") return "ack";
  return type === "mail" || type === "hello" ? "mail" : undefined;
}

/** The fields that every inner packet of the mail layer begins with. */
export interface CommonHead {
  readonly type: "mail" | "hello" | "ack";
  readonly from: Hashname;
  readonly to: Hashname;
}

/** Those fields as JSON, with our version and suite. */
export function encodeCommonHead({ type, from, to }: CommonHead): JsonObject {
  return { type, v: VERSION, suite: SUITE, from, to };
}

/** Those fields; `undefined` also for another version or suite, and when `crit` names what we do not understand. */
export function parseCommonHead(json: JsonObject | undefined): CommonHead | undefined {
  const type = text(json, "type");
  const from = parseHashname(json?.["from"]);
  const to = parseHashname(json?.["to"]);
  if (json === undefined || from === undefined || to === undefined) return undefined;
  if (type !== "mail" && type !== "hello" && type !== "ack") return undefined;
  if (json["v"] !== VERSION || json["suite"] !== SUITE) return undefined;
  if (json["hdr"] !== undefined || json["at"] !== undefined) return undefined; // another suite's; a handshake's
  const crit = json["crit"] ?? [];
  if (!Array.isArray(crit) || !crit.every((name) => UNDERSTOOD.has(name))) return undefined;
  return { type, from, to };
}

/**
 * The packet and as many zeros behind it as make the message of cipher set `csid` as large as the smallest class from
 * `least` on that holds it. Throws RestanteError "too-large" when there is none. protocol/mail.md §2
 */
export function pad(crypto: Crypto, csid: number, packet: Uint8Array, least: number): Uint8Array {
  const set = crypto.sets.get(csid);
  assert(set !== undefined, "a message is sealed with a cipher set of ours");
  const size = SIZE_CLASSES.find((each) => each >= least && each >= packet.length + set.overhead);
  if (size === undefined) throw new RestanteError("too-large", "the message is larger than the last size class");
  const padded = new Uint8Array(size - set.overhead);
  padded.set(packet);
  return padded;
}

/** One rule for what we write and for what we read. */
function isSound({ epoch, seq, part, of, floor }: Head): boolean {
  if (!isHex(epoch, EPOCH_BYTES) || ![seq, part, of, floor].every(Number.isSafeInteger)) return false;
  if (seq < 1 || seq > SEQ_LIMIT || floor < 1 || floor > seq) return false;
  return of >= 1 && of <= PARTS_LIMIT && part >= 0 && part < of;
}

const VERSION = 1;

const EPOCH_BYTES = 8;
/**
 * The security label of all mail of this version: sealed to the recipient's long-lived key alone, so whoever steals that key
 * opens what was recorded before. protocol/mail.md §3
 */
export const SUITE = "static";
/** What `crit` may name: every field of this version but those that only a suite or a conversation gives a meaning. */
const UNDERSTOOD: ReadonlySet<unknown> = new Set([
  ...["type", "v", "suite", "crit", "from", "to", "epoch", "seq", "part", "of", "floor", "by"],
  ...["id", "after", "card", "time", "expires", "kind", "len", "name", "media", "size", "sha256"],
]);
