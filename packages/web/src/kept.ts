/**
 * The last state, kept in this browser for when the page is opened and the daemon is away. One record: AES-GCM under a key that the
 * browser makes, keeps beside it and hands to nobody, this page included. What that is worth: docs/web.md
 */
import type { OutboxList, PeerList, RequestList, RetentionList, StatusInfo } from "@restante/node/contract";
import type { ContactInfo, HistoryEntry } from "restante";

/** What was known at a moment. */
export interface Kept {
  /** When the daemon was heard last. */
  readonly at: number;
  readonly status: StatusInfo;
  readonly contacts: readonly ContactInfo[];
  readonly requests: RequestList["requests"];
  readonly outbox: OutboxList["outbox"];
  readonly behind: number;
  readonly caches: PeerList["caches"];
  readonly unread: Readonly<Record<string, readonly number[]>>;
  readonly retentions: RetentionList["retentions"];
  /** By contact, the latest conversation first. */
  readonly threads: readonly (readonly [contact: string, entries: readonly HistoryEntry[]])[];
}

/**
 * Why nothing is kept here; `undefined`: it is. A browser that does not keep the page itself, as without TLS from elsewhere or with a
 * certificate that it warned of, could not show it.
 */
export function keepsNot(): "unwanted" | "unable" | undefined {
  if (isUnable || !navigator.serviceWorker) return "unable";
  return localStorage.getItem(WISH) === null ? undefined : "unwanted";
}

/** This browser does not keep the page. */
export function cannotKeep(): void {
  isUnable = true;
}

/** As the user wants it from now on, in all tabs. What was kept is erased. */
export async function wish(isKept: boolean): Promise<void> {
  if (isKept) localStorage.removeItem(WISH);
  else localStorage.setItem(WISH, "1");
  await erase();
}

/** There may be a record from now on, as soon as the page itself is kept. Nothing is kept before: so a tab that has not heard of a logout yet brings nothing back. */
export async function admit(): Promise<void> {
  if (keepsNot()) return;
  await navigator.serviceWorker.ready;
  if (await read()) return;
  const key = await crypto.subtle.generateKey({ name: CIPHER, length: 256 }, false, ["encrypt", "decrypt"]);
  await ask("readwrite", (store) => store.put({ id: crypto.randomUUID(), key }, PLACE));
}

/** Keep this instead of what was kept, but for conversations of which only another tab has more than the end. */
export async function keep(state: Kept): Promise<void> {
  const record = keepsNot() ? undefined : await read();
  if (record === undefined) return;
  const { id, key } = record;
  const iv = crypto.getRandomValues(new Uint8Array(12)); // NIST SP 800-38D, 8.2.2
  const threads = cut(merge(state, await open(record).catch(() => undefined)));
  const text = new TextEncoder().encode(JSON.stringify({ ...state, threads }));
  const box = await crypto.subtle.encrypt({ name: CIPHER, iv }, key, text);
  const sealed: Sealed = { id, key, iv, box, shape: SHAPE };
  await ask("readwrite", (store) => {
    const there: IDBRequest<Sealed | undefined> = store.get(PLACE);
    there.onsuccess = () => {
      if (there.result?.id === id) store.put(sealed, PLACE);
    };
    return there;
  });
}

/**
 * What was kept, without what is to be erased by now. Nothing after 30 days without the daemon, nor of a version of this page that
 * kept something else: then it is erased.
 */
export async function kept(): Promise<Kept | undefined> {
  const record = keepsNot() ? undefined : await read();
  if (record === undefined) return undefined;
  const state = await open(record).catch(() => undefined);
  const now = Date.now();
  if (state !== undefined && Math.abs(now - state.at) < MAX_AGE_MS) return current(state, now);
  await erase();
  return undefined;
}

/** Nothing is kept, and nothing will be until `admit`. */
export async function erase(): Promise<void> {
  await ask("readwrite", (store) => store.clear());
}

/** The same without mail that a daemon would have erased by now, as it was told to for some contacts. */
export function current(state: Kept, now: number): Kept {
  const days = new Map(state.retentions.map((each) => [each.contact, each.days]));
  const threads = state.threads.map(([contact, entries]) => {
    const after = now - (days.get(contact) ?? Number.POSITIVE_INFINITY) * DAY_MS;
    return [contact, entries.filter(({ received, time }) => (received ?? time) > after)] as const;
  });
  return { ...state, threads };
}

/** The conversations of `state`, and from `before` what goes on to the same last mail where `state` has no more than that. */
export function merge(state: Kept, before: Kept | undefined): Kept["threads"] {
  const longer = new Map(before?.status.hashname === state.status.hashname ? before?.threads : []);
  return state.threads.map(([contact, entries]) => {
    const [end, other] = [entries.at(-1), longer.get(contact) ?? []];
    const last = other.at(-1);
    const isSame = entries.length === 1 && last?.way === end?.way && last?.n === end?.n;
    return [contact, isSame ? [...other.slice(0, -1), ...entries] : entries];
  });
}

/** The latest mails of each, as far as there is room. */
export function cut(threads: Kept["threads"], mails: number = MAX_MAILS, room: number = MAX_LENGTH): Kept["threads"] {
  let left = room;
  return threads.map(([contact, entries]) => {
    let first = entries.length;
    while (first > Math.max(0, entries.length - mails)) {
      const { length } = JSON.stringify(entries[first - 1]);
      if (length > left) break;
      left -= length;
      first--;
    }
    return [contact, entries.slice(first)];
  });
}

interface Sealed {
  /** Another one after each erasure. */
  readonly id: string;
  readonly key: CryptoKey;
  readonly iv?: Uint8Array<ArrayBuffer>;
  readonly box?: ArrayBuffer;
  /** Of what is in the box. */
  readonly shape?: number;
}

async function open({ key, iv, box, shape }: Sealed): Promise<Kept | undefined> {
  if (iv === undefined || box === undefined || shape !== SHAPE) return undefined;
  return JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt({ name: CIPHER, iv }, key, box))) as Kept;
}

function read(): Promise<Sealed | undefined> {
  return ask("readonly", (store) => store.get(PLACE));
}

function ask<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    // Some browsers never answer: the page goes on without.
    setTimeout(reject, PATIENCE_MS, new Error(PLACE));
    const opening = indexedDB.open(PLACE);
    opening.onupgradeneeded = () => opening.result.createObjectStore(PLACE);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const db = opening.result;
      const transaction = db.transaction(PLACE, mode);
      const asked = act(transaction.objectStore(PLACE));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = () => reject(transaction.error);
      db.close(); // when the transaction is over
    };
  });
}

let isUnable = false;
/** Another one with each change of `Kept` that this page, or the one before, would show wrongly. */
export const SHAPE = 1;
const CIPHER = "AES-GCM";
const PLACE = "last";
/** In localStorage, when nothing is to be kept. */
const WISH = "keep-nothing";
const PATIENCE_MS = 4000;
const MAX_MAILS = 50;
const MAX_LENGTH = 2_000_000;
const DAY_MS = 86_400_000;
const MAX_AGE_MS = 30 * DAY_MS;
