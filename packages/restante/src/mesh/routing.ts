/**
 * Routing: peers that cannot reach each other straight say their handshakes to a third one, which passes them on, and
 * then their channel packets too, none of which it can read. Here: what the router decides and remembers.
 * protocol/routing.md
 */
import { Budget, Budgets, type Time, toHex } from "../bytes/index.ts";
import { type Backend, type Hashname, parseCsid, routingToken } from "../crypto/index.ts";
import { packetRoom, parseHandshake } from "../e3x/index.ts";
import { type JsonObject, parsePacket, text } from "../wire/index.ts";

/** The policy of a router: an explicit choice of who runs it. */
export interface Routing {
  /** Whether `from`, which is linked to us and asks for it, may reach `to` by us. */
  allows(from: Hashname, to: Hashname): boolean;
  /** What passes between the two of a pair, both directions together; 256 KiB unless given. */
  readonly bytesPerSecond?: number;
}

/** What the BODY of a `peer` or `connect` packet holds. */
export type Attached =
  /** For whom it is sealed: `body` is that of the outer packet. */
  | { readonly type: "handshake"; readonly body: Uint8Array }
  /** In the clear, from one who has only our hashname. `keys`: a key packet of set `csid`, if it has one. */
  | { readonly type: "introduction"; readonly csid: number | undefined; readonly keys: Uint8Array };

/** Reads such a BODY; `undefined` when it is no handshake message at all, sealed or not. Never throws. */
export function parseAttached(bytes: Uint8Array): Attached | undefined {
  const packet = parsePacket(bytes);
  if (packet?.head.length === 1)
    return packet.body.length < TOKEN_BYTES ? undefined : { type: "handshake", body: packet.body };
  const handshake = parseHandshake(bytes);
  if (handshake === undefined) return undefined;
  const { type, json, body } = handshake.message;
  const csid = type === "key" ? parseCsid(text(json, "csid") ?? "") : undefined;
  return { type: "introduction", csid, keys: body };
}

/** The head with which a packet is put into the BODY of a channel; `undefined` when it is too long for any router. */
export function peerHead(peer: Hashname, uri: string | undefined, packet: Uint8Array): JsonObject | undefined {
  const head: JsonObject = { type: "peer", peer, uri };
  return fits(head, packet) && fits(connectHead(peer), packet) ? head : undefined;
}

/** The head with which a router passes it on; `peer` is who asked. */
export function connectHead(peer: Hashname): JsonObject {
  return { type: "connect", peer };
}

export function fits(head: JsonObject, body: Uint8Array): boolean {
  return body.length <= packetRoom(head, false);
}

/** Packets that `peer` sends under a token of `owner`'s go to `owner`. */
export interface Bridge {
  readonly owner: Hashname;
  readonly peer: Hashname;
  /** Both forms, hex. */
  readonly tokens: readonly string[];
  readonly budget: Budget;
  used: Time;
}

/** What a router keeps. All of it may be lost at any time: the next handshake brings it back. */
export class Router {
  readonly #backend: Backend;
  readonly #routing: Routing;
  readonly #byToken = new Map<string, Bridge>();
  readonly #byUse = new Set<Bridge>(); // the least recently used first
  readonly #byOwner = new Map<Hashname, Set<Bridge>>(); // likewise
  readonly #flows: Budgets<string>;
  readonly #askers: Budgets<Hashname> = new Budgets(() => new Budget(ASKER_PER_SECOND), BUDGETS);
  readonly #asked: Budgets<Hashname> = new Budgets(() => new Budget(ASKED_PER_SECOND), BUDGETS);
  readonly #pairs: Budgets<string> = new Budgets(() => new Budget(PAIR_PER_SECOND, PAIR_AT_ONCE), BUDGETS);

  constructor(backend: Backend, routing: Routing) {
    this.#backend = backend;
    this.#routing = routing;
    this.#flows = new Budgets(() => new Budget(routing.bytesPerSecond ?? BYTES_PER_SECOND), BUDGETS);
  }

  /** Whether one handshake from the one to the other is passed on now. */
  admits(from: Hashname, to: Hashname, now: Time): boolean {
    if (from === to || !this.#routing.allows(from, to)) return false;
    return this.#pairs.of(`${from} ${to}`).take(now) && this.#askers.of(from).take(now) && this.#asked.of(to).take(now);
  }

  /**
   * `owner` sent `peer` a sealed handshake with this BODY: what comes back under its token, hashed or raw (X2), goes to
   * `owner`. A token belongs to who used it first, for as long as it is in use: so nobody takes another's packets.
   */
  connect(body: Uint8Array, owner: Hashname, peer: Hashname, now: Time): void {
    const tokens = [toHex(routingToken(this.#backend, body)), toHex(body.subarray(0, TOKEN_BYTES))];
    const known = tokens.map((token) => this.#byToken.get(token)).find((bridge) => bridge !== undefined);
    if (known !== undefined) {
      if (known.owner === owner && known.peer === peer) this.#touch(known, now);
      return;
    }
    const own = this.#byOwner.get(owner);
    const [oldestOwn] = own !== undefined && own.size >= BRIDGES_OF_ONE ? own : [];
    if (oldestOwn !== undefined) this.#remove(oldestOwn);
    const [oldest] = this.#byUse.size >= BRIDGES ? this.#byUse : [];
    if (oldest !== undefined) this.#remove(oldest);
    const flow = owner < peer ? `${owner} ${peer}` : `${peer} ${owner}`;
    const bridge: Bridge = { owner, peer, tokens, budget: this.#flows.of(flow), used: now };
    for (const token of tokens) this.#byToken.set(token, bridge);
    this.#enter(bridge);
  }

  /** Whose token (hex, either form) this is. */
  find(token: string): Bridge | undefined {
    return this.#byToken.get(token);
  }

  /** Whether a packet of so many bytes goes over the bridge now. */
  passes(bridge: Bridge, bytes: number, now: Time): boolean {
    if (bytes > PACKET_BYTES || !bridge.budget.take(now, bytes)) return false;
    // Often enough for the order by use, and seldom enough to cost nothing.
    if (now < bridge.used || now >= bridge.used + TOUCH_MS) this.#touch(bridge, now);
    return true;
  }

  /** Forgets what nobody used for long. */
  expire(now: Time): void {
    for (const bridge of this.#byUse) {
      if (bridge.used + BRIDGE_MS > now) return;
      this.#remove(bridge);
    }
  }

  deadline(): Time | undefined {
    const [oldest] = this.#byUse;
    return oldest && oldest.used + BRIDGE_MS;
  }

  /** How many tokens' owners are remembered. */
  get size(): number {
    return this.#byUse.size;
  }

  #touch(bridge: Bridge, now: Time): void {
    bridge.used = now;
    this.#byUse.delete(bridge);
    this.#byOwner.get(bridge.owner)?.delete(bridge);
    this.#enter(bridge);
  }

  #enter(bridge: Bridge): void {
    const own = this.#byOwner.get(bridge.owner) ?? new Set();
    this.#byOwner.set(bridge.owner, own.add(bridge));
    this.#byUse.add(bridge);
  }

  #remove(bridge: Bridge): void {
    for (const token of bridge.tokens) this.#byToken.delete(token);
    this.#byUse.delete(bridge);
    const own = this.#byOwner.get(bridge.owner);
    own?.delete(bridge);
    if (own?.size === 0) this.#byOwner.delete(bridge.owner);
  }
}

const TOKEN_BYTES = 16;
const PACKET_BYTES = 1400; // channels.md §3
const BRIDGES = 16_384;
const BRIDGES_OF_ONE = 256; // a link has one exchange in use, and soon another after a restart
const BRIDGE_MS = 5 * 60_000; // ten keepalives: each is a handshake, which renews it
const TOUCH_MS = 1_000;
const BYTES_PER_SECOND = 256 * 1024;
// Handshakes. A peer with a hundred links that starts anew sends all of them at once, and again after 1, 3, 8, 20 s.
const ASKER_PER_SECOND = 20;
const ASKED_PER_SECOND = 40;
const PAIR_PER_SECOND = 4;
const PAIR_AT_ONCE = 16;
const BUDGETS = 8_192;
