/** Texts on the desk and beyond it: the bytes that the portable backend gives, in whatever arrays they are asked for. */
import { concat, equal, portable } from "restante/protocol";
import { Chance } from "restante/testing";
import { describe, expect, test } from "vitest";
import { loadNative, sodiumBinding } from "./native.ts";
import { type SodiumPrimitives, sodiumHot } from "./sodium.ts";

const native = await loadNative();
const { random } = new Chance(1);
const lengths = [
  0, 1, 16, 63, 64, 65, 223, 224, 225, 255, 256, 257, 480, 1300, 1400, 2015, 2016, 2017, 2047, 2048, 2049, 9000,
];
const [key, nonce, nonce8] = [random(32), random(24), random(8)];

describe.skipIf(native === undefined)("texts of any length", () => {
  const into = native?.into ?? expect.unreachable();

  test("are sealed as on portable, also where they stand", () => {
    for (const length of lengths) {
      const plain = random(length);
      const boxed = portable.secretboxSeal(key, nonce, plain);
      expect(native?.secretboxSeal(key, nonce, plain)).toEqual(boxed);
      for (const front of [0, 2, 120, 121, 300]) {
        const head = concat(random(front), nonce);
        const packet = concat(head, random(16), plain);
        into.secretboxSeal(packet, front + 40, key);
        expect(equal(packet, concat(head, boxed))).toBe(true);
      }
    }
  });

  test("are opened, also where they stand, and left alone when they are refused", () => {
    for (const length of lengths) {
      const plain = random(length);
      const boxed = portable.secretboxSeal(key, nonce, plain);
      expect(native?.secretboxOpen(key, nonce, boxed)).toEqual(plain);
      for (const front of [0, 2, 120, 121, 300]) {
        const head = concat(random(front), nonce);
        const [packet, out, end] = [concat(head, boxed), random(length + 7), random(2)];
        const [before, after] = [packet.slice(), concat(out.subarray(0, 5), plain, end)];
        for (const wrong of [front, front + 24, front + 39, packet.length - 1]) {
          packet[wrong] = (packet[wrong] ?? 0) ^ 1;
          const [changed, room] = [packet.slice(), out.slice()];
          expect(into.secretboxOpen(packet, front + 40, key)).toBe(false);
          expect(into.secretboxOpen(packet, front + 40, key, out, 5)).toBe(false);
          expect(equal(packet, changed) && equal(out, room)).toBe(true);
          packet[wrong] = (packet[wrong] ?? 0) ^ 1;
        }
        out.set(end, length + 5);
        expect(into.secretboxOpen(packet, front + 40, key, out, 5)).toBe(true);
        expect(equal(packet, before) && equal(out, after)).toBe(true);
        expect(into.secretboxOpen(packet, front + 40, key)).toBe(true);
        expect(equal(packet, concat(head, boxed.subarray(0, 16), plain))).toBe(true);
      }
    }
    expect(native?.secretboxOpen(key, nonce, random(15))).toBeUndefined();
  });

  test("are authenticated and cloaked as on portable", () => {
    for (const length of lengths) {
      const data = random(length);
      expect(native?.onetimeauth(key, data)).toEqual(portable.onetimeauth(key, data));
      const cloaked = portable.chacha20(key, nonce8, data);
      expect(native?.chacha20(key, nonce8, data)).toEqual(cloaked);
    }
  });

  test("are cloaked in layers as on portable, and found again under them", () => {
    for (const length of [...lengths, 1, 1900, 2040]) {
      for (const rounds of [1, 2, 4, 32]) {
        const text = concat(Uint8Array.of(0), random(length));
        const nonces = random(8 * rounds).map((byte) => byte | 1);
        const bytes = concat(nonces, text);
        into.layers.seal(bytes, nonces.length, key);
        let want = text;
        for (let at = nonces.length; at > 0; at -= 8) {
          const inner = nonces.subarray(at - 8, at);
          want = concat(inner, portable.chacha20(key, inner, want));
        }
        expect(bytes).toEqual(want);
        // A byte of what is between may be zero by chance, and then the layer ends there.
        let left = want;
        let undone = 0;
        do {
          left = portable.chacha20(key, left.subarray(0, 8), left.subarray(8));
          undone++;
        } while (left[0] !== 0);
        expect(into.layers.open(bytes.slice(), undone - 1, key)).toBe(-1);
        expect(into.layers.open(bytes, undone, key)).toBe(8 * undone);
        expect(bytes.subarray(8 * undone)).toEqual(left);
      }
    }
    for (const length of [0, 1, 8]) expect(into.layers.open(random(length), 32, key)).toBe(-1);
  });

  test("leave nothing to the next one: in any order the results are the same", () => {
    for (const length of [1400, 3, 300, 0, 1400, 17])
      expect(native?.secretboxSeal(key, nonce, new Uint8Array(length))).toEqual(
        portable.secretboxSeal(key, nonce, new Uint8Array(length)),
      );
  });
});

describe.skipIf(native === undefined)("the desk", () => {
  test("knows a key that lies there, also among others and after it was wiped", async () => {
    const into = native?.into ?? expect.unreachable();
    const keys = [key, random(32), random(32)];
    for (const one of [0, 0, 1, 0, 2, 2, 0]) {
      if (one === 2) await undefined;
      const [secret, plain] = [keys[one] ?? key, random(70)];
      const box = concat(nonce, new Uint8Array(16), plain);
      into.secretboxSeal(box, 40, secret);
      expect(box.subarray(24)).toEqual(portable.secretboxSeal(secret, nonce, plain));
      expect(into.secretboxOpen(box, 40, secret)).toBe(true);
      const id = new Uint8Array(8);
      into.siphash(id, secret.subarray(16), plain);
      expect(id).toEqual(portable.siphash(secret.subarray(16), plain));
    }
  });

  test("has neither keys nor texts when the turn is over", async () => {
    const name = "sodium-native";
    const sodium: SodiumPrimitives = ((await import(name)) as { default: SodiumPrimitives }).default;
    const binding = sodiumBinding() ?? expect.unreachable();
    let desk: Uint8Array = new Uint8Array(0);
    const hot = sodiumHot(sodium, {
      ...binding,
      crypto_stream_xor(...args) {
        desk = new Uint8Array(args[0]);
        binding.crypto_stream_xor(...args);
      },
    });
    const work: (() => void)[] = [
      () => hot.secretboxSeal(concat(nonce, random(16), random(1400)), 40, key),
      () => hot.secretboxOpen(concat(nonce, random(16), random(2000)), 40, key),
      () => hot.onetimeauth(new Uint8Array(16), 0, key, random(500)),
      () => hot.chacha20(new Uint8Array(2048), key, nonce8, random(2048)),
      () => hot.siphash(new Uint8Array(8), key.subarray(16), random(70)),
      () => hot.x25519Key(key),
      () => hot.beforenm(key, hot.x25519Key(random(32))),
    ];
    for (const step of [...work, ...work.reverse()]) {
      step();
      if (desk.length > 0) expect(desk.some((byte) => byte !== 0)).toBe(true);
      await undefined;
      expect(desk.every((byte) => byte === 0)).toBe(true);
    }
  });
});

test.skipIf(native === undefined)("a key, nonce or secret of a wrong length is refused loudly", () => {
  for (const wrong of [new Uint8Array(31), new Uint8Array(33), new Uint8Array(0)]) {
    expect(() => native?.secretboxSeal(wrong, nonce, key)).toThrow();
    expect(() => native?.secretboxOpen(wrong, nonce, random(40))).toThrow();
    expect(() => native?.secretboxSeal(key, wrong, key)).toThrow();
    expect(() => native?.onetimeauth(wrong, key)).toThrow();
    expect(() => native?.chacha20(key, wrong, key)).toThrow();
    expect(() => native?.x25519Key(wrong)).toThrow();
    expect(() => native?.beforenm(wrong, key)).toThrow();
    expect(() => native?.siphash(wrong, key)).toThrow();
  }
});

describe.skipIf(native === undefined)("below the checks of sodium-native", () => {
  test("the binding of the version that is installed is the one we know", () => {
    expect(sodiumBinding()).toBeDefined();
  });

  test("and it gives what the functions above it give", async () => {
    const name = "sodium-native";
    const sodium: SodiumPrimitives = ((await import(name)) as { default: SodiumPrimitives }).default;
    const [above, below] = [sodiumHot(sodium), sodiumHot(sodium, sodiumBinding())];
    for (const length of lengths) {
      const plain = random(length);
      const [one, other] = [above, below].map((hot) => {
        const box = concat(nonce, new Uint8Array(16), plain);
        const [tag, opened, cloaked] = [new Uint8Array(16), new Uint8Array(length), new Uint8Array(length)];
        hot.secretboxSeal(box, 40, key);
        const isOpen = hot.secretboxOpen(box, 40, key, opened, 0);
        const isRefused = !hot.secretboxOpen(concat(box, Uint8Array.of(7)), 40, key);
        hot.onetimeauth(tag, 0, key, plain);
        hot.chacha20(cloaked, key, nonce8, plain);
        const id = new Uint8Array(8);
        hot.siphash(id, key.subarray(16), plain);
        const layered = concat(key.subarray(0, 16), plain);
        hot.layers.seal(layered, 16, key);
        const found = hot.layers.open(layered.slice(), 32, key);
        return { layered, found, box, opened, isOpen, isRefused, tag, cloaked, id };
      });
      expect(one).toMatchObject({ opened: plain, isOpen: true, isRefused: true });
      expect(other).toEqual(one);
    }
  });
});
