/** The suite `forward` between two machines: what a thief opens, how keys turn over, and that no lost key costs a mail. */
import { describe, expect, test } from "vitest";
import { boxId, messageId } from "../box/index.ts";
import { toHex } from "../bytes/index.ts";
import { type Hashname, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { given } from "../testing/given.ts";
import { assertClean, DAY, HOUR, json, MINUTE, pair, real, type Station, World } from "../testing/mail-world.ts";
import { encodeAck, parseAck } from "./acknowledgement.ts";
import { PART_CONTENT } from "./constants.ts";
import type { Forwarding } from "./forward.ts";
import { parsePart } from "./inner.ts";
import { openFromContact } from "./open.ts";
import { Ring } from "./ring.ts";
import { sealSeeded } from "./seal.ts";

type Store = ReadonlyMap<string, Uint8Array>;

/** Two contacts that know of each other's keys. */
function acquainted(seed: number, crypto = real): { world: World; alice: Station; bob: Station } {
  const world = new World(seed, {}, crypto);
  const { alice, bob } = pair(world);
  alice.send(bob, "hello");
  bob.send(alice, "hello back");
  world.run(DAY);
  return { world, alice, bob };
}

/** What somebody with Bob's identity and a store of his reads in a recording of what Alice sent: an id, or why not. */
function reads(bob: Station, store: Store, alice: Station, recorded: Uint8Array): string {
  const inner = given(openFromContact(real, bob.identity, recorded, alice.identity.keys));
  const part = parsePart(inner);
  if (part === undefined) return "no mail";
  if ("envelope" in part) return part.envelope.id;
  const saved = store.get(`mail/keys/${alice.hashname}`);
  const epoch = (json(given(store.get("mail/epoch"))) as { epoch: string }).epoch;
  const ring = new Ring({ backend: portable, random: new Chance(1).random, by: epoch, saved });
  const opened = ring.open(part).part;
  return opened === undefined || opened === "gone" ? String(opened) : opened.envelope.id;
}

const suites = (station: Station): (string | undefined)[] => station.inbox().map(({ suite }) => suite);

interface Queued {
  readonly parcels: readonly { generation: number; seq: number; forward?: Forwarding }[];
}

function parcelsOf(from: Station, id: string | undefined): Queued["parcels"] {
  return (json(given(from.queued(id ?? ""))) as Queued).parcels;
}

function announcedTo(station: Station, by: Station): readonly string[] {
  const pairRecord = json(given(station.store.get(`mail/out/${by.hashname}`))) as { announced: { keys: string[] } };
  return pairRecord.announced.keys;
}

const ringKey = (of: Station): string => `mail/keys/${of.hashname}`;

describe("forward secrecy", () => {
  test("[A29] who recorded all and steals identity and store later opens static mail, and no forward mail that was delivered", () => {
    const { world, alice, bob } = acquainted(1);
    const hello = given(alice.delivered[0]).bytes;
    const [helloId] = bob.inbox().map(({ id }) => id);
    const sent: { id: string; bytes: Uint8Array }[] = [];
    const early: Store[] = [];
    for (const text of ["one", "two", "three"]) {
      bob.sleep();
      const before = alice.delivered.length;
      const id = given(alice.send(bob, text));
      world.run(MINUTE);
      sent.push({ id, bytes: given(alice.delivered[before]).bytes });
      early.push(bob.backup());
      bob.wake();
      world.run(MINUTE);
    }
    expect(bob.texts()).toEqual(["hello", "one", "two", "three"]);
    expect(suites(bob)).toEqual(["static", "forward", "forward", "forward"]);
    world.run(DAY);
    // A theft before it was read opens it, so what follows is the work of deleted keys and of nothing else.
    for (const [i, { id, bytes }] of sent.entries()) expect(reads(bob, given(early[i]), alice, bytes)).toBe(id);
    const stolen = bob.backup();
    expect(reads(bob, stolen, alice, hello)).toBe(helloId);
    for (const { bytes } of sent) expect(reads(bob, stolen, alice, bytes)).toBe("gone");
    // Nor has the sender anything left that would.
    expect(alice.keys("spool/")).toEqual([]);
    for (const store of [alice.backup(), stolen])
      for (const value of store.values()) for (const { bytes } of sent) expect(holds(value, bytes)).toBe(false);
  });

  test("mail is static until the first acknowledgement has told a key, and forward from then on, at both ends", () => {
    const world = new World(2, {}, real);
    const { alice, bob } = pair(world);
    bob.sleep();
    const first = alice.send(bob, "first");
    const second = alice.send(bob, "second");
    bob.wake();
    world.run(HOUR);
    const third = alice.send(bob, "third");
    world.run(HOUR);
    const labels = new Map(
      given(alice.mail)
        .outbox()
        .map(({ id, suite }) => [id, suite]),
    );
    expect([first, second, third].map((id) => labels.get(id ?? ""))).toEqual(["static", "static", "forward"]);
    expect(suites(bob)).toEqual(["static", "static", "forward"]);
    world.run(40 * DAY);
    const ended = [first, second, third].map(
      (id) => (json(alice.store.get(`ledger/${id}`)) as { suite: string }).suite,
    );
    expect(ended).toEqual(["static", "static", "forward"]);
    assertClean(world);
  });

  test("an acknowledgement without keys takes none back: what is queued after it is forward still", () => {
    const { world, alice, bob } = acquainted(3);
    const epoch = "b0b".padStart(16, "0");
    const ack = { by: epoch, ownEpoch: epoch, floor: 1, reports: [], from: bob.hashname, to: alice.hashname };
    deliver(alice, bob, encodeAck(real, 0x3a, ack));
    const id = alice.send(bob, "more");
    expect(parcelsOf(alice, id)).toMatchObject([{ forward: { uses: [] } }]);
    world.run(HOUR);
    expect([bob.texts().at(-1), suites(bob).at(-1)]).toEqual(["more", "forward"]);
  });

  test("static mail of somebody who has not heard of the keys is read, and labelled as what it is", () => {
    const { world, alice, bob } = acquainted(4);
    const record = json(given(alice.store.get(`mail/out/${bob.hashname}`))) as object;
    alice.sleep();
    alice.store.set(`mail/out/${bob.hashname}`, asBytes({ ...record, announced: undefined }));
    alice.wake();
    alice.send(bob, "as of old");
    world.run(HOUR);
    expect([bob.texts().at(-1), suites(bob).at(-1)]).toEqual(["as of old", "static"]);
    expect(announcedTo(alice, bob).length).toBeGreaterThan(0);
    alice.send(bob, "as of now");
    world.run(HOUR);
    expect(suites(bob).at(-1)).toBe("forward");
  });

  test("a store of before there were keys opens, and tells of keys with its next acknowledgement", () => {
    const { world, alice, bob } = acquainted(5);
    for (const [station, other] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      station.sleep();
      const key = `mail/out/${other.hashname}`;
      station.store.set(key, asBytes({ ...(json(given(station.store.get(key))) as object), announced: undefined }));
      station.store.delete(ringKey(other));
    }
    alice.wake();
    bob.wake();
    for (const text of ["one", "two"]) {
      alice.send(bob, text);
      world.run(HOUR);
    }
    expect(bob.texts().slice(-2)).toEqual(["one", "two"]);
    expect(suites(bob).slice(-2)).toEqual(["static", "forward"]);
  });

  test("all parts of a file are sealed to one key, and it stays until the last of them is there", () => {
    const { world, alice, bob } = acquainted(6);
    const content = world.chance.random(6 * PART_CONTENT);
    bob.sleep();
    const file = alice.file(bob, "photo.txt", content);
    world.run(MINUTE);
    const recorded = alice.delivered.slice(-12).map(({ bytes }) => bytes);
    const [parcel] = parcelsOf(alice, file);
    // Two parts arrive; then texts, that turn the keys over while the rest of the file is away.
    const withheld = bob.caches.map(({ boxes }) => {
      const box = given([...boxes.values()].find((messages) => messages.size > 0));
      const kept = [...box].slice(2);
      for (const [id] of kept) box.delete(id);
      return { box, kept };
    });
    bob.wake();
    for (let i = 0; i < 8; i++) {
      alice.send(bob, `text ${i}`);
      world.run(MINUTE); // all of it before the file counts as lost, and is offered again
    }
    const { keys } = ring(bob, alice).announce();
    expect(keys).toContain(parcel?.forward?.key);
    expect(keys.length).toBeLessThanOrEqual(4);
    for (const { box, kept } of withheld) for (const [id, bytes] of kept) box.set(id, bytes);
    bob.look();
    world.run(DAY);
    const shown = given(bob.inbox().find(({ kind }) => kind === "file"));
    expect([shown.suite, shown.why, toHex(portable.sha256(given(bob.content(shown))))]).toEqual([
      "forward",
      undefined,
      toHex(portable.sha256(content)),
    ]);
    world.run(DAY);
    expect(ring(bob, alice).announce().keys).not.toContain(parcel?.forward?.key);
    for (const bytes of recorded) expect(reads(bob, bob.backup(), alice, bytes)).toBe("gone");
  });

  test("a mail to two devices is sealed to a key of each, and is forward only if both are", () => {
    const { world, alice, bob } = acquainted(7);
    const phone = world.station([world.cache()]);
    phone.add(alice);
    const both = alice.contactOf(bob);
    alice.input({ type: "contact", contact: { ...both, peers: [...both.peers, ...alice.contactOf(phone).peers] } });
    const first = given(alice.send(bob, "one"));
    const label = (id: string): string | undefined =>
      given(alice.mail)
        .outbox()
        .find((mail) => mail.id === id)?.suite;
    expect(label(first)).toBe("static");
    world.run(HOUR);
    const second = given(alice.send(bob, "two"));
    expect(label(second)).toBe("forward");
    const [one, two] = parcelsOf(alice, second);
    expect(one?.forward?.key).not.toBe(two?.forward?.key);
    world.run(HOUR);
    expect([bob.texts().slice(-2), phone.texts()]).toEqual([
      ["one", "two"],
      ["one", "two"],
    ]);
  });
});

describe("lost keys cost no mail", () => {
  test("whoever comes back without the key says so; the mail is sealed anew and its first copies are taken back", () => {
    const { world, alice, bob } = acquainted(11);
    const backup = bob.backup();
    for (const text of ["one", "two"]) {
      alice.send(bob, text);
      world.run(DAY);
    }
    bob.sleep();
    const texts = given(alice.send(bob, "sealed to a key of later"));
    const file = given(alice.file(bob, "file", world.chance.random(3 * PART_CONTENT)));
    world.run(MINUTE);
    const copies = bob.caches.map(({ size }) => size);
    expect(copies).toEqual([4, 4]);
    const before = parcelsOf(alice, texts)[0];
    // Nobody notices that the store is an old one: the epoch is that of before.
    bob.store = backup;
    bob.wake();
    world.run(DAY);
    expect(bob.texts()).toEqual(["hello", "sealed to a key of later"]);
    expect(bob.inbox().map(({ kind }) => kind)).toEqual(["text", "text", "file"]);
    expect(suites(bob).slice(1)).toEqual(["forward", "forward"]);
    expect([alice.state(texts), alice.state(file)]).toEqual(["delivered", "delivered"]);
    const after = parcelsOf(alice, texts)[0];
    expect([before?.generation, after?.generation, after?.seq]).toEqual([0, 1, before?.seq]);
    expect(bob.caches.map(({ size }) => size)).toEqual([0, 0]);
    world.run(40 * DAY);
    assertClean(world);
  });

  test("a restored store tells its keys by itself: nothing has to be sealed to lost ones first", () => {
    const { world, alice, bob } = acquainted(17);
    const backup = bob.backup();
    alice.send(bob, "one");
    world.run(DAY);
    const before = announcedTo(alice, bob)[0];
    bob.restore(backup);
    world.run(MINUTE);
    const [newest] = announcedTo(alice, bob);
    expect(newest).not.toBe(before);
    expect(ring(bob, alice).announce().keys).toContain(newest);
    const id = alice.send(bob, "two");
    world.run(MINUTE);
    expect(parcelsOf(alice, id)).toMatchObject([{ generation: 0 }]);
    expect(bob.texts()).toEqual(["hello", "two"]);
  });

  test("what cannot be opened is neither shown nor acknowledged, and is no junk", () => {
    const { world, alice, bob } = acquainted(12);
    bob.sleep();
    const id = given(alice.send(bob, "unreadable"));
    world.run(MINUTE);
    alice.sleep();
    bob.store.delete(ringKey(alice));
    bob.wake();
    world.run(DAY);
    expect(bob.texts()).toEqual(["hello"]);
    expect(given(bob.mail).status().junk).toBe(0);
    expect(bob.caches.map(({ size }) => size)).toEqual([0, 0]);
    expect(alice.state(id)).toBe("handed");
    alice.wake();
    world.run(DAY);
    expect(bob.texts()).toEqual(["hello", "unreadable"]);
    expect(alice.state(id)).toBe("delivered");
  });

  test("a contact that was forgotten and comes back has other keys, and gets what was on its way", () => {
    const { world, alice, bob } = acquainted(13);
    bob.sleep();
    const id = alice.send(bob, "on its way");
    world.run(MINUTE);
    const [{ size }] = [given(bob.caches[0])];
    expect(size).toBe(1);
    bob.wake();
    bob.input({ type: "forget", contact: alice.card });
    expect(bob.keys("mail/keys/")).toEqual([]);
    bob.input({ type: "contact", contact: bob.contactOf(alice) });
    bob.send(alice, "back again");
    world.run(2 * DAY);
    expect(bob.texts()).toContain("on its way");
    expect(alice.state(id)).toBe("delivered");
  });

  test("a copy of an old acknowledgement brings no deleted key back", () => {
    const { world, alice, bob } = acquainted(14);
    const recorded: Uint8Array[] = [];
    for (let i = 0; i < 4; i++) {
      const from = bob.delivered.length;
      alice.send(bob, `text ${i}`);
      world.run(DAY);
      recorded.push(...bob.delivered.slice(from).map(({ bytes }) => bytes));
    }
    expect(recorded.length).toBeGreaterThan(3);
    const keys = announcedTo(alice, bob);
    for (const bytes of recorded.reverse()) {
      replay(alice, bob, bytes);
      expect(announcedTo(alice, bob)).toEqual(keys);
    }
    world.run(MINUTE);
    const id = alice.send(bob, "after the copies");
    world.run(HOUR);
    expect(bob.texts().at(-1)).toBe("after the copies");
    expect(parcelsOf(alice, id)).toMatchObject([{ generation: 0 }]);
  });

  test("a copy of an acknowledgement from a ring that nobody remembers costs a detour, and no mail", () => {
    const { world, alice, bob } = acquainted(15);
    const old = bob.delivered.map(({ bytes }) => bytes);
    for (let i = 0; i < 3; i++) {
      alice.send(bob, `text ${i}`);
      world.run(DAY);
    }
    // As if sixteen restored stores had been heard of since.
    const key = `mail/out/${bob.hashname}`;
    const record = json(given(alice.store.get(key))) as { announced: { turns: [string, number][] } };
    alice.sleep();
    alice.store.set(key, asBytes({ ...record, announced: { ...record.announced, turns: [] } }));
    alice.wake();
    for (const bytes of old) replay(alice, bob, bytes);
    const id = alice.send(bob, "sealed to what is deleted");
    world.run(DAY);
    expect(bob.texts().at(-1)).toBe("sealed to what is deleted");
    expect(alice.state(id)).toBe("delivered");
    expect(parcelsOf(alice, id)[0]?.generation).toBeGreaterThan(0);
  });

  test("a restored sender knows old keys only, and what it sends arrives", () => {
    const { world, alice, bob } = acquainted(16);
    const backup = alice.backup();
    for (let i = 0; i < 3; i++) {
      alice.send(bob, `text ${i}`);
      world.run(DAY);
    }
    alice.restore(backup);
    const id = alice.send(bob, "from the past");
    world.run(DAY);
    expect(bob.texts().at(-1)).toBe("from the past");
    expect(suites(bob).at(-1)).toBe("forward");
    expect(alice.state(id)).toBe("delivered");
  });

  test("days of crashes, losses and restored stores: what is not delivered is still offered, and nothing is shown twice", () => {
    for (let seed = 1; seed <= 6; seed++) restlessWorld(seed);
  });
});

/** Both write, both crash, and now and then one comes back with the store of some time ago. */
function restlessWorld(seed: number): void {
  const dice = new Chance(seed * 104_729);
  const faults = { lose: 0.1, fail: 0.1, duplicate: 0.2, crash: dice.pick([0, 0.01]), latency: dice.pick([20, 2000]) };
  const world = new World(seed, faults);
  if (seed % 2 === 0) world.limits = { window: 1 };
  const { alice, bob } = pair(world);
  const people = [alice, bob] as const;
  const backups = new Map<Station, Map<string, Uint8Array>>();
  const sent: { from: Station; id: string }[] = [];
  const shown = new Map<Station, Set<string>>(people.map((station) => [station, new Set()]));
  const note = (): void => {
    for (const station of people) for (const { id } of station.inbox()) given(shown.get(station)).add(id);
  };
  for (let step = 0; step < 80; step++) {
    const one = dice.pick(people);
    const other = one === alice ? bob : alice;
    const action = dice.between(0, 9);
    if (action <= 5) {
      const id = one.isAwake ? one.send(other, `text ${step}`) : undefined;
      if (id !== undefined) sent.push({ from: one, id });
    } else if (action === 6) one.sleep();
    else if (action === 7) one.wake();
    else if (action === 8) backups.set(one, one.backup());
    else if (dice.happens(0.5) && backups.has(one)) {
      note();
      // What a store forgets that it sent, nobody can ask it for.
      one.restore(given(backups.get(one)));
      const known = new Set(sent.filter(({ id }) => one.queued(id) !== undefined).map(({ id }) => id));
      for (let i = sent.length - 1; i >= 0; i--) {
        const mail = given(sent[i]);
        if (mail.from === one && !known.has(mail.id)) sent.splice(i, 1);
      }
    }
    world.run(dice.pick([MINUTE, HOUR, 6 * HOUR]));
  }
  world.calm();
  for (const station of people) station.look();
  for (let day = 0; day < 10; day++) {
    world.run(DAY);
    for (const station of people) station.look();
  }
  note();
  for (const { from, id } of sent) {
    const to = from === alice ? bob : alice;
    expect(from.state(id), `seed ${seed}`).toBe("delivered");
    expect(given(shown.get(to)).has(id), `seed ${seed}`).toBe(true);
  }
  for (const station of people) {
    const ids = station.inbox().map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const key of station.keys("mail/keys/"))
      expect((json(station.store.get(key)) as { keys: unknown[] }).keys.length).toBeLessThanOrEqual(4);
  }
}

function ring(of: Station, towards: Station): Ring {
  const { epoch } = json(given(of.store.get("mail/epoch"))) as { epoch: string };
  const saved = given(of.store.get(ringKey(towards)));
  return new Ring({ backend: portable, random: new Chance(1).random, by: epoch, saved });
}

/** An inner packet that Bob sealed comes to Alice. */
function deliver(alice: Station, bob: Station, inner: Uint8Array): void {
  expect(parseAck(inner)).toBeDefined();
  const seeded = { seed: new Uint8Array(32), recipient: alice.hashname, generation: 0, inner };
  replay(alice, bob, given(sealSeeded(real, bob.identity, alice.identity.keys, seeded)));
}

function replay(to: Station, from: Station, bytes: Uint8Array): void {
  const box = boxId(portable, from.hashname, to.hashname);
  const via: Hashname = from.hashname;
  to.input({ type: "message", via, direct: true, box, id: messageId(portable, box, bytes), bytes: bytes.slice() });
}

function asBytes(record: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record));
}

/** Whether some bytes of a message lie in a record. */
function holds(value: Uint8Array, message: Uint8Array): boolean {
  return toHex(value).includes(toHex(message.slice(100, 132)));
}
