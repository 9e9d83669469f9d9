/** Breadth first through all worlds that a setup can reach, each once, until a law is broken or nothing is new. */
import { handshaking, siphash } from "restante/protocol";
import { decode, encode } from "./canonical.ts";
import { describe, type Fairness, goOn } from "./fair.ts";
import type { Invariant } from "./invariants.ts";
import { act, actions, beginning, type StepFunction } from "./model.ts";
import { type Action, HOME, type Setup, type World } from "./world.ts";

export interface Search {
  readonly setup: Setup;
  /** No more new worlds than this are looked into. */
  readonly limit: number;
  /** The core: the real one unless a spoilt one is given. */
  readonly step?: StepFunction;
  /** From one world in so many the fair continuation is run; 1: from all. */
  readonly every?: number;
}

export interface Found {
  readonly setup: string;
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  /** Nothing was left to look into. */
  readonly isClosed: boolean;
  /** Fair continuations that were run, and the most steps that one took. */
  readonly continuations: number;
  readonly longest: number;
  /** What was broken first, and the shortest way there. */
  readonly violation?: { readonly invariant: Invariant; readonly trace: readonly string[] };
}

export function search({ setup, limit, step = handshaking.step, every = 1 }: Search): Found {
  const seen = new Digests();
  const parents: number[] = [];
  const ways: number[] = [];
  let states = 0;
  let [transitions, depth, continuations, longest] = [0, 0, 0, 0];

  /** The way to a state, in words. */
  const trace = (state: number, last?: Action): string[] => {
    const path: number[] = [];
    for (let at = state; at > 0; at = parents[at] ?? 0) path.unshift(ways[at] ?? 0);
    let world = decode(encode(beginning(setup)).slice());
    const words = path.map((way) => {
      const action = actions(world, setup)[way];
      if (action === undefined) return "?";
      const text = tell(world, action, setup, step);
      world = decode(encode(act(world, action, setup, step).world).slice());
      return text;
    });
    return last === undefined ? words : [...words, tell(world, last, setup, step)];
  };
  const result = (isClosed: boolean, violation?: Found["violation"]): Found => {
    const figures = { setup: setup.name, states, transitions, depth, isClosed, continuations, longest };
    return violation === undefined ? figures : { ...figures, violation };
  };
  /** Whether both get the link from here; if not, the law that is broken. */
  const check = (world: World, state: number): Found["violation"] => {
    for (const fairness of FAIRNESS) {
      const { broken, steps, log } = goOn(world, setup, step, fairness);
      continuations += 1;
      longest = Math.max(longest, steps);
      if (broken !== undefined) return { invariant: broken, trace: [...trace(state), "then, fairly:", ...log] };
    }
    return undefined;
  };

  let level: Uint8Array[] = [encode(beginning(setup)).slice()];
  seen.add(level[0] ?? new Uint8Array(0));
  states = 1;
  parents.push(0);
  ways.push(0);
  let first = 0; // the number of the first state of the level
  while (level.length > 0) {
    const next: Uint8Array[] = [];
    const base = states;
    for (const [i, bytes] of level.entries()) {
      const state = first + i;
      const world = decode(bytes);
      if (state % every === 0) {
        const violation = check(world, state);
        if (violation !== undefined) return result(false, violation);
      }
      for (const [way, action] of actions(world, setup).entries()) {
        const turned = act(world, action, setup, step);
        transitions += 1;
        const [invariant] = turned.broken;
        if (invariant !== undefined) return result(false, { invariant, trace: trace(state, action) });
        if (isSame(world, turned.world)) continue;
        const reached = encode(turned.world);
        if (!seen.add(reached)) continue;
        states += 1;
        parents.push(state);
        ways.push(way);
        next.push(reached.slice());
      }
      if (states >= limit) return result(false);
    }
    level = next;
    first = base;
    if (next.length > 0) depth += 1;
  }
  return result(true);
}

/** Whether nothing happened: most of what is heard is heard again. */
function isSame(a: World, b: World): boolean {
  return a.ends[0] === b.ends[0] && a.ends[1] === b.ends[1] && a.recording === b.recording && a.left === b.left;
}

function tell(world: World, action: Action, setup: Setup, step: StepFunction): string {
  const sent = act(world, action, setup, step).sent.map(({ message }) => describe(message));
  const says = sent.length === 0 ? "" : ` -> ${sent.join(", ")}`;
  if (action.type !== "hear") return `${action.side} ${action.type}${says}`;
  const message = world.recording[action.index];
  const from = action.from === HOME ? "" : " (from elsewhere)";
  return message === undefined ? "?" : `${1 - message.from} hears ${describe(message)}${from}${says}`;
}

/** A set of digests of 64 bits: at 10^7 states, two of them share one with a chance of one in 300,000. */
class Digests {
  #words = new Uint32Array(2 << 12);
  #size = 0;

  /** Whether it was not there yet. */
  add(bytes: Uint8Array): boolean {
    const digest = siphash(KEY, bytes);
    const view = new DataView(digest.buffer, digest.byteOffset, 8);
    const added = this.#put(view.getUint32(0) || 1, view.getUint32(4));
    if (added && ++this.#size * 2 > this.#words.length / 2) this.#grow();
    return added;
  }

  #put(high: number, low: number): boolean {
    const mask = this.#words.length / 2 - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      if (this.#words[2 * slot] === 0) {
        this.#words[2 * slot] = high;
        this.#words[2 * slot + 1] = low;
        return true;
      }
      if (this.#words[2 * slot] === high && this.#words[2 * slot + 1] === low) return false;
    }
  }

  #grow(): void {
    const old = this.#words;
    this.#words = new Uint32Array(old.length * 2);
    for (let i = 0; i < old.length; i += 2) if (old[i] !== 0) this.#put(old[i] ?? 0, old[i + 1] ?? 0);
  }
}

const KEY = new Uint8Array(16);
const FAIRNESS: readonly Fairness[] = [
  { replays: 0, isReached: true },
  { replays: 4, isReached: false },
];
