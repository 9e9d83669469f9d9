/**
 * Worlds as bytes, equal for worlds that nobody could tell apart from then on: exchanges are counted anew by their age,
 * numbers keep their order, their last bit and small distances, and time is left out. It may be: a tick can come as
 * late as it likes, so which resend is next, and whether the second is over in which nothing is repeated, only decides
 * what leaves, and the adversary decides what arrives.
 */
import type { handshaking } from "restante/protocol";
import {
  atsOf,
  CHANCES,
  ELSEWHERE,
  type End,
  FAR,
  HOME,
  type Kind,
  LAST,
  type Message,
  name,
  noBudget,
  other,
  ROOM,
  SIDES,
  type Side,
  type World,
} from "./world.ts";

/** The bytes of a world; only valid until the next call. */
export function encode(whole: World): Uint8Array {
  const recording = whole.recording.filter((message) => canMatter(whole, message)).sort((a, b) => rank(a) - rank(b));
  const world: World = { ...whole, recording };
  const at = numbers(world);
  const life = lives(world);
  let length = 0;
  const put = (...bytes: readonly number[]): void => {
    for (const byte of bytes) scratch[length++] = byte;
  };
  const putMessage = (message: Message): void => {
    const { from } = message;
    if (message.type === "packet") put(4 | from, life(from, message.life), life(other(from), message.to));
    else {
      const flags = bits(from === 1, isPresent(world, other(from), message.met), false, message.kind === "uri");
      put(flags, life(from, message.life), at(message.at));
    }
  };
  for (const side of SIDES) {
    const end = world.ends[side];
    const { core, metAt } = end;
    const own = core?.own;
    put(bits(core !== undefined, own !== undefined, own?.isOpen, core?.echo !== undefined, end.isDead, end.isFooled));
    const [met, own1, echo1] = [end.met, metAt.own, metAt.echo].map((one) => isPresent(world, other(side), one));
    put(bits(met, own1, echo1, end.isFresh, end.path === HOME, end.path === ELSEWHERE));
    put(life(side, end.life, core === undefined), at(end.clock), at(end.count), at(end.top), at(end.ever));
    if (core !== undefined) {
      const them = other(side);
      const of = (token: string | undefined): number => (token === undefined ? 0 : life(them, Number(token)));
      put(at(core.high), of(core.session), of(core.candidate));
      if (own !== undefined) put(at(own.at));
      if (core.echo !== undefined)
        put(at(core.echo.at), of(core.echo.of), bits(core.echo.seen.has("key"), core.echo.seen.has("uri")));
      const retired = core.retired.map(of).filter((known) => known > 0);
      put(retired.length, ...retired);
    }
    put(end.waiting.length);
    for (const message of end.waiting) putMessage(message);
    for (const chance of CHANCES) put(world.left[chance][side]);
  }
  put(recording.length);
  for (const message of recording) putMessage(message);
  return scratch.subarray(0, length);
}

/** The world of these bytes. */
export function decode(bytes: Uint8Array): World {
  let place = 0;
  const take = (): number => bytes[place++] ?? 0;
  const number = (): bigint => {
    const code = take();
    return code < FROM_THE_END ? BigInt(code) : LAST - BigInt(255 - code);
  };
  const token = (): string | undefined => {
    const life = take();
    return life === 0 ? undefined : name(life);
  };
  const message = (): Message => {
    const flags = take();
    const from: Side = flags & 1 ? 1 : 0;
    const life = take();
    if (flags & 4) return { type: "packet", from, life, to: take() };
    return {
      type: "handshake",
      from,
      life,
      at: number(),
      kind: flags & 8 ? "uri" : "key",
      met: flags & 2 ? PRESENT : 0,
    };
  };
  const left = noBudget();
  const end = (side: Side): End => {
    const [flags, more, life] = [take(), take(), take()];
    const [clock, count, top, ever] = [number(), number(), number(), number()];
    let core: handshaking.Handshaking | undefined;
    if (flags & 1) {
      const [high, session, candidate] = [number(), token(), token()];
      const own =
        flags & 2
          ? { at: number(), began: 0, resends: 0, isOpen: (flags & 4) > 0, repeated: NEVER, isOwed: false }
          : undefined;
      const echo =
        flags & 8
          ? { at: number(), of: token() ?? GONE, seen: SEEN[take()] ?? NOTHING_SEEN, repeated: NEVER, isOwed: false }
          : undefined;
      const retired = Array.from({ length: take() }, () => token() ?? GONE);
      core = { high, own, echo, session, candidate, retired };
    }
    const waiting = Array.from({ length: take() }, message).filter((one) => one.type === "handshake");
    for (const chance of CHANCES) left[chance][side] = take();
    return {
      core,
      life,
      clock,
      count,
      path: more & 16 ? HOME : more & 32 ? ELSEWHERE : undefined,
      isDead: (flags & 16) > 0,
      waiting,
      targets: [HOME],
      met: more & 1 ? PRESENT : 0,
      metAt: { own: more & 2 ? PRESENT : 0, echo: more & 4 ? PRESENT : 0 },
      top,
      ever,
      isFresh: (more & 8) > 0,
      isFooled: (flags & 32) > 0,
    };
  };
  const [a, b] = [end(0), end(1)];
  const recording = Array.from({ length: take() }, message);
  // Who has met the other's present exchange is known only now.
  const present = (met: number, whom: End): number => (met === PRESENT ? whom.life : 0);
  const settle = (one: End, whom: End): End => {
    const { own, echo } = one.metAt;
    return { ...one, met: present(one.met, whom), metAt: { own: present(own, whom), echo: present(echo, whom) } };
  };
  return {
    ends: [settle(a, b), settle(b, a)],
    recording: recording.map((one) =>
      one.type === "packet" ? one : { ...one, met: present(one.met, one.from === 0 ? b : a) },
    ),
    left,
  };
}

/** How numbers are written: in their order, with their last bit, no further apart than matters. */
function numbers(world: World): (at: bigint) => number {
  const pairs = new Set<number>([0]);
  for (const at of atsOf(world)) if (at < FAR) pairs.add(Number(at >> 1n));
  const sorted = Uint32Array.from(pairs).sort();
  const codes = new Map<number, number>();
  let [former, code] = [0, 0];
  for (const pair of sorted) {
    code += Math.min(pair - former, PAIRS);
    codes.set(pair, code);
    former = pair;
  }
  if (2 * code + 1 >= FROM_THE_END) throw new Error("broken invariant: a world speaks of few numbers");
  return (at) => {
    if (at >= FAR) return 255 - Number(LAST - at);
    const number = Number(at);
    return 2 * (codes.get(number >> 1) ?? 0) + (number & 1);
  };
}

/** How exchanges are written: by age, among those that somebody could still speak of. 0: no such exchange. */
function lives({ ends, recording }: World): (side: Side, life: number, isPast?: boolean) => number {
  const ranks = SIDES.map((side) => {
    const known = new Set<number>();
    const { core, life } = ends[side];
    if (core !== undefined) known.add(life);
    for (const message of recording) {
      if (message.from === side) known.add(message.life);
      else if (message.type === "packet") known.add(message.to);
    }
    const them = ends[other(side)];
    for (const message of them.waiting) known.add(message.life);
    for (const token of [them.core?.session, them.core?.candidate]) if (token !== undefined) known.add(Number(token));
    return [...known].sort((a, b) => a - b);
  });
  // An end without an exchange has as many behind it as are still spoken of.
  return (side, life, isPast = false) => {
    const rank = ranks[side] ?? [];
    return isPast ? rank.length : rank.indexOf(life) + 1;
  };
}

function isPresent({ ends }: World, side: Side, life: number): boolean {
  return ends[side].core !== undefined && ends[side].life === life;
}

/** Packets for an exchange that is gone are noise. */
function canMatter({ ends }: World, message: Message): boolean {
  if (message.type === "handshake") return true;
  const { core, life } = ends[other(message.from)];
  return core !== undefined && message.to === life;
}

/** Handshakes of one end, of the other, packets: the order between these means nothing. */
function rank(message: Message): number {
  return (message.type === "packet" ? 2 : 0) + message.from;
}

function bits(...flags: readonly (boolean | undefined)[]): number {
  return flags.reduce((byte, flag, i) => (flag ? byte | (1 << i) : byte), 0);
}

const scratch = new Uint8Array(4096);
const PAIRS = Number(ROOM / 2n);
const FROM_THE_END = 240; // codes from here on are of far numbers
const PRESENT = 1;
const NEVER = Number.NEGATIVE_INFINITY;
/** An exchange that nobody can speak for any more. */
const GONE = name(0);
const DIGESTS = (kinds: readonly Kind[]): ReadonlyMap<string, string> => new Map(kinds.map((kind) => [kind, kind]));
const NOTHING_SEEN = DIGESTS([]);
const SEEN: readonly ReadonlyMap<string, string>[] = [
  NOTHING_SEEN,
  DIGESTS(["key"]),
  DIGESTS(["uri"]),
  DIGESTS(["key", "uri"]),
];
