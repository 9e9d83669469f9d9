/** Files of contacts that wait at their senders, since there is no room for them here: for `status` and the daemon's log. */
import type { Peer, PeerEvent } from "restante";

/** Those that were heard of since the call. A file is forgotten when it comes, when its contact goes, or after as long as mail is offered. */
export interface RoomWatch {
  /** A sentence for each contact and cause. */
  problems(): string[];
}

type NoRoom = Extract<PeerEvent, { type: "no-room" }>;

/** Watches until `signal` aborts. `say` is told of each file once. */
export function watchRoom(peer: Peer, signal: AbortSignal, say: (message: string) => void): RoomWatch {
  const waiting = new Map<string, NoRoom & { readonly at: number }>();
  const nameOf = (contact: string): string =>
    peer
      .contacts()
      .find(({ id }) => id === contact)
      ?.name?.replace(/\s+/g, " ") ?? contact.slice(0, SHORT);
  const end = peer.on((event) => {
    if (event.type === "no-room") {
      const key = `${event.contact} ${event.id}`;
      if (!waiting.has(key)) say(sentence(1, "a contact", event.why)); // no log names anybody
      waiting.delete(key);
      waiting.set(key, { ...event, at: Date.now() });
      const [oldest] = waiting.keys();
      if (waiting.size > MOST && oldest !== undefined) waiting.delete(oldest);
    } else if (event.type === "progress" && event.way === "in") waiting.delete(`${event.contact} ${event.id}`);
    else if (event.type === "mail") waiting.delete(`${event.contact} ${event.id}`);
  });
  signal.addEventListener("abort", end, { once: true });
  return {
    problems() {
      const known = new Set(peer.contacts().map(({ id }) => id));
      const counts = new Map<string, { contact: string; why: NoRoom["why"]; n: number }>();
      for (const [key, { contact, why, at }] of waiting) {
        if (!known.has(contact) || at < Date.now() - OFFERED_MS) {
          waiting.delete(key);
          continue;
        }
        const n = (counts.get(`${contact} ${why}`)?.n ?? 0) + 1;
        counts.set(`${contact} ${why}`, { contact, why, n });
      }
      return [...counts.values()].map(({ contact, why, n }) => sentence(n, nameOf(contact), why));
    },
  };
}

function sentence(n: number, name: string, why: NoRoom["why"]): string {
  const files = n === 1 ? `a file of ${name} waits at its sender` : `${n} files of ${name} wait at their sender`;
  return `${files}: ${WHY[why]}`;
}

const WHY: Readonly<Record<NoRoom["why"], string>> = {
  share: "its files take all that one contact may; `serve --disk MIB` with more, or `keep CONTACT DAYS`, makes room",
  total: "files take all that they may; `serve --disk MIB` with more, or `keep CONTACT DAYS`, makes room",
  disk: "the disk is nearly full",
};
const SHORT = 12; // of an id, as everywhere
const MOST = 256; // of a contact that offers more the rest is no news
const OFFERED_MS = 14 * 86_400_000;
