/**
 * The oracle of simulated worlds: when a mail could first have been there, had everybody known who would be awake when. What a
 * mail took beyond that is Restante's doing, the rest is the world's.
 */
import type { Time } from "../bytes/index.ts";
import { pair, type SimPeer, type World } from "./world.ts";

/** From then to then. */
interface Window {
  readonly from: Time;
  readonly to: Time;
}

/** Which mail may come when. */
interface Asked {
  readonly from: SimPeer;
  readonly to: SimPeer;
  /** Those of the recipient that keep what they get. */
  readonly caches: readonly SimPeer[];
  readonly parts: number;
  readonly since: Time;
}

export class Opportunities {
  readonly #world: World;
  readonly #windows = new Map<string, readonly Window[]>();

  /** For a world that has come to its end. */
  constructor(world: World) {
    this.#world = world;
  }

  /**
   * The earliest time from `since` on at which a mail of so many `parts` can have come from the one to the other: both are awake
   * and not parted; or the recipient and a cache are, which has held it since the sender and the cache were, without a restart
   * between. `undefined`: never.
   */
  first({ from, to, caches, parts, since }: Asked): Time | undefined {
    const least = (LEAST_MS * parts) / (1 - this.#world.loss) ** 2;
    let first = meeting(this.#between(from, to), since, least);
    for (const cache of caches)
      for (const life of cache.lives) {
        if (life.to < since || (first !== undefined && life.from >= first)) continue;
        const left = meeting(within(this.#between(from, cache), life), since, least);
        const taken = left === undefined ? undefined : meeting(within(this.#between(cache, to), life), left, least);
        if (taken !== undefined && (first === undefined || taken < first)) first = taken;
      }
    return first;
  }

  /** When two are awake at the same time and nothing parts them. */
  #between(a: SimPeer, b: SimPeer): readonly Window[] {
    const name = pair(a.name, b.name);
    const known = this.#windows.get(name);
    if (known !== undefined) return known;
    const both = a.lives.flatMap((life) => within(b.lives, life));
    const cuts = this.#world.cuts.filter(({ of }) => of === name);
    const windows = cuts.reduce<readonly Window[]>(without, both);
    const list = windows.filter(({ from, to }) => to - from >= LEAST_MS).sort((one, other) => one.from - other.from);
    this.#windows.set(name, list);
    return list;
  }
}

/** The first time from `since` on that is in one of them, at `least` so many ms before it ends. */
function meeting(windows: readonly Window[], since: Time, least: Time): Time | undefined {
  const window = windows.find(({ from, to }) => to - Math.max(from, since) >= least);
  return window && Math.max(window.from, since);
}

/** The parts of them that lie in this one. */
function within(windows: readonly Window[], { from, to }: Window): readonly Window[] {
  return windows
    .filter((window) => window.from < to && window.to > from)
    .map((window) => ({ from: Math.max(from, window.from), to: Math.min(to, window.to) }));
}

function without(windows: readonly Window[], { from, to }: Window): readonly Window[] {
  return windows.flatMap((window) => [
    ...within([window], { from: Number.NEGATIVE_INFINITY, to: from }),
    ...within([window], { from: to, to: Number.POSITIVE_INFINITY }),
  ]);
}

// A link and a part of a mail on it; where many packets are lost it takes longer, as a packet and its answer both have to come through.
const LEAST_MS = 10_000;
