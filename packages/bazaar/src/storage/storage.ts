/** Where ciphertexts lie until they are acknowledged: one interface, two kinds (D20, X37). */

/** What a storage must give. Names are 64 hex digits: SHA-256 of the content. `storageSuite` is the test that each passes. */
export interface BazaarStorage {
  /** Makes ready. Throws `RestanteError` "storage-unusable" when nothing could be stored or read back. */
  open(): Promise<void>;
  /**
   * Keeps a content under its name; durable when it resolves. Gives the URL at which anybody can read it, or `undefined` where
   * only we can: then its blocks are served by us. Throws "storage-failed". The same again changes nothing.
   */
  put(name: string, content: Uint8Array): Promise<string | undefined>;
  /** A content whose bytes hash to its name; `undefined` when there is none, or another. Throws "storage-failed". */
  get(name: string): Promise<Uint8Array | undefined>;
  /** Forgets a content; one that is not there is none. Throws "storage-failed". */
  remove(name: string): Promise<void>;
}

/** The most bytes of a content: a message of 4 MiB, and what sealing adds. */
export const CONTENT_BYTES: number = 5 * 1024 * 1024;

/** Whether a text can be the name of a content. Nothing else ever becomes part of a path or a URL. */
export function isName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}
