/** Space: looks now and then how much is free on the disk of the store, and says so where it matters. */
import type { Store } from "./store/index.ts";

export interface SpaceOptions {
  readonly store: Pick<Store, "free">;
  /** Told at first, and when it changed by so much that it may matter. */
  readonly tell: (free: number) => void;
  /** Whose answer it is: another one has been told nothing yet. */
  readonly state: () => unknown;
}

/** Asks twice a minute, for that costs nothing; files come slower than disks have room to spare. */
export class Space {
  readonly #options: SpaceOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #told: { readonly step: number; readonly to: unknown } | undefined;
  /** Looks since. */
  #looks = 0;

  constructor(options: SpaceOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.store.free === undefined) return;
    this.#timer = setInterval(() => void this.look(), PAUSE_MS);
    void this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Look now. A disk that cannot be asked is as good as one with room: the store itself says when it is full. */
  async look(): Promise<void> {
    const free = await this.#options.store.free?.().catch(() => undefined);
    if (free === undefined) return;
    const step = Math.min(Math.floor(free / STEP_BYTES), LAST_STEP);
    const to = this.#options.state();
    const isKnown = this.#told?.step === step && this.#told.to === to && this.#looks++ < TRUSTED_LOOKS;
    if (to === undefined || isKnown) return;
    this.#looks = 0;
    this.#told = { step, to };
    this.#options.tell(free);
  }
}

const PAUSE_MS = 30_000;
const TRUSTED_LOOKS = 20; // who is told counts on by itself, and does not see what is erased
const STEP_BYTES = 16 * 1024 * 1024;
const LAST_STEP = 256; // 4 GiB and more are all the same
