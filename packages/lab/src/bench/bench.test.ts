import { expect, test } from "vitest";
import { bazaar } from "./bazaar.ts";
import { benches } from "./benches.ts";
import { cache } from "./cache.ts";
import { timed } from "./harness.ts";
import { mainTotal } from "./instructions.ts";
import { relay } from "./relay.ts";

test("each key is measured once, and those that results are compared by are there", async () => {
  const keys = (await benches()).flatMap((bench) => bench.keys);
  expect(new Set(keys).size).toBe(keys.length);
  const messages = ["seal.reused", "seal.fresh", "open.cached", "open.fresh"].map((name) => `e3x.3a.${name}`);
  const sockets = ["udp", "tcp"].flatMap((transport) =>
    ["send", "send.cloaked", "receive", "receive.cloaked"].map((name) => `${transport}.packet.${name}`),
  );
  const others = ["channel.3a.send", "channel.3a.receive", "lob.decode", "world.packets_per_s", "cache.accept.256"];
  expect(keys).toEqual(expect.arrayContaining([...messages, ...sockets, ...others]));
});

test("a result has its work in nanoseconds per unit, and how near its ceiling it is", async () => {
  let [calls, ceilings] = [0, 0];
  const spin = (): number => {
    let sum = 0;
    for (let i = 0; i < 1000; i++) sum += Math.sqrt(i);
    return sum > 0 ? 10 : 0;
  };
  const bench = timed("spin", () => ({
    work() {
      calls++;
      return spin();
    },
    ceiling() {
      ceilings++;
      return spin();
    },
  }));
  const { spin: result } = await bench.run();
  expect(result).toMatchObject({ unit: "ns", value: expect.any(Number), ceiling: expect.any(Number) });
  expect(result?.value).toBeGreaterThan(0);
  expect(result?.ratio).toBeGreaterThan(0);
  expect(result?.gc?.pauses).toBeGreaterThanOrEqual(0);
  expect(Math.min(calls, ceilings)).toBeGreaterThan(100);
});

test("what callgrind counted last stands in the last dump that is not empty", () => {
  const dump = (totals: number): string => `version: 1\ncmd: node\nevents: Ir\nfn=(1) main\n1 7\n\ntotals: ${totals}\n`;
  expect(mainTotal([dump(0), dump(41), dump(42), dump(0), ""])).toBe(42);
  expect(() => mainTotal([dump(0)])).toThrow("callgrind has counted nothing");
});

test.runIf(process.platform === "linux")("bare sockets pass on what live messages are measured beside", async () => {
  const bench = relay(20);
  const results = await bench.run();
  expect(Object.keys(results)).toEqual(bench.keys);
  for (const { value } of Object.values(results)) expect(value).toBeGreaterThan(0);
});

test.runIf(process.platform === "linux")(
  "a cache in a process of its own takes, keeps and gives out what it is measured by",
  async () => {
    const bench = cache({
      recipients: 16,
      messages: 2,
      links: 4,
      live: 5,
      warmLive: 20,
      warm: 1,
      times: 2,
      isAwake: false,
    });
    const results = await bench.run();
    expect(Object.keys(results)).toEqual(bench.keys);
    for (const { value } of Object.values(results)) expect(value).toEqual(expect.any(Number));
    expect(results["cache.live.p50_ms"]?.value).toBeGreaterThan(0);
  },
);

test("nodes of the bazaar in a process of their own are asked, and each of its keys gets its figure", async () => {
  const [network, outbox] = bazaar({ nodes: [3], published: 2, searches: 2, delivered: 2, outbox: [5, 50] });
  const results = { ...(await network?.run()), ...(await outbox?.run()) };
  expect(Object.keys(results).sort()).toEqual([...(network?.keys ?? []), ...(outbox?.keys ?? [])].sort());
  for (const { value } of Object.values(results)) expect(value).toBeGreaterThan(0);
});
