/**
 * One scene, and a death at every point of it: at each effect that a peer carries out, and for a commit with and without what
 * it was to write. Worlds take such points by chance; here none is left out.
 */
import { expect, test } from "vitest";
import { encodeInvite, parseInvite } from "../card/index.ts";
import { type Gone, goBack, judge, type Sent } from "./judge.ts";
import { quick } from "./quick-backend.ts";
import { scene } from "./scene.ts";
import type { Effect, SimPeer, World } from "./world.ts";

type Who = "alice" | "bob";
interface Death {
  readonly who: Who;
  readonly at: number;
}

test.each(["alice", "bob"] as const)(
  "promises 1 to 4: %s may die at any point of a scene",
  { timeout: 600_000 },
  (who) => {
    const { broken, effects } = play({ who, at: 1_000_000 });
    expect(broken).toEqual([]);
    const points = effects.flatMap((_, i): Death[] => (isNews(effects, i) ? [{ who, at: i + 1 }] : []));
    const kinds = new Set(points.map(({ at }) => effects[at - 1]));
    expect([...kinds].sort()).toEqual(expect.arrayContaining(["commit", "committed"]));
    const failures = points.flatMap((death) => {
      const { broken, crashes } = play(death);
      const words = crashes === 1 ? broken : [`died ${crashes} times`, ...broken];
      return words.map((line) => `${death.at} (${effects[death.at - 1]}): ${line}`);
    });
    expect(failures).toEqual([]);
    expect(points.length).toBeGreaterThan(60);
  },
);

/**
 * Whether anybody could tell this point from the one before: the disk has changed, or something has left. A row of packets is
 * one point; that some of them are lost is the wire's business.
 */
function isNews(effects: readonly Effect[], i: number): boolean {
  const [before, now] = [effects[i - 1], effects[i]];
  if (before === "transmit") return now !== "transmit";
  return now === "committed" || before === "reply" || before === "blob-remove";
}

/**
 * A text while both are there; then by the cache a text, a file in parts, one that is cancelled and one that expires; a
 * stranger's request, which Alice accepts; a backup of Alice's, and going back to it when all has been delivered.
 */
function play({ who, at }: Death): { broken: readonly string[]; effects: Effect[]; crashes: number } {
  const { w, alice, bob, carol } = scene(
    { seed: 90, cloak: false, latency: [20, 20], keeps: { window: 1 } },
    ["alice", "bob"],
    ["carol"],
  );
  const eve = w.peer("eve");
  w.run("1 s");
  eve.sleep();
  const dying = who === "alice" ? alice : bob;
  const effects: Effect[] = [];
  dying.trace = effects;
  dying.torn = "gone"; // kept it is at the next point
  dying.diesAt = at;
  const sent: Sent[] = [];
  const halves: string[] = [];
  /** So long, with these awake and the others not. Who died starts again after a second, as a service would. */
  const pass = (duration: string, ...awake: SimPeer[]): void => {
    for (const peer of [alice, bob, eve]) if (!awake.includes(peer)) rest(peer);
    for (const peer of awake) peer.wake();
    const crashes = dying.crashes;
    w.run("1 s");
    halves.push(...[alice, bob].flatMap(half));
    for (const peer of awake) peer.wake();
    w.run(duration);
    if (dying.crashes === crashes) return;
    halves.push(...[alice, bob].flatMap(half));
    for (const peer of awake) peer.wake();
    w.run("5 s");
  };

  pass("2 s", alice, bob);
  const first = write(w, alice, bob, sent);
  pass("10 s", alice, bob);
  write(w, bob, alice, sent);
  pass("10 s", alice, bob);

  pass("5 s", alice);
  write(w, alice, bob, sent);
  write(w, alice, bob, sent, w.chance.random(60_000));
  const cancelled = write(w, alice, bob, sent);
  const expired = write(w, alice, bob, sent, undefined, w.now + 60_000);
  for (const mail of [cancelled, expired]) mail.isCancelled = true; // it need not arrive
  pass("20 s", alice);
  if (alice.isAwake && cancelled.id !== undefined && alice.driver.state === "running")
    alice.call({ type: "cancel", id: cancelled.id });
  pass("10 s", alice);
  pass("2 min", alice);

  let link = "";
  alice.wake();
  w.run("1 s");
  if (alice.isAwake) alice.call({ type: "invite", once: true }, (value) => (link = (value as { link: string })?.link));
  pass("2 s", alice);
  const invite = parseInvite(quick, link);
  if (invite !== undefined) {
    const { secret: _, ...open } = invite;
    pass("1 s", eve);
    eve.call({ type: "add", link: encodeInvite(open) });
    pass("1 s", eve);
    write(w, eve, alice, sent);
    pass("20 s", eve);
    pass("20 s", alice);
    for (let i = 0; i < 2; i++) {
      const [request] = (alice.isAwake && alice.driver.root?.requests()) || [];
      if (request !== undefined) alice.call({ type: "accept", request: request.request });
      pass("10 s", alice);
    }
  }

  pass("1 s");
  const backup = alice.backup();
  pass("30 s", bob);
  pass("30 s", alice);
  pass("10 s", bob, alice);
  pass("1 s");
  const gone: Gone = { devices: new Set(), inboxes: new Set(), spools: new Set() };
  goBack(alice, backup, [], gone); // all that she sent has been delivered
  alice.restore(backup);
  pass("5 s", alice);
  write(w, alice, bob, sent);
  pass("20 s", alice);

  for (let i = 0; i < 2; i++) {
    pass("20 s", eve, alice);
    pass("20 s", bob);
    pass("20 s", alice);
    pass("7 hours");
  }
  pass("1 min", alice, bob, eve);
  const peers = [alice, bob, eve];
  const { broken } = judge({
    world: w,
    peers,
    caches: [carol],
    cachesOf: () => [carol],
    sent,
    gone,
    hasCopies: true,
    answered: 0,
  });
  const nothing = first.id === undefined && dying.crashes === 0 ? ["the scene did not take place"] : [];
  return { broken: [...broken, ...halves, ...nothing], effects, crashes: dying.crashes };
}

function rest(peer: SimPeer): void {
  if (peer.isAwake) peer.sleep();
}

/** Files in the inbox whose bytes are not all there: an inbox shows a mail whole or not at all. */
function half(peer: SimPeer): string[] {
  return peer
    .records()
    .filter((record) => record.file !== undefined && peer.fileOf(record).length !== record.file.size)
    .map(({ id }) => `${peer.name} shows half of ${id}`);
}

/** Asks for a text or a file, and lets a moment pass. */
function write(w: World, from: SimPeer, to: SimPeer, sent: Sent[], bytes?: Uint8Array, expires?: number): Sent {
  const content = `number ${sent.length}`;
  const mail: Sent = { from, to, content, bytes, at: undefined, id: undefined, isCancelled: false };
  sent.push(mail);
  const known = (id: string | undefined): void => {
    if (id !== undefined) mail.at = w.now;
    mail.id = id;
  };
  from.wake();
  w.run("50 ms");
  const contact = from.isAwake && from.driver.state === "running" ? from.contactId(to) : undefined;
  if (contact === undefined) return mail;
  if (bytes !== undefined) from.sendFile(to, content, bytes, known);
  else
    from.call(
      { type: "send", contact, mail: { kind: "text", text: content }, ...(expires === undefined ? {} : { expires }) },
      (value) => known((value as { id: string } | undefined)?.id),
    );
  w.run("50 ms");
  return mail;
}
