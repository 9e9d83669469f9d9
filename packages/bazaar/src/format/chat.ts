/** Chat messages, their ids, and signed commands (follow, moderate). protocol/bazaar.md §2 */
import { create, toBinary } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, encodeVarint, utf8 } from "restante/protocol";
import { ChatSchema, CommandSchema, SignedDataSchema } from "./gen/openbazaar_pb.ts";
import { type Identity, sign, verify } from "./identity.ts";
import { multihash, type PeerId, parsePeerId, peerIdOf, toBase58 } from "./ids.ts";
import { bytesOf, type Message, parse, payloadOf, TYPES } from "./message.ts";

/** A moment: whole seconds since 1970 (also before), and nanoseconds from 0 to 999,999,999. */
export interface Moment {
  readonly seconds: number;
  readonly nanos: number;
}

/** A chat message, as it came: every word of it somebody else's. */
export interface Chat {
  /** As the writer computed it: `chatId`. Not proof of anything. */
  readonly messageId: string;
  readonly subject: string;
  readonly text: string;
  readonly time: Moment | undefined;
  /** A number that we do not know is none of these. */
  readonly flag: "message" | "typing" | "read" | undefined;
}

/** The most bytes of a chat's subject, in UTF-8: what OpenBazaar's API takes. */
export const SUBJECT_BYTES = 500;
/** The most bytes of its text, alike. */
export const TEXT_BYTES = 20_000;

/**
 * The id that OpenBazaar gives a chat message: text, subject and time run into each other, so that different messages may
 * share one. For its peers alone; what has to be told apart is told apart by `innerId`. `undefined` for a time that has none.
 */
export function chatId(text: string, subject: string, time: Moment): string | undefined {
  const written = writeTime(time);
  return written === undefined ? undefined : toBase58(multihash(utf8(text + subject + written)));
}

/** Our own id of a chat message: SHA-256 over sender, recipient, text, subject and time, each after its length. 32 bytes. */
export function innerId(chat: {
  readonly from: PeerId;
  readonly to: PeerId;
  readonly text: string;
  readonly subject: string;
  readonly time: Moment;
}): Uint8Array {
  const parts = [chat.from, chat.to, chat.text, chat.subject, `${chat.time.seconds}.${chat.time.nanos}`].map(utf8);
  return sha256(concat(...parts.flatMap((part) => [encodeVarint(part.length), part])));
}

/** RFC 3339 in UTC, the zeros at the end of the fraction left out; `undefined` outside of the years 1 to 9999. */
export function writeTime({ seconds, nanos }: Moment): string | undefined {
  if (!Number.isInteger(seconds) || seconds < FIRST_SECOND || seconds > LAST_SECOND) return undefined;
  if (!Number.isInteger(nanos) || nanos < 0 || nanos >= 1e9) return undefined;
  const day = Math.floor(seconds / DAY);
  const rest = seconds - day * DAY;
  const [year, month, date] = civil(day);
  const fraction = nanos === 0 ? "" : `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
  const clock = [rest / 3600, (rest / 60) % 60, rest % 60].map((part) => pad(Math.floor(part), 2)).join(":");
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(date, 2)}T${clock}${fraction}Z`;
}

/** A CHAT. `undefined` when subject or text is longer than may be sent, or the time has no name. */
export function chatMessage(chat: {
  readonly text: string;
  readonly subject: string;
  readonly time: Moment;
  readonly flag?: "message" | "typing" | "read" | undefined;
}): Message | undefined {
  const { text, subject, time } = chat;
  const messageId = chatId(text, subject, time);
  if (messageId === undefined || utf8(text).length > TEXT_BYTES || utf8(subject).length > SUBJECT_BYTES)
    return undefined;
  const bytes = encodeChat({ messageId, subject, text, time, flag: chat.flag ?? "message" });
  return { type: TYPES.CHAT, payload: payloadOf("Chat", bytes) };
}

/** The canonical bytes of a Chat. */
export function encodeChat(chat: Chat): Uint8Array {
  const { messageId, subject, text, time, flag } = chat;
  const shape = create(ChatSchema, { messageId, subject, message: text, flag: FLAGS.indexOf(flag ?? "message") });
  if (time !== undefined) shape.timestamp = timestamp(time);
  return toBinary(ChatSchema, shape);
}

/** What a CHAT says; `undefined` when this is none. */
export function chatOf(message: Message): Chat | undefined {
  const bytes = message.type === TYPES.CHAT ? bytesOf(message, "Chat") : undefined;
  const shape = bytes && parse(ChatSchema, bytes);
  if (shape === undefined) return undefined;
  const { messageId, subject, message: text, timestamp } = shape;
  return { messageId, subject, text, time: timestamp && moment(timestamp), flag: FLAGS[shape.flag] };
}

/** "I follow this peer", and the like, signed: FOLLOW, UNFOLLOW, MODERATOR_ADD, MODERATOR_REMOVE. */
export function commandMessage(
  identity: Identity,
  command: { readonly peer: PeerId; readonly type: number; readonly time: Moment },
): Message {
  const shape = create(CommandSchema, { peerID: command.peer, type: command.type });
  shape.timestamp = timestamp(command.time);
  const serializedData = toBinary(CommandSchema, shape);
  const signed = create(SignedDataSchema, {
    senderPubkey: identity.publicKey,
    serializedData,
    signature: sign(identity, serializedData),
  });
  return { type: command.type, payload: payloadOf("SignedData", toBinary(SignedDataSchema, signed)) };
}

/**
 * Who signed which command about whom. `undefined` when the message holds none, the signature is wrong, or the command is of
 * another type than the message. One that is about somebody else than the reader was not meant for the reader.
 */
export function commandOf(
  message: Message,
):
  | { readonly from: PeerId; readonly peer: PeerId; readonly type: number; readonly time: Moment | undefined }
  | undefined {
  const bytes = bytesOf(message, "SignedData");
  const signed = bytes && parse(SignedDataSchema, bytes);
  if (signed === undefined || !verify(signed.senderPubkey, signed.serializedData, signed.signature)) return undefined;
  const command = parse(CommandSchema, signed.serializedData);
  const peer = command && parsePeerId(command.peerID);
  if (peer === undefined || command?.type !== message.type) return undefined;
  const { timestamp } = command;
  return { from: peerIdOf(signed.senderPubkey), peer, type: command.type, time: timestamp && moment(timestamp) };
}

/** The moment, of milliseconds since 1970. */
export function momentOf(milliseconds: number): Moment {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanos: Math.round((milliseconds - seconds * 1000) * 1e6) };
}

function timestamp({ seconds, nanos }: Moment): Timestamp {
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos });
}

function moment({ seconds, nanos }: Timestamp): Moment | undefined {
  const whole = { seconds: Number(seconds), nanos };
  return writeTime(whole) === undefined ? undefined : whole;
}

/** Year, month and day of a day since 1970: the era of 400 years that it lies in, counted from 1 March of the year 0. */
function civil(day: number): readonly [number, number, number] {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const ofEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const month = Math.floor((5 * ofYear + 2) / 153); // from March
  const date = ofYear - Math.floor((153 * month + 2) / 5) + 1;
  return [yearOfEra + era * 400 + (month >= 10 ? 1 : 0), month < 10 ? month + 3 : month - 9, date];
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, "0");
}

const FLAGS = ["message", "typing", "read"] as const;
const DAY = 86_400;
const FIRST_SECOND = -62_135_596_800; // 0001-01-01T00:00:00Z
const LAST_SECOND = 253_402_300_799; // 9999-12-31T23:59:59Z
