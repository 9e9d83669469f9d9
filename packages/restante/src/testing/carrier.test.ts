import { expect, test } from "vitest";
import { quick } from "./quick-backend.ts";
import { type Effect, type SimPeer, World } from "./world.ts";

/** Two who have neither cache nor way to each other but the bazaar, and know each other by an invite that says so. */
function strangers(options: { seed: number; commitFailure?: number }): { w: World; alice: SimPeer; bob: SimPeer } {
  const w = new World({ backend: quick, ...options, cloak: false, carrier: true });
  const [alice, bob] = [w.peer("alice"), w.peer("bob")];
  w.part(alice, bob);
  w.run("1 s");
  return { w, alice, bob };
}

/** Once in the inbox, known to its sender, and by the bazaar. */
function judged(sender: SimPeer, reader: SimPeer, texts: ReadonlyMap<string, string>): string[] {
  const inbox = reader.inbox(sender);
  return [...texts].flatMap(([id, text]) => {
    const ledger = sender.ledger(id);
    const routes = ledger.flatMap(({ state, route }) => (state === "handed" ? [route] : []));
    const said = `${text}: shown ${inbox.filter((each) => each === text).length}, ${ledger.at(-1)?.state}, ${routes.join()}`;
    return said === `${text}: shown 1, delivered, bazaar` ? [] : [said];
  });
}

/** They meet and write while the other sleeps; one dies at one point of all that. */
function play(who: "alice" | "bob", at: number): { broken: string[]; effects: Effect[]; crashes: number } {
  const { w, alice, bob } = strangers({ seed: 7 });
  const dying = who === "alice" ? alice : bob;
  const effects: Effect[] = [];
  let link = "";
  bob.call({ type: "invite", once: true }, (value) => (link = (value as { link: string }).link));
  w.run("1 s");
  dying.trace = effects;
  dying.torn = "gone";
  dying.diesAt = at;
  const sent = { alice: new Map<string, string>(), bob: new Map<string, string>() };
  const pass = (awake: SimPeer, other: SimPeer, act: () => void = () => {}): void => {
    other.sleep();
    awake.wake();
    w.run("5 s");
    if (awake.isAwake && awake.driver.state === "running") act();
    w.run("5 s");
    awake.wake(); // as a service would
    w.run("11 min"); // what it did not answer is brought again after 10
  };
  const write = (from: SimPeer, to: SimPeer, text: string): void => {
    if (from.contactId(to) === undefined) return;
    from.send(to, text, (id) => id !== undefined && sent[from === alice ? "alice" : "bob"].set(id, text));
  };
  // Whoever died before that was committed does it again.
  const add = (): void => void (alice.contactId(bob) ?? alice.call({ type: "add", link }));
  pass(alice, bob, add);
  pass(alice, bob, add);
  for (let i = 0; i < 2; i++) {
    pass(alice, bob, () => write(alice, bob, `hers ${i}`));
    pass(bob, alice, () => write(bob, alice, `his ${i}`));
  }
  // What was lost with the death comes when it is offered again.
  for (let i = 0; i < 3; i++)
    for (const [awake, other] of [
      [alice, bob],
      [bob, alice],
    ] as const)
      pass(awake, other);
  alice.wake();
  w.run("7 hours");
  const broken = [...judged(alice, bob, sent.alice), ...judged(bob, alice, sent.bob)];
  if (sent.alice.size + sent.bob.size < 2) broken.push("too little was sent");
  return { broken, effects, crashes: dying.crashes };
}

test.each(["alice", "bob"] as const)(
  "%s may die at any effect of a scene that goes by the bazaar alone: each mail once, and its sender knows",
  (who) => {
    const { broken, effects } = play(who, 1_000_000);
    expect(broken).toEqual([]);
    expect(new Set(effects)).toEqual(expect.objectContaining(new Set(["deliver", "taken"])));
    // A row of the same is one point.
    const points = effects.flatMap((effect, i) => (effect === "transmit" || effect === effects[i - 1] ? [] : [i + 1]));
    expect(points.length).toBeGreaterThan(30);
    const failures = points.flatMap((at) => {
      const { broken, crashes } = play(who, at);
      return [...broken, ...(crashes === 1 ? [] : [`died ${crashes} times`])].map(
        (line) => `${at} (${effects[at - 1]}): ${line}`,
      );
    });
    expect(failures).toEqual([]);
  },
);

test.each([1, 2])(
  "a carrier that loses, repeats and takes days, disks that fail and peers that crash: once, and known (seed %i)",
  (seed) => {
    const { w, alice, bob } = strangers({ seed, commitFailure: 0.02 });
    const { carrier, chance } = w;
    if (carrier === undefined) return;
    carrier.faults = { lose: 0.2, duplicate: 0.3, delay: 2 * 86_400_000 };
    bob.call({ type: "invite", once: true }, (value) => {
      const { link } = value as { link: string };
      alice.call({ type: "add", link });
    });
    w.run("1 min");
    const sent = { alice: new Map<string, string>(), bob: new Map<string, string>() };
    for (let i = 0; i < 20; i++) {
      for (const [from, to, ours] of [
        [alice, bob, sent.alice],
        [bob, alice, sent.bob],
      ] as const) {
        if (chance.happens(0.3)) from.sleep();
        else from.wake();
        if (chance.happens(0.1)) from.crash();
        w.run("1 min");
        if (!from.isAwake || from.driver.state !== "running" || from.contactId(to) === undefined) continue;
        from.send(to, `${from.name} ${i}`, (id) => id !== undefined && ours.set(id, `${from.name} ${i}`));
        w.run(chance.between(60_000, 6 * 3_600_000));
      }
    }
    w.faults = false;
    carrier.faults = { lose: 0, duplicate: 0, delay: 3_600_000 };
    for (const peer of [alice, bob]) peer.wake();
    w.run("12 days");
    expect(sent.alice.size).toBeGreaterThan(3);
    expect([...judged(alice, bob, sent.alice), ...judged(bob, alice, sent.bob)]).toEqual([]);
  },
);
