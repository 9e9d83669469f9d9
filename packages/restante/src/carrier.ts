/**
 * Carriers: networks beside ours that keep what is sealed for somebody, like OpenBazaar's offline messages. The library knows this
 * interface alone; `@restante/bazaar` has the one that there is. protocol/driver.md, protocol/mail.md §15
 */
import type { BazaarAddress } from "./card/index.ts";
import type { Driver, DriverIo, DriverState } from "./driver.ts";
import type { Root } from "./peer.ts";

/** A way for sealed messages to whoever is found there by a key. */
export interface Carrier {
  /** Begins. Resolves with where we are found, for our card. Throws what makes it impossible; then nothing is left of it. */
  start(events: CarrierEvents): Promise<BazaarAddress>;
  /**
   * Leaves a sealed message (at most 64 KiB) for somebody. `ref` (a-z, 0-9, "-", at most 64) names it: the same again changes nothing
   * until it was taken or withdrawn; after that it is left once more, for whoever took it may have lost it. Resolves true when it lies
   * outside of this machine, or is there; false when not, for now: it may go on trying by itself.
   */
  deliver(delivery: { readonly ref: string; readonly to: BazaarAddress; readonly bytes: Uint8Array }): Promise<boolean>;
  /** These need not be kept any more. Unknown ones are no error. */
  withdraw(refs: readonly string[]): void;
  /** Who has one of these keys, and nobody else, is no stranger from now on. */
  contacts(keys: readonly Uint8Array[]): void;
  /** Ends; what was taken for delivery is kept for the next start. Twice is as once. */
  stop(): Promise<void>;
}

/** What a carrier tells the peer that uses it. */
export interface CarrierEvents {
  /**
   * A message, signed by this key there. Resolves true once it is dealt with, for good; false: it is to be brought again some day.
   * Never rejects. What is not answered when everything stops is to be brought again at the next start.
   */
  brought(key: Uint8Array, bytes: Uint8Array): Promise<boolean>;
}

/** Joins a carrier with the driver: what was not answered by one root is asked of the next. */
export class Carrying {
  readonly #carrier: Carrier;
  readonly #driver: () => Pick<Driver<Root>, "input" | "root" | "state">;
  readonly #open = new Map<number, { key: Uint8Array; bytes: Uint8Array; done: (isDone: boolean) => void }>();
  #next = 1;
  #known = "";

  constructor(carrier: Carrier, driver: () => Pick<Driver<Root>, "input" | "root" | "state">) {
    this.#carrier = carrier;
    this.#driver = driver;
  }

  /** What the driver needs of it. */
  readonly io: Pick<Required<DriverIo>, "deliver" | "withdraw" | "taken"> = {
    deliver: (delivery, done) => {
      // Behind a promise, so that what the carrier throws at once is a failed attempt as well.
      const answer = async (): Promise<boolean> => await this.#carrier.deliver(delivery);
      answer().then(done, () => done(false));
    },
    withdraw: (refs) => this.#carrier.withdraw(refs),
    taken: (number, keep) => {
      const open = this.#open.get(number);
      this.#open.delete(number);
      open?.done(!keep);
    },
  };

  async start(): Promise<BazaarAddress> {
    const brought = (key: Uint8Array, bytes: Uint8Array): Promise<boolean> =>
      new Promise((done) => {
        const number = this.#next++;
        this.#open.set(number, { key, bytes, done });
        this.#bring(number);
      });
    return await this.#carrier.start({ brought });
  }

  /** The driver has another root: it knows nothing of what was brought. */
  entered(state: DriverState): void {
    if (state !== "running") return;
    this.refresh();
    for (const number of [...this.#open.keys()]) this.#bring(number);
  }

  /** The contacts may be others. */
  refresh(): void {
    const keys = this.#driver().root?.carried() ?? [];
    const known = keys.map((key) => key.join(".")).join();
    if (known === this.#known) return;
    this.#known = known;
    this.#carrier.contacts(keys);
  }

  async stop(): Promise<void> {
    await this.#carrier.stop();
  }

  #bring(number: number): void {
    const open = this.#open.get(number);
    const driver = this.#driver();
    // A root that only serves a cache would have to say no to what can wait.
    if (open === undefined || driver.state !== "running") return;
    driver.input({ type: "brought", number, key: open.key, bytes: open.bytes });
  }
}
