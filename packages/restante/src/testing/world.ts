/**
 * A world in a box: a virtual clock, a seeded network that loses, doubles, reorders and parts, and peers that sleep, crash at
 * any effect and start again from what they had committed. It runs the library's own driver and root machine; only the
 * outermost edge (clock, wire, disk) is simulated. The same seed gives the same run.
 */
import { concat, fromUtf8, type Time, toHex } from "../bytes/index.ts";
import { findStamp, type Path } from "../card/index.ts";
import {
  type Backend,
  type CipherSet,
  type Crypto,
  createCrypto,
  createIdentity,
  type Hashname,
  type Identity,
  portable,
} from "../crypto/index.ts";
import { Driver, type DriverIo } from "../driver.ts";
import type { LedgerEntry, LedgerRecord, OutboxEntry, PlaceRecord, InboxRecord as Received } from "../mail/index.ts";
import { PART_CONTENT, placeKey, queueKey } from "../mail/index.ts";
import { OWN_CARD_KEY, type RootOptions, restored } from "../peer/index.ts";
import { type Call, type OutgoingMail, type PeerEvent, Root } from "../peer.ts";
import { type BoxStore, memoryBoxStore } from "../store/index.ts";
import { Chance } from "./chance.ts";
import { cs01 } from "./cipher-set-01.ts";
import { type Evil, evilBoxes } from "./evil-caches.ts";
import { FakeCarrier } from "./fake-carrier.ts";
import { pageOf } from "./mail-world.ts";

/** What network, disks and peers of a world are like. What is absent is 0, or as said. */
export interface WorldOptions {
  readonly seed: number;
  /** Probability that a packet is lost. */
  readonly loss?: number;
  /** Probability that a packet arrives twice. */
  readonly duplicate?: number;
  /** Least and most milliseconds on the way; drawn for each packet, so packets overtake each other. */
  readonly latency?: readonly [least: number, most: number];
  /** Probability that a commit fails. */
  readonly commitFailure?: number;
  /** Default: the fast and insecure test set 0x01. */
  readonly cipherSets?: (backend: Backend) => CipherSet[];
  readonly backend?: Backend;
  /** Whether packets are cloaked, which costs a tenth of a world's time. Default: in every eighth world. */
  readonly cloak?: boolean;
  /**
   * Whether the wire has addresses of streams. Whole writes are lost, doubled and overtaken, so each stream stays in step, and all are
   * told at once of a peer that dies or sleeps. Default: datagrams.
   */
  readonly streams?: boolean;
  /** Of every peer. */
  readonly keeps?: Pick<RootOptions, "keepSent" | "dailyBytes" | "window">;
  /** All peers with mail are found in the bazaar, too. Default: none is. */
  readonly carrier?: boolean;
}

/** Where in a peer's work a crash can strike. */
export const EFFECTS = [
  "transmit",
  "commit",
  "committed",
  "read",
  "list",
  "blob-read",
  "blob-hash",
  "blob-remove",
  "boxes",
  "event",
  "reply",
] as const;
/** Those of a carrier come only where there is one. */
export type Effect = (typeof EFFECTS)[number] | "deliver" | "withdraw" | "taken";

/** What happened in a world, in figures. */
export interface Counters {
  packets: number;
  lost: number;
  duplicated: number;
  parted: number;
  commits: number;
  failedCommits: number;
  crashes: Partial<Record<Effect | "outside", number>>;
}

const DAY_MS = 86_400_000;
const START = 1_800_000_000_000; // any time after which sums of milliseconds stay exact

/** Runs `SimPeer`s on one clock and one wire. */
export class World {
  readonly chance: Chance;
  readonly crypto: Crypto;
  readonly cloak: boolean;
  readonly keeps: NonNullable<WorldOptions["keeps"]>;
  readonly counters: Counters = {
    packets: 0,
    lost: 0,
    duplicated: 0,
    parted: 0,
    commits: 0,
    failedCommits: 0,
    crashes: {},
  };
  readonly peers: SimPeer[] = [];
  readonly carrier: FakeCarrier | undefined;
  /** Faults can be switched off, to let a world come to rest. */
  faults = true;
  readonly #options: WorldOptions;
  readonly #wire: Chance;
  readonly #ports: string[] = []; // names in the order in which they were first asked for: their ports are 1, 2, ...
  readonly #heap: { at: Time; n: number; run: () => void }[] = [];
  /** `${id} ${name of the recipient}` of mails that were told as delivered when they were not in its inbox. */
  readonly early: Set<string> = new Set();
  /** When packets between two were lost, for the oracle of `opportunity.ts`; open ones have no end yet. */
  readonly cuts: Cut[] = [];
  #now: Time = START;
  #n = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.chance = new Chance(options.seed);
    this.#wire = this.chance.fork();
    this.cloak = options.cloak ?? options.seed % 8 === 0;
    this.keeps = options.keeps ?? {};
    if (options.carrier) this.carrier = new FakeCarrier(this, () => this.peers);
    const backend = options.backend ?? portable;
    this.crypto = createCrypto(backend, options.cipherSets?.(backend) ?? [cs01()]);
  }

  get now(): Time {
    return this.#now;
  }

  /** The share of packets that is lost while there are faults. */
  get loss(): number {
    return this.#options.loss ?? 0;
  }

  /** A peer with mail, awake. */
  peer(name: string): SimPeer {
    return this.#add(new SimPeer(this, name, { mail: true }));
  }

  /** A cache: no mail of its own, boxes in memory, and nothing that outlives a crash. */
  cache(
    name: string,
    options: { cap?: number; quota?: number; routes?: boolean; evil?: Evil | undefined } = {},
  ): SimPeer {
    const { cap = 8 << 20, quota = 64 << 20, routes = false, evil } = options;
    return this.#add(new SimPeer(this, name, { mail: false, cache: { cap, quota }, routes, evil }));
  }

  #add(peer: SimPeer): SimPeer {
    this.peers.push(peer);
    peer.wake();
    return peer;
  }

  /** Packets between the two are lost until `join`. */
  part(a: SimPeer, b: SimPeer): void {
    if (this.#cut(a.name, b.name) === undefined)
      this.cuts.push({ of: pair(a.name, b.name), from: this.#now, to: Number.POSITIVE_INFINITY });
  }

  /** Ends what `part` began: packets pass between the two again. */
  join(a: SimPeer, b: SimPeer): void {
    const cut = this.#cut(a.name, b.name);
    if (cut !== undefined) cut.to = this.#now;
  }

  #cut(a: string, b: string): Cut | undefined {
    const of = pair(a, b);
    return this.cuts.find((cut) => cut.of === of && cut.to === Number.POSITIVE_INFINITY);
  }

  /** Run this when the clock of the world says `time`, ms; at once in its order when that is past. */
  at(time: Time, run: () => void): void {
    // Clocks tell whole milliseconds, and no timer fires before its time: a deadline may be between two.
    push(this.#heap, { at: Math.max(Math.ceil(time), this.#now), n: this.#n++, run });
  }

  /** The same, so many ms from now. */
  after(ms: number, run: () => void): void {
    this.at(this.#now + ms, run);
  }

  /** Let time pass: milliseconds, or "3 days", "1 hour", "5 min", "10 s". */
  run(duration: number | string): void {
    const end = this.#now + milliseconds(duration);
    for (let next = this.#heap[0]; next !== undefined && next.at <= end; next = this.#heap[0]) {
      pop(this.#heap);
      this.#now = next.at;
      next.run();
    }
    this.#now = end;
  }

  /** Put a packet on the wire. */
  transmit(from: string, path: Path, bytes: Uint8Array): void {
    const { loss = 0, duplicate = 0, latency = [10, 200] } = this.#options;
    this.counters.packets++;
    const to = this.#peerAt(path);
    if (to === undefined) return;
    if (this.cuts.length > 0 && this.#cut(from, to.name) !== undefined) {
      this.counters.parted++;
      return;
    }
    if (this.faults && this.#wire.happens(loss)) {
      this.counters.lost++;
      return;
    }
    const copies = this.faults && this.#wire.happens(duplicate) ? 2 : 1;
    this.counters.duplicated += copies - 1;
    for (let i = 0; i < copies; i++) {
      const copy = bytes.slice();
      this.after(this.#wire.between(...latency), () => to.receive(this.place(from), copy));
    }
  }

  /** Where a peer is. */
  place(name: string): Path {
    if (!this.#options.streams) return { type: "mem", name };
    if (!this.#ports.includes(name)) this.#ports.push(name);
    return { type: "tcp4", ip: "10.0.0.1", port: this.#ports.indexOf(name) + 1 };
  }

  /** Who is there. A link to an address names datagrams beside streams: nobody hears those. */
  #peerAt(path: Path): SimPeer | undefined {
    const name = path.type === "tcp4" ? this.#ports[(path.port ?? 0) - 1] : path.name;
    return this.peers.find((peer) => peer.name === name);
  }

  /** A peer is no longer there. */
  hangUp(name: string): void {
    if (!this.#options.streams) return;
    const path = this.place(name);
    for (const peer of this.peers) if (peer.name !== name) this.after(1, () => peer.lose(path));
  }

  /** A sender tells its user that the mail is there. Is it? */
  delivered(from: SimPeer, id: string, by: Hashname | undefined): void {
    const to = this.peers.find(({ hashname }) => hashname === by);
    if (to !== undefined && !to.shown.has(mailName({ from: from.hashname, id }))) this.early.add(`${id} ${to.name}`);
  }

  /** Whether the commit that a peer is about to make fails; counts it. */
  commitFails(isFull = false): boolean {
    const fails = isFull || (this.faults && this.chance.happens(this.#options.commitFailure ?? 0));
    if (fails) this.counters.failedCommits++;
    else this.counters.commits++;
    return fails;
  }
}

/** No packets between the two from then to then. */
export interface Cut {
  readonly of: string;
  readonly from: Time;
  to: Time;
}

/** What was committed at some time, to go back to. */
export interface Backup {
  readonly disk: ReadonlyMap<string, Uint8Array>;
  readonly blobs: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>;
  readonly time: Time;
}

interface SimOptions {
  readonly mail: boolean;
  readonly cache?: { cap: number; quota: number };
  readonly routes?: boolean;
  readonly evil?: Evil | undefined;
}

/** One simulated peer: its disk survives, everything else dies with a crash. */
export class SimPeer {
  readonly name: string;
  readonly identity: Identity;
  /** What is committed. */
  readonly disk: Map<string, Uint8Array> = new Map();
  readonly blobs: Map<string, Map<number, Uint8Array>> = new Map();
  readonly events: PeerEvent[] = [];
  /** Whose requests its user accepts, as soon as they are there. */
  readonly accepts: Set<Hashname> = new Set();
  readonly troubles: string[] = [];
  /** When it was awake, with a disk that worked. */
  readonly lives: { readonly from: Time; to: Time }[] = [];
  /** When each mail in the inbox was committed there, by `mailName`. */
  readonly shown: Map<string, Time> = new Map();
  /** Where it could have died so far, for whoever begins to keep it. */
  trace: Effect[] | undefined;
  /** Die at this entry of the trace, counted from 1, in whichever life. */
  diesAt = 0;
  /** Of a commit under way when we die: whether it is on the disk. */
  torn: "by chance" | "kept" | "gone" = "by chance";
  /** Packets that reached this peer while it was awake. */
  received = 0;
  crashes = 0;
  /** Stamps that were looked for. */
  stamps = 0;
  /** Messages that were left at this cache, whether it kept them or not. */
  deposits = 0;
  /** Milliseconds by which its clock is wrong. Awake or asleep: clocks are put right and wrong at any time. */
  clockError = 0;
  /** Of a lying cache: the share of deposits that it drops without a word. */
  dropsPuts = 0;
  /** What this cache does besides, whatever other faults there are. */
  readonly evil: Evil | undefined;
  /** A planted bug: the next save of a key that starts so is not written, though the commit says it is. */
  forgetSave: string | undefined;
  readonly #world: World;
  readonly #options: SimOptions;
  readonly #chance: Chance;
  #driver: Driver<Root> | undefined;
  #boxes: BoxStore | undefined;
  /** Callbacks of an earlier life are not heard in a later one. */
  #life = 0;
  #armed: { effect: Effect; left: number } | undefined;
  #isFull = false;

  constructor(world: World, name: string, options: SimOptions) {
    this.#world = world;
    this.name = name;
    this.#options = options;
    this.evil = options.evil;
    this.#chance = world.chance.fork();
    this.identity = createIdentity(world.crypto, this.#chance.random);
  }

  get hashname(): Hashname {
    return this.identity.hashname;
  }

  get isAwake(): boolean {
    return this.#driver !== undefined;
  }

  get driver(): Driver<Root> {
    if (this.#driver === undefined) throw new Error(`${this.name} is asleep`);
    return this.#driver;
  }

  get root(): Root {
    const root = this.driver.root;
    if (root === undefined) throw new Error(`${this.name} is loading`);
    return root;
  }

  /** Messages in the boxes of this cache. */
  get held(): number {
    return this.#boxes?.stats().messages ?? 0;
  }

  /** Start the peer from its disk. Nothing, when it is awake. */
  wake(): void {
    if (this.#driver !== undefined) return;
    const { cache, mail, routes = false } = this.#options;
    const { crypto, carrier } = this.#world;
    const common = {
      crypto,
      identity: this.identity,
      random: this.#chance.random,
      paths: [this.#world.place(this.name)],
      name: this.name,
      cloak: this.#world.cloak,
      ...this.#world.keeps,
      ...(cache === undefined ? {} : { cache }),
      routes,
      ...(carrier && mail && { bazaar: { address: carrier.address(this), use: "beside" as const } }),
    };
    if (cache !== undefined) {
      const boxes = memoryBoxStore({ box: cache.cap, recipient: cache.quota });
      this.#boxes = this.evil === undefined ? boxes : evilBoxes(boxes, this.evil, this.#chance);
    }
    if (this.accepts.size > 0) this.#world.after(5_000, () => this.#answer());
    const life = ++this.#life;
    const driver = new Driver({
      io: this.#io(life),
      durable: mail,
      root: (saved) => new Root({ ...common, saved, mail }),
      ...(cache === undefined ? {} : { bareRoot: () => new Root({ ...common, saved: new Map(), mail: false }) }),
    });
    this.#driver = driver;
    if (!this.#isFull) this.#begin();
    this.#guard(() => driver.start());
  }

  #begin(): void {
    this.lives.push({ from: this.#world.now, to: Number.POSITIVE_INFINITY });
  }

  #end(): void {
    const life = this.lives.at(-1);
    if (life?.to === Number.POSITIVE_INFINITY) life.to = this.#world.now;
  }

  /** The process ends in good order; what was not committed is gone all the same. */
  sleep(): void {
    this.#end();
    if (this.#driver !== undefined) this.#world.hangUp(this.name);
    this.#life++;
    this.#driver?.stop();
    this.#driver = undefined;
    this.#boxes = undefined;
    this.#armed = undefined;
  }

  /** The process dies here and now. */
  crash(effect: Effect | "outside" = "outside"): void {
    if (this.#driver === undefined) return;
    this.#end();
    this.crashes++;
    const { crashes } = this.#world.counters;
    if (this.#options.mail) crashes[effect] = (crashes[effect] ?? 0) + 1; // all that a cache does is one to it
    this.#life++;
    this.#driver = undefined;
    this.#boxes = undefined;
    this.#armed = undefined;
    this.#world.hangUp(this.name);
  }

  /** No commit succeeds until `free`. */
  fill(): void {
    this.#end();
    this.#isFull = true;
  }

  /** The disk has room again. */
  free(): void {
    if (this.#isFull && this.isAwake) this.#begin();
    this.#isFull = false;
  }

  /** The whole disk as it is. For a peer that is asleep. */
  backup(): Backup {
    const blobs = [...this.blobs].map(([blob, records]) => [blob, new Map(records)] as const);
    return { disk: new Map(this.disk), blobs: new Map(blobs), time: this.#world.now };
  }

  /** The whole disk as it was, and then what restoring does to it. For a peer that is asleep. */
  restore(backup: Backup): void {
    this.rewind(backup);
    const now = this.#world.now + this.clockError;
    for (const { key, value } of restored(backup.disk.get(OWN_CARD_KEY), now)) this.#write(key, value);
  }

  /** The whole disk as it was, and nobody has noticed: as after a virtual machine went back. For a peer that is asleep. */
  rewind({ disk, blobs }: Backup): void {
    this.wipe();
    for (const [key, value] of disk) this.disk.set(key, value);
    for (const [blob, records] of blobs) this.blobs.set(blob, new Map(records));
    const names = new Set(recordsOf(disk).map(mailName));
    for (const name of [...this.shown.keys()]) if (!names.has(name)) this.shown.delete(name);
  }

  /** Nothing is left of what was committed. For a peer that is asleep. */
  wipe(): void {
    this.disk.clear();
    this.blobs.clear();
  }

  /** Die at the `nth` such effect from now on (1 = the next). */
  crashAt(effect: Effect, nth: number): void {
    this.#armed = { effect, left: nth };
  }

  /** A datagram. Lost, when the peer is asleep. */
  receive(from: Path, bytes: Uint8Array): void {
    if (this.#driver === undefined) return;
    this.received++;
    this.#guard(() => this.#driver?.input({ type: "received", path: from, bytes }));
  }

  /** A stream is over. */
  lose(path: Path): void {
    this.#guard(() => this.#driver?.input({ type: "path", path, open: false }));
  }

  /** What the carrier brings: what comes while the root is not there comes again. */
  bring(number: number, key: Uint8Array, bytes: Uint8Array): void {
    if (this.#driver?.state !== "running") return;
    this.#guard(() => this.#driver?.input({ type: "brought", number, key, bytes }));
  }

  /** Ask the root something; `done` hears the answer once it is committed, or the error code. Nothing if we die before. */
  call(call: Call, done: (value: unknown, error?: string) => void = () => {}): void {
    const life = this.#life;
    this.#guard(() =>
      this.driver.call(call, (value, error) => {
        if (life !== this.#life) return;
        this.#hit("reply");
        done(value, error?.code);
      }),
    );
  }

  #answer(): void {
    for (const { request, hashname } of this.#driver?.root?.requests() ?? [])
      if (this.accepts.has(hashname)) this.call({ type: "accept", request });
  }

  /** Send text. `done` hears the id once the mail is durable. */
  send(to: SimPeer, text: string, done: (id: string | undefined) => void = () => {}): void {
    this.#send(to, { kind: "text", text }, done);
  }

  /** Send a file: its records are written first, as the library does. */
  sendFile(to: SimPeer, name: string, content: Uint8Array, done: (id: string | undefined) => void = () => {}): void {
    const blob = `out/${toHex(this.#chance.random(16))}`;
    const records = new Map<number, Uint8Array>();
    for (let at = 0, index = 0; at < content.length || index === 0; at += PART_CONTENT, index++)
      records.set(index, content.slice(at, at + PART_CONTENT));
    this.blobs.set(blob, records);
    const sha256 = toHex(this.#world.crypto.backend.sha256(content));
    this.#send(to, { kind: "file", name, media: "application/octet-stream", size: content.length, sha256, blob }, done);
  }

  #send(to: SimPeer, mail: OutgoingMail, done: (id: string | undefined) => void): void {
    const contact = this.contactId(to);
    if (contact === undefined) throw new Error(`${to.name} is no contact of ${this.name}`);
    this.call({ type: "send", contact, mail }, (value) => done((value as { id: string } | undefined)?.id));
  }

  /** Our id of this peer; `undefined`: it is no contact, or we are asleep. */
  contactId(of: SimPeer): string | undefined {
    return this.#driver?.root?.findContact(of.hashname)?.id;
  }

  /** Texts received, in the order of arrival; of files, their names. From the disk: what the application can rely on. */
  inbox(from?: SimPeer): string[] {
    return this.records()
      .filter((mail) => from === undefined || mail.from === from.hashname)
      .map((mail) => mail.text ?? mail.file?.name ?? mail.kind);
  }

  /** All that the inbox on the disk holds. */
  records(): Received[] {
    return recordsOf(this.disk);
  }

  /** The bytes of a received file. */
  fileOf(mail: Received): Uint8Array {
    const records = this.blobs.get(mail.file?.blob ?? "") ?? new Map<number, Uint8Array>();
    return concat(...[...records].sort(([a], [b]) => a - b).map(([, bytes]) => bytes)).subarray(0, mail.file?.size);
  }

  /** As `Peer.outbox`. Empty while it is asleep. */
  outbox(): readonly OutboxEntry[] {
    return this.#driver?.root?.outbox() ?? [];
  }

  /** The ledger of one of our mails, wherever it lies by now. */
  ledger(id: string): readonly LedgerEntry[] {
    const place = this.disk.get(placeKey(id));
    const key = place && queueKey((JSON.parse(fromUtf8(place) ?? "") as PlaceRecord).place);
    const saved = this.disk.get(key ?? `ledger/${id}`);
    const ended = saved && (JSON.parse(fromUtf8(saved) ?? "") as LedgerRecord).ledger;
    return this.#driver?.root?.ledger(id) ?? ended ?? [];
  }

  #hit(effect: Effect): void {
    if (this.trace?.push(effect) === this.diesAt) throw new Crash(effect);
    if (this.#armed?.effect !== effect || --this.#armed.left > 0) return;
    throw new Crash(effect);
  }

  /** Run something of this peer; a crash inside ends its life, anything else is a bug that the world must show. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.crash(error.effect);
    }
  }

  #io(life: number): DriverIo {
    const world = this.#world;
    let wakeup = 0;
    const later = (least: number, most: number, run: () => void): void =>
      world.after(this.#chance.between(least, most), () => {
        if (life === this.#life) this.#guard(run);
      });
    return {
      now: () => world.now + this.clockError,
      wake: (at) => {
        const mine = ++wakeup;
        if (at === undefined) return;
        world.at(at - this.clockError, () => {
          if (life === this.#life && mine === wakeup) this.#guard(() => this.#driver?.tick());
        });
      },
      load: (done) =>
        later(1, 5, () => done(new Map([...this.disk].filter(([key]) => HEADS.some((p) => key.startsWith(p)))))),
      commit: ({ records, changes }, done) => {
        this.#hit("commit");
        // The batch reaches the disk at some moment, or never: dying meanwhile leaves either all of it or nothing.
        world.after(this.#chance.between(0, 3), () => {
          if (life !== this.#life && !this.#isKept()) return;
          if (world.commitFails(this.#isFull)) {
            later(0, 2, () => done(new Error("simulated: the disk did not take it")));
            return;
          }
          for (const { blob, index, bytes } of records) {
            const known = this.blobs.get(blob) ?? new Map<number, Uint8Array>();
            this.blobs.set(blob, known);
            known.set(index, bytes.slice());
          }
          for (const { key, value } of changes) this.#write(key, value);
          later(0, 2, () => {
            this.#hit("committed");
            done();
          });
        });
      },
      read: (key, done) => {
        this.#hit("read");
        later(0, 3, () => done(this.disk.get(key)?.slice()));
      },
      list: (prefix, after, limit, done) => {
        this.#hit("list");
        // Of the time when it is asked, or when it is answered: both may be.
        const page = (): [string, Uint8Array][] => pageOf(this.disk, prefix, after, limit);
        const asked = this.#chance.happens(0.5) ? page() : undefined;
        later(0, 3, () => done(asked ?? page()));
      },
      blobRead: (blob, index, done) => {
        this.#hit("blob-read");
        later(0, 3, () => done(this.blobs.get(blob)?.get(index)?.slice()));
      },
      blobHash: (blob, _count, size, done) => {
        this.#hit("blob-hash");
        const records = [...(this.blobs.get(blob) ?? [])].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
        // Now and then the disk is slow, as it is for large files: what others say meanwhile has to be true all the same.
        const ms = this.#chance.between(1, 20);
        const hash = (): void => done(toHex(world.crypto.backend.sha256(concat(...records).subarray(0, size))));
        world.after(ms > 15 ? 100 * ms : ms, () => {
          if (life === this.#life) this.#guard(hash);
        });
      },
      blobRemove: (blob) => {
        this.#hit("blob-remove");
        this.blobs.delete(blob);
      },
      boxes: (op, done) => {
        this.#hit("boxes");
        if (op.type === "put") this.deposits += 1 + (op.more?.length ?? 0);
        if (this.#boxes === undefined || (op.type === "put" && this.#chance.happens(world.faults ? this.dropsPuts : 0)))
          return done([]);
        const answers = this.#boxes.handle(op, world.now + this.clockError);
        if (Array.isArray(answers)) done(answers);
      },
      findStamp: (task, done) => {
        let isWanted = true;
        // A hash a microsecond: the search itself is done at once, its time is made up for the number of hashes.
        const stamp = findStamp(world.crypto.backend, task, 0, 2 ** 20);
        this.stamps++;
        later(1, Math.max(1, Math.ceil(2 ** task.work / 1000)), () => {
          if (isWanted) done(stamp);
        });
        return () => {
          isWanted = false;
        };
      },
      deliver: ({ ref, to, bytes }, done) => {
        this.#hit("deliver");
        const isLeft = world.carrier?.deliver(`${this.name} ${ref}`, this, to, bytes) ?? false;
        later(1, 50, () => done(isLeft));
      },
      withdraw: (refs) => {
        this.#hit("withdraw");
        world.carrier?.withdraw(refs.map((ref) => `${this.name} ${ref}`));
      },
      taken: (number, keep) => {
        this.#hit("taken");
        world.carrier?.taken(number, keep);
      },
      transmit: (path, bytes) => {
        this.#hit("transmit");
        // Some of what it says comes in time to have a link, most of it after nobody waits for it any more.
        const late =
          this.evil === "answers late" && this.#chance.happens(0.5) ? this.#chance.between(5_000, 60_000) : 0;
        if (late === 0) world.transmit(this.name, path, bytes);
        else {
          const copy = bytes.slice();
          world.after(late, () => world.transmit(this.name, path, copy));
        }
      },
      disconnect: () => {},
      event: (event) => {
        this.#hit("event");
        this.events.push(event);
        if (event.type === "state" && event.state === "delivered") this.#world.delivered(this, event.id, event.peer);
        if (event.type === "request") this.#world.after(1_000, () => this.#answer());
      },
      trouble: (message) => {
        this.troubles.push(message);
      },
      fault: (error) => {
        throw error; // a bug, which the world must show
      },
      state: () => {},
    };
  }

  #isKept(): boolean {
    const isEven = this.#chance.happens(0.5);
    return this.torn === "by chance" ? isEven : this.torn === "kept";
  }

  #write(key: string, value: Uint8Array | undefined): void {
    if (this.forgetSave !== undefined && key.startsWith(this.forgetSave)) {
      this.forgetSave = undefined;
      return;
    }
    if (value === undefined) this.disk.delete(key);
    else this.disk.set(key, value.slice());
    if (!key.startsWith("inbox/") || value === undefined) return;
    const name = mailName(JSON.parse(fromUtf8(value) ?? "") as Received);
    if (!this.shown.has(name)) this.shown.set(name, this.#world.now);
  }
}

class Crash {
  readonly effect: Effect;
  constructor(effect: Effect) {
    this.effect = effect;
  }
}

/** Milliseconds of "3 days", "1 hour", "5 min", "10 s". Throws on anything else: a test with a typing error must not pass. */
export function milliseconds(duration: number | string): number {
  if (typeof duration === "number") return duration;
  const match = /^(\d+(?:\.\d+)?) ?(ms|s|min|hours?|days?)$/.exec(duration);
  const unit = match?.[2]?.replace(/(hour|day)s/, "$1");
  const size = { ms: 1, s: 1000, min: 60_000, hour: 3_600_000, day: DAY_MS }[unit ?? ""];
  if (match === null || size === undefined) throw new Error(`no duration: ${duration}`);
  return Number(match[1]) * size;
}

/** The inbox on a disk, in the order of arrival. */
export function recordsOf(disk: Backup["disk"]): Received[] {
  return [...disk]
    .filter(([key]) => key.startsWith("inbox/"))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, value]) => JSON.parse(fromUtf8(value) ?? "") as Received);
}

/** A mail in whatever state of an inbox: its place there is another mail's after the disk went back. */
export function mailName({ from, id }: Pick<Received, "from" | "id">): string {
  return `${from} ${id}`;
}

/** The name of two, in whichever order. */
export function pair(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}

// A binary heap by time, then by order of planning.
type Event = { at: Time; n: number; run: () => void };
function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.n < b.n);
}
function push(heap: Event[], event: Event): void {
  let i = heap.length;
  heap.push(event);
  while (i > 0) {
    const up = (i - 1) >> 1;
    const parent = heap[up] as Event;
    if (!before(event, parent)) break;
    heap[i] = parent;
    i = up;
  }
  heap[i] = event;
}
function pop(heap: Event[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
    if (!before(heap[child] as Event, last)) break;
    heap[i] = heap[child] as Event;
    i = child;
  }
  heap[i] = last;
}

const HEADS = ["driver/", "mail/", "mesh/", "peer/"];
