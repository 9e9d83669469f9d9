/** The runner of Wycheproof's files, fed with a small list of their shape that OpenSSL makes here. */
import {
  constants,
  createCipheriv,
  createECDH,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  publicEncrypt,
  randomBytes,
  sign,
} from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runFolder } from "./runner.ts";

const scratch = mkdtempSync(join(tmpdir(), "restante-wycheproof-"));
afterAll(() => rmSync(scratch, { recursive: true }));

type Test = Record<string, string | number>;
interface Group {
  readonly group: Record<string, unknown>;
  readonly good: Test;
  /** What becomes of the good one when it should be refused. */
  readonly bad: Test;
  /** A field of the good one that, when it is changed, makes it fail. */
  readonly telling: string;
  readonly unsupported?: Record<string, unknown>;
}

const KINDS: Record<string, () => Group> = {
  x25519_test() {
    const [ours, theirs] = [generateKeyPairSync("x25519"), generateKeyPairSync("x25519")];
    const good = {
      private: end(ours.privateKey.export({ type: "pkcs8", format: "der" })),
      public: end(theirs.publicKey.export({ type: "spki", format: "der" })),
      shared: hex(diffieHellman({ privateKey: ours.privateKey, publicKey: theirs.publicKey })),
    };
    const lowOrder = { public: "00".repeat(32), shared: "00".repeat(32) };
    return { group: {}, good, bad: { ...good, ...lowOrder, result: "acceptable" }, telling: "shared" };
  },

  xchacha20_poly1305_test() {
    // draft-irtf-cfrg-xchacha-03 A.3.1: OpenSSL has no XChaCha20.
    const text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    const good = {
      key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
      iv: "404142434445464748494a4b4c4d4e4f5051525354555657",
      aad: "50515253c0c1c2c3c4c5c6c7",
      msg: hex(Buffer.from(text)),
      ct:
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c2" +
        "16cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c6" +
        "8b13b52e",
      tag: "c0875924c1c7987947deafd8780acf49",
    };
    const group = { ivSize: 192 };
    return { group, good, bad: { ...good, tag: "00".repeat(16) }, telling: "tag", unsupported: { ivSize: 96 } };
  },

  aes_gcm_test() {
    const [key, iv, aad, msg] = [randomBytes(32), randomBytes(12), randomBytes(9), randomBytes(70)];
    const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(aad);
    const ct = Buffer.concat([cipher.update(msg), cipher.final()]);
    const good = {
      key: hex(key),
      iv: hex(iv),
      aad: hex(aad),
      msg: hex(msg),
      ct: hex(ct),
      tag: hex(cipher.getAuthTag()),
    };
    const group = { keySize: 256, ivSize: 96, tagSize: 128 };
    return { group, good, bad: { ...good, aad: "" }, telling: "ct", unsupported: { ...group, keySize: 128 } };
  },

  hmac_sha256_test() {
    const [key, msg] = [randomBytes(20), randomBytes(70)];
    const tag = hex(createHmac("sha256", key).update(msg).digest());
    const good = { key: hex(key), msg: hex(msg), tag: tag.slice(0, 32) };
    return { group: {}, good, bad: { ...good, tag: "00".repeat(32) }, telling: "tag" };
  },

  hkdf_sha256_test() {
    const [ikm, salt, info] = [randomBytes(20), randomBytes(9), randomBytes(5)];
    const okm = hex(Buffer.from(hkdfSync("sha256", ikm, salt, info, 70)));
    const good = { ikm: hex(ikm), salt: hex(salt), info: hex(info), size: 70, okm };
    return { group: {}, good, bad: { ...good, size: 8161, okm: "" }, telling: "okm" };
  },

  rsa_oaep_2048_sha1_mgf1sha1_test() {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const seal = (oaepLabel: Buffer) =>
      hex(publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepLabel }, Buffer.from("hi")));
    const good = { msg: hex(Buffer.from("hi")), ct: seal(Buffer.alloc(0)), label: "" };
    const group = { privateKeyPkcs8: hex(privateKey.export({ type: "pkcs8", format: "der" })) };
    // With a label it is valid for others; for us, who use none, it is to be refused.
    return { group, good, bad: { ...good, ct: seal(Buffer.from("x")), label: "78", result: "valid" }, telling: "msg" };
  },

  rsa_signature_2048_sha256_test() {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const good = { msg: "6869", sig: hex(sign("sha256", Buffer.from("hi"), privateKey)) };
    const group = {
      publicKeyAsn: hex(publicKey.export({ type: "pkcs1", format: "der" })),
      publicKeyDer: hex(publicKey.export({ type: "spki", format: "der" })),
    };
    return { group, good, bad: { ...good, msg: "6868" }, telling: "sig" };
  },

  ecdh_secp256r1_ecpoint_test() {
    const [ours, theirs] = [createECDH("prime256v1"), createECDH("prime256v1")];
    ours.generateKeys();
    const key = theirs.generateKeys();
    // The scalar may have a zero in front.
    const good = {
      private: `00${ours.getPrivateKey("hex")}`,
      public: hex(key),
      shared: hex(ours.computeSecret(key)),
    };
    const compressed = { public: theirs.getPublicKey("hex", "compressed"), result: "acceptable" };
    return { group: {}, good, bad: { ...good, ...compressed }, telling: "shared" };
  },

  siphash_2_4_test() {
    const good = { key: "000102030405060708090a0b0c0d0e0f", msg: "", tag: "310e0edd47db6f72" };
    return { group: {}, good, bad: { ...good, tag: "00".repeat(8) }, telling: "tag" };
  },
};

test.each(Object.keys(KINDS))("%s: good and bad ones pass, and each fails when it is said to be the other", (name) => {
  const made = KINDS[name]?.();
  if (made === undefined) throw new Error("no such kind");
  const { group, good, bad, telling, unsupported } = made;
  const right = [
    { tcId: 1, result: "valid", ...good },
    { tcId: 2, result: "invalid", ...bad },
  ];
  expect(run(name, [{ ...group, tests: right }])).toMatchObject({ cases: 2, passed: 2, failed: 0, unsupported: 0 });

  const changed = String(good[telling]).replace(/.$/, (digit) => (digit === "0" ? "1" : "0"));
  const wrong = [
    { tcId: 1, result: "valid", ...good, [telling]: changed },
    { tcId: 2, ...bad, ...good, result: "invalid" },
    { tcId: 3, ...good, ...bad, result: "valid", label: "" },
  ];
  const { failed, failures } = run(name, [{ ...group, tests: wrong }]);
  // A result that is right although its list says "invalid" is computed and compared for X25519, so that it passes.
  expect(failed).toBe(name === "x25519_test" ? 1 : 3);
  expect(failures[0]).toMatch(/^test 1: on /);

  if (unsupported === undefined) return;
  expect(run(name, [{ ...unsupported, tests: right }])).toMatchObject({ cases: 2, failed: 0, unsupported: 2 });
});

test("a file of another shape counts as failed", () => {
  for (const content of ["{}", '{"testGroups":[{}]}', '{"testGroups":[{"tests":[{}]}]}'])
    expect(runText("siphash_2_4_test", content).failed, content).toBe(1);
});

function run(name: string, testGroups: unknown[]) {
  return runText(name, JSON.stringify({ testGroups }));
}

let folders = 0;
function runText(name: string, content: string) {
  const folder = join(scratch, String(folders++));
  mkdirSync(join(folder, "wycheproof"), { recursive: true });
  writeFileSync(join(folder, "wycheproof", `${name}.json`), content);
  const [file] = runFolder(folder).files;
  if (file === undefined) throw new Error("not run");
  return file;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** The last 32 bytes of DER: the raw key. */
function end(der: Buffer): string {
  return hex(der.subarray(-32));
}
