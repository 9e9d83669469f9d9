import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCrypto, createIdentity, exportIdentity, type Identity } from "restante";
import { type Card, cs3a, encodeCard, toBase32, toHex, utf8 } from "restante/protocol";
import { expect, test } from "vitest";
import { loadBackend } from "./crypto/best.ts";
import { openHome } from "./home.ts";
import { contactOf, contactsNamed, readOffline } from "./offline.ts";
import { loadOrCreateKey } from "./store/key.ts";
import { levelStore } from "./store/level.ts";

const backend = await loadBackend(() => {});
const crypto = createCrypto(backend, [cs3a(backend)]);
const identity = (): Identity => createIdentity(crypto, (length) => new Uint8Array(randomBytes(length)));
const [me, mallory, bob] = [identity(), identity(), identity()];

/** The contact `id`, as it is kept: its card names all of these, `shown` have shown themselves. */
function record(id: number, name: string, named: readonly Identity[], shown: readonly Identity[]) {
  const peers = named.map(({ hashname, keys }) => ({ hashname, keys, paths: [], since: 0, caches: [] }));
  const by = shown[0]?.hashname ?? me.hashname;
  const card: Card = { id: new Uint8Array(16).fill(id), version: 1, by, features: [], suites: [], peers, name };
  const saved = { card: toBase32(encodeCard(card)), peers: shown.map(({ hashname }) => hashname) };
  return { key: `peer/contact/${toHex(card.id)}`, value: utf8(JSON.stringify(saved)) };
}

test("a contact whose card names the keys of somebody else is not taken for that one, without a daemon neither", async () => {
  const dir = await mkdtemp(join(tmpdir(), "restante-offline-"));
  const ask = { crypto, backend, passphrase: async () => "" };
  const home = await openHome(dir);
  const store = levelStore({ dir: home.store, key: await loadOrCreateKey(home.key), backend });
  await store.open();
  await store.commit([
    { key: "identity", value: utf8(JSON.stringify(exportIdentity(me))) },
    record(1, "mallory", [mallory, bob], [mallory]),
    record(2, "bob", [bob], [bob]),
  ]);
  await store.close();
  await home.release();

  const { contacts } = await readOffline(dir, ask);
  expect(contactOf(contacts, bob.hashname)?.card.name).toBe("bob");
  expect(contactOf(contacts, mallory.hashname)?.card.name).toBe("mallory");
  expect(contactsNamed(contacts, bob.hashname).map(({ card }) => card.name)).toEqual(["bob"]);
  expect(contactsNamed(contacts, "mallory")[0]?.card.peers.map(({ hashname }) => hashname)).toEqual([mallory.hashname]);
  await rm(dir, { recursive: true });
});

test("who calls itself as a contact's id or hashname reads, whole or in part, is no reader of what is sealed for that one", () => {
  const known = (id: number, name: string, { hashname, keys }: Identity) => {
    const peers = [{ hashname, keys, paths: [], since: 0, caches: [] }];
    const [card, by] = [new Uint8Array(16).fill(id), hashname];
    return { id: toHex(card), card: { id: card, version: 1, by, features: [], suites: [], peers, name } };
  };
  const bobs = known(2, "bob", bob);
  for (const text of [bob.hashname, bobs.id])
    expect(contactsNamed([known(1, text, mallory), bobs], text)).toEqual([bobs]);
  for (const text of [bob.hashname.slice(0, 8), bobs.id.slice(0, 8)])
    expect(contactsNamed([known(1, text, mallory), bobs], text)).toHaveLength(2);
});
