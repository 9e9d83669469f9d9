/** Who may have how many connections to the page: nobody takes all, and some are for this machine alone. docs/web.md */
import { groupOf, LOOPBACK } from "./password.ts";

/** Of all together; a server takes no more. */
export const MAX_CONNECTIONS = 256;

export class Connections {
  readonly #isProxy: (address: string) => boolean;
  readonly #groups = new Map<string, number>();
  /** From elsewhere than this machine. */
  #others = 0;

  /** `isProxy`: from there come many, whom the proxy has to tell apart. */
  constructor(isProxy: (address: string) => boolean) {
    this.#isProxy = isProxy;
  }

  /** Takes one that came from this address. Gives what is to be called when it is closed; `undefined`: it is one too many. */
  take(address: string): (() => void) | undefined {
    const group = groupOf(address);
    const count = this.#groups.get(group) ?? 0;
    const other = group === LOOPBACK ? 0 : 1;
    const isAlone = other === 1 && !this.#isProxy(address);
    if ((isAlone && count >= MAX_OF_GROUP) || this.#others + other > MAX_OF_OTHERS) return undefined;
    this.#groups.set(group, count + 1);
    this.#others += other;
    return () => {
      this.#others -= other;
      const left = (this.#groups.get(group) ?? 1) - 1;
      if (left > 0) this.#groups.set(group, left);
      else this.#groups.delete(group);
    };
  }
}

const MAX_OF_GROUP = 64; // an address, of IPv6 a /64
const MAX_OF_OTHERS = 192; // the rest is for this machine, and what comes through a proxy on it
