/** A parcel: one mail on its way to one peer, and which of its parts went where. The durable half; lanes hold the rest. */
import { assert, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Forwarding } from "./forward.ts";
import { Ranges } from "./ranges.ts";
import type { Route } from "./route.ts";

/** What is fixed when the mail is queued (so that every attempt seals the same bytes), and how far it got. */
export interface Parcel {
  /** Id of the mail, 32 hex. */
  readonly mail: string;
  readonly peer: Hashname;
  /** Number and floor as they stand in every part's head. */
  readonly epoch: string;
  readonly seq: number;
  readonly floor: number;
  /** How often it was sealed anew because the peer has lost the key that it was sealed to. */
  readonly generation: number;
  /** Absent: suite `static`, which it stays. */
  readonly forward?: Forwarding;
  /** Not sealed anew before. */
  readonly resealAt?: Time;
  /** Every part carries our card, as frozen in the spool. */
  readonly hello: boolean;
  /** Parts. */
  readonly of: number;
  /** Bytes of a sealed part; of the last one at most. */
  readonly partBytes: number;
  readonly expires: Time;
  /** "stopped": expired, cancelled, or its peer is gone. */
  state: "open" | "acknowledged" | "stopped";
  /** Message ids by part, "" where none was sealed for a cache yet. The same at every cache. */
  readonly ids: string[];
  /** By cache. */
  readonly copies: Map<Hashname, Copy>;
  /** Where the bytes of before it was sealed anew lie, for a while: a stop may have come before they were taken back. */
  former?: Former | undefined;
  /** How often everything was offered again, and when that is due. */
  offers: number;
  offerAt: Time | undefined;
}

interface Former extends Places {
  /** After that they are gone, for all that we know. */
  readonly until: Time;
}

/** What lies where, under which ids. */
type Places = Pick<Parcel, "ids" | "copies">;

/** The parts of one parcel at one cache. */
export interface Copy {
  /** Where to take them back. */
  readonly uri: string;
  /** May be there: sent, or about to be. */
  readonly offered: Ranges;
  /** The cache acknowledged the deposit. */
  handed: Ranges;
}

/** The first part not handed by this copy that `isMoot` (in flight, or acknowledged) does not exclude. */
export function nextPart(parcel: Parcel, handed: Ranges, isMoot: (part: number) => boolean): number | undefined {
  for (let part = handed.missing(0); part < parcel.of; part = handed.missing(part + 1)) if (!isMoot(part)) return part;
  return undefined;
}

/** The parcel as other bytes go out for it: nothing of them lies anywhere yet, and what lay of the old ones is remembered. */
export function anew({ ids, copies, ...parcel }: Parcel, until: Time): Parcel {
  return {
    ...parcel,
    ids: Array.from({ length: parcel.of }, () => ""),
    copies: new Map(),
    former: copies.size > 0 ? { ids, copies, until } : undefined,
    offers: 0,
    offerAt: undefined,
  };
}

/** Takes back every copy of the parcel that may lie at a cache. Harmless when repeated. */
export function takeBack({ peer, former, ...present }: Parcel): Withdrawal[] {
  return [...(former ? withdrawals(peer, former) : []), ...withdrawals(peer, present)];
}

function withdrawals(peer: Hashname, { copies, ids }: Places): Withdrawal[] {
  return [...copies].flatMap(([cache, { uri, offered }]) => {
    const known = numbers(offered).flatMap((part) => ids[part] || []);
    return known.length === 0 ? [] : [{ type: "withdraw", to: peer, route: { type: "cache", cache, uri }, ids: known }];
  });
}

/** Remove these messages, by id, from our box for `to` there. */
export interface Withdrawal {
  readonly type: "withdraw";
  readonly to: Hashname;
  readonly route: Route;
  readonly ids: readonly string[];
}

/** The numbers in a set of parts, ascending. */
export function numbers(parts: Ranges): number[] {
  return parts.list().flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
}

/** Puts one part into a set of parts. */
export function addPart(parts: Ranges, part: number): void {
  const added = parts.add(part, part, Number.POSITIVE_INFINITY);
  assert(added, "a set of parts has no limit but the parts");
}

/** The parcel as JSON for our own store. */
export function parcelJson(parcel: Parcel): ParcelJson {
  const { copies, ids, former, offerAt, ...fixed } = parcel;
  return {
    ...fixed,
    ...(offerAt !== undefined && { offerAt }),
    ...(former && { former: { ...placesJson(former), until: former.until } }),
    ...placesJson({ copies, ids }),
  };
}

function placesJson({ copies, ids }: Places): PlacesJson {
  return {
    ...(ids.some((id) => id !== "") && { ids: ids.join(",") }),
    copies: [...copies].map(([cache, { uri, offered, handed }]) => [cache, uri, offered.list(), handed.list()]),
  };
}

/** What `parcelJson` wrote. */
export function parcelOf({ copies, ids, former, ...fixed }: ParcelJson): Parcel {
  return {
    ...fixed,
    offerAt: fixed.offerAt,
    ...(former && { former: { ...placesOf(former, fixed.of), until: former.until } }),
    ...placesOf({ copies, ...(ids !== undefined && { ids }) }, fixed.of),
  };
}

function placesOf({ copies, ids }: PlacesJson, of: number): Places {
  return {
    ids: ids?.split(",") ?? Array.from({ length: of }, () => ""),
    copies: new Map(
      copies.map(([cache, uri, offered, handed]) => [
        cache,
        { uri, offered: rangesOf(offered), handed: rangesOf(handed) },
      ]),
    ),
  };
}

type RangeList = readonly (readonly [first: number, last: number])[];

/** In the store. */
export interface ParcelJson extends Omit<Parcel, "copies" | "ids" | "former" | "offerAt">, PlacesJson {
  readonly offerAt?: Time;
  readonly former?: PlacesJson & { readonly until: Time };
}

interface PlacesJson {
  readonly ids?: string;
  readonly copies: readonly (readonly [cache: Hashname, uri: string, offered: RangeList, handed: RangeList])[];
}

function rangesOf(list: RangeList): Ranges {
  const ranges = new Ranges();
  for (const [first, last] of list) ranges.add(first, last, Number.POSITIVE_INFINITY);
  return ranges;
}
