/** A carrier for simulated worlds: it keeps what is left with it, and brings it late, twice, in any order, or never. */
import { toHex, utf8 } from "../bytes/index.ts";
import type { BazaarAddress } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Chance } from "./chance.ts";

export interface CarrierFaults {
  /** It forgets what it was given, and says yes. Probabilities, both. */
  readonly lose: number;
  readonly duplicate: number;
  /** Milliseconds until it brings something, at most. */
  readonly delay: number;
}

/** The world that it is in. */
interface Surroundings {
  readonly chance: Chance;
  after(ms: number, run: () => void): void;
}

/** Somebody found there. */
interface Reader {
  readonly hashname: Hashname;
  readonly isAwake: boolean;
  bring(number: number, key: Uint8Array, bytes: Uint8Array): void;
}

interface Letter {
  readonly ref: string;
  readonly key: Uint8Array;
  readonly to: string;
  readonly bytes: Uint8Array;
  readonly isStray?: true;
}

/** One for all of a world. */
export class FakeCarrier {
  readonly #world: Surroundings;
  readonly #readers: () => readonly Reader[];
  faults: CarrierFaults = { lose: 0, duplicate: 0, delay: 40 };
  isUp = true;
  /** By name, what it was given and nobody took, or took back. */
  readonly kept: Map<string, Letter> = new Map();
  readonly refs: string[] = [];
  /** Which of its keys somebody has, where that is not its first. */
  readonly #keys = new Map<Hashname, number>();
  readonly #open = new Map<number, Letter>();
  #next = 1;

  constructor(world: Surroundings, readers: () => readonly Reader[]) {
    this.#world = world;
    this.#readers = readers;
  }

  address({ hashname }: Pick<Reader, "hashname">): BazaarAddress {
    return { key: utf8(`${hashname.slice(0, 40)}-${this.#keys.get(hashname) ?? 0}`), addrs: [], push: [] };
  }

  /** From now on this one has its key of this number (0: the first), and what is left for another comes no more. */
  rekey({ hashname }: Pick<Reader, "hashname">, number = 1): void {
    this.#keys.set(hashname, number);
  }

  deliver(ref: string, from: Pick<Reader, "hashname">, { key }: BazaarAddress, bytes: Uint8Array): boolean {
    const { chance } = this.#world;
    if (!this.isUp) return false;
    this.refs.push(ref);
    if (this.kept.has(ref) || chance.happens(this.faults.lose)) return true;
    const letter = { ref, key: this.address(from).key, to: toHex(key), bytes: bytes.slice() };
    this.kept.set(ref, letter);
    const soon = (): number => chance.between(1, this.faults.delay);
    this.#world.after(soon(), () => this.#bring(letter));
    // A second copy comes even of what was taken, or taken back.
    if (chance.happens(this.faults.duplicate))
      this.#world.after(soon(), () => this.#bring({ ...letter, isStray: true }));
    return true;
  }

  withdraw(refs: readonly string[]): void {
    for (const ref of refs) this.kept.delete(ref);
  }

  taken(number: number, keep: boolean): void {
    const letter = this.#open.get(number);
    this.#open.delete(number);
    if (letter === undefined) return;
    // Left there again it is another message.
    if (!keep) this.kept.delete(letter.ref);
    else this.#world.after(AGAIN_MS, () => this.#bring(letter));
  }

  /** To whoever has the key, when it is there; and again, when it did not say that it is done with it. */
  #bring(letter: Letter): void {
    if (!letter.isStray && !this.kept.has(letter.ref)) return;
    const reader = this.#readers().find((each) => toHex(this.address(each).key) === letter.to);
    if (reader?.isAwake) {
      const number = this.#next++;
      this.#open.set(number, letter);
      reader.bring(number, letter.key, letter.bytes.slice());
      this.#world.after(AGAIN_MS, () => {
        if (this.#open.delete(number)) this.#bring(letter);
      });
    } else if (!letter.isStray) this.#world.after(AGAIN_MS, () => this.#bring(letter));
  }
}

const AGAIN_MS = 600_000;
