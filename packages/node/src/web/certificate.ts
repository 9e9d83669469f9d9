/**
 * A certificate for the page that nobody else vouches for: who opens it compares its fingerprint, once. Written here, in the some
 * hundred lines that a certificate of one kind takes: the libraries for all kinds bring fifteen packages. RFC 5280
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { RestanteError } from "restante";
import { fromUtf8, utf8 } from "restante/protocol";
import { readPrivate, replacePrivate } from "../store/private-file.ts";

export interface Certificate {
  /** Both PEM; `cert` may be followed by those that vouch for it. */
  readonly key: string;
  readonly cert: string;
  /** SHA-256 as browsers show it: "AB:CD:...". */
  readonly fingerprint: string;
  /** Somebody else vouches for it, so that browsers may. */
  readonly isVouched: boolean;
}

/** One that lies in files. Throws "bad-certificate" for what is none, is over, or does not belong to its key. */
export function certificateOf(cert: string, key: string, now: number): Certificate {
  const parsed = parse(cert);
  if (parsed === undefined) throw bad("the certificate is none: it has to be PEM");
  const privateKey = privateKeyOf(key);
  if (privateKey === undefined) throw bad("the key of the certificate is none: it has to be PEM, without a passphrase");
  if (!parsed.checkPrivateKey(privateKey)) throw bad("certificate and key do not belong together");
  if (Date.parse(parsed.validTo) < now) throw bad(`the certificate was good until ${parsed.validTo}; renew it`);
  return { key, cert, fingerprint: parsed.fingerprint256, isVouched: parsed.issuer !== parsed.subject };
}

/**
 * The home's own, made for all these names and IP addresses where there is none yet, or where it is over soon. A new one has to
 * be compared again: so it is not made anew because an address changed, but because one of `needed` is not in it. Throws
 * "open-permissions" when others can read it.
 */
export async function ownCertificate(
  dir: string,
  needed: readonly string[],
  all: readonly string[],
  now: number,
): Promise<Certificate> {
  const file = join(dir, "web-certificate");
  const text = fromUtf8((await readPrivate(file)) ?? new Uint8Array(0)) ?? "";
  const [, cert = "", key = ""] =
    /^(-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n)([\s\S]+)$/.exec(text) ?? [];
  const saved = parse(cert);
  const isGood =
    saved !== undefined &&
    privateKeyOf(key) !== undefined &&
    Date.parse(saved.validTo) > now + RENEW_MS &&
    needed.every((name) => (isIP(name) ? saved.checkIP(name) : saved.checkHost(name)) !== undefined);
  if (isGood) return certificateOf(cert, key, now);
  const made = makeCertificate(all, now);
  await replacePrivate(file, utf8(made.cert + made.key));
  return certificateOf(made.cert, made.key, now);
}

/** A certificate for these names and IP addresses, good for 800 days: Apple's systems take none for longer. P-256. */
export function makeCertificate(
  names: readonly string[],
  now: number,
): { readonly cert: string; readonly key: string } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40; // positive, and of full length
  const who = sequence(tlv(SET, sequence(oid(COMMON_NAME), tlv(UTF8_STRING, utf8("Restante")))));
  const body = sequence(
    tlv(0xa0, tlv(INTEGER, Uint8Array.of(2))), // version 3
    tlv(INTEGER, serial),
    sequence(oid(ECDSA_SHA256)),
    who,
    sequence(time(now - DAY_MS), time(now + LIFE_MS)),
    who,
    new Uint8Array(createPublicKey(privateKey).export({ type: "spki", format: "der" })),
    tlv(
      0xa3,
      sequence(
        extension(BASIC_CONSTRAINTS, sequence(), true), // no authority: whoever trusts it trusts this page alone
        extension(KEY_USAGE, tlv(BIT_STRING, Uint8Array.of(7, 0x80)), true), // to sign
        extension(EXTENDED_KEY_USAGE, sequence(oid(SERVER_AUTH))),
        extension(ALTERNATIVE_NAMES, sequence(...names.map(alternativeName))),
      ),
    ),
  );
  const signature = new Uint8Array(sign("sha256", body, privateKey));
  const der = sequence(body, sequence(oid(ECDSA_SHA256)), tlv(BIT_STRING, Uint8Array.of(0), signature));
  return { cert: pem(der), key: privateKey.export({ type: "pkcs8", format: "pem" }) as string };
}

function alternativeName(name: string): Uint8Array {
  return isIP(name) ? tlv(0x87, addressBytes(name)) : tlv(0x82, utf8(name));
}

function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split(".").map(Number));
  const [head = "", tail = ""] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const words = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const zeros = Array<string>(8 - words(head).length - words(tail).length).fill("0");
  const all = [...words(head), ...zeros, ...words(tail)].map((word) => Number.parseInt(word, 16));
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

function extension(name: string, value: Uint8Array, isCritical = false): Uint8Array {
  return sequence(oid(name), ...(isCritical ? [tlv(BOOLEAN, Uint8Array.of(0xff))] : []), tlv(OCTET_STRING, value));
}

/** UTCTime: two digits of the year, until 2049. */
function time(at: number): Uint8Array {
  const text = new Date(at).toISOString().replace(/[-:T]|\.\d+/g, "");
  return text < "2050" ? tlv(UTC_TIME, utf8(text.slice(2))) : tlv(GENERALIZED_TIME, utf8(text));
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return tlv(SEQUENCE, ...parts);
}

function oid(hex: string): Uint8Array {
  return tlv(OBJECT_IDENTIFIER, new Uint8Array(Buffer.from(hex, "hex")));
}

/** DER: tag, length, value. */
function tlv(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const value = Buffer.concat(parts);
  const { length } = value;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return new Uint8Array(Buffer.concat([Uint8Array.of(tag, ...size), value]));
}

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function parse(cert: string): X509Certificate | undefined {
  try {
    return new X509Certificate(cert);
  } catch {
    return undefined;
  }
}

function privateKeyOf(pem: string): ReturnType<typeof createPrivateKey> | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

function bad(message: string): RestanteError {
  return new RestanteError("bad-certificate", message);
}

const DAY_MS = 86_400_000;
const LIFE_MS = 800 * DAY_MS;
const RENEW_MS = 30 * DAY_MS;
// Tags of ASN.1, and names of RFC 5280 and RFC 5758 as DER has them.
const [BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OBJECT_IDENTIFIER, UTF8_STRING] = [1, 2, 3, 4, 6, 12];
const [UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET] = [0x17, 0x18, 0x30, 0x31];
const ECDSA_SHA256 = "2a8648ce3d040302";
const COMMON_NAME = "550403";
const BASIC_CONSTRAINTS = "551d13";
const KEY_USAGE = "551d0f";
const EXTENDED_KEY_USAGE = "551d25";
const ALTERNATIVE_NAMES = "551d11";
const SERVER_AUTH = "2b06010505070301";
