/** The best backend that this machine has. */
import { type Backend, portable, type WasmSodium, wasmBackend } from "restante/protocol";
import { loadNative } from "./native.ts";
import { openssl } from "./openssl.ts";

/**
 * The fastest backend that loads: sodium-native; else libsodium in WebAssembly; else JavaScript. OpenSSL serves its part in
 * each of them, so all have RSA and give the same bytes. What is not the first choice is told to `say`, once. `loaders`:
 * how the first two are loaded, in this order.
 */
export async function loadBackend(
  say: (message: string) => void,
  loaders: readonly [native: Loader, wasm: Loader] = [loadNative, loadWasm],
): Promise<Backend> {
  const native = await loaders[0]();
  if (native !== undefined) return native;
  const wasm = await loaders[1]();
  say(
    `sodium-native does not load here: using ${wasm ? "WebAssembly" : "JavaScript"} for cryptography, which is slower`,
  );
  return wasm ?? { ...portable, ...openssl, name: "portable with OpenSSL" };
}

type Loader = () => Promise<Backend | undefined>;

/** libsodium in WebAssembly, with OpenSSL for the rest; `undefined` when libsodium-wrappers-sumo is not installed. */
export async function loadWasm(): Promise<Backend | undefined> {
  const name = "libsodium-wrappers-sumo"; // in a variable, as in native.ts
  try {
    const loaded: { default: WasmSodium & { readonly ready: Promise<void> } } = await import(name);
    await loaded.default.ready;
    return { ...wasmBackend(loaded.default), ...openssl, name: "libsodium-wrappers-sumo" };
  } catch {
    return undefined;
  }
}
