/** Keys as a JSON Web Key of type "hashname" (RFC 7517; telehash v3/link.md, "JWK"). protocol/hashname.md §4 */
import type { Backend } from "./backend.ts";
import { type Hashname, hashnameOf } from "./hashname.ts";
import { ascending, csidText, encodeKeys, type Keys, parseKeys } from "./keys.ts";

/** What anybody may know of a peer's identity. */
export interface PublicIdentity {
  readonly hashname: Hashname;
  readonly keys: Keys;
}

/** The JWK: `{"kty":"hashname","kid":<hashname>,"use":"link","cs3a":<base32>,...}`, keys in ascending CSID. */
export function encodeJwk({ hashname, keys }: PublicIdentity): Record<string, string> {
  const texts = encodeKeys(keys);
  const members = ascending(keys).map(([csid]) => [`cs${csidText(csid)}`, texts[csidText(csid)] ?? ""]);
  return { kty: TYPE, kid: hashname, use: USE, ...Object.fromEntries(members) };
}

/**
 * The keys in a parsed JWK of any origin; other members are ignored, as RFC 7517 has it. `undefined` unless `kty` is
 * "hashname", `use` is "link", the members `cs??` are keys as in `parseKeys`, and `kid` is the hashname that they make.
 */
export function parseJwk(backend: Backend, value: unknown): PublicIdentity | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const members = value as Readonly<Record<string, unknown>>;
  if (members["kty"] !== TYPE || members["use"] !== USE) return undefined;
  const texts = Object.entries(members).flatMap(([name, text]) => {
    const csid = KEY_MEMBER.exec(name)?.[1];
    return csid === undefined ? [] : [[csid, text] as const];
  });
  const keys = parseKeys(Object.fromEntries(texts));
  const hashname = keys && hashnameOf(backend, keys);
  return keys === undefined || hashname === undefined || members["kid"] !== hashname ? undefined : { hashname, keys };
}

const TYPE = "hashname";
const USE = "link"; // its only use: link.md, "JWK"
const KEY_MEMBER = /^cs([0-9a-f]{2})$/;
