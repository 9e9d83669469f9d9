/** Random bytes in bulk: asking the system for 24 of them costs 1 to 2 us, taking them from a pool 0.03. */
import { assert } from "./failure.ts";
import type { Random } from "./machine.ts";

/**
 * The bytes of `source` in order, fetched by the 64 KiB. What was given out is wiped from the pool: whoever reads our
 * memory later finds no key there. Requests of more than 1 KiB go to `source` directly, past the pool.
 */
export function pooled(source: Random): Random {
  let pool: Uint8Array = new Uint8Array(0);
  let at = 0;
  return (length) => {
    if (length > LARGE) return source(length);
    if (at + length > pool.length) {
      pool = source(POOL_BYTES);
      assert(pool.length === POOL_BYTES, "a source of random bytes gives as many as are asked for");
      at = 0;
    }
    const bytes = pool.slice(at, at + length);
    pool.fill(0, at, at + length);
    at += length;
    return bytes;
  };
}

const POOL_BYTES = 64 * 1024;
const LARGE = 1024;
