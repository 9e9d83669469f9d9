/**
 * Canaries: mail to oneself through one's own caches, to see whether they give back what they took. Now and then each cache
 * gets one of its own, and when the user asks. protocol/mail.md §13
 */
import { asJson, assert, Deadlines, type Machine, ofJson, type Random, type Save, type Time } from "../bytes/index.ts";
import { type Crypto, type Hashname, highestCommon, type Identity } from "../crypto/index.ts";
import { encodePacket } from "../wire/index.ts";
import { EXPIRY_MS, SIZE_CLASSES } from "./constants.ts";
import { pad } from "./inner.ts";
import { openFromContact } from "./open.ts";
import type { Withdrawal } from "./parcel.ts";
import type { Route } from "./route.ts";
import { sealSeeded } from "./seal.ts";

/**
 * `whole`: it came back unchanged. `late`: so it did, but after we had given it up. `lost`: it was taken and not shown.
 * `changed`: what was shown in its place was not what had been left. `unreachable`: it was not taken, or the link was gone.
 * `none`: it says itself that it is no cache any more.
 */
export type TestOutcome = "whole" | "late" | "lost" | "changed" | "unreachable" | "none";

/** The last test of one of our caches. */
export interface CacheTest {
  readonly cache: Hashname;
  /** When the message was left there; of `none` when it was heard. */
  readonly at: Time;
  readonly outcome: TestOutcome;
  /** From then until it came back. Only of `whole` and `late`. */
  readonly ms?: number;
}

/** A cache of ours, and the admission URI by which we may leave mail for ourselves there. */
export interface OwnCache {
  readonly hashname: Hashname;
  readonly uri: string;
}

export type CanaryIn =
  /** All caches of ours, at the start and whenever there are others. */
  | { type: "caches"; caches: readonly OwnCache[] }
  | { type: "link"; peer: Hashname; up: boolean }
  /** What a cache of ours says of itself: whether it is one. */
  | { type: "keeps"; via: Hashname; keeps: boolean }
  /** Test all of them now. Answered by one `reply` or `refuse`. */
  | { type: "test"; req: number }
  /** Answer to `deliver`. */
  | { type: "delivered"; flight: number; ok: boolean }
  /** What came out of our own box for ourselves. It is of no more use after this. */
  | { type: "message"; via: Hashname; id: string; bytes: Uint8Array }
  | { type: "tick" };

export type CanaryOut =
  | Save
  | Withdrawal
  | { type: "deliver"; flight: number; route: Route; bytes: Uint8Array; expires: Time }
  /** A test ended otherwise than the one before. */
  | { type: "judged"; test: CacheTest }
  | { type: "reply"; req: number; value: readonly CacheTest[] }
  | { type: "refuse"; req: number; code: string; message: string };

export interface CanaryOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  /** Numbers for flights, unique in the whole `Mail`. */
  readonly flights: () => number;
  /** Id of a sealed message in our box for ourselves. */
  readonly messageId: (bytes: Uint8Array) => string;
  /** The record under `CANARY_KEY`. */
  readonly saved: Uint8Array | undefined;
}

/** The bird that is out, or was last: what comes back late is recognised until the next leaves. */
interface Bird {
  readonly flight: number;
  readonly id: string;
  readonly at: Time;
  isOut: boolean;
}

interface Cage {
  uri: string;
  /** When to test it of our own accord. */
  nextAt: Time;
  bird: Bird | undefined;
  test: CacheTest | undefined;
  /** It said so since we began. */
  isNone: boolean;
}

/** Tests of all our caches. One message at each at a time, and nothing that a cache shows makes it more. */
export class Canary implements Machine<CanaryIn, CanaryOut> {
  readonly #options: CanaryOptions;
  readonly #cages = new Map<Hashname, Cage>();
  readonly #saved: Map<Hashname, SavedCage>;
  readonly #up = new Set<Hashname>();
  readonly #deadlines = new Deadlines<Hashname>();
  readonly #waiting = new Set<number>();
  #out: CanaryOut[] = [];

  constructor(options: CanaryOptions) {
    this.#options = options;
    const { saved } = options;
    this.#saved = new Map(saved === undefined ? [] : ofJson<(readonly [Hashname, SavedCage])[]>(saved));
  }

  handle(input: CanaryIn, now: Time): CanaryOut[] {
    this.#take(input, now);
    this.#answer();
    const out = this.#out;
    this.#out = []; // what has left is not kept until the next turn
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  /** The last test of each cache that was tested. */
  tests(): CacheTest[] {
    return [...this.#cages.values()].flatMap(({ test }) => test ?? []);
  }

  /** Whether the answer to this flight is ours. */
  owns(flight: number): boolean {
    return [...this.#cages.values()].some(({ bird }) => bird?.flight === flight);
  }

  #take(input: CanaryIn, now: Time): void {
    switch (input.type) {
      case "caches":
        this.#setCaches(input.caches, now);
        return;
      case "link":
        this.#link(input.peer, input.up, now);
        return;
      case "keeps":
        this.#keeps(input.via, input.keeps, now);
        return;
      case "test":
        this.#test(input.req, now);
        return;
      case "delivered":
        this.#delivered(input.flight, input.ok, now);
        return;
      case "message":
        this.#message(input.via, input.id, input.bytes, now);
        return;
      case "tick":
        for (const cache of this.#deadlines.due(now)) this.#wake(cache, now);
    }
  }

  #setCaches(caches: readonly OwnCache[], now: Time): void {
    const gone = new Set(this.#cages.keys());
    for (const { hashname, uri } of caches) {
      gone.delete(hashname);
      const cage = this.#cages.get(hashname);
      if (cage !== undefined) {
        cage.uri = uri;
        continue;
      }
      const saved = this.#saved.get(hashname);
      const nextAt = Math.min(saved?.nextAt ?? now + this.#spread(FIRST_MS), now + 2 * PERIOD_MS);
      this.#cages.set(hashname, { uri, nextAt, bird: undefined, test: saved?.test, isNone: false });
      this.#plan(hashname, now);
    }
    for (const hashname of gone) {
      this.#cages.delete(hashname);
      this.#deadlines.set(hashname, undefined);
    }
    this.#saved.clear();
    if (gone.size > 0) this.#save();
  }

  #link(peer: Hashname, up: boolean, now: Time): void {
    if (up) this.#up.add(peer);
    else this.#up.delete(peer);
    const cage = this.#cages.get(peer);
    if (cage !== undefined && cage.bird?.isOut !== true) this.#plan(peer, now);
  }

  /** What says that it is no cache is believed: to say it falsely takes nothing that it could not take anyway. */
  #keeps(hashname: Hashname, keeps: boolean, now: Time): void {
    const cage = this.#cages.get(hashname);
    if (cage === undefined) return;
    cage.isNone = !keeps;
    if (!keeps) {
      if (cage.test?.outcome === "none") return;
      if (cage.bird !== undefined) this.#recall(hashname, cage, cage.bird);
      this.#conclude(hashname, cage, { cache: hashname, at: now, outcome: "none" }, now);
    } else if (cage.test?.outcome === "none") {
      // It is one again, or says so: soon we know.
      cage.nextAt = now;
      if (cage.bird?.isOut !== true) this.#plan(hashname, now);
    }
  }

  /** A cache that is not there is not tested, which would say nothing new; and none just because we have come back to it. */
  #plan(hashname: Hashname, now: Time): void {
    const cage = this.#cages.get(hashname);
    if (cage === undefined) return;
    const isUp = this.#up.has(hashname);
    this.#deadlines.set(hashname, isUp ? Math.max(cage.nextAt, now + this.#spread(SETTLE_MS)) : undefined);
  }

  #test(req: number, now: Time): void {
    if (this.#cages.size === 0) {
      this.#out.push({ type: "refuse", req, code: "no-cache", message: "no cache holds mail for you" });
      return;
    }
    if (this.#waiting.size >= WAITING_LIMIT) {
      this.#out.push({ type: "refuse", req, code: "full", message: "too many wait for this test already" });
      return;
    }
    this.#waiting.add(req);
    for (const [hashname, cage] of this.#cages) if (cage.bird?.isOut !== true) this.#release(hashname, cage, now);
  }

  #release(hashname: Hashname, cage: Cage, now: Time): void {
    const bytes = this.#seal();
    const id = this.#options.messageId(bytes);
    const flight = this.#options.flights();
    cage.bird = { flight, id, at: now, isOut: true };
    // The answer to a deposit always comes; until then nothing is judged but what comes back.
    this.#deadlines.set(hashname, undefined);
    const route: Route = { type: "cache", cache: hashname, uri: cage.uri };
    this.#out.push({ type: "deliver", flight, route, bytes, expires: now + EXPIRY_MS });
  }

  /** Of the size of a short text, and as unreadable for a cache. */
  #seal(): Uint8Array {
    const { crypto, identity, random } = this.#options;
    const csid = highestCommon(crypto, identity.keys, identity.keys);
    assert(csid !== undefined, "we have a cipher set in common with ourselves");
    const packet = encodePacket({ type: "test", v: 1 }, random(ID_BYTES));
    const inner = pad(crypto, csid, packet, SIZE_CLASSES[0] ?? 0);
    const seeded = { seed: random(SEED_BYTES), recipient: identity.hashname, generation: 0, inner };
    const sealed = sealSeeded(crypto, identity, identity.keys, seeded);
    assert(sealed !== undefined, "our own key is usable");
    return sealed;
  }

  #delivered(flight: number, ok: boolean, now: Time): void {
    for (const [hashname, cage] of this.#cages) {
      if (cage.bird?.flight !== flight || !cage.bird.isOut) continue;
      if (ok) this.#deadlines.set(hashname, now + LOST_MS);
      else this.#judge(hashname, cage, "unreachable", now);
    }
  }

  #message(via: Hashname, id: string, bytes: Uint8Array, now: Time): void {
    // Left at one cache and shown by another: they share a store.
    const [hashname, cage] = [...this.#cages].find(([, { bird }]) => bird?.id === id) ?? [];
    if (hashname !== undefined && cage?.bird !== undefined) {
      const isLate = cage.test?.at === cage.bird.at && cage.test.outcome !== "whole";
      if (cage.bird.isOut || isLate) this.#judge(hashname, cage, cage.bird.isOut ? "whole" : "late", now);
      return;
    }
    const { crypto, identity } = this.#options;
    const shown = this.#cages.get(via);
    // One that left before our last start is as it was; nobody but ourselves can have made it.
    if (shown?.bird?.isOut !== true || openFromContact(crypto, identity, bytes, identity.keys) !== undefined) return;
    this.#judge(via, shown, "changed", now);
  }

  #wake(hashname: Hashname, now: Time): void {
    const cage = this.#cages.get(hashname);
    if (cage === undefined) return;
    if (cage.bird?.isOut === true) this.#judge(hashname, cage, this.#up.has(hashname) ? "lost" : "unreachable", now);
    else if (this.#up.has(hashname)) this.#release(hashname, cage, now);
  }

  #judge(hashname: Hashname, cage: Cage, outcome: TestOutcome, now: Time): void {
    const { bird } = cage;
    assert(bird !== undefined, "what is judged has left");
    this.#recall(hashname, cage, bird);
    const ms = outcome === "whole" || outcome === "late" ? { ms: now - bird.at } : {};
    const isNone = outcome === "lost" && cage.isNone;
    this.#conclude(hashname, cage, { cache: hashname, at: bird.at, outcome: isNone ? "none" : outcome, ...ms }, now);
  }

  /** As a sender does who hears that its mail has come; and of what was lost nothing shall turn up for weeks. */
  #recall(cache: Hashname, { uri }: Cage, bird: Bird): void {
    bird.isOut = false;
    const { hashname: to } = this.#options.identity;
    this.#out.push({ type: "withdraw", to, route: { type: "cache", cache, uri }, ids: [bird.id] });
  }

  #conclude(hashname: Hashname, cage: Cage, test: CacheTest, now: Time): void {
    const { test: before } = cage;
    cage.test = test;
    cage.nextAt = now + this.#spread(PERIOD_MS);
    this.#save();
    if (test.outcome !== (before?.outcome ?? "whole")) this.#out.push({ type: "judged", test });
    this.#plan(hashname, now);
  }

  /** Whoever waits hears it when all have been judged. */
  #answer(): void {
    if (this.#waiting.size === 0 || [...this.#cages.values()].some(({ bird }) => bird?.isOut === true)) return;
    for (const req of this.#waiting) this.#out.push({ type: "reply", req, value: this.tests() });
    this.#waiting.clear();
  }

  #save(): void {
    const saved = [...this.#cages].map(([hashname, { nextAt, test }]) => [hashname, { nextAt, ...(test && { test }) }]);
    this.#out.push({ type: "save", key: CANARY_KEY, value: asJson(saved) });
  }

  /** From a half to one and a half of it: so that caches cannot tell a test by its hour. */
  #spread(ms: number): number {
    return Math.round(ms * (0.5 + (this.#options.random(1)[0] ?? 0) / 255));
  }
}

interface SavedCage {
  readonly nextAt: Time;
  readonly test?: CacheTest;
}

/** Where the last tests are kept. */
export const CANARY_KEY = "mail/canary";

const FIRST_MS = 30 * 60_000; // after joining
const PERIOD_MS = 6 * 3_600_000;
const SETTLE_MS = 60_000; // after a link came up: other mail is under way then
const LOST_MS = 60_000; // a box is shown within a second, and again after 20 (protocol/box.md §6)
const WAITING_LIMIT = 64;
const ID_BYTES = 16;
const SEED_BYTES = 32;
