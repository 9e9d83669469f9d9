/** The hundred worlds of `npm test`: small, so that they fit its budget, and no two setups in a row alike. */
import type { Backend } from "restante/protocol";
import type { SimulationReport } from "restante/testing";
import { runWorld, type Setup, show, type Totals, total } from "./run.ts";

/** The setup of one of them: 3 or 4 peers, 3 or 4 days. */
function setupOf(seed: number): Setup {
  return { peers: 3 + (seed % 2), caches: 2, days: 3 + ((seed >> 1) % 2), loss: LOSS, cipher: "some" };
}

/** What came of some of them. `broken`: the reports of worlds that broke a promise, each with its replay command. */
export interface Outcome {
  readonly totals: Totals;
  readonly peers: number;
  readonly broken: readonly string[];
}

/** Runs the worlds from `first` to `last`. */
export function runWorlds(first: number, last: number, backend: Backend | undefined): Outcome {
  const reports: SimulationReport[] = [];
  let peers = 0;
  for (let seed = first; seed <= last; seed++) {
    reports.push(runWorld(seed, setupOf(seed), backend));
    peers += setupOf(seed).peers;
  }
  const broken = reports
    .filter((report) => report.broken.length > 0)
    .map((report) => show(report, setupOf(report.seed)));
  return { totals: total(reports), peers, broken };
}

const LOSS = 0.16; // a world begins and ends without loss: this makes a tenth of all its packets
