/** Runs simulated worlds by seed, and sums up what happened in them. Each can be replayed by one command. */
import { type Backend, cs3a } from "restante/protocol";
import {
  describe,
  MISHAPS,
  type Mishap,
  type SimulationOptions,
  type SimulationReport,
  simulate,
} from "restante/testing";

/** What worlds have in common; the seed decides the rest. */
export interface Setup {
  readonly peers: number;
  readonly caches: number;
  readonly days: number;
  /** Probability that a packet is lost. */
  readonly loss: number;
  /** "real" = cipher set 3a in every world, "some" = in each tenth, else the fast and insecure test set. */
  readonly cipher: "some" | "real";
  /** How many of the caches do what none should. */
  readonly evil?: number;
  /** A planted bug: the first save of a key that starts so is forgotten by each peer. */
  readonly forgetSave?: string;
}

/** What `npm run world` does when nothing else is said. */
export const SETUP: Setup = { peers: 4, caches: 2, days: 5, loss: 0.1, cipher: "some" };

/** Whether this world uses the real cipher set. */
export function isReal(seed: number, { cipher }: Setup): boolean {
  return cipher === "real" || seed % REAL_EVERY === 0;
}

/** Whether packets of this world travel on streams; in half of those with a cloak. */
function isOnStreams(seed: number): boolean {
  return seed % STREAMS_EVERY === 0;
}

/** Runs one world. A world that throws has broken a promise: peers do not crash by themselves. */
export function runWorld(seed: number, setup: Setup, backend: Backend | undefined): SimulationReport {
  const { peers, caches, days, loss, evil, forgetSave } = setup;
  const options: SimulationOptions = {
    ...{ seed, peers, caches, days, loss, streams: isOnStreams(seed) },
    ...(evil === undefined ? {} : { evil }),
    ...(isReal(seed, setup) ? { cipherSets: (of: Backend) => [cs3a(of)] } : {}),
    ...(backend === undefined ? {} : { backend }), // all backends give the same bytes, so it changes nothing but the time
  };
  try {
    return simulate(forgetSave === undefined ? options : { ...options, forgetSave });
  } catch (error) {
    const broken = [`it threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
    const mishaps = { clock: 0, lost: 0, restored: 0, full: 0, rewound: 0 };
    return { ...COUNTS, crashes: {}, mishaps, delays: [], isHonest: false, seed, broken };
  }
}

/** The command that runs this world again. */
function replay(seed: number, setup: Setup): string {
  const { peers, caches, days, loss, evil, cipher, forgetSave } = setup;
  const flags = [
    `--seed ${seed} --peers ${peers} --caches ${caches} --days ${days} --loss ${loss}`,
    ...(evil === undefined ? [] : [`--evil ${evil}`]),
    ...(cipher === "real" ? ["--real"] : []),
    ...(forgetSave === undefined ? [] : [`--forget-save ${forgetSave}`]),
  ];
  return `npm run world -- ${flags.join(" ")}`;
}

/** The report in a few lines; when a promise is broken, with the command that replays the world. */
export function show(report: SimulationReport, setup: Setup): string {
  return describe(report, replay(report.seed, setup));
}

/** Sums over worlds. */
export type Totals = Omit<SimulationReport, "seed" | "broken" | "delays"> & {
  readonly worlds: number;
  /** Of the mails that arrived: ms from the first possible opportunity until one was shown. Of none: 0. */
  readonly delayMedian: number;
  readonly delayP99: number;
  /** The same where caches are honest: what they drop or keep to themselves is not Restante's doing. */
  readonly delayHonestMedian: number;
  readonly delayHonestP99: number;
  /** Messages left at caches for each that the mails come to, acknowledgements included. */
  readonly copies: number;
  /** Seeds of the worlds that broke a promise. */
  readonly failed: readonly number[];
};

export function total(reports: readonly SimulationReport[]): Totals {
  const sum = (key: keyof typeof COUNTS): number => reports.reduce((all, report) => all + report[key], 0);
  const mishaps = MISHAPS.map((kind) => [kind, reports.reduce((all, report) => all + report.mishaps[kind], 0)]);
  const delays = sorted(reports);
  const honest = sorted(reports.filter(({ isHonest }) => isHonest));
  const crashes: Record<string, number> = {};
  for (const report of reports)
    for (const [effect, times] of Object.entries(report.crashes)) crashes[effect] = (crashes[effect] ?? 0) + times;
  return {
    worlds: reports.length,
    mails: sum("mails"),
    files: sum("files"),
    cancelled: sum("cancelled"),
    delivered: sum("delivered"),
    peerCrashes: sum("peerCrashes"),
    cacheCrashes: sum("cacheCrashes"),
    crashes,
    packets: sum("packets"),
    lost: sum("lost"),
    duplicated: sum("duplicated"),
    parted: sum("parted"),
    commits: sum("commits"),
    failedCommits: sum("failedCommits"),
    mailsLost: sum("mailsLost"),
    mailsDoubled: sum("mailsDoubled"),
    deposits: sum("deposits"),
    parts: sum("parts"),
    mishaps: Object.fromEntries(mishaps) as Record<Mishap, number>,
    isHonest: reports.every(({ isHonest }) => isHonest),
    delayMedian: quantile(delays, 0.5),
    delayP99: quantile(delays, 0.99),
    delayHonestMedian: quantile(honest, 0.5),
    delayHonestP99: quantile(honest, 0.99),
    copies: sum("parts") === 0 ? 0 : Number((sum("deposits") / sum("parts")).toFixed(2)),
    failed: reports.filter(({ broken }) => broken.length > 0).map(({ seed }) => seed),
  };
}

function sorted(reports: readonly SimulationReport[]): number[] {
  return reports.flatMap(({ delays }) => delays).sort((a, b) => a - b);
}

function quantile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? 0;
}

const COUNTS = {
  mails: 0,
  files: 0,
  cancelled: 0,
  delivered: 0,
  peerCrashes: 0,
  cacheCrashes: 0,
  packets: 0,
  lost: 0,
  duplicated: 0,
  parted: 0,
  commits: 0,
  failedCommits: 0,
  mailsLost: 0,
  mailsDoubled: 0,
  deposits: 0,
  parts: 0,
};
const STREAMS_EVERY = 4;
const REAL_EVERY = 10;
