/** What a contact, or a device that was stolen, can do to us by the cards that it gives out. */
import { afterEach, expect, test, vi } from "vitest";
import { type Card, type CardPeer, encodeCard, type Path, syncText } from "./card/index.ts";
import { createIdentity, type Hashname, portable } from "./crypto/index.ts";
import { Book } from "./peer/index.ts";
import { OwnCard } from "./peer/own-card.ts";
import { Bench, befriend, CACHE, crypto, HOUR, MINUTE, Side } from "./testing/roots.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Whoever `cards` names gives out these instead of its own. */
function giveOut(cards: (card: Card) => Card | undefined): void {
  const own = OwnCard.prototype.for;
  vi.spyOn(OwnCard.prototype, "for").mockImplementation(function (this: OwnCard, reader: Hashname) {
    const card = own.call(this, reader);
    return cards(card) ?? card;
  });
}

/** Alice with a phone, each with caches of its own, which say that they are found under `more` as well; eve is their contact. */
function family(cachesEach = 1, more: readonly string[] = []): { bench: Bench; alice: Side; phone: Side; eve: Side } {
  const bench = new Bench();
  const [alice, phone] = [new Side(bench, "alice"), new Side(bench, "phone")];
  for (const side of [alice, phone])
    for (let i = 0; i < cachesEach; i++) {
      const name = `${side.name}cache${i}`;
      const paths = [name, ...more].map((each): Path => ({ type: "mem", name: each }));
      const cache = new Side(bench, name, { mail: false, cache: CACHE, paths });
      expect(side.call({ type: "join", link: cache.root.joinLink() ?? "" }, MINUTE)?.value).toBeDefined();
    }
  const eve = new Side(bench, "eve");
  befriend(bench, alice, eve);
  const value = phone.call({ type: "device-link" })?.value as { link: string } | undefined;
  expect(alice.call({ type: "device-add", link: value?.link ?? "" }, MINUTE)?.value).toEqual({
    hashname: phone.hashname,
  });
  bench.run(10 * MINUTE);
  expect(phone.contact(eve)).toBeDefined();
  return { bench, alice, phone, eve };
}

function unknown(bench: Bench, count: number, caches = 0): CardPeer[] {
  const random = bench.chance.fork().random;
  const one = (): Pick<CardPeer, "hashname" | "keys"> => {
    const { hashname, keys } = createIdentity(crypto, random);
    return { hashname, keys };
  };
  return Array.from({ length: count }, () => ({
    ...one(),
    paths: [],
    since: 0,
    caches: Array.from({ length: caches }, () => {
      const cache = one();
      return { ...cache, paths: [], uri: "x", cap: 1, store: cache.hashname };
    }),
  }));
}

/** The card with as many of these peers as one may have bytes for. */
function filled(card: Card, peers: readonly CardPeer[]): Card {
  let full = card;
  for (const peer of peers) {
    const next = { ...full, peers: [...full.peers, peer] };
    try {
      encodeCard(next);
    } catch {
      break;
    }
    full = next;
  }
  return full;
}

function sendCard(from: Side, to: Side, wait = 0): void {
  from.call({ type: "send", contact: from.contact(to) ?? "", mail: { kind: "card" } as never }, wait);
}

function versionOf(side: Side, of: Side): number | undefined {
  return new Book(portable, side.disk).of(of.hashname)?.card.version;
}

test("a contact's card as large as one may be is taken by who has a second device, and mail goes on", () => {
  const { bench, alice, eve } = family();
  const many = unknown(bench, 60, 8);
  giveOut((card) => (card.by === eve.hashname ? filled({ ...card, version: 99 }, many) : undefined));
  bench.machines.delete("alice");
  bench.machines.delete("phone");
  eve.restart();
  sendCard(eve, alice, 10 * MINUTE); // lies at the cache, and is shown at every start until it is taken
  bench.machines.delete("eve");
  bench.machines.set("alice", alice);
  alice.restart();
  bench.run(10 * MINUTE);
  expect(versionOf(alice, eve)).toBe(99);
  vi.restoreAllMocks();
  bench.machines.set("eve", eve);
  eve.restart();
  eve.call({ type: "send", contact: eve.contact(alice) ?? "", mail: { kind: "text", text: "on" } }, HOUR);
  expect(alice.texts()).toEqual(["on"]);
});

test("a contact that names devices which nobody knows makes our own card no larger than one may be", () => {
  const { bench, alice, eve } = family(8, ["x".repeat(64), "y".repeat(64)]);
  const strangers = unknown(bench, 40);
  giveOut((card) => (card.by === eve.hashname ? filled({ ...card, version: 99 }, strangers) : undefined));
  sendCard(eve, alice, 10 * MINUTE);
  expect(versionOf(alice, eve)).toBe(99);
  alice.restart();
  alice.call({ type: "send", contact: alice.contact(eve) ?? "", mail: { kind: "text", text: "still here" } }, MINUTE);
  expect(eve.texts()).toContain("still here");
});

test("a device that was stolen can tell no version of our card beyond which there is none", () => {
  const { bench, alice, phone } = family();
  const own = phone.root.contacts().find(({ hashnames }) => hashnames.includes(alice.hashname));
  const saved = [...phone.disk].find(
    ([key, value]) => key.startsWith("peer/contact/") && new TextDecoder().decode(value).includes('"own":true'),
  );
  const contact = own?.id ?? saved?.[0].slice("peer/contact/".length) ?? "";
  const mine = (): { id: string; version: number } =>
    JSON.parse(new TextDecoder().decode(alice.disk.get("peer/card"))) as { id: string; version: number };
  const before = mine();
  const text = syncText({
    type: "family",
    card: before.id,
    version: Number.MAX_SAFE_INTEGER,
    name: undefined,
    devices: [],
  });
  expect(
    phone.call({ type: "send", contact, mail: { kind: "sync", text } as never }, 5 * MINUTE)?.code,
  ).toBeUndefined();
  const cache = new Side(bench, "late", { mail: false, cache: CACHE });
  alice.call({ type: "join", link: cache.root.joinLink() ?? "" }, MINUTE);
  expect(mine().version).toBeGreaterThan(before.version);
  expect(mine().version).toBeLessThan(before.version + 1000);
});

test("what a contact's cards make us write while a device of ours sleeps is bounded", () => {
  const { bench, alice, eve } = family();
  bench.machines.delete("phone");
  const named = unknown(bench, 33).map((peer, i) => ({
    ...peer,
    paths: Array.from({ length: 6 }, (_, j): Path => ({ type: "mem", name: `${"x".repeat(30)}${i}.${j}` })),
  }));
  let version = 100;
  giveOut((card) => (card.by === eve.hashname ? { ...card, version, peers: [...card.peers, ...named] } : undefined));
  const weight = (): number =>
    [...alice.disk].reduce(
      (sum, [key, value]) => (/^(mail\/queue|queue|spool)\//.test(key) ? sum + value.length : sum),
      0,
    );
  const before = weight();
  for (let i = 0; i < 100; i++) {
    version++;
    sendCard(eve, alice, 1000);
  }
  bench.run(MINUTE);
  const card = new Book(portable, alice.disk).of(eve.hashname)?.card;
  expect(card?.version).toBeGreaterThan(190); // all the same we know the newest
  expect(card === undefined ? 0 : encodeCard(card).length).toBeGreaterThan(10_000);
  expect(weight() - before).toBeLessThan(20 * 16_384); // 8 at once, of 100
});

test("a contact whose devices come and go pushes out nobody whom the user shut out", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  const cache = new Side(bench, "cache", { mail: false, cache: CACHE });
  alice.call({ type: "join", link: cache.root.joinLink() ?? "" }, MINUTE);
  const [former, eve] = [new Side(bench, "former"), new Side(bench, "eve")];
  befriend(bench, alice, former);
  befriend(bench, alice, eve);
  alice.call({ type: "block", who: alice.contact(former) ?? "" }, MINUTE);
  const isShutOut = (): boolean =>
    [...alice.disk.keys()].some((key) => key.startsWith("peer/revoked/") && key.includes(former.hashname));
  expect(isShutOut()).toBe(true);

  const devices = Array.from({ length: 24 }, (_, i) => new Side(bench, `device${i}`));
  const id = new Book(portable, alice.disk).of(eve.hashname)?.card.id;
  if (id === undefined) throw new Error("eve is no contact");
  const self = ({ hashname, identity, name }: Side): CardPeer => ({
    hashname,
    keys: identity.keys,
    paths: [{ type: "mem", name } as const],
    since: 0,
    caches: [],
  });
  const hers = new Set([eve, ...devices].map(({ hashname }) => hashname));
  let [version, isWhole] = [10, true];
  giveOut((card) =>
    hers.has(card.by)
      ? { ...card, id, by: eve.hashname, version, peers: [self(eve), ...(isWhole ? devices.map(self) : [])] }
      : undefined,
  );
  sendCard(eve, alice, MINUTE);
  const link = alice.invite(false);
  for (const device of devices) device.call({ type: "add", link }, 10_000);
  bench.run(5 * MINUTE);
  expect(alice.root.contacts().some(({ hashnames }) => hashnames.length > 20)).toBe(true);
  for (let i = 0; i < 90; i++)
    for (const whole of [false, true]) {
      isWhole = whole;
      version++;
      sendCard(eve, alice, 2000);
    }
  expect(isShutOut()).toBe(true);
});

test("who was removed stays so when another device of ours hears of it late", () => {
  const { bench, alice, phone, eve } = family();
  bench.machines.delete("phone");
  bench.run(MINUTE);
  const id = alice.contact(eve) ?? "";
  giveOut((card) => (card.by === eve.hashname ? { ...card, version: 50 } : undefined));
  sendCard(eve, alice, 5 * MINUTE); // lies in the phone's box, too
  bench.machines.delete("eve");
  const caches = ["alicecache0", "phonecache0"].map((name) => [name, bench.machines.get(name)] as const);
  for (const [name] of caches) bench.machines.delete(name);
  alice.call({ type: "remove", contact: id }, 0);
  bench.machines.delete("alice"); // before it could tell anybody
  for (const [name, cache] of caches) if (cache !== undefined) bench.machines.set(name, cache);
  bench.machines.set("phone", phone);
  phone.restart();
  bench.run(10 * MINUTE); // takes the card, and tells alice of it
  expect(versionOf(phone, eve)).toBe(50);
  bench.machines.set("alice", alice);
  alice.restart();
  bench.run(2 * HOUR);
  expect([alice.contact(eve), phone.contact(eve)]).toEqual([undefined, undefined]);
});
