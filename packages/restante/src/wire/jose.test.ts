import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { equal, fromBase64url, fromUtf8, toBase64url, toHex, utf8 } from "../bytes/index.ts";
import { encodePacket, jweToPacket, jwsToPacket, packetToJwe, packetToJws, parsePacket } from "./index.ts";

const JWS = {
  "RFC 7515 A.1": {
    header: '{"typ":"JWT",\r\n "alg":"HS256"}',
    text:
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." +
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
      "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
  },
  "RFC 7515 A.2": {
    header: '{"alg":"RS256"}',
    text:
      "eyJhbGciOiJSUzI1NiJ9." +
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
      "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1d" +
      "nZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwu" +
      "sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
  },
};
const PAYLOAD = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}';
const HMAC_KEY = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"; // RFC 7515 A.1
const JWE = {
  "RFC 7516 A.1": {
    header: '{"alg":"RSA-OAEP","enc":"A256GCM"}',
    text:
      "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ." +
      "OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJRgckCL9kiMT03JGeipsEdY3mx_etLbbWSrFr05kLzcSr4qKAq7YN7e9jwQRb23nfa6" +
      "c9d-StnImGyFDbSv04uVuxIp5Zms1gNxKKK2Da14B8S4rzVRltdYwam_lDp5XnZAYpQdb76FdIKLaVmqgfwX7XWRxv2322i-vDxRfqNzo_tETKzpVL" +
      "zfiwQyeyPGLBIO56YJ7eObdv0je81860ppamavo35UgoRdbYaBcoh9QcfylQr66oc6vFWXRcZ_ZT2LawVCWTIy3brGPi6UklfCpIMfIjf7iGdXKHzg." +
      "48V1_ALb6US04U3b." +
      "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A." +
      "XFBoMYUZodetZdvTiFvSkQ",
  },
  "RFC 7516 A.2": {
    header: '{"alg":"RSA1_5","enc":"A128CBC-HS256"}',
    text:
      "eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0." +
      "UGhIOguC7IuEvf_NPVaXsGMoLOmwvc1GyqlIKOK1nN94nHPoltGRhWhw7Zx0-kFm1NJn8LE9XShH59_i8J0PH5ZZyNfGy2xGdULU7sHNF6Gp2vPLgN" +
      "Z__deLKxGHZ7PcHALUzoOegEI-8E66jX2E4zyJKx-YxzZIItRzC5hlRirb6Y5Cl_p-ko3YvkkysZIFNPccxRU7qve1WYPxqbb2Yw8kZqa2rMWI5ng8" +
      "OtvzlV7elprCbuPhcCdZ6XDP0_F8rkXds2vE4X-ncOIM8hAYHHi29NX0mcKiRaD0-D-ljQTP-cFPgwCp6X-nZZd9OHBv-B3oWh2TbqmScqXMR4gp_A." +
      "AxY8DCtDaGlsbGljb3RoZQ." +
      "KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY." +
      "9hH0vgRfYgPnAHOd8stkvw",
  },
};
const anyBytes = fc.uint8Array({ maxLength: 40 });

describe("a JWS", () => {
  test.each(Object.entries(JWS))("of %s is two packets, and comes back", (_name, { header, text }) => {
    const packet = jwsToPacket(text) ?? expect.unreachable();
    const outer = parsePacket(packet) ?? expect.unreachable();
    const inner = parsePacket(outer.body) ?? expect.unreachable();
    expect(fromUtf8(outer.head)).toBe(header);
    expect(fromUtf8(inner.head)).toBe(PAYLOAD);
    expect(inner.json?.["iss"]).toBe("joe");
    expect(toBase64url(inner.body)).toBe(text.split(".")[2]);
    expect(packetToJws(packet)).toBe(text);
    expect(packetToJwe(packet)).toBeUndefined();
    expect(jweToPacket(text)).toBeUndefined();
  });

  test("keeps what its signature was made over", () => {
    const back = packetToJws(jwsToPacket(JWS["RFC 7515 A.1"].text) ?? expect.unreachable()) ?? expect.unreachable();
    const [header, payload, signature] = back.split(".");
    const key = fromBase64url(HMAC_KEY) ?? expect.unreachable();
    expect(createHmac("sha256", key).update(`${header}.${payload}`).digest("base64url")).toBe(signature);
  });

  test("with any payload, short or no JSON, is the same again in both directions", () => {
    const header = fc.constantFrom('{"alg":"none"}', '{ "alg":"none" }', '{"typ":"J\\u0057T",\n"alg":"x"}');
    const payload = fc.oneof(anyBytes, fc.uint8Array({ maxLength: 7 }));
    fc.assert(
      fc.property(header, payload, anyBytes, (head, octets, signature) => {
        const packet = encodePacket(utf8(head), encodePacket(octets, signature));
        const text = [utf8(head), octets, signature].map(toBase64url).join(".");
        expect(toHex(jwsToPacket(text) ?? expect.unreachable())).toBe(toHex(packet));
        expect(packetToJws(packet)).toBe(text);
      }),
    );
  });

  test("may have a payload of 65535 bytes, and none longer", () => {
    const [head] = JWS["RFC 7515 A.2"].text.split(".");
    const longest = `${head}.${toBase64url(new Uint8Array(0xffff).fill(7))}.AA`;
    expect(packetToJws(jwsToPacket(longest) ?? expect.unreachable())).toBe(longest);
    expect(jwsToPacket(`${head}.${toBase64url(new Uint8Array(0x10000))}.AA`)).toBeUndefined();
    const spaces = utf8(`{"alg":"none"${" ".repeat(0x10000)}}`);
    expect(jwsToPacket(`${toBase64url(spaces)}.AA.AA`)).toBeUndefined();
  });

  test.each([
    ["no header", ".AA.AA"],
    ["two parts", "eyJhbGciOiJSUzI1NiJ9.AA"],
    ["four parts", "eyJhbGciOiJSUzI1NiJ9.AA.AA."],
    ["padding", "eyJhbGciOiJSUzI1NiJ9.AA==.AA"],
    ["white space", "eyJhbGciOiJSUzI1NiJ9.AA.AA\n"],
    ["unused bits", "eyJhbGciOiJSUzI1NiJ9.AB.AA"],
    ["a header that is a list", `${toBase64url(utf8('["alg","none"]'))}.AA.AA`],
    ["white space around its header", `${toBase64url(utf8('{"alg":"none"} '))}.AA.AA`],
    ["a header with alg twice", `${toBase64url(utf8('{"alg":"none","alg":"HS256"}'))}.AA.AA`],
    ["no alg", `${toBase64url(utf8('{"typ":"JWT"}'))}.AA.AA`],
    ["an alg that is no text", `${toBase64url(utf8('{"alg":1234}'))}.AA.AA`],
    ["an enc, which makes it a JWE", `${toBase64url(utf8('{"alg":"dir","enc":"A256GCM"}'))}.AA.AA`],
    ["an unencoded payload", `${toBase64url(utf8('{"alg":"HS256","b64":false,"crit":["b64"]}'))}.AAAA.AA`],
  ])("with %s is refused", (_name, text) => {
    expect(jwsToPacket(text)).toBeUndefined();
  });
});

describe("a JWE", () => {
  test.each(Object.entries(JWE))("of %s is three packets, and comes back", (_name, { header, text }) => {
    const [, key, iv, ciphertext, tag] = text.split(".");
    const packet = jweToPacket(text) ?? expect.unreachable();
    const outer = parsePacket(packet) ?? expect.unreachable();
    const middle = parsePacket(outer.body) ?? expect.unreachable();
    const inner = parsePacket(middle.body) ?? expect.unreachable();
    expect(fromUtf8(outer.head)).toBe(header);
    expect({ ...middle.json }).toEqual({ iv, tag, encrypted_key: key });
    expect(inner.head).toHaveLength(0);
    expect(toBase64url(inner.body)).toBe(ciphertext);
    expect(packetToJwe(packet)).toBe(text);
    expect(packetToJws(packet)).toBeUndefined();
    expect(jwsToPacket(text)).toBeUndefined();
  });

  test("with any parts, empty ones too, is the same again", () => {
    const head = utf8('{"alg":"dir","enc":"A256GCM"}');
    fc.assert(
      fc.property(anyBytes, anyBytes, anyBytes, anyBytes, (key, iv, ciphertext, tag) => {
        const text = [head, key, iv, ciphertext, tag].map(toBase64url).join(".");
        const packet = jweToPacket(text) ?? expect.unreachable();
        expect(packetToJwe(packet)).toBe(text);
        expect(equal(jweToPacket(packetToJwe(packet) ?? "") ?? head, packet)).toBe(true);
      }),
    );
  });

  const head = utf8('{"alg":"dir","enc":"A256GCM"}');
  const build = (fields: Parameters<typeof encodePacket>[0], unprotected?: Parameters<typeof encodePacket>[0]) =>
    encodePacket(head, encodePacket(fields, encodePacket(unprotected, Uint8Array.of(1, 2, 3))));

  test("is read with its fields in any order, empty or absent", () => {
    const text = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AA.AQID.AQ";
    expect(packetToJwe(build({ iv: "AA", tag: "AQ" }))).toBe(text);
    expect(packetToJwe(build({ aad: "", encrypted_key: "", tag: "AQ", iv: "AA" }))).toBe(text);
    expect(packetToJwe(build(undefined))).toBe("eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0...AQID.");
  });

  test("that the compact form cannot say is refused", () => {
    expect(packetToJwe(build({ iv: "AA", aad: "AA" }))).toBeUndefined();
    expect(packetToJwe(build({ iv: "AA", kid: "x" }))).toBeUndefined();
    expect(packetToJwe(build({ iv: "A" }))).toBeUndefined();
    expect(packetToJwe(build({ iv: "AA==" }))).toBeUndefined();
    expect(packetToJwe(build({ iv: 1234567 }))).toBeUndefined();
    expect(packetToJwe(build(utf8("abc")))).toBeUndefined();
    expect(packetToJwe(build({ iv: "AA" }, { jku: "https://example.com" }))).toBeUndefined();
    expect(packetToJwe(build({ iv: "AA" }, utf8("x")))).toBeUndefined();
    const key = toBase64url(new Uint8Array(50_000));
    expect(jweToPacket(`${toBase64url(head)}.${key}.AA.AA.AA`)).toBeUndefined();
    expect(jweToPacket(`${toBase64url(utf8('{"alg":"dir"}'))}....`)).toBeUndefined();
    expect(jweToPacket(`${toBase64url(utf8('{"enc":"A256GCM"}'))}....`)).toBeUndefined();
    expect(jweToPacket(`${toBase64url(head)}.....`)).toBeUndefined();
    expect(jweToPacket(`${toBase64url(head)}...`)).toBeUndefined();
  });
});

test("no text and no bytes make the translation throw, and what is taken comes back", () => {
  const part = fc.oneof(
    { weight: 6, arbitrary: fc.uint8Array({ maxLength: 9 }).map(toBase64url) },
    { weight: 1, arbitrary: fc.constantFrom("A", "AB", "é", "AA=") },
  );
  const head = fc.constantFrom("eyJhbGciOiJub25lIn0", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0", "eyJh", "");
  const count = fc.constantFrom(2, 4, 0, 1, 3, 5, 6);
  const texts = fc
    .tuple(head, count)
    .chain(([first, more]) =>
      fc.array(part, { minLength: more, maxLength: more }).map((rest) => [first, ...rest].join(".")),
    );
  let taken = 0;
  fc.assert(
    fc.property(texts, (text) => {
      for (const [there, back] of [[jwsToPacket, packetToJws] as const, [jweToPacket, packetToJwe] as const]) {
        const packet = there(text);
        if (packet === undefined) continue;
        taken++;
        expect(back(packet)).toBe(text);
      }
    }),
    { numRuns: 1000 },
  );
  expect(taken).toBeGreaterThan(20);
  const seeds = [JWS["RFC 7515 A.2"].text, JWE["RFC 7516 A.2"].text].map(
    (text) => jwsToPacket(text) ?? jweToPacket(text) ?? expect.unreachable(),
  );
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.nat(120), fc.nat(255), fc.nat(400))
    .map(([seed, at, byte, cut]) => {
      const packet = seed.slice(0, Math.max(seed.length - cut, 1));
      packet[at % packet.length] = byte;
      return packet;
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      const jws = packetToJws(bytes);
      if (jws !== undefined) expect(toHex(jwsToPacket(jws) ?? expect.unreachable())).toBe(toHex(bytes));
      const jwe = packetToJwe(bytes);
      if (jwe !== undefined) expect(packetToJwe(jweToPacket(jwe) ?? expect.unreachable())).toBe(jwe);
    }),
    { numRuns: 500 },
  );
});

test("the worked example of protocol/lob.md §4 holds", () => {
  const packet = jwsToPacket("eyJhbGciOiJub25lIn0.aGk.") ?? expect.unreachable();
  expect(toHex(packet)).toBe(`000e${toHex(utf8('{"alg":"none"}'))}00026869`);
});
