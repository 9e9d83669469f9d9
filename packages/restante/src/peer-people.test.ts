/** People: blocked for good, verified by words, several under one name. */
import { expect, test } from "vitest";
import { boxId } from "./box/index.ts";
import { fromUtf8 } from "./bytes/index.ts";
import { encodeInvite, secretUri } from "./card/index.ts";
import { portable } from "./crypto/index.ts";
import { Blocked } from "./peer/index.ts";
import type { FannedOut } from "./peer.ts";
import { Bench, befriend, CACHE, HOUR, invite, MINUTE, putsFor, Side, urisOf, Wild } from "./testing/roots.ts";

/** Alice and her cache carol; eve, who has an invite of alice's without its secret, is blocked before anything or is not. */
function world(isBlocked: boolean) {
  const bench = new Bench();
  const [alice, eve] = [new Side(bench, "alice"), new Side(bench, "eve")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  alice.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  const link = alice.invite(false);
  if (isBlocked) expect(alice.call({ type: "block", who: eve.hashname })?.value).toEqual({ hashnames: [eve.hashname] });
  return { bench, alice, eve, carol, link };
}

/** All that left a machine, in order. */
function sent({ outs }: Side): string[] {
  return outs.flatMap((out) =>
    out.type === "transmit" ? [`${out.path["name"]} ${Buffer.from(out.bytes).toString("hex")}`] : [],
  );
}

test("what leaves us is byte for byte the same whether somebody is blocked or has never been heard of", () => {
  const runs = [false, true].map((isBlocked) => {
    const { bench, alice, eve, carol, link } = world(isBlocked);
    const { secret: _, ...open } = invite(link);
    eve.call({ type: "add", link: encodeInvite(open) }, MINUTE);
    const contact = eve.contact(alice) ?? "";
    for (const text of ["may I?", "hello?"]) eve.call({ type: "send", contact, mail: { kind: "text", text } }, MINUTE);
    bench.run(HOUR);
    return { sent: [sent(alice), sent(carol)], requests: alice.events("request").length };
  });
  expect(runs[0]?.sent[0]?.length).toBeGreaterThan(10);
  expect(runs.map(({ requests }) => requests)).toEqual([1, 0]);
  expect(runs[1]?.sent).toEqual(runs[0]?.sent);
});

test("an invite that is still open is worth nothing in the hands of who is blocked, on no way", () => {
  const { bench, alice, eve, carol, link } = world(true);
  eve.call({ type: "add", link }, HOUR);
  const contact = eve.contact(alice) ?? "";
  eve.call({ type: "send", contact, mail: { kind: "text", text: "it is me" } }, 8 * HOUR);
  expect(bench.count("eve", "alice")).toBeGreaterThan(3);
  expect(bench.count("eve", "carol")).toBeGreaterThan(3); // the token of an invite is for whoever holds it
  expect(bench.count("alice", "eve")).toBe(0);
  expect([alice.contact(eve), alice.root.requests(), alice.texts()]).toEqual([undefined, [], []]);
  expect(alice.events("request")).toEqual([]);
  // Somebody else who has it comes in.
  const dave = new Side(bench, "dave");
  dave.call({ type: "add", link }, HOUR);
  expect(alice.contact(dave)).toBeDefined();
  expect(carol.root.status().caches).toEqual([]);
});

test("a contact that is blocked is removed, its tokens are void, and it stays blocked over restarts and new invites", () => {
  const { bench, alice, eve, carol } = world(false);
  befriend(bench, alice, eve);
  expect(urisOf(eve, alice)).toHaveLength(1);
  // Alice leaves mail for herself there, too, now and then.
  const box = boxId(portable, eve.hashname, alice.hashname);
  const left = () => putsFor(carol, alice).filter((put) => put.box === box).length;
  expect(alice.call({ type: "block", who: alice.contact(eve) ?? "" }, MINUTE)?.value).toEqual({
    hashnames: [eve.hashname],
  });
  expect(alice.root.contacts()).toEqual([]);
  expect(alice.root.blocked()).toMatchObject([{ hashname: eve.hashname, name: "eve" }]);
  alice.restart();
  bench.run(HOUR);
  alice.invite(false); // forgives who was ignored, not who was blocked
  const before = [bench.count("alice", "eve"), left()];
  eve.restart();
  const contact = eve.contact(alice) ?? "";
  eve.call({ type: "send", contact, mail: { kind: "text", text: "why?" } }, 8 * HOUR);
  expect(bench.count("eve", "alice")).toBeGreaterThan(3);
  expect([bench.count("alice", "eve"), left()]).toEqual(before);
  expect([alice.texts(), alice.root.requests()]).toEqual([[], []]);
  expect(alice.call({ type: "add", link: eve.invite() })).toEqual({ code: "blocked" });
});

test("who sent a request can be blocked by it, and the application is not asked about who is blocked", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice", { asks: true });
  const [eve, mallory] = [new Wild(bench, "eve"), new Wild(bench, "mallory")];
  alice.call({ type: "block", who: eve.identity.hashname });
  for (const stranger of [eve, mallory]) stranger.want(alice);
  bench.run(MINUTE);
  const asked = new Set(alice.outs.flatMap((out) => (out.type === "ask" ? [out.hashname] : [])));
  expect(asked).toEqual(new Set([mallory.identity.hashname]));
  expect(bench.count("alice", "eve")).toBe(0);

  const { alice: anna, eve: emil, link } = world(false);
  const { secret: _, ...open } = invite(link);
  emil.call({ type: "add", link: encodeInvite(open) }, 5 * MINUTE);
  expect(anna.root.requests().map(({ hashname }) => hashname)).toEqual([emil.hashname]);
  anna.call({ type: "block", who: emil.hashname }, MINUTE);
  expect(anna.root.requests()).toEqual([]);
  expect(anna.root.blocked()).toMatchObject([{ hashname: emil.hashname, name: "eve" }]);
});

test("who is not blocked any more is a stranger like all others: an old invite asks, a new one lets in", () => {
  const { bench, alice, eve } = world(true);
  expect(alice.call({ type: "unblock", hashname: eve.hashname })?.value).toEqual({});
  expect(alice.call({ type: "unblock", hashname: eve.hashname })?.code).toBe("not-found");
  alice.restart();
  expect(alice.root.blocked()).toEqual([]);
  eve.call({ type: "add", link: alice.invite() }, HOUR);
  expect(alice.contact(eve)).toBeDefined();
  bench.run(MINUTE);
});

test("a token of somebody whose mail we keep lets in who is blocked, to that one's box alone", () => {
  const bench = new Bench();
  const [carol, bob] = [new Side(bench, "carol", { cache: CACHE }), new Side(bench, "bob")];
  bob.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  const eve = new Wild(bench, "eve");
  carol.call({ type: "block", who: eve.identity.hashname });
  const own = invite(carol.invite(false)).secret ?? new Uint8Array(16);
  eve.want(carol, secretUri(own));
  bench.run(10 * MINUTE);
  expect(bench.count("carol", "eve")).toBe(0);
  eve.want(carol, invite(bob.invite(false)).caches[0]?.uri);
  bench.run(10 * MINUTE);
  expect(eve.outs.some(({ type }) => type === "up")).toBe(true);
});

test("ourselves and nobody cannot be blocked, and the list has an end", () => {
  const { alice } = world(false);
  for (const who of ["", "eve", "ff".repeat(16)]) expect(alice.call({ type: "block", who })?.code).toBe("not-found");
  expect(alice.call({ type: "block", who: alice.hashname })?.code).toBe("self");
  const blocked = new Blocked({ saved: new Map(), boxOf: (sender) => sender });
  for (let i = 0; i < 10_000; i++) blocked.add(`${i}` as typeof alice.hashname, undefined, i);
  expect([blocked.hasRoom(0), blocked.hasRoom(1), blocked.all()[0]?.hashname]).toEqual([true, false, "0"]);
  blocked.remove("7" as typeof alice.hashname);
  expect([blocked.hasRoom(1), blocked.hasBox("7"), blocked.hasBox("8")]).toEqual([true, false, true]);
});

test("two contacts read the same words, and what one of them read makes the other's device verified, over a restart", () => {
  const { bench, alice, eve: bob } = world(false);
  befriend(bench, alice, bob);
  const [toBob, toAlice] = [alice.contact(bob) ?? "", bob.contact(alice) ?? ""];
  const [hers] = alice.root.safety(toBob) ?? [];
  const [his] = bob.root.safety(toAlice) ?? [];
  expect([hers?.hashname, his?.hashname]).toEqual([bob.hashname, alice.hashname]);
  expect([hers?.words, hers?.text]).toEqual([his?.words, his?.text]);
  expect(alice.root.contacts()[0]?.verified).toBe("none");
  const wrong = [...(his?.words ?? [])].reverse().join(" ");
  expect(alice.call({ type: "verify", contact: toBob, said: wrong })?.code).toBe("mismatch");
  expect(alice.root.contacts()[0]?.verified).toBe("none");
  const said = ` ${his?.words.join(", ").toUpperCase()}\n`;
  expect(alice.call({ type: "verify", contact: toBob, said })?.value).toMatchObject({ id: toBob, verified: "all" });
  alice.restart();
  expect(alice.root.contacts()[0]?.verified).toBe("all");
  expect(alice.call({ type: "verify", contact: toBob })?.value).toMatchObject({ verified: "none" });
  expect(bob.call({ type: "verify", contact: toAlice, said: hers?.text ?? "" })?.value).toMatchObject({
    verified: "all",
  });
  expect(bob.call({ type: "verify", contact: "ff".repeat(16), said })?.code).toBe("not-found");
  expect(bob.root.safety("ff".repeat(16))).toBeUndefined();
});

test("a mail to a list is one here and one to each contact, who cannot see by it that there are others", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  const friends = ["bob", "carla", "dora"].map((name) => new Side(bench, name));
  for (const friend of friends) befriend(bench, alice, friend);
  const contacts = friends.map((friend) => alice.contact(friend) ?? "");
  const [, , dora] = friends;
  bench.machines.delete("dora");
  expect(alice.call({ type: "list", name: "Friends", contacts })?.value).toEqual({ name: "Friends", contacts });
  alice.restart();
  bench.run(MINUTE);
  const list = alice.root.list("FRIENDS");
  expect(list?.contacts).toEqual(contacts);
  const mail = { kind: "text", text: "party" } as const;
  const to = contacts.map((contact) => ({ contact, mail }));
  const sent = alice.call({ type: "send-list", list: "Friends", to }, MINUTE)?.value as FannedOut;
  expect(sent).toMatchObject({ contacts: 3, refused: [] });
  const [entry, ...others] = alice.root.outbox().filter(({ kind }) => kind === "text");
  expect(others).toEqual([]);
  expect(entry).toMatchObject({ id: sent.id, list: { name: "Friends", delivered: 2, of: 3 }, state: "queued" });
  expect(friends.map((friend) => friend.texts())).toEqual([["party"], ["party"], []]);
  const ids = friends.flatMap((friend) => friend.events("mail").map(({ id }) => id));
  expect(new Set([...ids, sent.id]).size).toBe(3);
  const told = alice.events("state").filter((event) => event.list === sent.id);
  expect(
    told
      .filter(({ state }) => state === "delivered")
      .map(({ contact }) => contact)
      .sort(),
  ).toEqual(contacts.slice(0, 2).sort());
  // After a crash it is known still, and the last one counts when it is there.
  alice.restart();
  if (dora) bench.machines.set("dora", dora);
  bench.run(2 * HOUR);
  expect(alice.root.outbox().find(({ id }) => id === sent.id)).toMatchObject({
    state: "delivered",
    list: { delivered: 3, of: 3 },
  });
  expect(alice.call({ type: "cancel", id: sent.id })?.code).toBe("final");
  const record = JSON.parse(fromUtf8(alice.disk.get(`ledger/${sent.id}`) ?? new Uint8Array(0)) ?? "");
  expect(record.mails.map(([contact]: [string]) => contact)).toEqual(contacts);
});

test("a mail to a list can be given up as one, goes to whom it can, and is forgotten when its mails are", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  const friends = ["bob", "carla"].map((name) => new Side(bench, name));
  for (const friend of friends) befriend(bench, alice, friend);
  const contacts = friends.map((friend) => alice.contact(friend) ?? "");
  for (const { name } of friends) bench.machines.delete(name);
  const mail = { kind: "text", text: "party" } as const;
  const send = (ids: readonly string[]) =>
    alice.call({ type: "send-list", list: "f", to: ids.map((contact) => ({ contact, mail })) });
  expect(send([])?.code).toBe("not-found");
  expect(send(["ff".repeat(16)])?.code).toBe("not-found");
  const sent = send([...contacts, "ff".repeat(16)])?.value as FannedOut;
  expect(sent).toMatchObject({ contacts: 2, refused: [["ff".repeat(16), "not-found"]] });
  expect(alice.call({ type: "cancel", id: sent.id })?.value).toEqual({ id: sent.id });
  expect(alice.root.outbox().find(({ id }) => id === sent.id)?.state).toBe("cancelled");
  bench.run(60 * 24 * HOUR);
  send(contacts);
  const kept = [...alice.disk.keys()].filter((key) => key.startsWith("peer/fan/"));
  expect(kept).toHaveLength(1);
  expect(kept).not.toContain(`peer/fan/${sent.id}`);
});

test("a list has a name, has contacts alone, loses who is removed, and is over with the last", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  const friends = ["bob", "carla"].map((name) => new Side(bench, name));
  for (const friend of friends) befriend(bench, alice, friend);
  const contacts = friends.map((friend) => alice.contact(friend) ?? "");
  const set = (name: string, ids: readonly string[]) => alice.call({ type: "list", name, contacts: ids })?.code;
  expect([set("", contacts), set("a\nb", contacts), set("x".repeat(65), contacts)]).toEqual(Array(3).fill("bad-name"));
  expect(set("f", ["ff".repeat(16)])).toBe("not-found");
  expect(set("f", [...contacts, ...contacts])).toBeUndefined();
  for (let i = 1; i < 256; i++) expect(set(`list ${i}`, contacts)).toBeUndefined();
  expect([set("one more", contacts), set("F", contacts)]).toEqual(["full", undefined]);
  for (let i = 1; i < 256; i++) set(`list ${i}`, []);
  alice.call({ type: "remove", contact: contacts[0] ?? "" });
  alice.restart();
  expect(alice.root.lists()).toEqual([{ name: "F", contacts: contacts.slice(1) }]);
  alice.call({ type: "block", who: contacts[1] ?? "" });
  expect(alice.root.lists()).toEqual([]);
  expect([...alice.disk.keys()].filter((key) => key.startsWith("peer/list/"))).toEqual([]);
});
