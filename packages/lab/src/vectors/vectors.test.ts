import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { type FileReport, runFolder } from "./runner.ts";

const VECTORS = fileURLToPath(new URL("../../../../vectors", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "restante-vectors-"));
afterAll(() => rmSync(scratch, { recursive: true }));

test("[E6][E7][E8] the project's own vectors pass, of every cipher set, and none is unsupported", () => {
  const { files, failed, unknown } = runFolder(VECTORS);
  expect(files.flatMap((file) => file.failures)).toEqual([]);
  expect(failed).toBe(0);
  expect(unknown).toEqual([]);
  const telehash = files.filter(({ file }) => file.startsWith("telehash/"));
  expect(telehash).toHaveLength(9);
  for (const { file, passed } of telehash) expect(passed, file).toBeGreaterThan(0);
  expect(counts(files, "telehash/messages.json")).toEqual({ cases: 9, passed: 9, unsupported: 0 });
  expect(counts(files, "telehash/sessions.json")).toEqual({ cases: 5, passed: 5, unsupported: 0 });
  for (const { file, unsupported } of files) expect(unsupported, file).toBe(0);
  const bazaar = files.filter(({ file }) => file.startsWith("openbazaar/"));
  expect(bazaar.map(({ passed }) => passed)).toEqual([37, 12, 37, 12, 18, 31, 169, 13, 8]);
});

type At = (path: string) => unknown;
const flip = (hex: unknown): string =>
  String(hex).slice(0, -1) + (Number.parseInt(String(hex).slice(-1), 16) ^ 1).toString(16);
const put = (value: unknown) => (): unknown => value;
const copy =
  (path: string) =>
  (_: unknown, at: At): unknown =>
    at(path);

/** A value in each kind of file, and what to put there instead of it. */
const PLANTED: [file: string, path: string, change: (old: unknown, at: At) => unknown][] = [
  ["base32", "encode.1.expect", put("ab")],
  ["base32", "decode.1.expect", put("66")],
  ["hashname", "3.telehash_c", copy("4.telehash_c")],
  ["hashname", "3.hashname_js.intermediates.3a", copy("6.hashname_js.intermediates.3a")],
  ["hashname", "1.hashname_js.from_im_only", copy("4.telehash_c")],
  ["lob", "9.expect.json", put({ a: 2 })],
  ["lob", "9.expect.body", flip],
  ["lob", "1.expect", copy("0.expect")],
  ["lob", "10.expect.json_error", put(false)],
  ["lob-encode", "1.expect", flip],
  ["chunking", "0.expect", flip],
  ["chunking", "1.size_arg", put(6)],
  ["cloaking", "cases.2.rounds", put(1)],
  ["cloaking", "cases.0.cloaked", flip],
  ["messages", "cases.1.outer", flip],
  ["messages", "cases.1.ephemeral_secret", copy("cases.2.ephemeral_secret")],
  ["messages", "cases.4.outer", flip],
  ["messages", "cases.4.inner", flip],
  ["messages", "cases.6.outer", flip],
  ["messages", "cases.6.inner", flip],
  ["messages", "cases.6.routing_token_sha256_form", flip],
  ["messages", "cases.6.ephemeral_secret", copy("cases.7.ephemeral_secret")],
  ["messages", "sender", copy("recipient")],
  ["messages", "cases.0.csid", put("4a")],
  ["sessions", "sessions.0.a_deckey", flip],
  ["sessions", "sessions.1.b_to_a.outer", flip],
  ["sessions", "sessions.2.a.handshake", flip],
  ["sessions", "sessions.3.a.token", flip],
  ["sessions", "sessions.3.a.order", put(2)],
  ["sessions", "sessions.3.a_enckey", flip],
  ["sessions", "sessions.4.b_to_a.inner", flip],
  ["sessions", "sessions.4.tampered.0.outer", copy("sessions.4.a_to_b.outer")],
  ["siphash", "box_ids.0.expect", flip],
  ["siphash", "box_ids.2.messages.1.expect", flip],
];

/** The same for the files of the bazaar. */
const PLANTED_BAZAAR: [file: string, path: string, change: (old: unknown, at: At) => unknown][] = [
  ["identities", "identities.1.peerId", copy("identities.0.peerId")],
  ["identities", "identities.0.mnemonic", copy("identities.1.mnemonic")],
  ["identities", "identities.4.x25519PubHex", flip],
  ["identities", "identities.10.rsaPkcs1DerHex", flip],
  ["chat-message-ids", "vectors.0.timestampNanos", put(123456788)],
  ["chat-message-ids", "vectors.2.messageId", copy("vectors.3.messageId")],
  ["messages", "vectors.0.messageHex", flip],
  ["messages", "vectors.1.payloadJson.subject", put("QmOther")],
  ["messages", "vectors.12.streamFrameHex", flip],
  ["signed-data", "vectors.0.signatureHex", flip],
  ["signed-data", "vectors.1.commandHex", flip],
  ["envelopes", "vectors.0.ciphertextHex", flip],
  ["envelopes", "vectors.1.open.sender", copy("vectors.5.open.sender")],
  ["envelopes", "vectors.2.ephemeralPrivHex", flip],
  ["envelopes", "vectors.18.secretKeyHex", flip],
  ["envelopes", "vectors.30.plaintextHex", flip],
  ["pointer-keys", "vectors.4.prefixLen", put(15)],
  ["pointer-keys", "inlineIdentityPeerIds_all_collide.0.keyCid", copy("vectors.0.keyCid")],
  ["pointers", "vectors.0.addProviderHex", flip],
  ["pointers", "vectors.1.pubsubRendezvousCid", copy("vectors.0.pubsubRendezvousCid")],
  ["pointers", "dropbox.url", put("https://example.org/")],
  ["cids", "vectors.3.cid", copy("vectors.4.cid")],
  ["cids", "vectors.2.size", put(12)],
  ["negative", "vectors.21.expect", put("accept")],
  ["negative", "vectors.26.expect", put("refuse")],
];

test.each([
  ...PLANTED.map((one) => ["telehash", ...one] as const),
  ...PLANTED_BAZAAR.map((one) => ["openbazaar", ...one] as const),
])("a wrong value planted in %s/%s at %s is found", (kind, name, path, change) => {
  const json: unknown = JSON.parse(readFileSync(join(VECTORS, kind, `${name}.json`), "utf8"));
  const at: At = (where) => where.split(".").reduce((value, key) => (value as Record<string, unknown>)[key], json);
  const [, parent, key] = /^(?:(.*)\.)?(.*)$/.exec(path) ?? [];
  const holder = (parent === undefined ? json : at(parent)) as Record<string, unknown>;
  expect(holder).toHaveProperty([key ?? ""]); // the path leads somewhere
  holder[key ?? ""] = change(at(path), at);
  // Files of 45 MB are left out: they were put together once, above.
  if (name === "cids") (json as { vectors: { size: number }[] }).vectors.splice(5);
  const { files, failed } = runFolder(folderWith(kind, `${name}.json`, JSON.stringify(json)));
  expect(files).toHaveLength(1);
  expect(failed).toBeGreaterThan(0);
  expect(files[0]?.failures).toHaveLength(failed);
});

test("other lists run as well: none, one, the same twice, in folders at any depth", () => {
  const all = JSON.parse(readFileSync(join(VECTORS, "telehash", "lob.json"), "utf8"));
  for (const list of [[], all.slice(4, 5), [...all, ...all]]) {
    const folder = folderWith("a/b/telehash", "lob.json", JSON.stringify(list));
    expect(runFolder(folder).files).toEqual([
      {
        file: "a/b/telehash/lob.json",
        cases: list.length,
        passed: list.length,
        failed: 0,
        unsupported: 0,
        failures: [],
      },
    ]);
  }
});

test("a file that is broken, empty or of another shape counts as failed, one of no known kind is only named", () => {
  for (const content of ["", "{", "[1]", '{"encode":1}', "null", '{"box_ids":{}}'])
    expect(runFolder(folderWith("telehash", "siphash.json", content)).failed, content).toBe(1);
  expect(runFolder(folderWith("openbazaar", "cids.json", "[]")).failed).toBe(1);
  const folder = folderWith("telehash", "constructor.json", "[]");
  cpSync(join(VECTORS, "telehash", "lob.json"), join(folder, "lob.json")); // known by its name alone, not by its folder
  expect(runFolder(folder)).toMatchObject({ files: [], failed: 0, unknown: ["lob.json", "telehash/constructor.json"] });
  expect(() => runFolder(join(scratch, "nowhere"))).toThrow();
});

let folders = 0;
function folderWith(below: string, file: string, content: string): string {
  const folder = join(scratch, String(folders++));
  mkdirSync(join(folder, below), { recursive: true });
  writeFileSync(join(folder, below, file), content);
  return folder;
}

function counts(files: readonly FileReport[], name: string): object {
  const { cases, passed, unsupported } = files.find(({ file }) => file === name) ?? {};
  return { cases, passed, unsupported };
}
