/** What a contact, a cache or somebody in the middle may send, each kind by its name. Nothing here ends a mail that is honest. */
import { describe, expect, test } from "vitest";
import { boxId, messageId } from "../box/index.ts";
import { toHex, utf8 } from "../bytes/index.ts";
import { type Hashname, portable } from "../crypto/index.ts";
import { given } from "../testing/given.ts";
import { assertClean, DAY, HOUR, json, MINUTE, pair, SECOND, type Station, World } from "../testing/mail-world.ts";
import { encodeAck } from "./acknowledgement.ts";
import { PART_CONTENT, SEQ_LIMIT } from "./constants.ts";
import { inOrder, shownTime } from "./conversation.ts";
import type { Envelope } from "./envelope.ts";
import { encodePart, type Head } from "./inner.ts";
import { sealSeeded } from "./seal.ts";

describe("mail from the future and the past", () => {
  test("the clock of a writer moves no mail of others, whatever it says: what it claims is shown as a day ahead at most", () => {
    const { world, alice, bob } = friends(1);
    const now = world.now;
    const times = [0, 1, now - 40 * DAY, now + 40 * DAY, 253_402_300_800_000, Number.MAX_SAFE_INTEGER];
    for (const [i, time] of times.entries()) {
      write(world, alice, bob, { seq: i + 2, time, expires: Math.max(time, now + DAY), text: `${i}` });
      world.run(SECOND);
    }
    alice.send(bob, "of now");
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["before", "0", "1", "2", "3", "4", "5", "of now"]);
    for (const { time, received } of bob.inbox()) {
      const shown = shownTime(time, received);
      expect(shown).toBeLessThanOrEqual(received + DAY);
      expect(Number.isNaN(new Date(shown).getTime())).toBe(false);
    }
    // In the conversation they stand as their writer wrote them, and no answer is before what it answers.
    const said = bob.inbox().map(({ id, after, time, received, n }) => ({
      ...{ id, after, line: "alice", place: n },
      time: shownTime(time, received),
    }));
    expect(inOrder(said.reverse()).map(({ place }) => place)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("a mail that was over before it came, or before it was written, is not shown", () => {
    const { world, alice, bob } = friends(2);
    const { now } = world;
    write(world, alice, bob, { seq: 2, time: now - 20 * DAY, expires: now - 3 * DAY, text: "long over" });
    write(world, alice, bob, { seq: 3, time: 0, expires: 0, text: "of 1970" });
    write(world, alice, bob, { seq: 4, time: now - 20 * DAY, expires: now - DAY, text: "over, but on its way" });
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["before", "over, but on its way"]);
    // No mail expires before it is written: our own writer refuses to make one, as any reader does.
    expect(() => write(world, alice, bob, { seq: 5, time: now, expires: now - 1, text: "never" })).toThrow("breaks");
  });

  test("half a file that says that it expires in the year 287396 is gone in two months", () => {
    const { world, alice, bob } = friends(3);
    const file = { name: "f", media: "text/plain", size: 2, sha256: "00".repeat(32) };
    write(world, alice, bob, { seq: 2, of: 2, expires: Number.MAX_SAFE_INTEGER, kind: "file", file, text: "x" });
    world.run(MINUTE);
    expect([bob.keys("mail/file/").length, bob.blobs.size]).toEqual([1, 1]);
    world.run(63 * DAY);
    expect([bob.keys("mail/file/").length, bob.blobs.size]).toEqual([0, 0]);
  });
});

describe("replays", () => {
  test("everything that was ever sent, again by each cache, over the link, to a restarted and to a restored store, is shown once", () => {
    const { world, alice, bob } = friends(4);
    for (let i = 0; i < 6; i++) {
      (i % 2 === 0 ? alice : bob).send(i % 2 === 0 ? bob : alice, `text ${i}`);
      world.run(HOUR);
    }
    alice.file(bob, "file", world.chance.random(3 * PART_CONTENT));
    world.run(HOUR);
    const backup = bob.backup();
    const blobs = new Map(bob.blobs);
    alice.send(bob, "after the backup");
    world.run(HOUR);
    const [toBob, toAlice] = [alice, bob].map(({ delivered }) => delivered.map(({ bytes }) => bytes));
    const before = [bob.inbox(), alice.inbox()];
    const ledgers = alice.keys("ledger/").map((key) => JSON.stringify(json(alice.store.get(key))));
    const replayAll = (): void => {
      for (const via of [...bob.caches.map(({ hashname }) => hashname), undefined])
        for (const bytes of given(toBob)) arrive(bob, alice, bytes, via);
      for (const via of [...alice.caches.map(({ hashname }) => hashname), undefined])
        for (const bytes of given(toAlice)) arrive(alice, bob, bytes, via);
      world.run(HOUR);
    };
    replayAll();
    for (const station of [alice, bob]) {
      station.sleep();
      station.wake();
    }
    replayAll();
    expect([bob.inbox(), alice.inbox()]).toEqual(before);
    expect(alice.keys("ledger/").map((key) => JSON.stringify(json(alice.store.get(key))))).toEqual(ledgers);

    // A restored store has forgotten one mail, which a replay may bring back. Nothing else, and not twice.
    bob.blobs = blobs;
    bob.restore(backup);
    replayAll();
    replayAll();
    const ids = bob.inbox().map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.slice(0, -1)).toEqual(
      given(before[0])
        .map(({ id }) => id)
        .slice(0, ids.length - 1),
    );
    expect(alice.inbox()).toEqual(before[1]);
    world.run(40 * DAY);
    assertClean(world);
  });
});

describe("a message that is meant for somebody else", () => {
  test("what a contact sealed for us, but addressed to another or in another's name, is neither shown nor answered", () => {
    const { world, alice, bob } = friends(5);
    const carol = world.station([world.cache()]);
    for (const [one, other] of [
      [carol, alice],
      [alice, carol],
      [bob, carol],
      [carol, bob],
    ] as const)
      one.add(other);
    carol.send(bob, "hello");
    world.run(HOUR);
    const before = [bob.backup(), bob.delivered.length] as const;
    const junk = given(bob.mail).status().junk;
    write(world, alice, bob, { seq: 2, to: carol.hashname, text: "for carol" });
    write(world, alice, bob, { seq: 2, from: carol.hashname, text: "as carol" });
    write(world, alice, bob, { seq: 2, from: bob.hashname, to: alice.hashname, text: "as bob himself" });
    // And what is sealed for Carol, put by a cache into the box from Alice to Bob.
    alice.send(carol, "a secret");
    const at = alice.delivered.length;
    world.run(MINUTE);
    for (const { bytes } of alice.delivered.slice(at)) arrive(bob, alice, bytes, bob.caches[0]?.hashname);
    world.run(HOUR);
    expect(bob.texts()).toEqual(["before", "hello"]);
    expect([bob.backup(), bob.delivered.length]).toEqual(before);
    expect(given(bob.mail).status().junk - junk).toBeGreaterThanOrEqual(3);
    // The numbers are as free as before.
    alice.send(bob, "for bob");
    world.run(HOUR);
    expect(bob.texts()).toEqual(["before", "hello", "for bob"]);
    expect(carol.texts()).toEqual(["a secret"]);
  });

  test("an acknowledgement for somebody else, or in the name of somebody else, ends no mail", () => {
    const { world, alice, bob } = friends(6);
    const carol = world.station([world.cache()]);
    carol.add(alice);
    alice.add(carol);
    carol.send(alice, "hello");
    world.run(HOUR);
    bob.sleep();
    const id = alice.send(bob, "for bob");
    world.run(MINUTE);
    const claim = reportOf(alice, bob);
    acknowledge(world, carol, alice, { from: bob.hashname, ...claim }); // Carol, as Bob
    acknowledge(world, carol, alice, claim); // Carol, of what is Bob's to say
    acknowledge(world, bob, alice, { to: carol.hashname, ...claim }); // Bob's word to another
    const forged = sealAck(world, carol, alice, { from: bob.hashname, ...claim });
    arrive(alice, bob, forged, alice.caches[0]?.hashname); // in Bob's box, by a cache
    world.run(MINUTE);
    expect(alice.state(id)).toBe("handed");
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual(["before", "for bob"]);
    expect(alice.state(id)).toBe("delivered");
  });
});

describe("acknowledgements", () => {
  test("of numbers that nobody gave, of epochs that nobody had: what is sent later is not delivered by them", () => {
    const { world, alice, bob } = friends(7);
    bob.sleep();
    const { epoch, seq } = nextOf(alice, bob);
    const all = { epoch, floor: 1, ranges: [[1, SEQ_LIMIT]] as const, unfinished: [] };
    const other = { ...all, epoch: "0123456789abcdef" };
    acknowledge(world, bob, alice, { reports: [all, other] });
    const missing = { seq: seq + 1, missing: 65_000, bitmap: new Uint8Array(0) };
    acknowledge(world, bob, alice, { reports: [{ ...all, ranges: [], unfinished: [missing] }] });
    const size = given(alice.store.get(`mail/out/${bob.hashname}`)).length;
    const ids = [alice.send(bob, "one"), alice.file(bob, "two", world.chance.random(3 * PART_CONTENT))];
    world.run(HOUR);
    expect(ids.map((id) => alice.state(id))).toEqual(["handed", "handed"]);
    expect(given(alice.store.get(`mail/out/${bob.hashname}`)).length).toBeLessThan(size + 400);
    bob.wake();
    world.run(DAY);
    expect(bob.texts()).toEqual(["before", "one"]);
    expect(ids.map((id) => alice.state(id))).toEqual(["delivered", "delivered"]);
  });

  test("an old one takes nothing back, and a thousand of them cost no message", () => {
    const { world, alice, bob } = friends(8);
    const old = bob.delivered.map(({ bytes }) => bytes);
    const ids = ["one", "two"].map((text) => alice.send(bob, text));
    world.run(HOUR);
    const sent = alice.delivered.length;
    for (let i = 0; i < 1000; i++) for (const bytes of old) arrive(alice, bob, bytes, undefined);
    world.run(HOUR);
    expect(ids.map((id) => alice.state(id))).toEqual(["delivered", "delivered"]);
    expect(alice.delivered.length).toBe(sent);
  });
});

describe("floors that jump", () => {
  test("to 2^48: that peer's epoch has no new mail any more; others, the other direction and the next epoch go on", () => {
    const { world, alice, bob } = friends(9);
    const carol = world.station([world.cache()]);
    carol.add(bob);
    bob.add(carol);
    write(world, alice, bob, { seq: SEQ_LIMIT, floor: SEQ_LIMIT, text: "the last number" });
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["before", "the last number"]);
    write(world, alice, bob, { seq: 2, text: "below the floor" });
    write(world, alice, bob, { seq: SEQ_LIMIT - 1, floor: SEQ_LIMIT - 1, text: "just below the floor" });
    carol.send(bob, "of carol");
    bob.send(alice, "the other way");
    world.run(HOUR);
    expect(bob.texts()).toEqual(["before", "the last number", "of carol"]);
    expect(alice.texts()).toEqual(["the other way"]);
    expect(given(bob.store.get(`mail/in/${alice.hashname}`)).length).toBeLessThan(1024);
    // An honest program is told of a number that it never gave: it goes on in another epoch, and loses nothing.
    const id = alice.send(bob, "after all that");
    world.run(DAY);
    expect(bob.texts().at(-1)).toBe("after all that");
    expect(alice.state(id)).toBe("delivered");
  });

  test("in an acknowledgement, to 2^48 and in a hundred epochs: what is kept has a bound, and the other direction goes on", () => {
    const { world, alice, bob } = friends(10);
    for (let i = 0; i < 100; i++)
      acknowledge(world, alice, bob, { ownEpoch: i.toString(16).padStart(16, "0"), floor: SEQ_LIMIT });
    world.run(MINUTE);
    expect(given(bob.store.get(`mail/in/${alice.hashname}`)).length).toBeLessThan(4096);
    const id = bob.send(alice, "the other way");
    world.run(HOUR);
    expect(alice.texts()).toEqual(["the other way"]);
    expect(bob.state(id)).toBe("delivered");
  });
});

describe("part bombs", () => {
  test("a thousand mails of 65,535 parts, of which one part comes: one is begun, which claims all that its contact may take", () => {
    const { world, alice, bob } = friends(10);
    const at = { part: 1, of: 65_535, floor: 1, kind: "file", text: "x".repeat(1000) };
    for (let seq = 2; seq < 1002; seq++) write(world, alice, bob, { ...at, seq }, bob.caches[0]?.hashname);
    world.run(MINUTE);
    expect([bob.keys("mail/file/").length, bob.blobs.size]).toEqual([1, 1]);
    const waits = bob.events.filter(({ type }) => type === "no-room");
    expect(waits.length).toBe(256); // of so many that wait at a time the user is told
    expect(waits[0]).toMatchObject({ why: "share", parts: 65_535 });
  });

  test("a thousand mails of 1024 parts of which one part comes: 32 are begun, and the rest is left", () => {
    const { world, alice, bob } = friends(11);
    const before = bob.delivered.length;
    for (let seq = 2; seq < 1002; seq++) {
      const at = { seq, part: 1, floor: 1, kind: "file", text: "x".repeat(1000) };
      write(world, alice, bob, { ...at, of: 1024 }, bob.caches[0]?.hashname);
    }
    world.run(MINUTE);
    const bytes = [...bob.blobs.values()].flatMap((blob) => [...blob.values()]).reduce((n, it) => n + it.length, 0);
    expect(bob.keys("mail/file/").length).toBe(32);
    expect(bob.blobs.size).toBe(32);
    expect(bytes).toBe(32_000);
    expect(bob.delivered.length - before).toBeLessThanOrEqual(30); // acknowledgements in a minute, to two caches
    alice.send(bob, "a text beside them");
    world.run(HOUR);
    world.run(63 * DAY);
    expect([bob.keys("mail/file/").length, bob.blobs.size]).toEqual([0, 0]);
  });

  test("parts that contradict each other in how many they are, of what kind, or with a digest of nothing are shown damaged or not at all", () => {
    const { world, alice, bob } = friends(12);
    const file = { name: "f", media: "text/plain", size: 2 ** 50, sha256: "00".repeat(32) };
    write(world, alice, bob, { seq: 2, part: 0, of: 2, kind: "file", file, text: "x" });
    write(world, alice, bob, { seq: 2, part: 1, of: 3, kind: "file", text: "x" });
    write(world, alice, bob, { seq: 2, part: 1, of: 2, kind: "other", text: "x" });
    world.run(MINUTE);
    expect(bob.inbox()).toHaveLength(1);
    write(world, alice, bob, { seq: 2, part: 1, of: 2, kind: "file", text: "x" });
    world.run(MINUTE);
    expect(bob.inbox().slice(1)).toMatchObject([{ kind: "file", why: "damaged" }]);
    expect(bob.blobs.size).toBe(0);
  });
});

describe("a contact who floods", () => {
  test("five thousand texts at once: what waits has a bound, the answers are few, and another's text is not behind them", () => {
    const { world, alice, bob } = friends(13);
    const carol = world.station([world.cache()]);
    carol.add(bob);
    bob.add(carol);
    const before = bob.delivered.length;
    const asked = bob.turns;
    for (let seq = 2; seq < 5002; seq++)
      write(world, alice, bob, { seq, floor: seq > 200 ? seq - 200 : 1, text: `${seq}` }, bob.caches[0]?.hashname);
    carol.send(bob, "of carol");
    world.run(SECOND);
    expect(bob.texts()).toContain("of carol");
    // 256 wait for the store at a time. Not one that was refused is lost: its cache has it still.
    expect(bob.texts().length).toBeLessThanOrEqual(256 + 2);
    expect(bob.turns - asked).toBeLessThan(5000 + 1000);
    world.run(MINUTE);
    expect(bob.delivered.length - before).toBeLessThan(20);
    for (let seq = 2; seq < 5002; seq++) {
      write(world, alice, bob, { seq, floor: seq > 200 ? seq - 200 : 1, text: `${seq}` }, bob.caches[0]?.hashname);
      if (seq % 200 === 0) world.run(SECOND);
    }
    world.run(MINUTE);
    const texts = bob.texts();
    expect(new Set(texts).size).toBe(texts.length);
    const last = Array.from({ length: 100 }, (_, i) => `${i + 4902}`);
    expect(last.every((text) => texts.includes(text))).toBe(true);
    expect(bob.delivered.length - before).toBeLessThan(200);
    expect(given(bob.store.get(`mail/in/${alice.hashname}`)).length).toBeLessThan(4096);
  });
});

/** Two contacts who have heard of each other: Bob has "before" of Alice. */
function friends(seed: number): { world: World; alice: Station; bob: Station } {
  const world = new World(seed);
  const { alice, bob } = pair(world);
  alice.send(bob, "before");
  world.run(HOUR);
  return { world, alice, bob };
}

interface Written extends Partial<Head> {
  readonly seq: number;
  readonly text: string;
  readonly kind?: string;
  readonly time?: number;
  readonly expires?: number;
  readonly file?: Envelope["file"];
}

/** A part as a program that is not ours would write it, in Alice's present epoch, straight to Bob or by a cache. */
function write(world: World, alice: Station, bob: Station, written: Written, via?: Hashname): void {
  const { seq, part = 0, of = 1, floor = 1, from = alice.hashname, to = bob.hashname, text, kind = "text" } = written;
  const { time = 0, expires = world.now + DAY, file } = written;
  const head = { from, to, epoch: nextOf(alice, bob).epoch, seq, part, of, floor };
  const id = toHex(portable.sha256(utf8(`${kind === "file" ? seq : text} ${seq}`))).slice(0, 32);
  const envelope = { id, after: [], time, expires, kind, content: utf8(text), ...(file && { file }) };
  // Our own program makes no part in another's name.
  const inner = encodePart(world.crypto, CSID, { ...alice.identity, hashname: from }, { head, envelope });
  arrive(bob, alice, sealed(world, alice, bob, inner), via);
}

interface Claimed {
  readonly from?: Hashname;
  readonly to?: Hashname;
  readonly ownEpoch?: string;
  readonly floor?: number;
  readonly reports?: Parameters<typeof encodeAck>[2]["reports"];
}

function acknowledge(world: World, bob: Station, alice: Station, claimed: Claimed): void {
  arrive(alice, bob, sealAck(world, bob, alice, claimed), undefined);
}

function sealAck(world: World, bob: Station, alice: Station, claimed: Claimed): Uint8Array {
  const { from = bob.hashname, to = alice.hashname, ownEpoch = "b0b".padStart(16, "0"), ...rest } = claimed;
  const { floor = 1, reports = [] } = rest;
  const inner = encodeAck(world.crypto, CSID, { from, to, by: ownEpoch, ownEpoch, floor, reports });
  return sealed(world, bob, alice, inner);
}

/** That Bob has all of Alice's. */
function reportOf(alice: Station, bob: Station): Claimed {
  const { epoch, seq } = nextOf(alice, bob);
  return { reports: [{ epoch, floor: 1, ranges: [[1, seq]], unfinished: [] }] };
}

/** The number that a station gave last towards another is below this one. */
function nextOf(from: Station, to: Station): { epoch: string; seq: number } {
  const { epoch, next } = json(given(from.store.get(`mail/out/${to.hashname}`))) as { epoch: string; next: number };
  return { epoch, seq: next };
}

function sealed(world: World, from: Station, to: Station, inner: Uint8Array): Uint8Array {
  const seeded = { seed: world.chance.random(32), recipient: to.hashname, generation: 0, inner };
  return given(sealSeeded(world.crypto, from.identity, to.identity.keys, seeded));
}

/** A message comes in the box between the two, by a cache or over the link. */
function arrive(to: Station, from: Station, bytes: Uint8Array, via: Hashname | undefined): void {
  const box = boxId(portable, from.hashname, to.hashname);
  const id = messageId(portable, box, bytes);
  const direct = via === undefined;
  to.input({ type: "message", via: via ?? from.hashname, direct, box, id, bytes: bytes.slice() });
}

const CSID = 0x01;
