/** A parcel: one mail on its way to one peer, and which of its parts went where. The durable half; lanes hold the rest. */
import { assert, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Forwarding } from "./forward.ts";
import { Ranges } from "./ranges.ts";
import { BAZAAR, type Route } from "./route.ts";

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
  /** It goes over a link and to no cache. */
  readonly linkOnly?: true;
  /** "stopped": expired, cancelled, or its peer is gone. */
  state: "open" | "acknowledged" | "stopped";
  /** Message ids of those parts that may lie at a cache now. The same at every cache. */
  readonly ids: Map<number, string>;
  /** By cache; what lies in the bazaar under `BAZAAR`. */
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
  /** Where to take them back; in the bazaar the mark of whom they are for. */
  readonly uri: string;
  /** May be there: sent, or about to be. */
  offered: Ranges;
  /** The cache acknowledged the deposit. */
  handed: Ranges;
}

/**
 * The first part from `from` on, below `before`, that is neither handed by this copy, nor acknowledged (`have`), nor in flight. Looks at ranges, not
 * at parts: a file of tens of thousands is asked about at each of them.
 */
export function nextPart(
  handed: Ranges,
  have: Ranges,
  flying: ReadonlySet<number>,
  before: number,
  from: number = 0,
): number | undefined {
  for (let part = from; part < before; ) {
    const open = have.missing(handed.missing(part));
    if (open === part && !flying.has(part)) return part;
    part = Math.max(open, part + Number(open === part));
  }
  return undefined;
}

/** The same of those that have their room there: they were offered before. */
export function nextAgain({ offered, handed }: Copy, have: Ranges, flying: ReadonlySet<number>): number | undefined {
  for (const [first, last] of offered.list()) {
    const part = nextPart(handed, have, flying, last + 1, first);
    if (part !== undefined) return part;
  }
  return undefined;
}

/** Those that the peer has and that may still lie at a cache. */
export function idle({ ids }: Parcel, have: Ranges): number[] {
  return [...ids.keys()].filter((part) => have.has(part));
}

/** These parts were taken back, and lie nowhere: should they be offered again they take room again. */
export function takenBack({ copies }: Parcel, parts: Ranges): void {
  for (const copy of copies.values()) {
    const rest = new Ranges();
    for (const [first, last] of copy.offered.list())
      for (let part = first; part <= last; part++) if (!parts.has(part)) addPart(rest, part);
    copy.offered = rest;
  }
}

/** A parcel of which nothing has left yet, with its number. */
export function newParcel(
  mail: { readonly id: string; readonly parts: number; readonly expires: Time; readonly linkOnly?: true },
  to: Pick<Parcel, "peer" | "epoch" | "seq" | "floor" | "forward" | "hello" | "partBytes">,
): Parcel {
  const { peer, epoch, seq, floor, forward, hello, partBytes } = to;
  return {
    mail: mail.id,
    peer,
    epoch,
    seq,
    floor,
    generation: 0,
    ...(forward && !hello && { forward }),
    hello,
    of: mail.parts,
    partBytes,
    expires: mail.expires,
    state: "open",
    ...(mail.linkOnly && { linkOnly: true }),
    ids: new Map(),
    copies: new Map(),
    offers: 0,
    offerAt: undefined,
  };
}

/** The parcel as other bytes go out for it: nothing of them lies anywhere yet, and what lay of the old ones is remembered. */
export function anew({ ids, copies, ...parcel }: Parcel, until: Time): Parcel {
  return {
    ...parcel,
    ids: new Map(),
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

/**
 * The peer has another key in the bazaar, with this mark: takes back what lies there for the one before, and nothing lies there then.
 * Save the parcel after that, not before, when it gives anything back.
 */
export function moved({ peer, ids, copies }: Parcel, mark: string): Withdrawal[] {
  const copy = copies.get(BAZAAR);
  if (copy === undefined || copy.uri === mark) return [];
  copies.set(BAZAAR, { uri: mark, offered: new Ranges(), handed: new Ranges() });
  return withdrawals(peer, { ids, copies: new Map([[BAZAAR, copy]]) });
}

function withdrawals(peer: Hashname, { copies, ids }: Places): Withdrawal[] {
  return [...copies].flatMap(([cache, { uri, offered }]) => {
    const known = [...ids].flatMap(([part, id]) => (offered.has(part) ? [id] : []));
    const route: Route = cache === BAZAAR ? { type: "bazaar", peer, mark: uri } : { type: "cache", cache, uri };
    return known.length === 0 ? [] : [{ type: "withdraw", to: peer, route, ids: known }];
  });
}

/** Remove these messages, by id, from our box for `to` there. */
export interface Withdrawal {
  readonly type: "withdraw";
  readonly to: Hashname;
  readonly route: Route;
  readonly ids: readonly string[];
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
    ...(ids.size > 0 && { at: [...ids].map(([part, id]) => `${part}:${id}`).join(",") }),
    copies: [...copies].map(([cache, { uri, offered, handed }]) => [cache, uri, offered.list(), handed.list()]),
  };
}

/** What `parcelJson` wrote. */
export function parcelOf({ copies, at, ids, former, ...fixed }: ParcelJson): Parcel {
  return {
    ...fixed,
    offerAt: fixed.offerAt,
    ...(former && { former: { ...placesOf(former), until: former.until } }),
    ...placesOf({ copies, ...(at !== undefined && { at }), ...(ids !== undefined && { ids }) }),
  };
}

function placesOf({ copies, at, ids }: PlacesJson): Places {
  const entries = at?.split(",").map((entry): [number, string] => {
    const [part = "", id = ""] = entry.split(":");
    return [Number(part), id];
  });
  return {
    ids: new Map(entries ?? ids?.split(",").flatMap((id, part): [number, string][] => (id === "" ? [] : [[part, id]]))),
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
  /** "part:id", with commas between. */
  readonly at?: string;
  /** As it was before: the id of each part in order, "" for none. */
  readonly ids?: string;
  readonly copies: readonly (readonly [cache: Hashname, uri: string, offered: RangeList, handed: RangeList])[];
}

function rangesOf(list: RangeList): Ranges {
  const ranges = new Ranges();
  for (const [first, last] of list) ranges.add(first, last, Number.POSITIVE_INFINITY);
  return ranges;
}
