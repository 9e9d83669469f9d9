/** What is done now and then beside the mail: erase what is over its time, and clear the files of what was erased. */
import type { Time } from "./bytes/index.ts";
import type { Change } from "./store/index.ts";

export interface ChoresOptions {
  readonly clock: () => Time;
  readonly sweep: (isStopped: () => boolean) => Promise<number>;
  readonly compact: (groups: readonly string[]) => Promise<void>;
  readonly trouble: (message: string) => void;
}

/** Runs at the start, each hour, and at the end. One at a time. */
export class Chores {
  readonly #options: ChoresOptions;
  readonly #erased = new Set<string>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #sweptAt: Time = Number.NEGATIVE_INFINITY;
  #isStopped = false;

  constructor(options: ChoresOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#hourly(), HOUR_MS);
    this.#hourly();
  }

  /** Something under these groups was erased. */
  note(groups: readonly string[]): void {
    for (const group of groups) this.#erased.add(group);
  }

  /** Erase now. How many mails that were. */
  sweep(): Promise<number> {
    return this.#next(() => {
      this.#sweptAt = this.#options.clock();
      return this.#options.sweep(() => this.#isStopped);
    });
  }

  /** What was erased since the last time leaves the files, too. What fails is done again the next time. */
  compact(): Promise<void> {
    return this.#next(async () => {
      const groups = [...this.#erased];
      if (groups.length === 0) return;
      this.#erased.clear();
      await this.#options.compact(groups).catch(() => this.note(groups));
    });
  }

  /** Nothing begins by itself any more. Resolves when what was under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#turn;
  }

  #hourly(): void {
    const isDue = Math.abs(this.#options.clock() - this.#sweptAt) >= DAY_MS;
    const swept = isDue ? this.sweep() : Promise.resolve(0);
    swept
      .catch(() => this.#options.trouble("mail that is over its time could not be erased; it is tried again tomorrow"))
      .then(() => this.compact());
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** In which groups a batch leaves something behind: what it deletes, and the keys that are to be forgotten (forward secrecy). */
export function erasedGroups(changes: readonly Change[]): string[] {
  const old = changes.filter(({ key, value }) => value === undefined || key.startsWith(FORWARD_KEYS));
  return [...new Set(old.map(({ key }) => key.slice(0, key.indexOf("/") + 1)))].filter((group) => group !== "");
}

const FORWARD_KEYS = "mail/keys/";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
