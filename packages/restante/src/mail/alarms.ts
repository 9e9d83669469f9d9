/** Alarms: which of the machines inside another one are due, and what wakes each of them. */
import { Deadlines, type Machine, type Time } from "../bytes/index.ts";

/** A machine that is asked for its deadline. What it takes and gives is its own matter. */
type Sleeper = Pick<Machine<{ type: "tick" }, unknown>, "deadline">;

/** One alarm for each machine that was added. */
export class Alarms {
  readonly #deadlines = new Deadlines<Sleeper>();
  readonly #wakes = new Map<Sleeper, () => void>();

  /** `wake` gives it a tick. `at`: its first alarm; without it the first `set` decides. */
  add(machine: Sleeper, wake: () => void, at?: Time): void {
    this.#wakes.set(machine, wake);
    this.#deadlines.set(machine, at);
  }

  /** To be called when it has handled anything. */
  set(machine: Sleeper): void {
    if (this.#wakes.has(machine)) this.#deadlines.set(machine, machine.deadline());
  }

  /** It is not woken any more. */
  remove(machine: Sleeper): void {
    this.#wakes.delete(machine);
    this.#deadlines.set(machine, undefined);
  }

  /** Wakes all that are due, the earliest first. */
  ring(now: Time): void {
    for (const machine of this.#deadlines.due(now)) this.#wakes.get(machine)?.();
  }

  /** When the next one is due. */
  next(): Time | undefined {
    return this.#deadlines.next();
  }
}
