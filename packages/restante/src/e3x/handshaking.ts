/**
 * Handshaking: what an exchange knows of the handshakes of both ends, and what it decides. Plain data: no bytes, no keys;
 * a token is a name, an `at` a number. The exchange seals, derives keys and sends. protocol/exchange.md §3-4
 *
 * Three rules carry it. Whoever sees a higher `at` echoes it. A remote token counts as proven once its owner has
 * answered something that only a live peer could have seen; a recording cannot, and many recordings cannot (X34). What we
 * began is resent until it is answered, or everything ends after 30 seconds.
 */
import { assert, type Time } from "../bytes/index.ts";
import { MAX_AT } from "./handshake.ts";

/** An exchange of the remote: equal exactly for equal routing tokens. */
export type Token = string;

/** Everything that is known. Nothing in it ever changes: each step makes a new one. */
export interface Handshaking {
  /** The highest `at` sent or seen. */
  readonly high: bigint;
  /** The handshake that we originated last. */
  readonly own: Process | undefined;
  /** Our answer to the highest handshake of the remote. */
  readonly echo: Echo | undefined;
  /** The remote's exchange that is proven. */
  readonly session: Token | undefined;
  /** The one on trial: it sent a good handshake, but that may be a recording. */
  readonly candidate: Token | undefined;
  /** Sessions that were replaced, the oldest first: they never come back. */
  readonly retired: readonly Token[];
}

export interface Process {
  readonly at: bigint;
  readonly began: Time;
  readonly resends: number;
  /** Not answered yet: it is resent, and times out. */
  readonly isOpen: boolean;
  /** When it last went out in answer to what the remote had sent before. */
  readonly repeated: Time;
  /** It is to go out so once more, as soon as it may. */
  readonly isOwed: boolean;
}

export interface Echo {
  readonly at: bigint;
  /** Whose handshake it answers, and what of that one has come so far: digests by type. */
  readonly of: Token;
  readonly seen: ReadonlyMap<string, string>;
  readonly repeated: Time;
  readonly isOwed: boolean;
}

export type HandshakingIn =
  /** Begin a process with a new `at`. One that is under way is superseded. */
  | { readonly type: "start" }
  /** A handshake message: verified to be the remote's, and approved. `digest`: equal for equal packets, and for others only if their sender wants that (64 bits). */
  | {
      readonly type: "handshake";
      readonly at: bigint;
      readonly token: Token;
      readonly kind: string;
      readonly digest: string;
    }
  /** A channel packet opened with the keys of this token. */
  | { readonly type: "packet"; readonly token: Token }
  | { readonly type: "tick" };

/** What to do, in this order; see `ExchangeOut`. "send": our handshake messages with this `at`, always the same bytes. */
export type HandshakingOut =
  | { readonly type: "send"; readonly at: bigint; readonly to: "answer" | "process" | "known" }
  | { readonly type: "heard"; readonly by: "packet" | "handshake" | "echo" }
  | { readonly type: "renewed" | "up" | "timeout" | "dead" };

export interface Step {
  /** `undefined` after "timeout" and "dead": nothing is left. */
  readonly state: Handshaking | undefined;
  readonly out: readonly HandshakingOut[];
}

/** A number above `above` with our order bit, and above every one it gave before. Above MAX_AT when there is none. */
export type NextAt = (above: bigint) => bigint;

/** What is known at the beginning of an exchange. */
export const NOTHING: Handshaking = {
  high: 0n,
  own: undefined,
  echo: undefined,
  session: undefined,
  candidate: undefined,
  retired: [],
};

/** Takes one input. Calls `nextAt` at most once. */
export function step(state: Handshaking, input: HandshakingIn, now: Time, nextAt: NextAt): Step {
  switch (input.type) {
    case "start":
      return originate(state, [], now, nextAt);
    case "handshake":
      if (isCurrent(state, input)) return onCurrent(state, input, now, nextAt);
      return isNews(state, input.at) ? { state, out: [] } : onOld(state, input, now);
    case "packet":
      return onPacket(state, input.token);
    case "tick":
      return onTick(state, now);
  }
}

/** When the next "tick" is due. */
export function deadline({ own, echo }: Handshaking): Time | undefined {
  let next = Number.POSITIVE_INFINITY;
  if (own?.isOpen) next = own.began + (RESEND_MS[own.resends] ?? TIMEOUT_MS);
  if (own?.isOwed) next = Math.min(next, own.repeated + REPEAT_MS);
  if (echo?.isOwed) next = Math.min(next, echo.repeated + REPEAT_MS);
  return next === Number.POSITIVE_INFINITY ? undefined : next;
}

/** Whether a handshake makes its token the session or the candidate, unless it is that already: its keys are needed. */
export function isCurrent(state: Handshaking, { at, token }: { readonly at: bigint; readonly token: Token }): boolean {
  return (isNews(state, at) || isReborn(state, at, token)) && !state.retired.includes(token);
}

/** The remote forgot everything, learned our highest `at` from our echo, and answers with it, as an old peer does. */
function isReborn({ high, echo, session, candidate }: Handshaking, at: bigint, token: Token): boolean {
  return at === high && at === echo?.at && ![echo.of, session, candidate].includes(token);
}

/** An echo of our last one, or higher than all before. */
function isNews({ own, high }: Handshaking, at: bigint): boolean {
  return at === own?.at || at > high;
}

type Received = Extract<HandshakingIn, { type: "handshake" }>;

function onCurrent(state: Handshaking, received: Received, now: Time, nextAt: NextAt): Step {
  const { own } = state;
  if (received.at === own?.at) return onEcho(state, own, received.token, now, nextAt);
  return received.at > state.high
    ? onHigher(state, received, now, nextAt)
    : challenge(state, received.token, [], now, nextAt);
}

/** The remote answers the handshake that we began last. */
function onEcho(state: Handshaking, own: Process, token: Token, now: Time, nextAt: NextAt): Step {
  const answered = withOwn(state, answeredOne(own));
  const heard: HandshakingOut[] = own.isOpen ? [{ type: "heard", by: "echo" }] : [];
  // The session on trial did not answer, the old one did: it was a recording.
  if (token === state.session) return { state: withCandidate(answered, undefined), out: heard };
  if (own.isOpen) return adopt(answered, token, heard);
  // Once it was answered, an echo under another token may be a recorded one.
  return challenge(state, token, [], now, nextAt);
}

/** The remote began a handshake, higher than all before. */
function onHigher(former: Handshaking, received: Received, now: Time, nextAt: NextAt): Step {
  const { at, token, kind, digest } = received;
  const echo: Echo = { at, of: token, seen: new Map([[kind, digest]]), repeated: NEVER, isOwed: false };
  const state = withEcho(former, at, echo);
  const out: HandshakingOut[] = [{ type: "send", at, to: "answer" }];
  if (at === MAX_AT) return over("dead", out);
  // A token on trial stays there: that it is higher than our process says nothing, the clock of a dead exchange may have
  // been ahead of ours. But a live one may have missed our process for its own, so it gets another.
  if (token !== state.session) return challenge(state, token, out, now, nextAt);
  // Our own process has its answer: the remote is alive, on the token that it has proven before.
  out.push({ type: "heard", by: "handshake" });
  return { state: withCandidate(withOwn(state, state.own && answeredOne(state.own)), undefined), out };
}

/** Not higher, and no echo: more of what is answered already, a resend of it, or something older. */
function onOld(state: Handshaking, { at, token, kind, digest }: Received, now: Time): Step {
  const { own, echo } = state;
  if (echo !== undefined && at === echo.at && token === echo.of) {
    const seen = echo.seen.get(kind);
    if (seen === digest) return repeat(state, "echo", "answer", now);
    if (seen === undefined && echo.seen.size < KINDS) {
      const { of, repeated, isOwed } = echo;
      const more: Echo = { at, of, seen: new Map(echo.seen).set(kind, digest), repeated, isOwed };
      return { state: withEcho(state, state.high, more), out: [] };
    }
  }
  // A lower `at`, or an equal one with other bytes. The remote may have lost its state and must learn ours (X11).
  return repeat(state, (own?.at ?? 0n) > (echo?.at ?? 0n) ? "own" : "echo", "known", now);
}

function onPacket(state: Handshaking, token: Token): Step {
  if (token === state.session) return { state, out: HEARD_PACKET };
  // What opens with the keys on trial was made with our ephemeral key: its owner has heard this exchange, once. That is
  // enough where there is no session; but to replace one it would have to be later than that, and a packet has no date.
  const isProof = token === state.candidate && state.session === undefined;
  return isProof ? adopt(state, token, HEARD_PACKET) : { state, out: [] };
}

function onTick(former: Handshaking, now: Time): Step {
  for (const which of ["own", "echo"] as const)
    if (former[which]?.isOwed && now - former[which].repeated >= REPEAT_MS) {
      const { state, out } = repeat(former, which, "known", now);
      const more = state && onTick(state, now);
      return more ? { state: more.state, out: [...out, ...more.out] } : { state, out };
    }
  const state = former;
  const { own } = state;
  if (!own?.isOpen) return { state, out: [] };
  const age = now - own.began;
  if (age >= TIMEOUT_MS) return over("timeout", []);
  const due = RESEND_MS.filter((offset) => offset <= age).length;
  if (due === own.resends) return { state, out: [] };
  // After a long sleep the missed ones go as one.
  const { at, began, isOpen, repeated, isOwed } = own;
  const next: Process = { at, began, resends: due, isOpen, repeated, isOwed };
  return { state: withOwn(state, next), out: [{ type: "send", at, to: "process" }] };
}

/** Begins a handshake of ours with a new `at`, above all that were sent or seen. */
function originate(state: Handshaking, before: readonly HandshakingOut[], now: Time, nextAt: NextAt): Step {
  const at = nextAt(state.high);
  assert(at > state.high, "an `at` only increases");
  if (at > MAX_AT) return over("dead", before);
  const own: Process = { at, began: now, resends: 0, isOpen: true, repeated: NEVER, isOwed: false };
  const { echo, session, candidate, retired } = state;
  const next: Handshaking = { high: at, own, echo, session, candidate, retired };
  return { state: next, out: [...before, { type: "send", at, to: "process" }] };
}

/** Puts a token on trial: a higher `at` of ours goes out, and who answers that under this token is alive (X34). */
function challenge(
  state: Handshaking,
  candidate: Token,
  before: readonly HandshakingOut[],
  now: Time,
  nextAt: NextAt,
): Step {
  return originate(withCandidate(state, candidate), before, now, nextAt);
}

/** The token is proven: it becomes the session. */
function adopt(state: Handshaking, session: Token, before: readonly HandshakingOut[]): Step {
  const { high, own, echo, session: former } = state;
  const isFirst = former === undefined;
  const retired = isFirst ? state.retired : [...state.retired, former].slice(-RETIRED);
  const next: Handshaking = { high, own, echo, session, candidate: undefined, retired };
  return { state: next, out: isFirst ? [...before, UP] : [...before, { type: "renewed" }, UP] };
}

/** The same once more, at most once a second (X10, X11). */
function repeat(state: Handshaking, which: "own" | "echo", to: "answer" | "known", now: Time): Step {
  const sent = state[which];
  if (sent === undefined) return { state, out: [] };
  if (now - sent.repeated < REPEAT_MS) {
    // Old peers say it once: if this one goes unanswered, they wait for us for ever.
    return { state: to === "known" ? withRepeat(state, which, sent.repeated, true) : state, out: [] };
  }
  return { state: withRepeat(state, which, now, false), out: [{ type: "send", at: sent.at, to }] };
}

function withRepeat(state: Handshaking, which: "own" | "echo", repeated: Time, isOwed: boolean): Handshaking {
  const { own, echo } = state;
  if (which === "own" && own !== undefined) {
    const { at, began, resends, isOpen } = own;
    return withOwn(state, { at, began, resends, isOpen, repeated, isOwed });
  }
  if (which === "own" || echo === undefined) return state;
  return withEcho(state, state.high, { at: echo.at, of: echo.of, seen: echo.seen, repeated, isOwed });
}

// Field by field: what is spread has a shape of its own each time, and V8 then throws away what it made of all that reads it.

function withOwn({ high, echo, session, candidate, retired }: Handshaking, own: Process | undefined): Handshaking {
  return { high, own, echo, session, candidate, retired };
}

function withEcho({ own, session, candidate, retired }: Handshaking, high: bigint, echo: Echo): Handshaking {
  return { high, own, echo, session, candidate, retired };
}

function withCandidate({ high, own, echo, session, retired }: Handshaking, candidate: Token | undefined): Handshaking {
  return { high, own, echo, session, candidate, retired };
}

function answeredOne({ at, began, resends, repeated, isOwed }: Process): Process {
  return { at, began, resends, isOpen: false, repeated, isOwed };
}

function over(type: "timeout" | "dead", before: readonly HandshakingOut[]): Step {
  return { state: undefined, out: [...before, { type }] };
}

/** Offsets from the first send. Seed 004, decision X3 */
const RESEND_MS: readonly number[] = [1_000, 3_000, 8_000, 20_000];
const TIMEOUT_MS = 30_000; // seed 004
const REPEAT_MS = 1_000; // decisions X10 and X11
const RETIRED = 16;
const KINDS = 8; // types of messages in one handshake
const NEVER = Number.NEGATIVE_INFINITY;
const UP: HandshakingOut = { type: "up" };
const HEARD_PACKET: readonly HandshakingOut[] = [{ type: "heard", by: "packet" }];
