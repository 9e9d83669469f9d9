/** Commands about how caches fare: peers, cache test. */
import type { CacheInfo, CacheTest } from "restante";
import type { Client } from "../api/client.ts";
import type { CacheTestList, PeerList } from "../api/contract.ts";
import { EXIT, self } from "./failure.ts";
import { count, printable, type Screen, short, size, table, time } from "./screen.ts";

/** Our caches and those of our contacts, of each the best first, and what they did with mail so far. */
export async function peers(screen: Screen, client: Client): Promise<number> {
  const { caches } = await client.call<PeerList>("GET", "/v1/peers");
  if (screen.json) for (const cache of caches) screen.out(JSON.stringify(cache));
  else if (caches.length === 0)
    screen.say(`no caches, neither yours nor of a contact: \`${self()} cache join\` takes the link of one`);
  else {
    const rows = caches.map((cache) => [
      short(cache.cache),
      cache.contact === undefined ? "you" : printable(cache.name ?? short(cache.contact), { oneLine: true }),
      cache.up ? "up" : "down",
      size(cache.cap),
      cache.contact === undefined ? testText(cache.test) : accountText(cache),
    ]);
    for (const line of table(screen, ["CACHE", "FOR", "LINK", "KEEPS", "SO FAR"], rows)) screen.out(line);
  }
  return EXIT.done;
}

/** Leaves a mail for ourselves at each of our caches and says which gave it back. Degraded when one did not. */
export async function testCaches(screen: Screen, client: Client): Promise<number> {
  if (!screen.json && screen.isTerminal)
    screen.say("leaving a test mail at each of your caches; this takes two minutes at most");
  const { tests } = await client.call<CacheTestList>("POST", "/v1/caches/test");
  for (const test of tests)
    screen.out(screen.json ? JSON.stringify(test) : `${short(test.cache)}  ${outcomeText(screen, test)}`);
  const bad = tests.filter(({ outcome }) => outcome !== "whole");
  if (!screen.json && bad.length > 0)
    screen.say(
      bad.length === tests.length
        ? "mail for you may be lost: your senders offer it again until you are online with them"
        : "mail for you still comes by the other caches",
    );
  return bad.length === 0 ? EXIT.done : EXIT.degraded;
}

/** What a cache did with a test mail, as a sentence about it. */
export function outcomeWords({ outcome, ms = 0 }: CacheTest): string {
  switch (outcome) {
    case "whole":
      return `gave the test mail back after ${seconds(ms)}`;
    case "late":
      return `gave the test mail back, but only after ${seconds(ms)}`;
    case "lost":
      return "took the test mail and did not give it back";
    case "changed":
      return "gave something else back than the test mail";
    case "unreachable":
      return "could not be reached";
  }
}

function outcomeText(screen: Screen, test: CacheTest): string {
  return screen.paint(test.outcome === "whole" ? "green" : "yellow", outcomeWords(test));
}

function testText(test: CacheTest | undefined): string {
  return test === undefined ? "not tested yet" : `${outcomeWords(test)} (${time(test.at)})`;
}

function accountText({ settled = 0, delivered = 0, failures = 0 }: CacheInfo): string {
  const brought = settled === 0 ? "nothing known yet" : `brought ${delivered} of ${count(settled, "mail")}`;
  return failures === 0 ? brought : `${brought}; failed ${failures === 1 ? "once" : `${failures} times`} since`;
}

function seconds(ms: number): string {
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} minutes`;
}
