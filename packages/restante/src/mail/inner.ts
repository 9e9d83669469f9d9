/**
 * The inner packet of a mail: its head is what only the cipher set protects, and all that duplicates and acknowledgements
 * need; its body is the envelope, in a hello with the writer's keys and card before it. protocol/mail.md §3
 */
import { assert, concat, RestanteError } from "../bytes/index.ts";
import {
  type Backend,
  type Crypto,
  type Hashname,
  type Identity,
  type KeyPair,
  parseHashname,
} from "../crypto/index.ts";
import { encodeJson, encodePacket, type JsonObject, parsePacket, text, uint } from "../wire/index.ts";
import { PARTS_LIMIT, SECOND_CLASS, SEQ_LIMIT, SIZE_CLASSES } from "./constants.ts";
import { type Envelope, encodeEnvelope, isHex, parseEnvelope } from "./envelope.ts";
import {
  encodeForwardHeader,
  FORWARD_OVERHEAD,
  type ForwardHeader,
  type Forwarding,
  oneTimePair,
  openEnvelope,
  parseForwardHeader,
  sealEnvelope,
} from "./forward.ts";
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

/** A part of suite `forward` whose head is read, and whose envelope only the forward key opens. */
export interface ClosedPart {
  readonly head: Head;
  readonly header: ForwardHeader;
  /** The head as it stands in the packet: the envelope is bound to all of it. */
  readonly bytes: Uint8Array;
  readonly sealed: Uint8Array;
}

/** What a part is sealed to in suite `forward`, and where its one-time key comes from. */
export interface ForwardSeal {
  readonly forwarding: Forwarding;
  /** As in `Seeded`. */
  readonly seed: Uint8Array;
  readonly generation: number;
}

/**
 * The inner packet, padded so that a message of cipher set `csid` has exactly the size of a class: the smallest possible,
 * for a hello not below the second. With `forward` its envelope is sealed to the recipient's forward key; a hello never is.
 * Equal input gives equal bytes. Throws RestanteError "too-large" when no class is large enough, "bad-mail" when
 * `parsePart` would refuse it, "bad-key" when nothing can be sealed to the forward key.
 */
export function encodePart(
  crypto: Crypto,
  csid: number,
  identity: Identity,
  part: Part,
  forward?: ForwardSeal,
): Uint8Array {
  if (forward !== undefined) return encodeForward(crypto, csid, identity, part, forward);
  const fields = fieldsOf(identity, part, STATIC);
  const envelope = encodeEnvelope(part.envelope, part.head);
  if (part.hello === undefined) return pad(crypto, csid, encodePacket(fields, envelope), 0);
  const body = concat(encodeHello(crypto, csid, identity, part.hello), envelope);
  return pad(crypto, csid, encodePacket(fields, body), SECOND_CLASS);
}

/** The size of the inner packet that `encodePart` makes of it, without the work of sealing; throws what that throws. */
export function sizeOfPart(
  crypto: Crypto,
  csid: number,
  identity: Identity,
  part: Part,
  forwarding?: Forwarding,
): number {
  if (forwarding === undefined) return encodePart(crypto, csid, identity, part).length;
  return layForward(crypto, csid, identity, part, forwarding).size;
}

/**
 * The part in an inner packet of a proven sender; its bytes are views of `inner`. In suite `forward` it is still closed.
 * `undefined` for everything that is not exactly as protocol/mail.md says: another version or suite, a `crit` field we do
 * not know, a wrong field, dirty padding. The caller compares `from` and `to`.
 */
export function parsePart(inner: Uint8Array): Part | ClosedPart | undefined {
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
  if (common.suite === FORWARD) {
    const header = parseForwardHeader(text(json, "hdr") ?? "");
    return header && { head, header, bytes: packet.head, sealed: packet.body };
  }
  const opened = common.type === "hello" ? parseHello(packet.body) : { envelope: packet.body };
  const envelope = opened && parseEnvelope(opened.envelope, head);
  return envelope && { head, ...("hello" in opened && { hello: opened.hello }), envelope };
}

/** A part that needs no key but that of its message: `undefined` for a closed one, and for what `parsePart` refuses. */
export function parseStaticPart(inner: Uint8Array): Part | undefined {
  const part = parsePart(inner);
  return part !== undefined && "envelope" in part ? part : undefined;
}

/** The part, opened with the forward key that its header names. `undefined`: it was not sealed to it, or is no mail. */
export function openPart(backend: Backend, forward: KeyPair, closed: ClosedPart): Part | undefined {
  const { head, header, bytes, sealed } = closed;
  const opened = openEnvelope(backend, { from: head.from, to: head.to, head: bytes }, header.oneTime, forward, sealed);
  const envelope = opened && parseEnvelope(opened, head);
  return envelope && { head, envelope };
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

/**
 * The security label of a mail. `static`: sealed to the recipient's long-lived key alone, so whoever steals that key opens
 * what was recorded before. `forward`: also to a key that its recipient deletes. protocol/mail.md §3
 */
export type Suite = "static" | "forward";

/** The fields that every inner packet of the mail layer begins with. */
export interface CommonHead {
  readonly type: "mail" | "hello" | "ack";
  readonly suite: Suite;
  readonly from: Hashname;
  readonly to: Hashname;
}

/** Those fields as JSON, with our version. */
export function encodeCommonHead({ type, suite, from, to }: CommonHead): JsonObject {
  return { type, v: VERSION, suite, from, to };
}

/** Those fields; `undefined` also for another version or suite, and when `crit` names what we do not understand. */
export function parseCommonHead(json: JsonObject | undefined): CommonHead | undefined {
  const type = text(json, "type");
  const suite = text(json, "suite");
  const from = parseHashname(json?.["from"]);
  const to = parseHashname(json?.["to"]);
  if (json === undefined || from === undefined || to === undefined) return undefined;
  if (type !== "mail" && type !== "hello" && type !== "ack") return undefined;
  if (json["v"] !== VERSION || json["at"] !== undefined) return undefined; // a handshake has an `at`
  // Who does not know us has told us no key, and an acknowledgement is what tells them.
  if (suite !== STATIC && (suite !== FORWARD || type !== "mail")) return undefined;
  if ((json["hdr"] !== undefined) !== (suite === FORWARD)) return undefined;
  const crit = json["crit"] ?? [];
  if (!Array.isArray(crit) || !crit.every((name) => UNDERSTOOD.has(name))) return undefined;
  return { type, suite, from, to };
}

/**
 * The packet and as many zeros behind it as make the message of cipher set `csid` as large as the smallest class from
 * `least` on that holds it. Throws RestanteError "too-large" when there is none. protocol/mail.md §2
 */
export function pad(crypto: Crypto, csid: number, packet: Uint8Array, least: number): Uint8Array {
  const padded = new Uint8Array(innerSize(crypto, csid, packet.length, least));
  padded.set(packet);
  return padded;
}

/** The size of the inner packet that makes a message of the smallest class from `least` on which holds `length` bytes. */
function innerSize(crypto: Crypto, csid: number, length: number, least: number): number {
  const set = crypto.sets.get(csid);
  assert(set !== undefined, "a message is sealed with a cipher set of ours");
  const size = SIZE_CLASSES.find((each) => each >= least && each >= length + set.overhead);
  if (size === undefined) throw new RestanteError("too-large", "the message is larger than the last size class");
  return size - set.overhead;
}

function fieldsOf(identity: Identity, { head, hello }: Part, suite: Suite): JsonObject {
  assert(head.from === identity.hashname, "a part is from ourselves");
  if (!isSound(head)) throw new RestanteError("bad-mail", "a number of the part is out of bounds");
  const { from, to, epoch, seq, part, of, floor } = head;
  const type = hello === undefined ? "mail" : "hello";
  return { ...encodeCommonHead({ type, suite, from, to }), epoch, seq, part, of, floor };
}

/** All of a closed part but its keys: the header always has the same length, so the padding is known before it is. */
function layForward(
  crypto: Crypto,
  csid: number,
  identity: Identity,
  part: Part,
  forwarding: Forwarding,
): { fields: JsonObject; envelope: Uint8Array; size: number } {
  assert(part.hello === undefined, "whoever needs a hello has told us no key");
  const fields = fieldsOf(identity, part, FORWARD);
  const envelope = encodeEnvelope(part.envelope, part.head);
  const bare = encodePacket(withHeader(fields, NO_KEY, forwarding)).length + FORWARD_OVERHEAD;
  const size = innerSize(crypto, csid, bare + envelope.length, 0);
  const padded = new Uint8Array(size - bare);
  padded.set(envelope);
  return { fields, envelope: padded, size };
}

function encodeForward(
  crypto: Crypto,
  csid: number,
  identity: Identity,
  part: Part,
  { forwarding, seed, generation }: ForwardSeal,
): Uint8Array {
  const { backend } = crypto;
  const { fields, envelope, size } = layForward(crypto, csid, identity, part, forwarding);
  const { from, to } = part.head;
  const plain = encodePacket(fields, envelope);
  const oneTime = oneTimePair(backend, { seed, generation, recipient: to, forwarding, plain });
  const head = encodeJson(withHeader(fields, oneTime.key, forwarding));
  const sealed = sealEnvelope(backend, { from, to, head }, oneTime, forwarding, envelope);
  if (sealed === undefined) throw new RestanteError("bad-key", "the recipient's forward key cannot be used");
  const inner = encodePacket(head, sealed);
  assert(inner.length === size, "the header has the length that was counted on");
  return inner;
}

function withHeader(fields: JsonObject, oneTime: Uint8Array, forwarding: Forwarding): JsonObject {
  return { ...fields, hdr: encodeForwardHeader(oneTime, forwarding) };
}

/** One rule for what we write and for what we read. */
function isSound({ epoch, seq, part, of, floor }: Head): boolean {
  if (!isHex(epoch, EPOCH_BYTES) || ![seq, part, of, floor].every(Number.isSafeInteger)) return false;
  if (seq < 1 || seq > SEQ_LIMIT || floor < 1 || floor > seq) return false;
  return of >= 1 && of <= PARTS_LIMIT && part >= 0 && part < of;
}

const VERSION = 1;

const EPOCH_BYTES = 8;
const [STATIC, FORWARD] = ["static", "forward"] as const;
const NO_KEY = new Uint8Array(32);
/** What `crit` may name: every field of this version but those that only a suite or a conversation gives a meaning. */
const UNDERSTOOD: ReadonlySet<unknown> = new Set([
  ...["type", "v", "suite", "crit", "from", "to", "epoch", "seq", "part", "of", "floor", "by", "keys", "uses", "via"],
  ...["ids", "twice", "left", "read", "cancelled"],
  ...["id", "after", "card", "time", "expires", "kind", "len", "name", "media", "size", "sha256"],
]);
