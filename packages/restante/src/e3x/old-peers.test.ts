import { expect, test } from "vitest";
import { deadline, type Handshaking, type HandshakingIn, type HandshakingOut, NOTHING, step } from "./handshaking.ts";

const nextAt = (above: bigint): bigint => above + 2n - (above % 2n) + 1n; // ours are odd

/** Gives the inputs to a fresh exchange, each at its time; a "tick" where one is due. */
function run(inputs: readonly (readonly [now: number, input: HandshakingIn])[]): [Handshaking, HandshakingOut[][]] {
  let state: Handshaking = NOTHING;
  const outs = inputs.map(([now, input]) => {
    const next = step(state, input, now, nextAt);
    state = next.state ?? NOTHING;
    return [...next.out];
  });
  return [state, outs];
}
const handshake = (at: bigint, token: string, digest = `${token}${at}`): HandshakingIn => ({
  type: "handshake",
  at,
  token,
  kind: "key",
  digest,
});

test("[X11] a peer that says its lower `at` once is answered, if not at once, then when a second is over", () => {
  // As telehash-js begins: its own lower one first, then the echo of ours. Then it starts anew within the second.
  const [state, outs] = run([
    [0, { type: "start" }], // at 3
    [10, handshake(2n, "old")],
    [11, handshake(3n, "old")],
    [400, handshake(2n, "new")],
  ]);
  expect(outs[1]).toEqual([{ type: "send", at: 3n, to: "known" }]);
  expect(outs[3]).toEqual([]); // at most once a second
  expect(deadline(state)).toBe(1_010);
  const { state: after = NOTHING, out } = step(state, { type: "tick" }, 1_010, nextAt);
  expect(out).toEqual([{ type: "send", at: 3n, to: "known" }]);
  expect(deadline(after)).toBeUndefined();
});

test("a peer that forgot all and answers our echo with its `at` under a new token is put on trial, once", () => {
  // It began 10, started anew with the time (4), learned 10 from our echo, and says 10 as an old peer does.
  const [state, outs] = run([
    [0, handshake(10n, "old")], // echoed; ours is 13
    [10, handshake(13n, "old")], // up
    [20_000, handshake(20n, "old")], // a keepalive of its own: the highest is its
    [40_000, handshake(4n, "new")],
    [40_010, handshake(20n, "new")],
    [40_020, handshake(20n, "new")],
  ]);
  expect(outs[3]).toEqual([{ type: "send", at: 20n, to: "known" }]);
  expect(outs[4]).toEqual([{ type: "send", at: 23n, to: "process" }]);
  expect(outs[5]).toEqual([{ type: "send", at: 23n, to: "known" }]); // no second trial
  const { state: after = NOTHING, out } = step(state, handshake(23n, "new"), 40_030, nextAt);
  expect(out.map(({ type }) => type)).toEqual(["heard", "renewed", "up"]);
  expect(after.session).toBe("new");
});
