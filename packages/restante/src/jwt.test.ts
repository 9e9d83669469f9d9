import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { type Hashname, parseHashname } from "./crypto/index.ts";
import type { HandshakeMessage } from "./e3x/index.ts";
import { type JwtOptions, jwtHandshake, verifyJwt } from "./jwt.ts";
import { createPeer } from "./run.ts";
import { cs01 } from "./testing/cipher-set-01.ts";
import { MemoryNetwork } from "./transport/index.ts";
import { parsePacket } from "./wire/index.ts";

const NOW = 1_700_000_000_000;
const [sender, other] = ["a", "b"].map((letter) => parseHashname(letter.repeat(52).replace(/.$/, "a"))) as [
  Hashname,
  Hashname,
];
let keys: Awaited<ReturnType<typeof generateKeyPair>>;
let options: JwtOptions;

beforeAll(async () => {
  keys = await generateKeyPair("EdDSA", { crv: "Ed25519" });
  options = { key: keys.publicKey, algorithms: ["EdDSA"], issuer: "https://id.example", clock: () => NOW };
});

/** A token as a provider makes it, for what differs. */
function token(claims: { aud?: string[]; iss?: string; exp?: number } = {}, key = keys.privateKey): Promise<string> {
  const { aud = [sender, "restante"], iss = options.issuer, exp = NOW / 1000 + 60 } = claims;
  const signed = new SignJWT({ sub: "eve", name: "Eve" }).setProtectedHeader({ alg: "EdDSA" });
  return signed.setAudience(aud).setIssuer(iss).setExpirationTime(exp).sign(key);
}

function handshake(message: HandshakeMessage | undefined, hashname = sender) {
  if (message === undefined) throw new Error("no message");
  return { hashname, messages: [{ type: "key", json: {}, body: new Uint8Array(0) }, message] };
}

describe("a token in a handshake", () => {
  test("[B22] travels as a packet in a packet, and its claims come out", async () => {
    const message = jwtHandshake(await token());
    const packet = parsePacket(message?.body ?? new Uint8Array(0));
    expect(message?.type).toBe("jwt");
    expect(packet?.json).toEqual({ alg: "EdDSA" });
    expect(parsePacket(packet?.body ?? new Uint8Array(0))?.json).toMatchObject({ name: "Eve" });
    expect(await verifyJwt(handshake(message), options)).toMatchObject({ sub: "eve", name: "Eve" });
    expect(await verifyJwt(handshake(message), { ...options, key: async () => keys.publicKey })).toBeDefined();
    expect(await verifyJwt(handshake(message), { ...options, audience: "restante" })).toBeDefined();
  });

  test("is refused from anybody but the peer it names, and everywhere that it was not made for", async () => {
    const message = jwtHandshake(await token());
    expect(await verifyJwt(handshake(message, other), options)).toBeUndefined();
    expect(await verifyJwt(handshake(message), { ...options, audience: "another service" })).toBeUndefined();
    expect(await verifyJwt(handshake(message), { ...options, issuer: "https://other.example" })).toBeUndefined();
    expect(await verifyJwt(handshake(message), { ...options, algorithms: ["ES256"] })).toBeUndefined();
    expect(await verifyJwt(handshake(message), { ...options, clock: () => NOW + 61_000 })).toBeUndefined();
    const strange = (await generateKeyPair("EdDSA", { crv: "Ed25519" })).privateKey;
    expect(await verifyJwt(handshake(jwtHandshake(await token({}, strange))), options)).toBeUndefined();
  });

  test("is refused without an end, without a signature, and when a bit of it changed", async () => {
    const endless = new SignJWT({ aud: [sender], iss: options.issuer }).setProtectedHeader({ alg: "EdDSA" });
    expect(await verifyJwt(handshake(jwtHandshake(await endless.sign(keys.privateKey))), options)).toBeUndefined();
    const [, claims] = (await token()).split(".");
    const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${claims}.`;
    expect(await verifyJwt(handshake(jwtHandshake(none)), { ...options, algorithms: ["none"] })).toBeUndefined();
    const message = jwtHandshake(await token());
    const body = message?.body ?? new Uint8Array(0);
    for (let at = 0; at < body.length; at++) {
      const changed = body.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await verifyJwt(handshake({ type: "jwt", json: {}, body: changed }), options)).toBeUndefined();
    }
  });

  test("is never signed with what everybody knows: the public key as the secret of an HMAC", async () => {
    const ours = (await generateKeyPair("RS256", { extractable: true })).publicKey;
    const [pem, jwk] = [new TextEncoder().encode(await exportSPKI(ours)), await exportJWK(ours)];
    const claims = { aud: [sender], iss: options.issuer, exp: NOW / 1000 + 60 };
    for (const alg of ["HS256", "HS384", "HS512"]) {
      const forged = jwtHandshake(await new SignJWT(claims).setProtectedHeader({ alg }).sign(pem));
      for (const key of [ours, jwk, pem]) {
        const careless = { ...options, key, algorithms: ["RS256", alg] };
        expect(await verifyJwt(handshake(forged), careless)).toBeUndefined();
      }
    }
  });

  test("is none where there is no such message, or one that holds no token", async () => {
    expect(await verifyJwt({ hashname: sender, messages: [] }, options)).toBeUndefined();
    for (const text of ["", "a.b", "a.b.c", "x".repeat(2000)]) expect(jwtHandshake(text)).toBeUndefined();
    for (const body of [new Uint8Array(0), new Uint8Array(100)])
      expect(await verifyJwt(handshake({ type: "jwt", json: {}, body }), options)).toBeUndefined();
  });
});

test("[B52] a peer lets in whom an identity provider vouches for, and stays silent to everybody else", async () => {
  const network = new MemoryNetwork();
  const common = (name: string) => ({ name, cipherSets: [cs01()], transports: [network.transport(name)] });
  const alice = await createPeer({
    ...common("alice"),
    approve: async (shown) => (await verifyJwt(shown, { ...options, clock: Date.now })) !== undefined,
  });
  const [eve, mallory] = [await createPeer(common("eve")), await createPeer(common("mallory"))];
  try {
    const link = await alice.invite();
    await mallory.add(link); // the invite is good for one
    while (alice.contacts().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const exp = Date.now() / 1000 + 60;
    const shown = jwtHandshake(await token({ aud: [eve.hashname], exp }));
    await eve.setHandshakes(shown === undefined ? [] : [shown]);
    const up = new Promise<boolean>((resolve) => {
      eve.on((event) => event.type === "link" && resolve(event.up));
    });
    await eve.add(link);
    expect(await up).toBe(true);
    await expect(eve.setHandshakes([{ type: "key", json: {}, body: new Uint8Array(0) }])).rejects.toMatchObject({
      code: "bad-handshake",
    });
    const long = { type: "tx", json: {}, body: new Uint8Array(1400) };
    await expect(eve.setHandshakes([long])).rejects.toMatchObject({ code: "bad-handshake" });
    await expect(createPeer({ handshakes: [long] })).rejects.toMatchObject({ code: "bad-handshake" });
  } finally {
    await Promise.all([alice, eve, mallory].map((peer) => peer.close()));
  }
});
