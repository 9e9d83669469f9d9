import { expect, test } from "vitest";
import { equal } from "../bytes/index.ts";
import { encodeInvite, parseInvite } from "../card/index.ts";
import { portable } from "../crypto/index.ts";
import { post, scene, states } from "./scene.ts";
import { type SimPeer, World } from "./world.ts";

function join(world: World, peer: SimPeer, cache: SimPeer): void {
  const errors: unknown[] = [];
  peer.call({ type: "join", link: cache.root.joinLink() }, (_, error) => errors.push(error));
  world.run("1 min");
  expect(errors).toEqual([undefined]);
}

function befriend(world: World, a: SimPeer, b: SimPeer): void {
  a.call({ type: "invite", once: true }, (value) => {
    b.call({ type: "add", link: (value as { link: string }).link });
  });
  world.run("5 min");
}

test("[A1] [A2] a mail outlives its sender's absence: the two are never awake together", () => {
  const w = new World({ seed: 7, loss: 0.3 });
  const [alice, bob, carol] = [w.peer("alice"), w.peer("bob"), w.cache("carol")];
  w.run("1 s");
  join(w, alice, carol);
  join(w, bob, carol);
  befriend(w, alice, bob);
  bob.sleep();
  let id: string | undefined;
  alice.send(bob, "hi", (known) => {
    id = known;
  });
  w.run("10 min");
  expect(alice.ledger(id ?? "").map((entry) => entry.state)).toContain("handed");
  alice.sleep();
  w.run("1 day");
  expect(carol.held).toBeGreaterThan(0);
  bob.wake();
  w.run("5 min");
  expect(bob.inbox()).toEqual(["hi"]);
  bob.sleep();
  alice.wake();
  w.run("5 min");
  expect(alice.ledger(id ?? "").at(-1)?.state).toBe("delivered");
  expect(carol.held).toBe(0);
});

test("an invite that asks for work: the stranger's mail comes all the same, through a crash in the middle of it", () => {
  const w = new World({ seed: 11, loss: 0.2 });
  const [alice, bob, carol] = [w.peer("alice"), w.peer("bob"), w.cache("carol")];
  w.run("1 s");
  join(w, bob, carol);
  let link = "";
  bob.call({ type: "invite", once: true, work: 16 }, (value) => {
    ({ link } = value as { link: string });
  });
  w.run("1 s");
  bob.sleep();
  alice.call({ type: "add", link });
  w.run("1 s");
  let isDurable = false;
  alice.send(bob, "it was some work", () => {
    isDurable = true;
  });
  for (let ms = 0; (alice.stamps === 0 || !isDurable) && ms < 60_000; ms += 10) w.run(10);
  expect([alice.stamps, carol.held]).toEqual([1, 0]);
  alice.crash();
  w.run("1 min");
  alice.wake();
  w.run("5 min");
  expect(alice.stamps).toBe(2);
  expect(carol.held).toBe(2); // her card, and the text
  bob.wake();
  w.run("5 min");
  expect(bob.inbox()).toEqual(["it was some work"]);
  expect(alice.outbox().map(({ state }) => state)).not.toContain("queued");
});

test("two peers with a link need no cache", () => {
  const w = new World({ seed: 8 });
  const [alice, bob] = [w.peer("alice"), w.peer("bob")];
  w.run("1 s");
  befriend(w, alice, bob);
  alice.send(bob, "direct");
  w.run("5 s");
  expect(bob.inbox()).toEqual(["direct"]);
});

test("a file arrives whole through a cache", () => {
  const w = new World({ seed: 9, loss: 0.1 });
  const [alice, bob, carol] = [w.peer("alice"), w.peer("bob"), w.cache("carol")];
  w.run("1 s");
  join(w, alice, carol);
  join(w, bob, carol);
  befriend(w, alice, bob);
  bob.sleep();
  const content = w.chance.random(300_000);
  alice.sendFile(bob, "photo.raw", content);
  w.run("30 min");
  alice.sleep();
  bob.wake();
  w.run("30 min");
  expect(bob.inbox()).toEqual(["photo.raw"]);
  const [record] = bob.records();
  expect(record && bob.fileOf(record)).toEqual(content);
});

test("a file of many parts over a link, and a hundred texts behind it", () => {
  const w = new World({ seed: 11 });
  const [alice, bob] = [w.peer("alice"), w.peer("bob")];
  w.run("1 s");
  befriend(w, alice, bob);
  const content = w.chance.random(3_000_000);
  alice.sendFile(bob, "film.raw", content);
  for (let i = 0; i < 100; i++) alice.send(bob, `text ${i}`);
  w.run("5 min");
  expect(bob.inbox()).toHaveLength(101);
  const film = bob.records().find((mail) => mail.kind === "file");
  expect(film !== undefined && equal(bob.fileOf(film), content)).toBe(true);
});

// --- routes ---

test("[C4] while the link is up mail goes over it, and no cache is asked", () => {
  const { w, alice, bob, carol } = scene({ seed: 21 }, ["alice", "bob"], ["carol"]);
  const deposits = carol.deposits;
  const id = post(w, alice, bob, "direct");
  w.run("10 s");
  expect(bob.inbox()).toEqual(["direct"]);
  expect(states(alice, id)).toEqual(["queued", "handed", "delivered"]);
  expect(alice.ledger(id).flatMap(({ route }) => route ?? [])).toEqual(["direct"]);
  expect(carol.deposits).toBe(deposits);
});

test("[A16] [A30] a message is the second choice: mail takes the link's channels while there is one, and is labelled for what it is", () => {
  const { w, alice, bob, carol } = scene({ seed: 20 }, ["alice", "bob"], ["carol"]);
  const routes = (id: string) => alice.ledger(id).flatMap(({ route }) => route ?? []);
  const deposits = carol.deposits;
  const direct = post(w, alice, bob, "while you are here");
  const content = w.chance.random(500_000); // more than any message holds
  alice.sendFile(bob, "film.raw", content);
  w.run("1 min");
  expect(routes(direct)).toEqual(["direct"]);
  const [film] = bob.records().filter(({ kind }) => kind === "file");
  expect(film && equal(bob.fileOf(film), content)).toBe(true);
  expect(routes(film?.id ?? "")).toEqual(["direct"]);
  expect(carol.deposits).toBe(deposits); // not so much as a copy went another way
  bob.sleep();
  const away = post(w, alice, bob, "for when you come");
  w.run("5 min");
  expect([routes(away), carol.held]).toEqual([["cache"], 1]);
  expect(alice.outbox().find(({ id }) => id === away)).toMatchObject({ suite: "forward" });
  bob.wake();
  w.run("1 min");
  expect(bob.records().map(({ text, suite }) => [text, suite])).toEqual([
    ["while you are here", "forward"],
    [undefined, "forward"], // the film
    ["for when you come", "forward"],
  ]);
});

test("[C1] [C2] [C3] mail waits at two of the caches that its recipient joined and that can be reached, at no other", () => {
  const { w, alice, bob, carol, dave, erin } = scene({ seed: 22 }, ["alice", "bob"], ["carol", "dave", "erin"]);
  const frank = w.cache("frank");
  w.run("1 s");
  alice.call({ type: "join", link: frank.root.joinLink() });
  w.run("2 min");
  bob.sleep();
  dave.sleep();
  const id = post(w, alice, bob, "hi");
  w.run("10 min");
  expect([carol, erin, frank].map((cache) => cache.held)).toEqual([1, 1, 0]);
  const entries = alice.ledger(id).filter(({ state }) => state === "handed");
  expect(entries.map(({ cache }) => cache).sort()).toEqual([carol.hashname, erin.hashname].sort());
  expect(entries.every(({ route }) => route === "cache")).toBe(true);
});

test("two who cannot reach each other write by a link through their cache when it routes, and it stores nothing", () => {
  const { w, alice, bob, carol } = scene({ seed: 25 }, ["alice", "bob"], ["carol"], { routes: true });
  w.part(alice, bob);
  w.run("5 min"); // until both know that the straight path is gone
  const deposits = carol.deposits;
  for (let i = 0; i < 10; i++) {
    const id = post(w, i % 2 === 0 ? alice : bob, i % 2 === 0 ? bob : alice, `line ${i}`);
    w.run("20 s");
    expect((i % 2 === 0 ? alice : bob).ledger(id).map(({ route }) => route)).toEqual([undefined, "direct", undefined]);
  }
  expect([alice.inbox().length, bob.inbox().length]).toEqual([5, 5]);
  expect(carol.deposits).toBe(deposits);
  // One that restarts has forgotten who is where, and is told again. With the path back, they need it no more.
  carol.crash();
  carol.wake();
  w.run("5 min");
  const after = post(w, alice, bob, "after the crash");
  w.run("1 min");
  expect(alice.ledger(after).map(({ route }) => route)).toContain("direct");
  w.join(alice, bob);
  w.run("1 hour");
  carol.sleep();
  post(w, alice, bob, "without you");
  w.run("1 min");
  expect(bob.inbox().at(-1)).toBe("without you");
});

test("a cache that was not asked to routes nothing, and mail waits in it instead", () => {
  const { w, alice, bob, carol } = scene({ seed: 26 }, ["alice", "bob"], ["carol"]);
  w.part(alice, bob);
  w.run("5 min");
  const deposits = carol.deposits;
  const id = post(w, alice, bob, "by the box");
  w.run("1 min");
  expect(alice.ledger(id).flatMap(({ route }) => route ?? [])).toEqual(["cache"]);
  expect(carol.deposits).toBeGreaterThan(deposits);
});

test("two who cannot reach each other write by a cache, at once while both are awake", () => {
  const { w, alice, bob } = scene({ seed: 23, loss: 0.1 }, ["alice", "bob"], ["carol"]);
  w.part(alice, bob);
  w.run("5 min");
  for (let i = 0; i < 10; i++) {
    post(w, alice, bob, `a${i}`);
    post(w, bob, alice, `b${i}`);
    w.run("30 s");
  }
  expect(bob.inbox().sort()).toEqual(Array.from({ length: 10 }, (_, i) => `a${i}`));
  expect(alice.inbox().sort()).toEqual(Array.from({ length: 10 }, (_, i) => `b${i}`));
  w.run("1 min");
  expect(alice.outbox().every(({ state }) => state === "delivered")).toBe(true);
});

test("when a line is cut in the middle of a conversation, the caches take over, and back", () => {
  const { w, alice, bob, carol } = scene({ seed: 24 }, ["alice", "bob"], ["carol"]);
  post(w, alice, bob, "one");
  w.run("5 s");
  w.part(alice, bob);
  post(w, alice, bob, "two");
  w.run("1 min");
  expect(bob.inbox()).toEqual(["one", "two"]);
  w.join(alice, bob);
  w.run("15 min");
  const deposits = carol.deposits;
  post(w, alice, bob, "three");
  w.run("10 s");
  expect([bob.inbox(), carol.deposits]).toEqual([["one", "two", "three"], deposits]);
});

test("[C4] what waits at caches begins to arrive within a second of the link, and no cache is asked again", () => {
  for (const latency of [10, 200]) {
    const { w, alice, bob, carol } = scene({ seed: 35, latency: [latency, latency] }, ["alice", "bob"], ["carol"]);
    bob.sleep();
    w.run("1 min");
    const texts = Array.from({ length: 100 }, (_, i) => `text ${i}`);
    const ids = texts.map((text) => post(w, alice, bob, text));
    w.run("10 min");
    expect(carol.held).toBe(100);
    // Only the link can bring them now.
    carol.crash();
    w.run("3 min");
    bob.wake();
    const isUp = (): boolean =>
      alice.root.status().links.some((link) => link.hashname === bob.hashname && link.state === "up");
    for (let ms = 0; !isUp() && ms < 60_000; ms += 10) w.run(10);
    expect(isUp()).toBe(true);
    w.run("1 s");
    expect(bob.inbox().length).toBeGreaterThan(0);
    w.run("30 s");
    expect(bob.inbox().sort()).toEqual(texts.sort());
    expect(ids.map((id) => states(alice, id).at(-1))).toEqual(ids.map(() => "delivered"));
  }
});

// --- caches that fail ---

test("[C9] a cache that crashes has lost its boxes; the mail is left there again and arrives", () => {
  const { w, alice, bob, carol } = scene({ seed: 25, loss: 0.1 }, ["alice", "bob"], ["carol"]);
  bob.sleep();
  const id = post(w, alice, bob, "survivor");
  w.run("10 min");
  expect(carol.held).toBe(1);
  carol.crash();
  w.run("1 min");
  expect(carol.held).toBe(0);
  carol.wake();
  w.run("5 min");
  expect(carol.held).toBeGreaterThan(0);
  alice.sleep();
  bob.wake();
  w.run("5 min");
  expect(bob.inbox()).toEqual(["survivor"]);
  alice.wake();
  w.run("5 min");
  expect(states(alice, id)).toEqual(["queued", "handed", "delivered"]);
});

test("[C9] mail that a cache lost while its sender was away is left there again when the sender is back", () => {
  const { w, alice, bob, carol } = scene({ seed: 25, loss: 0.1 }, ["alice", "bob"], ["carol"]);
  bob.sleep();
  const id = post(w, alice, bob, "survivor");
  w.run("1 min");
  expect(carol.held).toBe(1);
  alice.crash();
  carol.crash();
  carol.wake();
  w.run("1 hour");
  expect(carol.held).toBe(0);
  alice.wake();
  w.run("2 min");
  expect(carol.held).toBeGreaterThan(0);
  alice.sleep();
  bob.wake();
  w.run("2 min");
  expect(bob.inbox()).toEqual(["survivor"]);
  alice.wake();
  w.run("5 min");
  expect(states(alice, id)).toEqual(["queued", "handed", "delivered"]);
});

test("of two caches that both drop half of what they take, everything comes through in the end", () => {
  const { w, alice, bob, carol, dave } = scene({ seed: 26, loss: 0.1 }, ["alice", "bob"], ["carol", "dave"]);
  carol.dropsPuts = dave.dropsPuts = 0.5;
  const texts = Array.from({ length: 20 }, (_, i) => `number ${i}`);
  bob.sleep();
  const ids = texts.map((text) => post(w, alice, bob, text));
  for (let day = 0; day < 7; day++) {
    w.run("5 min");
    alice.sleep();
    bob.wake();
    w.run("5 min");
    bob.sleep();
    w.run("1 day");
    alice.wake();
  }
  w.run("5 min");
  expect(bob.inbox().sort()).toEqual([...texts].sort());
  expect(ids.map((id) => states(alice, id).at(-1))).toEqual(ids.map(() => "delivered"));
});

// --- once ---

test("[C12] [C15] [C17] a mail that comes by two caches and by the link is shown once, and only its reader ends it", () => {
  const { w, alice, bob, carol, dave } = scene({ seed: 27, duplicate: 0.3 }, ["alice", "bob"], ["carol", "dave"]);
  bob.sleep();
  const id = post(w, alice, bob, "one of many");
  w.run("1 hour");
  expect([carol.held, dave.held]).toEqual([1, 1]);
  expect(states(alice, id)).toEqual(["queued", "handed"]);
  bob.wake();
  w.run("1 hour");
  expect(bob.inbox()).toEqual(["one of many"]);
  expect(bob.events.filter(({ type }) => type === "mail")).toHaveLength(1);
  expect([states(alice, id).at(-1), carol.held, dave.held]).toEqual(["delivered", 0, 0]);
});

// --- the end of a mail ---

test("[C37] a mail that is cancelled before it was fetched is never shown, and leaves the caches", () => {
  const { w, alice, bob, carol, dave } = scene({ seed: 28, loss: 0.1 }, ["alice", "bob"], ["carol", "dave"]);
  bob.sleep();
  const id = post(w, alice, bob, "never mind");
  w.run("10 min");
  expect([carol.held, dave.held]).toEqual([1, 1]);
  alice.call({ type: "cancel", id });
  w.run("10 min");
  expect([carol.held, dave.held]).toEqual([0, 0]);
  expect(states(alice, id)).toEqual(["queued", "handed", "cancelled"]);
  bob.wake();
  w.run("10 min");
  expect([bob.inbox(), states(alice, id).at(-1)]).toEqual([[], "cancelled"]);
});

test("a mail that is cancelled too late has been delivered, and its ledger says so", () => {
  const { w, alice, bob } = scene({ seed: 29 }, ["alice", "bob"], ["carol"]);
  bob.sleep();
  const id = post(w, alice, bob, "too late");
  w.run("10 min");
  alice.sleep();
  bob.wake();
  w.run("5 s"); // fetched; the acknowledgement waits for alice
  bob.sleep();
  expect(bob.inbox()).toEqual(["too late"]);
  alice.wake();
  w.run("20 ms"); // no link yet
  const answers: unknown[] = [];
  alice.call({ type: "cancel", id }, (_, error) => answers.push(error));
  w.run("5 min");
  expect(answers).toEqual([undefined]);
  expect(states(alice, id)).toEqual(["queued", "handed", "cancelled", "delivered"]);
});

test("[C34] an expired mail is not offered, not kept and not shown; the ledger says expired", () => {
  const { w, alice, bob, carol } = scene({ seed: 30, loss: 0.1 }, ["alice", "bob"], ["carol"]);
  bob.sleep();
  const id = post(w, alice, bob, "today only", w.now + 3_600_000);
  w.run("30 min");
  expect(carol.held).toBe(1);
  alice.sleep(); // nobody takes it back: the cache itself sweeps each hour
  w.run("2 hours");
  expect(carol.held).toBe(0);
  alice.wake();
  w.run("1 s");
  expect(states(alice, id)).toEqual(["queued", "handed", "expired"]);
  bob.wake();
  w.run("10 min");
  expect(bob.inbox()).toEqual([]);
  // The next one arrives; what is missing before it is told, and forgotten when nothing more can come.
  post(w, alice, bob, "tomorrow");
  w.run("5 s");
  expect(bob.inbox()).toEqual(["tomorrow"]);
  const missing = (): unknown[] => bob.events.flatMap((event) => (event.type === "gap" ? [event.missing] : []));
  expect(missing()).toEqual([1]);
  for (const peer of [alice, bob]) peer.sleep();
  w.run("3 days");
  for (const peer of [alice, bob]) peer.wake();
  w.run("1 min");
  post(w, alice, bob, "later");
  w.run("5 s");
  expect([missing(), bob.inbox()]).toEqual([
    [1, 0],
    ["tomorrow", "later"],
  ]);
});

test("a gap holds nothing back, is told, and heals", () => {
  const { w, alice, bob, carol } = scene({ seed: 31 }, ["alice", "bob"], ["carol"]);
  bob.sleep();
  post(w, alice, bob, "first");
  w.run("10 min");
  carol.dropsPuts = 1;
  post(w, alice, bob, "second");
  w.run("10 min");
  carol.dropsPuts = 0;
  post(w, alice, bob, "third");
  w.run("10 min");
  alice.sleep();
  bob.wake();
  w.run("10 min");
  bob.sleep();
  expect(bob.inbox().sort()).toEqual(["first", "third"]);
  const missing = (): unknown[] => bob.events.flatMap((event) => (event.type === "gap" ? [event.missing] : []));
  const told = missing(); // what comes at once may be shown in either order: 2 were missing for a moment, or not
  expect([[1], [2, 1]]).toContainEqual(told);
  // Who starts again is not told anew, and knows.
  bob.wake();
  w.run("1 min");
  expect([bob.root.contacts().map((contact) => contact.missing), missing()]).toEqual([[1], told]);
  bob.sleep();
  alice.wake();
  w.run("2 min");
  alice.sleep();
  bob.wake();
  w.run("10 min");
  expect([bob.inbox().sort(), missing().at(-1)]).toEqual([["first", "second", "third"], 0]);
});

// --- people ---

test("a stranger's request is shown when it is accepted, and otherwise never", () => {
  for (const accepts of [true, false]) {
    const { w, alice, carol } = scene({ seed: 32, loss: 0.2 }, ["alice", "bob"], ["carol"]);
    const eve = w.peer("eve");
    w.run("1 s");
    let link = "";
    alice.call({ type: "invite", once: true }, (value) => {
      link = (value as { link: string }).link;
    });
    w.run("1 s");
    const { secret: _, ...open } = parseInvite(portable, link) ?? fail();
    alice.sleep();
    eve.call({ type: "add", link: encodeInvite(open) });
    w.run("1 s");
    const id = post(w, eve, alice, "do you remember me?");
    w.run("10 min");
    expect(carol.held).toBeGreaterThan(0);
    eve.sleep();
    alice.wake();
    w.run("10 min");
    const [request] = alice.root.requests();
    expect(request).toMatchObject({ hashname: eve.hashname, name: "eve", texts: ["do you remember me?"] });
    expect(alice.inbox()).toEqual([]);
    alice.call({ type: accepts ? "accept" : "ignore", request: request?.request ?? "" });
    w.run("10 min");
    alice.sleep();
    eve.wake();
    w.run("10 min");
    eve.sleep();
    w.run("7 hours");
    for (const peer of [alice, eve]) peer.wake();
    w.run("10 min");
    expect(alice.inbox()).toEqual(accepts ? ["do you remember me?"] : []);
    expect(states(eve, id).at(-1)).toBe(accepts ? "delivered" : "handed");
    expect([alice.contactId(eve) !== undefined, alice.root.requests().length]).toEqual([accepts, 0]);
  }
});

test("two who invite each other, and are never awake together, are one contact each", () => {
  const w = new World({ seed: 33, loss: 0.2 });
  const [alice, bob, carol] = [w.peer("alice"), w.peer("bob"), w.cache("carol")];
  w.run("1 s");
  for (const peer of [alice, bob]) join(w, peer, carol);
  w.run("1 min"); // an invite names the caches that were joined by then
  const links: string[] = [];
  for (const [i, peer] of [alice, bob].entries()) // whoever is answered first
    peer.call({ type: "invite", once: true }, (value) => {
      links[i] = (value as { link: string }).link;
    });
  w.run("1 s");
  alice.sleep();
  bob.call({ type: "add", link: links[0] ?? "" });
  w.run("1 s");
  post(w, bob, alice, "from bob");
  bob.sleep(); // before anything could be handed over
  alice.wake();
  w.run("1 s");
  alice.call({ type: "add", link: links[1] ?? "" });
  w.run("1 s");
  post(w, alice, bob, "from alice");
  for (let i = 0; i < 4; i++) {
    w.run("10 min");
    alice.sleep();
    bob.wake();
    w.run("10 min");
    bob.sleep();
    alice.wake();
  }
  w.run("10 min");
  bob.wake();
  w.run("10 min");
  expect([alice.inbox(), bob.inbox()]).toEqual([["from bob"], ["from alice"]]);
  for (const peer of [alice, bob]) {
    expect(peer.root.contacts()).toHaveLength(1);
    expect(peer.root.requests()).toEqual([]);
    expect(peer.outbox().filter(({ state }) => state !== "delivered")).toEqual([]);
  }
  expect(carol.held).toBe(0);
});

// --- clocks ---

const DAY_MS = 86_400_000;

test("a peer whose clock jumps back a day at its restart links and exchanges mail as before", () => {
  const { w, alice, bob, carol } = scene({ seed: 34, loss: 0.1 }, ["alice", "bob"], ["carol"]);
  post(w, alice, bob, "before");
  w.run("5 min");
  bob.sleep();
  bob.clockError = -DAY_MS;
  post(w, alice, bob, "while away");
  w.run("10 min");
  expect(carol.held).toBe(1);
  bob.wake();
  w.run("3 min");
  expect(bob.root.contacts().map(({ link }) => link)).toEqual(["up"]);
  const ids = [post(w, alice, bob, "after"), post(w, bob, alice, "answer")];
  w.run("1 min");
  expect([bob.inbox(), alice.inbox()]).toEqual([["before", "while away", "after"], ["answer"]]);
  expect([states(alice, ids[0] ?? "").at(-1), states(bob, ids[1] ?? "").at(-1)]).toEqual(["delivered", "delivered"]);
});

test("[B38] [X11] a peer that lost its count besides comes back, too, and so does a cache, which has none", () => {
  const { w, alice, bob, carol } = scene({ seed: 35, loss: 0.1 }, ["alice", "bob"], ["carol"]);
  for (const peer of [bob, carol]) {
    peer.sleep();
    peer.clockError = -DAY_MS;
  }
  bob.disk.delete("mesh/at");
  w.run("10 s"); // alice has noticed nothing: she still holds the newer handshakes
  for (const peer of [bob, carol]) peer.wake();
  w.run("15 min");
  expect(bob.root.contacts().map(({ link }) => link)).toEqual(["up"]);
  for (const peer of [alice, bob]) expect(peer.root.status().caches).toMatchObject([{ up: true }]);
  w.part(alice, bob);
  post(w, alice, bob, "by carol");
  w.run("2 min");
  w.join(alice, bob);
  post(w, bob, alice, "and back");
  w.run("2 min");
  expect([bob.inbox(), alice.inbox()]).toEqual([["by carol"], ["and back"]]);
});

function fail(): never {
  throw new Error("this cannot be");
}

test.each([
  [true, "down"],
  [false, "up"],
])("who dies is missed at once where there are streams, and only there: %s", (streams, state) => {
  const { w, alice, carol } = scene({ seed: 3, streams }, ["alice"], ["carol"]);
  const link = () => alice.root.status().links.find(({ hashname }) => hashname === carol.hashname)?.state;
  expect(link()).toBe("up");
  carol.crash();
  w.run("5 s");
  expect(link()).toBe(state);
  carol.wake();
  w.run("3 min");
  expect(link()).toBe("up");
});
