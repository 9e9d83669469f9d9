/** A peer's own durable store: small keys and values in atomic batches, and blobs of records for file parts. */

/**
 * What an adapter must give. The driver calls `commit` one at a time and waits for each; reads may run beside it.
 * Adapters encrypt at rest; the memory store below has no "at rest". `storeSuite` in `restante/testing` is the test that
 * every adapter passes.
 */
export interface Store {
  /**
   * Make ready. Throws `RestanteError` with code "store-damaged" (bytes that do not verify), "store-locked" (another
   * process has it), "store-schema" (written by a newer version), "store-key" (wrong or readable-by-others key).
   */
  open(): Promise<void>;
  /**
   * After `open`: this is not the store that was written to last, but a copy of it, put back from a backup or carried here:
   * numbers that it has for the next may have been used since. True until the next commit, which therefore has to be the one
   * that draws the conclusions. Absent where no copy can be (memory).
   */
  readonly isCopied?: boolean;
  /** All pairs whose key starts with `prefix`, in key order. Throws "store-damaged" rather than leave one out. */
  load(prefix: string): Promise<Pair[]>;
  /** At most `limit` pairs whose key starts with `prefix` and sorts above `after`, in key order. */
  list(prefix: string, after: string, limit: number): Promise<Pair[]>;
  /** One value; `undefined` when there is none. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Everything in the batch or nothing, on the disk when it resolves. An `undefined` value deletes. Later entries win. */
  commit(batch: readonly Change[]): Promise<void>;
  /** Record `index` of a blob: at most RECORD_BYTES bytes, replacing what was there. On the disk only after `blobSync`. */
  blobWrite(blob: string, index: number, bytes: Uint8Array): Promise<void>;
  /** Resolves when every record written so far to these blobs is on the disk. */
  blobSync(blobs: readonly string[]): Promise<void>;
  /** A record; `undefined` when it was never written or does not verify. */
  blobRead(blob: string, index: number): Promise<Uint8Array | undefined>;
  /** Forget a blob. Unknown blobs are no error. */
  blobRemove(blob: string): Promise<void>;
  /** How many more bytes the disk takes. Absent where nobody can say. */
  free?(): Promise<number>;
  /**
   * See to it that what was deleted and overwritten under keys that begin with one of these ("inbox/", "mail/") is in no file of
   * the store any more. What the medium below keeps is not ours. Slow: it rewrites what there is. Absent where there is nothing
   * to do.
   */
  compact?(groups: readonly string[]): Promise<void>;
  /** Resolves when what was given is durable and everything is let go of. Nothing but `open` may follow. */
  close(): Promise<void>;
}

type Pair = readonly [key: string, value: Uint8Array];
export interface Change {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** The most bytes that one blob record holds. */
export const RECORD_BYTES: number = 32 * 1024;

/** A store that lives as long as the process: for tests, demonstrations and the `strict` profile. */
export function memoryStore(): Store {
  const values = new Map<string, Uint8Array>();
  const blobs = new Map<string, Map<number, Uint8Array>>();
  const sorted = (prefix: string, after: string): Pair[] =>
    [...values].filter(([key]) => key.startsWith(prefix) && key > after).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    async open() {},
    async load(prefix) {
      return sorted(prefix, "").map(([key, value]) => [key, value.slice()]);
    },
    async list(prefix, after, limit) {
      return sorted(prefix, after)
        .slice(0, limit)
        .map(([key, value]) => [key, value.slice()]);
    },
    async get(key) {
      return values.get(key)?.slice();
    },
    async commit(batch) {
      for (const { key, value } of batch) {
        if (value) values.set(key, value.slice());
        else values.delete(key);
      }
    },
    async blobWrite(blob, index, bytes) {
      const records = blobs.get(blob) ?? new Map<number, Uint8Array>();
      blobs.set(blob, records);
      records.set(index, bytes.slice());
    },
    async blobSync() {},
    async blobRead(blob, index) {
      return blobs.get(blob)?.get(index)?.slice();
    },
    async blobRemove(blob) {
      blobs.delete(blob);
    },
    async close() {},
  };
}
