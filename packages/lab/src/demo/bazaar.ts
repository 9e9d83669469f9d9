/**
 * `npm run demo -- --bazaar`: eight nodes of a DHT, a push node, and two who are never online together, each a process of the
 * operating system. Half of the DHT is killed while the message waits.
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NodeCard, NodeCommand, NodeOrder, NodeReport } from "../bazaar/main.ts";
import { type Running, say, start, title, until } from "./processes.ts";

const NODE = fileURLToPath(new URL("../../dist/bazaar/main.js", import.meta.url)); // built, wherever we run

/** In an empty directory. Throws when anything is not as promised; processes that still run then are the caller's to end. */
export async function demonstrateBazaar(dir: string, count: number = NODES): Promise<void> {
  const content = randomBytes(700_000);
  const sha256 = createHash("sha256").update(content).digest("hex");

  title("Set-up: Alice and Bob make an identity each, and go");
  const [alice, bob] = [new Peer("alice", dir), new Peer("bob", dir)];
  const setUp = async (who: Peer): Promise<void> => {
    await who.start({ bootstrap: [] });
    await who.stop();
  };
  await Promise.all([alice, bob].map(setUp));

  title(`A DHT of ${count} nodes, and a push node for the two`);
  const nodes = Array.from({ length: count }, (_, i) => new Peer(`node ${i + 1}`, dir));
  const [first, ...others] = nodes;
  await first?.start({ bootstrap: [], serves: true });
  await Promise.all(others.map((node) => node.start({ bootstrap: first?.card.addrs ?? [], serves: true })));
  const bootstrap = nodes.flatMap(({ card }) => card.addrs);
  const push = new Peer("push node", dir);
  await push.start({ bootstrap, serves: true, admitted: [alice.card.id, bob.card.id] });
  const own = { bootstrap, pushNodes: [push.card] };

  title(`Alice sends ${content.length} bytes while no process of Bob exists`);
  await alice.start(own);
  alice.tell({ do: "send", ref: "letter", to: { ...bob.card, addrs: [] }, bytes: content.toString("base64url") });
  await alice.hears(/"published"/);
  say("  her pointer lies in the DHT");
  await until("the push node has all blocks", async () => (await push.stats()).pushBytes > content.length);
  say(`  ${(await alice.stats()).outbox} file in her outbox`);
  await alice.stop();

  const killed = nodes.slice(0, count / 2);
  title(`${killed.length} of the ${count} nodes are killed`);
  for (const node of killed) await node.kill();

  title("Bob starts, receives, acknowledges, and goes");
  await bob.start(own);
  const message = await bob.hears(/"is":"message"/);
  if (message.is !== "message" || message.from !== alice.card.id) throw new Error("somebody else wrote");
  if (message.sha256 !== sha256) throw new Error("it arrived changed");
  say(`  ${message.bytes} bytes from ${message.from.slice(0, 8)}…  SHA-256 ${sha256.slice(0, 16)}…  same`);
  await until("the push node has let go of it, and keeps his acknowledgement", async () => {
    const { pushBytes } = await push.stats();
    return pushBytes > 0 && pushBytes < content.length;
  });
  await bob.stop();

  title("Alice starts again and sees what became of it");
  await alice.start(own);
  await alice.hears(/"delivered"/);
  say("  delivered");
  await until("her outbox is empty", async () => (await alice.stats()).outbox === 0);
  await alice.stop();
  if (bob.count(/"is":"message"/) !== 1) throw new Error("the message was shown more than once");

  await Promise.all([push, ...nodes.slice(killed.length)].map((each) => each.stop()));
}

/** One process after the other with the same home. */
class Peer {
  readonly #name: string;
  readonly #home: string;
  #running: Running | undefined;
  #card: NodeCard | undefined;
  #said = "";

  constructor(name: string, dir: string) {
    this.#name = name;
    this.#home = join(dir, name.replaceAll(" ", "-"));
  }

  get card(): NodeCard {
    if (this.#card === undefined) throw new Error(`${this.#name} never ran`);
    return this.#card;
  }

  async start(order: Omit<NodeOrder, "home">): Promise<void> {
    this.#running = start(this.#name, NODE, [JSON.stringify({ home: this.#home, ...order })], "pipe");
    const ready = await this.hears(/"is":"ready"/);
    if (ready.is === "ready") this.#card = ready.card;
    say(`  ${this.#name}: process ${this.#running.pid} runs`);
  }

  async stop(): Promise<void> {
    const code = await this.#running?.kill("SIGTERM");
    if (code !== 0) throw new Error(`${this.#name} ended with ${code}: ${this.#running?.err.trim()}`);
    this.#said += this.#running?.out ?? "";
    this.#running = undefined;
    say(`  ${this.#name}: no process any more`);
  }

  async kill(): Promise<void> {
    await this.#running?.kill("SIGKILL");
    say(`  ${this.#name}: killed`);
  }

  tell(command: NodeCommand): void {
    this.#running?.tell(JSON.stringify(command));
  }

  /** The first line of its process that matches. */
  async hears(pattern: RegExp, from = 0): Promise<NodeReport> {
    if (this.#running === undefined) throw new Error(`${this.#name} does not run`);
    return JSON.parse(await this.#running.line(pattern, from)) as NodeReport;
  }

  async stats(): Promise<Extract<NodeReport, { is: "stats" }>> {
    const from = this.#running?.out.length ?? 0;
    this.tell({ do: "stats" });
    const stats = await this.hears(/"is":"stats"/, from);
    if (stats.is !== "stats") throw new Error("no stats");
    return stats;
  }

  /** How many lines of all its processes match. */
  count(pattern: RegExp): number {
    return this.#said.split("\n").filter((line) => pattern.test(line)).length;
  }
}

const NODES = 8;
