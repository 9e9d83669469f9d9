/** Days behind a router, with everything going wrong that can. */
import { expect, test } from "vitest";
import { fromUtf8 } from "../bytes/index.ts";
import { MeshNet, type MeshPeer } from "../testing/meshes.ts";

const MINUTE = 60_000;
const HOUR = 60;

/** Sends texts until the other side has acknowledged them: one channel each, and another one when that fails. */
class Sender {
  readonly acked = new Set<string>();
  readonly #peer: MeshPeer;
  readonly #to: MeshPeer;
  readonly #under = new Map<number, string>();

  constructor(peer: MeshPeer, to: MeshPeer) {
    this.#peer = peer;
    this.#to = to;
    const before = peer.watch;
    peer.watch = (effect) => {
      before(effect);
      if (effect.type === "acked") this.acked.add(this.#under.get(effect.ch) ?? "");
      if (effect.type === "closed") this.#under.delete(effect.ch);
    };
  }

  /** Offers everything that is not acknowledged and not under way. */
  offer(texts: readonly string[]): void {
    const under = new Set(this.#under.values());
    if (!this.#peer.isUp(this.#to)) return;
    for (const text of texts.filter((one) => !this.acked.has(one) && !under.has(one)).slice(0, 4)) {
      this.#under.set(this.#peer.say(this.#to, text), text);
    }
  }
}

interface Trouble {
  readonly seed: number;
  readonly minutes: number;
  /** Whether there is now and then a straight path, in both directions or in one. */
  readonly moves: boolean;
}

/** Two peers and a router with trouble for so many minutes, then an hour of peace; and what became of all texts. */
function live({ seed, minutes, moves }: Trouble) {
  const net = new MeshNet({ seed });
  net.keeps = false;
  net.onlyBy("r");
  net.loss = 0.3;
  net.duplicate = 0.05;
  net.latency = [10, 400];
  const r = net.peer("r", { routing: { allows: () => true }, cloak: false });
  const [a, b] = ["a", "b"].map((name) =>
    net.peer(name, { routers: [r.hashname], cloak: false, ...(moves && { paths: [{ type: "mem", name }] }) }),
  ) as [MeshPeer, MeshPeer];
  const got = [a, b].map((peer) => {
    const texts = new Set<string>();
    peer.watch = (effect) => {
      if (effect.type === "opened") texts.add(fromUtf8(effect.body) ?? "");
    };
    return texts;
  });
  const wish = (): void => {
    for (const peer of [a, b]) peer.want(r);
    a.want(b, [r]);
  };
  wish();
  const senders = [new Sender(a, b), new Sender(b, a)];
  const texts: string[] = [];
  let [up, restarts, straight] = [0, 0, 0];
  const { chance } = net;
  const pass = (): void => {
    for (const sender of senders) sender.offer(texts);
    net.run(MINUTE);
  };
  for (let minute = 0; minute < minutes; minute++) {
    if (chance.happens(1 / 5)) texts.push(`text ${texts.length}`);
    if (chance.happens(1 / 240)) {
      restarts += 1;
      r.restart();
    }
    if (chance.happens(1 / 1000)) {
      chance.pick([a, b]).restart();
      wish();
    }
    if (moves && chance.happens(1 / 15)) {
      const open = chance.pick([[], ["a"], ["b"], ["a", "b"]]);
      net.reaches = (from, to) => from === "r" || to === "r" || open.includes(from);
    }
    pass();
    if (a.isUp(b) && b.isUp(a)) up += 1;
    if (a.way(b) === "b") straight += 1;
  }
  net.loss = 0;
  for (let i = 0; i < HOUR / 2; i++) pass();
  net.keeps = true;
  for (let i = 0; i < HOUR / 2; i++) pass();
  return {
    texts,
    restarts,
    acked: senders.map(({ acked }) => acked),
    got,
    up: up / minutes,
    straight: straight / minutes,
    /** What half an hour of peace costs. */
    quiet: net.sent.length,
  };
}

test("a day behind a router that loses 3 of 10 on each hop and restarts: everything arrives, then there is peace", () => {
  const { texts, acked, got, restarts, up, quiet } = live({ seed: 3, minutes: 24 * HOUR, moves: false });
  expect(restarts).toBeGreaterThan(2);
  expect(texts.length).toBeGreaterThan(220);
  const all = new Set(texts);
  expect([...acked, ...got]).toEqual([all, all, all, all]);
  expect(up).toBeGreaterThan(0.5);
  // A keepalive each half minute: of two packets with the router, of up to five by it, begun by either.
  expect(quiet).toBeLessThan(60 * (2 * 2 + 2 * 5));
});

test("while straight paths come and go, in both directions or in one, everything arrives as well", () => {
  for (const seed of [1, 2]) {
    const { texts, acked, got, straight } = live({ seed, minutes: 4 * HOUR, moves: true });
    const all = new Set(texts);
    expect([...acked, ...got]).toEqual([all, all, all, all]);
    expect(straight).toBeGreaterThan(0);
  }
});
