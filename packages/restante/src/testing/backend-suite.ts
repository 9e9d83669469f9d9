/**
 * What every `Backend` must do: the known answers of the documents that define its primitives, the bytes of `portable`,
 * the refusals. A list without a test framework; each `run` throws when the backend is wrong.
 */
import { assert, concat, fromHex, type Random, toHex, utf8 } from "../bytes/index.ts";
import { type Backend, type CipherSet, cs1a, cs2a, cs3a, portable } from "../crypto/index.ts";
import { rsaTests } from "./rsa-suite.ts";

/** The tests for the backend that `make` gives; call each `run` and report what it throws under its `name`. */
export function backendSuite(make: () => Backend): { name: string; run: () => void }[] {
  return [
    ...knownAnswers(make),
    ...agreement(make),
    ...refusals(make),
    ...curveRefusals(make),
    ...rsaTests(make),
    ...wholeCipherSets(make),
  ];
}

function knownAnswers(make: () => Backend): { name: string; run: () => void }[] {
  const answer = (name: string, give: (backend: Backend) => Uint8Array | undefined, expected: string) => ({
    name: `known answer: ${name}`,
    run: () => assertSame(give(make()), hex(expected), name),
  });
  return [
    answer("SHA-256 of nothing (FIPS 180-4)", (b) => b.sha256(NOTHING), SHA256_NOTHING),
    answer("SHA-256 of abc (FIPS 180-4)", (b) => b.sha256(utf8("abc")), SHA256_ABC),
    answer("HMAC case 1 (RFC 4231)", (b) => b.hmac(new Uint8Array(20).fill(0x0b), utf8("Hi There")), HMAC_1),
    answer("HMAC case 2 (RFC 4231)", (b) => b.hmac(utf8("Jefe"), utf8("what do ya want for nothing?")), HMAC_2),
    answer(
      "HMAC case 6, a key longer than a block (RFC 4231)",
      (b) => b.hmac(new Uint8Array(131).fill(0xaa), utf8("Test Using Larger Than Block-Size Key - Hash Key First")),
      HMAC_6,
    ),
    answer(
      "HKDF case 1 (RFC 5869)",
      (b) => b.hkdf(new Uint8Array(22).fill(0x0b), range(0, 13), range(0xf0, 10), 42),
      HKDF_1,
    ),
    answer(
      "HKDF case 3, no salt, no info (RFC 5869)",
      (b) => b.hkdf(new Uint8Array(22).fill(0x0b), NOTHING, NOTHING, 42),
      HKDF_3,
    ),
    answer("X25519 key of Alice (RFC 7748 §6.1)", (b) => b.x25519Key(hex(ALICE_SECRET)), ALICE_KEY),
    answer("X25519 key of Bob (RFC 7748 §6.1)", (b) => b.x25519Key(hex(BOB_SECRET)), BOB_KEY),
    answer("beforenm (NaCl, Alice)", (b) => b.beforenm(hex(ALICE_SECRET), hex(BOB_KEY)), NACL_SHARED),
    answer("beforenm (NaCl, Bob)", (b) => b.beforenm(hex(BOB_SECRET), hex(ALICE_KEY)), NACL_SHARED),
    answer(
      "secretbox, sealing (NaCl)",
      (b) => b.secretboxSeal(hex(NACL_SHARED), hex(NACL_NONCE), hex(NACL_PLAIN)),
      NACL_BOXED,
    ),
    answer(
      "secretbox, opening (NaCl)",
      (b) => b.secretboxOpen(hex(NACL_SHARED), hex(NACL_NONCE), hex(NACL_BOXED)),
      NACL_PLAIN,
    ),
    answer(
      "onetimeauth (NaCl)",
      (b) => b.onetimeauth(hex(NACL_AUTH_KEY), hex(NACL_BOXED).subarray(16)),
      NACL_BOXED.slice(0, 32),
    ),
    answer(
      "ChaCha20, key and nonce of zeros (Bernstein)",
      (b) => b.chacha20(new Uint8Array(32), new Uint8Array(8), new Uint8Array(64)),
      CHACHA20_ZEROS,
    ),
    answer(
      "XChaCha20-Poly1305, sealing (draft-irtf-cfrg-xchacha-03 A.3.1)",
      (b) => b.xchachaSeal(range(0x80, 32), range(0x40, 24), utf8(XCHACHA_PLAIN), hex(XCHACHA_AAD)),
      XCHACHA_SEALED,
    ),
    answer("SipHash-2-4 (Aumasson, Bernstein)", (b) => b.siphash(range(0, 16), range(0, 15)), "e545be4961ca29a1"),
    answer(
      "AES-128-CTR (SP 800-38A F.5.1)",
      (b) => b.aes128ctr(hex(AES_128_KEY), range(0xf0, 16), hex(AES_128_PLAIN)),
      AES_128_CTR,
    ),
    answer(
      "AES-256-GCM, sealing (McGrew and Viega, case 16)",
      (b) => b.aes256gcmSeal(hex(GCM_KEY), hex(GCM_IV), hex(GCM_PLAIN), hex(GCM_AAD)),
      GCM_SEALED,
    ),
    answer(
      "AES-256-GCM, opening (McGrew and Viega, case 16)",
      (b) => b.aes256gcmOpen(hex(GCM_KEY), hex(GCM_IV), hex(GCM_SEALED), hex(GCM_AAD)),
      GCM_PLAIN,
    ),
    answer("P-256 key (RFC 5903 8.1, initiator)", (b) => b.p256Key(hex(P256_SECRET_I)), P256_KEY_I),
    answer("P-256 key (RFC 5903 8.1, responder)", (b) => b.p256Key(hex(P256_SECRET_R)), P256_KEY_R),
    answer("P-256 secret (RFC 5903 8.1)", (b) => b.p256(hex(P256_SECRET_I), hex(P256_KEY_R)), P256_SHARED),
    answer("secp160r1 key (GEC 2 3.1, U)", (b) => b.secp160r1Key(hex(P160_SECRET_U)), P160_KEY_U),
    answer("secp160r1 key (GEC 2 3.1, V)", (b) => b.secp160r1Key(hex(P160_SECRET_V)), P160_KEY_V),
    answer("secp160r1 secret (GEC 2 3.1)", (b) => b.secp160r1(hex(P160_SECRET_U), hex(P160_KEY_V)), P160_SHARED),
  ];
}

/** The same bytes as `portable` for arguments of many lengths at odd offsets, and the promises about arrays. */
function agreement(make: () => Backend): { name: string; run: () => void }[] {
  return PRIMITIVES.map(({ name, lengths, rounds, call }) => ({
    name: `${name}: the bytes of portable, whatever the lengths; plain fresh arrays; arguments unchanged`,
    run: () => {
      const backend = make();
      const random = drawFrom(name.length);
      for (let round = 0; round < rounds; round++) {
        const draw = () => LENGTHS[(random(1)[0] ?? 0) % LENGTHS.length] ?? 0;
        const args = lengths.map((length) => offAlignment(random(length ?? draw())));
        const before = args.map((arg) => arg.slice());
        const result = call(backend, args);
        const again = call(backend, args);
        const what = `${name}(${args.map((arg) => arg.length).join(", ")})`;
        assert(result !== undefined && again !== undefined, `${what} gives bytes`);
        assertSame(result, call(portable, before), what);
        assertSame(again, result, `${what}, again`);
        assert(Object.getPrototypeOf(result) === Uint8Array.prototype, `${what} gives a plain Uint8Array`);
        args.forEach((arg, i) => {
          assertSame(arg, before[i], `argument ${i} of ${what}`);
          arg.fill(0);
        });
        again.fill(0);
        assertSame(result, call(portable, before), `${what} after its arguments and its twin were overwritten`);
      }
    },
  }));
}

function refusals(make: () => Backend): { name: string; run: () => void }[] {
  const random = drawFrom(1);
  const [key, nonce, other] = [random(32), random(24), random(32)];
  const aad = utf8("about");
  /** What the two that authenticate more than they encrypt have in common. */
  const withAad = (
    own: Uint8Array,
    seal: (b: Backend, n: Uint8Array, plain: Uint8Array, about: Uint8Array) => Uint8Array,
    open: (b: Backend, k: Uint8Array, n: Uint8Array, bytes: Uint8Array, about: Uint8Array) => Uint8Array | undefined,
  ) => ({
    seal: (b: Backend, plain: Uint8Array) => seal(b, own, plain, aad),
    open: (b: Backend, bytes: Uint8Array) => open(b, key, own, bytes, aad),
    strange: (b: Backend, bytes: Uint8Array) => [
      open(b, other, own, bytes, aad),
      open(b, key, other.subarray(0, own.length), bytes, aad),
      open(b, key, own, bytes, utf8("abour")),
      open(b, key, own, bytes, NOTHING),
    ],
  });
  const seals = [
    {
      name: "secretbox",
      seal: (b: Backend, plain: Uint8Array) => b.secretboxSeal(key, nonce, plain),
      open: (b: Backend, bytes: Uint8Array) => b.secretboxOpen(key, nonce, bytes),
      strange: (b: Backend, bytes: Uint8Array) => [
        b.secretboxOpen(other, nonce, bytes),
        b.secretboxOpen(key, other.subarray(0, 24), bytes),
      ],
    },
    {
      name: "xchacha",
      ...withAad(
        nonce,
        (b, n, plain, about) => b.xchachaSeal(key, n, plain, about),
        (b, k, n, bytes, about) => b.xchachaOpen(k, n, bytes, about),
      ),
    },
    {
      name: "aes256gcm",
      ...withAad(
        nonce.subarray(0, 12),
        (b, n, plain, about) => b.aes256gcmSeal(key, n, plain, about),
        (b, k, n, bytes, about) => b.aes256gcmOpen(k, n, bytes, about),
      ),
    },
  ];
  return [
    ...seals.flatMap(({ name, seal, open, strange }) => [
      {
        name: `${name} opens what it sealed, of any length`,
        run: () => {
          const backend = make();
          for (const length of [...LENGTHS, 65_536]) {
            const plain = random(length);
            const opened = open(backend, offAlignment(seal(backend, plain)));
            assertSame(opened, plain, `${length} bytes`);
            assert(Object.getPrototypeOf(opened) === Uint8Array.prototype, "a plain Uint8Array");
          }
        },
      },
      {
        name: `${name} refuses changed bits, missing and added bytes, other keys`,
        run: () => {
          const backend = make();
          const sealed = seal(backend, random(40));
          for (let bit = 0; bit < sealed.length * 8; bit++) {
            const changed = sealed.slice();
            changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
            assert(open(backend, changed) === undefined, `bit ${bit} was changed`);
          }
          for (let length = 0; length < sealed.length; length++)
            assert(open(backend, sealed.slice(0, length)) === undefined, `cut to ${length}`);
          assert(open(backend, concat(sealed, new Uint8Array(1))) === undefined, "one byte more");
          for (const opened of strange(backend, sealed)) assert(opened === undefined, "other key, nonce or aad");
        },
      },
    ]),
    {
      name: "beforenm refuses every point of low order, in each of its encodings",
      run: () => {
        const backend = make();
        for (const point of lowOrderPoints())
          assert(backend.beforenm(key, point) === undefined, `low order ${toHex(point)}`);
      },
    },
  ];
}

/** Secrets that are none, and points that are not on the curve or not in their one form. */
function curveRefusals(make: () => Backend): { name: string; run: () => void }[] {
  const secret = range(1, 32);
  const [key256, key160] = [hex(P256_KEY_I), hex(P160_KEY_U)];
  const first = (key: Uint8Array, byte: number) => concat(Uint8Array.of(byte), key.subarray(1));
  return [
    {
      name: "P-256 refuses secrets of 0 and of the order and above",
      run: () => {
        const backend = make();
        for (const wrong of [P256_ORDER, "00".repeat(32), "ff".repeat(32)]) {
          assert(backend.p256Key(hex(wrong)) === undefined, `a key of ${wrong}`);
          assert(backend.p256(hex(wrong), key256) === undefined, `a secret of ${wrong}`);
        }
        const last = hex(P256_ORDER);
        last[31] = (last[31] ?? 0) - 1;
        assert(backend.p256Key(last) !== undefined, "the last secret is good");
      },
    },
    {
      name: "P-256 refuses every key but 65 bytes of a point",
      run: () => {
        const backend = make();
        const off = key256.slice();
        off[64] = (off[64] ?? 0) ^ 1;
        const y = concat(Uint8Array.of(4), key256.subarray(33), key256.subarray(1, 33));
        const compressed = first(key256.subarray(0, 33), 2 + ((key256[64] ?? 0) & 1));
        const hybrid = first(key256, 6 + ((key256[64] ?? 0) & 1));
        const overPrime = concat(Uint8Array.of(4), new Uint8Array(64).fill(0xff));
        const lengths = [0, 1, 33, 64, 66].map((length) => concat(key256, NOTHING, range(0, 1)).slice(0, length));
        const wrong = [
          off,
          y,
          compressed,
          hybrid,
          overPrime,
          first(new Uint8Array(65), 4),
          new Uint8Array(65),
          ...lengths,
        ];
        for (const key of wrong) assert(backend.p256(secret, key) === undefined, toHex(key));
      },
    },
    {
      name: "secp160r1 refuses a secret of 0 and takes the largest",
      run: () => {
        const backend = make();
        assert(backend.secp160r1Key(new Uint8Array(20)) === undefined, "a key of 0");
        assert(backend.secp160r1(new Uint8Array(20), key160) === undefined, "a secret of 0");
        const largest = new Uint8Array(20).fill(0xff);
        assertSame(backend.secp160r1Key(largest), portable.secp160r1Key(largest), "key of the largest");
      },
    },
    {
      name: "secp160r1 refuses every key but 21 bytes of a point, as portable does",
      run: () => {
        const backend = make();
        const overPrime = new Uint8Array(20).fill(0xff);
        const lengths = [0, 1, 20, 22].map((length) => concat(key160, range(0, 1)).slice(0, length));
        const heads = [0, 1, 4, 5, 6, 7, 0x82].map((head) => first(key160, head));
        const wrong = [...lengths, ...heads, concat(Uint8Array.of(2), overPrime), new Uint8Array(21)];
        for (const key of wrong) assert(backend.secp160r1(secret.subarray(0, 20), key) === undefined, toHex(key));
        const random = drawFrom(4);
        let points = 0;
        for (let i = 0; i < 40; i++) {
          const noise = concat(Uint8Array.of(2 + (i & 1)), random(20)); // every second X has a point
          const shared = backend.secp160r1(secret.subarray(0, 20), noise);
          assertSame(shared, portable.secp160r1(secret.subarray(0, 20), noise), toHex(noise));
          if (shared !== undefined) points++;
        }
        assert(points > 10 && points < 30, `${points} of 40 are points`);
      },
    },
  ];
}

/** Each set over the backend and over `portable`, which for 2a borrows the backend's RSA. */
function wholeCipherSets(make: () => Backend): { name: string; run: () => void }[] {
  const sets: readonly [name: string, make: (own: Backend, rsa: Backend["rsa"]) => CipherSet | undefined][] = [
    ["3a", (own) => cs3a(own)],
    ["1a", (own) => cs1a(own)],
    ["2a", (own, rsa) => rsa && cs2a(own, rsa)],
  ];
  return sets.map(([name, makeSet]) => ({
    name: `cipher set ${name} seals the bytes that it seals on portable, and each opens the other's`,
    run: () => {
      const backend = make();
      const [here, there] = [makeSet(backend, backend.rsa), makeSet(portable, backend.rsa)];
      if (here === undefined || there === undefined) return; // 2a, without RSA
      const random = drawFrom(2);
      const [alice, bob] = [here.generate(random), here.generate(random)];
      const inner = random(300);
      const [one, same] = [here, there].map((set) => set.exchange(bob.key, drawFrom(5)));
      const two = there.exchange(alice.key, drawFrom(6));
      assert(one && same && two, "exchanges");
      assertSame(same.prefix, one.prefix, "prefix");
      const message = here.seal(alice, bob.key, one, inner, drawFrom(3));
      assert(message !== undefined, "sealed");
      assertSame(there.seal(alice, bob.key, same, inner, drawFrom(3)), message, "message");
      for (const set of [here, there]) {
        const opened = set.open(bob, message);
        assert(opened !== undefined, "opened");
        assertSame(opened.inner, inner, "inner");
        assert(opened.verify(alice.key), "the sender verifies");
        assert(!opened.verify(bob.key), "another sender does not");
      }
      const [out, back] = [here.channel(one, two.key), there.channel(two, one.key)];
      assert(out && back, "channels");
      assertSame(back.open(out.seal(random(16), inner, random)), inner, "there");
      assertSame(out.open(back.seal(random(16), inner, random)), inner, "and back");
    },
  }));
}

/**
 * The X25519 public keys with which no secret can be shared: the points of order 1, 2, 4 and 8 on the curve and its
 * twist, each also as a number above the prime and with the unused top bit set (cr.yp.to/ecdh.html#validate).
 */
export function lowOrderPoints(): Uint8Array[] {
  return LOW_ORDER.flatMap((text) => {
    const point = hex(text);
    const topBitSet = point.slice();
    topBitSet[31] = (topBitSet[31] ?? 0) | 0x80;
    return [point, topBitSet];
  });
}

interface Primitive {
  readonly name: string;
  /** Of the arguments; `undefined`: any. */
  readonly lengths: readonly (number | undefined)[];
  readonly rounds: number;
  readonly call: (backend: Backend, args: readonly Uint8Array[]) => Uint8Array | undefined;
}

const NOTHING = new Uint8Array(0);
const LENGTHS = [0, 1, 15, 16, 17, 63, 64, 65, 127, 256, 1400]; // around the blocks of all the primitives

const PRIMITIVES: readonly Primitive[] = [
  primitive("sha256", [undefined], (b, [data]) => b.sha256(data)),
  primitive("hmac", [undefined, undefined], (b, [key, data]) => b.hmac(key, data)),
  primitive("hkdf", [undefined, undefined, 24], (b, [ikm, salt, info]) => b.hkdf(ikm, salt, info, 80)),
  primitive("x25519Key", [32], (b, [secret]) => b.x25519Key(secret), 8),
  primitive("beforenm", [32, 32], (b, [secret, key]) => b.beforenm(secret, key), 8),
  primitive("secretboxSeal", [32, 24, undefined], (b, [key, nonce, plain]) => b.secretboxSeal(key, nonce, plain)),
  primitive("onetimeauth", [32, undefined], (b, [key, data]) => b.onetimeauth(key, data)),
  primitive("chacha20", [32, 8, undefined], (b, [key, nonce, data]) => b.chacha20(key, nonce, data)),
  primitive("xchachaSeal", [32, 24, undefined, undefined], (b, [k, n, plain, aad]) => b.xchachaSeal(k, n, plain, aad)),
  primitive("siphash", [16, undefined], (b, [key, data]) => b.siphash(key, data)),
  primitive("aes128ctr", [16, 16, undefined], (b, [key, iv, data]) => b.aes128ctr(key, iv, data)),
  primitive("aes256gcmSeal", [32, 12, undefined, undefined], (b, [k, n, plain, aad]) =>
    b.aes256gcmSeal(k, n, plain, aad),
  ),
  primitive("p256Key", [32], (b, [secret]) => b.p256Key(secret), 4),
  primitive("p256", [32, 32], (b, [secret, other]) => b.p256(secret, portable.p256Key(other) ?? NOTHING), 4),
  primitive("secp160r1Key", [20], (b, [secret]) => b.secp160r1Key(secret), 4),
  primitive(
    "secp160r1",
    [20, 20],
    (b, [secret, other]) => b.secp160r1(secret, portable.secp160r1Key(other) ?? NOTHING),
    4,
  ),
];

/** A primitive to be called with exactly as many arguments as it has lengths, so none is ever missing. */
function primitive(
  name: string,
  lengths: Primitive["lengths"],
  call: (backend: Backend, args: [Uint8Array, Uint8Array, Uint8Array, Uint8Array]) => Uint8Array | undefined,
  rounds = 40,
): Primitive {
  return {
    name,
    lengths,
    rounds,
    call: (backend, [a = NOTHING, b = NOTHING, c = NOTHING, d = NOTHING]) => call(backend, [a, b, c, d]),
  };
}

/** Bytes that only look random, the same on every run (mulberry32). */
function drawFrom(seed: number): Random {
  let state = seed;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      bytes[i] = t ^ (t >>> 14);
    }
    return bytes;
  };
}

/** The same bytes as a view inside a larger buffer, where no word is aligned: datagrams look like this. */
function offAlignment(bytes: Uint8Array): Uint8Array {
  const larger = new Uint8Array(bytes.length + 8);
  larger.set(bytes, 3);
  return larger.subarray(3, 3 + bytes.length);
}

function range(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i);
}

function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  assert(bytes !== undefined, "the suite's own hex");
  return bytes;
}

function assertSame(actual: Uint8Array | undefined, expected: Uint8Array | undefined, what: string): void {
  const [is, shouldBe] = [actual && toHex(actual), expected && toHex(expected)];
  assert(is === shouldBe, `${what}: ${is} should be ${shouldBe}`);
}

const SHA256_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const HMAC_1 = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
const HMAC_2 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
const HMAC_6 = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
const HKDF_1 = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
const HKDF_3 = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
const ALICE_SECRET = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
const ALICE_KEY = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
const BOB_SECRET = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
const BOB_KEY = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
const NACL_SHARED = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
const NACL_NONCE = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";
const NACL_PLAIN =
  "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4" +
  "1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52" +
  "f0a089bc76897040e082f937763848645e0705";
const NACL_BOXED =
  "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b" +
  "4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da" +
  "99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5";
const NACL_AUTH_KEY = "eea6a7251c1e72916d11c2cb214d3c252539121d8e234e652d651fa4c8cff880";
const CHACHA20_ZEROS =
  "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11c" +
  "c387b669b2ee6586";
const XCHACHA_PLAIN =
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
const XCHACHA_AAD = "50515253c0c1c2c3c4c5c6c7";
const XCHACHA_SEALED =
  "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216" +
  "cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13" +
  "b52ec0875924c1c7987947deafd8780acf49";
const LOW_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
const AES_128_KEY = "2b7e151628aed2a6abf7158809cf4f3c";
const AES_128_PLAIN = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51";
const AES_128_CTR = "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff";
const GCM_KEY = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
const GCM_IV = "cafebabefacedbaddecaf888";
const GCM_PLAIN =
  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba63" +
  "7b39";
const GCM_AAD = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const GCM_SEALED =
  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9" +
  "f66276fc6ece0f4e1768cddf8853bb2d551b";
const P256_ORDER = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P256_SECRET_I = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
const P256_SECRET_R = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53";
const P256_KEY_I =
  "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f5838" +
  "9e0577b8990bb3";
const P256_KEY_R =
  "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353" +
  "e74f33039872ab";
const P256_SHARED = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de";
const P160_SECRET_U = "aa374ffc3ce144e6b073307972cb6d57b2a4e982";
const P160_SECRET_V = "45fb58a92a17ad4b15101c66e74f277e2b460866";
const P160_KEY_U = "0251b4496fecc406ed0e75a24a3c03206251419dc0";
const P160_KEY_V = "0349b41e0e9c0369c2328739d90f63d56707c6e5bc";
const P160_SHARED = "ca7c0f8c3ffa87a96e1b74ac8e6af594347bb40a";
