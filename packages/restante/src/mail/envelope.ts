/** The envelope: what the writer says about a mail, and one part of its content. protocol/mail.md §4 */
import { fromHex, fromUtf8, RestanteError, type Time, utf8 } from "../bytes/index.ts";
import { encodePacket, type Json, type JsonObject, parsePacket, text, uint } from "../wire/index.ts";
import { AFTER_LIMIT } from "./constants.ts";

/** In suite `static` it travels as it is, inside the inner packet. */
export interface Envelope {
  /** 32 hex: equal for all recipients, devices, routes and parts. */
  readonly id: string;
  /** Ids of up to 8 mails that the writer had seen. */
  readonly after: readonly string[];
  /** The writer's card: its id, 32 hex, and its version. */
  readonly card?: { readonly id: string; readonly version: number };
  readonly time: Time;
  /** Not before `time`. */
  readonly expires: Time;
  /**
   * "text": one part of UTF-8. "file": parts of a file. "card": one part without content, for what comes with it. Others
   * (a-z, then a-z 0-9 and dashes, at most 32) are for the application to know.
   */
  readonly kind: string;
  /** In part 0 of a file, and nowhere else. */
  readonly file?: FileHead;
  readonly content: Uint8Array;
}

/** What part 0 of a file says about all of it. The content of its parts in order must have this size and digest. */
export interface FileHead {
  /** As `isFileName` wants it: a label to show, never a path. */
  readonly name: string;
  /** As `isMedia` wants it. */
  readonly media: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256, 64 hex. */
  readonly sha256: string;
}

/** Which part of how many: what an envelope is judged against. */
export interface Place {
  readonly part: number;
  readonly of: number;
}

/**
 * May a file have this name on the wire? 1 to 255 bytes of UTF-8, not "." or "..", no slash or backslash, no control
 * characters, none that change the direction of text (they make "exe.txt" out of "txt.exe").
 */
export function isFileName(name: string): boolean {
  const bytes = utf8(name);
  if (bytes.length === 0 || bytes.length > NAME_BYTES || fromUtf8(bytes) !== name) return false;
  return name !== "." && name !== ".." && !NAME_REFUSES.test(name);
}

/** May a file have this media type on the wire? `type/subtype` (RFC 6838) and parameters, printable ASCII, at most 127. */
export function isMedia(media: string): boolean {
  return media.length <= MEDIA_LENGTH && MEDIA.test(media);
}

/** The envelope packet, without padding. Throws RestanteError "bad-mail" when `parseEnvelope` would refuse it. */
export function encodeEnvelope(envelope: Envelope, place: Place): Uint8Array {
  const { id, after, card, time, expires, kind, file, content } = envelope;
  if (!isSound(envelope, place)) throw new RestanteError("bad-mail", "a field of the mail breaks its format");
  const head: JsonObject = {
    id,
    after: after.length === 0 ? undefined : after,
    card: card && { id: card.id, version: card.version },
    time,
    expires,
    kind,
    len: content.length,
    ...(file && { name: file.name, media: file.media, size: file.size, sha256: file.sha256 }),
  };
  return encodePacket(head, content);
}

/**
 * The envelope of one part; its content is a view of `bytes`. `undefined` for a field that is missing or of a wrong form,
 * for what does not fit its kind or place, and for padding that is not zero. Unknown fields are passed over.
 */
export function parseEnvelope(bytes: Uint8Array, place: Place): Envelope | undefined {
  const packet = parsePacket(bytes);
  const head = packet?.json;
  if (packet === undefined || head === undefined) return undefined;
  const id = text(head, "id");
  const after = head["after"] === undefined ? [] : texts(head["after"]);
  const card = head["card"] === undefined ? undefined : parseCard(head["card"]);
  const time = uint(head, "time");
  const expires = uint(head, "expires");
  const kind = text(head, "kind");
  const file = kind === "file" && place.part === 0 ? parseFile(head) : undefined;
  const content = unpad(packet.body, uint(head, "len"));
  if (id === undefined || after === undefined || time === undefined || expires === undefined) return undefined;
  if (kind === undefined || content === undefined || card === null) return undefined;
  const envelope: Envelope = { id, after, ...(card && { card }), time, expires, kind, ...(file && { file }), content };
  return isSound(envelope, place) ? envelope : undefined;
}

/**
 * The first `length` bytes of a padded body, as a view; `undefined` when it is shorter, or when the rest is not all zero:
 * padding carries nothing, so there is one way to write a packet of a given size. protocol/mail.md §2
 */
export function unpad(body: Uint8Array, length: number | undefined): Uint8Array | undefined {
  if (length === undefined || length > body.length) return undefined;
  for (let i = length; i < body.length; i++) if (body[i] !== 0) return undefined;
  return body.subarray(0, length);
}

/** Is the text so many bytes of lower-case hex? */
export function isHex(hex: string, bytes: number): boolean {
  return hex.length === bytes * 2 && fromHex(hex) !== undefined;
}

/** One rule for what we write and for what we read. */
function isSound({ id, after, card, time, expires, kind, file, content }: Envelope, { part, of }: Place): boolean {
  if (![id, ...after, ...(card ? [card.id] : [])].every((each) => isHex(each, ID_BYTES))) return false;
  if (after.length > AFTER_LIMIT || !KIND.test(kind)) return false;
  if (![time, expires, card?.version ?? 0, file?.size ?? 0].every((n) => Number.isSafeInteger(n) && n >= 0))
    return false;
  if (expires < time || (file !== undefined) !== (kind === "file" && part === 0)) return false;
  if (file && !(isFileName(file.name) && isMedia(file.media) && isHex(file.sha256, SHA256_BYTES))) return false;
  if (kind === "text") return of === 1 && fromUtf8(content) !== undefined;
  return kind !== "card" || (of === 1 && content.length === 0);
}

// `null` = there, but not a card.
function parseCard(value: Json): { id: string; version: number } | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const fields = value as JsonObject; // isArray does not narrow read-only arrays
  const id = text(fields, "id");
  const version = uint(fields, "version");
  return id === undefined || version === undefined ? null : { id, version };
}

function parseFile(head: JsonObject): FileHead | undefined {
  const name = text(head, "name");
  const media = text(head, "media");
  const size = uint(head, "size");
  const sha256 = text(head, "sha256");
  if (name === undefined || media === undefined || size === undefined || sha256 === undefined) return undefined;
  return { name, media, size, sha256 };
}

/** The list of texts; `undefined` when it is anything else. */
function texts(value: Json): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const list: readonly Json[] = value;
  const found = list.filter((each) => typeof each === "string");
  return found.length === list.length ? found : undefined;
}

const ID_BYTES = 16;
const SHA256_BYTES = 32;
const KIND = /^[a-z][a-z0-9-]{0,31}$/;
const NAME_BYTES = 255; // what common file systems take
const NAME_REFUSES = /[/\\\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
const MEDIA_LENGTH = 127; // RFC 6838 §4.2: as long as one of its two names may be
const MEDIA = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+( *;[ -~]*)?$/;
