/** Work of which only so much may be under way at a time; the rest waits in the order in which it came. */

/** A job: does something now, and calls `done` once when all of it is done, perhaps much later. */
export type Job = (now: number, done: (now: number) => void) => void;

export class Slots {
  readonly #limit: number;
  readonly #waiting: Job[] = [];
  #taken = 0;
  #isStarting = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Starts the job, now or when its turn comes. Whoever adds jobs bounds their number. */
  run(job: Job, now: number): void {
    this.#waiting.push(job);
    this.#start(now);
  }

  #start(now: number): void {
    if (this.#isStarting) return; // a job that ends at once would start the next from within: a deep stack for a long line
    this.#isStarting = true;
    while (this.#taken < this.#limit) {
      const job = this.#waiting.shift();
      if (job === undefined) break;
      this.#taken++;
      let isDone = false;
      job(now, (later) => {
        if (isDone) return;
        isDone = true;
        this.#taken--;
        this.#start(later);
      });
    }
    this.#isStarting = false;
  }
}

/** How long to wait after the n-th failure in a row (from 1): `first`, doubled each time, `most` at most. */
export function backOff(failures: number, first: number, most: number): number {
  return Math.min(most, first * 2 ** Math.min(failures - 1, 30));
}
