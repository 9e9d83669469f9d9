/** Channels of applications over JSON-RPC: each has a number here, and packets travel as telehash's packets in base64. docs/api.md */
import { type JsonObject, type Peer, type PeerChannel, RestanteError } from "restante";
import { encodePacket, isObject, parseHashname, parsePacket } from "restante/protocol";
import { waitOf, within } from "./rpc-wait.ts";

/** A channel, and its next packet: whoever asked for it may not have stayed to see it. */
interface Open {
  readonly c: number;
  readonly channel: PeerChannel;
  /** Did the other end open it? */
  readonly isTheirs: boolean;
  packet: JsonPacket | undefined;
  /** It was asked for, and has not come. */
  isComing: boolean;
  /** Told when it comes: of the one who waits. */
  arrived: ((packet: JsonPacket) => void) | undefined;
  isOver: boolean;
}

interface JsonPacket {
  readonly head: JsonObject;
  readonly body: Uint8Array;
}

/** All that were opened by JSON-RPC, and those of the types that a caller of `meshWait` named. */
export class RpcChannels {
  readonly #peer: Peer;
  readonly #tell: (event: object) => void;
  readonly #open = new Map<number, Open>();
  readonly #stops = new Map<string, () => void>();
  #askedAt = 0;
  #waiting = 0;
  #opening = 0;
  #coming = 0;
  #last = 0;

  /** `tell`: is given the events "chan" of channels that others open. */
  constructor(peer: Peer, tell: (event: object) => void) {
    this.#peer = peer;
    this.#tell = tell;
  }

  /** The types of `{types}`, besides those that were named before. Who says no more for an hour that it waits is given none. */
  serve(wanted: unknown): void {
    this.#askedAt = performance.now();
    if (wanted === undefined) return;
    const types: unknown =
      typeof wanted === "object" && wanted !== null && "types" in wanted ? wanted.types : undefined;
    if (!Array.isArray(types) || types.length > MAX_TYPES || !types.every((type) => typeof type === "string"))
      throw new RestanteError("bad-request", `behind the mesh stand at most ${MAX_TYPES} types: {"types": ["..."]}`);
    const fresh = new Set<string>(types.filter((type: string) => !this.#stops.has(type)));
    if (this.#stops.size + fresh.size > MAX_TYPES) throw new RestanteError("full", `at most ${MAX_TYPES} types`);
    const stops: [string, () => void][] = [];
    try {
      for (const type of fresh) stops.push([type, this.#peer.channels(type, (channel) => this.#incoming(channel))]);
    } catch (error) {
      for (const [, stop] of stops) stop(); // all of them, or none
      throw error;
    }
    for (const [type, stop] of stops) this.#stops.set(type, stop);
  }

  /** Somebody is there as long as this takes: who waits says nothing until something comes. */
  async whileWaiting<T>(wait: Promise<T>): Promise<T> {
    this.#waiting++;
    try {
      return await wait;
    } finally {
      this.#waiting--;
      this.#askedAt = performance.now();
    }
  }

  /** Opens a channel: `open` is the head of its first packet, or all of that in base64. A `seq` of 1 makes it reliable. */
  async open(link: unknown, open: unknown): Promise<object> {
    const { head, body } = typeof open === "string" ? packetOf(open) : { head: open, body: new Uint8Array(0) };
    if (!isObject(head as JsonObject) || typeof link !== "string")
      throw new RestanteError("bad-request", 'params are [mesh, link, {"type": "...", "seq": 1, ...}]');
    const { c: _, type, seq, ack, ...rest } = head as JsonObject;
    if (typeof type !== "string" || (seq !== undefined && seq !== 1))
      throw new RestanteError("bad-request", "who opens a channel says its type; seq is 1 where it is reliable");
    if (parseHashname(link) === undefined)
      throw new RestanteError("not-found", "a link is named by a hashname: `contacts` says those of each contact");
    this.#makeRoom(false);
    const reliable = seq === 1;
    this.#opening++;
    const opening = this.#peer.openChannel(link, type, { head: rest, body, reliable });
    const { c } = this.#add(await opening.finally(() => this.#opening--), false);
    return { c, chan: textOf({ c, type, ...(reliable && { seq: 1 }), ...rest }, body) };
  }

  /** Sends the packet that is in `{send}`, in base64: on the channel `c`, with `end` our last; `err` ends it at once. */
  async send(link: unknown, given: unknown): Promise<object> {
    const packet = typeof given === "object" && given !== null && "send" in given ? given.send : given;
    if (typeof packet !== "string")
      throw new RestanteError("bad-request", 'params are [mesh, link, {"send": "base64"}]');
    const { head, body } = packetOf(packet);
    const { c, end, err, seq, ack, miss, ...rest } = head;
    const { channel } = this.#find(link, c);
    if (err !== undefined) channel.abort(typeof err === "string" ? err : "error");
    else if (end === true) await channel.end({ head: rest, body });
    else await channel.send({ head: rest, body });
    return {};
  }

  /** The next packet of the channel `c`, waited for until it comes, or for `wait` seconds: then the answer is empty. */
  async receive(link: unknown, asked: unknown, gone: AbortSignal): Promise<object> {
    const c = typeof asked === "object" && asked !== null && "c" in asked ? asked.c : asked;
    const ms = waitOf(asked);
    const open = this.#find(link, c);
    if (open.arrived !== undefined) throw new RestanteError("busy", "somebody waits for its next packet already");
    try {
      const packet = await within(this.#next(open), ms, gone);
      if (packet === undefined) return {};
      open.packet = undefined;
      if (packet.head["err"] !== undefined || (packet.head["end"] === true && open.isOver)) this.#open.delete(open.c);
      return { chan: textOf(packet.head, packet.body) };
    } finally {
      open.arrived = undefined;
    }
  }

  /** A promise for each who waits: one that lived as long as the channel would keep all who ever did. */
  #next(open: Open): Promise<JsonPacket> {
    return new Promise((resolve) => {
      open.arrived = resolve;
      if (open.packet !== undefined) resolve(open.packet);
      else if (!open.isComing) void this.#read(open);
    });
  }

  async #read(open: Open): Promise<void> {
    open.isComing = true;
    const packet = await this.#received(open);
    open.isComing = false;
    open.packet = packet;
    open.arrived?.(packet);
  }

  async #received({ c, channel }: Open): Promise<JsonPacket> {
    try {
      const packet = await channel.receive();
      if (packet === undefined) return { head: { c, end: true }, body: NOTHING };
      return { head: { c, ...packet.head }, body: packet.body };
    } catch {
      const { why = "error" } = await channel.closed;
      return { head: { c, err: why }, body: NOTHING };
    }
  }

  async #incoming(channel: PeerChannel): Promise<void> {
    if (this.#waiting === 0 && performance.now() - this.#askedAt > LAPSE_MS) {
      for (const stop of this.#stops.values()) stop();
      this.#stops.clear();
      channel.abort("unknown type"); // as it is from now on
      return;
    }
    try {
      this.#makeRoom(true);
    } catch {
      channel.abort("full");
      return;
    }
    const { type, hashname, reliable } = channel;
    this.#coming++;
    const packet = await channel.receive().finally(() => this.#coming--); // of the one that opened it, so it is there
    const { c } = this.#add(channel, true);
    const head = { c, type, ...(reliable && { seq: 1 }), ...packet?.head };
    this.#tell({ event: "chan", link: { hashname }, c, chan: textOf(head, packet?.body ?? NOTHING) });
  }

  #add(channel: PeerChannel, isTheirs: boolean): Open {
    const open: Open = {
      ...{ c: ++this.#last, channel, isTheirs, isOver: false },
      ...{ packet: undefined, isComing: false, arrived: undefined },
    };
    this.#open.set(open.c, open);
    channel.closed.then(() => {
      open.isOver = true;
    });
    return open;
  }

  /** Throws "full". What others open leaves half of the room for ours. */
  #makeRoom(isTheirs: boolean): void {
    const all = [...this.#open.values()];
    if (isTheirs) {
      const theirs = all.filter((open) => open.isTheirs);
      this.#forget(theirs, MAX_THEIRS - this.#coming);
    }
    this.#forget(all, MAX_CHANNELS - this.#coming - this.#opening);
  }

  /** Of those that are over, and nobody asked about, so many that there is room for one more below `most`. */
  #forget(opens: readonly Open[], most: number): void {
    let count = opens.filter(({ c }) => this.#open.has(c)).length;
    for (const { c, isOver } of opens) {
      if (count < most) return;
      if (isOver && this.#open.delete(c)) count--;
    }
    if (count >= most)
      throw new RestanteError("full", `at most ${MAX_CHANNELS} channels, half of them opened by others`);
  }

  #find(link: unknown, c: unknown): Open {
    const open = typeof c === "number" ? this.#open.get(c) : undefined;
    if (open === undefined || open.channel.hashname !== link)
      throw new RestanteError("not-found", "there is no such channel on this link");
    return open;
  }
}

function packetOf(base64: string): { readonly head: JsonObject; readonly body: Uint8Array } {
  const isBase64 = /^[A-Za-z0-9+/]*={0,2}$/.test(base64) && base64.length <= MAX_BASE64;
  const packet = isBase64 ? parsePacket(new Uint8Array(Buffer.from(base64, "base64"))) : undefined;
  if (packet?.json === undefined)
    throw new RestanteError("bad-packet", "this is no packet with a JSON head, in base64");
  return { head: packet.json, body: packet.body };
}

function textOf(head: JsonObject, body: Uint8Array): string {
  return Buffer.from(encodePacket(head, body)).toString("base64");
}

const NOTHING = new Uint8Array(0);
const MAX_CHANNELS = 64;
const MAX_THEIRS = MAX_CHANNELS / 2;
const MAX_TYPES = 64;
const LAPSE_MS = 3_600_000;
const MAX_BASE64 = 4096; // characters; a packet has at most 1400 bytes
