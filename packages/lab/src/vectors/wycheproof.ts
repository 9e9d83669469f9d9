/**
 * Project Wycheproof's vectors (github.com/C2SP/wycheproof, `testvectors_v1`), against every backend that loads here. They
 * are no part of this repository: put the files into a folder named `wycheproof`. Cases of sizes and forms that no cipher
 * set uses are not run. vectors/README.md
 */
import { loadBackend, loadNative, loadWasm } from "@restante/node";
import { type Backend, concat, hsalsa20, isRsaKey, portable } from "restante/protocol";
import { bytes, type Case, type Fields, given, holds, list, number, object, type Runner, same, text } from "./cases.ts";

/** By file name. */
export const WYCHEPROOF: Readonly<Record<string, Runner>> = {
  x25519_test: each((backend, one) => {
    const shared = bytes(one, "shared");
    const isZero = shared.every((byte) => byte === 0);
    // Everything else must be computed, points of the twist and numbers above the prime too.
    const expected = isZero ? null : hsalsa20(shared);
    same(backend.beforenm(bytes(one, "private"), bytes(one, "public")), expected, "beforenm");
  }),

  xchacha20_poly1305_test: each(
    (backend, one) => {
      const [key, iv, aad, plain] = [bytes(one, "key"), bytes(one, "iv"), bytes(one, "aad"), bytes(one, "msg")];
      const sealed = concat(bytes(one, "ct"), bytes(one, "tag"));
      same(backend.xchachaOpen(key, iv, sealed, aad), isGood(one) ? plain : null, "opened");
      if (isGood(one)) same(backend.xchachaSeal(key, iv, plain, aad), sealed, "sealed");
    },
    (group) => number(group, "ivSize") === 192,
  ),

  aes_gcm_test: each(
    (backend, one) => {
      const [key, iv, aad, plain] = [bytes(one, "key"), bytes(one, "iv"), bytes(one, "aad"), bytes(one, "msg")];
      const sealed = concat(bytes(one, "ct"), bytes(one, "tag"));
      same(backend.aes256gcmOpen(key, iv, sealed, aad), isGood(one) ? plain : null, "opened");
      if (isGood(one)) same(backend.aes256gcmSeal(key, iv, plain, aad), sealed, "sealed");
    },
    (group) => number(group, "keySize") === 256 && number(group, "ivSize") === 96 && number(group, "tagSize") === 128,
  ),

  hmac_sha256_test: each((backend, one) => {
    const tag = bytes(one, "tag"); // may be the beginning of one
    const isSame = sameBytes(backend.hmac(bytes(one, "key"), bytes(one, "msg")).subarray(0, tag.length), tag);
    holds(isSame === isGood(one), `a tag that is ${text(one, "result")}`);
  }),

  hkdf_sha256_test: each((backend, one) => {
    const args = [bytes(one, "ikm"), bytes(one, "salt"), bytes(one, "info"), number(one, "size")] as const;
    if (isGood(one)) same(backend.hkdf(...args), bytes(one, "okm"), "key");
    else
      holds(
        throws(() => backend.hkdf(...args)),
        "longer than HKDF can be",
      ); // the caller's bug, not a peer's
  }),

  rsa_oaep_2048_sha1_mgf1sha1_test: each(({ rsa }, one, group) => {
    if (rsa === undefined) return;
    const pair = given(rsa.keyPair(bytes(group, "privateKeyPkcs8")), "no pair");
    const isOurs = isGood(one) && text(one, "label") === ""; // we use no label, so all others are refused
    same(rsa.decrypt(pair, bytes(one, "ct")), isOurs ? bytes(one, "msg") : null, "decrypted");
  }),

  rsa_signature_2048_sha256_test: each(({ rsa }, one, group) => {
    if (rsa === undefined) return;
    for (const form of ["publicKeyAsn", "publicKeyDer"]) {
      const key = bytes(group, form);
      holds(isRsaKey(key), `${form} is no key`);
      // "acceptable" is one signature whose padding lacks a NULL; RFC 8017 leaves it to the verifier.
      if (text(one, "result") !== "acceptable")
        holds(
          rsa.verify(key, bytes(one, "msg"), bytes(one, "sig")) === isGood(one),
          `a ${text(one, "result")} signature`,
        );
    }
  }),

  ecdh_secp256r1_ecpoint_test: each((backend, one) => {
    const secret = lastBytes(bytes(one, "private"), 32);
    // "acceptable" are compressed keys, which 2a has not.
    same(backend.p256(secret, bytes(one, "public")), isGood(one) ? bytes(one, "shared") : null, "secret");
  }),

  siphash_2_4_test: each((backend, one) => {
    const tag = backend.siphash(bytes(one, "key"), bytes(one, "msg"));
    holds(sameBytes(tag, bytes(one, "tag")) === isGood(one), `a tag that is ${text(one, "result")}`);
  }),
};

type Check = (backend: Backend, one: Fields, group: Fields) => void;

/** A case for each test of the file, run on every backend; those of groups that do not apply count as unsupported. */
function each(check: Check, applies: (group: Fields) => boolean = () => true): Runner {
  return (file) =>
    list(object(file, "the file")["testGroups"], "testGroups").flatMap((group) =>
      list(group["tests"], "tests").map(
        (one): Case => ({
          name: `test ${number(one, "tcId")}`,
          isUnsupported: !applies(group),
          check: () => checkAll(check, one, group),
        }),
      ),
    );
}

function checkAll(check: Check, one: Fields, group: Fields): void {
  for (const backend of BACKENDS) {
    try {
      check(backend, one, group);
    } catch (error) {
      throw new Error(`on ${backend.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function isGood(one: Fields): boolean {
  return text(one, "result") === "valid";
}

function throws(call: () => unknown): boolean {
  try {
    call();
    return false;
  } catch {
    return true;
  }
}

/** A number as this many bytes, of a text that may have zeros in front, or lack them. */
function lastBytes(number: Uint8Array, length: number): Uint8Array {
  return concat(new Uint8Array(length), number).slice(-length);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const BACKENDS: readonly Backend[] = [
  portable,
  await loadWasm(),
  await loadNative(),
  await loadBackend(() => {}),
].filter(
  (backend, i, all) => backend !== undefined && all.findIndex((other) => other?.name === backend.name) === i,
) as Backend[];
