/**
 * Telling: our latest acknowledgement on its way to the peer, and those before it where they lie still. First the new one, then
 * away with the old: at no time is there none. protocol/mail.md §9, Writing
 */
import { assert, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { DeliveryOptions, DeliveryOut, Told } from "./delivery-contract.ts";
import { departure, type Flights } from "./flights.ts";
import { type Lane, routeOf } from "./lane.ts";
import { BAZAAR } from "./route.ts";
import type { Ways } from "./ways.ts";

/** Whose it is, and where to put what is to be done. */
export interface TellingOptions extends Pick<DeliveryOptions, "peer" | "messageId" | "told"> {
  readonly ways: Ways;
  readonly flights: Flights;
  readonly put: (out: DeliveryOut) => void;
}

/** What the peer is told. A lane with `tell` "due" wants `fly` when there is room on it. */
export class Telling {
  readonly #options: TellingOptions;
  readonly #told: Map<Hashname, Told>;
  #latest: { bytes: Uint8Array; id: string; expires: Time; isHanded: boolean } | undefined;

  constructor(options: TellingOptions) {
    this.#options = options;
    this.#told = new Map(options.told);
  }

  /** There is a new one, sealed: nobody needs the one before. */
  tell(bytes: Uint8Array, expires: Time): void {
    const { ways, messageId } = this.#options;
    this.#latest = { bytes, id: messageId(bytes), expires, isHanded: false };
    for (const lane of ways.all()) if (lane.tell === "due") lane.tell = "none";
    this.spread();
    for (const lane of ways.all()) if (lane.tell === "due") lane.isProbe = true;
  }

  /** Over the link while it is up; else to one cache of each failure domain, none of which waits for another, and the bazaar. */
  spread(): void {
    if (this.#latest === undefined || this.#latest.isHanded) return;
    const { ways } = this.#options;
    const away = ways.awayForTold();
    const lanes = ways.direct.up || away.length === 0 ? [ways.direct] : away;
    for (const lane of lanes) if (lane.tell === "none") lane.tell = "due";
  }

  /** It leaves over the lane. */
  fly(lane: Lane): void {
    const latest = this.#latest;
    assert(latest !== undefined, "a lane is told only what there is");
    lane.tell = "flying";
    const { id, bytes, expires } = latest;
    const { peer, flights, put } = this.#options;
    const flight = flights.launch({ lane, parcel: undefined, part: 0, id });
    if (lane.type !== "direct") {
      const ids = this.#told.get(lane.key)?.ids.filter((old) => old !== id) ?? [];
      this.#told.set(lane.key, { uri: lane.offer.uri, ids: [...ids.slice(1 - TOLD_LIMIT), id] });
      this.#putTold();
    }
    put(departure({ lane, id }, { flight, peer, bytes, expires }));
  }

  /** The one with this id was taken, or was not. */
  landed(lane: Lane, id: string | undefined, ok: boolean, now: Time): void {
    const latest = this.#latest;
    assert(latest !== undefined, "a lane is told only what there is");
    const isLatest = latest.id === id;
    lane.tell = isLatest && (ok || now >= latest.expires) ? "none" : "due";
    const away = this.#options.ways.awayForTold();
    if (!ok && lane.type === "direct" && away.length > 0) {
      lane.tell = "none";
      if (latest.isHanded) return;
      for (const other of away) if (other.tell === "none") other.tell = "due";
    }
    if (!ok) return;
    const { peer, put } = this.#options;
    const told = this.#told.get(lane.key);
    const older = told?.ids.filter((old) => old !== id) ?? [];
    if (told !== undefined && lane.type !== "direct" && isLatest && older.length > 0) {
      this.#told.set(lane.key, { uri: told.uri, ids: told.ids.filter((old) => old === id) });
      put({ type: "withdraw", to: peer, route: routeOf(lane, peer), ids: older });
    }
    if (!isLatest || latest.isHanded) return;
    latest.isHanded = true;
    put({ type: "told" });
  }

  /** What lies on the lane may be gone. */
  again(lane: Lane): void {
    const { ids = [] } = this.#told.get(lane.key) ?? {};
    if (lane.tell === "none" && this.#latest !== undefined && ids.includes(this.#latest.id)) lane.tell = "due";
  }

  /** The peer has another key in the bazaar: what was left there for the one before is taken back; it goes anew. */
  move(): void {
    const { ways, peer, put } = this.#options;
    const [mark, told] = [ways.bazaar?.offer.uri, this.#told.get(BAZAAR)];
    if (mark === undefined || told === undefined || told.uri === mark) return;
    this.#told.delete(BAZAAR);
    put({ type: "withdraw", to: peer, route: { type: "bazaar", peer, mark: told.uri }, ids: told.ids });
    this.#putTold();
    if (this.#latest !== undefined && told.ids.includes(this.#latest.id)) this.#latest.isHanded = false;
  }

  /** Nobody is told anything more. */
  end(): void {
    for (const lane of this.#options.ways.all()) lane.tell = "none";
    this.#latest = undefined;
  }

  #putTold(): void {
    this.#options.put({ type: "told-state", told: this.#told });
  }
}

const TOLD_LIMIT = 8; // acknowledgements remembered per cache
