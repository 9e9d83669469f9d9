/**
 * Remembered Diffie-Hellman results. A message takes two; between peers that write to each other both recur (per
 * exchange and per sender), and everything else in a message is 20 times cheaper.
 */
import { assert } from "../bytes/index.ts";
import type { KeyPair } from "./keys.ts";

/** The secret shared by a pair of ours and a key of theirs; `undefined` when there is none (a bad key of theirs). */
export type Agree = (ours: KeyPair, theirs: Uint8Array) => Uint8Array | undefined;

/**
 * `agree` with a memory: per pair of ours the `limit` most recently used results. They hang on the KeyPair object, so
 * the secrets of an exchange go when its ephemeral pair goes. Failures are not remembered: strangers could fill it.
 */
export class SharedSecrets {
  readonly #agree: Agree;
  readonly #limit: number;
  readonly #byPair = new WeakMap<KeyPair, Map<string, Uint8Array>>();

  constructor(agree: Agree, limit: number) {
    assert(limit > 0, "room for one secret");
    this.#agree = agree;
    this.#limit = limit;
  }

  /** The shared secret, from memory if possible. It is the memory's own array: not to be changed or handed out. */
  get(ours: KeyPair, theirs: Uint8Array): Uint8Array | undefined {
    let known = this.#byPair.get(ours);
    if (known === undefined) {
      known = new Map();
      this.#byPair.set(ours, known);
    }
    const name: string = Reflect.apply(String.fromCharCode, undefined, theirs); // 5 times faster than hex
    let secret = known.get(name);
    if (secret === undefined) {
      secret = this.#agree(ours, theirs);
      if (secret === undefined) return undefined;
      const oldest = known.keys().next().value;
      if (known.size >= this.#limit && oldest !== undefined) known.delete(oldest);
    } else known.delete(name);
    known.set(name, secret); // a Map keeps the order of insertion: the newest stands last
    return secret;
  }
}
