/** Where what a peer keeps for others lies, for as long as it serves a cache. */
import type { Time } from "./bytes/index.ts";
import { BOX_LIMITS, type BoxAnswer, type BoxStore } from "./store/index.ts";

type Gained = Extract<BoxAnswer, { type: "gained" }>;

/** The store of boxes: there while the cache is served, and another one each time that it begins. */
export class Serving {
  readonly #make: () => BoxStore;
  #boxes: BoxStore | undefined;
  #listeners: [(gained: Gained) => void, () => ReadonlySet<string>] | undefined;

  constructor(given: BoxStore | (() => BoxStore)) {
    this.#make = typeof given === "function" ? given : () => given;
  }

  /** `undefined`: no cache is served. */
  get boxes(): BoxStore | undefined {
    return this.#boxes;
  }

  /** A root begins that serves it, or one that does not: what lies here is overwritten then, and forgotten. */
  set(isServing: boolean, now: Time): void {
    if (isServing === (this.#boxes !== undefined)) return;
    const before = this.#boxes;
    this.#boxes = isServing ? this.#make() : undefined;
    if (this.#listeners !== undefined) this.#boxes?.listen?.(...this.#listeners);
    // At that time nothing exists any more, whatever was asked for.
    before?.handle({ type: "sweep", op: 0 }, now + BOX_LIMITS.lifetime + DAY_MS);
  }

  /** As `BoxStore.listen`. */
  listen(tell: (gained: Gained) => void, here: () => ReadonlySet<string>): void {
    this.#listeners = [tell, here];
    this.#boxes?.listen?.(tell, here);
  }
}

const DAY_MS = 86_400_000; // clocks that differ
