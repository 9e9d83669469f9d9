/** What routing adds for those who mean no good: members, contacts of members, routers, and people with strange cards. */
import { afterEach, expect, test, vi } from "vitest";
import { toHex } from "./bytes/index.ts";
import type { Path } from "./card/index.ts";
import { Door } from "./peer/index.ts";
import { post } from "./testing/scene.ts";
import { type SimPeer, World } from "./testing/world.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Everything that is put on the wire from now on passes here first; what is given back is carried. */
function tap(w: World, see: (from: string, to: string, bytes: Uint8Array) => readonly Uint8Array[]): void {
  const transmit = w.transmit.bind(w);
  w.transmit = (from: string, path: Path, bytes: Uint8Array) => {
    for (const each of see(from, path.name ?? "", bytes)) transmit(from, path, each);
  };
}

function joins(peer: SimPeer, cache: SimPeer): void {
  peer.call({ type: "join", link: cache.root.joinLink() });
}

/** `b` uses an invite of `a`, some time soon. */
function befriend(a: SimPeer, b: SimPeer): void {
  a.call({ type: "invite", once: true }, (value) => b.call({ type: "add", link: (value as { link: string }).link }));
}

/** Who asked a router for whom, as "from>to": everything about which it had to decide. */
function asked(of: SimPeer, all: readonly SimPeer[], spy: { mock: Spied }): Set<string> {
  const name = (hashname: unknown): string => all.find((peer) => peer.hashname === hashname)?.name ?? "?";
  const isOf = (door: unknown): boolean => (door as Door).joinLink([]) === new Door(doorOf(of)).joinLink([]);
  const calls = spy.mock.calls.filter((_, i) => isOf(spy.mock.contexts[i]));
  return new Set(calls.map(([, from, to]) => `${name(from)}>${name(to)}`));
}

function doorOf({ identity }: SimPeer): ConstructorParameters<typeof Door>[0] {
  return { crypto: worldCrypto, identity, saved: new Map(), serves: undefined };
}

interface Spied {
  readonly calls: readonly unknown[][];
  readonly contexts: readonly unknown[];
}

const { crypto: worldCrypto } = new World({ seed: 1 });

test("a router is asked for those alone who name it in their cards, so it learns no list of contacts", () => {
  const w = new World({ seed: 41 });
  const [carol, erin] = [w.cache("carol", { routes: true }), w.cache("erin", { routes: true })];
  const [alice, bob, dave] = [w.peer("alice"), w.peer("bob"), w.peer("dave")];
  const all = [alice, bob, dave];
  w.run("1 s");
  joins(bob, carol);
  joins(dave, erin);
  w.run("1 min");
  const pairs = [
    [alice, bob],
    [alice, dave],
    [bob, dave],
  ] as const;
  for (const pair of pairs) befriend(...pair);
  w.run("5 min");
  for (const pair of pairs) w.part(...pair);
  const spy = vi.spyOn(Door.prototype, "mayReach");
  // Mail has both caches linked with everybody: now each router could be asked for all three.
  for (let i = 0; i < 10; i++) {
    for (const a of all) for (const b of all) if (a !== b) post(w, a, b, `${i}`);
    w.run("5 min");
  }
  for (const a of all) expect(a.inbox()).toHaveLength(20);
  const atCarol = asked(carol, all, spy);
  const atErin = asked(erin, all, spy);
  // Bob and dave ask their own cache for whoever wants to be reached by it; alice has none, and nobody asks for her first.
  expect([...atCarol].filter((pair) => !pair.includes("bob"))).toEqual([]);
  expect([...atErin].filter((pair) => !pair.includes("dave"))).toEqual([]);
  expect(atCarol).toContain("alice>bob");
  expect(atErin).toContain("alice>dave");
});

test.each(["drops", "repeats", "damages"] as const)(
  "a router that passes on handshakes and %s all else can but delay mail: it goes by boxes then, and none comes twice",
  (what) => {
    const w = new World({ seed: 42, cloak: false });
    const [carol, dave] = [w.cache("carol", { routes: true }), w.cache("dave")];
    const [alice, bob] = [w.peer("alice"), w.peer("bob")];
    w.run("1 s");
    for (const peer of [alice, bob]) for (const cache of [carol, dave]) joins(peer, cache);
    w.run("1 min");
    befriend(alice, bob);
    w.run("5 min");
    const came = new Set<string>();
    let bridged = 0;
    tap(w, (from, to, bytes) => {
      const text = toHex(bytes);
      if (to === carol.name) came.add(text);
      if (from !== carol.name || !came.has(text)) return [bytes];
      bridged += 1; // what she sends as it came is a packet of others
      if (what === "repeats") return [bytes, bytes, bytes];
      return what === "drops" ? [] : [bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte))];
    });
    w.part(alice, bob);
    w.run("5 min");
    for (let i = 0; i < 5; i++) {
      post(w, alice, bob, `to bob ${i}`);
      post(w, bob, alice, `to alice ${i}`);
      w.run("3 min");
    }
    w.run("20 min");
    expect(bridged).toBeGreaterThan(5);
    expect(bob.inbox().sort()).toEqual([0, 1, 2, 3, 4].map((i) => `to bob ${i}`));
    expect(alice.inbox().sort()).toEqual([0, 1, 2, 3, 4].map((i) => `to alice ${i}`));
    for (const each of [alice, bob]) expect(each.outbox().filter(({ state }) => state === "queued")).toEqual([]);
  },
);

test("a card with eight routers that are nobody has us say not one packet more than one with eight caches", () => {
  const packets = (routes: boolean): readonly number[] => {
    const w = new World({ seed: 41, cloak: false });
    const names = Array.from({ length: 8 }, (_, i) => `stranger${i}`);
    const strangers = names.map((name) => w.cache(name, { routes }));
    const [alice, mallory] = [w.peer("alice"), w.peer("mallory")];
    w.run("1 s");
    for (const stranger of strangers) joins(mallory, stranger);
    w.run("1 min");
    befriend(mallory, alice);
    w.run("5 min");
    // From now on strangers live at the eight addresses, who know of nothing.
    for (const stranger of strangers) stranger.crash();
    mallory.crash();
    let n = 0;
    tap(w, (from, to, bytes) => {
      if (from === "alice" && names.includes(to)) n += 1;
      return [bytes];
    });
    const counts: number[] = [];
    const count = (duration: string): void => {
      n = 0;
      w.run(duration);
      counts.push(n);
    };
    w.run("10 min"); // until she has noticed
    count("1 day");
    post(w, alice, mallory, "are you there?");
    count("1 hour");
    return counts;
  };
  const [routers, caches] = [packets(true), packets(false)];
  expect(routers[0]).toBe(0); // to look for a contact is no reason to look for its routers
  expect(routers).toEqual(caches);
  expect(routers[1]).toBeGreaterThan(0);
});
