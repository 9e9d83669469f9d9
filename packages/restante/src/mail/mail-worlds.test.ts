/** Days of crashes, losses, copies and restored backups: what holds whatever happens. */
import { describe, expect, test } from "vitest";
import { boxId, messageId } from "../box/index.ts";
import { type Time, toHex } from "../bytes/index.ts";
import { type Crypto, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import {
  assertClean,
  DAY,
  HOUR,
  json,
  MINUTE,
  NOTHING,
  pair,
  real,
  SECOND,
  type Station,
  World,
} from "../testing/mail-world.ts";
import { PART_CONTENT } from "./constants.ts";

describe("mail in bad worlds", () => {
  /** Some days of everything at once; then calm, and what must hold. Gives a digest of the run. */
  function badWorld(seed: number, crypto?: Crypto): string {
    const dice = new Chance(seed * 7919 + 1);
    const faults = {
      lose: dice.pick([0, 0.1, 0.5]),
      fail: dice.pick([0, 0.1, 0.4]),
      duplicate: dice.pick([0, 0.3]),
      crash: dice.pick([0, 0.005, 0.03]),
      latency: dice.pick([20, 500, 5000]),
    };
    const world = new World(seed, faults, crypto);
    if (seed % 3 === 0) world.limits = { window: 1 }; // most of what is sent waits in the store for its turn
    const { alice, bob } = pair(world);
    const people = [alice, bob] as const;
    const asked: { from: Station; id: string; text: string | undefined; expires: Time; isCancelled: boolean }[] = [];
    const actions: (() => void)[] = [
      () => alice.reachable(!alice.isReachable),
      () => dice.pick(people).sleep(),
      () => dice.pick(people).wake(),
      () => dice.pick(people).wake(),
      () => dice.pick(people).look(),
      () => dice.pick(world.caches).crash(),
      () => {
        const cache = dice.pick(world.caches);
        cache.up = !cache.up;
      },
      () => {
        const some = asked.length > 0 && dice.happens(0.3) ? dice.pick(asked) : undefined;
        if (some === undefined) return;
        some.isCancelled = true;
        some.from.call({ type: "cancel", id: some.id });
      },
    ];
    for (let step = 0; step < 120; step++) {
      if (dice.happens(0.4)) {
        const from = dice.pick(people);
        const to = from === alice ? bob : alice;
        const expires = dice.happens(0.1) ? world.now + dice.between(1, 3) * DAY : undefined;
        if (from.isAwake && dice.happens(0.85)) {
          const text = `text ${step}`;
          const id = from.send(to, text, expires);
          if (id !== undefined)
            asked.push({ from, id, text, expires: expires ?? world.now + 14 * DAY, isCancelled: false });
        } else if (from.isAwake) {
          const content = dice.random(dice.between(0, 3 * PART_CONTENT));
          const id = from.file(to, `file ${step}`, content);
          if (id !== undefined)
            asked.push({ from, id, text: undefined, expires: world.now + 14 * DAY, isCancelled: false });
        }
      } else dice.pick(actions)();
      world.run(dice.pick([SECOND, MINUTE, HOUR, 6 * HOUR]));
    }
    world.calm();
    const calmAt = world.now;
    for (const station of people) station.look();
    world.run(15 * DAY);
    for (const station of people) station.look(); // the last acknowledgement, if it came over a link that died
    world.run(50 * DAY);

    for (const [from, to] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const shown = to.inbox();
      const ids = shown.map(({ id }) => id);
      expect(new Set(ids).size, "shown once").toBe(ids.length);
      expect(shown.map(({ n }) => n)).toEqual(shown.map((_, i) => i + 1));
      const told = to.events.flatMap((event) => (event.type === "mail" ? event.n : []));
      expect(new Set(told).size, "told at most once").toBe(told.length);
      expect(
        to.events.filter(({ type }) => type === "copied"),
        "no copies seen where there are none",
      ).toEqual([]);
      const states = from.keys("ledger/").map((key) => [key.slice(7), from.state(key.slice(7))] as const);
      for (const [id, state] of states) {
        expect(["delivered", "expired", "cancelled"]).toContain(state);
        // What was given up may have been shown after all: the one acknowledgement that said so was lost with its cache.
        if (state === "delivered") expect(ids).toContain(id);
      }
      for (const id of ids) expect(states.map(([known]) => known)).toContain(id);
      for (const { from: by, id, text, expires, isCancelled } of asked) {
        if (by !== from) continue;
        expect(from.ledger(id), "what was answered is durable").toBeDefined();
        // What was offered a while in a calm world is delivered, whatever was before.
        if (!isCancelled && expires > calmAt + 2 * DAY) expect(from.state(id)).toBe("delivered");
        if (text !== undefined && ids.includes(id)) expect(shown.find((each) => each.id === id)?.text).toBe(text);
      }
      for (const record of shown) {
        if (record.kind !== "file") continue;
        expect(record.why).toBeUndefined();
        expect(toHex(portable.sha256(to.content(record) ?? NOTHING))).toBe(record.file?.sha256);
      }
    }
    assertClean(world);
    return JSON.stringify([alice.turns, bob.turns, alice.texts(), bob.texts()]);
  }

  test("whatever crashes, loses, copies or reorders: once, truthful, and nothing left behind", () => {
    for (let seed = 1; seed <= 12; seed++) badWorld(seed);
  });

  test("the same seed is the same world", () => {
    expect(badWorld(3)).toBe(badWorld(3));
  });

  test("with cipher set 3a, too", () => {
    badWorld(5, real);
  });

  test("a restored store begins a new epoch: nothing is shown twice, and what is open is offered again", () => {
    for (let seed = 0; seed < 20; seed++) {
      const world = new World(seed);
      if (seed % 2 === 0) world.limits = { window: 1 };
      const { alice, bob } = pair(world);
      bob.sleep();
      for (let i = 0; i < 4; i++) alice.send(bob, `a${i}`);
      world.run(MINUTE);
      const [backupOfAlice, backupOfBob] = [alice.backup(), bob.backup()];
      bob.wake();
      for (let i = 0; i < 4; i++) bob.send(alice, `b${i}`);
      world.run(MINUTE);
      alice.send(bob, "after the backup");
      world.run(HOUR);
      expect(bob.texts()).toHaveLength(5);
      // Alice loses a day: she forgot that it was all delivered, and the number of her last mail.
      alice.restore(backupOfAlice);
      const fresh = alice.send(bob, "new");
      world.run(2 * DAY);
      expect(bob.texts().sort()).toEqual(["a0", "a1", "a2", "a3", "after the backup", "new"]);
      expect(alice.state(fresh)).toBe("delivered");
      expect(alice.mail?.outbox().every(({ state }) => state === "delivered")).toBe(true);
      expect(bob.events.filter(({ type }) => type === "restored")).toHaveLength(1);
      // Bob loses all that he got. What alice knows as delivered is gone; what is still open comes again.
      bob.sleep();
      for (const cache of bob.caches) cache.up = false;
      alice.send(bob, "open");
      world.run(MINUTE);
      for (const cache of bob.caches) cache.up = true;
      bob.restore(backupOfBob);
      world.run(2 * DAY);
      expect(bob.texts()).toEqual(["open"]);
      expect(alice.events.filter(({ type }) => type === "restored")).toHaveLength(1);
      expect(alice.mail?.outbox().every(({ state }) => state === "delivered")).toBe(true);
    }
  });

  test("two copies of one store that both send lose no mail, and both are told of each other", () => {
    for (let seed = 0; seed < 5; seed++) {
      const dice = new Chance(seed * 104_729 + 3);
      const faults = { lose: dice.pick([0, 0.2]), duplicate: 0.2, latency: dice.pick([20, 2000]) };
      const world = new World(seed, { ...faults, fail: 0, crash: 0 });
      const { alice, bob } = pair(world);
      alice.send(bob, "before");
      bob.send(alice, "I know you");
      world.run(HOUR);
      // Two homes and one identity, as after a folder was copied. One of them at a time is awake; what came is of the one that took it.
      const homes = [0, 1].map(() => ({ store: new Map(alice.store), events: 0, ids: [] as string[] }));
      const texts = ["before"];
      const files: string[] = [];
      let at = 0;
      const shift = (length: Time, busy: boolean): void => {
        const home = homes[at] ?? expect.fail();
        alice.sleep();
        alice.store = home.store;
        alice.wake();
        const from = alice.events.length;
        for (let n = busy ? dice.between(1, 3) : 0; n > 0; n--) {
          const text = `${at} ${world.now} ${n}`;
          const isFile = dice.happens(0.2);
          const id = isFile ? alice.file(bob, text, dice.random(2 * PART_CONTENT)) : alice.send(bob, text);
          home.ids.push(id ?? expect.fail());
          (isFile ? files : texts).push(text);
          world.run(dice.pick([0, SECOND, MINUTE]));
        }
        if (dice.happens(0.5)) bob.sleep();
        else bob.wake();
        if (dice.happens(0.5)) alice.look();
        if (dice.happens(0.5)) bob.look();
        if (busy && dice.happens(0.3)) alice.reachable(!alice.isReachable);
        world.run(length);
        home.events += alice.events.slice(from).filter(({ type }) => type === "copied").length;
        at = 1 - at;
      };
      for (let i = 0; i < 16; i++) shift(dice.pick([SECOND, MINUTE, 5 * HOUR]), true);
      world.calm();
      for (let i = 0; i < 24; i++) {
        bob.wake();
        shift(6 * HOUR, i < 4);
      }
      expect(bob.texts().sort(), "nothing lost, nothing twice").toEqual(texts.sort());
      expect(
        bob
          .inbox()
          .flatMap(({ file, why }) => (file && why === undefined ? file.name : []))
          .sort(),
      ).toEqual(files.sort());
      for (const { store, events, ids } of homes) {
        alice.store = store;
        expect(ids.map((id) => alice.state(id))).toEqual(ids.map(() => "delivered"));
        expect(events, "told, and not each time").toBe(1);
      }
    }
  });

  test("a mail whose numbers were lost is known by its id", () => {
    const world = new World(70);
    const { alice, bob } = pair(world);
    alice.send(bob, "once");
    world.run(30);
    const sent = alice.delivered.map(({ bytes }) => bytes);
    world.run(MINUTE);
    bob.sleep();
    bob.store.delete(`mail/in/${alice.hashname}`);
    bob.wake();
    const box = boxId(portable, alice.hashname, bob.hashname);
    for (const bytes of sent) {
      const id = messageId(portable, box, bytes);
      bob.input({ type: "message", via: alice.hashname, direct: true, box, id, bytes });
    }
    world.run(MINUTE);
    expect(sent).not.toEqual([]);
    expect(bob.texts()).toEqual(["once"]);
  });

  test("a contact's new peer gets what its old one never got, under the same id; each mail is shown once", () => {
    const world = new World(71);
    const { alice, bob } = pair(world);
    bob.sleep();
    const id = alice.send(bob, "to whom it may concern");
    world.run(MINUTE);
    const phone = world.station([world.cache()]);
    phone.add(alice);
    const both = alice.contactOf(bob);
    alice.input({ type: "contact", contact: { ...both, peers: [...both.peers, ...alice.contactOf(phone).peers] } });
    world.run(MINUTE);
    expect(phone.texts()).toEqual(["to whom it may concern"]);
    expect(alice.state(id)).toBe("delivered");
    const second = alice.send(bob, "to both of you");
    world.run(MINUTE);
    bob.wake();
    world.run(HOUR);
    expect(bob.texts().sort()).toEqual(["to both of you", "to whom it may concern"]);
    expect(phone.inbox().map((record) => record.id)).toEqual([id, second]);
    const delivered = alice.ledger(second ?? "")?.flatMap(({ state, peer }) => (state === "delivered" ? peer : []));
    expect(delivered).toEqual([phone.hashname, bob.hashname]);
  });

  test("a removal or another delivery at one device of a contact does not take the other's copy, and each is counted", () => {
    const world = new World(74);
    const { alice, bob } = pair(world);
    const phone = world.station([world.cache()]);
    phone.add(alice);
    const both = alice.contactOf(bob);
    alice.input({ type: "contact", contact: { ...both, peers: [...both.peers, ...alice.contactOf(phone).peers] } });
    const counted = (id: string | undefined): unknown =>
      alice.mail?.outbox().find((each) => each.id === id)?.delivered ?? expect.fail();
    for (const [first, later] of [
      [bob, phone],
      [phone, bob],
    ] as const) {
      later.sleep();
      const id = alice.send(bob, `first at ${first.hashname}`);
      expect(counted(id)).toEqual({ k: 0, n: 2 });
      world.run(MINUTE);
      // It is taken away at the caches of the one, offered again, and shown to it again from everywhere.
      first.look();
      world.run(2 * DAY);
      expect([alice.state(id), counted(id)]).toEqual(["delivered", { k: 1, n: 2 }]);
      later.wake();
      world.run(HOUR);
      expect(counted(id)).toEqual({ k: 2, n: 2 });
      expect(alice.ledger(id ?? "")?.flatMap(({ state, peer }) => (state === "delivered" ? peer : []))).toEqual([
        first.hashname,
        later.hashname,
      ]);
      for (const each of [bob, phone])
        expect(each.texts().filter((text) => text === `first at ${first.hashname}`)).toHaveLength(1);
    }
    // One of them never comes again: that the other has it stays true.
    phone.sleep();
    const id = alice.send(bob, "one alone");
    world.run(15 * DAY);
    expect([alice.state(id), counted(id)]).toEqual(["delivered", { k: 1, n: 2 }]);
  });

  test("a forgotten contact's mails are cancelled and taken back, and its numbers are never used again", () => {
    const world = new World(72);
    const { alice, bob } = pair(world);
    bob.sleep();
    const id = alice.send(bob, "oh no");
    world.run(MINUTE);
    alice.input({ type: "forget", contact: bob.card });
    world.run(HOUR);
    expect(alice.ledger(id ?? "")?.at(-1)).toMatchObject({ state: "cancelled", why: "forgotten" });
    expect(bob.caches.map(({ size }) => size)).toEqual([0, 0]);
    expect(alice.keys("mail/out/")).toEqual([]);
    expect(alice.keys("mail/in/")).toEqual([]);
    alice.input({ type: "contact", contact: alice.contactOf(bob) });
    alice.send(bob, "sorry");
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual(["sorry"]);
    expect(json(alice.store.get(`mail/out/${bob.hashname}`))).toMatchObject({ next: 3 });
  });

  test("what came before its sender was removed is not missing when the sender is a contact again", () => {
    for (const isRestarted of [false, true]) {
      const world = new World(74);
      const { alice, bob } = pair(world);
      bob.sleep();
      for (const text of ["one", "two", "three"]) alice.send(bob, text);
      world.run(MINUTE);
      alice.sleep();
      bob.wake();
      world.run(MINUTE);
      expect(bob.texts().sort()).toEqual(["one", "three", "two"]);
      bob.input({ type: "forget", contact: alice.card });
      if (isRestarted) bob.sleep();
      else bob.input({ type: "contact", contact: bob.contactOf(alice) });
      alice.wake();
      alice.send(bob, "four"); // she has not heard of the others yet, and says that their numbers are open
      world.run(MINUTE);
      bob.wake(); // which makes alice a contact again
      const missing = () => bob.mail?.missing(alice.card);
      world.run(MINUTE);
      expect(bob.texts()).toContain("four");
      expect(missing()).toBe(0);
      bob.sleep();
      bob.wake();
      expect(missing()).toBe(0);
    }
  });

  test("a device that leaves its contact and is back at once, while a start reads what is numbered for it, is shown all of it", () => {
    const world = new World(3);
    const { alice, bob } = pair(world);
    const first = alice.send(bob, "first");
    world.run(HOUR);
    expect(alice.state(first)).toBe("delivered");
    bob.sleep();
    for (const cache of bob.caches) cache.up = false; // all of it waits at the sender
    const ids = Array.from({ length: 100 }, (_, i) => alice.send(bob, `text ${i}`));
    alice.sleep();
    alice.wake();
    // Two cards that came one after the other.
    alice.input({ type: "contact", contact: { ...alice.contactOf(bob), peers: [] } });
    alice.input({ type: "contact", contact: alice.contactOf(bob) });
    world.run(MINUTE);
    for (const cache of bob.caches) cache.up = true;
    bob.wake();
    world.run(HOUR);
    expect(new Set(bob.texts()).size).toBe(101);
    expect(bob.texts()).toHaveLength(101);
    for (const id of ids) expect(alice.state(id)).toBe("delivered");
    // And not because it took itself for a copy.
    expect(alice.events.filter(({ type }) => type === "copied")).toEqual([]);
  });

  test("no bytes make it throw, and rubbish is removed at once", () => {
    const world = new World(73);
    const { alice, bob } = pair(world);
    alice.send(bob, "hello");
    alice.file(bob, "x", world.chance.random(2 * PART_CONTENT));
    world.run(10);
    const sent = alice.delivered.map(({ bytes }) => bytes);
    const boxes = [boxId(portable, alice.hashname, bob.hashname), "0123456789abcdef"];
    const via = bob.caches[0]?.hashname ?? bob.hashname;
    for (let i = 0; i < 600; i++) {
      const bytes = world.chance.happens(0.5)
        ? world.chance.pick(sent).slice()
        : world.chance.random(world.chance.between(0, 3000));
      for (let flips = world.chance.between(1, 3); flips > 0 && bytes.length > 0; flips--)
        bytes[world.chance.between(0, bytes.length - 1)] = world.chance.between(0, 255);
      const cut = world.chance.happens(0.3) ? bytes.subarray(0, world.chance.between(0, bytes.length)) : bytes;
      bob.input({
        type: "message",
        via,
        direct: world.chance.happens(0.2),
        box: world.chance.pick(boxes),
        id: `${i}`,
        bytes: cut,
      });
      world.run(world.chance.pick([1, 1, 20 * SECOND]));
    }
    for (const answer of [
      { type: "read", req: 99_999, value: NOTHING },
      { type: "blob", req: 99_999, bytes: NOTHING },
      { type: "hash", req: 99_999, sha256: "" },
      { type: "delivered", id: 99_999, ok: true },
      { type: "link", peer: alice.hashname, up: false },
    ] as const)
      bob.input(answer);
    world.run(DAY);
    expect(bob.mail?.status().junk).toBeGreaterThan(50);
    expect(bob.texts()).toEqual(["hello"]);
    expect(bob.inbox()).toHaveLength(2);
  });
});
