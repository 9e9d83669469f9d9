/**
 * Arrays cut from larger ones. An array of its own costs an engine 300 to 900 ns when it is larger than some 64 bytes
 * (its memory lies apart from the heap, and is collected apart); a piece of a slab costs 100.
 */

/**
 * Cuts new arrays of zeros from slabs of so many bytes, at least four from each: what is longer than a quarter is an array of
 * its own. A piece keeps its whole slab alive. No byte is ever given out twice.
 */
export function slabs(bytes: number): (length: number) => Uint8Array {
  let slab = new Uint8Array(0);
  let used = 0;
  return (length) => {
    if (length > bytes / LEAST_PER_SLAB) return new Uint8Array(length);
    if (length > slab.length - used) {
      slab = new Uint8Array(bytes);
      used = 0;
    }
    used += length;
    return slab.subarray(used - length, used);
  };
}

const LEAST_PER_SLAB = 4;

/** A new array of zeros. It keeps up to 32 KiB alive and shares them: only for what leaves at once, and is no secret. */
export const shortLived: (length: number) => Uint8Array = slabs(32 * 1024); // 16 KiB are twice as dear, 64 KiB little cheaper
