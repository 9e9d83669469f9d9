/**
 * What becomes of a world when the network turns fair: everything arrives once, in order; time passes only when nothing
 * is under way; and both ends want the link. Then they must get it, and then it must become quiet. protocol/exchange.md §9
 */
import { handshaking } from "restante/protocol";
import type { Invariant } from "./invariants.ts";
import { type StepFunction, Turn } from "./model.ts";
import { ELSEWHERE, HOME, type Message, name, other, type Setup, SIDES, type Side, type World } from "./world.ts";

export interface Fairness {
  /** So many recordings are played from elsewhere in between, one after every other delivery. */
  readonly replays: number;
  /** Whether processes that are under way at the beginning go to where the peer is, or nowhere. */
  readonly isReached: boolean;
}

export interface Outcome {
  readonly broken: Invariant | undefined;
  /** Deliveries and ticks until both were up for each other, and what was done, for those who want to read it. */
  readonly steps: number;
  readonly log: readonly string[];
}

/** Lets the world go on, fairly. A link that is dead for one of the two cannot come back and is not looked at. */
export function goOn(start: World, setup: Setup, step: StepFunction, { replays, isReached }: Fairness): Outcome {
  const fair: Setup = { ...setup, wants: [true, true], recorded: 0 }; // nothing more is recorded
  const log: string[] = [];
  let world: World = {
    ...start,
    ends: [
      { ...start.ends[0], targets: isReached ? [HOME] : [] },
      { ...start.ends[1], targets: isReached ? [HOME] : [] },
    ],
  };
  let now = 0;
  let [steps, played, delivered, turns] = [0, 0, 0, 0];
  let settled = 0;
  const queue: Message[] = [];
  const quiet: [number, number] = [KEEPALIVE_MS, KEEPALIVE_MS];
  const retry: [number, number] = [0, 0];
  const attempts: [number, number] = [0, 0];
  let broken: Invariant | undefined;

  const take = (what: string, turn: (turn: Turn) => void): void => {
    const current = new Turn(world, fair, step, now);
    const before = world;
    turn(current);
    const done = current.done();
    broken ??= done.broken[0];
    world = done.world;
    if (log.length < LOG) log.push(`${now / 1000} s: ${what}`);
    for (const { message, places } of done.sent) {
      if (places.includes(HOME)) queue.push(message);
      quiet[message.from] = now + KEEPALIVE_MS;
    }
    for (const side of SIDES) {
      if (before.ends[side].core === undefined || world.ends[side].core !== undefined) continue;
      retry[side] = now + (RETRY_MS[Math.min(attempts[side], RETRY_MS.length - 1)] ?? 0) * (side === 0 ? 0.8 : 1.1);
      attempts[side] += 1;
    }
  };
  /** When this end does something by itself. */
  const due = (side: Side): number => {
    const { core } = world.ends[side];
    if (core === undefined) return retry[side];
    return handshaking.deadline(core) ?? (core.session === undefined ? Number.POSITIVE_INFINITY : quiet[side]);
  };
  const wake = (side: Side): void => {
    const { core } = world.ends[side];
    if (core !== undefined && handshaking.deadline(core) !== undefined)
      take(`${side} ticks`, (turn) => turn.tick(side));
    else take(`${side} starts`, (turn) => turn.start(side, core === undefined ? [HOME] : []));
  };

  // A fresh wish: who has no link and is not at it tries at once.
  for (const side of SIDES) {
    const { core, isDead } = world.ends[side];
    if (!isDead && core?.session === undefined && !core?.own?.isOpen)
      take(`${side} wants`, (turn) => turn.start(side, [HOME]));
  }
  while (broken === undefined && settled < 2 && !world.ends.some(({ isDead }) => isDead)) {
    const message = queue.shift();
    if (message !== undefined) {
      steps += 1;
      delivered += 1;
      if (delivered > DELIVERIES) broken = "quiet";
      const side = other(message.from);
      attempts[side] = 0;
      take(`${side} hears ${describe(message)}`, (turn) => turn.hear(message, HOME));
      const recorded = start.recording[played % Math.max(1, start.recording.length)];
      if (played < replays && recorded !== undefined) {
        played += 1;
        take(`${other(recorded.from)} hears a recording: ${describe(recorded)}`, (turn) =>
          turn.hear(recorded, ELSEWHERE),
        );
      }
      continue;
    }
    // It was quiet: settled if both are up for each other, and still so after the next keepalive of each.
    if (isUp(world)) settled += 1;
    else settled = 0;
    if (settled === 2) break;
    delivered = 0;
    turns += 1;
    if (turns > TURNS) broken ??= "liveness";
    const side: Side = due(0) <= due(1) ? 0 : 1;
    if (due(side) === Number.POSITIVE_INFINITY) broken ??= "liveness";
    now = Math.max(now, due(side));
    steps += 1;
    wake(side);
  }
  return { broken, steps, log };
}

/** Both are up, each with the other's present exchange, and nobody doubts. */
function isUp({ ends: [a, b] }: World): boolean {
  if (a.core === undefined || b.core === undefined || a.core.own?.isOpen || b.core.own?.isOpen) return false;
  return a.core.session === name(b.life) && b.core.session === name(a.life);
}

export function describe(message: Message): string {
  const { from, life } = message;
  if (message.type === "packet") return `packet from ${from}.${life} to ${other(from)}.${message.to}`;
  return `${message.kind} ${message.at} from ${from}.${life}`;
}

const KEEPALIVE_MS = 30_000;
const RETRY_MS: readonly number[] = [30_000, 60_000, 120_000, 300_000, 600_000];
const DELIVERIES = 60; // between two moments in which time passes
const TURNS = 60;
const LOG = 200;
