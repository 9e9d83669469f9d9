/** What a cache does with a deposit, one mail from end to end, and how fast simulated worlds pass. */
import { memoryBoxStore } from "restante";
import { type Backend, box, createCrypto, createIdentity, cs3a, portable, siphash } from "restante/protocol";
import { Chance, simulate, World } from "restante/testing";
import { type Bench, collectorDuring, cpuTime, median, timed, type Work } from "./harness.ts";

export function mail(backends: readonly (readonly [name: string, backend: Backend])[]): Bench[] {
  return [
    // Beside our own SipHash in JavaScript, which is what `portable` has.
    ...backends.map(([name, backend]) =>
      timed(`siphash.256.${name}`, () => {
        const [key, data] = [random(16), random(256)];
        return { work: () => (backend.siphash(key, data) ? 1 : 0), ceiling: () => (siphash(key, data) ? 1 : 0) };
      }),
    ),
    timed("cache.accept.256", () => ({ work: cacheAccept() })),
    ...backends.map(([name, backend]) => timed(`mail.direct.${name}`, () => ({ work: mailDirect(backend) }))),
    worldPackets(),
  ];
}

/** A deposit of 256 bytes in one packet: what the cache role and the memory store do behind the channel. */
function cacheAccept(): Work {
  const crypto = createCrypto(portable);
  const [self, sender, recipient] = [0, 1, 2].map(() => createIdentity(crypto, random).hashname);
  if (self === undefined || sender === undefined || recipient === undefined) throw new Error("no hashnames");
  const store = memoryBoxStore();
  let handle = 0;
  let now = NOW; // goes on by 1 ms for each message, or their sender would soon be too fast for a cache
  const cache = new box.Cache({
    backend: portable,
    self,
    random,
    handles: () => ++handle,
    cap: 1 << 23,
    admit: () => "contact",
  });
  const ch = ++handle;
  const give = (input: box.CacheIn): void => {
    for (const out of cache.handle(input, now))
      if (out.type === "boxes") give({ type: "store", answers: store.handle(out.op, now) });
  };
  const head = { type: "outbox", to: recipient };
  give({ type: "opened", ch, peer: sender, reliable: true, kind: "outbox", head, body: new Uint8Array(0) });
  return () => {
    now++;
    give({ type: "packet", ch, head: { done: true }, body: random(256) }); // other bytes each time, or it is a repetition
    return 1;
  };
}

/** A line of text between two peers with a link, until its sender knows that it was delivered: both ends together. */
function mailDirect(backend: Backend): Work {
  const world = new World({ seed: 1, backend, cipherSets: (of) => [cs3a(of)], latency: [1, 1] });
  const [a, b] = [world.peer("a"), world.peer("b")];
  world.run("1 s");
  a.call({ type: "invite", once: true }, (value) => b.call({ type: "add", link: (value as { link: string }).link }));
  world.run("1 min");
  let n = 0;
  return () => {
    const before = b.records().length;
    for (let i = 0; i < MAILS; i++) a.send(b, `line ${n++}`);
    world.run("3 s");
    // Both disks would grow for as long as the bench runs, and with them the cost of looking at them.
    for (const peer of [a, b])
      for (const key of peer.disk.keys()) if (/^(inbox|ledger)\//.test(key) && n > MAILS) peer.disk.delete(key);
    if (before === b.records().length && n <= MAILS) throw new Error("no mail arrived");
    return MAILS;
  };
}

/** Packets that simulated peers exchange per second of CPU time, everything between them included. */
function worldPackets(): Bench {
  const rate = (seed: number): number => {
    const before = cpuTime();
    const { packets } = simulate({ seed, peers: 4, caches: 2, days: 3, loss: 0.16 });
    return (packets * 1_000_000) / (cpuTime() - before);
  };
  const key = "world.packets_per_s";
  const run = async () => {
    rate(WORLDS + 1); // for the compiler
    const { result, gc } = await collectorDuring(() => Array.from({ length: WORLDS }, (_, i) => rate(i + 1)));
    return { [key]: { value: Math.round(median(result)), unit: "packets/s" as const, gc } };
  };
  return { keys: [key], run };
}

const { random } = new Chance(1);
const NOW = 1_700_000_000_000;
const MAILS = 10;
const WORLDS = 7;
