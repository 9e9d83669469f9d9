import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BazaarAddress, memoryStore } from "restante";
import { utf8 } from "restante/protocol";
import { afterEach, expect, test, vi } from "vitest";
import { chatMessage, identityFromSeed } from "./format/index.ts";
import {
  bazaarSeed,
  contactAt,
  createBazaar,
  folderStorage,
  type MailRoute,
  type MailRouteOptions,
  mailRoute,
} from "./index.ts";

const dirs: string[] = [];
const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
  for (const dir of dirs.splice(0)) await rm(dir, { recursive: true, force: true });
});

interface Side {
  readonly route: MailRoute;
  readonly address: BazaarAddress;
  readonly brought: { readonly key: Uint8Array; readonly bytes: Uint8Array }[];
  readonly others: string[];
}

/** One side, and whether what it is brought is dealt with. */
async function side(
  name: string,
  takes: () => boolean = () => true,
  more: Partial<MailRouteOptions> = {},
): Promise<Side> {
  const dir = await mkdtemp(join(tmpdir(), "restante-route-"));
  dirs.push(dir);
  const others: string[] = [];
  const brought: { key: Uint8Array; bytes: Uint8Array }[] = [];
  const route = mailRoute({
    seed: bazaarSeed(utf8(name.padEnd(32))),
    store: memoryStore(),
    storage: folderStorage(dir),
    listen: ["/ip4/127.0.0.1/tcp/0"],
    network: "local",
    ...more,
    onMessage: ({ from }) => {
      others.push(from);
      return "done";
    },
  });
  const address = await route.start({
    brought: async (key, bytes) => {
      brought.push({ key, bytes });
      return takes();
    },
  });
  open.push(route);
  return { route, address, brought, others };
}

test("what is left for somebody who is there is brought with the key of its sender, and that is true when it is told", async () => {
  const [alice, bob] = [await side("alice"), await side("bob")];
  expect(alice.address.key).toEqual(identityFromSeed(bazaarSeed(utf8("alice".padEnd(32)))).publicKey);
  expect(alice.address.addrs).toHaveLength(1);
  alice.route.contacts([bob.address.key]);
  bob.route.contacts([alice.address.key]);
  const delivery = { ref: "0123456789abcdef-0123456789abcdef", to: bob.address, bytes: utf8("sealed") };
  expect(await alice.route.deliver(delivery)).toBe(true);
  expect(bob.brought).toEqual([{ key: alice.address.key, bytes: utf8("sealed") }]);
  alice.route.withdraw([delivery.ref, "unknown"]);
  await alice.route.stop();
  expect(await alice.route.deliver(delivery)).toBe(false);
});

test("who is found at a relay says so before there is a place for it, and is reached there", async () => {
  const relay = await side("relay", () => true, { relays: true, serves: true });
  const [at = ""] = relay.address.addrs;
  const bob = await side("bob", () => true, { listen: ["/ip4/127.0.0.1/tcp/0", `${at}/p2p-circuit`] });
  expect(bob.address.addrs).toEqual([expect.stringContaining(`${at}/p2p-circuit/p2p/12D3Koo`), expect.anything()]);
  await vi.waitFor(() => expect(bob.route.bazaar()?.addrs()).toContain(bob.address.addrs[0]), WAIT);
  const alice = await side("alice", () => true, { listen: [] });
  const to = { ...bob.address, addrs: bob.address.addrs.slice(0, 1) };
  expect(await alice.route.deliver({ ref: "0123456789abcdef-relayed", to, bytes: utf8("sealed") })).toBe(true);
  expect(bob.brought).toEqual([{ key: alice.address.key, bytes: utf8("sealed") }]);
});

test("what was taken and is left once more is brought once more: whoever took it may have lost it", async () => {
  const [alice, bob] = [await side("alice"), await side("bob")];
  alice.route.contacts([bob.address.key]);
  bob.route.contacts([alice.address.key]);
  const delivery = {
    ref: "0123456789abcdef-0123456789abcdef-0123456789abcdef",
    to: bob.address,
    bytes: utf8("sealed"),
  };
  for (const times of [1, 2, 3]) {
    expect(await alice.route.deliver(delivery)).toBe(true);
    expect(bob.brought).toHaveLength(times);
  }
});

test("a message of OpenBazaar's is not for mail, and a key that is none is a failed attempt", async () => {
  const bob = await side("bob");
  const dir = await mkdtemp(join(tmpdir(), "restante-route-"));
  dirs.push(dir);
  const carol = await createBazaar({
    ...{ seed: bazaarSeed(utf8("carol".padEnd(32))), store: memoryStore(), storage: folderStorage(dir) },
    ...{ network: "local", onMessage: () => "done" },
  });
  open.push(carol);
  const { publicKey, id } = identityFromSeed(bazaarSeed(utf8("bob".padEnd(32))));
  const message = chatMessage({ text: "hi", subject: "", time: { seconds: 1, nanos: 0 } });
  if (message === undefined) throw new Error("no chat");
  const delivered = new Promise<void>((resolve) => {
    const look = setInterval(() => {
      if (bob.others.length === 0) return;
      clearInterval(look);
      resolve();
    }, 10);
  });
  await carol.send({ ref: "chat", to: { id, publicKey, addrs: bob.address.addrs }, message });
  await delivered;
  expect(bob.others).toEqual([carol.id]);
  expect(bob.brought).toEqual([]);
  const nobody = { key: Uint8Array.of(1, 2, 3), addrs: [], push: [] };
  expect(await bob.route.deliver({ ref: "a", to: nobody, bytes: utf8("x") })).toBe(false);
});

test("somebody at a multiaddr is known by the key that its id holds; all else is nobody", async () => {
  const { address } = await side("alice");
  const at = address.addrs[0] ?? "";
  expect(contactAt(at)).toEqual({
    id: identityFromSeed(bazaarSeed(utf8("alice".padEnd(32)))).id,
    publicKey: address.key,
    addrs: [at],
  });
  for (const bad of [
    "",
    "/p2p/",
    at.slice(0, -1),
    `${at}x`,
    at.replace("/p2p/", "/ipfs/"),
    at.replace("12D3Koo", "12D3Kop"),
    ` ${at}`,
  ])
    expect(contactAt(bad)).toBeUndefined();
});

const WAIT = { timeout: 60_000, interval: 20 };
