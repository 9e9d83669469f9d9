/** Who a home is, and whom it knows, as its store has it. For what is done with keys alone. */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Backend, type Hashname, type Identity, importIdentity, RestanteError, type Store } from "restante";
import { type Card, type Crypto, fromBase32, fromUtf8, meant, parseCard, toHex } from "restante/protocol";
import { openHome } from "./home.ts";
import { type AskPassphrase, loadOrCreateKey } from "./store/key.ts";
import { levelStore } from "./store/level.ts";

export interface OfflineHome {
  readonly identity: Identity;
  readonly contacts: readonly OfflineContact[];
}

export interface OfflineContact {
  /** 32 hex characters. */
  readonly id: string;
  /** Of its peers only those that have shown themselves: that a card names a hashname proves nothing of who has its keys. */
  readonly card: Card;
}

/**
 * Reads them from the store. Throws "no-home" when there is none, "home-locked" while a daemon runs there, "store-damaged", and what
 * key and store throw.
 */
export async function readOffline(
  dir: string,
  { crypto, backend, passphrase }: { crypto: Crypto; backend: Backend; passphrase: AskPassphrase },
): Promise<OfflineHome> {
  const isThere = await stat(join(resolve(dir), "store")).catch(() => undefined);
  if (isThere === undefined) throw new RestanteError("no-home", `there is no peer in ${dir}`);
  const home = await openHome(dir);
  try {
    const store = levelStore({ dir: home.store, key: await loadOrCreateKey(home.key, passphrase), backend });
    await store.open();
    try {
      return await readKnown(store, { crypto, backend });
    } finally {
      await store.close();
    }
  } finally {
    await home.release();
  }
}

/** The same from a store that is open, also while its peer runs. Throws "store-damaged". */
export async function readKnown(
  store: Pick<Store, "get" | "load">,
  { crypto, backend }: { crypto: Crypto; backend: Backend },
): Promise<OfflineHome> {
  const identity = importIdentity(crypto, parsed(await store.get("identity")));
  if (identity === undefined)
    throw new RestanteError("store-damaged", "the identity in the store is not readable, or was never made");
  const contacts: OfflineContact[] = [];
  for (const [, value] of await store.load(CONTACT)) {
    const { card, own, peers } = (parsed(value) ?? {}) as { card?: unknown; own?: unknown; peers?: unknown };
    const bytes = typeof card === "string" ? fromBase32(card) : undefined;
    const read = bytes && parseCard(backend, bytes);
    if (read === undefined || own === true) continue;
    const shown = read.peers.filter(({ hashname }) => Array.isArray(peers) && peers.includes(hashname));
    contacts.push({ id: toHex(read.id), card: { ...read, peers: shown } });
  }
  return { identity, contacts };
}

/** Those whom a text may mean, as a peer that runs has it: `meant` of `restante/protocol`. */
export function contactsNamed(contacts: readonly OfflineContact[], text: string): OfflineContact[] {
  return meant(contacts, text, ({ id, card: { name, peers } }) => ({
    ...{ id, name, hashnames: peers.map(({ hashname }) => hashname) },
  }));
}

/** The contact that a hashname is of. */
export function contactOf(contacts: readonly OfflineContact[], hashname: Hashname): OfflineContact | undefined {
  return contacts.find(({ card }) => card.peers.some((peer) => peer.hashname === hashname));
}

function parsed(value: Uint8Array | undefined): unknown {
  try {
    return JSON.parse((value && fromUtf8(value)) ?? "");
  } catch {
    return undefined;
  }
}

const CONTACT = "peer/contact/"; // docs/store.md
