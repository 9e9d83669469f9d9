/** Mail of people whom nobody knows yet, until they are accepted or ignored. */
import { describe, expect, test } from "vitest";
import { fromUtf8 } from "../bytes/index.ts";
import { assertClean, DAY, HOUR, MINUTE, NOTHING, type Station, World } from "../testing/mail-world.ts";

describe("mail of strangers", () => {
  /** Alice has bob's card; bob has never heard of her. */
  function strangers(seed: number): { world: World; alice: Station; bob: Station } {
    const world = new World(seed);
    const [alice, bob] = [world.station([world.cache()]), world.station([world.cache(), world.cache()])];
    return { world, alice, bob };
  }

  test("a stranger becomes a request, gets no answer, and after acceptance its mails are shown once and acknowledged", () => {
    const { world, alice, bob } = strangers(30);
    alice.add(bob);
    const ids = [alice.send(bob, "hello"), alice.send(bob, "it is me")];
    world.run(2 * DAY);
    expect(bob.mail?.requests()).toMatchObject([{ request: alice.hashname, hashname: alice.hashname }]);
    expect(bob.mail?.requests()[0]?.texts.slice().sort()).toEqual(["hello", "it is me"]);
    expect(fromUtf8(bob.mail?.requests()[0]?.card ?? NOTHING)).toContain(alice.hashname);
    expect(bob.events.filter(({ type }) => type === "request")).toHaveLength(1);
    expect(bob.texts()).toEqual([]);
    expect(bob.delivered).toEqual([]); // not a byte to a stranger
    bob.sleep();
    bob.wake();
    expect(bob.mail?.requests()).toHaveLength(1);
    bob.accept(alice.hashname);
    world.run(MINUTE);
    expect(bob.texts().sort()).toEqual(["hello", "it is me"]);
    expect(ids.map((id) => alice.state(id))).toEqual(["delivered", "delivered"]);
    expect(bob.mail?.requests()).toEqual([]);
    expect(bob.answers.get(1)?.value).toEqual({ contact: alice.card });
    bob.send(alice, "welcome");
    alice.send(bob, "thank you");
    world.run(40 * DAY);
    expect(alice.texts()).toEqual(["welcome"]);
    expect(bob.texts().sort()).toEqual(["hello", "it is me", "thank you"]);
    assertClean(world);
  });

  test("whoever is ignored gets nothing, and does not come back", () => {
    const { world, alice, bob } = strangers(31);
    alice.add(bob);
    alice.send(bob, "hello");
    world.run(MINUTE);
    bob.call({ type: "ignore", request: alice.hashname });
    bob.sleep();
    bob.wake();
    alice.send(bob, "hello?");
    world.run(10 * DAY);
    expect(bob.mail?.requests()).toEqual([]);
    expect(bob.delivered).toEqual([]);
    expect(bob.texts()).toEqual([]);
    expect(bob.keys("mail/request/")).toEqual([]);
    expect(alice.mail?.outbox().map(({ state }) => state)).toEqual(["handed", "handed"]);
  });

  test("who shows the secret of an invite is accepted without a question", () => {
    const { world, alice, bob } = strangers(32);
    bob.invite = alice.secret = world.chance.random(16);
    alice.add(bob);
    const id = alice.send(bob, "you invited me");
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["you invited me"]);
    expect(alice.state(id)).toBe("delivered");
    expect(bob.events.filter(({ type }) => type === "request")).toEqual([]);
    // A wrong secret is a question to the user, a moment later.
    const eve = world.station([world.cache()]);
    eve.secret = world.chance.random(16);
    eve.add(bob);
    eve.send(bob, "me, too");
    world.run(MINUTE);
    expect(bob.introduced).toContain(eve.hashname);
    expect(bob.events.filter(({ type }) => type === "request")).toHaveLength(1);
    expect(eve.delivered.length).toBeGreaterThan(0);
    expect(bob.texts()).toEqual(["you invited me"]);
  });

  test("a hello from a contact is a card update, besides; a mail of kind card is nothing else", () => {
    const { world, alice, bob } = strangers(33);
    alice.add(bob);
    bob.add(alice);
    alice.send(bob, "hello");
    world.run(MINUTE);
    expect(bob.cards.map((card) => fromUtf8(card))).toEqual([`card of ${alice.hashname} for ${bob.hashname}`]);
    const id = alice.post(bob, { kind: "card" });
    bob.sleep();
    bob.wake();
    world.run(MINUTE);
    expect(bob.cards.length).toBe(2);
    expect(alice.state(id)).toBe("delivered");
    expect(bob.texts()).toEqual(["hello"]);
    expect(bob.mail?.lastN()).toBe(1);
    // Once she was heard of, what she sends is no hello any more.
    const before = alice.delivered.length;
    alice.send(bob, "x");
    world.run(MINUTE);
    expect(alice.delivered.slice(before).every(({ bytes }) => bytes.length === 1023)).toBe(true);
    expect(bob.cards.length).toBe(2);
  });

  test("strangers have little room: the 33rd waits, 20 openings a minute, 8 KiB of each at a cache", () => {
    const world = new World(34);
    const bob = world.station([world.cache({ cap: 8 * 1024 })]);
    const many = Array.from({ length: 40 }, () => world.station([]));
    for (const each of many) {
      each.add(bob);
      each.send(bob, "hello");
    }
    world.run(MINUTE);
    expect(bob.mail?.requests().length).toBeLessThanOrEqual(40);
    expect(bob.mail?.requests().length).toBeLessThan(25);
    expect(bob.mail?.status().refused).toBeGreaterThan(10);
    for (let i = 0; i < 5; i++) {
      world.run(MINUTE);
      bob.look(); // what was not opened lies there still
    }
    world.run(MINUTE);
    expect(bob.mail?.requests()).toHaveLength(32);
    const first = many.find(({ hashname }) => bob.mail?.requests()[0]?.hashname === hashname);
    for (let i = 0; i < 12; i++) {
      first?.send(bob, `more ${i}`);
      world.run(MINUTE);
    }
    expect(bob.mail?.requests().find(({ hashname }) => hashname === first?.hashname)?.texts).toHaveLength(4);
    expect(bob.caches[0]?.highest).toBeLessThanOrEqual(8 * 1024);
    if (first) bob.accept(first.hashname);
    world.run(2 * DAY);
    expect(bob.texts()).toHaveLength(13); // what there was no room for was offered again
  });

  test("acceptance survives a crash at any moment", () => {
    for (let seed = 0; seed < 30; seed++) {
      const { world, alice, bob } = strangers(seed);
      alice.add(bob);
      for (let i = 0; i < 3; i++) alice.send(bob, `text ${i}`);
      world.run(MINUTE);
      world.faults.crash = 0.4;
      bob.accept(alice.hashname);
      world.run(HOUR);
      world.calm();
      if (!bob.contacts.includes(alice)) bob.accept(alice.hashname);
      world.run(DAY);
      expect(bob.texts().sort()).toEqual(["text 0", "text 1", "text 2"]);
      expect(bob.keys("mail/request/")).toEqual([]);
      expect(alice.mail?.outbox().every(({ state }) => state === "delivered")).toBe(true);
    }
  });
});
