/** Scenes: worlds that are past their beginnings, for tests that begin in the middle. */
import type { Time } from "../bytes/index.ts";
import { quick } from "./quick-backend.ts";
import { type SimPeer, World, type WorldOptions } from "./world.ts";

/**
 * Everybody is awake, all peers use all caches and are each other's contacts, and no mail is on its way. Nothing went
 * wrong until here; from here on the faults of `options` happen. Its curve is none, unless `options` say otherwise: that would be a third
 * of the time.
 */
export function scene<Name extends string>(
  options: WorldOptions,
  peers: readonly Name[],
  caches: readonly Name[] = [],
  cacheOptions: Parameters<World["cache"]>[1] = {},
): { w: World } & Record<Name, SimPeer> {
  const w = new World({ backend: quick, ...options });
  w.faults = false;
  const served = caches.map((name) => w.cache(name, cacheOptions));
  const people = peers.map((name) => w.peer(name));
  w.run("1 s");
  for (const peer of people) for (const cache of served) peer.call({ type: "join", link: cache.root.joinLink() });
  w.run("1 min");
  people.forEach((a, i) => {
    for (const b of people.slice(i + 1)) befriend(a, b);
  });
  w.run("3 min");
  for (const a of people)
    for (const b of people)
      if (a !== b && a.contactId(b) === undefined) throw new Error(`${b.name} is no contact of ${a.name}`);
  w.faults = true;
  const entries = [...people, ...served].map((peer) => [peer.name, peer] as const);
  return { w, ...(Object.fromEntries(entries) as Record<Name, SimPeer>) };
}

/** `b` uses an invite of `a`, some time soon. */
function befriend(a: SimPeer, b: SimPeer): void {
  a.call({ type: "invite", once: true }, (value) => b.call({ type: "add", link: (value as { link: string }).link }));
}

/** Sends a text and gives its id: then it is durable, and not much more has happened. */
export function post(w: World, from: SimPeer, to: SimPeer, text: string, expires?: Time): string {
  const contact = from.contactId(to) ?? "";
  const ids: unknown[] = [];
  const mail = { kind: "text", text } as const;
  from.call({ type: "send", contact, mail, ...(expires === undefined ? {} : { expires }) }, (value, error) =>
    ids.push((value as { id: string } | undefined)?.id ?? error),
  );
  w.run("10 ms");
  const [id] = ids;
  if (typeof id !== "string") throw new Error(`${from.name} could not send: it is not durable after 10 ms`);
  return id;
}

/** The states in the ledger of a mail, without repetitions. */
export function states(from: SimPeer, id: string): string[] {
  return from
    .ledger(id)
    .map(({ state }) => state)
    .filter((state, i, all) => state !== all[i - 1]);
}
