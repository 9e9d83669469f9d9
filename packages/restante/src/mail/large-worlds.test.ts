/** Large files in worlds: crashes on both sides, full disks, and caches that they do not go by. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { equal, type Time } from "../bytes/index.ts";
import { createCrypto } from "../crypto/index.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { DAY, HOUR, MINUTE, SECOND, type Station, World } from "../testing/mail-world.ts";
import { quick } from "../testing/quick-backend.ts";
import { PART_CONTENT } from "./constants.ts";

const crypto = createCrypto(
  { ...quick, sha256: (data) => new Uint8Array(createHash("sha256").update(data).digest()) },
  [cs01()],
);
const MIB = 1024 * 1024;
const LARGE = 100 * 1024;

/** Contacts that have heard of each other. */
function friends(world: World, ...[alice, bob]: [Station, Station]): void {
  alice.add(bob);
  bob.add(alice);
  alice.send(bob, "hello");
  world.run(MINUTE);
}

function content(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 997) bytes[at] = at;
  return bytes;
}

describe("a file that is larger than what holds it", () => {
  test("of 40 MiB goes on where it was after crashes of either side, is shown once, and never half", () => {
    const world = new World(4, {}, crypto);
    const [alice, bob] = [world.station(), world.station()];
    friends(world, alice, bob);
    const bytes = content(40 * MIB);
    const parts = Math.ceil(bytes.length / PART_CONTENT);
    const id = alice.file(bob, "film", bytes);
    const before = [alice.life, bob.life, alice.delivered.length];
    world.faults.crash = 0.001;
    for (let hours = 0; hours < 60 && bob.inbox().length < 2; hours++) {
      world.run(HOUR);
      for (const { file } of bob.inbox()) expect(file === undefined || file.parts === parts).toBe(true);
    }
    world.calm();
    world.run(DAY);
    expect(Math.min(alice.life - (before[0] ?? 0), bob.life - (before[1] ?? 0))).toBeGreaterThan(2);
    expect(bob.inbox().map(({ file, text }) => file?.name ?? text)).toEqual(["hello", "film"]);
    expect(equal(bob.content(bob.inbox()[1]) ?? new Uint8Array(0), bytes)).toBe(true);
    expect(alice.state(id)).toBe("delivered");
    expect([alice.blobs.size, bob.blobs.size]).toEqual([0, 1]);
    // What was acknowledged before a crash is not sent again.
    expect(alice.delivered.length - (before[2] ?? 0)).toBeLessThan(1.5 * parts);
  });

  test("by two caches never has more there than they hold, and a text passes it by", () => {
    const world = new World(5, {}, crypto);
    const caches = [world.cache({ cap: 4 * MIB }), world.cache({ cap: 4 * MIB })];
    const [alice, bob] = [world.station([world.cache()]), world.station(caches)];
    friends(world, alice, bob);
    alice.reachable(false);
    bob.sleep();
    const bytes = content(16 * MIB);
    alice.file(bob, "film", bytes, true);
    world.run(HOUR);
    expect(caches.map((cache) => cache.highest <= cache.cap)).toEqual([true, true]);
    alice.send(bob, "a text");
    world.run(MINUTE);
    bob.wake();
    world.run(MINUTE);
    expect(bob.texts()).toContain("a text");
    world.run(HOUR);
    expect(bob.inbox().map(({ file, text }) => file?.name ?? text)).toEqual(["hello", "a text", "film"]);
    expect(equal(bob.content(bob.inbox()[2]) ?? new Uint8Array(0), bytes)).toBe(true);
    expect(caches.map((cache) => cache.highest <= cache.cap)).toEqual([true, true]);
    world.run(HOUR);
    expect(
      caches.flatMap((cache) => [...cache.boxes.values()].map(({ size }) => size)).filter((size) => size > 1),
    ).toEqual([]);
  });
});

describe("where files take room", () => {
  const noRoom = ({ events }: Station): unknown[] => events.filter(({ type }) => type === "no-room");

  for (const way of ["link", "cache"] as const)
    test(`one that does not fit into its contact's share waits at the sender, and comes over the ${way} when there is room`, () => {
      const world = new World(6, {}, crypto);
      const cache = world.cache();
      // For 32 parts of one contact.
      const [alice, bob] = [world.station([cache]), world.station(way === "cache" ? [cache] : [], { disk: 2 * MIB })];
      friends(world, alice, bob);
      if (way === "cache") alice.reachable(false);
      alice.file(bob, "first", content(20 * PART_CONTENT));
      world.run(HOUR);
      const second = alice.file(bob, "second", content(20 * PART_CONTENT));
      world.run(DAY);
      expect(bob.inbox().map(({ file }) => file?.name)).toEqual([undefined, "first"]);
      expect(alice.state(second)).not.toBe("delivered");
      expect(noRoom(bob)).toEqual([{ type: "no-room", contact: alice.card, id: second, parts: 20, why: "share" }]);
      expect(bob.blobs.size).toBe(1);
      bob.sleep(); // what is taken is known after a restart
      bob.wake();
      world.run(HOUR);
      expect(bob.inbox()).toHaveLength(2);
      erase(bob, 2);
      bob.look();
      world.run(7 * HOUR);
      expect(bob.inbox().map(({ file }) => file?.name)).toEqual([undefined, "first", "second"]);
      expect(alice.state(second)).toBe("delivered");
    });

  test("one that does not fit onto the disk waits; texts come; and it comes when the disk has room", () => {
    const world = new World(7, {}, crypto);
    const [alice, bob] = [world.station(), world.station()];
    friends(world, alice, bob);
    bob.input({ type: "space", free: 129 * MIB });
    const id = alice.file(bob, "film", content(3 * MIB));
    alice.send(bob, "a text");
    world.run(HOUR);
    expect(bob.texts()).toEqual(["hello", "a text"]);
    expect(bob.blobs.size).toBe(0);
    expect(noRoom(bob)).toMatchObject([{ id, why: "disk" }]);
    bob.input({ type: "space", free: 1024 * MIB });
    world.run(2 * HOUR);
    expect(alice.state(id)).toBe("delivered");
    expect(noRoom(bob)).toHaveLength(1);
  });

  test("what a file that is given up had claimed is free for the next", () => {
    const world = new World(8, {}, crypto);
    const [alice, bob] = [world.station(), world.station([], { disk: 2 * MIB })];
    friends(world, alice, bob);
    for (let i = 0; i < 4; i++) {
      const id = alice.file(bob, `film ${i}`, content(30 * PART_CONTENT)) ?? "";
      while (bob.blobs.size === 0) world.run(SECOND / 100);
      alice.call({ type: "cancel", id });
      world.run(20 * DAY); // the floor passes it, and it is thrown away
      expect([bob.inbox().length, bob.blobs.size]).toEqual([1, 0]);
    }
    expect(noRoom(bob)).toEqual([]);
  });

  /** What the application does with a mail that is over. */
  function erase(station: Station, n: number): void {
    const record = station.inbox().find((each) => each.n === n);
    station.blobs.delete(record?.file?.blob ?? "");
    const files = [{ contact: record?.contact ?? "", parts: record?.file?.parts ?? 0 }];
    station.call({ type: "erase", keys: [], files });
  }
});

describe("a file above the size that is set", () => {
  test("[X8] waits for a link, says so, holds up nothing else, and goes over the link when there is one", () => {
    const world = new World(9, {}, crypto);
    const cache = world.cache();
    const [alice, bob] = [world.station([cache], { waitForLink: LARGE }), world.station([cache])];
    friends(world, alice, bob);
    alice.reachable(false);
    const large = Array.from({ length: 20 }, (_, i) => alice.file(bob, `film ${i}`, content(LARGE + 1)));
    const small = [alice.file(bob, "picture", content(LARGE)), alice.send(bob, "a text")];
    world.run(3 * DAY);
    expect(
      bob
        .inbox()
        .map(({ file, text }) => file?.name ?? text)
        .sort(),
    ).toEqual(["a text", "hello", "picture"]);
    expect(small.map((id) => alice.state(id))).toEqual(["delivered", "delivered"]);
    const waiting = alice.mail?.outbox().filter(({ waits }) => waits === "link");
    expect(waiting?.map(({ id, state }) => [id, state])).toEqual(large.map((id) => [id, "queued"]));
    alice.reachable(true);
    expect(alice.mail?.outbox().some(({ waits }) => waits !== undefined)).toBe(false);
    world.run(HOUR);
    expect(large.map((id) => alice.state(id))).toEqual(large.map(() => "delivered"));
  });

  test("goes by caches at once when the user insists", () => {
    const world = new World(10, {}, crypto);
    const cache = world.cache();
    const [alice, bob] = [world.station([cache], { waitForLink: LARGE }), world.station([cache])];
    friends(world, alice, bob);
    alice.reachable(false);
    const id = alice.file(bob, "film", content(2 * LARGE), true);
    expect(alice.mail?.outbox().at(-1)?.waits).toBeUndefined();
    world.run(HOUR);
    expect(alice.state(id)).toBe("delivered");
  });
});

test("both sides tell how far a file is, twice a second at most, up to its last part", () => {
  const world = new World(11, { latency: 400 }, crypto);
  const [alice, bob] = [world.station(), world.station()];
  friends(world, alice, bob);
  const told: { way: string; at: Time; done: number }[] = [];
  const id = alice.file(bob, "film", content(300 * PART_CONTENT));
  for (let step = 0; step < 3000; step++) {
    world.run(100);
    for (const station of [alice, bob])
      for (const event of station.events.splice(0))
        if (event.type === "progress") {
          expect(event).toMatchObject({ id, of: 300 });
          told.push({ way: event.way, at: world.now, done: event.done });
        }
  }
  for (const way of ["in", "out"]) {
    const steps = told.filter((each) => each.way === way);
    expect(steps.length).toBeGreaterThan(5);
    expect(steps.at(-1)?.done).toBe(300);
    expect(steps.map(({ done }) => done)).toEqual(steps.map(({ done }) => done).sort((a, b) => a - b));
    const isEnd = ({ done }: { done: number }): boolean => done === 300;
    for (const [i, { at }] of steps.slice(1).entries())
      if (!isEnd(steps[i + 1] ?? { done: 0 })) expect(at - (steps[i]?.at ?? 0)).toBeGreaterThanOrEqual(400);
  }
});
