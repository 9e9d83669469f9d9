/** The command ping: is a contact there, how far away, and if it is not, where mail for it goes. */
import { setTimeout as pause } from "node:timers/promises";
import type { ContactInfo } from "restante";
import type { Client, ServerEvent } from "../api/client.ts";
import type { MeshInfo, PeerList, Pinged } from "../api/contract.ts";
import { wayText } from "./contact.ts";
import { EXIT } from "./failure.ts";
import { contactName } from "./mail.ts";
import { type Screen, short } from "./screen.ts";

export interface PingOptions {
  /** How often. */
  readonly count: number;
  /** Seconds from one to the next. */
  readonly interval: number;
  /** Seconds that answers to the last are waited for, at least. Default: 5. */
  readonly wait?: number;
}

/**
 * Asks the devices of a contact for a sign of life and prints each answer with its round trip. A contact is asked over its link; who has
 * none is looked for once more. Degraded when nobody answered.
 */
export async function ping(
  screen: Screen,
  client: Client,
  contact: string,
  { count, interval, wait = LEAST_WAIT }: PingOptions,
  stop: AbortSignal,
): Promise<number> {
  const found = await client.call<ContactInfo>("GET", `/v1/contacts/${encodeURIComponent(contact)}`);
  const { id } = found;
  const name = contactName(found);
  const end = new AbortController();
  const signal = AbortSignal.any([stop, end.signal]);
  const events = await client.events(undefined, signal);
  let answers = 0;
  let waiting = new Set<string>();
  let round = new AbortController();
  const listening = listen(events, signal, async ({ hashname, ms }) => {
    if (!waiting.delete(hashname)) return;
    answers++;
    const { peers } = await client.call<MeshInfo>("GET", "/v1/mesh");
    const { place, router } = peers.find((peer) => peer.hashname === hashname) ?? {};
    if (screen.json) screen.out(JSON.stringify({ contact: id, hashname, ms, ...place, ...(router && { router }) }));
    else screen.out(`${name} (${short(hashname)}) answers after ${ms} ms, ${wayText(place, router)}`);
    // All who can answer have: a round need not last longer, unless another one follows in its time.
    if (waiting.size === 0) round.abort();
  });
  listening.catch(() => {}); // told when it is waited for
  try {
    for (let n = 1; n <= count && !stop.aborted; n++) {
      round = new AbortController();
      const { asked } = await client.call<Pinged>("POST", `/v1/contacts/${id}/ping`);
      waiting = new Set(asked);
      const isLast = n === count;
      const until = isLast ? AbortSignal.any([stop, round.signal]) : stop;
      const before = answers;
      await pause(isLast ? Math.max(interval, wait) * 1000 : interval * 1000, undefined, { signal: until }).catch(
        () => {},
      );
      if (answers === before && !screen.json && !stop.aborted && count > 1) screen.out(`${name} does not answer`);
    }
  } finally {
    end.abort();
    await listening;
  }
  if (answers > 0) return EXIT.done;
  await tellWhereItGoes(screen, client, id, name);
  return EXIT.degraded;
}

async function listen(
  events: AsyncIterable<ServerEvent>,
  signal: AbortSignal,
  take: (pong: { hashname: string; ms: number }) => Promise<void>,
): Promise<void> {
  try {
    for await (const { type, data } of events)
      if (type === "pong") await take(data as { hashname: string; ms: number });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Nobody of a contact is there: what becomes of mail meanwhile. */
async function tellWhereItGoes(screen: Screen, client: Client, id: string, name: string): Promise<void> {
  const { caches } = await client.call<PeerList>("GET", "/v1/peers");
  const theirs = caches.filter((cache) => cache.contact === id);
  if (screen.json) {
    screen.out(JSON.stringify({ contact: id, caches: theirs.map(({ cache, up, wanted }) => ({ cache, up, wanted })) }));
    return;
  }
  screen.say(`${name} is not there`);
  const unsought = theirs.filter(({ up, wanted }) => !up && !wanted);
  const up = theirs.filter((cache) => cache.up).map(({ cache }) => short(cache));
  if (up.length > 0) screen.say(`mail for it goes by cache ${up.join(", or ")}`);
  else if (unsought.length > 0)
    screen.say(
      `mail for it goes by cache ${unsought.map(({ cache }) => short(cache)).join(", or ")}, which is looked for when there is some`,
    );
  else if (theirs.length > 0)
    screen.say("mail for it is kept here: none of its caches can be reached now, and they are tried again");
  else screen.say("mail for it is kept here until both of you are online: it uses no cache");
}

/** Seconds: a handshake is sent again after one, two and four, so who is there but lost some has answered by then. */
const LEAST_WAIT = 5;
