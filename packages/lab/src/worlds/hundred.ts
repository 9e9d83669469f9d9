/** The hundred worlds of `npm test`: small, so that they fit its budget, and no two setups in a row alike. */
import type { Backend } from "restante/protocol";
import type { SimulationReport } from "restante/testing";
import { runWorld, type Setup, show, type Totals, total } from "./run.ts";

/** The setup of one of them: 3 or 4 peers, 3 or 4 days. */
function setupOf(seed: number): Setup {
  return { peers: 3 + (seed % 2), caches: 2, days: 3 + ((seed >> 1) % 2), loss: LOSS, cipher: "some" };
}

/** What came of some of them. */
export interface Outcome {
  readonly totals: Totals;
  /** The reports of worlds that broke a promise, each with its replay command. */
  readonly broken: readonly string[];
  /** What happened too seldom for kept promises to mean anything: each peer and each cache should crash, a tenth be lost. */
  readonly missing: readonly string[];
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
  const totals = total(reports);
  const least = [
    { what: "mails in a world", is: totals.mails / reports.length, least: 20 },
    { what: "crashes of a peer", is: totals.peerCrashes / peers, least: 1 },
    { what: "crashes of caches in a world", is: totals.cacheCrashes / reports.length, least: 1 },
    { what: "share of lost packets", is: totals.lost / totals.packets, least: 0.1 },
  ];
  const missing = least.filter(({ is, least }) => !(is >= least)).map(({ what, is }) => `${what}: ${is}`);
  return { totals, broken, missing };
}

const LOSS = 0.16; // a world begins and ends without loss: this makes a tenth of all its packets
