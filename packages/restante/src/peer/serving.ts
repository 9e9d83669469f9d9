/** Whether we serve a cache: from the start to the end, or as the user said last. protocol/driver.md */
import type { RootOptions, Serving } from "./contract.ts";
import type { Door } from "./door.ts";
import { refuse, type Step } from "./step.ts";

/** The options of a root as they hold now: without a cache where it is on demand and nobody wants it. */
export function inForce(options: RootOptions): RootOptions {
  const { cache, routes, ...rest } = options;
  if (cache?.onDemand === undefined) return options;
  const { onDemand: _, ...served } = cache;
  return options.saved.has(SERVES) ? { ...rest, cache: served, ...(routes !== undefined && { routes }) } : rest;
}

/** How it is with a root that was given these. */
export function serving({ cache, saved }: RootOptions): Serving {
  if (cache?.onDemand === undefined) return cache ? "always" : "never";
  return saved.has(SERVES) ? "on" : "off";
}

/**
 * The user wants to serve a cache from now on, or none. It holds for the next root, which is wanted at once. With the cache its
 * offer ends; who has it already finds it again when it comes back.
 */
export function serve(req: number, on: boolean, { cache }: RootOptions, door: Door): Step[] {
  if (cache?.onDemand === undefined)
    return [refuse(req, "set-at-start", `that this peer serves ${cache ? "a" : "no"} cache was said at its start`)];
  return [
    { type: "save", key: SERVES, value: on ? new Uint8Array(1) : undefined },
    ...(on ? [] : [door.setOffered(false)]),
    { type: "reply", req, value: { on } },
  ];
}

const SERVES = "peer/serves";
