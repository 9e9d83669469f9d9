import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_AT } from "./handshake.ts";
import {
  deadline,
  type Handshaking,
  type HandshakingIn,
  isCurrent,
  type NextAt,
  NOTHING,
  type Step,
  step,
} from "./handshaking.ts";

const START = 1_700_000_000_000;

const tokens = fc.constantFrom("s", "t", "u", "v");
const kinds = fc.constantFrom("key", "uri", ...Array.from({ length: 8 }, (_, i) => `x${i}`));
/** Any input, with numbers that are near each other; and how long after the one before it comes. */
const inputs = fc.array(
  fc.tuple(
    fc.oneof(
      fc.record({ type: fc.constant("start" as const) }),
      fc.record({
        type: fc.constant("handshake" as const),
        at: fc.oneof(
          fc.bigInt({ min: 1n, max: 6n }),
          fc.bigInt({ min: 1n, max: 60n }),
          fc.constantFrom(MAX_AT, MAX_AT - 1n),
        ),
        token: tokens,
        kind: kinds,
        digest: fc.constantFrom("a", "b"),
      }),
      fc.record({ type: fc.constant("packet" as const), token: tokens }),
      fc.record({ type: fc.constant("tick" as const) }),
    ),
    fc.constantFrom(0, 10, 999, 1_000, 5_000, 30_000),
  ),
  { maxLength: 60 },
);
const nextAt: NextAt = (above) => above + 2n - (above & 1n); // even

/** All steps of a run, each with what was before it. Nothing may change a state that was given out. */
function run(
  script: readonly (readonly [HandshakingIn, number])[],
  see: (before: Handshaking, input: HandshakingIn, now: number, after: Step) => void,
): void {
  let state: Handshaking | undefined = NOTHING;
  let now = START;
  for (const [input, ms] of script) {
    now += ms;
    const after: Step = step(freeze(state), freeze(input), now, nextAt);
    see(state, input, now, after);
    state = after.state;
    if (state === undefined) return;
  }
}

function freeze<T>(value: T): T {
  for (const part of Object.values(value ?? {})) if (typeof part === "object") freeze(part);
  return Object.freeze(value);
}

test("a step is a function of its arguments, and changes none of them", () => {
  fc.assert(
    fc.property(inputs, (script) => {
      run(script, (before, input, now, after) => {
        expect(step(before, input, now, nextAt)).toEqual(after);
        expect(before.echo?.seen.size ?? 0).toBeLessThanOrEqual(8);
      });
    }),
  );
});

test("[B28] [X35] numbers only grow, ours have our last bit, and an answer has the number of what it answers", () => {
  fc.assert(
    fc.property(inputs, (script) => {
      run(script, (before, input, _, { state, out }) => {
        if (state !== undefined) expect(state.high).toBeGreaterThanOrEqual(before.high);
        const isBegun = state?.own !== undefined && state.own.at !== before.own?.at;
        if (isBegun) expect([(state.own?.at ?? 0n) > before.high, (state.own?.at ?? 1n) & 1n]).toEqual([true, 0n]);
        for (const effect of out) {
          if (effect.type !== "send") continue;
          if (effect.to === "answer") expect(effect.at).toBe(input.type === "handshake" ? input.at : undefined);
          else {
            const { own, echo } = state ?? before; // what it repeats may be the last thing that it does
            expect([own?.at, echo?.at]).toContain(effect.at);
          }
        }
      });
    }),
  );
});

test("[B47] [X34] nothing but an echo of ours replaces a session, and what is on trial has a process of ours to answer", () => {
  fc.assert(
    fc.property(inputs, (script) => {
      run(script, (before, input, _, { state, out }) => {
        if (state?.candidate !== undefined) expect(state.own?.isOpen).toBe(true);
        if (state === undefined || state.session === before.session) return;
        expect(out).toContainEqual({ type: "up" });
        // Only an echo of our open process; for want of a session, a channel packet under the keys on trial will do.
        const isEcho = input.type === "handshake" && input.at === before.own?.at && before.own.isOpen;
        const isKnown = input.type === "packet" && input.token === before.candidate && before.session === undefined;
        expect(isEcho || isKnown).toBe(true);
        if (before.session !== undefined) expect(state.retired).toContain(before.session);
      });
    }),
  );
});

test("[B47] once ours is answered, its echo under another token may be a recording: a trial, and the session stays", () => {
  const { state: asked } = step(NOTHING, { type: "start" }, START, nextAt);
  const echo = { type: "handshake", at: asked?.own?.at ?? 0n, kind: "key", digest: "a" } as const;
  const { state: up } = step(asked ?? NOTHING, { ...echo, token: "s" }, START, nextAt);
  const { state, out } = step(up ?? NOTHING, { ...echo, token: "t", digest: "b" }, START + 5_000, nextAt);
  expect([up?.session, state?.session, state?.candidate]).toEqual(["s", "s", "t"]);
  expect(out).toEqual([{ type: "send", at: state?.own?.at, to: "process" }]);
  expect(state?.own?.at).toBeGreaterThan(echo.at);
});

test("a token that was replaced is never current again, and nothing it sends is answered as new", () => {
  const retired: Handshaking = { ...NOTHING, high: 10n, session: "t", retired: ["s"] };
  expect(isCurrent(retired, { at: 12n, token: "s" })).toBe(false);
  expect(isCurrent(retired, { at: 12n, token: "u" })).toBe(true);
  const input = { type: "handshake", at: 12n, token: "s", kind: "key", digest: "a" } as const;
  expect(step(retired, input, START, nextAt)).toEqual({ state: retired, out: [] });
});

test("what is kept is bounded: 16 old tokens, 8 types of one handshake", () => {
  let state: Handshaking = NOTHING;
  for (let life = 0; life < 40; life++) {
    state = step(state, { type: "start" }, START, nextAt).state ?? NOTHING;
    const echo = { type: "handshake", at: state.high, token: `${life}`, kind: "key", digest: "a" } as const;
    state = step(state, echo, START, nextAt).state ?? NOTHING;
    expect(state.session).toBe(`${life}`);
  }
  expect(state.retired).toEqual(Array.from({ length: 16 }, (_, i) => `${23 + i}`));
  const at = state.high + 100n;
  for (let kind = 0; kind < 20; kind++)
    state =
      step(state, { type: "handshake", at, token: "39", kind: `${kind}`, digest: "a" }, START, nextAt).state ?? NOTHING;
  expect(state.echo?.seen.size).toBe(8);
});

test("[B15] [B16] there is a next tick for as long as a process is open, and the last one leaves nothing", () => {
  fc.assert(
    fc.property(inputs, (script) => {
      run(script, (_, __, now, { state }) => {
        if (state === undefined) return;
        const isOwed = state.own?.isOwed === true || state.echo?.isOwed === true; // a repeat that has to wait
        expect(deadline(state) !== undefined).toBe(state.own?.isOpen === true || isOwed);
        if (state.own?.isOpen !== true) return;
        const { own } = state;
        expect(deadline(state)).toBeLessThanOrEqual(own.began + 30_000);
        const last = step(state, { type: "tick" }, Math.max(now, own.began + 30_000), nextAt);
        expect([last.state, last.out.at(-1)]).toEqual([undefined, { type: "timeout" }]);
      });
    }),
  );
});
