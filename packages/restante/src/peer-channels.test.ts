/** Channels of applications through whole peers: in worlds with faults, and as strangers see them. */
import { expect, test } from "vitest";
import type { ApplicationCall, Content, Opening } from "./application/index.ts";
import { secretUri } from "./card/index.ts";
import type { MeshOut } from "./mesh/index.ts";
import { Bench, befriend, HOUR, invite, MINUTE, Side, Wild } from "./testing/roots.ts";
import { type SimPeer, World } from "./testing/world.ts";

const NOTHING = new Uint8Array(0);
const PACKETS = 60;

/** What became of one channel of the sender. */
interface Session {
  readonly heard: number[];
  /** The recipient saw the end behind the last packet. */
  hasEnd: boolean;
  /** `undefined`: the sender has not heard of an end. */
  end?: { why: string | undefined };
}

/** An application at each end: one counts, again and again, the other writes down what it hears. */
class Talk {
  readonly sessions: Session[] = [];
  readonly #roots = new Map<SimPeer, unknown>();

  /** Begins anew at a peer whose root is another one than last time. */
  look(from: SimPeer, to: SimPeer): void {
    for (const peer of [from, to]) {
      const root = peer.isAwake && peer.driver.state === "running" ? peer.driver.root : undefined;
      if (root === undefined || root === this.#roots.get(peer)) continue;
      this.#roots.set(peer, root);
      if (peer === from) this.#open(from, to);
      else this.#ask(to, { type: "serve", kind: "count" }, () => this.#accept(to));
    }
  }

  #ask<T>(peer: SimPeer, ask: ApplicationCall, done: (value: T) => void, failed: () => void = () => {}): void {
    const root = peer.driver.root;
    peer.call({ type: "channel", ask }, (value, error) => {
      if (error === undefined) done(value as T);
      else if (peer.isAwake && peer.driver.root === root) failed();
    });
  }

  #open(from: SimPeer, to: SimPeer): void {
    const session = this.sessions.length;
    const head = { session };
    const again = (): void => this.#open(from, to);
    this.sessions.push({ heard: [], hasEnd: false });
    this.#ask<Opening>(
      from,
      { type: "open", to: to.hashname, kind: "count", reliable: true, head, body: NOTHING },
      ({ ch }) => {
        this.#ask<string | undefined>(from, { type: "watch", ch }, (why) => {
          (this.sessions[session] as Session).end = { why };
          if (this.sessions.length < 400) again();
        });
        this.#send(from, ch, 0);
        this.#ask<Content | undefined>(from, { type: "receive", ch }, () => {});
      },
      again,
    );
  }

  #send(from: SimPeer, ch: number, n: number): void {
    const end = n === PACKETS - 1;
    this.#ask(from, { type: "send", ch, head: { n }, body: new Uint8Array(200), end }, () => {
      if (!end) this.#send(from, ch, n + 1);
    });
  }

  #accept(to: SimPeer): void {
    this.#ask<Opening>(to, { type: "accept", kind: "count" }, ({ ch, content }) => {
      this.#accept(to);
      const session = this.sessions[Number(content?.head["session"])];
      if (session !== undefined) this.#receive(to, ch, session);
    });
  }

  #receive(to: SimPeer, ch: number, session: Session): void {
    this.#ask<Content | undefined>(to, { type: "receive", ch }, (content) => {
      if (content !== undefined) {
        session.heard.push(Number(content.head["n"]));
        this.#receive(to, ch, session);
        return;
      }
      session.hasEnd = true;
      this.#ask(to, { type: "send", ch, head: {}, body: NOTHING, end: true }, () => {});
    });
  }
}

test.each([1, 2, 3])(
  "through loss, disorder, crashes and sleep: in order and once, or an end with a reason (world %i)",
  (seed) => {
    const w = new World({ seed, loss: 0.15, duplicate: 0.1, latency: [10, 1500], commitFailure: 0.02 });
    const [alice, bob] = [w.peer("alice"), w.peer("bob")];
    w.run("1 s");
    alice.call({ type: "invite", once: true }, (value) =>
      bob.call({ type: "add", link: (value as { link: string }).link }),
    );
    w.run("10 min");
    const talk = new Talk();
    const chance = w.chance.fork();
    const pass = (seconds: number): void => {
      for (let i = 0; i < seconds; i += 5) {
        for (const peer of [alice, bob]) if (!peer.isAwake) peer.wake();
        talk.look(alice, bob);
        w.run("5 s");
      }
    };
    for (let turn = 0; turn < 25; turn++) {
      const unlucky = chance.happens(0.5) ? alice : bob;
      const fate = chance.pick(["crash", "sleep", "part", "nothing"] as const);
      if (fate === "crash") unlucky.crashAt("transmit", chance.between(1, 60));
      if (fate === "sleep") unlucky.sleep();
      if (fate === "part") w.part(alice, bob);
      pass(fate === "part" ? chance.pick([10, 60]) : 20);
      w.join(alice, bob);
      pass(30);
    }
    w.faults = false;
    pass(120);
    const ends = talk.sessions.flatMap(({ end }) => (end === undefined ? [] : [end.why]));
    const good = talk.sessions.filter(({ end }) => end !== undefined && end.why === undefined);
    for (const { heard } of talk.sessions) expect(heard).toEqual([...Array(heard.length).keys()]);
    for (const { heard, hasEnd } of good) expect([heard.length, hasEnd]).toEqual([PACKETS, true]);
    // Both kinds of ends were there, or this world shows nothing.
    expect(good.length).toBeGreaterThan(3);
    expect(ends.some((why) => why !== undefined)).toBe(true);
    // Nobody talks any more: nothing is left of it.
    for (const peer of [alice, bob]) {
      peer.sleep();
      peer.wake();
    }
    w.run("1 hour");
    for (const peer of [alice, bob]) expect(peer.root.status().channels).toBe(0);
  },
);

test("a stranger with a link sees of a type that is served what it sees of any other, and nobody hears of it", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  befriend(bench, alice, bob);
  const eve = new Wild(bench, "eve");
  eve.want(alice, secretUri(invite(alice.invite(false)).secret ?? NOTHING));
  bench.run(MINUTE);
  expect(eve.outs.some(({ type }) => type === "up")).toBe(true);
  alice.call({ type: "channel", ask: { type: "serve", kind: "game" } });
  const heard = alice.outs.length;
  alice.call({ type: "channel", ask: { type: "accept", kind: "game" } });
  let ch = 1;
  const seen = (kind: string, reliable: boolean): unknown[] => {
    const from = eve.outs.length;
    ch++;
    eve.handle({ type: "open", ch, peer: alice.hashname, reliable, head: { type: kind }, body: NOTHING });
    bench.run(1000); // before there are other reasons to say something
    const about = (out: MeshOut): unknown =>
      "ch" in out ? { ...out, ch: 0 } : out.type === "transmit" ? out.bytes.length : out.type;
    return eve.outs.slice(from).map(about);
  };
  const both = [true, false].map((reliable) => [seen("game", reliable), seen("none", reliable)]);
  for (const [served, other] of both) expect(served).toEqual(other);
  expect(both[0]?.[0]).toContainEqual({ type: "closed", ch: 0, err: "unknown type" });
  expect(alice.outs.slice(heard).some((out) => out.type === "reply")).toBe(false);
  // Whoever is a contact is given to the application.
  const ask = { type: "open", to: "alice", kind: "game", reliable: true, head: {}, body: NOTHING } as const;
  bob.call({ type: "channel", ask }, MINUTE);
  const replies = alice.outs.slice(heard).filter((out) => out.type === "reply");
  expect(replies).toMatchObject([{ value: { peer: bob.hashname, kind: "game", content: { head: {} } } }]);
  // And is a stranger when it is removed: nobody tells it, and the application here knows at once.
  const theirs = bob.call({ type: "channel", ask }, 1000)?.value as Opening;
  const [reply] = replies as { value: Opening }[];
  const from = bench.count("alice", "bob");
  alice.call({ type: "remove", contact: alice.contact(bob) ?? "" });
  const watch = (side: Side, of: number): unknown => side.call({ type: "channel", ask: { type: "watch", ch: of } });
  expect(watch(alice, reply?.value.ch ?? 0)).toEqual({ value: "removed" });
  expect(bench.count("alice", "bob")).toBe(from);
  bench.run(MINUTE);
  expect(watch(bob, theirs.ch)).toEqual({ value: "timeout" });
});

test("a contact that another device of ours removed loses its channels with us, and the program here hears why", () => {
  const bench = new Bench();
  const [alice, phone, bob] = [new Side(bench, "alice"), new Side(bench, "phone"), new Side(bench, "bob")];
  const link = (phone.call({ type: "device-link" })?.value as { link: string } | undefined)?.link ?? "";
  alice.call({ type: "device-add", link }, MINUTE);
  befriend(bench, alice, bob);
  bench.run(5 * MINUTE);
  bob.call({ type: "channel", ask: { type: "serve", kind: "game" } });
  const ask = { type: "open", to: bob.hashname, kind: "game", reliable: true, head: {}, body: NOTHING } as const;
  const ch = (alice.call({ type: "channel", ask }, 5000)?.value as Opening | undefined)?.ch ?? 0;
  phone.call({ type: "remove", contact: phone.contact(bob) ?? "" }, MINUTE);
  expect(alice.contact(bob)).toBeUndefined();
  expect(alice.call({ type: "channel", ask: { type: "watch", ch } })).toEqual({ value: "removed" });
});

test("a peer that sleeps is looked for, and a peer that only serves a cache has no channels of applications", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  befriend(bench, alice, bob);
  bench.machines.delete("bob");
  alice.restart();
  bench.run(HOUR);
  const ask = { type: "open", to: bob.hashname, kind: "game", reliable: true, head: {}, body: NOTHING } as const;
  expect(alice.call({ type: "channel", ask }, MINUTE)).toEqual({ code: "unreachable" });
  const cache = new Side(bench, "carol", { mail: false, cache: { cap: 1 << 20, quota: 1 << 20 } });
  expect(cache.call({ type: "channel", ask: { type: "serve", kind: "game" } })).toEqual({ code: "no-mail" });
});
