/**
 * A week in the life of some peers who are mostly asleep, with everything going wrong that may go wrong; then some quiet
 * days; then the promises are checked. `npm run world` and the tests run this. protocol/mail.md §Promises
 */
import { equal, type Time, utf8 } from "../bytes/index.ts";
import { encodeInvite } from "../card/index.ts";
import type { Chance } from "./chance.ts";
import { type Counters, EFFECTS, type SimPeer, World, type WorldOptions } from "./world.ts";

export interface SimulationOptions extends Omit<WorldOptions, "seed"> {
  readonly seed: number;
  /** Peers with mail (default 4). */
  readonly peers?: number;
  /** Caches (default 2). */
  readonly caches?: number;
  /** Days of trouble (default 4); quiet ones follow. */
  readonly days?: number;
  /** Crashes of each peer, on average, over the whole time (default 2). */
  readonly crashes?: number;
  /** A planted bug, to see that worlds find it: the first save of a key that starts so is forgotten. */
  readonly forgetSave?: string;
}

export interface SimulationReport extends Counters {
  readonly seed: number;
  readonly mails: number;
  readonly files: number;
  readonly cancelled: number;
  readonly delivered: number;
  readonly peerCrashes: number;
  readonly cacheCrashes: number;
  /** Broken promises, in words. Empty: all held. */
  readonly broken: readonly string[];
}

interface Sent {
  readonly from: SimPeer;
  readonly to: SimPeer;
  readonly content: string;
  readonly bytes: Uint8Array | undefined;
  id: string | undefined;
  isCancelled: boolean;
}

// What a peer without a cache does; "outside" comes by itself when the others do not.
const PEER_EFFECTS = EFFECTS.filter((effect) => effect !== "boxes");
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Run one world to its end and judge it. Never throws for a broken promise: it is in the report. */
export function simulate(options: SimulationOptions): SimulationReport {
  const { seed, peers: peerCount = 4, caches: cacheCount = 2, days = 4, crashes = 2 } = options;
  const world = new World({ duplicate: 0.02, commitFailure: 0.002, ...options });
  const chance = world.chance.fork();
  const caches = Array.from({ length: cacheCount }, (_, i) => world.cache(`cache${i}`));
  const peers = Array.from({ length: peerCount }, (_, i) => world.peer(`peer${i}`));
  const pairs = befriend(world, chance, peers, caches);
  const stranger = probe(world);

  const sent: Sent[] = [];
  let cacheCrashes = 0;
  const end = world.now + days * DAY_MS;
  const plan = (least: Time, run: () => void): void => world.at(least, run);

  for (const peer of peers) {
    for (const [start, length] of sessions(chance, days)) {
      const from = world.now + start;
      plan(from, () => peer.wake());
      plan(from + length, () => peer.sleep());
      for (const [a, b] of pairs.filter((p) => p.includes(peer))) {
        const to = a === peer ? b : a;
        if (chance.happens(0.6)) plan(from + chance.between(0, length - 1), () => write(chance, peer, to, sent));
      }
      if (chance.happens(0.15)) plan(from + chance.between(0, length - 1), () => cancel(chance, peer, sent));
      if (!chance.happens(Math.min(0.9, crashes / (days * 2.5)))) continue;
      const when = from + chance.between(0, length / 2);
      const effect = chance.pick(PEER_EFFECTS);
      const nth = chance.between(1, 4);
      const down = chance.between(1000, 10 * 60_000);
      plan(when, () => {
        if (!peer.isAwake) return;
        const before = peer.crashes;
        peer.crashAt(effect, nth);
        for (const [a, b] of pairs.filter((p) => p.includes(peer))) write(chance, peer, a === peer ? b : a, sent);
        // An effect that does not come about before the session ends is no crash; then the power fails.
        plan(from + length - 1, () => {
          if (peer.crashes === before) peer.crash();
        });
        // Some start again while they would have been awake, the others when they next are.
        plan(world.now + down, () => {
          if (peer.crashes > before && world.now < from + length) peer.wake();
        });
      });
    }
  }
  for (const cache of caches) {
    for (let i = 0; i < Math.max(1, Math.round(days / 4)); i++) {
      plan(world.now + chance.between(HOUR_MS, days * DAY_MS), () => {
        cache.crash();
        cacheCrashes++;
        world.after(chance.between(1000, 3 * HOUR_MS), () => cache.wake());
      });
    }
    if (chance.happens(0.3)) cache.dropsPuts = 0.3;
  }
  for (let i = 0; i < days; i++) {
    const [a, b] = [chance.pick(peers), chance.pick([...peers, ...caches])];
    const start = world.now + chance.between(0, days * DAY_MS);
    plan(start, () => world.part(a, b));
    plan(start + chance.between(60_000, 6 * HOUR_MS), () => world.join(a, b));
  }
  const planted = options.forgetSave;
  if (planted !== undefined) for (const peer of peers) peer.forgetSave = planted;
  world.run(end - world.now);

  rest(world, peers, caches);
  const broken = judge(peers, caches, sent, stranger);
  return {
    ...world.counters,
    seed,
    mails: sent.length,
    files: sent.filter((mail) => mail.bytes !== undefined).length,
    cancelled: sent.filter((mail) => mail.isCancelled).length,
    delivered: peers.reduce((sum, peer) => sum + peer.inbox().length, 0),
    peerCrashes: peers.reduce((sum, peer) => sum + peer.crashes, 0),
    cacheCrashes,
    broken,
  };
}

/** Everybody joins caches and learns to know some others, while all are awake and nothing goes wrong. */
function befriend(
  world: World,
  chance: Chance,
  peers: readonly SimPeer[],
  caches: readonly SimPeer[],
): [SimPeer, SimPeer][] {
  world.faults = false;
  world.run("1 min");
  for (const peer of peers)
    for (const cache of chance.shuffle(caches).slice(0, chance.between(1, 2)))
      peer.call({ type: "join", link: cache.root.joinLink() }, (_, error) => {
        if (error !== undefined) throw new Error(`${peer.name} could not join ${cache.name}: ${error}`);
      });
  world.run("2 min");
  const pairs: [SimPeer, SimPeer][] = [];
  peers.forEach((a, i) => {
    peers.slice(i + 1).forEach((b, j) => {
      // A ring at least, so that nobody is alone.
      if (j > 0 && !chance.happens(0.4)) return;
      pairs.push([a, b]);
      a.call({ type: "invite", once: true }, (value) => {
        b.call({ type: "add", link: (value as { link: string }).link });
      });
    });
  });
  world.run("10 min");
  for (const [a, b] of pairs)
    if (a.contactId(b) === undefined || b.contactId(a) === undefined)
      throw new Error(`${a.name} and ${b.name} did not become contacts`);
  for (const peer of peers) peer.sleep();
  world.faults = true;
  return pairs;
}

/** Sessions of being awake: some a day, minutes to an hour long, now and then at the same time as others by chance. */
function sessions(chance: Chance, days: number): [start: number, length: number][] {
  const list: [number, number][] = [];
  for (let day = 0; day < days; day++)
    for (let i = chance.between(1, 4); i > 0; i--)
      list.push([day * DAY_MS + chance.between(0, 22 * HOUR_MS), chance.between(3 * 60_000, 45 * 60_000)]);
  return list;
}

function write(chance: Chance, from: SimPeer, to: SimPeer, sent: Sent[]): void {
  if (!from.isAwake || from.driver.state !== "running" || from.contactId(to) === undefined) return;
  const isFile = chance.happens(0.12);
  const content = `${from.name} to ${to.name}, number ${sent.length}`;
  const bytes = isFile ? chance.random(chance.between(1, 120_000)) : undefined;
  const mail: Sent = { from, to, content, bytes, id: undefined, isCancelled: false };
  sent.push(mail);
  const known = (id: string | undefined): void => {
    mail.id = id;
  };
  if (bytes !== undefined) from.sendFile(to, content, bytes, known);
  else from.send(to, chance.happens(0.1) ? content + "…".repeat(chance.between(1, 9000)) : content, known);
}

function cancel(chance: Chance, peer: SimPeer, sent: readonly Sent[]): void {
  if (!peer.isAwake || peer.driver.state !== "running") return;
  const own = sent.filter((mail) => mail.from === peer && mail.id !== undefined && !mail.isCancelled);
  if (own.length === 0) return;
  const mail = chance.pick(own);
  peer.call({ type: "cancel", id: mail.id ?? "" }, (_, error) => {
    if (error === undefined) mail.isCancelled = true;
  });
  // Once asked, it may have happened even if we never hear so.
  mail.isCancelled = true;
}

/** No more faults; two days of everybody taking turns, two of everybody together. */
function rest(world: World, peers: readonly SimPeer[], caches: readonly SimPeer[]): void {
  world.faults = false;
  for (const a of [...peers, ...caches]) for (const b of peers) world.join(a, b);
  for (const cache of caches) cache.wake();
  for (let round = 0; round < 4; round++)
    for (const peer of peers) {
      for (const other of peers) if (other !== peer) other.sleep();
      peer.wake();
      world.run("10 min");
      peer.sleep();
      world.run("7 hours");
    }
  for (const peer of peers) peer.wake();
  world.run("15 min");
}

/** A stranger who knows everybody's keys and addresses, and sends rubbish and well-made handshakes. */
function probe(world: World): { heard: () => number } {
  const stranger = world.peer("stranger");
  world.run("1 s");
  const before = stranger.received;
  for (const { identity, hashname, name } of world.peers) {
    if (hashname === stranger.hashname) continue;
    // A made-up invite: true keys and addresses, but no secret and no token.
    const paths = [{ type: "mem", name }];
    const link = encodeInvite({ keys: identity.keys, hashname, paths, caches: [], card: world.chance.random(16) });
    stranger.call({ type: "add", link });
  }
  const rubbish = world.chance.fork();
  const knock = (): void => {
    stranger.wake();
    world.after(HOUR_MS / 4, () => stranger.sleep());
    for (const peer of world.peers)
      if (peer !== stranger)
        world.transmit("stranger", { type: "mem", name: peer.name }, rubbish.random(rubbish.between(0, 300)));
    world.after(11 * HOUR_MS, knock);
  };
  knock();
  return { heard: () => stranger.received - before };
}

function judge(
  peers: readonly SimPeer[],
  caches: readonly SimPeer[],
  sent: readonly Sent[],
  stranger: { heard: () => number },
): string[] {
  const broken: string[] = [];
  for (const mail of sent) {
    const got = mail.to
      .records()
      .filter(
        (r) => r.from === mail.from.hashname && (mail.bytes ? r.file?.name : r.text?.split("…")[0]) === mail.content,
      );
    const words = `"${mail.content}" (${mail.id ?? "no answer"})`;
    if (got.length > 1) broken.push(`promise 2: ${words} was shown ${got.length} times`);
    if (mail.id === undefined) continue;
    const states = mail.from.ledger(mail.id).map((entry) => entry.state);
    if (got.length === 0 && !mail.isCancelled)
      broken.push(`promise 1: ${words} never arrived; its ledger: ${states.join(" ")}`);
    // Who cancels does not offer any more: when caches lost the acknowledgement too, the sender never hears of it.
    const isGivenUp = mail.isCancelled && states.at(-1) === "cancelled";
    if (got.length > 0 && !states.includes("delivered") && !isGivenUp)
      broken.push(`promise 3: ${words} arrived, but its ledger says ${states.join(" ")}`);
    if (got.length === 0 && states.includes("delivered"))
      broken.push(`promise 3: ${words} did not arrive, but its ledger says delivered`);
    const wrong = wrongOrder(states);
    if (wrong !== undefined) broken.push(`promise 3: the ledger of ${words} goes ${wrong}`);
    const [record] = got;
    if (record !== undefined && mail.bytes !== undefined && !equal(mail.to.fileOf(record), mail.bytes))
      broken.push(`promise 1: the bytes of ${words} arrived changed`);
  }
  for (const cache of caches) {
    if (cache.disk.size > 0 || cache.blobs.size > 0) broken.push(`promise 4: ${cache.name} has something on its disk`);
    if (cache.held > 0)
      broken.push(`promise 4: ${cache.name} still holds ${cache.held} messages that all sides are done with`);
  }
  if (stranger.heard() > 0) broken.push(`promise 5: a stranger was answered ${stranger.heard()} times`);
  for (const peer of peers) {
    const waiting = peer.outbox().filter((entry) => entry.state === "queued" || entry.state === "handed");
    if (waiting.length > 0) broken.push(`promise 1: ${peer.name} still waits for ${waiting.length} mails`);
    for (const key of peer.disk.keys())
      if (key.startsWith("spool/")) broken.push(`the spool of ${peer.name} still holds ${key}`);
    for (const blob of peer.blobs.keys())
      if (blob.startsWith("out/") && isNamed(peer, blob)) broken.push(`${peer.name} still keeps ${blob}`);
  }
  return broken;
}

/** Whether a queued mail still names this blob; one that nothing names is a file whose sending was cut off by a crash. */
function isNamed(peer: SimPeer, blob: string): boolean {
  const name = utf8(blob);
  return [...peer.disk].some(([key, value]) => key.startsWith("mail/") && includes(value, name));
}

function includes(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let i = 0; i + part.length <= bytes.length; i++)
    if (equal(bytes.subarray(i, i + part.length), part)) return true;
  return false;
}

const MAY_FOLLOW: Record<string, readonly string[]> = {
  queued: ["handed", "delivered", "expired", "cancelled"],
  handed: ["handed", "delivered", "expired", "cancelled"],
  delivered: ["delivered", "read"],
  read: ["read"],
  expired: ["delivered"],
  cancelled: ["delivered"],
};

/** The first step of a ledger that promise 3 does not allow. */
function wrongOrder(states: readonly string[]): string | undefined {
  if (states[0] !== "queued") return `first ${states[0] ?? "nowhere"}`;
  for (let i = 1; i < states.length; i++) {
    const [from, to] = [states[i - 1] ?? "", states[i] ?? ""];
    // Attempts are noted too; they do not change the state.
    if (from !== to && !MAY_FOLLOW[from]?.includes(to)) return `from ${from} to ${to}`;
  }
  return undefined;
}

/** The report in a few lines; the last one replays it. */
export function describe(report: SimulationReport, replay: string): string {
  const { crashes, ...r } = report;
  const by = Object.entries(crashes)
    .map(([effect, n]) => `${effect} ${n}`)
    .join(", ");
  const lines = [
    `seed ${r.seed}: ${r.mails} mails (${r.files} files, ${r.cancelled} cancelled), ${r.delivered} shown`,
    `  crashes: ${r.peerCrashes} of peers (${by || "none"}), ${r.cacheCrashes} of caches; ${r.failedCommits} of ${r.commits + r.failedCommits} commits failed`,
    `  packets: ${r.packets}, of them ${r.lost} lost, ${r.duplicated} doubled, ${r.parted} into a cut line`,
    ...r.broken.map((line) => `  BROKEN ${line}`),
  ];
  if (r.broken.length > 0) lines.push(`  replay: ${replay}`);
  return lines.join("\n");
}
