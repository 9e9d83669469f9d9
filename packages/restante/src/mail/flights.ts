/** Flights: what left for one peer and was not answered yet. Counts them where they count: on the lane and in the slots of all. */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { DeliveryOptions, DeliveryOut } from "./delivery-contract.ts";
import { type Lane, routeOf } from "./lane.ts";
import type { Parcel } from "./parcel.ts";

/** One part, or one acknowledgement, on its way over one lane. */
export interface Flight {
  readonly lane: Lane;
  /** `undefined`: an acknowledgement. */
  readonly parcel: Parcel | undefined;
  readonly part: number;
  /** Id of the message; of a part it is known when that is sealed, and of one for the link it is never needed. */
  id: string | undefined;
}

/** The flights of one delivery, by number. */
export class Flights {
  readonly #options: Pick<DeliveryOptions, "flights" | "slots">;
  readonly #flights = new Map<number, Flight>();

  constructor(options: Pick<DeliveryOptions, "flights" | "slots">) {
    this.#options = options;
  }

  /** `undefined`: it has landed, or never was. */
  get(number: number): Flight | undefined {
    return this.#flights.get(number);
  }

  /** Takes a slot, which is free, and gives the number of the flight. */
  launch(flight: Flight): number {
    const number = this.#options.flights();
    this.#flights.set(number, flight);
    flight.lane.flying++;
    flight.lane.isProbe = false;
    this.#options.slots.used++;
    return number;
  }

  /** The answer is here, whatever it is; `undefined`: it was already, or there was no such flight. */
  land(number: number): Flight | undefined {
    const flight = this.#flights.get(number);
    if (flight === undefined) return undefined;
    this.#flights.delete(number);
    flight.lane.flying--;
    this.#options.slots.used--;
    if (flight.parcel !== undefined) flight.lane.progress.get(flight.parcel)?.flying.delete(flight.part);
    return flight;
  }

  /** Nobody waits for any answer more. */
  end(): void {
    for (const number of [...this.#flights.keys()]) this.land(number);
  }
}

/** The message leaves. Over a link it needs no id. */
export function departure(
  { lane, id }: Pick<Flight, "lane" | "id">,
  rest: { readonly flight: number; readonly peer: Hashname; readonly bytes: Uint8Array; readonly expires: Time },
): DeliveryOut {
  const { flight, peer, bytes, expires } = rest;
  const message = lane.type === "direct" ? undefined : id;
  const route = routeOf(lane, peer);
  return { type: "deliver", flight, route, ...(message !== undefined && { message }), bytes, expires };
}
