/** A cache that a contact offers, from the switch on one side to the use of it on the other. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Peer, PeerEvent } from "restante";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client } from "../api/client.ts";
import type { OfferList, PeerList, StatusInfo } from "../api/contract.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { offerCache, peers, serveCache } from "./caches.ts";
import { EXIT } from "./failure.ts";
import { mesh } from "./mesh.ts";
import { joinCache, status } from "./people.ts";
import type { Screen } from "./screen.ts";

let dir: string;
let alice: Daemon;
let bob: Daemon;
const client = (daemon: Daemon): Client => new Client(daemon.socket);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-offers-"));
  const local = { host: "127.0.0.1", port: 0 };
  alice = await startDaemon({ ...local, home: join(dir, "alice"), name: "Alice", cache: true });
  bob = await startDaemon({ ...local, home: join(dir, "bob"), name: "Bob" });
  const met = next(alice.peer, "contact");
  await bob.peer.add(await alice.peer.invite());
  await met;
});
afterAll(async () => {
  await Promise.all([alice?.close(), bob?.close()]);
  await rm(dir, { recursive: true });
});

/** The next event of this type. */
function next<T extends PeerEvent["type"]>(peer: Peer, type: T): Promise<PeerEvent & { type: T }> {
  return new Promise((resolve) => {
    const end = peer.on((event) => {
      if (event.type !== type) return;
      end();
      resolve(event as PeerEvent & { type: T });
    });
  });
}

test("who serves a cache offers it, a contact sees that with the command to use it, and uses it", async () => {
  const [off, on, seen, joined, how, end] = [record(), record(), record(), record(), record(), record()];
  const heard = next(bob.peer, "offer");
  expect(await offerCache(on.screen, client(alice), "on")).toBe(EXIT.done);
  expect(on.said.join()).toMatch(/your contacts are told.*you will see who writes/);
  expect(await heard).toMatchObject({ name: "Alice", cache: alice.peer.hashname, quota: 64 << 20 });
  expect((await client(alice).call<StatusInfo>("GET", "/v1/status")).offering).toBe(true);

  const { offers } = await client(bob).call<OfferList>("GET", "/v1/offers");
  expect(offers).toEqual([
    { contact: expect.any(String), name: "Alice", cache: alice.peer.hashname, quota: 64 << 20, cap: 8 << 20 },
  ]);
  await status(seen.screen, client(bob));
  expect(seen.out.join("\n")).toMatch(
    /offered +Alice offers you a cache of 64\.0 MiB: `[^`]*cache join Alice` uses it/,
  );
  expect(await joinCache(joined.screen, client(bob), "alice")).toBe(EXIT.done);
  expect(joined.out).toEqual([alice.peer.hashname]);
  const { contact } = offers[0] ?? {};
  expect(bob.peer.status().caches).toMatchObject([{ hashname: alice.peer.hashname, of: contact }]);
  expect((await client(bob).call<StatusInfo>("GET", "/v1/status")).caches).toMatchObject([{ ofName: "Alice" }]);
  expect((await client(bob).call<PeerList>("GET", "/v1/peers")).caches).toMatchObject([
    { cache: alice.peer.hashname, of: contact, ofName: "Alice" },
  ]);
  const [mine, table, known] = [record(), record(), record()];
  await mesh(known.screen, client(bob));
  expect(known.out.join("\n")).toMatch(/ Alice, your cache +/);
  await status(mine.screen, client(bob));
  await peers(table.screen, client(bob));
  expect(mine.out.join("\n")).toMatch(/caches +\w+ of Alice \(/);
  expect(table.out.join("\n")).toMatch(/\w+ of Alice +you/);
  expect(bob.peer.offers()).toEqual([]);

  await offerCache(how.screen, client(alice), undefined);
  expect(how.said).toEqual(["your contacts may use the cache of this node", "1 device of theirs uses it by an offer"]);
  expect(await offerCache(off.screen, client(alice), "off")).toBe(EXIT.done);
  expect(off.said.join()).toMatch(/who does already goes on/);
  expect(await offerCache(end.screen, client(alice), "off", { end: true })).toBe(EXIT.done);
  expect(end.said.join()).toMatch(/none of your contacts may use your cache/);
  await expect(offerCache(end.screen, client(alice), "on", { end: true })).rejects.toThrow(/--end goes with off/);
  await expect(offerCache(end.screen, client(alice), "off", { forget: true })).rejects.toThrow(/goes with --end/);
  expect(alice.peer.status().offering).toBe(false);
  await expect(joinCache(joined.screen, client(bob), "Alice")).rejects.toMatchObject({ code: "no-offer" });
});

test("a node becomes a cache by a command, and is one after its next start; messages of others are not forgotten unasked", async () => {
  const [before, on, how, off, forgot] = [record(), record(), record(), record(), record()];
  expect(await serveCache(before.screen, client(bob), undefined)).toBe(EXIT.done);
  expect([before.out, before.said]).toEqual([[], ["this node serves no cache"]]);
  await expect(client(bob).call("GET", "/v1/cache/totals")).rejects.toMatchObject({ code: "no-cache" });
  expect(await serveCache(on.screen, client(bob), "on")).toBe(EXIT.done);
  expect(on.said.join("\n")).toMatch(/from now on, in memory alone[\s\S]*cache offer on[\s\S]*can be reached/);
  expect(await client(bob).call("GET", "/v1/cache/totals")).toMatchObject({ minutes: [{ taken: 0 }] });
  await bob.close();
  bob = await startDaemon({ host: "127.0.0.1", port: 0, home: join(dir, "bob") });
  await serveCache(how.screen, client(bob), undefined);
  expect(how.out).toEqual([expect.stringMatching(/^link:/)]);
  expect(how.said[0]).toBe("this node serves a cache; it holds 0 messages, 0 bytes");

  await joinCache(record().screen, client(alice), how.out[0] ?? "");
  expect(await alice.peer.testCaches()).toMatchObject([{ outcome: "whole" }]);
  const gone = next(alice.peer, "cache-test");
  expect(await serveCache(off.screen, client(bob), "off")).toBe(EXIT.done);
  expect(off.said).toEqual(["this node serves no cache any more"]);
  expect(await gone).toMatchObject({ cache: bob.peer.hashname, outcome: "none" });
  const { problems } = await client(alice).call<StatusInfo>("GET", "/v1/status");
  expect(problems.join()).toMatch(/your cache .* is none any more: it keeps nothing for you/);
  await alice.peer.leave(bob.peer.hashname);
  await expect(serveCache(forgot.screen, client(bob), "on", { forget: true })).rejects.toThrow(
    /--forget goes with off/,
  );
});

test("where the start said whether there is a cache, no command does", async () => {
  const [how, { screen }] = [record(), record()];
  await serveCache(how.screen, client(alice), undefined);
  expect(how.said[0]).toMatch(/^this node serves a cache, as its start says; it holds/);
  await expect(serveCache(screen, client(alice), "off", { forget: true })).rejects.toMatchObject({
    code: "set-at-start",
  });
  await expect(serveCache(screen, client(alice), "maybe")).rejects.toThrow(/on or off/);
});

test("without a cache there is nothing to offer, and other words than on and off are refused", async () => {
  const { screen } = record();
  await expect(offerCache(screen, client(bob), "on")).rejects.toMatchObject({ code: "no-cache" });
  const { screen: asked, said } = record();
  await offerCache(asked, client(bob), undefined);
  expect(said.join()).toMatch(/serves no cache that could be offered: `[^`]*cache serve on`/);
  await expect(offerCache(screen, client(bob), "maybe")).rejects.toThrow(/on or off/);
  await expect(joinCache(screen, client(bob), "nobody")).rejects.toMatchObject({ code: "not-found" });
});

/** A screen that keeps what it is given. */
function record(): { screen: Screen; out: string[]; said: string[] } {
  const [out, said]: [string[], string[]] = [[], []];
  const screen: Screen = {
    ...{ json: false, isTerminal: false, hasColor: false, columns: 80 },
    out: (line) => void out.push(line),
    say: (line) => void said.push(line),
    paint: (_, text) => text,
  };
  return { screen, out, said };
}
