/** Which world a seed is, and many of them run: those of `npm test`, which are small, and those of `npm run world -- --minutes`. */
import type { Backend } from "restante/protocol";
import type { SimulationReport } from "restante/testing";
import { runWorld, type Setup, show, type Totals, total } from "./run.ts";

/** The setup of one in `npm test`: a weekend of three, or in each fifth world of four; in each fourth a cache is evil, or both. */
function smallSetup(seed: number): Setup {
  const setup: Setup = { peers: seed % 5 === 0 ? 4 : 3, caches: 2, days: 2, loss: LOSS, cipher: "some" };
  return seed % 4 === 3 ? { ...setup, evil: 1 + ((seed >> 2) % 2) } : setup;
}

/** The setup of one in a night of worlds: of all sizes, and each tenth 30 days long. */
export function nightSetup(seed: number): Setup {
  const caches = 1 + (seed % 3);
  const setup: Setup = {
    peers: 2 + (seed % 4),
    caches,
    days: seed % LONG_EVERY === 0 ? LONG_DAYS : 2 + (seed % 5),
    loss: [0.02, 0.1, 0.16, 0.3][(seed >> 2) % 4] ?? LOSS,
    cipher: "some",
  };
  return seed % 4 === 3 ? { ...setup, evil: Math.min(caches, 1 + ((seed >> 2) % 2)) } : setup;
}

/** What came of some of them. */
export interface Outcome {
  readonly totals: Totals;
  /** The reports of worlds that broke a promise, each with its replay command. */
  readonly broken: readonly string[];
  /** What happened too seldom for kept promises to mean anything: each peer and each cache should crash, a tenth be lost. */
  readonly missing: readonly string[];
}

/** Runs the worlds of `npm test` from `first` to `last`. */
export function runWorlds(first: number, last: number, backend: Backend | undefined): Outcome {
  const reports: SimulationReport[] = [];
  let peers = 0;
  for (let seed = first; seed <= last; seed++) {
    reports.push(runWorld(seed, smallSetup(seed), backend));
    peers += smallSetup(seed).peers;
  }
  const broken = reports
    .filter((report) => report.broken.length > 0)
    .map((report) => show(report, smallSetup(report.seed)));
  const totals = total(reports);
  const { clock, lost, restored, full, rewound } = totals.mishaps;
  const least = [
    { what: "mails in a world", is: totals.mails / reports.length, least: 15 },
    { what: "crashes of a peer", is: totals.peerCrashes / peers, least: 1 },
    { what: "crashes of caches in a world", is: totals.cacheCrashes / reports.length, least: 1 },
    { what: "share of lost packets", is: totals.lost / totals.packets, least: 0.09 },
    { what: "clocks that jumped, in a world", is: clock / reports.length, least: 0.3 },
    { what: "full disks in a world", is: full / reports.length, least: 0.15 },
    { what: "lost devices in a world", is: lost / reports.length, least: 0.1 },
    { what: "restored backups in a world", is: restored / reports.length, least: 0.1 },
    { what: "disks put back unnoticed, in a world", is: rewound / reports.length, least: 0.1 },
  ];
  const missing = least.filter(({ is, least }) => !(is >= least)).map(({ what, is }) => `${what}: ${is}`);
  return { totals, broken, missing };
}

const LOSS = 0.18; // a world begins and ends without loss: this makes a tenth of all its packets
const [LONG_EVERY, LONG_DAYS] = [10, 30];
