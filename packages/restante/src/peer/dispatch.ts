/**
 * Dispatch: where a message of our mail goes by its route: into a box, over a link, or into the bazaar; and where it is taken back.
 * protocol/mail.md §10; protocol/admission.md
 */
import { boxId } from "../box/index.ts";
import { assert, type Time } from "../bytes/index.ts";
import type { Crypto, Hashname, Identity } from "../crypto/index.ts";
import type { MailOut, Route } from "../mail/index.ts";
import type { Book } from "./book.ts";
import type { Links } from "./links.ts";
import type { Step } from "./step.ts";

export interface DispatchOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly book: Book;
  readonly links: Links;
}

/** Finds the place for what mail delivers and withdraws. */
export class Dispatch {
  readonly #options: DispatchOptions;

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  /** A deposit with the number that mail gave it, perhaps a second one besides; or a message for the bazaar. */
  deliver({ id, to, bytes, expires, message = "", route }: Deliver, now: Time): Step[] {
    if (route.type === "bazaar") {
      const { at, mark } = route;
      assert(at !== undefined, "what is left in the bazaar is left for somebody there");
      return [{ type: "deliver", id, ref: this.#refOf(to, message, mark), to: at, bytes }];
    }
    const x = Math.max(1, Math.ceil((expires - now) / 1000));
    const { places, steps } = this.#places(route, to, now);
    const deposits = places.map(({ isSecond, ...place }): Step => {
      return { child: "outbox", input: { type: "deposit", ...place, id: isSecond ? SECOND - id : id, to, x, bytes } };
    });
    return [...steps, ...deposits];
  }

  /** Takes messages back, wherever they went by this route. */
  withdraw({ to, ids, route }: Withdraw, now: Time): Step[] {
    if (route.type === "bazaar") {
      const { mark } = route;
      return [{ type: "withdraw", refs: ids.map((id) => this.#refOf(to, id, mark)) }];
    }
    const { places, steps } = this.#places(route, to, now);
    const removals = places.map(({ via, uri }): Step => {
      return { child: "outbox", input: { type: "remove", via, to, ids, ...(uri !== undefined && { uri }) } };
    });
    return [...steps, ...removals];
  }

  /** What a message for `to` is called in the bazaar. */
  #refOf(to: Hashname, message: string, mark: string): string {
    const { crypto, identity } = this.#options;
    return `${boxId(crypto.backend, identity.hashname, to)}-${message}-${mark}`;
  }

  /** Where a message for `to` goes by this route, after the link was asked for with what is shown there. */
  #places(route: BoxRoute, to: Hashname, now: Time): { places: readonly Place[]; steps: readonly Step[] } {
    const { book, links } = this.#options;
    const place = placeOf(route);
    const { via, uri } = place;
    const second = uri === undefined ? undefined : book.secondUri(to, via);
    const isSecond = second !== undefined && second !== uri;
    const uris = [...(isSecond ? [second] : []), ...(uri === undefined ? [] : [uri])];
    const places = isSecond ? [place, { via, uri: second, isSecond: true } as const] : [place];
    return { places, steps: links.show(via, uris, now) };
  }
}

/** Is it the number of a second deposit? Mail counts the first alone: the same bytes under another URI are one message to a cache. */
export function isSecondDeposit(id: number): boolean {
  return id <= SECOND;
}

/** Where a route hands over, and the admission URI to show there. */
function placeOf(route: BoxRoute): Place {
  if (route.type === "direct") return { via: route.peer };
  return { via: route.cache, ...(route.uri === "" ? {} : { uri: route.uri }) };
}

interface Place {
  readonly via: Hashname;
  readonly uri?: string;
  readonly isSecond?: true;
}

type Deliver = Extract<MailOut, { type: "deliver" }>;
type Withdraw = Extract<MailOut, { type: "withdraw" }>;

/** The routes on which boxes and links lie. */
type BoxRoute = Exclude<Route, { readonly type: "bazaar" }>;

/** Of the ids of deposits: `SECOND - id` is the second of the deposit `id`. */
const SECOND = -1;
