/**
 * Arrays cut from larger ones. An array of its own costs an engine 300 to 900 ns when it is larger than some 64 bytes
 * (its memory lies apart from the heap, and is collected apart); a piece of a slab costs 100.
 */

/** A new array of zeros. It keeps up to 32 KiB alive and shares them: only for what leaves at once, and is no secret. */
export function shortLived(length: number): Uint8Array {
  if (length > SLAB_BYTES / LEAST_PER_SLAB) return new Uint8Array(length);
  if (length > SLAB_BYTES - used) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  const piece = slab.subarray(used, used + length);
  used += length;
  return piece;
}

const SLAB_BYTES = 32 * 1024; // 16 KiB are twice as dear, 64 KiB little cheaper
const LEAST_PER_SLAB = 8;
let slab: Uint8Array = new Uint8Array(0);
let used: number = SLAB_BYTES;
