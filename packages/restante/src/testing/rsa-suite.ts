/** What the RSA of a backend must do, where it has one. Part of `backendSuite`. */
import { assert, concat, equal, fromHex, toHex } from "../bytes/index.ts";
import { type Backend, isRsaKey, oaepEncode, type Rsa } from "../crypto/index.ts";
import { Chance } from "./chance.ts";

/** The tests for the RSA of the backend that `make` gives; they pass where there is none. */
export function rsaTests(make: () => Backend): { name: string; run: () => void }[] {
  const test = (name: string, run: (rsa: Rsa) => void) => ({
    name: `RSA, where there is one: ${name}`,
    run: () => {
      const { rsa } = make();
      if (rsa !== undefined) run(rsa);
    },
  });
  const { random } = new Chance(1);
  const data = random(300);
  return [
    test("a fresh pair has a key of the right form, and comes back from its secret", (rsa) => {
      const pair = rsa.generate();
      assert(isRsaKey(pair.key), "a key");
      const again = rsa.keyPair(pair.secret);
      assert(again !== undefined && equal(again.key, pair.key), "its key");
      // Pairs that were copied serve as well.
      const signature = rsa.sign({ key: pair.key, secret: pair.secret.slice() }, data);
      assert(equal(signature, rsa.sign(again, data)), "signs the same");
    }),

    test("SHA-1 of abc (FIPS 180-4)", (rsa) => {
      const abc = Uint8Array.of(0x61, 0x62, 0x63);
      assert(toHex(rsa.sha1(abc)) === "a9993e364706816aba3e25717850c26c9cd0d89d", "digest");
    }),

    test("a signature is of its key and data alone", (rsa) => {
      const [pair, other] = [rsa.generate(), rsa.generate()];
      const signature = rsa.sign(pair, data);
      assert(signature.length === 256 && rsa.verify(pair.key, data, signature), "verifies");
      assert(!rsa.verify(other.key, data, signature), "another key");
      assert(!rsa.verify(pair.key, data.subarray(1), signature), "other data");
      for (let at = 0; at < 256; at += 15) assert(!rsa.verify(pair.key, data, changed(signature, at)), `byte ${at}`);
      for (const length of [0, 1, 255, 257])
        assert(!rsa.verify(pair.key, data, concat(signature, signature).subarray(0, length)), `${length} bytes`);
      for (const fill of [0, 1, 0xff]) assert(!rsa.verify(pair.key, data, new Uint8Array(256).fill(fill)), "constant");
    }),

    test("OAEP decrypts what was padded here, and refuses all else", (rsa) => {
      const [pair, other] = [rsa.generate(), rsa.generate()];
      for (const length of [0, 1, 97, 214]) {
        const plain = random(length);
        const ciphertext = rsa.encrypt(pair.key, oaepEncode(rsa, plain, random(20)));
        const opened = rsa.decrypt(pair, ciphertext);
        assert(opened !== undefined && equal(opened, plain), `${length} bytes`);
        assert(rsa.decrypt(other, ciphertext) === undefined, "another pair");
        for (let at = 0; at < 256; at += 51)
          assert(rsa.decrypt(pair, changed(ciphertext, at)) === undefined, `byte ${at}`);
        for (const cut of [0, 1, 255, 257])
          assert(rsa.decrypt(pair, concat(ciphertext, ciphertext).subarray(0, cut)) === undefined, `${cut} bytes`);
      }
      // A padding that is wrong in one place: the leading zero, the hash of the label, the byte before the plain text.
      for (const at of [0, 21, 40, 158]) {
        const block = oaepEncode(rsa, random(97), new Uint8Array(20));
        block[at] = (block[at] ?? 0) ^ 1;
        assert(rsa.decrypt(pair, rsa.encrypt(pair.key, block)) === undefined, `padding, byte ${at}`);
      }
    }),

    test("a damaged secret is refused, or makes a pair that works all the same", (rsa) => {
      const { secret } = rsa.generate();
      let refused = 0;
      for (let at = 0; at < secret.length; at += at < 40 ? 1 : 43) {
        const pair = rsa.keyPair(changed(secret, at));
        if (pair === undefined) {
          refused++;
          continue;
        }
        assert(isRsaKey(pair.key) && rsa.verify(pair.key, data, rsa.sign(pair, data)), `byte ${at}: signs`);
        const opened = rsa.decrypt(pair, rsa.encrypt(pair.key, oaepEncode(rsa, data.subarray(0, 97), random(20))));
        assert(opened !== undefined && equal(opened, data.subarray(0, 97)), `byte ${at}: decrypts`);
      }
      assert(refused >= 20, `the lengths and the modulus count: ${refused}`);
      for (const length of [0, 1, 100, secret.length - 1])
        assert(rsa.keyPair(secret.subarray(0, length)) === undefined, `${length} bytes`);
      for (let length = 0; length < 60; length++) assert(rsa.keyPair(random(length)) === undefined, "noise");
    }),

    test("whatever modulus and exponent a peer made up, as long as they have the form", (rsa) => {
      const { key } = rsa.generate();
      const exponents = ["03", "0101", "7fff", "010001", "7fffffff"].map((text) => fromHex(text) ?? key);
      for (const exponent of exponents) {
        for (const fill of [undefined, 0xff, 0x00]) {
          const modulus = fill === undefined ? random(256) : new Uint8Array(256).fill(fill);
          modulus[0] = (modulus[0] ?? 0) | 0x80;
          modulus[255] = (modulus[255] ?? 0) | 1;
          const strange = concat(
            Uint8Array.of(0x30, 0x82, 0x01, 7 + exponent.length),
            key.subarray(4, 9),
            modulus,
            Uint8Array.of(2, exponent.length),
            exponent,
          );
          assert(isRsaKey(strange), `a key ${toHex(strange)}`);
          assert(rsa.encrypt(strange, oaepEncode(rsa, data.subarray(0, 97), random(20))).length === 256, "encrypts");
          assert(!rsa.verify(strange, data, random(256)), "verifies");
        }
      }
    }),
  ];
}

function changed(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 0x41;
  return copy;
}
