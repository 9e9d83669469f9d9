import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { certificateOf, makeCertificate, ownCertificate } from "./certificate.ts";

const NOW = Date.parse("2026-03-01T00:00:00Z");
const DAY_MS = 86_400_000;
const NAMES = ["localhost", "nas.example.org", "192.168.1.7", "::1", "fd00::1:0:0:7", "2001:db8::"];

test("what is written is a certificate for all its names, signed by its own key, of no authority", () => {
  const { cert, key } = makeCertificate(NAMES, NOW);
  const parsed = new X509Certificate(cert);
  expect(parsed.verify(parsed.publicKey)).toBe(true);
  expect([parsed.checkHost("localhost"), parsed.checkHost("nas.example.org")]).toEqual(NAMES.slice(0, 2));
  expect(parsed.checkHost("other.example.org")).toBeUndefined();
  for (const address of NAMES.slice(2)) expect(parsed.checkIP(address)).toBe(address);
  expect(parsed.checkIP("192.168.1.8")).toBeUndefined();
  expect(parsed.ca).toBe(false);
  expect(parsed.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(Date.parse(parsed.validFrom)).toBe(NOW - DAY_MS);
  expect(Date.parse(parsed.validTo)).toBe(NOW + 800 * DAY_MS);
  expect(certificateOf(cert, key, NOW)).toMatchObject({ isVouched: false, fingerprint: parsed.fingerprint256 });
  expect(parsed.fingerprint256).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  expect(makeCertificate(NAMES, NOW).cert).not.toBe(cert);
  // Beyond 2049 times are written in another way.
  const late = new X509Certificate(makeCertificate([], Date.parse("2060-01-01T00:00:00Z")).cert);
  expect(late.validFrom).toContain("2059");
});

test("what is none, is over, or has another key is refused with what is wrong", () => {
  const [one, two] = [makeCertificate(NAMES, NOW), makeCertificate(NAMES, NOW)];
  expect(() => certificateOf("x", one.key, NOW)).toThrow("has to be PEM");
  expect(() => certificateOf(one.cert, "x", NOW)).toThrow("without a passphrase");
  expect(() => certificateOf(one.cert, two.key, NOW)).toThrow("do not belong together");
  expect(() => certificateOf(one.cert, one.key, NOW + 801 * DAY_MS)).toThrow("renew it");
});

test("a home keeps its own, for itself alone, until it is over or a name is missing", async () => {
  const dir = await mkdtemp(join(tmpdir(), "restante-certificate-"));
  const first = await ownCertificate(dir, ["a.example"], ["a.example"], NOW);
  expect((await stat(join(dir, "web-certificate"))).mode & 0o777).toBe(0o600);
  expect(await ownCertificate(dir, ["a.example"], ["a.example"], NOW + 700 * DAY_MS)).toEqual(first);
  const wider = await ownCertificate(dir, ["a.example", "192.168.1.7"], ["a.example", "192.168.1.7"], NOW);
  expect(wider.fingerprint).not.toBe(first.fingerprint);
  expect(await ownCertificate(dir, ["a.example"], ["a.example"], NOW)).toEqual(wider);
  // That an address is another one now is no reason.
  expect(await ownCertificate(dir, ["a.example"], ["a.example", "192.168.1.9"], NOW)).toEqual(wider);
  const later = await ownCertificate(dir, ["a.example"], ["a.example"], NOW + 780 * DAY_MS);
  expect(later.fingerprint).not.toBe(wider.fingerprint);
  await writeFile(join(dir, "web-certificate"), "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\nx");
  expect((await ownCertificate(dir, ["a.example"], ["a.example"], NOW)).fingerprint).not.toBe(later.fingerprint);
  await rm(dir, { recursive: true });
});
