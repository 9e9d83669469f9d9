/**
 * One large file between two daemons over loopback, the recipient killed in the middle: what it takes of time and memory. By hand:
 *
 *     npm run build && node packages/lab/dist/crash/large.js [--mib 256] [--no-kill] [--dir DIR] [--json]
 *
 * `npm test` runs it with a small file. Linux alone: memory and time of processes are read from /proc.
 */
import { createCipheriv, createHash } from "node:crypto";
import { createReadStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Daemon } from "./daemon.ts";

/** What one run took. */
export interface LargeRun {
  readonly mib: number;
  /** From the upload to the last byte acknowledged, seconds; and of that until `send` was answered. */
  readonly seconds: number;
  readonly uploaded: number;
  /** The recipient was killed when so many parts were acknowledged. */
  readonly killedAt: number;
  readonly sender: Costs;
  readonly recipient: Costs;
  /** The file that came is the file that was sent, and came once. */
  readonly isWhole: boolean;
}

interface Costs {
  /** The most resident memory, less that after a file of 8 MiB: what a larger one takes more than that, MiB. */
  readonly growth: number;
  /** Milliseconds of processor per MiB of the file. */
  readonly cpuPerMib: number;
}

/** Sends a file of so many MiB. With `kill` the recipient is killed, as by a power cut, when a third has come, and started again. */
export async function sendLarge({ mib, kill, dir }: { mib: number; kill: boolean; dir: string }): Promise<LargeRun> {
  const file = join(dir, "large.bin");
  const sent = await writeFile(file, mib);
  const [alice, bob] = ["alice", "bob"].map((name) => new Daemon(dir, name, ["serve", "--name", name]));
  if (alice === undefined || bob === undefined) throw new Error("there are two");
  try {
    await Promise.all([alice.start(), bob.start()]);
    const { link } = await bob.call<{ link: string }>("POST", "/v1/invites", { once: true });
    await alice.call("POST", "/v1/contacts", { link });
    await alice.until<Outbox>("/v1/outbox", ({ outbox }) => outbox.length > 0 && outbox.every(isOver));
    await bob.until<{ contacts: unknown[] }>("/v1/contacts", ({ contacts }) => contacts.length === 1);

    const small = join(dir, "small.bin");
    await writeFile(small, 8);
    await alice.upload("/v1/files?contact=bob&name=small.bin", createReadStream(small));
    await alice.until<Outbox>("/v1/outbox", ({ outbox }) => outbox.every(isOver));

    const [atAlice, atBob] = [new Meter(alice), new Meter(bob)];
    const began = performance.now();
    const { id } = await alice.upload<{ id: string }>("/v1/files?contact=bob&name=large.bin", createReadStream(file));
    const uploaded = (performance.now() - began) / 1000;
    const mail = ({ outbox }: Outbox): Outbox["outbox"][number] | undefined => outbox.find((each) => each.id === id);
    let killedAt = 0;
    if (kill) {
      await alice.until<Outbox>("/v1/outbox", (answer) => {
        for (const meter of [atAlice, atBob]) meter.look();
        const { acked = 0, parts = 1 } = mail(answer) ?? {};
        killedAt = acked;
        return acked > parts / 3;
      });
      await bob.stop("SIGKILL");
      await bob.start();
      atBob.again();
    }
    await alice.until<Outbox>("/v1/outbox", (answer) => {
      for (const meter of [atAlice, atBob]) meter.look();
      return mail(answer)?.state === "delivered";
    });
    const large = ({ messages }: Inbox): Inbox["messages"] => messages.filter(({ file }) => file?.name === "large.bin");
    const shown = await bob.until<Inbox>("/v1/messages?limit=1000", (answer) => large(answer).length > 0);
    const seconds = (performance.now() - began) / 1000;
    const files = large(shown);
    const came = await bob.digest(`/v1/messages/${files[0]?.n ?? 0}/file`);
    for (const meter of [atAlice, atBob]) meter.look();
    const isWhole = files.length === 1 && came === sent && files[0]?.file?.sha256 === sent;
    return {
      ...{ mib, seconds, uploaded, killedAt, isWhole },
      sender: atAlice.costs(mib),
      recipient: atBob.costs(mib),
    };
  } finally {
    await Promise.all([alice.stop("SIGKILL"), bob.stop("SIGKILL")]);
  }
}

/** Memory and time of a daemon's process, over its lives. */
class Meter {
  readonly #daemon: Daemon;
  readonly #first: number;
  /** Of this life: at its beginning, and when it was looked at last. */
  #began: number;
  #last: number;
  /** Of the lives before. */
  #before = 0;
  #most = 0;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
    this.#first = residentMib(daemon.pid);
    this.#began = cpuMs(daemon.pid);
    this.#last = this.#began;
  }

  look(): void {
    this.#most = Math.max(this.#most, residentMib(this.#daemon.pid));
    this.#last = cpuMs(this.#daemon.pid);
  }

  /** It was killed and started again: what it used until the last look counts. */
  again(): void {
    this.#before += this.#last - this.#began;
    this.#began = 0;
    this.#last = 0;
  }

  costs(mib: number): Costs {
    const cpu = this.#before + this.#last - this.#began;
    return { growth: round(this.#most - this.#first), cpuPerMib: round(cpu / mib) };
  }
}

function residentMib(pid: number): number {
  return Number(/VmRSS:\s*(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

function cpuMs(pid: number): number {
  // After the name in brackets, which may hold spaces, utime and stime are the 12th and the 13th.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** A file of a cipher's noise, which no program can make smaller and no two places of which are alike. Gives its SHA-256. */
async function writeFile(path: string, mib: number): Promise<string> {
  const handle = await open(path, "w");
  const hash = createHash("sha256");
  const noise = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
  const zeros = Buffer.alloc(MIB);
  for (let n = 0; n < mib; n++) {
    const piece = noise.update(zeros);
    hash.update(piece);
    await handle.write(piece);
  }
  await handle.close();
  return hash.digest("hex");
}

function isOver({ state }: { readonly state: string }): boolean {
  return state === "delivered" || state === "read";
}

function round(n: number): number {
  return Math.round(n * 10) / 10;
}

interface Outbox {
  readonly outbox: readonly {
    readonly id: string;
    readonly state: string;
    readonly parts: number;
    readonly acked: number;
  }[];
}
interface Inbox {
  readonly messages: readonly {
    readonly n: number;
    readonly file?: { readonly name: string; readonly sha256: string };
  }[];
}

const MIB = 1024 * 1024;
const TICK_MS = 10; // of Linux, as /proc counts

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      mib: { type: "string", default: "256" },
      kill: { type: "boolean", default: true },
      dir: { type: "string" },
      json: { type: "boolean", default: false },
    },
    allowNegative: true,
  });
  const dir = mkdtempSync(join(values.dir ?? tmpdir(), "restante-large-"));
  try {
    const run = await sendLarge({ mib: Number(values.mib), kill: values.kill, dir });
    if (values.json) console.log(JSON.stringify(run));
    else {
      console.log(`${run.mib} MiB in ${run.seconds.toFixed(1)} s, uploaded in ${run.uploaded.toFixed(1)} s`);
      if (values.kill) console.log(`the recipient was killed when ${run.killedAt} parts were acknowledged`);
      for (const side of ["sender", "recipient"] as const)
        console.log(`${side}: memory grew by ${run[side].growth} MiB, ${run[side].cpuPerMib} ms of CPU per MiB`);
      console.log(run.isWhole ? "it came whole, once" : "IT DID NOT COME WHOLE");
    }
    process.exitCode = run.isWhole ? 0 : 1;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
