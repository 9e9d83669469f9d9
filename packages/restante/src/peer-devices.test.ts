/** Several devices of one person: one card, one address, mail to each. */
import { expect, test } from "vitest";
import { toHex } from "./bytes/index.ts";
import { syncText } from "./card/index.ts";
import { portable } from "./crypto/index.ts";
import { Book } from "./peer/index.ts";
import { Bench, befriend, CACHE, HOUR, MINUTE, Side } from "./testing/roots.ts";

/** Alice has a laptop and takes in her phone, each with a cache of its own; bob is a contact of the laptop. */
function family() {
  const bench = new Bench();
  const [alice, phone, bob] = [new Side(bench, "alice"), new Side(bench, "phone"), new Side(bench, "bob")];
  const caches = ["carol", "dave", "erin"].map((name) => new Side(bench, name, { mail: false, cache: CACHE }));
  for (const [i, side] of [alice, phone, bob].entries())
    side.call({ type: "join", link: caches[i]?.root.joinLink() ?? "" }, MINUTE);
  befriend(bench, alice, bob);
  const link = (phone.call({ type: "device-link" })?.value as { link: string } | undefined)?.link ?? "";
  expect(alice.call({ type: "device-add", link }, MINUTE)?.value).toEqual({ hashname: phone.hashname });
  bench.run(10 * MINUTE);
  return { bench, alice, phone, bob, caches };
}

/** The card that `reader` has of whom it knows `owner` as. */
function cardOf(reader: Side, owner: Side) {
  return new Book(portable, reader.disk).of(owner.hashname)?.card;
}

function write(from: Side, to: Side, text: string): void {
  const contact = from.contact(to) ?? "";
  expect(from.call({ type: "send", contact, mail: { kind: "text", text } })?.value).toBeDefined();
}

test("a new device may print its link twice: by the first one it is taken in, too", () => {
  const bench = new Bench();
  const [alice, phone] = [new Side(bench, "alice"), new Side(bench, "phone")];
  const link = () => (phone.call({ type: "device-link" })?.value as { link: string } | undefined)?.link ?? "";
  const first = link();
  link();
  expect(alice.call({ type: "device-add", link: first }, MINUTE)?.value).toEqual({ hashname: phone.hashname });
  bench.run(10 * MINUTE);
  for (const device of [alice, phone]) {
    expect(device.root.devices().map(({ isReady }) => isReady)).toEqual([true, true]);
    expect(device.root.contacts()).toEqual([]);
  }
});

test("a device that is taken in knows whom the other knows, and to them both are one contact", () => {
  const { bench, alice, phone, bob } = family();
  expect(phone.root.contacts().map(({ hashnames, name }) => [hashnames, name])).toEqual([[[bob.hashname], "bob"]]);
  for (const device of [alice, phone]) {
    expect(device.root.devices().every(({ isReady }) => isReady)).toBe(true);
    expect(
      device.root
        .devices()
        .map(({ hashname }) => hashname)
        .sort(),
    ).toEqual([alice.hashname, phone.hashname].sort());
  }
  // Neither is a contact that the user would see.
  expect(alice.root.contacts()).toHaveLength(1);
  expect([alice.contact(phone), phone.contact(alice), alice.root.status().contacts]).toEqual([undefined, undefined, 1]);
  expect(bob.root.contacts()).toHaveLength(1);
  expect([...(bob.root.contacts()[0]?.hashnames ?? [])].sort()).toEqual([alice.hashname, phone.hashname].sort());
  expect(bob.contact(phone)).toBe(bob.contact(alice));
  expect(bob.events("request")).toEqual([]);
  write(bob, alice, "to both");
  bench.run(MINUTE);
  expect([alice.texts(), phone.texts()]).toEqual([["to both"], ["to both"]]);
  write(phone, bob, "from the phone");
  write(alice, bob, "from the laptop");
  bench.run(MINUTE);
  expect(bob.texts().sort()).toEqual(["from the laptop", "from the phone"]);
});

test("a device that is taken in changes nobody's name; a name given later, on any of them, is that of all", () => {
  const { bench, alice, phone, bob } = family();
  const names = () => [bob.root.contacts()[0]?.name, alice.root.status().name, phone.root.status().name];
  expect(names()).toEqual(["alice", "alice", "alice"]);
  for (const device of [phone, alice, phone]) device.restart(); // under the names that they were given first
  bench.run(HOUR);
  expect(names()).toEqual(["alice", "alice", "alice"]);
  phone.called = "alicia";
  phone.restart();
  bench.run(HOUR);
  expect(names()).toEqual(["alicia", "alicia", "alicia"]);
  alice.restart();
  bench.run(HOUR);
  expect(names()).toEqual(["alicia", "alicia", "alicia"]);
  alice.called = "al";
  alice.restart();
  bench.run(HOUR);
  phone.restart();
  bench.run(HOUR);
  expect(names()).toEqual(["al", "al", "al"]);
});

test("one device sleeps: the other has the mail at once, and the sleeping one gets its own copy when it wakes", () => {
  const { bench, alice, phone, bob } = family();
  bench.machines.delete("phone");
  bob.restart();
  write(bob, alice, "while one sleeps");
  bench.run(HOUR);
  expect([alice.texts(), phone.texts()]).toEqual([["while one sleeps"], []]);
  // What the one removed at its cache was its own copy.
  bench.machines.delete("bob");
  bench.machines.set("phone", phone);
  phone.restart();
  bench.run(HOUR);
  expect(phone.texts()).toEqual(["while one sleeps"]);
});

test("a lost device is written to no more, hears no more, and the others go on", () => {
  const { bench, alice, phone, bob } = family();
  bench.machines.delete("phone");
  expect(alice.call({ type: "device-remove", hashname: phone.hashname }, 5 * MINUTE)?.value).toEqual({});
  expect(alice.root.devices()).toEqual([]);
  expect(cardOf(bob, alice)?.peers.map(({ hashname }) => hashname)).toEqual([alice.hashname]);
  write(bob, alice, "after the theft");
  bench.run(HOUR);
  expect(alice.texts()).toEqual(["after the theft"]);
  expect(bob.root.outbox().find(({ kind }) => kind === "text")?.state).toBe("delivered");
  bob.restart();
  const before = bench.count("bob", "phone");
  bench.machines.set("phone", phone);
  phone.restart();
  bench.run(2 * HOUR);
  expect([phone.texts(), bench.count("bob", "phone") - before]).toEqual([[], 0]);
  // Whoever has it cannot come back under its name.
  write(phone, bob, "it is me");
  bench.run(2 * HOUR);
  expect(bob.texts()).toEqual([]);
  expect(cardOf(bob, alice)?.peers.map(({ hashname }) => hashname)).toEqual([alice.hashname]);
  // Nor become a contact of ours under our own id, not even when the user lets it.
  phone.call({ type: "add", link: alice.invite() }, 10 * MINUTE);
  for (const { request } of alice.root.requests()) alice.call({ type: "accept", request }, MINUTE);
  expect(alice.root.contacts().map(({ hashnames }) => hashnames)).toEqual([[bob.hashname]]);
  expect(alice.root.devices()).toEqual([]);
});

test("what one device does with contacts the others do, too, over restarts", () => {
  const { bench, alice, phone, bob } = family();
  for (const device of [alice, phone]) device.restart();
  bench.run(MINUTE);
  const frank = new Side(bench, "frank");
  befriend(bench, phone, frank);
  bench.run(10 * MINUTE);
  expect(alice.contact(frank)).toBe(phone.contact(frank));
  expect(frank.root.contacts()).toHaveLength(1);
  expect([...(frank.root.contacts()[0]?.hashnames ?? [])].sort()).toEqual([alice.hashname, phone.hashname].sort());
  write(frank, phone, "hello you two");
  bench.run(MINUTE);
  expect([alice.texts(), phone.texts()]).toEqual([["hello you two"], ["hello you two"]]);
  alice.call({ type: "remove", contact: alice.contact(bob) ?? "" }, 5 * MINUTE);
  expect([alice.contact(bob), phone.contact(bob)]).toEqual([undefined, undefined]);
  expect(toHex(cardOf(frank, alice)?.id ?? new Uint8Array(0))).toBe(frank.contact(alice));
});

test("a device with contacts cannot be taken in, an ordinary invite makes nobody one of ours, and only ours can be removed", () => {
  const { bench, alice, bob } = family();
  expect(bob.call({ type: "device-link" })?.code).toBe("not-new");
  expect(alice.call({ type: "device-add", link: "rubbish" })?.code).toBe("bad-invite");
  expect(alice.call({ type: "device-add", link: alice.invite() })?.code).toBe("self");
  expect(alice.call({ type: "device-add", link: bob.invite() })?.code).toBe("known");
  expect(alice.call({ type: "device-remove", hashname: bob.hashname })?.code).toBe("not-found");
  // Eve takes an ordinary invite of frank's for one of a new device: he knows better.
  const [eve, frank] = [new Side(bench, "eve"), new Side(bench, "frank")];
  const link = frank.invite();
  eve.call({ type: "device-add", link }, 10 * MINUTE);
  expect(frank.root.devices()).toEqual([]);
  expect(frank.root.contacts().map(({ hashnames }) => hashnames)).toEqual([[eve.hashname]]);
  expect(
    eve.root
      .devices()
      .filter(({ isReady }) => isReady)
      .map(({ hashname }) => hashname),
  ).toEqual([eve.hashname]);
  // Nor does she give him her contacts' mail by it, or he his to her.
  expect(new Set(cardOf(frank, eve)?.peers.map(({ hashname }) => hashname))).toEqual(new Set([eve.hashname]));
});

test("who takes an ordinary invite for a device's tells its owner what anybody would, and nothing of contacts or caches", () => {
  const { bench, alice, caches } = family();
  const frank = new Side(bench, "frank");
  const before = alice.root.outbox().length;
  alice.call({ type: "device-add", link: frank.invite() }, HOUR);
  alice.restart();
  befriend(bench, alice, new Side(bench, "gina"));
  alice.call({ type: "leave", cache: caches[0]?.hashname ?? alice.hashname }, HOUR);
  // To frank a mail between devices is one of a kind that nobody knows: he would have it in his inbox.
  expect([frank.contact(alice) !== undefined, frank.events("mail")]).toEqual([true, []]);
  const told = alice.root.outbox().slice(before);
  expect(told.filter(({ kind, contact }) => kind === "sync" && contact === frank.contact(alice))).toEqual([]);
  expect(alice.root.devices().map(({ isReady }) => isReady)).toEqual([true, true, false]);
});

test("three devices, of which two have only ever met the third: each gets all mail, also what it slept through", () => {
  const { bench, alice, phone, bob } = family();
  const tablet = new Side(bench, "tablet");
  const gina = new Side(bench, "gina", { mail: false, cache: CACHE });
  tablet.call({ type: "join", link: gina.root.joinLink() }, MINUTE);
  const link = (tablet.call({ type: "device-link" })?.value as { link: string } | undefined)?.link ?? "";
  alice.call({ type: "device-add", link }, 20 * MINUTE);
  const all = [alice, phone, tablet].map(({ hashname }) => hashname).sort();
  for (const device of [alice, phone, tablet])
    expect(
      device.root
        .devices()
        .map(({ hashname }) => hashname)
        .sort(),
    ).toEqual(all);
  expect([...(bob.root.contacts()[0]?.hashnames ?? [])].sort()).toEqual(all);
  expect(cardOf(bob, alice)?.peers.map(({ hashname }) => hashname)).toEqual(all);
  bench.machines.delete("tablet");
  write(bob, alice, "to three");
  bench.run(HOUR);
  bench.machines.set("tablet", tablet);
  tablet.restart();
  bench.run(HOUR);
  expect([alice, phone, tablet].map((device) => device.texts())).toEqual(Array(3).fill(["to three"]));
  // A contact that one of the two makes comes to the other by way of the third.
  const frank = new Side(bench, "frank");
  befriend(bench, phone, frank);
  bench.run(10 * MINUTE);
  expect(tablet.contact(frank)).toBe(phone.contact(frank));
  write(tablet, frank, "hello from the tablet");
  bench.run(10 * MINUTE);
  expect(frank.texts()).toEqual(["hello from the tablet"]);
  // The lost one is out everywhere.
  alice.call({ type: "device-remove", hashname: tablet.hashname }, 10 * MINUTE);
  for (const device of [alice, phone])
    expect(
      device.root
        .devices()
        .map(({ hashname }) => hashname)
        .sort(),
    ).toEqual(all.filter((each) => each !== tablet.hashname));
  for (const friend of [bob, frank])
    expect(cardOf(friend, alice)?.peers.map(({ hashname }) => hashname)).not.toContain(tablet.hashname);
});

test("the card of a family settles: after all have heard of all, no more cards go out", () => {
  const { bench, alice, phone, bob } = family();
  bench.run(2 * HOUR);
  const sent = () => [alice, phone, bob].map((side) => side.root.outbox().filter(({ kind }) => kind !== "text").length);
  const before = sent();
  const version = cardOf(bob, alice)?.version;
  for (const device of [alice, phone, bob]) device.restart();
  bench.run(6 * HOUR);
  expect(sent()).toEqual(before);
  expect(cardOf(bob, alice)?.version).toBe(version);
  expect(Math.max(...before)).toBeLessThan(12);
});

test("what a contact says as if it were a device of ours is a mail of a kind that nobody knows, and changes nothing", () => {
  const { bench, alice, bob } = family();
  const eve = new Side(bench, "eve");
  befriend(bench, alice, eve);
  const [before, devices] = [alice.root.contacts().map(({ id }) => id), alice.root.devices()];
  const card = toHex(cardOf(bob, alice)?.id ?? new Uint8Array(0));
  const told = [
    syncText({ type: "forget", contact: alice.contact(bob) ?? "" }),
    syncText({
      type: "family",
      card,
      version: 1000,
      name: "eve",
      devices: [{ hashname: devices.find(({ isThis }) => !isThis)?.hashname ?? eve.hashname, at: 2 ** 50, gone: true }],
    }),
  ];
  for (const text of told)
    eve.call({ type: "send", contact: eve.contact(alice) ?? "", mail: { kind: "sync", text } as never }, MINUTE);
  bench.run(10 * MINUTE);
  expect(alice.root.contacts().map(({ id }) => id)).toEqual(before);
  expect(alice.root.devices()).toEqual(devices);
  expect(alice.events("mail").map(({ kind, text }) => [kind, text])).toEqual(Array(2).fill(["sync", undefined]));
});
