/**
 * JWS and JWE (RFC 7515, RFC 7516) as packets: the octets of the compact serialisation without their base64url. A
 * translation and nothing else: no signature is looked at, and each text comes back as it was. protocol/lob.md §4
 */
import { fromBase64url, toBase64url } from "../bytes/index.ts";
import { encodeJson, hasOnly, type JsonObject, text } from "./json.ts";
import { encodePacket, type Packet, parsePacket } from "./packet.ts";

/**
 * The packet of a JWS in compact serialisation: HEAD the protected header, BODY a packet with the payload as its HEAD
 * (bytes of any kind) and the signature as its BODY. `undefined` unless there are three parts in canonical base64url,
 * the header is a packet's JSON head that makes it a JWS (`isJws`), and header and payload have at most 65535 bytes
 * each. Never throws.
 */
export function jwsToPacket(jws: string): Uint8Array | undefined {
  const [header, payload, signature] = decodeParts(jws, 3) ?? [];
  if (header === undefined || payload === undefined || signature === undefined) return undefined;
  if (payload.length > MAX_HEAD) return undefined;
  return wrap(header, encodePacket(payload, signature), isJws);
}

/** The JWS in compact serialisation that `jwsToPacket` makes exactly this packet of; `undefined` for any other packet. */
export function packetToJws(bytes: Uint8Array): string | undefined {
  const outer = parsePacket(bytes);
  const inner = outer && parsePacket(outer.body);
  if (outer === undefined || inner === undefined || !isJws(outer.json)) return undefined;
  return encodeParts([outer.head, inner.head, inner.body]);
}

/**
 * The packet of a JWE in compact serialisation: HEAD the protected header; BODY a packet with the HEAD
 * `{"iv","tag","encrypted_key"}` (base64url, as they stood); its BODY a packet without HEAD whose BODY is the
 * ciphertext. `undefined` unless there are five parts in canonical base64url, the header is a packet's JSON head with
 * `alg` and `enc`, and each head has at most 65535 bytes. Never throws.
 */
export function jweToPacket(jwe: string): Uint8Array | undefined {
  const [header, , , ciphertext] = decodeParts(jwe, 5) ?? [];
  const [, key = "", iv = "", , tag = ""] = jwe.split(".", 5);
  if (header === undefined || ciphertext === undefined) return undefined;
  const fields = encodeJson({ iv, tag, encrypted_key: key });
  if (fields.length > MAX_HEAD) return undefined;
  return wrap(header, encodePacket(fields, encodePacket(undefined, ciphertext)), isJwe);
}

/**
 * The JWE in compact serialisation that a packet holds. Fields of the second head may stand in any order, and are empty
 * when absent. `undefined` for what the compact form cannot say: other fields there, an `aad` that is not empty, an
 * unprotected header; and for any other packet.
 */
export function packetToJwe(bytes: Uint8Array): string | undefined {
  const outer = parsePacket(bytes);
  const middle = outer && parsePacket(outer.body);
  const inner = middle && parsePacket(middle.body);
  if (outer === undefined || inner === undefined || !isJwe(outer.json)) return undefined;
  const fields = inner.head.length > 0 ? undefined : fieldsOf(middle);
  return fields && encodeParts([outer.head, fields.key, fields.iv, inner.body, fields.tag]);
}

interface JweFields {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly tag: Uint8Array;
}

function fieldsOf(packet: Packet | undefined): JweFields | undefined {
  const json = packet?.head.length === 0 ? {} : packet?.json;
  if (json === undefined || !hasOnly(json, JWE_FIELDS) || octets(json, "aad")?.length !== 0) return undefined;
  const [key, iv, tag] = [octets(json, "encrypted_key"), octets(json, "iv"), octets(json, "tag")];
  return key && iv && tag && { key, iv, tag };
}

/** The field's bytes, none when it is absent. */
function octets(json: JsonObject, key: string): Uint8Array | undefined {
  if (json[key] === undefined) return new Uint8Array(0);
  const spelled = text(json, key);
  return spelled === undefined ? undefined : fromBase64url(spelled);
}

/** A packet with this HEAD, if it will be read as the JSON that is asked for. */
function wrap(
  header: Uint8Array,
  body: Uint8Array,
  isRight: (json: JsonObject | undefined) => boolean,
): Uint8Array | undefined {
  if (header.length > MAX_HEAD) return undefined;
  const packet = encodePacket(header, body);
  return isRight(parsePacket(packet)?.json) ? packet : undefined;
}

/** RFC 7516 §9: what has an `enc` is no JWS. RFC 7797 §3: `b64` false means a payload that is not in base64url. */
function isJws(json: JsonObject | undefined): boolean {
  return text(json, "alg") !== undefined && json?.["enc"] === undefined && json?.["b64"] !== false;
}

function isJwe(json: JsonObject | undefined): boolean {
  return text(json, "alg") !== undefined && text(json, "enc") !== undefined;
}

function decodeParts(compact: string, count: number): Uint8Array[] | undefined {
  const texts = compact.split(".", count + 1);
  const parts = texts.flatMap((one) => fromBase64url(one) ?? []);
  return texts.length === count && parts.length === count ? parts : undefined;
}

function encodeParts(parts: readonly Uint8Array[]): string {
  return parts.map(toBase64url).join(".");
}

const MAX_HEAD = 0xffff; // protocol/lob.md §1
const JWE_FIELDS = ["aad", "iv", "tag", "encrypted_key"];
