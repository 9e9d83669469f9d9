/** Arrays of bytes: join and compare. */

/** One new array that holds the parts one after the other. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// What is done to each packet, without what V8 (of Node 20) spends on a typed array's method in optimised code too: to look it up
// at each call costs up to half as much as to copy a packet.

/** `out.set(bytes, at)` */
export function place(out: Uint8Array, bytes: Uint8Array, at: number): void {
  set.call(out, bytes, at);
}

/** `bytes.subarray(from, to)` */
export function view(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return subarray.call(bytes, from, to);
}

/** `bytes.copyWithin(at, from, to)` */
export function shift(bytes: Uint8Array, at: number, from: number, to: number): void {
  copyWithin.call(bytes, at, from, to);
}

/** Whether both hold the same bytes. For equal lengths the time does not depend on the bytes: fit for tags and keys. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** Order by the first byte that differs, a prefix before what it begins. Not constant-time. */
export function compare(a: Uint8Array, b: Uint8Array): -1 | 0 | 1 {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  if (a.length === b.length) return 0;
  return a.length < b.length ? -1 : 1;
}

const { copyWithin, set, subarray } = Uint8Array.prototype;
