import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { plotPeers } from "./plot.ts";

const MACHINE = { cpu: "A <fast> & new one", cores: 2, node: "v20.1.0", servers: { nats: "2.9", prosody: "0.12" } };

test("each figure has a bar for ours and for each peer; the longest is that of the largest, and a missing one is told", () => {
  const results = {
    "cache.deposit.cpu_ms_per_1k": { value: 25 },
    "peer.nats.deposit.cpu_ms_per_1k": { value: 4 },
    "peer.prosody.deposit.cpu_ms_per_1k": { value: 100 },
  };
  const svg = plotPeers({ machine: MACHINE, results });
  const bars = [...svg.matchAll(/<rect class="(ours|theirs)"[^>]* width="(\d+)"/g)].map(([, kind, width]) => [
    kind,
    Number(width),
  ]);
  expect(bars.length).toBe(4 * 3);
  const [ours, nats, prosody] = bars;
  const longest = Number(prosody?.[1]);
  expect(ours).toEqual(["ours", longest / 2]); // by the root
  expect(nats).toEqual(["theirs", Math.round(longest / 5)]);
  expect(svg.match(/not measured<\/text>/g)?.length).toBe(3 * 3);
});

test("it is one SVG, with machine, versions and what the peers do not do, and no name breaks it", () => {
  const svg = plotPeers({ machine: MACHINE, results: {} });
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [\s\S]*<\/svg>\n$/);
  expect(svg).toContain("A &lt;fast> &amp; new one");
  for (const words of [
    "nats 2.9",
    "prosody 0.12",
    "Node 20.1.0",
    "no end-to-end encryption",
    "prefers-color-scheme:dark",
  ])
    expect(svg).toContain(words);
});

test("the picture in the docs is that of the recorded run", async () => {
  const file = (path: string): Promise<string> => readFile(new URL(`../../../../../${path}`, import.meta.url), "utf8");
  const recorded = JSON.parse(await file("packages/lab/results/bench-cache-0.5.0.json"));
  expect(await file("docs/bench-cache.svg")).toBe(plotPeers(recorded));
});
