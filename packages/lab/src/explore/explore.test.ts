import { handshaking } from "restante/protocol";
import { describe, expect, test } from "vitest";
import type { Invariant } from "./invariants.ts";
import type { StepFunction } from "./model.ts";
import { search } from "./search.ts";
import { SLICE, setup } from "./setups.ts";
import type { Setup } from "./world.ts";

type State = handshaking.Handshaking;
type Handshake = Extract<handshaking.HandshakingIn, { type: "handshake" }>;

/** A core that differs from the real one in one thing. */
const onHandshake =
  (change: (state: State, input: Handshake) => State): StepFunction =>
  (state, input, now, nextAt) =>
    handshaking.step(input.type === "handshake" ? change(state, input) : state, input, now, nextAt);

const MUTANTS: readonly { name: string; caught: readonly Invariant[]; step: StepFunction; setup?: Setup }[] = [
  {
    name: "takes every token for proven at once",
    caught: ["recording"],
    step: (before, input, now, nextAt) => {
      const { state, out } = handshaking.step(before, input, now, nextAt);
      if (state?.candidate === undefined) return { state, out };
      return { state: { ...state, session: state.candidate, candidate: undefined }, out: [...out, { type: "up" }] };
    },
  },
  {
    name: "takes a channel packet for a proof that its sender is the present one",
    caught: ["no return"],
    setup: setup("timeouts", { timeout: [0, 1] }),
    step: (state, input, now, nextAt) => {
      if (input.type !== "packet" || input.token !== state.candidate || state.session === undefined)
        return handshaking.step(state, input, now, nextAt);
      const next = { ...state, session: input.token, candidate: undefined, retired: [...state.retired, state.session] };
      return { state: next, out: [{ type: "renewed" }, { type: "up" }] };
    },
  },
  {
    name: "takes a handshake still higher under the token on trial for a proof",
    caught: ["recording", "no return"],
    setup: setup("two recordings", { start: [1, 2], timeout: [0, 1] }, { packets: false }),
    step: (before, input, now, nextAt) => {
      const { state, out } = handshaking.step(before, input, now, nextAt);
      const isAgain = input.type === "handshake" && input.token === before.candidate && input.at > before.high;
      if (state === undefined || !isAgain) return { state, out };
      const retired = state.session === undefined ? state.retired : [...state.retired, state.session];
      return {
        state: { ...state, session: input.token, candidate: undefined, retired },
        out: [...out, { type: "up" }],
      };
    },
  },
  {
    name: "takes the echo of a process that was answered before for a proof",
    caught: ["no return"],
    setup: setup("lost", { start: [1, 2], forget: [2, 0] }),
    step: onHandshake((state, { at }) =>
      state.own?.at === at ? { ...state, own: { ...state.own, isOpen: true } } : state,
    ),
  },
  {
    name: "turns away the new session instead of the old one",
    caught: ["agreement"],
    setup: setup("restarts", { restart: [1, 0] }),
    step: (before, input, now, nextAt) => {
      const { state, out } = handshaking.step(before, input, now, nextAt);
      if (state === undefined || state.retired.length === before.retired.length || state.session === undefined)
        return { state, out };
      return { state: { ...state, retired: [...before.retired, state.session] }, out };
    },
  },
  {
    name: "does not echo",
    caught: ["echo"],
    step: (before, input, now, nextAt) => {
      const { state, out } = handshaking.step(before, input, now, nextAt);
      return { state, out: out.filter((effect) => effect.type !== "send" || effect.to !== "answer") };
    },
  },
  {
    name: "takes a lower `at` for a new one",
    caught: ["echo"],
    step: onHandshake((state, { at }) =>
      at < state.high && at !== state.own?.at ? { ...state, high: at - 1n } : state,
    ),
  },
  {
    name: "begins below what it heard",
    caught: ["growth"],
    // What it hears is counted, too, and so it would begin above that all the same; but not where the other's clock is wrong by far.
    setup: setup("last numbers", { end: [0, 1] }),
    step: (state, input, now, nextAt) =>
      handshaking.step(input.type === "start" ? { ...state, high: 0n } : state, input, now, nextAt),
  },
  {
    name: "has the wrong order bit",
    caught: ["growth"],
    step: (state, input, now, nextAt) => handshaking.step(state, input, now, (above) => nextAt(above) ^ 1n),
  },
  {
    name: "goes on sending a process that was superseded",
    caught: ["one process"],
    step: (before, input, now, nextAt) => {
      const { state, out } = handshaking.step(before, input, now, nextAt);
      if (!before.own?.isOpen || state?.own === undefined || state.own.at === before.own.at) return { state, out };
      return { state, out: [...out, { type: "send", at: before.own.at, to: "process" }] };
    },
  },
  {
    name: "keeps an exchange that nobody answered",
    caught: ["timeout"],
    setup: setup("timeouts", { timeout: [1, 0] }),
    step: (before, input, now, nextAt) => {
      const { state, out } = handshaking.step(before, input, now, nextAt);
      if (state !== undefined || input.type !== "tick" || before.own === undefined) return { state, out };
      return { state: { ...before, own: { ...before.own, isOpen: false } }, out: [] };
    },
  },
  {
    name: "goes on after the last number",
    caught: ["end of numbers"],
    setup: setup("end", { start: [1, 2], end: [0, 1] }),
    step: (before, input, now, nextAt) => {
      const { state, out } = handshaking.step(before, input, now, nextAt);
      if (state !== undefined || input.type !== "handshake") return { state, out };
      return { state: { ...before, high: input.at }, out: out.filter(({ type }) => type !== "dead") };
    },
  },
  {
    name: "does not notice that it was answered",
    caught: ["liveness", "quiet"],
    step: (state, input, now, nextAt) => {
      if (input.type === "handshake" && input.at === state.own?.at) return { state, out: [] };
      return handshaking.step(state, input, now, nextAt);
    },
  },
  {
    name: "begins anew whenever it was answered",
    caught: ["quiet"],
    step: (before, input, now, nextAt) => {
      const { state, out } = handshaking.step(before, input, now, nextAt);
      if (state === undefined || input.type !== "handshake" || input.at !== before.own?.at) return { state, out };
      const again = handshaking.step(state, { type: "start" }, now, nextAt);
      return { state: again.state, out: [...out, ...again.out] };
    },
  },
];

test.each(SLICE)(
  "[B34] [X34] [X35] $name, explored to the end: the laws hold, and from everywhere both get the link",
  { timeout: 300_000 },
  (where) => {
    const { states, isClosed, violation, continuations } = search({ setup: where, limit: 100_000 });
    expect(violation).toBeUndefined();
    expect(isClosed).toBe(true);
    expect(states).toBe(STATES[where.name]);
    expect(continuations).toBe(2 * states);
  },
);

/** A change of these figures is a change of what peers can do: look at it before you write it down here. */
const STATES: Readonly<Record<string, number>> = {
  order: 12_837,
  "restart, clock back": 36_783,
  "lost count": 25_711,
  "last numbers": 12_224,
  asked: 2_418,
  elsewhere: 4_819,
};

describe("the explorer finds", () => {
  test.each(MUTANTS)("a core that $name", ({ caught, step, setup: where }) => {
    // Most of them break something at once; only two need what comes after.
    const every = caught.includes("liveness") || caught.includes("quiet") ? 1 : 100;
    const { violation } = search({ setup: where ?? setup("simple", {}), limit: 60_000, step, every });
    expect(caught).toContain(violation?.invariant);
    expect(violation?.trace.length).toBeGreaterThan(0);
  });

  test("numbers that another's clock pushed up, and that are given again", () => {
    const ahead = setup("uncounted", { restart: [1, 0], forward: [0, 1] }, { counts: false });
    expect(search({ setup: ahead, limit: 60_000, every: 100 }).violation?.invariant).toBe("growth");
    expect(search({ setup: { ...ahead, counts: true }, limit: 60_000, every: 100 }).violation).toBeUndefined();
  });

  test("a link that answers before it asks", () => {
    const found = search({ setup: setup("asked", {}, { wants: [true, false], asks: false }), limit: 1_000 });
    expect(found.violation?.invariant).toBe("approval");
  });
});
