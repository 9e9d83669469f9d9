/** GET /v1/status: what the peer says of itself, and what of it a person should do something about. */
import type { CacheTest, Peer } from "restante";
import { RECV, type Readers } from "../readers.ts";
import type { BazaarInfo, StatusInfo } from "./contract.ts";
import { ownerName } from "./message.ts";
import type { RoomWatch } from "./no-room.ts";

export interface StatusOptions {
  readonly peer: Peer;
  readonly backend: string;
  readonly readers: Readers;
  readonly home: string;
  readonly version: string;
  readonly bazaar?: () => BazaarInfo | undefined;
  readonly isFirst?: boolean;
}

/** `more`: sentences of others, each about something that is wrong. */
export function statusInfo(options: StatusOptions, room: RoomWatch, more: readonly string[]): StatusInfo {
  const { peer, backend, readers, home, version, bazaar: infoOf, isFirst = false } = options;
  const status = peer.status();
  const bazaar = infoOf?.();
  const held = peer.outbox().filter(({ state }) => state === "queued" || state === "handed").length;
  const waiting = held + status.behind;
  const problems: string[] = [];
  if (status.state === "failed") problems.push(STORE_RESTS);
  if (status.caches.length > 0 && !status.caches.some(({ up }) => up)) problems.push(NO_CACHE);
  if (bazaar?.connections === 0 && !isFirst) problems.push(NO_BAZAAR);
  if (status.cachesLeftOut > 0)
    problems.push(
      `your devices have more caches than your card has room for: nobody learns of ${status.cachesLeftOut} of them; leave some`,
    );
  if (status.copiedAt !== undefined && status.copiedAt > Date.now() - COPY_SHOWN_MS) problems.push(COPY_SENDS);
  problems.push(...room.problems());
  const tests = new Map(
    peer.caches().flatMap(({ cache, test }) => (test === undefined ? [] : [[cache, test] as const])),
  );
  for (const { hashname, of } of status.caches) {
    const { ofName } = of === undefined ? {} : ownerName(peer, of);
    const which = `your cache ${hashname.slice(0, 12)}${ofName === undefined ? "" : ` of ${ofName}`}`;
    if (tests.get(hashname)?.outcome === "none") problems.push(isNone(which));
    else if (isBad(tests.get(hashname))) problems.push(doesNotHold(which));
  }
  problems.push(...more);
  return {
    ...status,
    caches: status.caches.map((cache) => {
      const test = tests.get(cache.hashname);
      const { of } = cache;
      return { ...cache, ...(of !== undefined && ownerName(peer, of)), ...(test && { test }) };
    }),
    version,
    home,
    ...(bazaar === undefined ? {} : { bazaar }),
    backend,
    seen: readers.position(RECV),
    waiting,
    missing: peer.contacts().reduce((sum, contact) => sum + contact.missing, 0),
    ...(status.held !== undefined && status.state === "running" ? { joinLink: peer.joinLink() } : {}),
    problems,
  };
}

function isBad(test: CacheTest | undefined): boolean {
  return test?.outcome === "lost" || test?.outcome === "changed";
}

function isNone(cache: string): string {
  return `${cache} is none any more: it keeps nothing for you; leave it, or ask who runs it`;
}

function doesNotHold(cache: string): string {
  return `${cache} did not give a test mail back as it was: mail that waits there may be lost, or it is no cache any more; test it again, and leave it if that stays so`;
}

const STORE_RESTS =
  "the store does not work: mail rests until it does; is its disk full, or one that cannot be written to?";
const NO_CACHE =
  "none of your caches answers: mail for who is away waits here; is this machine online? Else ask who runs them, or join another";
const NO_BAZAAR =
  "nobody in the bazaar answers: what goes by it waits; is this machine online, and --bazaar-peer right?";
const COPY_SENDS =
  "a contact says that another copy of this identity sends it mail: nothing of either is lost, but each takes what comes for the other; if there are two, stop one";
const COPY_SHOWN_MS = 7 * 86_400_000;
