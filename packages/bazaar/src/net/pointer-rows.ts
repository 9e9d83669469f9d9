/** The pointers that a node keeps, in its store: so that a restart loses none of them. */
import type { Store } from "restante";
import { fromBase64url, fromUtf8, toBase64url, utf8 } from "restante/protocol";
import { type PointerRow, Pointers } from "../offline/pointers.ts";

/** The pointers that were kept, without those that are over or cannot be read. */
export async function loadPointers(store: Store, now: number): Promise<Pointers> {
  const pointers = new Pointers();
  const rows = (await store.load(ROWS)).flatMap(([, value]) => parseRow(value) ?? []);
  pointers.load(rows, now);
  return pointers;
}

/** Writes what changed since the last time. Pointers are put again by their senders: what a crash loses here comes back. */
export async function savePointers(store: Store, pointers: Pointers, now: number): Promise<void> {
  pointers.expire(now);
  const changes = pointers.changes();
  for (let at = 0; at < changes.length; at += BATCH) {
    const batch = changes.slice(at, at + BATCH);
    await store.commit(batch.map(({ name, row }) => ({ key: ROWS + name, value: row && encodeRow(row) })));
  }
}

function encodeRow({ key, pointer, source, until }: PointerRow): Uint8Array {
  const { id, address, size, withdraw } = pointer;
  const row = { key: toBase64url(key), id: toBase64url(id), address: toBase64url(address), source, until };
  return utf8(
    JSON.stringify({
      ...row,
      ...(size !== undefined && { size }),
      ...(withdraw && { withdraw: toBase64url(withdraw) }),
    }),
  );
}

function parseRow(bytes: Uint8Array): PointerRow | undefined {
  try {
    const row = JSON.parse(fromUtf8(bytes) ?? "");
    const [key, id, address] = [row.key, row.id, row.address].map((text) => fromBase64url(text));
    const withdraw = row.withdraw === undefined ? undefined : fromBase64url(row.withdraw);
    const { size, until } = row;
    const source = { peer: String(row.source.peer), group: String(row.source.group) };
    if (key === undefined || id === undefined || address === undefined || typeof until !== "number") return undefined;
    const pointer = { id, address, ...(typeof size === "number" && { size }), ...(withdraw && { withdraw }) };
    return { key, pointer, source, until };
  } catch {
    return undefined;
  }
}

const ROWS = "bazaar/pointer/";
const BATCH = 500;
