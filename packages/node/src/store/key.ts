/** The two secrets that lie in files: the key of the store, and the identity of a peer that has no store. */
import { randomBytes } from "node:crypto";
import { createIdentity, exportIdentity, type Identity, importIdentity, RestanteError } from "restante";
import { type Crypto, fromUtf8, utf8 } from "restante/protocol";
import { createPrivate, readPrivate } from "./private-file.ts";

/**
 * The store key in `file`, 32 bytes; made at random where there is no such file.
 * Throws "open-permissions" when others can read the file, "store-key" when it holds something else.
 */
export async function loadOrCreateKey(file: string): Promise<Uint8Array> {
  const key = await loadOrCreate(file, () => new Uint8Array(randomBytes(KEY_BYTES)));
  if (key.length !== KEY_BYTES)
    throw new RestanteError("store-key", `${file} is not a store key; bring it back from a backup`);
  return key;
}

/**
 * The identity in `file`, the JSON of `exportIdentity`; a new one where there is no such file.
 * Throws "open-permissions" when others can read the file, "bad-identity" when it holds something else.
 */
export async function loadOrCreateIdentity(crypto: Crypto, file: string): Promise<Identity> {
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const bytes = await loadOrCreate(file, () =>
    utf8(`${JSON.stringify(exportIdentity(createIdentity(crypto, random)), undefined, 2)}\n`),
  );
  const identity = importIdentity(crypto, parseJson(bytes));
  if (identity === undefined)
    throw new RestanteError("bad-identity", `${file} is not an identity; bring it back from a backup`);
  return identity;
}

async function loadOrCreate(file: string, make: () => Uint8Array): Promise<Uint8Array> {
  const found = await readPrivate(file);
  if (found !== undefined) return found;
  const made = make();
  if (await createPrivate(file, made)) return made;
  // Another process was quicker: its secret is the one.
  return (await readPrivate(file)) ?? made;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes) ?? "");
  } catch {
    return undefined;
  }
}

const KEY_BYTES = 32;
