import { randomBytes } from "node:crypto";
import { createCrypto, createIdentity, type Identity } from "restante";
import { cs3a, openMessage, parsePacket, utf8 } from "restante/protocol";
import { expect, test } from "vitest";
import { loadBackend } from "./crypto/best.ts";
import { type Sealing, sealingOf } from "./sealing.ts";

const backend = await loadBackend(() => {});
const crypto = createCrypto(backend, [cs3a(backend)]);
const made = (): Identity => createIdentity(crypto, (length) => new Uint8Array(randomBytes(length)));
const [alice, bob] = [made(), made()];
const sealing = (identity: Identity): Sealing =>
  sealingOf({ crypto, backend, home: async () => ({ identity, contacts: [] }) });

/** What the first message of a header says, to who has the keys. */
function saidIn(header: Uint8Array, who: Identity): unknown {
  const [high = 0, low = 0] = header.subarray(18);
  const opened = openMessage(crypto, who, header.subarray(20, 20 + ((high << 8) | low)));
  return opened && parsePacket(opened.inner)?.json;
}

test("who seals without a name leaves nothing of itself in the file, though it has a home", async () => {
  const asked = { readers: ["me"], name: "a.txt" };
  const named = await sealing(bob).seal({ ...asked, isAnonymous: false });
  expect(saidIn(named.header, bob)).toMatchObject({ from: bob.hashname, name: "a.txt" });
  const unnamed = await sealing(bob).seal({ ...asked, isAnonymous: true });
  expect(saidIn(unnamed.header, bob)).toMatchObject({
    anonymous: true,
    from: expect.not.stringContaining(bob.hashname),
  });
  expect(await sealing(bob).open(unnamed.header)).toMatchObject({ head: { from: undefined }, isOwn: false });
});

test("a header opens for whom it is, as a whole and with nothing behind it", async () => {
  const { header, secret } = await sealing(alice).seal({ readers: ["me"], isAnonymous: false });
  expect(await sealing(alice).open(header)).toMatchObject({ secret, isOwn: true, contact: undefined });
  await expect(sealing(bob).open(header)).rejects.toMatchObject({ code: "not-for-us" });
  for (const damaged of [header.subarray(0, -1), Buffer.concat([header, utf8("x")]), header.subarray(0, 19)])
    await expect(sealing(alice).open(new Uint8Array(damaged))).rejects.toMatchObject({ code: "bad-sealed" });
  await expect(sealing(alice).open(new Uint8Array(0))).rejects.toMatchObject({ code: "bad-sealed" });
  await expect(sealing(alice).seal({ readers: ["bob"], isAnonymous: true })).rejects.toMatchObject({
    code: "not-found",
  });
});
