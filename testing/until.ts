/** Tests wait for events, not for time: they look again at each event until what they want is so. */

/** A peer, or whatever else tells events. */
interface Telling {
  events(): AsyncIterableIterator<unknown>;
}

/** A client of a daemon. */
interface Asking {
  events(after: undefined, signal: AbortSignal): Promise<AsyncIterable<unknown>>;
}

/** Until this is so: looks at once, and again at each event. Rejects when the peer ends before. */
export async function until(peer: Telling, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const events = peer.events();
  try {
    while (!(await isSo())) if ((await events.next()).done) throw new Error("the peer ended");
  } finally {
    await events.return?.();
  }
}

/** Asks at once, and again at each event of the daemon, until the answer is right: gives that. Rejects when the daemon ends before. */
export async function untilAnswer<T>(
  daemon: Asking,
  ask: () => Promise<T>,
  isRight: (answer: T) => boolean,
): Promise<T> {
  const stop = new AbortController();
  try {
    const events = await daemon.events(undefined, stop.signal);
    const first = await ask();
    if (isRight(first)) return first;
    for await (const _ of events) {
      const answer = await ask();
      if (isRight(answer)) return answer;
    }
    throw new Error("the daemon ended");
  } finally {
    stop.abort();
  }
}
