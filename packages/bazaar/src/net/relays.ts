/**
 * Where we are found by those who cannot dial us: a place reserved at each relay that we were told of, asked for again when it was
 * lost. libp2p itself asks once, and does not start where the relay is away just then.
 */
import type { Libp2p, PeerId } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { RestanteError } from "restante";
import { within } from "./within.ts";

/** Addresses to listen at: our own, and those at relays. */
export interface ListenAddresses {
  readonly own: readonly string[];
  readonly relayed: readonly Multiaddr[];
}

/** Sorts them. Throws "bad-address" for what is no multiaddr, and for a relay without a name: libp2p would look for one without end. */
export function listenAddresses(texts: readonly string[]): ListenAddresses {
  const own: string[] = [];
  const relayed: Multiaddr[] = [];
  for (const text of texts) {
    const address = parse(text);
    if (!/\/(tcp|p2p-circuit)(\/|$)/.test(text)) throw noAddress(text);
    if (!text.includes("/p2p-circuit")) own.push(address.toString());
    else if (RELAYED.test(text)) relayed.push(address);
    else throw new RestanteError("bad-address", `"${text}" names no relay: /ip4/ADDRESS/tcp/PORT/p2p/ID/p2p-circuit`);
  }
  return { own, relayed };
}

/** Keeps the places at relays, from `start` to `stop`. */
export class Reservations {
  readonly #node: Libp2p;
  readonly #relayed: readonly Multiaddr[];
  /** Those that libp2p listens at: from then on only the reservation is renewed. */
  readonly #listening = new Set<Multiaddr>();
  #stopped = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isBusy = false;

  constructor(node: Libp2p, relayed: readonly Multiaddr[]) {
    this.#node = node;
    this.#relayed = relayed;
  }

  start(): void {
    if (this.#relayed.length === 0) return;
    this.#stopped = new AbortController();
    this.#listening.clear();
    const { signal } = this.#stopped;
    this.#node.addEventListener("peer:disconnect", ({ detail }) => this.#left(detail), { signal });
    this.#in(0);
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  #left(peer: PeerId): void {
    const isRelay = this.#relayed.some((address) => address.toString().includes(`/p2p/${peer}/p2p-circuit`));
    if (isRelay) this.#in(SOON_MS);
  }

  #in(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped.signal.aborted) this.#timer = setTimeout(() => void this.#renew(), ms).unref();
  }

  async #renew(): Promise<void> {
    if (!this.#isBusy) {
      this.#isBusy = true;
      // One after the other: they are few.
      for (const address of this.#relayed) await this.#reserve(address).catch(() => {});
      this.#isBusy = false;
    }
    this.#in(AGAIN_MS);
  }

  async #reserve(address: Multiaddr): Promise<void> {
    const signal = within(DIAL_MS, this.#stopped.signal);
    const relay = address.decapsulate("/p2p-circuit");
    const { remotePeer } = await this.#node.dial(relay, { signal });
    const { transportManager } = (this.#node as unknown as Inside).components;
    const circuit = transportManager.getTransports().find((each) => "reservationStore" in each);
    const places = circuit?.reservationStore;
    if (places?.hasReservation(remotePeer)) return;
    // Only now that the relay is there: each attempt to listen leaves something behind in libp2p.
    if (this.#listening.has(address)) await places?.addRelay(remotePeer, "configured");
    else {
      this.#listening.add(address);
      await transportManager.listen([address]);
    }
  }
}

/** What libp2p's class has and its interface does not show. */
interface Inside {
  readonly components: {
    readonly transportManager: {
      getTransports(): { readonly reservationStore?: Places }[];
      listen(addresses: readonly Multiaddr[]): Promise<void>;
    };
  };
}

interface Places {
  hasReservation(relay: PeerId): boolean;
  addRelay(relay: PeerId, type: "configured"): Promise<unknown>;
}

function parse(text: string): Multiaddr {
  try {
    return multiaddr(text);
  } catch (cause) {
    throw noAddress(text, cause);
  }
}

function noAddress(text: string, cause?: unknown): RestanteError {
  return new RestanteError("bad-address", `"${text}" is no address to listen at: /ip4/0.0.0.0/tcp/4001`, { cause });
}

const RELAYED = /^\/.+\/p2p\/[A-Za-z0-9]+\/p2p-circuit$/;
const SOON_MS = 1000;
const AGAIN_MS = 15_000;
const DIAL_MS = 10_000;
