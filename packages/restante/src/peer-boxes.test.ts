/** What lies in a box, for whom, and who can read it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { toHex } from "./bytes/index.ts";
import { admissionUri, parseJoinLink } from "./card/index.ts";
import { exportIdentity, importIdentity } from "./crypto/index.ts";
import { openMessage, sealMessage } from "./e3x/index.ts";
import { away, CACHE, crypto, HOUR, MINUTE, putsFor, type Side, Wild } from "./testing/roots.ts";

test("[C15] [C17] a mail has the same box, the same id and the same bytes at every cache and at every attempt", () => {
  const { bench, alice, bob, caches, send } = away("carol", "dave");
  send("always the same");
  alice.restart();
  bench.run(7 * HOUR);
  const puts = caches.map((cache) => putsFor(cache, bob).map(({ box, id, bytes }) => [box, id, toHex(bytes)].join()));
  // At first, when the sender is back, and six hours later.
  expect(puts.map((each) => each.length)).toEqual([3, 3]);
  expect(new Set(puts.flat()).size).toBe(1);
});

test("[A29] who steals a key reads of a recorded mail its head, which says forward, and nothing else; SECURITY.md says so", () => {
  const { bob, caches, send } = away("carol");
  send("an old secret");
  const stolen = importIdentity(crypto, JSON.parse(JSON.stringify(exportIdentity(bob.identity))));
  const opened = caches
    .flatMap((cache) => putsFor(cache, bob))
    .map(({ bytes }) => stolen && openMessage(crypto, stolen, bytes));
  const texts = opened.map((each) => new TextDecoder().decode(each?.inner));
  expect(texts).toHaveLength(1);
  expect(texts[0]).toContain('"suite":"forward"');
  expect(texts[0]).not.toContain("an old secret");
  const security = readFileSync(new URL("../../../SECURITY.md", import.meta.url), "utf8");
  expect(security).toMatch(/is not forward secret/);
  expect(security).toMatch(/`static`/);
  expect(security).toMatch(/`forward`/);
});

test("[C44] [C57] promise 4: a box is shown to its recipient alone; to others it is as empty as one that is not there", () => {
  const { bench, bob, caches, send } = away("carol");
  send("for bob");
  const [carol] = caches as [Side];
  const [put] = putsFor(carol, bob);
  const eve = new Wild(bench, "eve");
  eve.want(carol, admissionUri(parseJoinLink(carol.root.joinLink())?.token ?? new Uint8Array(0)));
  bench.run(MINUTE);
  const seen = [put?.box, "0123456789abcdef"].map((box, i) => {
    const ch = 1 + i;
    eve.handle({
      type: "open",
      ch,
      peer: carol.hashname,
      reliable: true,
      head: { type: "inbox", box: box ?? "" },
      body: new Uint8Array(0),
    });
    bench.run(MINUTE);
    return eve.outs.flatMap((out) =>
      "ch" in out && out.ch === ch && out.type === "packets"
        ? out.packets.map(({ head, body }) => [head, body.length])
        : [],
    );
  });
  const empty = [[{ cap: CACHE.cap, ids: 120 }, 0]];
  expect(seen).toEqual([empty, empty]);
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(MINUTE);
  expect(bob.texts()).toEqual(["for bob"]);
});

test("promise 6: nothing that a contact seals stops a root, or is shown unless it makes sense", () => {
  const { bench, alice, bob, caches, send } = away("carol");
  send("well made");
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(MINUTE);
  const [carol] = caches as [Side];
  const inners = [alice, bob]
    .flatMap((side) => putsFor(carol, side))
    .flatMap(({ bytes }) => {
      const inner = openMessage(crypto, bob.identity, bytes)?.inner;
      return inner === undefined ? [] : [inner];
    });
  expect(inners.length).toBeGreaterThan(0);
  // Alice's own key in other hands: everything below is truly hers.
  const forger = new Wild(bench, "alice", alice.identity);
  forger.want(bob);
  bench.run(MINUTE);
  const before = bob.disk.size;
  const { chance } = bench;
  for (let i = 0; i < 300; i++) {
    const inner = chance.pick(inners).slice();
    for (let n = chance.between(1, 4); n > 0; n--)
      inner[chance.between(0, Math.min(inner.length - 1, 400))] = chance.between(32, 126);
    const sealed = sealMessage(crypto, { from: alice.identity, to: bob.identity.keys, inner, random: chance.random });
    const body =
      i % 10 === 0 ? chance.random(chance.between(1, 1200)) : (sealed ?? new Uint8Array(1)).subarray(0, 1200);
    const head = { type: "outbox", to: bob.hashname, done: true };
    forger.handle({ type: "open", ch: i + 1, peer: bob.hashname, reliable: true, head, body });
    bench.run(1000);
  }
  expect(bob.root.status().links).toMatchObject([{ state: "up" }, { state: "up" }]);
  expect(bob.disk.size).toBeLessThan(before + 100);
});

test("[C45] in each turn of a cache everything that a sender can see comes before what its store is asked", () => {
  const { caches, send } = away("carol");
  const [carol] = caches as [Side];
  const turns: string[] = [];
  const { root } = carol;
  const handle = root.handle.bind(root);
  root.handle = (input, now) => {
    const out = handle(input, now);
    turns.push(out.map(({ type }) => type).join(" "));
    return out;
  };
  send("short");
  send("long ".repeat(2000));
  const asking = turns.filter((turn) => turn.includes("boxes"));
  expect(asking.filter((turn) => turn.includes("transmit")).length).toBeGreaterThan(0);
  for (const turn of asking) expect(turn).toMatch(/^(transmit )*boxes( boxes)*$/);
});
