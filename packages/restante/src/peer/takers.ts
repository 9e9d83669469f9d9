/**
 * Takers: devices of contacts that use the cache which we offer. A cache keeps no list of its recipients; of these alone it has one,
 * since it is the address book that let them in, and who leaves that has no place here any more. protocol/card.md §7
 */
import { asJson, ofJson, type Save, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";

interface Taker {
  /** Id of the contact whose device it is. */
  readonly contact: string;
  /** When that was written. */
  readonly at: Time;
  /** It may use the cache no more. */
  readonly isOver?: true;
}

/** Those whose place is over, and what is to be written about them. */
export interface Ended {
  readonly saves: readonly Save[];
  readonly peers: readonly Hashname[];
}

/** All of them, and as many again whose place is over: what the cache gave them is good for ever unless we remember. */
export class Takers {
  /** Oldest first. */
  readonly #all = new Map<Hashname, Taker>();
  #revision = 0;

  /** `saved`: keys "peer/taker/...". */
  constructor(saved: ReadonlyMap<string, Uint8Array>) {
    const all: [hashname: Hashname, taker: Taker][] = [];
    for (const [key, value] of saved)
      if (key.startsWith(TAKER)) all.push([key.slice(TAKER.length) as Hashname, ofJson<Taker>(value)]);
    for (const [hashname, taker] of all.sort(([, a], [, b]) => a.at - b.at)) this.#all.set(hashname, taker);
  }

  /** Another number whenever what `isOver` says of somebody has changed. */
  get revision(): number {
    return this.#revision;
  }

  /** How many have a place. */
  get count(): number {
    return [...this.#all.values()].filter(({ isOver }) => !isOver).length;
  }

  /** Whether it had a place, and has none any more. */
  isOver(hashname: Hashname): boolean {
    return this.#all.get(hashname)?.isOver === true;
  }

  /** A place for a device of this contact; `undefined`: as many of its devices as may have one. */
  take(hashname: Hashname, contact: string, now: Time): Save[] | undefined {
    const known = this.#all.get(hashname);
    if (known?.isOver === undefined && known?.contact === contact) return [];
    const others = [...this.#all].filter(([each, { contact: whose, isOver }]) => {
      return each !== hashname && whose === contact && !isOver;
    });
    return others.length < MAX_TAKERS ? this.#put(hashname, { contact, at: now }) : undefined;
  }

  /** It came by the operator's own link: what happens to the contact does not matter any more. */
  settle(hashname: Hashname): Save[] {
    if (!this.#all.delete(hashname)) return [];
    this.#revision++;
    return [{ type: "save", key: TAKER + hashname, value: undefined }];
  }

  /** These have a place no more, of those who have one. */
  end(isMeant: (hashname: Hashname, contact: string) => boolean, now: Time): Ended {
    const meant = [...this.#all].filter(([hashname, { contact, isOver }]) => !isOver && isMeant(hashname, contact));
    const saves = meant.flatMap(([hashname, { contact }]) => this.#put(hashname, { contact, at: now, isOver: true }));
    return { saves: [...saves, ...this.#forget()], peers: meant.map(([hashname]) => hashname) };
  }

  #put(hashname: Hashname, taker: Taker): Save[] {
    this.#revision++;
    this.#all.delete(hashname);
    this.#all.set(hashname, taker);
    return [{ type: "save", key: TAKER + hashname, value: asJson(taker) }];
  }

  #forget(): Save[] {
    const over = [...this.#all].filter(([, { isOver }]) => isOver);
    return over.slice(0, Math.max(0, over.length - MAX_OVER)).flatMap(([hashname]) => this.settle(hashname));
  }
}

const TAKER = "peer/taker/";
const MAX_TAKERS = 4; // devices of one contact, each of which is a recipient with a quota of its own
const MAX_OVER = 4_096; // who was removed before so many others may use what it has
