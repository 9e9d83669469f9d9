import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../bytes/index.ts";
import { FakeCarrier } from "../testing/fake-carrier.ts";
import { assertClean, DAY, type FakeCache, HOUR, MINUTE, SECOND, type Station, World } from "../testing/mail-world.ts";

/** Two contacts who are found in the bazaar, with these caches each, and never a link. */
function pair(
  world: World,
  {
    caches = () => [],
    carrier = "beside" as const,
  }: { caches?: () => FakeCache[]; carrier?: "beside" | "always" } = {},
): { bazaar: FakeCarrier; alice: Station; bob: Station } {
  const bazaar = new FakeCarrier(world, () => world.stations);
  const [alice, bob] = [world.station(caches(), { bazaar, carrier }), world.station(caches(), { bazaar, carrier })];
  alice.isReachable = false;
  alice.add(bob);
  bob.add(alice);
  return { bazaar, alice, bob };
}

function routes(station: Station, id: string | undefined): (string | undefined)[] {
  return (station.ledger(id ?? "") ?? []).flatMap(({ state, route }) => (state === "handed" ? [route] : []));
}

describe("with nothing between them but the bazaar", () => {
  test("a text goes there, is shown once, acknowledged there, and taken back", () => {
    const world = new World(1);
    const { bazaar, alice, bob } = pair(world);
    const id = alice.send(bob, "hello");
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["hello"]);
    expect(routes(alice, id)).toEqual(["bazaar"]);
    expect(alice.state(id)).toBe("delivered");
    expect(new Set(alice.delivered.map(({ route }) => route))).toEqual(new Set(["bazaar"]));
    world.run(40 * DAY);
    expect(bazaar.kept.size).toBe(0);
    assertClean(world);
  });

  test("what is given up is taken back there, and of acknowledgements the latest alone is there", () => {
    const world = new World(12);
    const { bazaar, alice, bob } = pair(world);
    const kept = (by: Station): number => [...bazaar.kept.keys()].filter((ref) => ref.startsWith(by.hashname)).length;
    bob.sleep();
    const id = alice.send(bob, "hello") ?? "";
    world.run(MINUTE);
    expect(kept(alice)).toBe(1);
    alice.call({ type: "cancel", id });
    world.run(MINUTE);
    expect(kept(alice)).toBe(0);
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual([]);
    for (let i = 0; i < 4; i++) {
      alice.wake();
      alice.send(bob, `text ${i}`);
      world.run(SECOND / 10);
      alice.sleep();
      world.run(HOUR);
      expect(kept(bob)).toBe(1);
    }
    expect(bob.texts()).toHaveLength(4);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "it loses, repeats, reorders and is days late, they sleep and crash: each mail once, and its sender knows (seed %i)",
    (seed) => {
      const world = new World(seed, { crash: 0.01, fail: 0.1 });
      const { bazaar, alice, bob } = pair(world);
      bazaar.faults = { lose: 0.2, duplicate: 0.3, delay: 3 * DAY };
      const sent = new Map<string, Station>();
      for (let i = 0; i < 12; i++) {
        const [from, to] = i % 3 === 0 ? [bob, alice] : [alice, bob];
        from.wake();
        const id = from.send(to, `text ${i}`, world.now + 30 * DAY);
        if (id !== undefined) sent.set(id, from);
        world.run(world.chance.between(MINUTE, 6 * HOUR));
        if (world.chance.happens(0.5)) from.sleep();
        if (world.chance.happens(0.5)) to.sleep();
        world.run(world.chance.between(MINUTE, 6 * HOUR));
        to.wake();
      }
      world.calm();
      world.run(12 * DAY);
      bazaar.faults = { lose: 0, duplicate: 0, delay: HOUR };
      world.run(14 * DAY);
      expect(sent.size).toBeGreaterThan(4);
      for (const [id, from] of sent) {
        expect(from.state(id)).toBe("delivered");
        expect(routes(from, id)).toEqual(["bazaar"]);
      }
      const texts = [...alice.texts(), ...bob.texts()];
      expect(new Set(texts).size).toBe(texts.length);
      expect(texts.length).toBeGreaterThanOrEqual(sent.size);
    },
  );

  test("whoever dies at whichever turn, before, amid or after its effects: once, and known", () => {
    const play = (diesAt: readonly [number | undefined, number | undefined]): number[] => {
      const world = new World(5);
      const { alice, bob } = pair(world);
      [alice.diesAt, bob.diesAt] = diesAt;
      const ids = [alice.send(bob, "one"), alice.send(bob, "two")].filter((id) => id !== undefined);
      world.run(2 * DAY);
      expect(ids.map((id) => alice.state(id))).toEqual(ids.map(() => "delivered"));
      expect(new Set(bob.texts()).size).toBe(bob.texts().length);
      expect(bob.texts().length).toBeGreaterThanOrEqual(ids.length);
      return [alice.turns, bob.turns];
    };
    const [hers = 0, his = 0] = play([undefined, undefined]);
    expect(Math.min(hers, his)).toBeGreaterThan(5);
    for (let turn = 1; turn <= hers; turn++) play([turn, undefined]);
    for (let turn = 1; turn <= his; turn++) play([undefined, turn]);
  });

  test("a carrier that does not work is tried again ever more rarely, and then has everything", () => {
    const world = new World(2);
    const { bazaar, alice, bob } = pair(world);
    bazaar.isUp = false;
    const id = alice.send(bob, "hello");
    world.run(DAY);
    expect(alice.delivered.length).toBeLessThan(15);
    expect(alice.state(id)).toBe("queued");
    bazaar.isUp = true;
    world.run(8 * HOUR);
    expect(alice.state(id)).toBe("delivered");
  });

  test("a file goes eight parts at a time, and one of more than 64 waits for something better", () => {
    const world = new World(3);
    const { bazaar, alice, bob } = pair(world);
    const small = alice.file(bob, "small.bin", world.chance.random(12 * 28 * 1024));
    world.run(2 * SECOND);
    expect(new Set(bazaar.refs).size).toBe(8);
    world.run(HOUR);
    expect(alice.state(small)).toBe("delivered");
    expect(bob.inbox()[0]?.file?.name).toBe("small.bin");
    const before = bazaar.refs.filter((ref) => ref.startsWith(alice.hashname)).length;
    const large = alice.file(bob, "large.bin", world.chance.random(65 * 28 * 1024));
    world.run(5 * HOUR);
    expect(bazaar.refs.filter((ref) => ref.startsWith(alice.hashname)).length).toBe(before);
    expect(alice.state(large)).toBe("queued");
  });
});

describe("somebody who is found there by another key now", () => {
  test("gets there what was left for the old one, which is taken back, and the parts of a file", () => {
    const world = new World(16);
    const { bazaar, alice, bob } = pair(world);
    alice.send(bob, "first");
    world.run(HOUR);
    const old = toHex(bazaar.address(bob).key);
    bob.sleep();
    const ids = [alice.send(bob, "second"), alice.file(bob, "a.bin", world.chance.random(12 * 28 * 1024))];
    world.run(MINUTE);
    const left = (): string[] => [...bazaar.kept.values()].map(({ to }) => to);
    expect(new Set(left())).toEqual(new Set([old]));
    expect(left()).toHaveLength(9);
    bazaar.rekey(bob);
    alice.add(bob);
    world.run(MINUTE);
    expect(new Set(left())).toEqual(new Set([toHex(bazaar.address(bob).key)]));
    expect(left()).toHaveLength(9);
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual(["first", "second"]);
    expect(ids.map((id) => alice.state(id))).toEqual(["delivered", "delivered"]);
    world.run(40 * DAY);
    expect(bazaar.kept.size).toBe(0);
    assertClean(world);
  });

  test("and by the old one again: everything goes where its card says last", () => {
    const world = new World(19);
    const { bazaar, alice, bob } = pair(world);
    bob.sleep();
    const id = alice.send(bob, "hello");
    for (const number of [1, 0, 1, 0]) {
      world.run(MINUTE);
      bazaar.rekey(bob, number);
      alice.add(bob);
    }
    world.run(MINUTE);
    expect([...bazaar.kept.values()].map(({ to }) => to)).toEqual([toHex(bazaar.address(bob).key)]);
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual(["hello"]);
    expect(alice.state(id)).toBe("delivered");
  });

  test("also when the writer hears of it after a restart, or dies meanwhile at any turn", () => {
    const play = (diesAt: number | undefined): number => {
      const world = new World(17);
      const { bazaar, alice, bob } = pair(world);
      alice.diesAt = diesAt;
      bob.sleep();
      const id = alice.send(bob, "hello");
      world.run(HOUR);
      bazaar.rekey(bob);
      alice.sleep();
      alice.wake();
      alice.add(bob);
      bob.wake();
      world.run(2 * DAY);
      if (id === undefined) return alice.turns; // it died before it was sent
      expect(bob.texts()).toEqual(["hello"]);
      expect(alice.state(id)).toBe("delivered");
      return alice.turns;
    };
    const turns = play(undefined);
    expect(turns).toBeGreaterThan(5);
    for (let turn = 1; turn <= turns; turn++) play(turn);
  });

  test("gets the acknowledgement that lay at the old one, too", () => {
    const world = new World(18);
    const { bazaar, alice, bob } = pair(world);
    const id = alice.send(bob, "hello");
    alice.sleep();
    world.run(MINUTE);
    const kept = (): string[] =>
      [...bazaar.kept.values()].filter(({ ref }) => ref.startsWith(bob.hashname)).map(({ to }) => to);
    expect(bob.texts()).toEqual(["hello"]);
    expect(kept()).toEqual([toHex(bazaar.address(alice).key)]);
    bazaar.rekey(alice);
    bob.add(alice);
    world.run(MINUTE);
    expect(kept()).toEqual([toHex(bazaar.address(alice).key)]);
    alice.wake();
    world.run(HOUR);
    expect(alice.state(id)).toBe("delivered");
  });
});

describe("beside caches", () => {
  test("that work it is left alone", () => {
    const world = new World(4);
    const { bazaar, alice, bob } = pair(world, { caches: () => [world.cache(), world.cache()] });
    const id = alice.send(bob, "hello");
    world.run(DAY);
    expect(routes(alice, id)).toEqual(["cache", "cache"]);
    expect(bazaar.refs).toEqual([]);
  });

  test("that swallow mail it brings what had to be offered again, and the answer", () => {
    const world = new World(5);
    const evil = (): FakeCache[] => [world.cache({ evil: "drops" }), world.cache({ evil: "drops" })];
    const { alice, bob } = pair(world, { caches: evil });
    const id = alice.send(bob, "hello");
    world.run(5 * HOUR);
    expect(routes(alice, id)).toEqual(["cache", "cache"]);
    world.run(2 * HOUR);
    expect(routes(alice, id)).toEqual(["cache", "cache", "bazaar"]);
    expect(bob.texts()).toEqual(["hello"]);
    expect(alice.state(id)).toBe("delivered");
  });

  test("of which none answers it is used after their second failure; a file, too", () => {
    const world = new World(6);
    const { alice, bob } = pair(world, { caches: () => [world.cache(), world.cache()] });
    for (const cache of world.caches) cache.up = false;
    const [id, file] = [alice.send(bob, "hello"), alice.file(bob, "a.bin", new Uint8Array(60_000))];
    world.run(20 * MINUTE);
    expect(routes(alice, id)).toEqual(["bazaar"]);
    expect(routes(alice, file)).toEqual(["bazaar"]);
    expect([alice.state(id), alice.state(file)]).toEqual(["delivered", "delivered"]);
  });

  test("it has each text at once where the user wants it always; shown once, and files are spared", () => {
    const world = new World(7);
    const caches = (): FakeCache[] => [world.cache(), world.cache()];
    const { alice, bob } = pair(world, { caches, carrier: "always" });
    const [id, file] = [alice.send(bob, "hello"), alice.file(bob, "a.bin", new Uint8Array(60_000))];
    world.run(HOUR);
    expect(new Set(routes(alice, id))).toEqual(new Set(["cache", "bazaar"]));
    expect(new Set(routes(alice, file))).toEqual(new Set(["cache"]));
    expect(bob.texts()).toEqual(["hello"]);
    world.run(40 * DAY);
    assertClean(world);
  });

  test("a link that is being made has a head start", () => {
    for (const isMade of [true, false]) {
      const world = new World(15);
      const { bazaar, alice, bob } = pair(world);
      const contact = alice.contactOf(bob);
      alice.input({
        type: "contact",
        contact: { ...contact, peers: contact.peers.map((each) => ({ ...each, direct: true })) },
      });
      const id = alice.send(bob, "hello");
      world.run(5 * SECOND);
      expect(bazaar.refs).toEqual([]);
      if (isMade) alice.reachable(true);
      world.run(MINUTE);
      expect(routes(alice, id)).toEqual([isMade ? "direct" : "bazaar"]);
      expect(alice.state(id)).toBe("delivered");
    }
  });

  test("over a link nothing goes there", () => {
    const world = new World(8);
    const { bazaar, alice, bob } = pair(world);
    alice.reachable(true);
    const id = alice.send(bob, "hello");
    world.run(HOUR);
    expect(routes(alice, id)).toEqual(["direct"]);
    expect(bazaar.refs).toEqual([]);
  });
});

describe("whose a message is", () => {
  test("a stranger's hello that comes there with an invite makes a contact; without one it is a request", () => {
    const world = new World(9);
    const bazaar = new FakeCarrier(world, () => world.stations);
    const [alice, bob, carol] = [0, 1, 2].map(() => world.station([], { bazaar, carrier: "beside" })) as Station[];
    if (alice === undefined || bob === undefined || carol === undefined) return;
    for (const each of world.stations) each.isReachable = false;
    bob.invite = utf8("sixteen bytes...");
    alice.secret = bob.invite;
    alice.add(bob);
    carol.add(bob);
    const [hers, theirs] = [alice.send(bob, "hello"), carol.send(bob, "hello, stranger")];
    world.run(HOUR);
    expect(bob.texts()).toEqual(["hello"]);
    expect(alice.state(hers)).toBe("delivered");
    expect(carol.state(theirs)).toBe("handed");
    expect(bob.mail?.requests().map(({ texts }) => texts)).toEqual([["hello, stranger"]]);
    bob.accept(carol.hashname);
    world.run(HOUR);
    expect(bob.texts()).toEqual(["hello", "hello, stranger"]);
    expect(carol.state(theirs)).toBe("delivered");
  });

  test("who writes another's key into its card hinders nobody, and rubbish is dropped", () => {
    const world = new World(10);
    const { bazaar, alice, bob } = pair(world);
    const mallory = world.station([], { bazaar, carrier: "beside" });
    mallory.isReachable = false;
    // Bob has it from Mallory that she is found by Alice's key.
    const contact = bob.contactOf(mallory);
    const peers = contact.peers.map((peer) => ({ ...peer, bazaar: bazaar.address(alice) }));
    bob.input({ type: "contact", contact: { ...contact, peers } });
    const id = alice.send(bob, "hello");
    world.run(HOUR);
    expect(bob.texts()).toEqual(["hello"]);
    expect(alice.state(id)).toBe("delivered");
    const { junk = 0 } = bob.mail?.status() ?? {};
    for (const length of [0, 1, 55, 300, 65_536])
      bob.input({
        type: "brought",
        number: -1 - length,
        key: bazaar.address(alice).key,
        bytes: world.chance.random(length),
      });
    expect(bob.mail?.status().junk).toBe(junk + 5);
    expect(bob.texts()).toEqual(["hello"]);
  });

  test("many devices of many contacts that all claim a key shut nobody out who has proven it before", () => {
    const world = new World(13);
    const { bazaar, alice, bob } = pair(world);
    const claim = (contact: number, devices: number): void => {
      const evil = Array.from({ length: devices }, () => world.station());
      const peers = evil.map(({ hashname, identity: { keys } }) => ({
        ...{ hashname, keys, caches: [], direct: false, bazaar: bazaar.address(alice) },
      }));
      bob.input({ type: "contact", contact: { id: contact.toString(16).padStart(32, "0"), peers } });
    };
    alice.send(bob, "first");
    world.run(HOUR);
    claim(1, 64);
    for (let contact = 2; contact < 70; contact++) claim(contact, 2);
    const id = alice.send(bob, "second");
    world.run(HOUR);
    expect(bob.texts()).toEqual(["first", "second"]);
    expect(alice.state(id)).toBe("delivered");
  });

  test("what was brought is answered also when its contact goes while the store is asked", () => {
    const world = new World(14);
    const { bazaar, alice, bob } = pair(world);
    bob.sleep();
    alice.send(bob, "hello");
    world.run(MINUTE);
    const [letter] = bazaar.kept.values();
    bob.wake();
    if (letter === undefined || bob.mail === undefined) throw new Error("nothing is there");
    const { key, bytes } = letter;
    const out = bob.mail.handle({ type: "brought", number: 77, key, bytes: bytes.slice() }, world.now);
    expect(out.map(({ type }) => type)).toContain("read");
    expect(out.filter(({ type }) => type === "taken")).toEqual([]);
    const gone = bob.mail.handle({ type: "forget", contact: alice.card }, world.now);
    expect(gone.filter(({ type }) => type === "taken")).toEqual([{ type: "taken", number: 77, keep: true }]);
  });

  test("of those whom nobody knows there only so many are opened in a minute; the others come again", () => {
    const world = new World(11);
    const { bazaar, bob } = pair(world);
    const taken: boolean[] = [];
    bazaar.taken = (_number, keep) => void taken.push(keep);
    const bring = (): void => {
      for (let i = 0; i < 50; i++)
        bob.input({ type: "brought", number: i, key: utf8("nobody"), bytes: world.chance.random(100) });
    };
    bring();
    expect(taken.filter((keep) => !keep)).toHaveLength(20);
    expect(taken.filter((keep) => keep)).toHaveLength(30);
    world.run(MINUTE);
    bring();
    expect(taken.filter((keep) => !keep)).toHaveLength(40);
  });
});
