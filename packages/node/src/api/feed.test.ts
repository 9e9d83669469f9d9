import type { Peer, PeerEvent, Received } from "restante";
import { expect, test } from "vitest";
import { type FeedEvent, feed } from "./feed.ts";

/** As much of a peer as a feed sees: an inbox that grows, and listeners. */
function inboxOf(count: number) {
  const listeners = new Set<(event: PeerEvent) => void>();
  const mails: Received[] = [];
  const put = (): void => {
    const mail = { n: mails.length + 1 } as Received;
    mails.push(mail);
    for (const listener of listeners) listener({ type: "mail", ...mail });
  };
  for (let i = 0; i < count; i++) put();
  const peer = {
    on(listener: (event: PeerEvent) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    inbox: async ({ after = 0, limit = 1000 } = {}) => mails.slice(after, after + limit),
    status: () => ({ inbox: mails.length }),
  } as unknown as Peer;
  const tell = (missing: number): void => {
    for (const listener of listeners) listener({ type: "gap", contact: "", missing });
  };
  return { peer, put, tell, listeners };
}

async function take(events: AsyncIterator<FeedEvent>, count: number): Promise<(number | string)[]> {
  const taken: (number | string)[] = [];
  while (taken.length < count) {
    const { value } = await events.next();
    taken.push(value.type === "mail" ? value.n : value.event.type);
  }
  return taken;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test("a reader gets each mail once, in order, whether it lay there or comes while it reads", async () => {
  const { peer, put } = inboxOf(450);
  const events = feed(peer, 3, new AbortController().signal)[Symbol.asyncIterator]();
  expect(await take(events, 200)).toEqual(range(4, 203));
  for (let i = 0; i < 50; i++) put();
  expect(await take(events, 297)).toEqual(range(204, 500));
  put();
  expect(await take(events, 1)).toEqual([501]);
});

test("without a number it begins with what comes from now on, even before the first question", async () => {
  const { peer, put } = inboxOf(10);
  const events = feed(peer, undefined, new AbortController().signal)[Symbol.asyncIterator]();
  put();
  expect(await take(events, 1)).toEqual([11]);
});

test("of other events a reader who is slow loses the oldest, and no mail", async () => {
  const { peer, put, tell } = inboxOf(0);
  const events = feed(peer, 0, new AbortController().signal)[Symbol.asyncIterator]();
  for (let i = 0; i < 5000; i++) {
    tell(i);
    if (i % 100 === 0) put();
  }
  expect(await take(events, 50)).toEqual(range(1, 50));
  expect(await events.next()).toMatchObject({ value: { event: { missing: 4000 } } });
});

test("it ends with its signal, at once and also while it waits, and listens no longer", async () => {
  const { peer, listeners } = inboxOf(0);
  const stop = new AbortController();
  const events = feed(peer, 0, stop.signal)[Symbol.asyncIterator]();
  const next = events.next();
  expect(listeners.size).toBe(1);
  stop.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(listeners.size).toBe(0);
  feed(peer, 0, AbortSignal.abort());
  expect(listeners.size).toBe(0);
});
