import { portable, type WasmSodium, wasmBackend } from "restante/protocol";
import { backendSuite } from "restante/testing";
import { describe, expect, test } from "vitest";
import { loadBackend, loadWasm } from "./best.ts";
import { loadNative } from "./native.ts";
import { openssl } from "./openssl.ts";

const [native, wasm] = [await loadNative(), await loadWasm()];
// As a browser has it, without OpenSSL.
const module = "libsodium-wrappers-sumo";
const bare = wasm && wasmBackend(((await import(module)) as { default: WasmSodium }).default);

test("the optional libraries load, or nobody asked that they must (CI_STRICT=1)", () => {
  if (process.env["CI_STRICT"] !== "1") return;
  expect(native?.name).toBe("sodium-native");
  expect(wasm?.name).toBe("libsodium-wrappers-sumo");
});

// Where a library does not load the title tells that it was not tested.
describe.each([
  { name: native ? "native backend" : "sodium-native did not load: portable ONLY", backend: native },
  { name: bare ? "wasm backend" : "libsodium-wrappers-sumo did not load: portable ONLY", backend: bare },
  { name: "OpenSSL over portable", backend: { ...portable, ...openssl } },
])("$name", ({ backend }) => {
  for (const { name, run } of backendSuite(() => backend ?? portable)) test(name, run);

  test("a key's array may be changed and given again", () => {
    const [key, nonce, text] = [new Uint8Array(32), new Uint8Array(24), new Uint8Array(100)];
    for (let i = 0; i < 3; i++) {
      key.fill(i);
      const boxed = (backend ?? portable).secretboxSeal(key, nonce, text);
      expect(boxed).toEqual(portable.secretboxSeal(key, nonce, text));
      expect((backend ?? portable).secretboxOpen(key, nonce, boxed)).toEqual(text);
      const short = key.subarray(0, 16);
      expect((backend ?? portable).siphash(short, text)).toEqual(portable.siphash(short, text));
    }
  });
});

test("the best backend is the first that loads; another than the native one is told, once", async () => {
  const absent = async () => undefined;
  const present = (name: string) => async () => ({ ...portable, name });
  const load = async (...loaders: Parameters<typeof loadBackend>[1] & object) => {
    const said: string[] = [];
    const { name, rsa } = await loadBackend((message) => said.push(message), loaders);
    return { name, said, hasRsa: rsa !== undefined };
  };
  expect(await load(present("n"), present("w"))).toMatchObject({ name: "n", said: [] });
  const second = await load(absent, present("w"));
  expect(second.name).toBe("w");
  expect(second.said).toEqual([expect.stringContaining("WebAssembly")]);
  const last = await load(absent, absent);
  expect(last).toMatchObject({ name: "portable with OpenSSL", hasRsa: true });
  expect(last.said).toEqual([expect.stringContaining("JavaScript")]);
});

test("whatever loads here has RSA", async () => {
  const best = await loadBackend(() => {});
  expect(best.name).toBe(native?.name ?? wasm?.name ?? "portable with OpenSSL");
  expect(best.rsa).toBeDefined();
});
