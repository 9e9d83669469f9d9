/**
 * A week in the life of some peers who are mostly asleep, with everything going wrong that may go wrong; then some quiet
 * days; then the promises are checked. `npm run world` and the tests run this. protocol/mail.md §Promises
 */
import type { Time } from "../bytes/index.ts";
import { encodeInvite } from "../card/index.ts";
import type { Chance } from "./chance.ts";
import { EVILS } from "./evil-caches.ts";
import { type Gone, goBack, type Judged, judge, partsOf, type Sent } from "./judge.ts";
import { type Counters, EFFECTS, type SimPeer, World, type WorldOptions } from "./world.ts";

/** "clock": it jumps, ahead or back. "lost": a device is gone with its keys. "restored": from a backup. "full": its disk. "rewound": its disk is as it was, unnoticed. */
export const MISHAPS = ["clock", "lost", "restored", "full", "rewound"] as const;
/** One of `MISHAPS`. */
export type Mishap = (typeof MISHAPS)[number];

/** A world by its seed, and how hard life is there. */
export interface SimulationOptions extends Omit<WorldOptions, "seed"> {
  readonly seed: number;
  /** Peers with mail (default 4). */
  readonly peers?: number;
  /** Caches (default 2). */
  readonly caches?: number;
  /** So many of these do what no cache should, to the end; each of another kind, while there are kinds (default 0). */
  readonly evil?: number;
  /** Days of trouble (default 4); quiet ones follow. */
  readonly days?: number;
  /** Crashes of each peer, on average, over the whole time (default 2, in long worlds one in three days). */
  readonly crashes?: number;
  /** What happens to devices besides, in some worlds; the seed says in which (default: all of it). */
  readonly mishaps?: readonly Mishap[];
  /** A planted bug, to see that worlds find it: the first save of a key that starts so is forgotten. */
  readonly forgetSave?: string;
}

/** What happened in a world, and whether it kept what is promised. */
export interface SimulationReport extends Counters, Judged {
  readonly seed: number;
  readonly mails: number;
  readonly files: number;
  readonly cancelled: number;
  readonly delivered: number;
  readonly peerCrashes: number;
  readonly cacheCrashes: number;
  /** What happened to devices, each as often. */
  readonly mishaps: Readonly<Record<Mishap, number>>;
  /** No cache was evil or dropped what it took. (They may have crashed.) */
  readonly isHonest: boolean;
  /** Messages that were left at caches, acknowledgements included. */
  readonly deposits: number;
  /** Messages that the mails come to: one for a text, for a file one for each part. */
  readonly parts: number;
}

/** Whoever has a device: another one after it is lost. */
interface Person {
  device: SimPeer;
  readonly caches: Map<SimPeer, readonly SimPeer[]>;
  /** Invites that friends left for the present device. */
  readonly letters: { readonly from: SimPeer; readonly link: string }[];
}

// What a peer without a cache does; "outside" comes by itself when the others do not.
const PEER_EFFECTS = EFFECTS.filter((effect) => effect !== "boxes");
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Run one world to its end and judge it. Never throws for a broken promise: it is in the report. */
export function simulate(options: SimulationOptions): SimulationReport {
  const { seed, peers: peerCount = 4, caches: cacheCount = 2, days = 4 } = options;
  const { crashes = Math.max(2, days / 3) } = options;
  // In every fourth world mail waits in the store for its turn, as otherwise only where there is very much.
  const keeps = options.seed % 4 === 3 ? { window: 2 } : {};
  const world = new World({ duplicate: 0.02, commitFailure: 0.002, keeps, ...options });
  const chance = world.chance.fork();
  const kinds = options.evil === undefined ? [] : chance.shuffle(EVILS).slice(0, options.evil);
  const caches = Array.from({ length: cacheCount }, (_, i) => world.cache(`cache${i}`, { evil: kinds[i] }));
  const people = Array.from({ length: peerCount }, (_, i): Person => {
    return { device: world.peer(`peer${i}`), caches: new Map(), letters: [] };
  });
  const pairs = befriend(world, chance, people, caches);
  const stranger = probe(world);

  const sent: Sent[] = [];
  let cacheCrashes = 0;
  const end = world.now + days * DAY_MS;
  const plan = (least: Time, run: () => void): void => world.at(least, run);

  const begun: Time[] = [];
  for (const person of people) {
    const friends = pairs.filter((pair) => pair.includes(person)).map(([a, b]) => (a === person ? b : a));
    for (const [start, length] of sessions(chance, days, begun)) {
      const from = world.now + start;
      begun.push(start);
      plan(from, () => person.device.wake());
      plan(from + length, () => person.device.sleep());
      plan(from + 5_000, () => findAgain(person, friends));
      for (const friend of friends)
        if (chance.happens(0.6))
          plan(from + chance.between(0, length - 1), () => write(world, chance, person, friend, sent));
      if (chance.happens(0.15)) plan(from + chance.between(0, length - 1), () => cancel(chance, person.device, sent));
      if (!chance.happens(Math.min(0.9, crashes / (days * 2.5)))) continue;
      const when = from + chance.between(0, length / 2);
      const effect = chance.pick(PEER_EFFECTS);
      const nth = chance.between(1, 4);
      const down = chance.between(1000, 5 * MINUTE_MS);
      plan(when, () => {
        const peer = person.device;
        if (!peer.isAwake) return;
        const before = peer.crashes;
        peer.crashAt(effect, nth);
        for (const friend of friends) write(world, chance, person, friend, sent);
        // An effect that does not come about before the session ends is no crash; then the power fails.
        plan(from + length - 1, () => {
          if (peer.crashes === before) peer.crash();
        });
        // Some start again while they would have been awake, the others when they next are.
        plan(world.now + down, () => {
          if (peer.crashes > before && world.now < from + length && peer === person.device) peer.wake();
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
    const [a, b] = [chance.pick(people).device, chance.pick([...people.map(({ device }) => device), ...caches])];
    const start = world.now + chance.between(0, days * DAY_MS);
    plan(start, () => world.part(a, b));
    plan(start + chance.between(MINUTE_MS, 6 * HOUR_MS), () => world.join(a, b));
  }
  const gone: Gone = { devices: new Set(), inboxes: new Set(), spools: new Set() };
  const mishaps = { clock: 0, lost: 0, restored: 0, full: 0, rewound: 0 };
  const things = { seed, world, chance: chance.fork(), days, people, caches, sent, gone, mishaps };
  for (const mishap of options.mishaps ?? MISHAPS) planMishap(mishap, things);
  const planted = options.forgetSave;
  if (planted !== undefined) for (const { device } of people) device.forgetSave = planted;
  world.run(end - world.now);

  rest(world, people, caches);
  const peers = [...people.flatMap((person) => [...person.caches.keys()])];
  const all = new Map(people.flatMap((person) => [...person.caches]));
  const cachesOf = (peer: SimPeer): readonly SimPeer[] => all.get(peer) ?? [];
  const judged = judge({
    world,
    peers,
    caches,
    cachesOf,
    sent,
    gone,
    hasCopies: mishaps.restored + mishaps.rewound > 0,
    answered: stranger.heard(),
  });
  return {
    ...world.counters,
    ...judged,
    seed,
    mails: sent.length,
    files: sent.filter((mail) => mail.bytes !== undefined).length,
    cancelled: sent.filter((mail) => mail.isCancelled).length,
    delivered: peers.reduce((sum, peer) => sum + peer.shown.size, 0),
    peerCrashes: peers.reduce((sum, peer) => sum + peer.crashes, 0),
    cacheCrashes,
    mishaps,
    isHonest: caches.every(({ evil, dropsPuts }) => evil === undefined && dropsPuts === 0),
    deposits: caches.reduce((sum, cache) => sum + cache.deposits, 0),
    parts: sent.reduce((sum, mail) => sum + partsOf(mail), 0),
  };
}

/** Everybody joins caches and learns to know some others, while all are awake and nothing goes wrong. */
function befriend(
  world: World,
  chance: Chance,
  people: readonly Person[],
  caches: readonly SimPeer[],
): [Person, Person][] {
  world.faults = false;
  world.run("1 min");
  for (const person of people)
    join(person, chance.shuffle(caches).slice(0, chance.between(1, 2)), (error) => {
      if (error !== undefined) throw new Error(`${person.device.name} could not join a cache: ${error}`);
    });
  world.run("1 min");
  const pairs: [Person, Person][] = [];
  people.forEach((a, i) => {
    people.slice(i + 1).forEach((b, j) => {
      // A ring at least, so that nobody is alone.
      if (j > 0 && !chance.happens(0.4)) return;
      pairs.push([a, b]);
      a.device.call({ type: "invite", once: true }, (value) => {
        b.device.call({ type: "add", link: (value as { link: string }).link });
      });
    });
  });
  world.run("2 min");
  for (const [{ device: a }, { device: b }] of pairs)
    if (a.contactId(b) === undefined || b.contactId(a) === undefined)
      throw new Error(`${a.name} and ${b.name} did not become contacts`);
  for (const { device } of people) device.sleep();
  world.faults = true;
  return pairs;
}

function join({ device, caches }: Person, wanted: readonly SimPeer[], done: (error?: string) => void): void {
  caches.set(device, wanted);
  for (const cache of wanted) device.call({ type: "join", link: cache.root.joinLink() }, (_, error) => done(error));
}

/**
 * Sessions of being awake: some a day, each some minutes long. A third of them begin near one of somebody else: being awake
 * together is what short ones would be without.
 */
function sessions(chance: Chance, days: number, others: readonly Time[]): [start: number, length: number][] {
  const list: [number, number][] = [];
  for (let day = 0; day < days; day++)
    for (let i = chance.between(1, 4); i > 0; i--) {
      const length = chance.between(2 * MINUTE_MS, 10 * MINUTE_MS);
      const alone = day * DAY_MS + chance.between(0, 22 * HOUR_MS);
      const near = others.length > 0 && chance.happens(0.35) ? chance.pick(others) : undefined;
      list.push([near === undefined ? alone : Math.max(0, near + chance.between(-length, length)), length]);
    }
  return list;
}

function write(world: World, chance: Chance, { device: from }: Person, { device: to }: Person, sent: Sent[]): void {
  if (!from.isAwake || from.driver.state !== "running" || from.contactId(to) === undefined) return;
  const isFile = chance.happens(0.12);
  const content = `${from.name} to ${to.name}, number ${sent.length}`;
  const bytes = isFile ? chance.random(chance.between(1, 120_000)) : undefined;
  const mail: Sent = { from, to, content, bytes, at: undefined, id: undefined, isCancelled: false };
  sent.push(mail);
  const known = (id: string | undefined): void => {
    if (id !== undefined) mail.at = world.now;
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
  peer.call({ type: "cancel", id: mail.id ?? "" });
  // Once asked, it may have happened even if we never hear so.
  mail.isCancelled = true;
}

/** Whoever has a new device, or a friend with one, invites or answers invites until they are contacts again. */
function findAgain(person: Person, friends: readonly Person[]): void {
  const { device, letters } = person;
  if (!device.isAwake || device.driver.state !== "running") return;
  for (const friend of friends) {
    if (device.contactId(friend.device) !== undefined) continue;
    const letter = letters.find(({ from }) => from === friend.device);
    if (letter !== undefined) device.call({ type: "add", link: letter.link });
    else if (!friend.letters.some(({ from }) => from === device))
      device.call({ type: "invite", once: true }, (value) => {
        if (value !== undefined) friend.letters.push({ from: device, link: (value as { link: string }).link });
      });
  }
}

interface Things {
  readonly seed: number;
  readonly world: World;
  readonly chance: Chance;
  readonly days: number;
  readonly people: readonly Person[];
  readonly caches: readonly SimPeer[];
  readonly sent: Sent[];
  readonly gone: Gone;
  readonly mishaps: Record<Mishap, number>;
}

/** Something that happens to a device, in some worlds. */
function planMishap(mishap: Mishap, { seed, world, chance, days, people, caches, sent, gone, mishaps }: Things): void {
  if (!chance.happens(MISHAP_ODDS[mishap])) return;
  const person = chance.pick(people);
  const when = world.now + chance.between(0, 0.6 * days * DAY_MS);
  const later = when + chance.between(HOUR_MS, 0.3 * days * DAY_MS);
  switch (mishap) {
    case "clock": {
      const victim = chance.happens(0.2) ? chance.pick(caches) : undefined;
      const error = chance.pick([-1, 1]) * chance.between(MINUTE_MS, chance.pick([HOUR_MS, 2 * DAY_MS]));
      world.at(when, () => {
        (victim ?? person.device).clockError = error;
        mishaps.clock++;
      });
      return world.at(later, () => {
        (victim ?? person.device).clockError = 0;
      });
    }
    case "full":
      world.at(when, () => {
        const { device } = person;
        device.fill();
        mishaps.full++;
        world.at(Math.min(later, when + 9 * HOUR_MS), () => device.free());
      });
      return;
    case "lost":
      return world.at(when, () => {
        const { device: old } = person;
        if (old.isAwake) old.crash();
        gone.devices.add(old);
        old.wipe();
        person.device = world.peer(`${old.name}-new`);
        person.letters.length = 0;
        const wanted = person.caches.get(old) ?? [];
        world.after(1000, () =>
          join(
            person,
            wanted.filter(({ isAwake }) => isAwake),
            () => {},
          ),
        );
        world.after(10 * MINUTE_MS, () => person.device.sleep());
        mishaps.lost++;
      });
    case "restored":
    case "rewound":
      return world.at(when, () => {
        const { device } = person;
        const backup = asleep(device, () => device.backup());
        if (mishap === "restored" && seed % MET_EVERY === 0) meetSomebody(world, device, later, sent);
        world.at(later, () => {
          // A backup from before somebody's new device does not know it: they would have to be introduced again.
          if (gone.devices.size > 0) return;
          asleep(device, () => {
            goBack(device, backup, sent, gone);
            if (mishap === "restored") device.restore(backup);
            else device.rewind(backup);
          });
          mishaps[mishap]++;
        });
      });
  }
}

/** Somebody who is always there becomes a contact that a backup of before does not know, and writes before and after `later`. */
function meetSomebody(world: World, device: SimPeer, later: Time, sent: Sent[]): void {
  const { isAwake } = device;
  const somebody = world.peer(`${device.name}-somebody`);
  device.accepts.add(somebody.hashname);
  device.wake();
  const write = (): void => {
    if (!somebody.isAwake || somebody.driver.state !== "running" || somebody.contactId(device) === undefined) return;
    const content = `${somebody.name}, number ${sent.length}`;
    const news = { from: somebody, to: device, content, bytes: undefined, isUnknown: true } as const;
    const mail: Sent = { ...news, at: undefined, id: undefined, isCancelled: false };
    sent.push(mail);
    somebody.send(device, content, (id) => {
      if (id !== undefined) mail.at = world.now;
      mail.id = id;
    });
  };
  world.after(5_000, () => {
    if (!device.isAwake || device.driver.state !== "running") return;
    device.call({ type: "invite", once: true }, (value) => {
      if (value !== undefined) somebody.call({ type: "add", link: (value as { link: string }).link });
    });
  });
  for (const at of [world.now + 10 * MINUTE_MS, later - MINUTE_MS, later + HOUR_MS]) world.at(at, write);
  world.after(5 * MINUTE_MS, () => {
    if (!isAwake) device.sleep();
  });
}

/** Does something while the device is switched off. */
function asleep<T>(device: SimPeer, act: () => T): T {
  const { isAwake } = device;
  device.sleep();
  const result = act();
  if (isAwake) device.wake();
  return result;
}

/** No more faults; two days of everybody taking turns, two of everybody together. */
function rest(world: World, people: readonly Person[], caches: readonly SimPeer[]): void {
  world.faults = false;
  const peers = people.map(({ device }) => device);
  for (const peer of [...peers, ...caches]) {
    peer.clockError = 0;
    peer.free();
  }
  for (const a of [...peers, ...caches]) for (const b of peers) world.join(a, b);
  for (const cache of caches) cache.wake();
  for (let round = 0; round < 4; round++)
    for (const peer of peers) {
      for (const other of peers) if (other !== peer) other.sleep();
      peer.wake();
      world.run("2 min");
      peer.sleep();
      world.run("7 hours");
    }
  for (const peer of peers) peer.wake();
  world.run("5 min");
}

/** A stranger who knows everybody's keys and addresses, and sends rubbish and well-made handshakes. */
function probe(world: World): { heard: () => number } {
  const stranger = world.peer("stranger");
  world.run("1 s");
  const before = stranger.received;
  for (const { identity, hashname, name } of world.peers) {
    if (hashname === stranger.hashname) continue;
    // A made-up invite: true keys and addresses, but no secret and no token.
    const paths = [world.place(name)];
    const link = encodeInvite({ keys: identity.keys, hashname, paths, caches: [], card: world.chance.random(16) });
    stranger.call({ type: "add", link });
  }
  const rubbish = world.chance.fork();
  const knock = (): void => {
    stranger.wake();
    world.after(3 * MINUTE_MS, () => stranger.sleep());
    for (const peer of world.peers)
      if (peer !== stranger)
        world.transmit("stranger", world.place(peer.name), rubbish.random(rubbish.between(0, 300)));
    world.after(11 * HOUR_MS, knock);
  };
  knock();
  return { heard: () => stranger.received - before };
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
    `  mishaps: ${MISHAPS.map((mishap) => `${mishap} ${r.mishaps[mishap]}`).join(", ")}; ${r.deposits} messages were left at caches`,
    ...r.broken.map((line) => `  BROKEN ${line}`),
  ];
  if (r.broken.length > 0) lines.push(`  replay: ${replay}`);
  return lines.join("\n");
}

const MET_EVERY = 4; // of restored worlds: one more peer that is always awake costs a quarter of the time of a world
// In this share of worlds; "lost" and "restored" leave fewer mails that must arrive, so they are the rarer ones.
const MISHAP_ODDS: Readonly<Record<Mishap, number>> = {
  clock: 0.5,
  full: 0.3,
  lost: 0.2,
  restored: 0.25,
  rewound: 0.2,
};
