/** Commands about how caches fare: peers, cache test. */
import { setTimeout as pause } from "node:timers/promises";
import type { CacheInfo, CacheTest } from "restante";
import type { Client } from "../api/client.ts";
import type { CacheRole, CacheTestList, JoinedInfo, OfferingInfo, OfferList, PeerList } from "../api/contract.ts";
import { EXIT, quote, self, usage } from "./failure.ts";
import { count, printable, type Screen, short, size, table, time } from "./screen.ts";

/** Our caches and those of our contacts, of each the best first, and what they did with mail so far. */
export async function peers(screen: Screen, client: Client): Promise<number> {
  const { caches } = await client.call<PeerList>("GET", "/v1/peers");
  if (screen.json) for (const cache of caches) screen.out(JSON.stringify(cache));
  else if (caches.length === 0)
    screen.say(`no caches, neither yours nor of a contact: \`${self()} cache join\` takes the link of one`);
  else {
    const rows = caches.map((cache) => [
      `${short(cache.cache)}${ownerText(cache)}`,
      cache.contact === undefined ? "you" : printable(cache.name ?? short(cache.contact), { oneLine: true }),
      linkText(cache),
      size(cache.cap),
      cache.contact === undefined ? testText(cache.test) : accountText(cache),
    ]);
    for (const line of table(screen, ["CACHE", "FOR", "LINK", "PER SENDER", "SO FAR"], rows)) screen.out(line);
  }
  return EXIT.done;
}

/** Begins to serve a cache, or ends it; without a word tells how it is. `forget`: although messages of others lie here. */
export async function serveCache(
  screen: Screen,
  client: Client,
  word: string | undefined,
  { forget = false }: { forget?: boolean } = {},
): Promise<number> {
  if (word !== undefined && word !== "on" && word !== "off") throw usage(`say on or off, not "${word}"`);
  if (forget && word !== "off") throw usage("--forget goes with off: what lies here for others is gone then");
  const body = { serve: word === "on", ...(forget && { forget }) };
  const role = await (word === undefined
    ? client.call<CacheRole>("GET", "/v1/cache")
    : client.call<CacheRole>("PUT", "/v1/cache", body));
  if (screen.json) screen.out(JSON.stringify(role));
  else if (!role.serve) screen.say(`this node serves no cache${word === undefined ? "" : " any more"}${decider(role)}`);
  else {
    if (role.joinLink !== undefined) screen.out(role.joinLink);
    screen.say(
      word === undefined
        ? `this node serves a cache${decider(role)}; it holds ${count(role.held?.messages ?? 0, "message")}, ${size(role.held?.bytes ?? 0)}`
        : "this node holds mail for others from now on, in memory alone: what they leave is sealed, and gone when it stops",
    );
    const offer = `\`${self()} cache offer on\` offers it to all of your contacts`;
    screen.say(`who has the link above may use it; ${role.offering ? "it is offered to all of your contacts" : offer}`);
    if (word !== undefined)
      screen.say(
        "it helps while this machine is on and can be reached from where they are: behind a router at home that often takes a forwarded port",
      );
  }
  return EXIT.done;
}

function decider({ fixed, where }: CacheRole): string {
  return fixed ? `, as ${where ?? "its start"} says` : "";
}

/**
 * Lets contacts use the cache that we serve, or no further ones; with `end` none who does already, either. `forget`: although messages
 * lie here. Without a word tells how it is.
 */
export async function offerCache(
  screen: Screen,
  client: Client,
  word: string | undefined,
  { end = false, forget = false }: { end?: boolean; forget?: boolean } = {},
): Promise<number> {
  if (word !== undefined && word !== "on" && word !== "off") throw usage(`say on or off, not "${word}"`);
  if (word !== "off" && end) throw usage("--end goes with off: who uses your cache by an offer may not any more");
  if (forget && !end)
    throw usage("--forget goes with --end: what lies here for those who came by the offer is gone then");
  if (word === undefined) return sayOffering(screen, await client.call<CacheRole>("GET", "/v1/cache"));
  const body = { on: word === "on", ...(end && { end }), ...(forget && { forget }) };
  const offering = await client.call<OfferingInfo>("PUT", "/v1/caches/offer", body);
  if (screen.json) screen.out(JSON.stringify(offering));
  else if (offering.on) {
    screen.say("your contacts are told that they may use your cache; each decides for itself");
    screen.say("you will see who writes to those who do, when, and how large it is, but nothing of what is in it");
  } else if (end)
    screen.say("none of your contacts may use your cache by an offer any more; what it kept for them is gone");
  else {
    screen.say("nobody new may use your cache by being your contact");
    screen.say(`who does already goes on, until you remove them; \`${self()} cache offer off --end\` ends it for all`);
  }
  return EXIT.done;
}

function sayOffering(screen: Screen, { serve, offering = false, takers = 0 }: CacheRole): number {
  if (screen.json) screen.out(JSON.stringify({ on: offering, takers }));
  else if (!serve)
    screen.say(`this node serves no cache that could be offered: \`${self()} cache serve on\` makes it one`);
  else {
    screen.say(
      offering
        ? "your contacts may use the cache of this node"
        : "the cache of this node is not offered to your contacts",
    );
    screen.say(
      `${takers === 1 ? "1 device of theirs uses it" : `${takers || "no"} devices of theirs use it`} by an offer`,
    );
  }
  return EXIT.done;
}

/** Uses the cache that a contact offers. */
export async function takeOffer(screen: Screen, client: Client, contact: string): Promise<number> {
  const joined = await client.call<JoinedInfo>("POST", `/v1/offers/${encodeURIComponent(contact)}`);
  if (screen.json) screen.out(JSON.stringify(joined));
  else sayJoined(screen, joined);
  return EXIT.done;
}

/** What a new cache keeps. */
export function sayJoined(screen: Screen, { cache, quota, cap }: JoinedInfo): void {
  screen.out(cache);
  screen.say(`this cache holds up to ${size(quota)} for you, ${size(cap)} of one sender`);
}

/** A line for each cache that a contact offers, with the command to use it. */
export function offerLines(offers: OfferList["offers"]): string[] {
  return offers.map(({ contact, name, quota }) => {
    const who = name === undefined ? short(contact) : printable(name, { oneLine: true });
    return `${who} offers you a cache of ${size(quota)}: \`${self()} cache join ${quote(who)}\` uses it`;
  });
}

/** Leaves a mail for ourselves at each of our caches and says which gave it back. Degraded when one did not. */
export async function testCaches(screen: Screen, client: Client, pollMs: number = POLL_MS): Promise<number> {
  if (!screen.json && screen.isTerminal)
    screen.say("leaving a test mail at each of your caches; this takes two minutes at most");
  const shown = new Set<string>();
  const show = (test: CacheTest): void => {
    if (shown.has(test.cache)) return;
    shown.add(test.cache);
    screen.out(screen.json ? JSON.stringify(test) : `${short(test.cache)}  ${outcomeText(screen, test)}`);
  };
  const before = await ownTests(client);
  const isTold = !screen.json; // scripts get them in the order of the caches
  const over = new AbortController();
  const asked = client.call<CacheTestList>("POST", "/v1/caches/test").finally(() => over.abort());
  asked.catch(() => {}); // told when it is waited for
  // The answer comes when the slowest is judged; who gave it back is told at once.
  let isSaid = false;
  while (isTold && !over.signal.aborted) {
    await pause(pollMs, undefined, { signal: over.signal }).catch(() => {});
    if (over.signal.aborted) break;
    const tests = await ownTests(client);
    for (const [cache, test] of tests) if (test !== undefined && test.at !== before.get(cache)?.at) show(test);
    const waiting = [...tests.keys()].filter((cache) => !shown.has(cache)).map(short);
    if (!isSaid && shown.size > 0 && waiting.length > 0 && screen.isTerminal)
      screen.say(screen.paint("dim", `waiting for ${waiting.join(", ")}`));
    isSaid ||= shown.size > 0;
  }
  const { tests } = await asked;
  for (const test of tests) show(test);
  const bad = tests.filter(({ outcome }) => outcome !== "whole");
  if (!screen.json && bad.length > 0)
    screen.say(
      bad.length === tests.length
        ? "mail for you may be lost: your senders offer it again until you are online with them"
        : "mail for you still comes by the other caches",
    );
  return bad.length === 0 ? EXIT.done : EXIT.degraded;
}

/** Our caches with their last tests. */
async function ownTests(client: Client): Promise<Map<string, CacheTest | undefined>> {
  const { caches } = await client.call<PeerList>("GET", "/v1/peers");
  return new Map(caches.flatMap(({ cache, contact, test }) => (contact === undefined ? [[cache, test] as const] : [])));
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
    case "none":
      return "is no cache any more";
  }
}

function outcomeText(screen: Screen, test: CacheTest): string {
  return screen.paint(test.outcome === "whole" ? "green" : "yellow", outcomeWords(test));
}

/** Whether there is a link to it; "-" where nobody looks for one. */
export function linkText({ up, wanted }: Pick<CacheInfo, "up" | "wanted">): string {
  return up ? "up" : wanted ? "down" : "-";
}

/** Whose machine it is, where that is a contact's. */
export function ownerText({ of, ofName }: { of?: string; ofName?: string }): string {
  return of === undefined ? "" : ` of ${printable(ofName ?? short(of), { oneLine: true })}`;
}

function testText(test: CacheTest | undefined): string {
  return test === undefined ? "not tested yet" : `${outcomeWords(test)} (${time(test.at)})`;
}

function accountText({ settled = 0, delivered = 0, failures = 0 }: CacheInfo): string {
  const brought = settled === 0 ? "nothing known yet" : `brought ${delivered} of ${count(settled, "mail")}`;
  return failures === 0 ? brought : `${brought}; failed ${failures === 1 ? "once" : `${failures} times`} since`;
}

function seconds(ms: number): string {
  if (ms < 100) return `${Math.round(ms)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} minutes`;
}

const POLL_MS = 1000;
