/** Stores that are put back, and crashes in between: what others still hold is read, and what nobody can read is taken away. */
import { describe, expect, test } from "vitest";
import { given } from "../testing/given.ts";
import {
  assertClean,
  DAY,
  type FakeCache,
  HOUR,
  json,
  MINUTE,
  pair,
  SECOND,
  type Station,
  World,
} from "../testing/mail-world.ts";

describe("a sender whose store is put back", () => {
  test("loses nothing that it queued after the backup and that lies where its recipient comes later", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new World(seed);
      const { alice, bob } = pair(world);
      alice.send(bob, "hello");
      bob.send(alice, "hello back");
      world.run(DAY);
      const backup = alice.backup();
      // Keys turn over meanwhile.
      for (let i = 0; i < seed % 4; i++) {
        alice.send(bob, `text ${i}`);
        world.run(DAY);
      }
      bob.sleep();
      alice.send(bob, "queued after the backup");
      world.run(MINUTE);
      const lies = bob.caches.map(({ boxes }) => [...boxes.values()].map((box) => new Map(box)));
      expect(lies.flat().some((box) => box.size > 0)).toBe(true);
      // Its caches are away while the sender comes back, and are told of other keys.
      const held = hide(bob);
      alice.restore(backup);
      for (let i = 0; i < 5; i++) {
        alice.send(bob, `later ${i}`);
        world.run(HOUR);
        bob.wake();
        world.run(DAY);
      }
      held();
      bob.look();
      world.run(DAY);
      expect(bob.texts(), `seed ${seed}`).toContain("queued after the backup");
      const ids = bob.inbox().map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      world.run(60 * DAY);
      assertClean(world);
    }
  });
});

describe("keys that are put aside", () => {
  test("[A29] open nothing any more after thirty days, and are none at all while no store is put back", () => {
    const world = new World(1);
    const { alice, bob } = pair(world);
    for (let i = 0; i < 6; i++) {
      (i % 2 === 0 ? alice : bob).send(i % 2 === 0 ? bob : alice, `text ${i}`);
      world.run(DAY);
      for (const each of [alice, bob]) {
        each.sleep();
        each.wake();
      }
    }
    expect([aside(bob, alice), aside(alice, bob)]).toEqual([[], []]);
    alice.restore(alice.backup());
    alice.send(bob, "of another epoch");
    world.run(DAY);
    const kept = aside(bob, alice);
    expect(kept.length).toBeGreaterThan(0);
    bob.sleep();
    bob.wake(); // a restart forgets neither the keys nor their end
    world.run(28 * DAY);
    expect(aside(bob, alice)).toEqual(kept);
    world.run(2 * DAY);
    const record = new TextDecoder().decode(bob.store.get(`mail/keys/${alice.hashname}`));
    for (const secret of kept) expect(record).not.toContain(secret);
  });

  test("are eight at most, however often a sender says that its numbers begin anew", () => {
    const world = new World(2);
    const { alice, bob } = pair(world);
    bob.send(alice, "hello");
    for (let i = 0; i < 20; i++) {
      alice.send(bob, `text ${i}`);
      world.run(HOUR);
      alice.restore(alice.backup());
      expect(aside(bob, alice).length).toBeLessThanOrEqual(8);
    }
    expect(aside(bob, alice).length).toBeGreaterThan(2);
    expect(bob.texts()).toHaveLength(20);
  });
});

/** The secrets of what a station keeps aside for another. */
function aside(of: Station, towards: Station): string[] {
  const ring = json(given(of.store.get(`mail/keys/${towards.hashname}`))) as { aside?: [string, string, number][] };
  return (ring.aside ?? []).map(([, secret]) => secret);
}

describe("a sender that is stopped in the moment in which it seals anew", () => {
  test("takes back at its next start what was sealed to lost keys, and forgets a minute later that it lay there", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = new World(seed);
      const { alice, bob } = pair(world);
      alice.send(bob, "hello");
      bob.send(alice, "hello back");
      world.run(DAY);
      const backup = bob.backup();
      for (const text of ["one", "two"]) {
        alice.send(bob, text);
        world.run(DAY);
      }
      bob.sleep();
      const id = alice.send(bob, "sealed to a key of later");
      world.run(MINUTE);
      const old = bob.caches.map((cache) => idsAt(cache));
      expect(old.map(({ length }) => length)).toEqual([1, 1]);
      const [generation] = generations(alice, id);
      // Bob comes back without the key and cannot even fetch: the old copies stay where they are, unless Alice takes them back.
      alice.sleep();
      const back = hide(bob);
      bob.store = backup;
      bob.store.delete("mail/epoch");
      bob.wake();
      world.run(MINUTE);
      bob.sleep();
      back();
      // Alice hears of his keys. What this turn saves is kept, and nothing more comes of it.
      const commits = stopAt(world, alice, () => generations(alice, id)[0] !== generation);
      expect(commits, `seed ${seed}`).toBe(true);
      expect(old.flat().every((each) => bob.caches.some((cache) => idsAt(cache).includes(each)))).toBe(true);
      alice.wake();
      world.run(10 * SECOND);
      expect(old.flat().some((each) => bob.caches.some((cache) => idsAt(cache).includes(each)))).toBe(false);
      world.run(2 * MINUTE);
      expect(JSON.stringify(json(alice.queued(id ?? "")))).not.toContain("former");
      bob.wake();
      world.run(DAY);
      expect(bob.texts()).toContain("sealed to a key of later");
      expect(alice.state(id)).toBe("delivered");
      world.run(60 * DAY);
      assertClean(world);
    }
  });
});

/** Wakes a station, which dies in the turn after which this is true of its store, before it did anything else. Whether it was. */
function stopAt(world: World, station: Station, isReached: () => boolean): boolean {
  station.wake();
  const mail = given(station.mail);
  const handle = mail.handle.bind(mail);
  let isOver = false;
  mail.handle = (input, now) => {
    if (isOver) return [];
    const out = handle(input, now);
    const saves = out.filter((each) => each.type === "save");
    const before = new Map(station.store);
    for (const { key, value } of saves) if (value !== undefined) station.store.set(key, value);
    isOver = isReached();
    if (isOver) world.after(0, () => station.sleep());
    station.store = before;
    return isOver ? saves : out;
  };
  world.run(MINUTE);
  return isOver;
}

function generations(station: Station, id: string | undefined): number[] {
  const { parcels } = json(given(station.queued(id ?? ""))) as { parcels: { generation: number }[] };
  return parcels.map(({ generation }) => generation);
}

function idsAt({ boxes }: FakeCache): string[] {
  return [...boxes.values()].flatMap((messages) => [...messages.keys()]);
}

/** What lies at the caches of a station cannot be seen until the answer is called. */
function hide(station: Station): () => void {
  const hidden = station.caches.map(({ boxes }) => {
    const kept = [...boxes].map(([key, messages]) => [key, new Map(messages)] as const);
    for (const messages of boxes.values()) messages.clear();
    return kept;
  });
  return () => {
    for (const [i, cache] of station.caches.entries())
      for (const [key, messages] of hidden[i] ?? []) {
        const now = cache.boxes.get(key) ?? new Map<string, Uint8Array>();
        cache.boxes.set(key, now);
        for (const [id, bytes] of messages) now.set(id, bytes);
      }
  };
}
