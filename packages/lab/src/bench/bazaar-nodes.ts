/**
 * Nodes of the bazaar in a process of their own: those that the bench asks, or one whose memory is looked at. Its argument is
 * `Order` as JSON. Says one line of JSON when all are there; ends at SIGTERM.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Bazaar, bazaarSeed, createBazaar, folderStorage } from "@restante/bazaar";
import { parsePeerId } from "@restante/bazaar/format";
import { memoryStore } from "restante";
import { toBase64url, utf8 } from "restante/protocol";

export type Order =
  /** Nodes of a DHT; the last one is a push node for these ids besides. */
  | { readonly is: "servers"; readonly nodes: number; readonly admitted: readonly string[] }
  /** A node that only asks, and has nothing to do. */
  | { readonly is: "idle"; readonly bootstrap: readonly string[] };

/** The servers, the push node last. */
export interface Servers {
  readonly cards: readonly { readonly id: string; readonly publicKey: string; readonly addrs: readonly string[] }[];
}
/** Resident memory in bytes: what an idle node adds to a process that has loaded no libp2p. */
export interface Idle {
  readonly bytes: number;
}

const dir = await mkdtemp(join(tmpdir(), "restante-bench-"));
const running: Bazaar[] = [];

async function open(name: string, options: Partial<Parameters<typeof createBazaar>[0]>): Promise<Bazaar> {
  const bazaar = await createBazaar({
    seed: bazaarSeed(utf8(`a node of the bench: ${name}`.padEnd(32))),
    store: memoryStore(),
    storage: folderStorage(join(dir, name)),
    listen: ["/ip4/127.0.0.1/tcp/0"],
    network: "local",
    onMessage: () => "done",
    ...options,
  });
  running.push(bazaar);
  return bazaar;
}

async function servers(nodes: number, admitted: readonly string[]): Promise<Servers> {
  const push = { admitted: admitted.flatMap((id) => parsePeerId(id) ?? []) };
  for (let i = 0; i < nodes; i++) {
    const bootstrap = running.flatMap((bazaar) => bazaar.addrs());
    await open(`server-${i}`, { bootstrap, serves: true, ...(i === nodes - 1 && { push }) });
  }
  const signal = AbortSignal.timeout(JOIN_MS);
  await Promise.all(running.slice(1).map((bazaar) => bazaar.joined(signal)));
  return { cards: running.map(cardOf) };
}

async function idle(bootstrap: readonly string[]): Promise<Idle> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const memory = (): number => {
    for (let i = 0; i < 2; i++) collect();
    return process.memoryUsage().rss;
  };
  const before = memory();
  const bazaar = await open("idle", { bootstrap });
  await bazaar.joined(AbortSignal.timeout(JOIN_MS));
  while ((bazaar.stats().retrieve?.searches ?? 0) === 0) await pause(POLL_MS);
  await pause(QUIET_MS); // what the start needed is let go of
  return { bytes: memory() - before };
}

function cardOf(bazaar: Bazaar): Servers["cards"][number] {
  return { id: bazaar.id, publicKey: toBase64url(bazaar.publicKey), addrs: bazaar.addrs() };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const JOIN_MS = 60_000;
const POLL_MS = 50;
const QUIET_MS = 2000;

process.on("SIGTERM", async () => {
  await Promise.all(running.map((bazaar) => bazaar.stop()));
  await rm(dir, { recursive: true, force: true });
  process.exit(0);
});
const order = JSON.parse(process.argv[2] ?? "") as Order;
const said: Servers | Idle =
  order.is === "idle" ? await idle(order.bootstrap) : await servers(order.nodes, order.admitted);
process.stdout.write(`${JSON.stringify(said)}\n`);
