import { describe, expect, test } from "vitest";
import { boxId, messageId } from "../box/index.ts";
import { equal, fromBase32, toHex } from "../bytes/index.ts";
import { portable } from "../crypto/index.ts";
import { assertClean, DAY, HOUR, json, MINUTE, pair, real, SECOND, World } from "../testing/mail-world.ts";
import { PART_CONTENT, TEXT_LIMIT } from "./constants.ts";
import { Numbering } from "./numbering.ts";
import type { Draft } from "./turn.ts";

/** As `toEqual`, which takes seconds for a megabyte. */
function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && equal(a, b);
}

describe("mail between contacts", () => {
  test("a text goes by two caches, is shown once, acknowledged, and leaves no copy", () => {
    const world = new World(1);
    const { alice, bob } = pair(world);
    bob.sleep();
    const id = alice.send(bob, "hello");
    world.run(HOUR);
    expect(alice.state(id)).toBe("handed");
    expect(bob.caches.map(({ size }) => size)).toEqual([1, 1]);
    alice.sleep();
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual(["hello"]);
    alice.wake();
    world.run(HOUR);
    expect(alice.state(id)).toBe("delivered");
    expect(alice.ledger(id ?? "")?.map(({ state }) => state)).toEqual(["queued", "handed", "handed", "delivered"]);
    world.run(40 * DAY);
    assertClean(world);
  });

  test("with cipher set 3a, too", () => {
    const world = new World(2, {}, real);
    const { alice, bob } = pair(world);
    const id = alice.send(bob, "hello");
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["hello"]);
    expect(alice.state(id)).toBe("delivered");
  });

  test("[X8] a link that is up carries it all, and the caches hear of nothing", () => {
    const world = new World(3);
    const { alice, bob } = pair(world);
    alice.reachable(true);
    const content = world.chance.random(20 * PART_CONTENT);
    for (let i = 0; i < 10; i++) alice.send(bob, `text ${i}`);
    alice.file(bob, "photo.txt", content);
    world.run(10 * MINUTE);
    expect(bob.texts()).toHaveLength(10);
    expect(isSame(bob.content(bob.inbox().find(({ kind }) => kind === "file")), content)).toBe(true);
    expect(world.caches.map(({ deposits }) => deposits)).toEqual([0, 0, 0, 0]);
    expect(alice.delivered.every(({ route }) => route === "direct")).toBe(true);
    expect(alice.mail?.outbox().every(({ state }) => state === "delivered")).toBe(true);
  });

  test("a link that takes everything and acknowledges nothing has two seconds", () => {
    const world = new World(4);
    const { alice, bob } = pair(world);
    alice.reachable(true);
    bob.mail = undefined; // the link is not told to be down
    const id = alice.send(bob, "hello");
    world.run(SECOND);
    expect(bob.caches.map(({ deposits }) => deposits)).toEqual([0, 0]);
    world.run(20 * SECOND);
    expect(bob.caches.map(({ deposits }) => deposits)).toEqual([1, 1]);
    expect(alice.state(id)).toBe("handed");
  });

  test("a file of many parts arrives whole, and a text is not stuck behind it", () => {
    const world = new World(5, { latency: 400 });
    const { alice, bob } = pair(world);
    const content = world.chance.random(100 * PART_CONTENT - 17);
    alice.file(bob, "film.txt", content);
    world.run(SECOND);
    alice.send(bob, "look at this");
    world.run(DAY);
    expect(bob.inbox().map(({ kind }) => kind)).toEqual(["text", "file"]);
    const file = bob.inbox()[1];
    expect(isSame(bob.content(file), content)).toBe(true);
    expect(file?.file).toMatchObject({ name: "film.txt", media: "text/plain", size: content.length, parts: 100 });
    world.run(40 * DAY);
    assertClean(world);
  });

  test("a box is never filled beyond its cap: files leave an eighth to texts, and go on as parts are acknowledged", () => {
    const world = new World(6);
    const cache = world.cache({ cap: 2 * 1024 * 1024 });
    const [alice, bob] = [world.station([world.cache()]), world.station([cache])];
    alice.isReachable = false;
    alice.add(bob);
    bob.add(alice);
    bob.sleep();
    const content = world.chance.random(100 * PART_CONTENT);
    const id = alice.file(bob, "film.txt", content);
    world.run(DAY);
    expect(alice.state(id)).toBe("queued");
    expect(cache.highest).toBeGreaterThan(1700 * 1024);
    expect(cache.highest).toBeLessThanOrEqual((7 / 8) * 2 * 1024 * 1024);
    for (let i = 0; i < 20; i++) alice.send(bob, `text ${i}`);
    world.run(HOUR);
    expect(alice.mail?.outbox().filter(({ state }) => state === "handed")).toHaveLength(20);
    bob.wake();
    world.run(DAY);
    expect(bob.texts()).toHaveLength(20);
    expect(isSame(bob.content(bob.inbox().at(-1)), content)).toBe(true);
    expect(cache.highest).toBeLessThanOrEqual(2 * 1024 * 1024);
    expect(alice.state(id)).toBe("delivered");
  });

  test("an empty file is a file", () => {
    const world = new World(7);
    const { alice, bob } = pair(world);
    alice.file(bob, "empty.txt", new Uint8Array(0));
    world.run(HOUR);
    expect(bob.content(bob.inbox()[0])).toEqual(new Uint8Array(0));
  });

  test("a file that is not what its digest says is shown as damaged, without content", () => {
    const world = new World(8);
    const { alice, bob } = pair(world);
    const id = alice.file(bob, "bad.txt", world.chance.random(3 * PART_CONTENT));
    alice.blobs.get("own-bad.txt")?.set(1, new Uint8Array(PART_CONTENT));
    world.run(HOUR);
    expect(bob.inbox()).toMatchObject([{ kind: "file", why: "damaged" }]);
    expect(bob.blobs.size).toBe(0);
    expect(alice.state(id)).toBe("delivered");
  });

  test("[X31] what was acknowledged, cancelled or expired is taken back where nobody fetched it", () => {
    const world = new World(9);
    const { alice, bob } = pair(world);
    const [fetched, other] = bob.caches;
    bob.sleep();
    const delivered = alice.send(bob, "one");
    const cancelled = alice.send(bob, "two");
    world.run(HOUR);
    alice.call({ type: "cancel", id: cancelled ?? "" });
    world.run(MINUTE);
    expect([fetched?.size, other?.size]).toEqual([1, 1]);
    if (other) other.up = false; // bob sees one cache, alice both
    bob.wake();
    world.run(MINUTE);
    expect(fetched?.size).toBe(0);
    bob.sleep();
    if (other) other.up = true;
    const expired = alice.send(bob, "three", world.now + DAY);
    alice.sleep();
    alice.wake(); // finds the acknowledgement, and what it says lies at both
    world.run(MINUTE);
    expect(alice.state(delivered)).toBe("delivered");
    expect(other?.size).toBe(1); // "three"
    world.run(2 * DAY);
    expect([alice.state(cancelled), alice.state(expired)]).toEqual(["cancelled", "expired"]);
    expect(world.caches.map(({ size }) => size)).toEqual([0, 0, 0, 0]);
    expect(bob.texts()).toEqual(["one"]);
  });

  test("[X36] what expired or was cancelled may still turn out to be delivered, and nothing else", () => {
    const world = new World(10);
    const { alice, bob } = pair(world);
    bob.sleep();
    const expires = world.now + DAY;
    const ids = [alice.send(bob, "late", expires), alice.send(bob, "later", expires)];
    world.run(MINUTE);
    alice.sleep();
    bob.wake();
    world.run(MINUTE);
    bob.sleep(); // its acknowledgement waits for alice
    expect(bob.texts().sort()).toEqual(["late", "later"]);
    for (const cache of alice.caches) cache.up = false;
    alice.wake();
    alice.call({ type: "cancel", id: ids[0] ?? "" });
    world.run(20 * DAY);
    expect(ids.map((id) => alice.state(id))).toEqual(["cancelled", "expired"]);
    for (const cache of alice.caches) cache.up = true;
    alice.look();
    world.run(MINUTE);
    expect(ids.map((id) => alice.state(id))).toEqual(["delivered", "delivered"]);
  });

  test("[A34] [X36] a copy that is read more than two days after its expiry is dropped", () => {
    const world = new World(11);
    const { alice, bob } = pair(world);
    bob.sleep();
    alice.send(bob, "too late", world.now + HOUR);
    alice.send(bob, "in time", world.now + 2 * DAY);
    world.run(MINUTE);
    alice.sleep();
    world.run(3 * DAY);
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual(["in time"]);
    expect(bob.caches.map(({ size }) => size)).toEqual([0, 0]);
  });

  test("a cache that forgot all is offered it again; an acknowledgement that was lost is made again", () => {
    const world = new World(12);
    const { alice, bob } = pair(world);
    bob.sleep();
    const id = alice.send(bob, "hello");
    world.run(HOUR);
    for (const cache of bob.caches) cache.crash();
    world.run(HOUR);
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual([]);
    alice.sleep();
    alice.wake(); // a restart changes nothing about when
    world.run(5 * HOUR);
    expect(bob.texts()).toEqual(["hello"]);
    expect(alice.state(id)).toBe("delivered");

    alice.sleep();
    const second = ((): string | undefined => {
      alice.wake();
      for (const cache of alice.caches) cache.up = false;
      return alice.send(bob, "again");
    })();
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["hello", "again"]);
    for (const cache of alice.caches) cache.crash();
    for (const cache of alice.caches) cache.up = true;
    bob.mail?.handle({ type: "delivered", id: -1, ok: true }, world.now);
    world.run(4 * DAY);
    expect(alice.state(second)).toBe("delivered");
    expect(bob.texts()).toEqual(["hello", "again"]);
  });

  test("[X38] two caches with no failure in common, and more only after the second retry", () => {
    const world = new World(13);
    const caches = [world.cache({ store: "s" }), world.cache({ store: "s" }), world.cache(), world.cache()];
    const [alice, bob] = [world.station([world.cache()]), world.station(caches)];
    alice.isReachable = false;
    alice.add(bob);
    bob.sleep();
    alice.send(bob, "one");
    world.run(10 * MINUTE);
    expect(caches.map(({ size }) => size)).toEqual([1, 0, 1, 0]);
    const [, , third] = caches;
    if (third) third.up = false;
    alice.send(bob, "two");
    world.run(MINUTE);
    expect(caches.map(({ size }) => size)).toEqual([2, 0, 1, 0]);
    world.run(10 * MINUTE);
    expect(caches.map(({ size }) => size)).toEqual([2, 0, 1, 1]);
  });

  test("[A35] [X27] a duplicate is known by sender, epoch, number and part, however often and by whatever route it comes", () => {
    const world = new World(14);
    const { alice, bob } = pair(world);
    alice.send(bob, "once");
    world.run(MINUTE);
    const sent = alice.delivered.map(({ bytes }) => bytes);
    const box = boxId(portable, alice.hashname, bob.hashname);
    for (const bytes of [...sent, ...sent]) {
      const id = messageId(portable, box, bytes);
      for (const direct of [true, false]) {
        const via = direct ? alice.hashname : (bob.caches[0]?.hashname ?? alice.hashname);
        bob.input({ type: "message", via, direct, box, id, bytes });
      }
      world.run(MINUTE);
    }
    bob.sleep();
    bob.wake();
    for (const bytes of sent)
      bob.input({
        type: "message",
        via: alice.hashname,
        direct: true,
        box,
        id: messageId(portable, box, bytes),
        bytes,
      });
    world.run(HOUR);
    expect(bob.texts()).toEqual(["once"]);
  });

  test("[X15] acknowledgements are the recipient's own messages, are never acknowledged, and are replaced, not piled up", () => {
    const world = new World(15);
    const { alice, bob } = pair(world);
    alice.sleep();
    for (let i = 0; i < 5; i++) {
      alice.wake();
      for (const cache of alice.caches) cache.up = true;
      alice.send(bob, `text ${i}`);
      world.run(30);
      alice.sleep();
      world.run(HOUR);
    }
    expect(bob.texts()).toHaveLength(5);
    // What lies there for alice is one acknowledgement at each cache.
    expect(alice.caches.map(({ size }) => size)).toEqual([1, 1]);
    alice.wake();
    world.run(HOUR);
    const turns = [alice.delivered.length, bob.delivered.length];
    world.run(10 * DAY);
    // A last one may tell of the floor; then there is silence.
    expect(alice.delivered.length - (turns[0] ?? 0)).toBeLessThanOrEqual(2);
    expect(bob.delivered.length - (turns[1] ?? 0)).toBe(0);
  });

  test("gaps are shown, hold nothing back, and heal", () => {
    const world = new World(16);
    const { alice, bob } = pair(world);
    bob.sleep();
    for (const text of ["one", "two", "three"]) {
      alice.send(bob, text);
      world.run(MINUTE);
    }
    alice.sleep();
    const boxes = bob.caches.flatMap((cache) => [...cache.boxes.values()]);
    const [, middle = ""] = boxes[0]?.keys() ?? [];
    const bytes = boxes[0]?.get(middle) ?? new Uint8Array(0);
    for (const messages of boxes) messages.delete(middle);
    bob.wake();
    world.run(MINUTE);
    expect(bob.texts().sort()).toHaveLength(2);
    const gaps = (): number[] => bob.events.flatMap((event) => (event.type === "gap" ? event.missing : []));
    expect(gaps().at(-1)).toBe(1);
    for (const messages of boxes) messages.set(middle, bytes);
    bob.look();
    world.run(MINUTE);
    expect(bob.texts()).toHaveLength(3);
    expect(gaps().at(-1)).toBe(0);
  });

  test("floors pass what was acknowledged, and what expired two days ago; the recipient takes them over", () => {
    const world = new World(17);
    const { alice, bob } = pair(world);
    bob.sleep();
    alice.send(bob, "lost", world.now + HOUR);
    world.run(3 * HOUR);
    bob.wake();
    for (let i = 0; i < 5; i++) alice.send(bob, `text ${i}`);
    world.run(DAY);
    const floors = (): number[] => {
      const record = json(bob.store.get(`mail/in/${alice.hashname}`)) as { numbering: string };
      const numbering = Numbering.decode(fromBase32(record.numbering) ?? new Uint8Array(0));
      return numbering?.report().map(({ floor }) => floor) ?? [];
    };
    expect(floors()).toEqual([1]);
    expect(bob.events.filter(({ type }) => type === "gap").at(-1)).toMatchObject({ missing: 1 });
    world.run(3 * DAY);
    expect(floors()).toEqual([7]);
    expect(bob.events.filter(({ type }) => type === "gap").at(-1)).toMatchObject({ missing: 0 });
  });

  test("the same part makes the same bytes at each attempt, after a restart too", () => {
    const world = new World(18);
    const { alice, bob } = pair(world);
    bob.sleep();
    alice.send(bob, "hello");
    world.run(HOUR);
    alice.sleep();
    alice.wake();
    world.run(3 * DAY);
    expect(alice.delivered.length).toBeGreaterThan(6);
    expect(new Set(alice.delivered.map(({ bytes }) => toHex(bytes))).size).toBe(1);
  });

  test("calls are answered with what they made, or why not", () => {
    const world = new World(19);
    const { alice, bob } = pair(world);
    const code = (req: number): string | undefined => alice.answers.get(req)?.code;
    const text = (text: string): Draft => ({ kind: "text", text });
    const file = { kind: "file", name: "x", media: "text/plain", size: 1, sha256: "00".repeat(32), blob: "b" } as const;
    const send = (mail: Draft, contact = bob.card): number => alice.call({ type: "send", contact, mail });
    expect(code(send(text("x"), "00"))).toBe("not-found");
    expect(code(send(text("x".repeat(TEXT_LIMIT + 1))))).toBe("too-large");
    expect(code(send({ ...file, size: 2 ** 30 + 1 }))).toBe("too-large");
    expect(code(send({ ...file, name: "../x" }))).toBe("bad-mail");
    expect(code(send({ ...file, media: "?" }))).toBe("bad-mail");
    expect(code(alice.call({ type: "cancel", id: "00" }))).toBe("not-found");
    expect(code(alice.call({ type: "ignore", request: "00" }))).toBe("not-found");
    expect(code(alice.call({ type: "accept", request: "00" }))).toBe("not-found");
    expect(alice.keys("spool/")).toEqual([]);
    const id = alice.send(bob, "x".repeat(TEXT_LIMIT)) ?? "";
    expect(alice.mail?.ledger(id)?.map(({ state }) => state)).toEqual(["queued"]);
    world.run(MINUTE);
    expect(code(alice.call({ type: "cancel", id }))).toBe("final");
    expect(bob.mail?.lastN()).toBe(1);
    expect(bob.mail?.unread()).toBe(1);
    bob.call({ type: "seen", n: 7 });
    expect(bob.mail?.unread()).toBe(0);
    expect(alice.mail?.outbox()).toMatchObject([{ id, state: "delivered", handed: 2, parts: 1, acked: 1 }]);
  });

  test("a mail whose content was lost is cancelled, and says so", () => {
    const world = new World(20);
    const { alice, bob } = pair(world);
    const id = alice.file(bob, "gone.txt", new Uint8Array(10));
    alice.blobs.clear();
    world.run(HOUR);
    expect(alice.ledger(id ?? "")?.at(-1)).toMatchObject({ state: "cancelled", why: "lost" });
    world.run(50 * DAY);
    assertClean(world);
  });
});
