/**
 * Packets end to end on loopback, with bodies of 1300 bytes on an unreliable channel: CPU time per packet of the process
 * that sends and of the one that receives. The ceiling: bare sockets of Node with packets of this size, and one bare call of
 * libsodium for each. protocol/channels.md §3 has the sizes.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { sodiumCeilings } from "./ceilings.ts";
import { type Bench, cpuTime, median, type Result, type Work } from "./harness.ts";
import { type Address, BURST, type FromEnd, PACKET, type ToEnd, type Wiring } from "./wiring.ts";

export function sockets(): Bench[] {
  return (["udp", "tcp"] as const).flatMap((transport) => [false, true].map((cloaked) => bench(transport, cloaked)));
}

function bench(transport: "udp" | "tcp", cloaked: boolean): Bench {
  const suffix = cloaked ? ".cloaked" : "";
  const keys = (["send", "receive"] as const).map((side) => `${transport}.packet.${side}${suffix}`);
  return { keys, run: () => measure({ transport, cloaked, raw: false }, keys) };
}

async function measure(
  wiring: Wiring,
  [sendKey = "", receiveKey = ""]: readonly string[],
): Promise<Record<string, Result>> {
  const [stack, bare] = [await Pair.start(wiring), await Pair.start({ ...wiring, raw: true })];
  const sodium = await sodiumCeilings(0, PACKET);
  for (const pair of [stack, bare]) await pair.round(WARM_BURSTS);
  const rounds: { ours: Costs; best: Costs }[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const [ours, least] = [await stack.round(BURSTS), await bare.round(BURSTS)];
    const [seal, open] = [sodium?.send, sodium?.receive].map((work) => (work ? alone(work) : 0));
    rounds.push({ ours, best: { send: least.send + (seal ?? 0), receive: least.receive + (open ?? 0) } });
  }
  for (const pair of [stack, bare]) pair.stop();
  const result = (side: keyof Costs): Result => ({
    value: Math.round(median(rounds.map(({ ours }) => ours[side]))),
    unit: "ns",
    ceiling: Math.round(median(rounds.map(({ best }) => best[side]))),
    ratio: Math.round(100 * median(rounds.map(({ ours, best }) => best[side] / ours[side]))) / 100,
  });
  return { [sendKey]: result("send"), [receiveKey]: result("receive") };
}

/** Nanoseconds per packet. */
interface Costs {
  readonly send: number;
  readonly receive: number;
}

/** Two connected ends. */
class Pair {
  readonly #sender: ChildProcess;
  readonly #receiver: ChildProcess;

  private constructor(sender: ChildProcess, receiver: ChildProcess) {
    this.#sender = sender;
    this.#receiver = receiver;
  }

  static async start(wiring: Wiring): Promise<Pair> {
    const [sender, receiver] = [await startEnd(), await startEnd()];
    const to = (await ask(receiver, { type: "start", ...wiring })) as Address;
    await ask(sender, { type: "start", ...wiring });
    await ask(sender, { type: "connect", to });
    return new Pair(sender, receiver);
  }

  async round(bursts: number): Promise<Costs> {
    const before = await Promise.all([this.#report(this.#sender), this.#report(this.#receiver)]);
    await ask(this.#sender, { type: "send", bursts });
    const after = await Promise.all([this.#report(this.#sender), this.#report(this.#receiver)]);
    const packets = after[1].packets - before[1].packets;
    if (packets < bursts * BURST * LEAST) throw new Error(`of ${bursts * BURST} packets only ${packets} came`);
    return {
      send: ((after[0].cpu - before[0].cpu) * 1000) / (bursts * BURST),
      receive: ((after[1].cpu - before[1].cpu) * 1000) / packets,
    };
  }

  stop(): void {
    this.#sender.kill();
    this.#receiver.kill();
  }

  async #report(end: ChildProcess): Promise<{ cpu: number; packets: number }> {
    return (await ask(end, { type: "report" })) as { cpu: number; packets: number };
  }
}

async function startEnd(): Promise<ChildProcess> {
  const end = fork(PROGRAM);
  await once(end, "message"); // what is told before it listens can get lost
  return end;
}

async function ask(end: ChildProcess, message: ToEnd): Promise<FromEnd> {
  end.send(message);
  const [answer] = (await once(end, "message")) as [FromEnd];
  return answer;
}

/** Nanoseconds of one call. */
function alone(work: Work): number {
  const before = cpuTime();
  for (let i = 0; i < CALLS; i++) work();
  return ((cpuTime() - before) * 1000) / CALLS;
}

const PROGRAM = new URL("./socket-peer.js", import.meta.url);
const WARM_BURSTS = 5000; // 160,000 packets: after 32,000 the compiler was still at work, and each cost a third more
const BURSTS = 200;
const ROUNDS = 15;
const CALLS = 10_000;
const LEAST = 0.9; // of the packets sent: what is lost costs its sender all the same
