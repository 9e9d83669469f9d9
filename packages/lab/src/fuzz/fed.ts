/** Chance that is an input: so a machine that is driven by draws can be driven by bytes, and each of them matters. */
import { Chance } from "restante/testing";

/** Draws as `Chance` of its seed does until it is fed; then from the bytes, two for each draw, while there are any. */
export class FedChance extends Chance {
  #bytes: Uint8Array | undefined;
  #at = 0;
  #drawn = 0;

  /** From now on the draws come from these bytes. */
  feed(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#at = 0;
  }

  /** Whether there is nothing left to draw from: what comes now is the same for all inputs. */
  get isEmpty(): boolean {
    return this.#at >= (this.#bytes?.length ?? 0);
  }

  override next(): number {
    // The parent draws while it is being made.
    if (!(#bytes in this) || this.#bytes === undefined || this.isEmpty) return super.next();
    const high = this.#bytes[this.#at++] ?? 0;
    const low = this.#bytes[this.#at++] ?? 0;
    const drawn = (high << 8) | low;
    return ((drawn << 16) | (Math.imul(drawn, 0x9e3b) & 0xffff)) >>> 0;
  }

  /**
   * Random bytes are not worth an input of their own length. An input that repeats itself must not repeat them: what is to be random
   * never comes again, and machines rely on that (a seed that came twice made one magic id of two messages).
   */
  override readonly random = (length: number): Uint8Array => {
    const bytes = new Chance(this.next()).random(length);
    const drawn = ++this.#drawn;
    for (let at = 0; at < Math.min(length, 4); at++) bytes[at] = (bytes[at] ?? 0) ^ (drawn >>> (8 * at));
    return bytes;
  };
}
