/**
 * The world that is explored: two ends, what was said, and what may still happen; and the words for it. How it goes on is
 * in model.ts. protocol/exchange.md §9
 */
import type { handshaking } from "restante/protocol";

export type Side = 0 | 1;

/** Where packets go and come from: the peer's own place, or somewhere else, where only the adversary listens. */
export type Place = typeof HOME | typeof ELSEWHERE;
export const HOME = 1;
export const ELSEWHERE = 2;

/** What can be heard. `life`: the sender's exchange, counted from 1. `met`: see `End`, when it was sealed. */
export type Message =
  | {
      readonly type: "handshake";
      readonly from: Side;
      readonly life: number;
      readonly at: bigint;
      readonly kind: Kind;
      readonly met: number;
    }
  /** A channel packet: sealed with the keys of two exchanges, which proves that its sender knew both. */
  | { readonly type: "packet"; readonly from: Side; readonly life: number; readonly to: number };
export type HandshakeMessage = Extract<Message, { type: "handshake" }>;
export type Kind = "key" | "uri";

export interface End {
  /** The exchange, if there is one, and which of this end's exchanges it is or was the last. */
  readonly core: handshaking.Handshaking | undefined;
  readonly life: number;
  /** Its clock as an `at`, and the highest one drawn from the count or taken from the other end (saved before it is used). */
  readonly clock: bigint;
  readonly count: bigint;
  /** The path in use, once there is a session. */
  readonly path: Place | undefined;
  /** No `at` is left between the two, for as long as this end remembers. */
  readonly isDead: boolean;
  /** A handshake that nobody has approved yet. */
  readonly waiting: readonly HandshakeMessage[];
  /** Where the process under way goes. Not part of what is explored: the adversary decides what arrives. */
  readonly targets: readonly Place[];

  // What no end knows, for the invariants:
  /** The other end's exchange that this one has heard last; 0: none. */
  readonly met: number;
  /** The same at the time when its present process and its present echo were sealed. */
  readonly metAt: { readonly own: number; readonly echo: number };
  /** The highest `at` that this exchange sent, and that any exchange of this end began a process with. */
  readonly top: bigint;
  readonly ever: bigint;
  /** The process under way has an `at` that no former exchange of this end has used. */
  readonly isFresh: boolean;
  /** A token was taken for proven that was not, in the one way that is known and accepted (see `judge`). */
  readonly isFooled: boolean;
}

/** How often things may still happen that the adversary does not do at will, by side. */
export type Budget = Readonly<Record<Chance, readonly [number, number]>>;
export type Chance = "start" | "timeout" | "restart" | "forget" | "forward" | "back" | "end";

export interface World {
  readonly ends: readonly [End, End];
  /** What was sent and can be heard, the oldest first. */
  readonly recording: readonly Message[];
  readonly left: Budget;
}

export interface Setup {
  readonly name: string;
  /** Who wants the link; the others approve when asked, or do not. */
  readonly wants: readonly [boolean, boolean];
  /** How many handshakes are recorded in each direction. */
  readonly recorded: number;
  /** Which messages a handshake of each end has. */
  readonly kinds: readonly [readonly Kind[], readonly Kind[]];
  /** Whether the adversary speaks from elsewhere too, and whether the ends send channel packets. */
  readonly elsewhere: boolean;
  readonly packets: boolean;
  readonly left: Budget;
  /** Whether an end that does not want the link asks before it answers. (If not, "approval" must find it.) */
  readonly asks: boolean;
  /** Whether numbers that were pushed up by another's clock are counted. (If not, "growth" must find it.) */
  readonly counts: boolean;
}

export type Action =
  /** A recorded message arrives, by its place in the recording. */
  | { readonly type: "hear"; readonly index: number; readonly from: Place }
  /** The application or the link begins a process: at first, again after a timeout, as a keepalive, to try a path. */
  | { readonly type: "start"; readonly side: Side }
  /** The process under way is sent again; or 30 s have passed. */
  | { readonly type: "resend" | "timeout"; readonly side: Side }
  /** A crash: everything is gone but the saved count; or that too. */
  | { readonly type: "restart" | "forget"; readonly side: Side }
  /** The clock jumps: above all that was ever used; back to the beginning; to the end of all numbers. */
  | { readonly type: "forward" | "back" | "end"; readonly side: Side }
  | { readonly type: "talk" | "approve"; readonly side: Side };

/** All numbers that a world speaks of. */
export function* atsOf({ ends, recording }: World): Generator<bigint> {
  for (const { core, clock, count, top, ever, waiting } of ends) {
    yield* [clock, count, top, ever];
    if (core !== undefined) yield* [core.high, core.own?.at ?? 0n, core.echo?.at ?? 0n];
    for (const { at } of waiting) yield at;
  }
  for (const message of recording) if (message.type === "handshake") yield message.at;
}

export function other(side: Side): Side {
  return side === 0 ? 1 : 0;
}

/** An exchange of the other end, as the core knows it. */
export function name(life: number): handshaking.Token {
  return String(life);
}

/** A budget of nothing, to be filled. */
export function noBudget(): Record<Chance, [number, number]> {
  return {
    start: [0, 0],
    timeout: [0, 0],
    restart: [0, 0],
    forget: [0, 0],
    forward: [0, 0],
    back: [0, 0],
    end: [0, 0],
  };
}

export const SIDES: readonly Side[] = [0, 1];
export const CHANCES: readonly Chance[] = ["start", "timeout", "restart", "forget", "forward", "back", "end"];
/** How far apart numbers are that have nothing to do with each other. */
export const ROOM = 6n;
export const LAST: bigint = 2n ** 64n - 1n;
/** From here on numbers are further ahead than any clock may be wrong by, but for an end whose own clock is there. */
export const FAR: bigint = LAST - 2n * ROOM;
