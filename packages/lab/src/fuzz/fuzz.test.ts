import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, describe, expect, test } from "vitest";
import { MACHINES } from "./machines.ts";
import { Mutator } from "./mutate.ts";
import { PARSERS } from "./parsers.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const LEAST = 200_000; // of all targets together, besides those that come through sockets

let given = 0;

describe.each([
  ["parsers", PARSERS],
  ["machines", MACHINES],
] as const)("no damaged input makes one of the %s throw:", (_, targets) => {
  test.each(targets)("$name, $inputs inputs", ({ name, inputs, growth, prepare }) => {
    const mutator = new Mutator(SEED);
    const give = prepare(mutator);
    const outcomes = { taken: 0, refused: 0 };
    let before = 0;
    for (let i = 0; i < inputs; i++) {
      if (growth !== undefined && i === Math.floor(inputs / 4)) before = heap();
      try {
        const wasTaken = give();
        if (wasTaken !== undefined) outcomes[wasTaken ? "taken" : "refused"]++;
      } catch (error) {
        throw new Error(`FUZZ_SEED=${SEED}: input ${i} of ${name} made it throw`, { cause: error });
      }
      given++;
    }
    if (outcomes.taken + outcomes.refused > 0) {
      expect(outcomes.refused, "damage goes unnoticed").toBeGreaterThan(0);
      expect(outcomes.taken, "nothing gets past the first look").toBeGreaterThan(0);
    }
    if (growth !== undefined) expect(heap() - before).toBeLessThan(growth);
  });
});

afterAll(() => {
  expect(given).toBeGreaterThanOrEqual(LEAST);
});

/** Bytes of this thread's heap that are still in use. */
function heap(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
