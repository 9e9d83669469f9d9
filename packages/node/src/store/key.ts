/** The two secrets that lie in files: the key of the store, and the identity of a peer that has no store. */
import { randomBytes } from "node:crypto";
import { createIdentity, exportIdentity, type Identity, importIdentity, portable, RestanteError } from "restante";
import { type Crypto, fromUtf8, utf8 } from "restante/protocol";
import { isSealedKey, openKey, sealKey } from "./passphrase.ts";
import { createPrivate, readPrivate, replacePrivate } from "./private-file.ts";

/** Asked once, and only where a passphrase is needed. May throw: then nothing is opened. */
export type AskPassphrase = () => Promise<string>;

/**
 * The store key in `file`, 32 bytes; made at random where there is no such file. One under a passphrase is opened with what
 * `ask` says. Throws "open-permissions" when others can read the file, "store-key" when it holds something else,
 * "no-passphrase" when nobody can be asked, "bad-passphrase" for a wrong one.
 */
export async function loadOrCreateKey(file: string, ask?: AskPassphrase): Promise<Uint8Array> {
  return openedKey(file, await loadOrCreate(file, newKey), ask);
}

/** Is the key in `file` under a passphrase? Throws "open-permissions". */
export async function isKeyProtected(file: string): Promise<boolean> {
  const bytes = await readPrivate(file);
  return bytes !== undefined && isSealedKey(bytes);
}

/**
 * Put the key in `file` under the passphrase that `next` says; a new key where there is none. Without `next` it lies there in
 * clear again. `ask`, first: for the passphrase that it is under. Throws as `loadOrCreateKey`; the file is then as it was.
 */
export async function rewriteKey(file: string, next?: AskPassphrase, ask?: AskPassphrase): Promise<void> {
  const bytes = await readPrivate(file);
  const key = bytes === undefined ? newKey() : await openedKey(file, bytes, ask);
  await replacePrivate(file, next === undefined ? key : await sealKey(portable, key, await next()));
}

async function openedKey(file: string, bytes: Uint8Array, ask: AskPassphrase | undefined): Promise<Uint8Array> {
  if (bytes.length === KEY_BYTES) return bytes;
  if (!isSealedKey(bytes))
    throw new RestanteError("store-key", `${file} is not a store key; bring it back from a backup`);
  if (ask === undefined) throw new RestanteError("no-passphrase", `${file} is under a passphrase`);
  return openKey(portable, bytes, await ask());
}

function newKey(): Uint8Array {
  return new Uint8Array(randomBytes(KEY_BYTES));
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
