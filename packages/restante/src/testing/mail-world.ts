/**
 * A small world for the mail machine alone: stations with a store each, caches in memory, links, and all that goes wrong with
 * them. Below `World` in `world.ts`: what boxes, channels and links do is played here by the few lines that mail needs.
 */
import { boxId, messageId } from "../box/index.ts";
import { assert, concat, fromUtf8, type Time, toHex, utf8 } from "../bytes/index.ts";
import { type Crypto, createCrypto, createIdentity, type Hashname, type Identity, portable } from "../crypto/index.ts";
import {
  type Draft,
  type ErasedFile,
  type InboxRecord,
  type LedgerEntry,
  Mail,
  type MailContact,
  type MailEvent,
  type MailIn,
  type MailOptions,
  type MailOut,
  mayFollow,
  PART_CONTENT,
  type PlaceRecord,
  placeKey,
  queueKey,
  stateOf,
} from "../mail/index.ts";
import { Chance } from "./chance.ts";
import { cs01 } from "./cipher-set-01.ts";
import type { Evil } from "./evil-caches.ts";
import type { FakeCarrier } from "./fake-carrier.ts";

export const SECOND: number = 1000;
export const MINUTE: number = 60 * SECOND;
export const HOUR: number = 60 * MINUTE;
export const DAY: number = 24 * HOUR;

/** What worlds use unless they are told otherwise: fast, and not secure. */
const fast = createCrypto(portable, [cs01()]);
/** Cipher set 3a. */
export const real: Crypto = createCrypto(portable);

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
export class World {
  readonly chance: Chance;
  readonly crypto: Crypto;
  faults: Faults;
  now: Time = 1_700_000_000_000;
  readonly caches: FakeCache[] = [];
  readonly stations: Station[] = [];
  /** Of every station. */
  limits: Limits = {};
  readonly #queue: { at: Time; n: number; run: () => void }[] = [];
  #n = 0;

  constructor(seed: number, faults: Partial<Faults> = {}, crypto: Crypto = fast) {
    this.chance = new Chance(seed);
    this.crypto = crypto;
    this.faults = { ...CALM, ...faults };
  }

  cache(options: CacheOptions = {}): FakeCache {
    const cache = new FakeCache(this, options);
    this.caches.push(cache);
    return cache;
  }

  station(caches: readonly FakeCache[] = [], limits: Limits = {}): Station {
    const station = new Station(this, caches, { ...this.limits, ...limits });
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

/** Of what a station does with files, and what it has besides caches. */
interface Limits extends Pick<MailOptions, "disk" | "waitForLink" | "window" | "carrier"> {
  /** Where it is found in the bazaar; it uses it itself when it says how: `carrier`. */
  readonly bazaar?: FakeCarrier;
}

interface CacheOptions {
  readonly cap?: number;
  readonly store?: string;
  readonly evil?: Evil;
}

/** Keeps in memory, or does not. */
export class FakeCache {
  readonly #world: World;
  readonly evil: Evil | undefined;
  readonly hashname: Hashname;
  readonly cap: number;
  readonly store: string;
  up = true;
  /** By recipient and box: message id and bytes. */
  readonly boxes: Map<string, Map<string, Uint8Array>> = new Map();
  deposits = 0;
  highest = 0;

  constructor(world: World, { evil, cap = evil === undefined ? 8 * 1024 * 1024 : 2 ** 50, store }: CacheOptions) {
    this.#world = world;
    this.evil = evil;
    this.hashname = createIdentity(world.crypto, world.chance.random).hashname;
    this.cap = cap;
    this.store = store ?? this.hashname;
  }

  put(from: Hashname, to: Hashname, bytes: Uint8Array): void {
    if (!this.up || this.evil === "drops" || this.#world.chance.happens(this.#world.faults.lose)) return;
    const box = boxId(portable, from, to);
    const key = `${to} ${box}`;
    const messages = this.boxes.get(key) ?? new Map<string, Uint8Array>();
    this.boxes.set(key, messages);
    this.deposits++;
    messages.set(messageId(portable, box, bytes), bytes);
    let size = 0;
    for (const message of messages.values()) size += message.length;
    this.highest = Math.max(this.highest, size);
    for (const station of this.#world.stations) {
      if (station.hashname !== to) continue;
      // And now and then all of it once more.
      if (this.evil === "replays" && this.#world.chance.happens(0.3)) station.shown.delete(this);
      this.show(station);
    }
  }

  remove(to: Hashname, box: string, id: string): void {
    if (!this.up || this.evil === "replays" || !this.boxes.get(`${to} ${box}`)?.delete(id)) return;
    // Left here again it is another message, and is shown.
    for (const station of this.#world.stations) station.shown.get(this)?.delete(`${box} ${id}`);
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
        for (let i = 0; i < times; i++) {
          const said = this.#said({ box, bytes });
          this.#world.after(this.#delay(), () => {
            // What it makes up and what it holds back come whether the recipient asked or not.
            if (station.life === life || (station.isAwake && this.evil === "delays"))
              station.input({ type: "message", via: this.hashname, direct: false, id: idOf(said), ...said });
          });
        }
      }
    }
  }

  /** What it says that it holds: the truth, but for a liar, who changes, cuts, invents and puts into other boxes. */
  #said(held: Held): Held {
    const { chance } = this.#world;
    const bytes = held.bytes.slice();
    if (this.evil !== "lies") return { ...held, bytes };
    const others = [...this.boxes].flatMap(([key, messages]) =>
      [...messages.values()].map((each) => ({ box: key.split(" ")[1] ?? "", bytes: each.slice() })),
    );
    const flipped = bytes.slice();
    const at = chance.between(0, bytes.length - 1);
    flipped[at] = 255 - (flipped[at] ?? 0);
    return chance.pick([
      { ...held, bytes: flipped },
      { ...held, bytes: bytes.subarray(0, chance.between(0, bytes.length - 1)) },
      { ...held, bytes: chance.random(chance.between(0, 2048)) },
      { box: chance.pick(others).box, bytes },
      { box: held.box, bytes: chance.pick(others).bytes },
      chance.pick(others),
    ]);
  }

  #delay(): number {
    const { chance, faults } = this.#world;
    if (this.evil === "reorders") return chance.between(1, HOUR);
    if (this.evil === "delays") return chance.between(HOUR, 20 * DAY);
    return chance.between(1, faults.latency);
  }

  crash(): void {
    this.boxes.clear();
    for (const station of this.#world.stations) station.shown.delete(this);
  }

  get size(): number {
    return [...this.boxes.values()].reduce((sum, messages) => sum + messages.size, 0);
  }
}

interface Held {
  readonly box: string;
  readonly bytes: Uint8Array;
}

function idOf({ box, bytes }: Held): string {
  return messageId(portable, box, bytes);
}

/** One peer: its store, its machine while it is awake, and the policy that its parent would have. */
export class Station {
  readonly #world: World;
  readonly #limits: Limits;
  /** The turn that is the last one of its life. */
  diesAt: number | undefined;
  readonly identity: Identity;
  readonly caches: readonly FakeCache[];
  readonly contacts: Station[] = [];
  secret: Uint8Array | undefined;
  /** Accepts who shows this secret. */
  invite: Uint8Array | undefined;
  store: Map<string, Uint8Array> = new Map();
  blobs: Map<string, Map<number, Uint8Array>> = new Map();
  mail: Mail | undefined;
  life = 0;
  isReachable = true;
  readonly shown: Map<FakeCache, Set<string>> = new Map();
  readonly events: MailEvent[] = [];
  readonly answers: Map<number, { value?: unknown; code?: string }> = new Map();
  readonly introduced: string[] = [];
  readonly cards: Uint8Array[] = [];
  readonly delivered: { route: string; bytes: Uint8Array }[] = [];
  #req = 1;
  #alarm: Time | undefined;
  turns = 0;

  constructor(world: World, caches: readonly FakeCache[], limits: Limits = {}) {
    this.#world = world;
    this.#limits = limits;
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
    const bazaar = other.#limits.bazaar?.address(other);
    const peer = { hashname, keys: identity.keys, caches: offers, direct: false, ...(bazaar && { bazaar }) };
    return { id: other.card, peers: [peer], ...secret };
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
      ...this.#limits,
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

  bring(number: number, key: Uint8Array, bytes: Uint8Array): void {
    this.input({ type: "brought", number, key, bytes });
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
      | { type: "send"; contact: string; mail: Draft; expires?: Time; insist?: boolean }
      | { type: "cancel"; id: string }
      | { type: "accept" | "ignore"; request: string }
      | { type: "seen"; n: number }
      | { type: "erase"; keys: readonly string[]; files: readonly ErasedFile[] },
  ): number {
    const req = this.#req++;
    this.input({ ...input, req });
    return req;
  }

  /** Sends and gives the id; `undefined` when the call was lost in a crash. */
  send(to: Station, text: string, expires?: Time): string | undefined {
    return this.post(to, { kind: "text", text }, expires);
  }

  post(to: Station, mail: Draft, expires?: Time, insist = false): string | undefined {
    const how = { ...(expires !== undefined && { expires }), insist };
    const req = this.call({ type: "send", contact: to.card, mail, ...how });
    return (this.answers.get(req)?.value as { id: string } | undefined)?.id;
  }

  file(to: Station, name: string, content: Uint8Array, insist = false): string | undefined {
    const blob = `own-${name}`;
    const records = new Map<number, Uint8Array>();
    for (let i = 0; i * PART_CONTENT < content.length; i++)
      records.set(i, content.slice(i * PART_CONTENT, (i + 1) * PART_CONTENT));
    this.blobs.set(blob, records);
    const sha256 = toHex(portable.sha256(content));
    const id = this.post(
      to,
      { kind: "file", name, media: "text/plain", size: content.length, sha256, blob },
      undefined,
      insist,
    );
    const queue = this.keys("queue/").map((key) => json(this.store.get(key)) as { file?: { blob: string } });
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
    if (chance.happens(faults.crash) || this.turns === this.diesAt) this.#crash(out);
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
    assert(firstEffect < 0 || !out.slice(firstEffect).some(isDurable), "saves come first");
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
    assert(!key.startsWith("inbox/") || !this.store.has(key), "what is in the inbox stays as it is");
    if (!key.startsWith("queue/") && !key.startsWith("ledger/")) return;
    const { id } = json(value ?? this.store.get(key)) as { id: string };
    const old = this.ledger(id) ?? [];
    const next = value === undefined ? old : (json(value) as { ledger: LedgerEntry[] }).ledger;
    assert(JSON.stringify(next.slice(0, old.length)) === JSON.stringify(old), "a ledger only grows");
    for (let i = 1; i < next.length; i++)
      assert(mayFollow(stateOf(next.slice(0, i)), next[i]?.state ?? "queued"), "a ledger takes the steps that it may");
  }

  ledger(id: string): LedgerEntry[] | undefined {
    const value = this.queued(id) ?? this.store.get(`ledger/${id}`);
    return value && (json(value) as { ledger: LedgerEntry[] }).ledger;
  }

  /** The record of a mail in the spool. */
  queued(id: string): Uint8Array | undefined {
    const value = this.store.get(placeKey(id));
    return value && this.store.get(queueKey((json(value) as PlaceRecord).place));
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
      case "list": {
        const { req, prefix, after, limit } = effect;
        world.soon(() => answer({ type: "listed", req, pairs: pageOf(this.store, prefix, after, limit) }, 0));
        return;
      }
      case "blob-read":
        world.soon(() =>
          answer({ type: "blob", req: effect.req, bytes: this.blobs.get(effect.blob)?.get(effect.index) }, 0),
        );
        return;
      case "blob-hash": {
        const records = Array.from({ length: effect.count }, (_, i) => this.blobs.get(effect.blob)?.get(i) ?? NOTHING);
        const content = concat(...records).subarray(0, effect.size);
        answer({ type: "hash", req: effect.req, sha256: toHex(portable.sha256(content)) });
        return;
      }
      case "blob-remove":
        this.blobs.delete(effect.blob);
        return;
      case "deliver": {
        const { id, route, to, bytes, message = "" } = effect;
        this.delivered.push({ route: route.type, bytes });
        const fails = chance.happens(faults.fail);
        const arrives = !fails || chance.happens(0.5);
        if (route.type === "bazaar") {
          const { bazaar } = this.#limits;
          assert(route.at !== undefined && bazaar !== undefined, "it goes there only where somebody is found there");
          const isThere =
            arrives && bazaar.deliver(`${this.hashname} ${to} ${message} ${route.mark}`, this, route.at, bytes);
          const ok = isThere && !fails;
          answer({ type: "delivered", id, ok }, ok ? faults.latency + 1 : 35 * SECOND);
          return;
        }
        if (route.type === "cache") {
          const cache = world.caches.find(({ hashname }) => hashname === route.cache);
          if (arrives) world.soon(() => cache?.put(this.hashname, to, bytes));
          // An answer that comes too late is none.
          const ok = !fails && cache?.up === true && cache.evil !== "answers late";
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
        const { route } = effect;
        const refs = effect.ids.map((id) => `${this.hashname} ${effect.to} ${id} ${"mark" in route ? route.mark : ""}`);
        if (route.type === "bazaar") world.after(faults.latency + 1, () => this.#limits.bazaar?.withdraw(refs));
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
      case "taken":
        this.#limits.bazaar?.taken(effect.number, effect.keep);
        return;
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

export const NOTHING: Uint8Array = new Uint8Array(0);

function isDurable(out: MailOut): boolean {
  return out.type === "save" || out.type === "blob-write";
}

/** A record of a store, as JSON. */
export function json(value: Uint8Array | undefined): unknown {
  return JSON.parse(fromUtf8(value ?? new Uint8Array(0)) ?? "null");
}

/** Two stations that are contacts, with two caches each, not reachable for each other. */
export function pair(world: World): { alice: Station; bob: Station } {
  const [alice, bob] = [world.station([world.cache(), world.cache()]), world.station([world.cache(), world.cache()])];
  alice.isReachable = false;
  alice.add(bob);
  bob.add(alice);
  return { alice, bob };
}

/** Nothing is left of what was delivered: neither at caches, nor with those who wrote, nor planned. */
export function assertClean(world: World): void {
  for (const cache of world.caches) assert(cache.size === 0, "no copies at a cache");
  for (const station of world.stations) {
    for (const prefix of ["spool/", "queue/", "place/", "mail/block/", "mail/file/"])
      assert(station.keys(prefix).length === 0, `nothing below ${prefix}`);
    const kept = new Set(station.inbox().map(({ file }) => file?.blob));
    assert(
      [...station.blobs.keys()].every((blob) => kept.has(blob)),
      "no content but that of files in the inbox",
    );
    assert(station.mail !== undefined && station.mail.deadline() === undefined, "nothing is scheduled");
    const { queued, inFlight } = station.mail.status();
    assert(queued === 0 && inFlight === 0, "nothing waits, and nothing is on its way");
  }
}

/** What a store's `list` gives. */
export function pageOf(
  values: ReadonlyMap<string, Uint8Array>,
  prefix: string,
  after: string,
  limit: number,
): [string, Uint8Array][] {
  const found = [...values].filter(([key]) => key.startsWith(prefix) && key > after);
  return found
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, limit)
    .map(([key, value]) => [key, value.slice()]);
}
