/** What libp2p 3 wants to be there before it is first imported, and Node 20 lacks. Nothing is replaced that exists. */
import { WebSocket } from "ws";

// A socket of `ws` is used as the browser's: its types differ in what libp2p does not touch.
globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket;

interface Resolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T | PromiseLike<T>) => void;
  readonly reject: (reason?: unknown) => void;
}
const promises: { withResolvers?: <T>() => Resolvers<T> } = Promise as never;
promises.withResolvers ??= function withResolvers<T>(): Resolvers<T> {
  let resolve: Resolvers<T>["resolve"] = () => {};
  let reject: Resolvers<T>["reject"] = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
};

// kad-dht alone asks for it, to count the closest peers that it has not seen yet.
const sets: { difference?: (this: Set<unknown>, other: ReadonlySet<unknown>) => Set<unknown> } = Set.prototype as never;
sets.difference ??= function difference(other) {
  return new Set([...this].filter((value) => !other.has(value)));
};
