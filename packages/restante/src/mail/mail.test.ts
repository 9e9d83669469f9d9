import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { boxId, messageId } from "../box/index.ts";
import { concat, equal, fromBase32, fromUtf8, type Time, toHex, utf8 } from "../bytes/index.ts";
import { type Crypto, createCrypto, createIdentity, type Hashname, type Identity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { PART_CONTENT, TEXT_LIMIT } from "./constants.ts";
import type { InboxRecord } from "./inbox.ts";
import { type LedgerEntry, mayFollow, stateOf } from "./ledger.ts";
import { Mail } from "./mail.ts";
import { Numbering } from "./numbering.ts";
import type { Draft, MailContact, MailEvent, MailIn, MailOut } from "./turn.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const fast = createCrypto(portable, [cs01()]);
const real = createCrypto(portable);

/** What can go wrong in a world; probabilities unless said otherwise. */
interface Faults {
  /** A cache says yes and keeps nothing. */
  lose: number;
  /** A deposit fails after a while, whether it arrived or not. */
  fail: number;
  /** A message is shown twice. */
  duplicate: number;
  /** A turn of a peer is its last: nothing, or its commit and some of its effects, still happens. */
  crash: number;
  /** Milliseconds that anything takes, at most. */
  latency: number;
}

const CALM: Faults = { lose: 0, fail: 0, duplicate: 0, crash: 0, latency: 40 };

/** A small world: stations with a store each, caches in memory, links, and a clock that jumps to the next event. */
class World {
  readonly chance: Chance;
  readonly crypto: Crypto;
  faults: Faults;
  now: Time = 1_700_000_000_000;
  readonly caches: FakeCache[] = [];
  readonly stations: Station[] = [];
  readonly #queue: { at: Time; n: number; run: () => void }[] = [];
  #n = 0;

  constructor(seed: number, faults: Partial<Faults> = {}, crypto: Crypto = fast) {
    this.chance = new Chance(seed);
    this.crypto = crypto;
    this.faults = { ...CALM, ...faults };
  }

  cache(options: { cap?: number; store?: string } = {}): FakeCache {
    const cache = new FakeCache(this, options);
    this.caches.push(cache);
    return cache;
  }

  station(caches: readonly FakeCache[] = []): Station {
    const station = new Station(this, caches);
    this.stations.push(station);
    return station;
  }

  after(delay: number, run: () => void): void {
    const entry = { at: this.now + delay, n: this.#n++, run };
    let place = this.#queue.length;
    while (place > 0 && (this.#queue[place - 1]?.at ?? 0) > entry.at) place--;
    this.#queue.splice(place, 0, entry);
  }

  soon(run: () => void): void {
    this.after(this.chance.between(1, this.faults.latency), run);
  }

  run(duration: number): void {
    const end = this.now + duration;
    for (let first = this.#queue[0]; first !== undefined && first.at <= end; first = this.#queue[0]) {
      this.#queue.shift();
      this.now = first.at;
      first.run();
    }
    this.now = end;
  }

  /** No more faults and everybody awake. */
  calm(): void {
    this.faults = { ...CALM };
    for (const cache of this.caches) cache.up = true;
    for (const station of this.stations) station.wake();
  }
}

/** Keeps in memory, or does not. */
class FakeCache {
  readonly #world: World;
  readonly hashname: Hashname;
  readonly cap: number;
  readonly store: string;
  up = true;
  /** By recipient and box: message id and bytes. */
  readonly boxes = new Map<string, Map<string, Uint8Array>>();
  deposits = 0;
  highest = 0;

  constructor(world: World, { cap = 8 * 1024 * 1024, store }: { cap?: number; store?: string }) {
    this.#world = world;
    this.hashname = createIdentity(world.crypto, world.chance.random).hashname;
    this.cap = cap;
    this.store = store ?? this.hashname;
  }

  put(from: Hashname, to: Hashname, bytes: Uint8Array): void {
    if (!this.up || this.#world.chance.happens(this.#world.faults.lose)) return;
    const box = boxId(portable, from, to);
    const key = `${to} ${box}`;
    const messages = this.boxes.get(key) ?? new Map<string, Uint8Array>();
    this.boxes.set(key, messages);
    this.deposits++;
    messages.set(messageId(portable, box, bytes), bytes);
    let size = 0;
    for (const message of messages.values()) size += message.length;
    this.highest = Math.max(this.highest, size);
    for (const station of this.#world.stations) if (station.hashname === to) this.show(station);
  }

  remove(to: Hashname, box: string, id: string): void {
    if (this.up) this.boxes.get(`${to} ${box}`)?.delete(id);
  }

  /** Everything that waits for a station, in any order, now and then twice. */
  show(station: Station): void {
    if (!this.up || !station.isAwake || !station.caches.includes(this)) return;
    const shown = station.shown.get(this) ?? new Set<string>();
    station.shown.set(this, shown);
    const { life } = station;
    for (const [key, messages] of this.boxes) {
      const [to, box = ""] = key.split(" ");
      if (to !== station.hashname) continue;
      for (const [id, bytes] of messages) {
        if (shown.has(`${box} ${id}`)) continue;
        shown.add(`${box} ${id}`);
        const times = this.#world.chance.happens(this.#world.faults.duplicate) ? 2 : 1;
        for (let i = 0; i < times; i++)
          this.#world.soon(() => {
            if (station.life === life)
              station.input({ type: "message", via: this.hashname, direct: false, box, id, bytes: bytes.slice() });
          });
      }
    }
  }

  crash(): void {
    this.boxes.clear();
    for (const station of this.#world.stations) station.shown.delete(this);
  }

  get size(): number {
    return [...this.boxes.values()].reduce((sum, messages) => sum + messages.size, 0);
  }
}

/** One peer: its store, its machine while it is awake, and the policy that its parent would have. */
class Station {
  readonly #world: World;
  readonly identity: Identity;
  readonly caches: readonly FakeCache[];
  readonly contacts: Station[] = [];
  secret: Uint8Array | undefined;
  /** Accepts who shows this secret. */
  invite: Uint8Array | undefined;
  store = new Map<string, Uint8Array>();
  blobs = new Map<string, Map<number, Uint8Array>>();
  mail: Mail | undefined;
  life = 0;
  isReachable = true;
  readonly shown = new Map<FakeCache, Set<string>>();
  readonly events: MailEvent[] = [];
  readonly answers = new Map<number, { value?: unknown; code?: string }>();
  readonly introduced: string[] = [];
  readonly cards: Uint8Array[] = [];
  readonly delivered: { route: string; bytes: Uint8Array }[] = [];
  #req = 1;
  #alarm: Time | undefined;
  turns = 0;

  constructor(world: World, caches: readonly FakeCache[]) {
    this.#world = world;
    this.identity = createIdentity(world.crypto, world.chance.random);
    this.caches = caches;
    this.wake();
  }

  get hashname(): Hashname {
    return this.identity.hashname;
  }

  get isAwake(): boolean {
    return this.mail !== undefined;
  }

  /** Id of this station's card. */
  get card(): string {
    return this.hashname
      .slice(0, 8)
      .split("")
      .map((c) => c.charCodeAt(0).toString(16).padStart(4, "0"))
      .join("");
  }

  contactOf(other: Station): MailContact {
    const { hashname, identity, caches } = other;
    const offers = caches.map((cache) => ({
      hashname: cache.hashname,
      uri: `restante:${cache.hashname.slice(0, 8)}`,
      cap: cache.cap,
      store: cache.store,
    }));
    const secret = this.secret === undefined ? {} : { secret: this.secret };
    return { id: other.card, peers: [{ hashname, keys: identity.keys, caches: offers, direct: false }], ...secret };
  }

  add(other: Station): void {
    if (!this.contacts.includes(other)) this.contacts.push(other);
    this.input({ type: "contact", contact: this.contactOf(other) });
    if (this.#linked(other)) this.link(other);
  }

  /** Both awake and reachable, and at least one knows the other. */
  #linked(other: Station): boolean {
    const isKnown = this.contacts.includes(other) && other.contacts.includes(this);
    return isKnown && this.isAwake && other.isAwake && this.isReachable && other.isReachable;
  }

  link(other: Station): void {
    const up = this.#linked(other);
    this.input({ type: "link", peer: other.hashname, up });
    other.input({ type: "link", peer: this.hashname, up });
  }

  wake(): void {
    if (this.mail !== undefined) return;
    const { crypto, chance } = this.#world;
    this.life++;
    this.shown.clear();
    this.#alarm = undefined;
    const saved = new Map([...this.store].filter(([key]) => key.startsWith("mail/")));
    this.mail = new Mail({
      crypto,
      identity: this.identity,
      random: chance.random,
      boxId: (sender, recipient) => boxId(portable, sender, recipient),
      messageId: (box, bytes) => messageId(portable, box, bytes),
      cardFor: (reader) => utf8(`card of ${this.hashname} for ${reader}`),
      saved,
    });
    for (const other of this.contacts) this.input({ type: "contact", contact: this.contactOf(other) });
    this.input({ type: "tick" });
    for (const other of this.#world.stations) if (this.#linked(other)) this.link(other);
    for (const cache of this.caches) cache.show(this);
  }

  sleep(): void {
    if (this.mail === undefined) return;
    this.mail = undefined;
    this.life++;
    for (const other of this.#world.stations)
      if (other !== this) other.input({ type: "link", peer: this.hashname, up: false });
  }

  reachable(is: boolean): void {
    this.isReachable = is;
    for (const other of this.contacts) this.link(other);
  }

  /** Looks again at what the caches show: a new link to each of them. */
  look(): void {
    this.shown.clear();
    for (const cache of this.caches) cache.show(this);
  }

  call(
    input:
      | { type: "send"; contact: string; mail: Draft; expires?: Time }
      | { type: "cancel"; id: string }
      | { type: "accept" | "ignore"; request: string }
      | { type: "seen"; n: number },
  ): number {
    const req = this.#req++;
    this.input({ ...input, req });
    return req;
  }

  /** Sends and gives the id; `undefined` when the call was lost in a crash. */
  send(to: Station, text: string, expires?: Time): string | undefined {
    return this.post(to, { kind: "text", text }, expires);
  }

  post(to: Station, mail: Draft, expires?: Time): string | undefined {
    const req = this.call({ type: "send", contact: to.card, mail, ...(expires !== undefined && { expires }) });
    return (this.answers.get(req)?.value as { id: string } | undefined)?.id;
  }

  file(to: Station, name: string, content: Uint8Array): string | undefined {
    const blob = `own-${name}`;
    const records = new Map<number, Uint8Array>();
    for (let i = 0; i * PART_CONTENT < content.length; i++)
      records.set(i, content.slice(i * PART_CONTENT, (i + 1) * PART_CONTENT));
    this.blobs.set(blob, records);
    const sha256 = createHash("sha256").update(content).digest("hex");
    const id = this.post(to, { kind: "file", name, media: "text/plain", size: content.length, sha256, blob });
    const queue = this.keys("mail/queue/").map((key) => json(this.store.get(key)) as { file?: { blob: string } });
    // Refused, or the call was lost: then the content is still the caller's, who throws it away.
    if (id === undefined && !queue.some(({ file }) => file?.blob === blob)) this.blobs.delete(blob);
    return id;
  }

  input(input: MailIn): void {
    if (this.mail === undefined) return;
    this.turns++;
    const out = this.mail.handle(input, this.#world.now);
    const { chance, faults } = this.#world;
    const life = this.life;
    if (chance.happens(faults.crash)) this.#crash(out);
    else {
      this.#commit(out);
      for (const effect of out) if (this.life === life) this.#perform(effect);
    }
    this.#wind();
  }

  /** The last turn of a life: any number of its outputs still happen, its saves all or none. */
  #crash(out: readonly MailOut[]): void {
    const { chance } = this.#world;
    const commits = out.filter(isDurable).length;
    const upTo = chance.between(0, out.length);
    if (upTo >= commits && chance.happens(0.7)) {
      this.#commit(out);
      for (const effect of out.slice(0, upTo)) this.#perform(effect);
    }
    this.sleep();
    this.#world.after(chance.between(1, 5 * MINUTE), () => this.wake());
  }

  #commit(out: readonly MailOut[]): void {
    const firstEffect = out.findIndex((each) => !isDurable(each));
    if (firstEffect >= 0) expect(out.slice(firstEffect).some(isDurable), "saves come first").toBe(false);
    for (const each of out) {
      if (each.type === "blob-write") {
        const records = this.blobs.get(each.blob) ?? new Map<number, Uint8Array>();
        this.blobs.set(each.blob, records);
        records.set(each.index, each.bytes);
      } else if (each.type === "save") {
        this.#checkSave(each.key, each.value);
        if (each.value === undefined) this.store.delete(each.key);
        else this.store.set(each.key, each.value);
      }
    }
  }

  /** Ledgers only grow, by steps that are allowed; what is in the inbox stays as it is. */
  #checkSave(key: string, value: Uint8Array | undefined): void {
    if (key.startsWith("inbox/")) expect(this.store.has(key)).toBe(false);
    if (!key.startsWith("mail/queue/") && !key.startsWith("ledger/")) return;
    const id = key.slice(key.lastIndexOf("/") + 1);
    const old = this.ledger(id) ?? [];
    const next = value === undefined ? old : (json(value) as { ledger: LedgerEntry[] }).ledger;
    expect(next.slice(0, old.length)).toEqual(old);
    for (let i = 1; i < next.length; i++)
      expect(mayFollow(stateOf(next.slice(0, i)), next[i]?.state ?? "queued")).toBe(true);
  }

  ledger(id: string): LedgerEntry[] | undefined {
    const value = this.store.get(`mail/queue/${id}`) ?? this.store.get(`ledger/${id}`);
    return value && (json(value) as { ledger: LedgerEntry[] }).ledger;
  }

  state(id: string | undefined): string {
    return stateOf(this.ledger(id ?? "") ?? []);
  }

  #perform(effect: MailOut): void {
    const world = this.#world;
    const { chance, faults } = world;
    const life = this.life;
    const answer = (input: MailIn, delay?: number): void => {
      const run = (): void => {
        if (this.life === life) this.input(input);
      };
      if (delay === undefined) world.soon(run);
      else world.after(delay, run);
    };
    switch (effect.type) {
      case "read":
        world.soon(() => answer({ type: "read", req: effect.req, value: this.store.get(effect.key) }, 0));
        return;
      case "blob-read":
        world.soon(() =>
          answer({ type: "blob", req: effect.req, bytes: this.blobs.get(effect.blob)?.get(effect.index) }, 0),
        );
        return;
      case "blob-hash": {
        const hash = createHash("sha256");
        let left = effect.size;
        for (let i = 0; i < effect.count; i++) {
          const record = this.blobs.get(effect.blob)?.get(i) ?? new Uint8Array(0);
          hash.update(record.subarray(0, left));
          left -= Math.min(left, record.length);
        }
        answer({ type: "hash", req: effect.req, sha256: hash.digest("hex") });
        return;
      }
      case "blob-remove":
        this.blobs.delete(effect.blob);
        return;
      case "deliver": {
        const { id, route, to, bytes } = effect;
        this.delivered.push({ route: route.type, bytes });
        const fails = chance.happens(faults.fail);
        const arrives = !fails || chance.happens(0.5);
        if (route.type === "cache") {
          const cache = world.caches.find(({ hashname }) => hashname === route.cache);
          if (arrives) world.soon(() => cache?.put(this.hashname, to, bytes));
          const ok = !fails && cache?.up === true;
          answer({ type: "delivered", id, ok }, ok ? faults.latency + 1 : 35 * SECOND);
          return;
        }
        const other = world.stations.find(({ hashname }) => hashname === to);
        const ok = !fails && other !== undefined && this.#linked(other);
        const box = boxId(portable, this.hashname, to);
        if (arrives && other !== undefined && this.#linked(other)) {
          const otherLife = other.life;
          world.soon(() => {
            if (other.life !== otherLife) return;
            const direct = { via: this.hashname, direct: true, box, id: messageId(portable, box, bytes) };
            other.input({ type: "message", ...direct, bytes: bytes.slice() });
          });
        }
        answer({ type: "delivered", id, ok }, ok ? faults.latency + 1 : 10 * SECOND);
        return;
      }
      case "withdraw": {
        if (effect.route.type !== "cache") return;
        const { cache: hashname } = effect.route;
        const cache = world.caches.find((each) => each.hashname === hashname);
        // In order behind the deposits, as one channel keeps them.
        const box = boxId(portable, this.hashname, effect.to);
        world.after(faults.latency + 1, () => {
          for (const id of effect.ids) cache?.remove(effect.to, box, id);
        });
        return;
      }
      case "done": {
        const cache = world.caches.find(({ hashname }) => hashname === effect.via);
        if (!effect.keep) world.soon(() => cache?.remove(this.hashname, effect.box, effect.id));
        return;
      }
      case "introduce": {
        this.introduced.push(effect.request);
        if (this.invite === undefined || toHex(effect.secret ?? new Uint8Array(0)) !== toHex(this.invite)) return;
        this.accept(effect.request);
        return;
      }
      case "card":
        this.cards.push(effect.card);
        return;
      case "reply":
        this.answers.set(effect.req, { value: effect.value });
        return;
      case "refuse":
        this.answers.set(effect.req, { code: effect.code });
        return;
      case "event":
        this.events.push(effect.event);
    }
  }

  accept(request: string): number {
    const other = this.#world.stations.find(({ hashname }) => hashname === request);
    if (other !== undefined) this.add(other);
    return this.call({ type: "accept", request });
  }

  #wind(): void {
    const at = this.mail?.deadline();
    if (at === this.#alarm || at === undefined) return;
    this.#alarm = at;
    const { life } = this;
    this.#world.after(Math.max(0, at - this.#world.now), () => {
      if (this.life !== life || this.#alarm !== at) return;
      this.#alarm = undefined;
      const due = this.mail?.deadline();
      if (due !== undefined && due <= this.#world.now) this.input({ type: "tick" });
      this.#wind();
    });
  }

  inbox(): InboxRecord[] {
    const keys = [...this.store.keys()].filter((key) => key.startsWith("inbox/")).sort();
    return keys.map((key) => json(this.store.get(key)) as InboxRecord);
  }

  texts(): string[] {
    return this.inbox().flatMap(({ text }) => text ?? []);
  }

  keys(prefix: string): string[] {
    return [...this.store.keys()].filter((key) => key.startsWith(prefix));
  }

  content(record: InboxRecord | undefined): Uint8Array | undefined {
    const records = this.blobs.get(record?.file?.blob ?? "");
    return records && concat(...Array.from({ length: record?.file?.parts ?? 0 }, (_, i) => records.get(i) ?? NOTHING));
  }

  /** A copy of the store, as a backup would be. */
  backup(): Map<string, Uint8Array> {
    return new Map(this.store);
  }

  /** Comes back with the store of a backup; the driver drops the epoch. */
  restore(backup: ReadonlyMap<string, Uint8Array>): void {
    this.sleep();
    this.store = new Map(backup);
    this.store.delete("mail/epoch");
    this.wake();
  }
}

const NOTHING = new Uint8Array(0);

/** As `toEqual`, which takes seconds for a megabyte. */
function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && equal(a, b);
}

function isDurable(out: MailOut): boolean {
  return out.type === "save" || out.type === "blob-write";
}

function json(value: Uint8Array | undefined): unknown {
  return JSON.parse(fromUtf8(value ?? new Uint8Array(0)) ?? "null");
}

/** Two stations that are contacts, with two caches each, not reachable for each other. */
function pair(world: World): { alice: Station; bob: Station } {
  const [alice, bob] = [world.station([world.cache(), world.cache()]), world.station([world.cache(), world.cache()])];
  alice.isReachable = false;
  alice.add(bob);
  bob.add(alice);
  return { alice, bob };
}

/** Nothing is left of what was delivered. */
function expectClean(world: World): void {
  for (const cache of world.caches) expect(cache.size, "copies at a cache").toBe(0);
  for (const station of world.stations) {
    expect(station.keys("spool/")).toEqual([]);
    expect(station.keys("mail/queue/")).toEqual([]);
    expect(station.keys("mail/file/")).toEqual([]);
    const kept = new Set(station.inbox().map(({ file }) => file?.blob));
    expect([...station.blobs.keys()].filter((blob) => !kept.has(blob))).toEqual([]);
    expect(station.mail?.deadline(), "something scheduled").toBeUndefined();
    expect(station.mail?.status()).toMatchObject({ queued: 0, inFlight: 0 });
  }
}

describe("mail between contacts", () => {
  test("a text goes by two caches, is shown once, acknowledged, and leaves no copy", () => {
    const world = new World(1);
    const { alice, bob } = pair(world);
    bob.sleep();
    const id = alice.send(bob, "hello");
    world.run(HOUR);
    expect(alice.state(id)).toBe("handed");
    expect(bob.caches.map(({ size }) => size)).toEqual([1, 1]);
    alice.sleep();
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual(["hello"]);
    alice.wake();
    world.run(HOUR);
    expect(alice.state(id)).toBe("delivered");
    expect(alice.ledger(id ?? "")?.map(({ state }) => state)).toEqual(["queued", "handed", "handed", "delivered"]);
    world.run(40 * DAY);
    expectClean(world);
  });

  test("with cipher set 3a, too", () => {
    const world = new World(2, {}, real);
    const { alice, bob } = pair(world);
    const id = alice.send(bob, "hello");
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["hello"]);
    expect(alice.state(id)).toBe("delivered");
  });

  test("[X8] a link that is up carries it all, and the caches hear of nothing", () => {
    const world = new World(3);
    const { alice, bob } = pair(world);
    alice.reachable(true);
    const content = world.chance.random(20 * PART_CONTENT);
    for (let i = 0; i < 10; i++) alice.send(bob, `text ${i}`);
    alice.file(bob, "photo.txt", content);
    world.run(10 * MINUTE);
    expect(bob.texts()).toHaveLength(10);
    expect(isSame(bob.content(bob.inbox().find(({ kind }) => kind === "file")), content)).toBe(true);
    expect(world.caches.map(({ deposits }) => deposits)).toEqual([0, 0, 0, 0]);
    expect(alice.delivered.every(({ route }) => route === "direct")).toBe(true);
    expect(alice.mail?.outbox().every(({ state }) => state === "delivered")).toBe(true);
  });

  test("a link that takes everything and acknowledges nothing has two seconds", () => {
    const world = new World(4);
    const { alice, bob } = pair(world);
    alice.reachable(true);
    bob.mail = undefined; // the link is not told to be down
    const id = alice.send(bob, "hello");
    world.run(SECOND);
    expect(bob.caches.map(({ deposits }) => deposits)).toEqual([0, 0]);
    world.run(20 * SECOND);
    expect(bob.caches.map(({ deposits }) => deposits)).toEqual([1, 1]);
    expect(alice.state(id)).toBe("handed");
  });

  test("a file of many parts arrives whole, and a text is not stuck behind it", () => {
    const world = new World(5, { latency: 400 });
    const { alice, bob } = pair(world);
    const content = world.chance.random(100 * PART_CONTENT - 17);
    alice.file(bob, "film.txt", content);
    world.run(SECOND);
    alice.send(bob, "look at this");
    world.run(DAY);
    expect(bob.inbox().map(({ kind }) => kind)).toEqual(["text", "file"]);
    const file = bob.inbox()[1];
    expect(isSame(bob.content(file), content)).toBe(true);
    expect(file?.file).toMatchObject({ name: "film.txt", media: "text/plain", size: content.length, parts: 100 });
    world.run(40 * DAY);
    expectClean(world);
  });

  test("a box is never filled beyond its cap: files leave an eighth to texts, and go on as parts are acknowledged", () => {
    const world = new World(6);
    const cache = world.cache({ cap: 2 * 1024 * 1024 });
    const [alice, bob] = [world.station([world.cache()]), world.station([cache])];
    alice.isReachable = false;
    alice.add(bob);
    bob.add(alice);
    bob.sleep();
    const content = world.chance.random(100 * PART_CONTENT);
    const id = alice.file(bob, "film.txt", content);
    world.run(DAY);
    expect(alice.state(id)).toBe("queued");
    expect(cache.highest).toBeGreaterThan(1700 * 1024);
    expect(cache.highest).toBeLessThanOrEqual((7 / 8) * 2 * 1024 * 1024);
    for (let i = 0; i < 20; i++) alice.send(bob, `text ${i}`);
    world.run(HOUR);
    expect(alice.mail?.outbox().filter(({ state }) => state === "handed")).toHaveLength(20);
    bob.wake();
    world.run(DAY);
    expect(bob.texts()).toHaveLength(20);
    expect(isSame(bob.content(bob.inbox().at(-1)), content)).toBe(true);
    expect(cache.highest).toBeLessThanOrEqual(2 * 1024 * 1024);
    expect(alice.state(id)).toBe("delivered");
  });

  test("an empty file is a file", () => {
    const world = new World(7);
    const { alice, bob } = pair(world);
    alice.file(bob, "empty.txt", new Uint8Array(0));
    world.run(HOUR);
    expect(bob.content(bob.inbox()[0])).toEqual(new Uint8Array(0));
  });

  test("a file that is not what its digest says is shown as damaged, without content", () => {
    const world = new World(8);
    const { alice, bob } = pair(world);
    const id = alice.file(bob, "bad.txt", world.chance.random(3 * PART_CONTENT));
    alice.blobs.get("own-bad.txt")?.set(1, new Uint8Array(PART_CONTENT));
    world.run(HOUR);
    expect(bob.inbox()).toMatchObject([{ kind: "file", why: "damaged" }]);
    expect(bob.blobs.size).toBe(0);
    expect(alice.state(id)).toBe("delivered");
  });

  test("[X31] what was acknowledged, cancelled or expired is taken back where nobody fetched it", () => {
    const world = new World(9);
    const { alice, bob } = pair(world);
    const [fetched, other] = bob.caches;
    bob.sleep();
    const delivered = alice.send(bob, "one");
    const cancelled = alice.send(bob, "two");
    world.run(HOUR);
    alice.call({ type: "cancel", id: cancelled ?? "" });
    world.run(MINUTE);
    expect([fetched?.size, other?.size]).toEqual([1, 1]);
    if (other) other.up = false; // bob sees one cache, alice both
    bob.wake();
    world.run(MINUTE);
    expect(fetched?.size).toBe(0);
    bob.sleep();
    if (other) other.up = true;
    const expired = alice.send(bob, "three", world.now + DAY);
    alice.sleep();
    alice.wake(); // finds the acknowledgement, and what it says lies at both
    world.run(MINUTE);
    expect(alice.state(delivered)).toBe("delivered");
    expect(other?.size).toBe(1); // "three"
    world.run(2 * DAY);
    expect([alice.state(cancelled), alice.state(expired)]).toEqual(["cancelled", "expired"]);
    expect(world.caches.map(({ size }) => size)).toEqual([0, 0, 0, 0]);
    expect(bob.texts()).toEqual(["one"]);
  });

  test("[X36] what expired or was cancelled may still turn out to be delivered, and nothing else", () => {
    const world = new World(10);
    const { alice, bob } = pair(world);
    bob.sleep();
    const expires = world.now + DAY;
    const ids = [alice.send(bob, "late", expires), alice.send(bob, "later", expires)];
    world.run(MINUTE);
    alice.sleep();
    bob.wake();
    world.run(MINUTE);
    bob.sleep(); // its acknowledgement waits for alice
    expect(bob.texts().sort()).toEqual(["late", "later"]);
    for (const cache of alice.caches) cache.up = false;
    alice.wake();
    alice.call({ type: "cancel", id: ids[0] ?? "" });
    world.run(20 * DAY);
    expect(ids.map((id) => alice.state(id))).toEqual(["cancelled", "expired"]);
    for (const cache of alice.caches) cache.up = true;
    alice.look();
    world.run(MINUTE);
    expect(ids.map((id) => alice.state(id))).toEqual(["delivered", "delivered"]);
  });

  test("[A34] [X36] a copy that is read more than two days after its expiry is dropped", () => {
    const world = new World(11);
    const { alice, bob } = pair(world);
    bob.sleep();
    alice.send(bob, "too late", world.now + HOUR);
    alice.send(bob, "in time", world.now + 2 * DAY);
    world.run(MINUTE);
    alice.sleep();
    world.run(3 * DAY);
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual(["in time"]);
    expect(bob.caches.map(({ size }) => size)).toEqual([0, 0]);
  });

  test("a cache that forgot all is offered it again; an acknowledgement that was lost is made again", () => {
    const world = new World(12);
    const { alice, bob } = pair(world);
    bob.sleep();
    const id = alice.send(bob, "hello");
    world.run(HOUR);
    for (const cache of bob.caches) cache.crash();
    world.run(HOUR);
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual([]);
    alice.sleep();
    alice.wake(); // a restart changes nothing about when
    world.run(5 * HOUR);
    expect(bob.texts()).toEqual(["hello"]);
    expect(alice.state(id)).toBe("delivered");

    alice.sleep();
    const second = ((): string | undefined => {
      alice.wake();
      for (const cache of alice.caches) cache.up = false;
      return alice.send(bob, "again");
    })();
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["hello", "again"]);
    for (const cache of alice.caches) cache.crash();
    for (const cache of alice.caches) cache.up = true;
    bob.mail?.handle({ type: "delivered", id: -1, ok: true }, world.now);
    world.run(4 * DAY);
    expect(alice.state(second)).toBe("delivered");
    expect(bob.texts()).toEqual(["hello", "again"]);
  });

  test("[X38] two caches with no failure in common, and more only after the second retry", () => {
    const world = new World(13);
    const caches = [world.cache({ store: "s" }), world.cache({ store: "s" }), world.cache(), world.cache()];
    const [alice, bob] = [world.station([world.cache()]), world.station(caches)];
    alice.isReachable = false;
    alice.add(bob);
    bob.sleep();
    alice.send(bob, "one");
    world.run(10 * MINUTE);
    expect(caches.map(({ size }) => size)).toEqual([1, 0, 1, 0]);
    const [, , third] = caches;
    if (third) third.up = false;
    alice.send(bob, "two");
    world.run(MINUTE);
    expect(caches.map(({ size }) => size)).toEqual([2, 0, 1, 0]);
    world.run(10 * MINUTE);
    expect(caches.map(({ size }) => size)).toEqual([2, 0, 1, 1]);
  });

  test("[A35] [X27] a duplicate is known by sender, epoch, number and part, however often and by whatever route it comes", () => {
    const world = new World(14);
    const { alice, bob } = pair(world);
    alice.send(bob, "once");
    world.run(MINUTE);
    const sent = alice.delivered.map(({ bytes }) => bytes);
    const box = boxId(portable, alice.hashname, bob.hashname);
    for (const bytes of [...sent, ...sent]) {
      const id = messageId(portable, box, bytes);
      for (const direct of [true, false]) {
        const via = direct ? alice.hashname : (bob.caches[0]?.hashname ?? alice.hashname);
        bob.input({ type: "message", via, direct, box, id, bytes });
      }
      world.run(MINUTE);
    }
    bob.sleep();
    bob.wake();
    for (const bytes of sent)
      bob.input({
        type: "message",
        via: alice.hashname,
        direct: true,
        box,
        id: messageId(portable, box, bytes),
        bytes,
      });
    world.run(HOUR);
    expect(bob.texts()).toEqual(["once"]);
  });

  test("[X15] acknowledgements are the recipient's own messages, are never acknowledged, and are replaced, not piled up", () => {
    const world = new World(15);
    const { alice, bob } = pair(world);
    alice.sleep();
    for (let i = 0; i < 5; i++) {
      alice.wake();
      for (const cache of alice.caches) cache.up = true;
      alice.send(bob, `text ${i}`);
      world.run(30);
      alice.sleep();
      world.run(HOUR);
    }
    expect(bob.texts()).toHaveLength(5);
    // What lies there for alice is one acknowledgement at each cache.
    expect(alice.caches.map(({ size }) => size)).toEqual([1, 1]);
    alice.wake();
    world.run(HOUR);
    const turns = [alice.delivered.length, bob.delivered.length];
    world.run(10 * DAY);
    // A last one may tell of the floor; then there is silence.
    expect(alice.delivered.length - (turns[0] ?? 0)).toBeLessThanOrEqual(2);
    expect(bob.delivered.length - (turns[1] ?? 0)).toBe(0);
  });

  test("gaps are shown, hold nothing back, and heal", () => {
    const world = new World(16);
    const { alice, bob } = pair(world);
    bob.sleep();
    for (const text of ["one", "two", "three"]) {
      alice.send(bob, text);
      world.run(MINUTE);
    }
    alice.sleep();
    const boxes = bob.caches.flatMap((cache) => [...cache.boxes.values()]);
    const [, middle = ""] = boxes[0]?.keys() ?? [];
    const bytes = boxes[0]?.get(middle) ?? new Uint8Array(0);
    for (const messages of boxes) messages.delete(middle);
    bob.wake();
    world.run(MINUTE);
    expect(bob.texts().sort()).toHaveLength(2);
    const gaps = (): number[] => bob.events.flatMap((event) => (event.type === "gap" ? event.missing : []));
    expect(gaps().at(-1)).toBe(1);
    for (const messages of boxes) messages.set(middle, bytes);
    bob.look();
    world.run(MINUTE);
    expect(bob.texts()).toHaveLength(3);
    expect(gaps().at(-1)).toBe(0);
  });

  test("floors pass what was acknowledged, and what expired two days ago; the recipient takes them over", () => {
    const world = new World(17);
    const { alice, bob } = pair(world);
    bob.sleep();
    alice.send(bob, "lost", world.now + HOUR);
    world.run(3 * HOUR);
    bob.wake();
    for (let i = 0; i < 5; i++) alice.send(bob, `text ${i}`);
    world.run(DAY);
    const floors = (): number[] => {
      const record = json(bob.store.get(`mail/in/${alice.hashname}`)) as { numbering: string };
      const numbering = Numbering.decode(fromBase32(record.numbering) ?? new Uint8Array(0));
      return numbering?.report().map(({ floor }) => floor) ?? [];
    };
    expect(floors()).toEqual([1]);
    expect(bob.events.filter(({ type }) => type === "gap").at(-1)).toMatchObject({ missing: 1 });
    world.run(3 * DAY);
    expect(floors()).toEqual([7]);
    expect(bob.events.filter(({ type }) => type === "gap").at(-1)).toMatchObject({ missing: 0 });
  });

  test("the same part makes the same bytes at each attempt, after a restart too", () => {
    const world = new World(18);
    const { alice, bob } = pair(world);
    bob.sleep();
    alice.send(bob, "hello");
    world.run(HOUR);
    alice.sleep();
    alice.wake();
    world.run(3 * DAY);
    expect(alice.delivered.length).toBeGreaterThan(6);
    expect(new Set(alice.delivered.map(({ bytes }) => toHex(bytes))).size).toBe(1);
  });

  test("calls are answered with what they made, or why not", () => {
    const world = new World(19);
    const { alice, bob } = pair(world);
    const code = (req: number): string | undefined => alice.answers.get(req)?.code;
    const text = (text: string): Draft => ({ kind: "text", text });
    const file = { kind: "file", name: "x", media: "text/plain", size: 1, sha256: "00".repeat(32), blob: "b" } as const;
    const send = (mail: Draft, contact = bob.card): number => alice.call({ type: "send", contact, mail });
    expect(code(send(text("x"), "00"))).toBe("not-found");
    expect(code(send(text("x".repeat(TEXT_LIMIT + 1))))).toBe("too-large");
    expect(code(send({ ...file, size: 7 * 1024 * 1024 + 1 }))).toBe("too-large");
    expect(code(send({ ...file, name: "../x" }))).toBe("bad-mail");
    expect(code(send({ ...file, media: "?" }))).toBe("bad-mail");
    expect(code(alice.call({ type: "cancel", id: "00" }))).toBe("not-found");
    expect(code(alice.call({ type: "ignore", request: "00" }))).toBe("not-found");
    expect(code(alice.call({ type: "accept", request: "00" }))).toBe("not-found");
    expect(alice.keys("spool/")).toEqual([]);
    const id = alice.send(bob, "x".repeat(TEXT_LIMIT)) ?? "";
    expect(alice.mail?.ledger(id)?.map(({ state }) => state)).toEqual(["queued"]);
    world.run(MINUTE);
    expect(code(alice.call({ type: "cancel", id }))).toBe("final");
    expect(bob.mail?.lastN()).toBe(1);
    expect(bob.mail?.unread()).toBe(1);
    bob.call({ type: "seen", n: 7 });
    expect(bob.mail?.unread()).toBe(0);
    expect(alice.mail?.outbox()).toMatchObject([{ id, state: "delivered", handed: 2, parts: 1, acked: 1 }]);
  });

  test("a mail whose content was lost is cancelled, and says so", () => {
    const world = new World(20);
    const { alice, bob } = pair(world);
    const id = alice.file(bob, "gone.txt", new Uint8Array(10));
    alice.blobs.clear();
    world.run(HOUR);
    expect(alice.ledger(id ?? "")?.at(-1)).toMatchObject({ state: "cancelled", why: "lost" });
    world.run(50 * DAY);
    expectClean(world);
  });
});

describe("mail of strangers", () => {
  /** Alice has bob's card; bob has never heard of her. */
  function strangers(seed: number): { world: World; alice: Station; bob: Station } {
    const world = new World(seed);
    const [alice, bob] = [world.station([world.cache()]), world.station([world.cache(), world.cache()])];
    return { world, alice, bob };
  }

  test("a stranger becomes a request, gets no answer, and after acceptance its mails are shown once and acknowledged", () => {
    const { world, alice, bob } = strangers(30);
    alice.add(bob);
    const ids = [alice.send(bob, "hello"), alice.send(bob, "it is me")];
    world.run(2 * DAY);
    expect(bob.mail?.requests()).toMatchObject([{ request: alice.hashname, hashname: alice.hashname }]);
    expect(bob.mail?.requests()[0]?.texts.slice().sort()).toEqual(["hello", "it is me"]);
    expect(fromUtf8(bob.mail?.requests()[0]?.card ?? NOTHING)).toContain(alice.hashname);
    expect(bob.events.filter(({ type }) => type === "request")).toHaveLength(1);
    expect(bob.texts()).toEqual([]);
    expect(bob.delivered).toEqual([]); // not a byte to a stranger
    bob.sleep();
    bob.wake();
    expect(bob.mail?.requests()).toHaveLength(1);
    bob.accept(alice.hashname);
    world.run(MINUTE);
    expect(bob.texts().sort()).toEqual(["hello", "it is me"]);
    expect(ids.map((id) => alice.state(id))).toEqual(["delivered", "delivered"]);
    expect(bob.mail?.requests()).toEqual([]);
    expect(bob.answers.get(1)?.value).toEqual({ contact: alice.card });
    bob.send(alice, "welcome");
    alice.send(bob, "thank you");
    world.run(40 * DAY);
    expect(alice.texts()).toEqual(["welcome"]);
    expect(bob.texts().sort()).toEqual(["hello", "it is me", "thank you"]);
    expectClean(world);
  });

  test("whoever is ignored gets nothing, and does not come back", () => {
    const { world, alice, bob } = strangers(31);
    alice.add(bob);
    alice.send(bob, "hello");
    world.run(MINUTE);
    bob.call({ type: "ignore", request: alice.hashname });
    bob.sleep();
    bob.wake();
    alice.send(bob, "hello?");
    world.run(10 * DAY);
    expect(bob.mail?.requests()).toEqual([]);
    expect(bob.delivered).toEqual([]);
    expect(bob.texts()).toEqual([]);
    expect(bob.keys("mail/request/")).toEqual([]);
    expect(alice.mail?.outbox().map(({ state }) => state)).toEqual(["handed", "handed"]);
  });

  test("who shows the secret of an invite is accepted without a question", () => {
    const { world, alice, bob } = strangers(32);
    bob.invite = alice.secret = world.chance.random(16);
    alice.add(bob);
    const id = alice.send(bob, "you invited me");
    world.run(MINUTE);
    expect(bob.texts()).toEqual(["you invited me"]);
    expect(alice.state(id)).toBe("delivered");
    expect(bob.events.filter(({ type }) => type === "request")).toEqual([]);
    // A wrong secret is a question to the user, a moment later.
    const eve = world.station([world.cache()]);
    eve.secret = world.chance.random(16);
    eve.add(bob);
    eve.send(bob, "me, too");
    world.run(MINUTE);
    expect(bob.introduced).toContain(eve.hashname);
    expect(bob.events.filter(({ type }) => type === "request")).toHaveLength(1);
    expect(eve.delivered.length).toBeGreaterThan(0);
    expect(bob.texts()).toEqual(["you invited me"]);
  });

  test("a hello from a contact is a card update, besides; a mail of kind card is nothing else", () => {
    const { world, alice, bob } = strangers(33);
    alice.add(bob);
    bob.add(alice);
    alice.send(bob, "hello");
    world.run(MINUTE);
    expect(bob.cards.map((card) => fromUtf8(card))).toEqual([`card of ${alice.hashname} for ${bob.hashname}`]);
    const id = alice.post(bob, { kind: "card" });
    bob.sleep();
    bob.wake();
    world.run(MINUTE);
    expect(bob.cards.length).toBe(2);
    expect(alice.state(id)).toBe("delivered");
    expect(bob.texts()).toEqual(["hello"]);
    expect(bob.mail?.lastN()).toBe(1);
    // Once she was heard of, what she sends is no hello any more.
    const before = alice.delivered.length;
    alice.send(bob, "x");
    world.run(MINUTE);
    expect(alice.delivered.slice(before).every(({ bytes }) => bytes.length === 1023)).toBe(true);
    expect(bob.cards.length).toBe(2);
  });

  test("strangers have little room: the 33rd waits, 20 openings a minute, 8 KiB of each at a cache", () => {
    const world = new World(34);
    const bob = world.station([world.cache({ cap: 8 * 1024 })]);
    const many = Array.from({ length: 40 }, () => world.station([]));
    for (const each of many) {
      each.add(bob);
      each.send(bob, "hello");
    }
    world.run(MINUTE);
    expect(bob.mail?.requests().length).toBeLessThanOrEqual(40);
    expect(bob.mail?.requests().length).toBeLessThan(25);
    expect(bob.mail?.status().refused).toBeGreaterThan(10);
    for (let i = 0; i < 5; i++) {
      world.run(MINUTE);
      bob.look(); // what was not opened lies there still
    }
    world.run(MINUTE);
    expect(bob.mail?.requests()).toHaveLength(32);
    const first = many.find(({ hashname }) => bob.mail?.requests()[0]?.hashname === hashname);
    for (let i = 0; i < 12; i++) {
      first?.send(bob, `more ${i}`);
      world.run(MINUTE);
    }
    expect(bob.mail?.requests().find(({ hashname }) => hashname === first?.hashname)?.texts).toHaveLength(4);
    expect(bob.caches[0]?.highest).toBeLessThanOrEqual(8 * 1024);
    if (first) bob.accept(first.hashname);
    world.run(2 * DAY);
    expect(bob.texts()).toHaveLength(13); // what there was no room for was offered again
  });

  test("acceptance survives a crash at any moment", () => {
    for (let seed = 0; seed < 30; seed++) {
      const { world, alice, bob } = strangers(seed);
      alice.add(bob);
      for (let i = 0; i < 3; i++) alice.send(bob, `text ${i}`);
      world.run(MINUTE);
      world.faults.crash = 0.4;
      bob.accept(alice.hashname);
      world.run(HOUR);
      world.calm();
      if (!bob.contacts.includes(alice)) bob.accept(alice.hashname);
      world.run(DAY);
      expect(bob.texts().sort()).toEqual(["text 0", "text 1", "text 2"]);
      expect(bob.keys("mail/request/")).toEqual([]);
      expect(alice.mail?.outbox().every(({ state }) => state === "delivered")).toBe(true);
    }
  });
});

describe("mail in bad worlds", () => {
  /** Some days of everything at once; then calm, and what must hold. Gives a digest of the run. */
  function badWorld(seed: number, crypto: Crypto = fast): string {
    const dice = new Chance(seed * 7919 + 1);
    const faults = {
      lose: dice.pick([0, 0.1, 0.5]),
      fail: dice.pick([0, 0.1, 0.4]),
      duplicate: dice.pick([0, 0.3]),
      crash: dice.pick([0, 0.005, 0.03]),
      latency: dice.pick([20, 500, 5000]),
    };
    const world = new World(seed, faults, crypto);
    const { alice, bob } = pair(world);
    const people = [alice, bob] as const;
    const asked: { from: Station; id: string; text: string | undefined; expires: Time; isCancelled: boolean }[] = [];
    const actions: (() => void)[] = [
      () => alice.reachable(!alice.isReachable),
      () => dice.pick(people).sleep(),
      () => dice.pick(people).wake(),
      () => dice.pick(people).wake(),
      () => dice.pick(people).look(),
      () => dice.pick(world.caches).crash(),
      () => {
        const cache = dice.pick(world.caches);
        cache.up = !cache.up;
      },
      () => {
        const some = asked.length > 0 && dice.happens(0.3) ? dice.pick(asked) : undefined;
        if (some === undefined) return;
        some.isCancelled = true;
        some.from.call({ type: "cancel", id: some.id });
      },
    ];
    for (let step = 0; step < 120; step++) {
      if (dice.happens(0.4)) {
        const from = dice.pick(people);
        const to = from === alice ? bob : alice;
        const expires = dice.happens(0.1) ? world.now + dice.between(1, 3) * DAY : undefined;
        if (from.isAwake && dice.happens(0.85)) {
          const text = `text ${step}`;
          const id = from.send(to, text, expires);
          if (id !== undefined)
            asked.push({ from, id, text, expires: expires ?? world.now + 14 * DAY, isCancelled: false });
        } else if (from.isAwake) {
          const content = dice.random(dice.between(0, 3 * PART_CONTENT));
          const id = from.file(to, `file ${step}`, content);
          if (id !== undefined)
            asked.push({ from, id, text: undefined, expires: world.now + 14 * DAY, isCancelled: false });
        }
      } else dice.pick(actions)();
      world.run(dice.pick([SECOND, MINUTE, HOUR, 6 * HOUR]));
    }
    world.calm();
    const calmAt = world.now;
    for (const station of people) station.look();
    world.run(15 * DAY);
    for (const station of people) station.look(); // the last acknowledgement, if it came over a link that died
    world.run(50 * DAY);

    for (const [from, to] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const shown = to.inbox();
      const ids = shown.map(({ id }) => id);
      expect(new Set(ids).size, "shown once").toBe(ids.length);
      expect(shown.map(({ n }) => n)).toEqual(shown.map((_, i) => i + 1));
      const told = to.events.flatMap((event) => (event.type === "mail" ? event.n : []));
      expect(new Set(told).size, "told at most once").toBe(told.length);
      const states = from.keys("ledger/").map((key) => [key.slice(7), from.state(key.slice(7))] as const);
      for (const [id, state] of states) {
        expect(["delivered", "expired", "cancelled"]).toContain(state);
        // What was given up may have been shown after all: the one acknowledgement that said so was lost with its cache.
        if (state === "delivered") expect(ids).toContain(id);
      }
      for (const id of ids) expect(states.map(([known]) => known)).toContain(id);
      for (const { from: by, id, text, expires, isCancelled } of asked) {
        if (by !== from) continue;
        expect(from.ledger(id), "what was answered is durable").toBeDefined();
        // What was offered a while in a calm world is delivered, whatever was before.
        if (!isCancelled && expires > calmAt + 2 * DAY) expect(from.state(id)).toBe("delivered");
        if (text !== undefined && ids.includes(id)) expect(shown.find((each) => each.id === id)?.text).toBe(text);
      }
      for (const record of shown) {
        if (record.kind !== "file") continue;
        expect(record.why).toBeUndefined();
        const digest = createHash("sha256")
          .update(to.content(record) ?? NOTHING)
          .digest("hex");
        expect(digest).toBe(record.file?.sha256);
      }
    }
    expectClean(world);
    return JSON.stringify([alice.turns, bob.turns, alice.texts(), bob.texts()]);
  }

  test("whatever crashes, loses, copies or reorders: once, truthful, and nothing left behind", () => {
    for (let seed = 1; seed <= 25; seed++) badWorld(seed);
  }, 60_000);

  test("the same seed is the same world", () => {
    expect(badWorld(3)).toBe(badWorld(3));
  });

  test("with cipher set 3a, too", () => {
    badWorld(5, real);
  }, 60_000);

  test("a restored store begins a new epoch: nothing is shown twice, and what is open is offered again", () => {
    for (let seed = 0; seed < 20; seed++) {
      const world = new World(seed);
      const { alice, bob } = pair(world);
      bob.sleep();
      for (let i = 0; i < 4; i++) alice.send(bob, `a${i}`);
      world.run(MINUTE);
      const [backupOfAlice, backupOfBob] = [alice.backup(), bob.backup()];
      bob.wake();
      for (let i = 0; i < 4; i++) bob.send(alice, `b${i}`);
      world.run(MINUTE);
      alice.send(bob, "after the backup");
      world.run(HOUR);
      expect(bob.texts()).toHaveLength(5);
      // Alice loses a day: she forgot that it was all delivered, and the number of her last mail.
      alice.restore(backupOfAlice);
      const fresh = alice.send(bob, "new");
      world.run(2 * DAY);
      expect(bob.texts().sort()).toEqual(["a0", "a1", "a2", "a3", "after the backup", "new"]);
      expect(alice.state(fresh)).toBe("delivered");
      expect(alice.mail?.outbox().every(({ state }) => state === "delivered")).toBe(true);
      expect(bob.events.filter(({ type }) => type === "restored")).toHaveLength(1);
      // Bob loses all that he got. What alice knows as delivered is gone; what is still open comes again.
      bob.sleep();
      for (const cache of bob.caches) cache.up = false;
      alice.send(bob, "open");
      world.run(MINUTE);
      for (const cache of bob.caches) cache.up = true;
      bob.restore(backupOfBob);
      world.run(2 * DAY);
      expect(bob.texts()).toEqual(["open"]);
      expect(alice.events.filter(({ type }) => type === "restored")).toHaveLength(1);
      expect(alice.mail?.outbox().every(({ state }) => state === "delivered")).toBe(true);
    }
  });

  test("a mail whose numbers were lost is known by its id", () => {
    const world = new World(70);
    const { alice, bob } = pair(world);
    alice.send(bob, "once");
    world.run(30);
    const sent = alice.delivered.map(({ bytes }) => bytes);
    world.run(MINUTE);
    bob.sleep();
    bob.store.delete(`mail/in/${alice.hashname}`);
    bob.wake();
    const box = boxId(portable, alice.hashname, bob.hashname);
    for (const bytes of sent) {
      const id = messageId(portable, box, bytes);
      bob.input({ type: "message", via: alice.hashname, direct: true, box, id, bytes });
    }
    world.run(MINUTE);
    expect(sent).not.toEqual([]);
    expect(bob.texts()).toEqual(["once"]);
  });

  test("a contact's new peer gets what its old one never got, under the same id; each mail is shown once", () => {
    const world = new World(71);
    const { alice, bob } = pair(world);
    bob.sleep();
    const id = alice.send(bob, "to whom it may concern");
    world.run(MINUTE);
    const phone = world.station([world.cache()]);
    phone.add(alice);
    const both = alice.contactOf(bob);
    alice.input({ type: "contact", contact: { ...both, peers: [...both.peers, ...alice.contactOf(phone).peers] } });
    world.run(MINUTE);
    expect(phone.texts()).toEqual(["to whom it may concern"]);
    expect(alice.state(id)).toBe("delivered");
    const second = alice.send(bob, "to both of you");
    world.run(MINUTE);
    bob.wake();
    world.run(HOUR);
    expect(bob.texts().sort()).toEqual(["to both of you", "to whom it may concern"]);
    expect(phone.inbox().map((record) => record.id)).toEqual([id, second]);
    expect(alice.ledger(second ?? "")?.filter(({ state }) => state === "delivered")).toHaveLength(1);
  });

  test("a forgotten contact's mails are cancelled and taken back, and its numbers are never used again", () => {
    const world = new World(72);
    const { alice, bob } = pair(world);
    bob.sleep();
    const id = alice.send(bob, "oh no");
    world.run(MINUTE);
    alice.input({ type: "forget", contact: bob.card });
    world.run(HOUR);
    expect(alice.ledger(id ?? "")?.at(-1)).toMatchObject({ state: "cancelled", why: "forgotten" });
    expect(bob.caches.map(({ size }) => size)).toEqual([0, 0]);
    expect(alice.keys("mail/out/")).toEqual([]);
    expect(alice.keys("mail/in/")).toEqual([]);
    alice.input({ type: "contact", contact: alice.contactOf(bob) });
    alice.send(bob, "sorry");
    bob.wake();
    world.run(HOUR);
    expect(bob.texts()).toEqual(["sorry"]);
    expect(json(alice.store.get(`mail/out/${bob.hashname}`))).toMatchObject({ next: 3 });
  });

  test("no bytes make it throw, and rubbish is removed at once", () => {
    const world = new World(73);
    const { alice, bob } = pair(world);
    alice.send(bob, "hello");
    alice.file(bob, "x", world.chance.random(2 * PART_CONTENT));
    world.run(10);
    const sent = alice.delivered.map(({ bytes }) => bytes);
    const boxes = [boxId(portable, alice.hashname, bob.hashname), "0123456789abcdef"];
    const via = bob.caches[0]?.hashname ?? bob.hashname;
    for (let i = 0; i < 600; i++) {
      const bytes = world.chance.happens(0.5)
        ? world.chance.pick(sent).slice()
        : world.chance.random(world.chance.between(0, 3000));
      for (let flips = world.chance.between(1, 3); flips > 0 && bytes.length > 0; flips--)
        bytes[world.chance.between(0, bytes.length - 1)] = world.chance.between(0, 255);
      const cut = world.chance.happens(0.3) ? bytes.subarray(0, world.chance.between(0, bytes.length)) : bytes;
      bob.input({
        type: "message",
        via,
        direct: world.chance.happens(0.2),
        box: world.chance.pick(boxes),
        id: `${i}`,
        bytes: cut,
      });
      world.run(world.chance.pick([1, 1, 20 * SECOND]));
    }
    for (const answer of [
      { type: "read", req: 99_999, value: NOTHING },
      { type: "blob", req: 99_999, bytes: NOTHING },
      { type: "hash", req: 99_999, sha256: "" },
      { type: "delivered", id: 99_999, ok: true },
      { type: "link", peer: alice.hashname, up: false },
    ] as const)
      bob.input(answer);
    world.run(DAY);
    expect(bob.mail?.status().junk).toBeGreaterThan(50);
    expect(bob.texts()).toEqual(["hello"]);
    expect(bob.inbox()).toHaveLength(2);
  });
});
