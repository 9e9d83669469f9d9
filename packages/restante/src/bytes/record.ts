/** Records of our own store: JSON that only we write and read. Authenticated at rest, so damage is a bug. */
import { assert } from "./failure.ts";
import { fromUtf8, utf8 } from "./text.ts";

/** Durable before any other effect of the same turn. `undefined` deletes. */
export interface Save {
  readonly type: "save";
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** A record as it is stored. */
export function asJson(record: object): Uint8Array {
  return utf8(JSON.stringify(record));
}

/** The record that `asJson` stored. The caller names its type: the key says which it is. */
export function ofJson<T extends object>(bytes: Uint8Array): T {
  const text = fromUtf8(bytes);
  assert(text !== undefined, "a record is UTF-8");
  return JSON.parse(text) as T;
}
