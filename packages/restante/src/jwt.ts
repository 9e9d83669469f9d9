/**
 * JSON Web Tokens in handshakes: who is behind a hashname, as an identity provider says it. The one file that needs `jose`,
 * with an entry of its own (`restante/jwt`), so that nobody else carries it. protocol/exchange.md §5
 */
import { type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify, type KeyInput } from "jose";
import type { Hashname } from "./crypto/index.ts";
import type { HandshakeMessage } from "./e3x/index.ts";
import { jwsToPacket, packetToJws } from "./wire/index.ts";

/** Whose tokens are accepted, and for whom they must be. protocol/exchange.md §5 */
export interface JwtOptions {
  /** The provider's public key, or a function that finds it by the token's header (`createRemoteJWKSet` of jose). */
  readonly key: KeyInput | JWTVerifyGetKey;
  /** Signature algorithms that are accepted, as ["EdDSA", "ES256"]. "none" never is, nor is HMAC ("HS256"...). */
  readonly algorithms: readonly string[];
  readonly issuer: string;
  /** Besides the sender's hashname, what `aud` must hold: our own hashname, or the name of the application. */
  readonly audience?: string;
  /** Milliseconds since 1970. Default: the clock of the system. */
  readonly clock?: () => number;
}

/** The claims of a verified token: those of RFC 7519, and whatever the provider adds. */
export type JwtClaims = Readonly<Record<string, unknown>>;

/**
 * The handshake message that shows a token: JWS compact serialisation, for instance from an identity provider. `undefined`
 * when it is none, or too long (1023 characters) for a handshake.
 */
export function jwtHandshake(token: string): HandshakeMessage | undefined {
  const body = token.length > MAX_TOKEN ? undefined : jwsToPacket(token);
  return body && { type: "jwt", json: {}, body };
}

/**
 * The claims of the token in a handshake, when it is good: one message of type "jwt"; a signature by the key, of an
 * algorithm that is accepted; issuer and times as they should be; and `aud` names the sender's hashname, so that nobody can
 * show the token of another. `undefined` for everything else. Never throws for what a peer sent.
 */
export async function verifyJwt(
  handshake: { readonly hashname: Hashname; readonly messages: readonly HandshakeMessage[] },
  options: JwtOptions,
): Promise<JwtClaims | undefined> {
  const message = handshake.messages.find(({ type }) => type === "jwt");
  const token = message && packetToJws(message.body);
  if (token === undefined) return undefined;
  const { key, algorithms, issuer, audience, clock } = options;
  const checks: JWTVerifyOptions = {
    // Whoever can verify an HMAC can make it: every reader, or, where the key is in truth a public one, everybody.
    algorithms: algorithms.filter((name) => !name.startsWith("HS")),
    issuer,
    audience: handshake.hashname,
    requiredClaims: ["exp"], // one that never ends could be shown for ever
    ...(clock && { currentDate: new Date(clock()) }),
  };
  try {
    const find: JWTVerifyGetKey = typeof key === "function" ? key : () => key;
    const { payload } = await jwtVerify(token, find, checks);
    const named = typeof payload.aud === "string" ? [payload.aud] : (payload.aud ?? []);
    return audience === undefined || named.includes(audience) ? payload : undefined;
  } catch {
    return undefined;
  }
}

const MAX_TOKEN = 1023; // as bytes three quarters of it: with seal and head less than the 1400 of a handshake
