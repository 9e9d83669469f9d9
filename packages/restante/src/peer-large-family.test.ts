/** Devices with as many caches as they may have: what they tell each other, and our card, stay within what a mail takes. */
import { expect, test } from "vitest";
import type { Path } from "./card/index.ts";
import { portable } from "./crypto/index.ts";
import { Book } from "./peer/index.ts";
import { Bench, befriend, CACHE, MINUTE, Side } from "./testing/roots.ts";

/** As many as a peer may have, each with as many addresses as one may have. */
function joinMany(bench: Bench, side: Side): void {
  for (let i = 0; i < 8; i++) {
    const name = `${side.name}cache${i}`;
    const paths = Array.from(
      { length: 16 },
      (_, j): Path => ({ type: "mem", name: j === 0 ? name : `${name}.${j}`.padEnd(64, "x") }),
    );
    const cache = new Side(bench, name, { mail: false, cache: CACHE, paths });
    expect(side.call({ type: "join", link: cache.root.joinLink() }, MINUTE)?.value).toBeDefined();
  }
}

test("three devices with 8 caches each learn of each other and of contacts, and contacts of all of them", () => {
  const bench = new Bench();
  const devices = ["alice", "phone", "tablet"].map((name) => new Side(bench, name)) as [Side, Side, Side];
  const [alice, phone, tablet] = devices;
  for (const device of devices) joinMany(bench, device);
  const bob = new Side(bench, "bob");
  joinMany(bench, bob);
  befriend(bench, alice, bob);
  for (const device of [phone, tablet]) {
    const { link } = (device.call({ type: "device-link" })?.value ?? { link: "" }) as { link: string };
    expect(alice.call({ type: "device-add", link }, 20 * MINUTE)?.value).toBeDefined();
  }
  const all = devices.map(({ hashname }) => hashname).sort();
  for (const device of devices) {
    const known = device.root.devices();
    expect(known.map(({ hashname }) => hashname).sort()).toEqual(all);
    expect(known.every(({ isReady }) => isReady)).toBe(true);
    expect(device.contact(bob)).toBeDefined();
    expect(device.root.status().cachesLeftOut).toBe(0);
  }
  const card = new Book(portable, bob.disk).of(alice.hashname)?.card;
  expect(card?.peers.map(({ caches }) => caches.length)).toEqual([8, 8, 8]);
  // Whole it would be more than a card may be.
  expect(card?.peers.flatMap(({ caches }) => caches.filter(({ paths }) => paths.length === 16))).toEqual([]);
  bob.call({ type: "send", contact: bob.contact(alice) ?? "", mail: { kind: "text", text: "to all" } }, MINUTE);
  expect(devices.map((device) => device.texts())).toEqual(Array(3).fill(["to all"]));
  // Who is gone is heard of among all that there is to tell.
  alice.call({ type: "device-remove", hashname: tablet.hashname }, 20 * MINUTE);
  expect(
    phone.root
      .devices()
      .map(({ hashname }) => hashname)
      .sort(),
  ).toEqual(all.filter((each) => each !== tablet.hashname));
});
