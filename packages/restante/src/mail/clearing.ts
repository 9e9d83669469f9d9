/**
 * Clearing: parts of files that the peer has are taken back at caches while the rest is under way. They make room there: else the
 * oldest would go first. protocol/mail.md §10, Taking back
 */
import { type Have, type Lane, weigh } from "./lane.ts";
import { addPart, idle, type Parcel } from "./parcel.ts";
import type { Ranges } from "./ranges.ts";

/** Accounts anew for what of the parcel lies on the lane, and gives the ids of what is to be taken back from there, each once. */
export function clear(lane: Lane, parcel: Parcel, have: Have): string[] {
  const progress = lane.progress.get(parcel);
  if (progress === undefined) return [];
  weigh(lane, parcel, progress, have);
  const { offered } = progress.copy;
  const gone = idle(parcel, have(parcel)).filter((part) => offered.has(part) && !progress.withdrawn.has(part));
  for (const part of gone) addPart(progress.withdrawn, part);
  return gone.flatMap((part) => parcel.ids.get(part) ?? []);
}

/**
 * Forgets the ids of what was taken back from all lanes where parts wait (`kept`), by an acknowledgement before this one: what is
 * kept of a file is for what lies at caches, not for all its parts.
 */
export function forgetIds(kept: readonly Lane[], parcel: Parcel, have: Ranges): void {
  const lanes = new Map(kept.map((lane) => [lane.key, lane.progress.get(parcel)]));
  for (const part of idle(parcel, have)) {
    const isAnywhere = [...parcel.copies].some(
      ([cache, { offered }]) => offered.has(part) && lanes.get(cache)?.withdrawn.has(part) !== true,
    );
    if (!isAnywhere) parcel.ids.delete(part);
  }
}
