/**
 * Two peers that want a link, and a network that is the adversary: what the explorer walks through. The handshake core
 * is the real one (`handshaking`); around it, in small, what a link does with it (mesh/link.ts), where an `at` comes
 * from (mesh/sequence.ts), and who waits for approval (mesh/requests.ts). protocol/exchange.md §9
 *
 * A message once sent can be heard. It arrives at any time, any number of times, in any order, from its sender's place
 * or from elsewhere, or never: loss, delay, reordering, duplicates and recordings are all this one thing. The recording
 * holds the last few of each direction.
 */
import { handshaking } from "restante/protocol";
import { agree, type Invariant, judge } from "./invariants.ts";
import {
  type Action,
  atsOf,
  type Budget,
  type Chance,
  ELSEWHERE,
  type End,
  FAR,
  type HandshakeMessage,
  HOME,
  LAST,
  type Message,
  name,
  other,
  type Place,
  ROOM,
  type Setup,
  SIDES,
  type Side,
  type World,
} from "./world.ts";

/** The core, or one that was spoilt on purpose. */
export type StepFunction = typeof handshaking.step;

/** What a transition did: the world after it, what left and where to, and which invariants it broke. */
export interface Turned {
  readonly world: World;
  readonly sent: readonly { readonly message: Message; readonly places: readonly Place[] }[];
  readonly broken: readonly Invariant[];
}

/** Two peers that never met, with clocks that agree. */
export function beginning(setup: Setup): World {
  return { ends: [NEWBORN, NEWBORN], recording: [], left: setup.left };
}

/** All that can happen next. */
export function actions(world: World, setup: Setup): Action[] {
  const { ends, recording, left } = world;
  const all: Action[] = [];
  for (let index = 0; index < recording.length; index++) {
    all.push({ type: "hear", index, from: HOME });
    if (setup.elsewhere) all.push({ type: "hear", index, from: ELSEWHERE });
  }
  for (const side of SIDES) {
    const end = ends[side];
    if (end.core?.own?.isOpen) {
      all.push({ type: "resend", side });
      if (left.timeout[side] > 0) all.push({ type: "timeout", side });
    }
    if (end.waiting.length > 0) all.push({ type: "approve", side });
    if (setup.packets && end.core?.session !== undefined) all.push({ type: "talk", side });
    if (left.start[side] > 0 && (end.core !== undefined || setup.wants[side]) && !end.isDead)
      all.push({ type: "start", side });
    for (const type of AT_WILL) if (left[type][side] > 0) all.push({ type, side });
  }
  return all;
}

/** Lets one thing happen. `step` is the core: the real one, or one that was spoilt on purpose. */
export function act(world: World, action: Action, setup: Setup, step: StepFunction): Turned {
  const turn = new Turn(world, setup, step, 0);
  switch (action.type) {
    case "hear": {
      const message = world.recording[action.index];
      if (message !== undefined) turn.hear(message, action.from);
      break;
    }
    case "resend":
      turn.tick(action.side, RESEND_MS);
      break;
    case "timeout":
      turn.spend(action.type, action.side);
      turn.tick(action.side, TIMEOUT_MS);
      break;
    case "approve":
      turn.approve(action.side);
      break;
    case "talk":
      turn.talk(action.side);
      break;
    case "start":
      turn.spend(action.type, action.side);
      turn.start(action.side, [HOME]);
      break;
    default:
      turn.spend(action.type, action.side);
      turn[action.type](action.side);
  }
  return turn.done();
}

/** One turn of one world: changes copies, and notes what left. `now` is the same clock of passing time for both ends. */
export class Turn {
  readonly #setup: Setup;
  readonly #step: StepFunction;
  readonly #now: number;
  readonly #ends: [End, End];
  readonly #sent: { message: Message; places: readonly Place[] }[] = [];
  readonly #broken: Invariant[] = [];
  #left: Budget;
  #recording: readonly Message[];

  constructor(world: World, setup: Setup, step: StepFunction, now: number) {
    this.#setup = setup;
    this.#step = step;
    this.#now = now;
    this.#ends = [...world.ends];
    this.#recording = world.recording;
    this.#left = world.left;
  }

  done(): Turned {
    const world = { ends: this.#ends, recording: this.#recording, left: this.#left };
    return { world, sent: this.#sent, broken: agree(this.#ends) ? this.#broken : [...this.#broken, "agreement"] };
  }

  spend(what: Chance, side: Side): void {
    const left: [number, number] = [...this.#left[what]];
    left[side] -= 1;
    this.#left = { ...this.#left, [what]: left };
  }

  /** A message arrives at the end that it was sealed to. */
  hear(message: Message, from: Place): void {
    const side = other(message.from);
    const end = this.#ends[side];
    if (message.type === "packet") {
      if (end.core !== undefined && message.to === end.life)
        this.#pass(side, { type: "packet", token: name(message.life) }, message, from);
      return;
    }
    if (end.isDead) return;
    const isApproved = end.core !== undefined || this.#setup.wants[side];
    if (isApproved || !this.#setup.asks) this.#handshake(side, message, from);
    else this.#set(side, { waiting: request(end.waiting, message) });
    if (!isApproved && this.#sent.length > 0) this.#broken.push("approval");
  }

  approve(side: Side): void {
    const { waiting } = this.#ends[side];
    this.#set(side, { waiting: [] });
    for (const message of waiting) this.#handshake(side, message, HOME);
  }

  /** Begins a process; without an exchange, that is a new attempt. */
  start(side: Side, places: readonly Place[]): void {
    if (this.#ends[side].core === undefined) this.#create(side);
    const { path } = this.#ends[side];
    this.#set(side, { targets: path === undefined ? places : [...new Set([path, ...places])] });
    this.#pass(side, { type: "start" });
  }

  /** `ms` after the process began; absent: now. */
  tick(side: Side, ms?: number): void {
    const began = this.#ends[side].core?.own?.began ?? 0;
    this.#pass(side, { type: "tick" }, undefined, undefined, ms === undefined ? this.#now : began + ms);
    if (ms === TIMEOUT_MS && this.#ends[side].core !== undefined) this.#broken.push("timeout");
  }

  talk(side: Side): void {
    const { core, life, path } = this.#ends[side];
    if (core?.session === undefined) return;
    const places = path === undefined ? [] : [path];
    this.#send({ type: "packet", from: side, life, to: Number(core.session) }, places);
  }

  restart(side: Side): void {
    const { life, clock, count, ever } = this.#ends[side];
    this.#ends[side] = { ...NEWBORN, life, clock, count, ever };
  }

  forget(side: Side): void {
    this.restart(side);
    this.#set(side, { count: 0n });
  }

  forward(side: Side): void {
    const known = [...atsOf({ ends: this.#ends, recording: this.#recording, left: this.#left })];
    const highest = known.reduce((high, at) => (at > high && at < FAR ? at : high), 0n);
    this.#set(side, { clock: even(highest) + ROOM });
  }

  back(side: Side): void {
    this.#set(side, { clock: 0n });
  }

  end(side: Side): void {
    this.#set(side, { clock: LAST - 5n });
  }

  #handshake(side: Side, message: HandshakeMessage, from: Place): void {
    if (this.#ends[side].core === undefined) this.#create(side);
    const { at, kind, life } = message;
    if (life > this.#ends[side].met) this.#set(side, { met: life });
    this.#pass(side, { type: "handshake", at, token: name(life), kind, digest: kind }, message, from);
    const { core } = this.#ends[side];
    if (core?.session === undefined && !core?.own?.isOpen) this.#over(side); // nothing came of it
  }

  #create(side: Side): void {
    this.#set(side, { ...NO_EXCHANGE, core: handshaking.NOTHING, life: this.#ends[side].life + 1 });
  }

  /** Gives the core an input, checks what it did, and does what it wants. */
  #pass(side: Side, input: handshaking.HandshakingIn, message?: Message, from?: Place, now = this.#now): void {
    const before = this.#ends[side];
    if (before.core === undefined) return;
    const order = BigInt(side);
    let count = before.count;
    const counts = (at: bigint): boolean =>
      this.#setup.counts && (at < FAR || before.clock >= FAR || before.count >= FAR);
    if (input.type === "handshake" && input.at > count && counts(input.at)) count = input.at;
    const nextAt = (above: bigint): bigint => {
      const ordinary = even(before.clock > count ? before.clock : count + 1n);
      const next = ordinary > above ? ordinary : even(above + 1n);
      if (next === ordinary || counts(next)) count = next < LAST ? next + 1n : LAST;
      return next | order;
    };
    const { state, out } = this.#step(before.core, input, now, nextAt);
    if (state === before.core && out.length === 0) {
      if (count !== before.count) this.#set(side, { count });
      return;
    }
    const own = state?.own;
    const isBegun = own !== undefined && own.at !== before.core.own?.at;
    const isEchoed = message?.type === "handshake" && message.at > before.core.high;
    const after: End = {
      ...before,
      core: state,
      count,
      metAt: {
        own: isBegun ? before.met : before.metAt.own,
        echo: isEchoed ? before.met : before.metAt.echo,
      },
      top: out.reduce((top, effect) => (effect.type === "send" && effect.at > top ? effect.at : top), before.top),
      ever: isBegun && own.at > before.ever ? own.at : before.ever,
      isFresh: isBegun ? own.at > before.ever : before.isFresh,
    };
    // Since when its numbers may be some that it had before: the count that was saved is gone.
    const isLost = this.#left.forget[side] < this.#setup.left.forget[side];
    const verdict = judge({ side, before, after, input, message, out, isLost });
    this.#broken.push(...verdict.broken);
    this.#ends[side] = { ...after, isFooled: before.isFooled || verdict.isFooled };
    for (const effect of out) this.#follow(side, effect, from);
    if (state === undefined) this.#over(side);
  }

  #follow(side: Side, effect: handshaking.HandshakingOut, from: Place | undefined): void {
    const end = this.#ends[side];
    switch (effect.type) {
      case "send":
        for (const kind of this.#setup.kinds[side]) {
          const { life, core, metAt } = end;
          const met = effect.at === core?.own?.at ? metAt.own : metAt.echo;
          const message: Message = { type: "handshake", from: side, life, at: effect.at, kind, met };
          this.#send(message, this.#destinations(side, effect.to, from));
        }
        return;
      case "up":
        this.#set(side, { path: from });
        return;
      case "dead":
        this.#set(side, { isDead: this.#setup.wants[side] }); // a link that nobody wants is forgotten
        return;
      case "heard":
        if (end.path === undefined || from === undefined || from === end.path) return;
        if (effect.by !== "packet") this.#set(side, { path: from });
        // After a handshake from elsewhere, and perhaps after a packet, the path is tried.
        if (effect.by === "handshake" || (effect.by === "packet" && !end.core?.own?.isOpen)) this.start(side, [from]);
    }
  }

  #destinations(side: Side, to: "answer" | "process" | "known", from: Place | undefined): readonly Place[] {
    const { path, targets } = this.#ends[side];
    if (to === "answer") return from === undefined ? [] : [from];
    if (to === "known") return path !== undefined ? [path] : from !== undefined ? [from] : [];
    if (from === undefined) return targets;
    const places = [...new Set([from, ...(path === undefined ? targets : [path])])];
    this.#set(side, { targets: places });
    return places;
  }

  #over(side: Side): void {
    this.#set(side, NO_EXCHANGE);
  }

  #send(message: Message, places: readonly Place[]): void {
    this.#sent.push({ message, places });
    if (this.#setup.recorded === 0) return;
    const isSame = (one: Message): boolean =>
      one.type === message.type &&
      one.from === message.from &&
      one.life === message.life &&
      (one.type === "packet"
        ? message.type === "packet" && one.to === message.to
        : message.type === "handshake" && one.at === message.at && one.kind === message.kind);
    const known = this.#recording.findIndex(isSame);
    // Sealed once, it is the same bytes ever after: what it proves is what its first sending did.
    if (known >= 0) return;
    const isAlike = (one: Message): boolean => one.type === message.type && one.from === message.from;
    const room = message.type === "packet" ? 1 : this.#setup.recorded;
    const alike = this.#recording.filter(isAlike);
    const oldest = alike.length < room ? undefined : alike[0];
    this.#recording = [...this.#recording.filter((one) => one !== oldest), message];
  }

  #set(side: Side, change: Partial<End>): void {
    this.#ends[side] = { ...this.#ends[side], ...change };
  }
}

/** The message waits for approval with the others of its handshake; a higher one takes the place of all. */
function request(waiting: readonly HandshakeMessage[], message: HandshakeMessage): readonly HandshakeMessage[] {
  const [first] = waiting;
  if (first === undefined || message.at > first.at) return [message];
  const isSame = message.at === first.at && message.life === first.life;
  return isSame && !waiting.some(({ kind }) => kind === message.kind) ? [...waiting, message] : waiting;
}

function even(number: bigint): bigint {
  return number + (number & 1n);
}

const AT_WILL = ["restart", "forget", "forward", "back", "end"] as const;
const RESEND_MS = 1_000;
const TIMEOUT_MS = 30_000;
const NO_EXCHANGE = {
  core: undefined,
  path: undefined,
  targets: [],
  met: 0,
  metAt: { own: 0, echo: 0 },
  top: 0n,
  isFresh: true,
  isFooled: false,
};
const NEWBORN: End = { ...NO_EXCHANGE, life: 0, clock: ROOM, count: 0n, isDead: false, waiting: [], ever: 0n };
