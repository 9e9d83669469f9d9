/** What is explored. Each setup says how often peers may still do things; the adversary may do anything, always. */
import { type Budget, noBudget, type Setup } from "./world.ts";

/**
 * A setup by its differences from the simplest one: both ends want the link, each handshake is one message, three
 * handshakes and one packet of each direction are recorded, and each end may begin one process of its own.
 */
export function setup(name: string, left: Partial<Budget>, rest: Partial<Omit<Setup, "name" | "left">> = {}): Setup {
  return {
    name,
    wants: [true, true],
    recorded: 3,
    kinds: [["key"], ["key"]],
    elsewhere: false,
    packets: true,
    asks: true,
    counts: true,
    left: { ...noBudget(), start: [1, 1], ...left },
    ...rest,
  };
}

/** The full exploration, `npm run explore`. All but "everything" end. */
export const SETUPS: readonly Setup[] = [
  setup("order", { start: [2, 2] }),
  setup("timeouts", { timeout: [1, 1] }),
  setup("restarts", { restart: [1, 1] }),
  setup("lost counts", { forget: [1, 1] }),
  setup("clocks", { restart: [1, 0], forward: [0, 1], back: [1, 0] }),
  setup("clocks ahead", { restart: [1, 0], forward: [1, 1] }),
  setup("last numbers", { start: [2, 1], end: [1, 0], timeout: [1, 0] }),
  setup("asked", { start: [2, 1], timeout: [1, 0] }, { wants: [true, false], kinds: [["key", "uri"], ["key"]] }),
  setup("mixed", { start: [2, 1], timeout: [1, 0], restart: [0, 1] }),
  setup("elsewhere", { timeout: [1, 0] }, { elsewhere: true }),
  setup("elsewhere, restarts", { timeout: [1, 0], restart: [0, 1] }, { elsewhere: true, recorded: 2 }),
  setup(
    "everything",
    { start: [2, 2], timeout: [1, 1], restart: [1, 1], forget: [1, 1], forward: [1, 1], back: [1, 1] },
    { elsewhere: true, recorded: 4 },
  ),
];

/** What `npm test` explores, each to its end: some fifteen seconds of CPU. */
export const SLICE: readonly Setup[] = [
  setup("order", { start: [2, 2] }),
  setup("restart, clock back", { restart: [1, 0], back: [1, 0] }),
  setup("lost count", { forget: [1, 0] }),
  setup("last numbers", { start: [1, 2], end: [1, 0] }),
  setup("asked", { start: [2, 0] }, { wants: [true, false], kinds: [["key", "uri"], ["key"]] }),
  setup("elsewhere", { timeout: [1, 0] }, { elsewhere: true, recorded: 2, packets: false }),
];
