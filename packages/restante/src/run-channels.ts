/** Channels of applications as the library's users have them: objects over what the root machine is asked. protocol/application.md */
import type { ApplicationCall, Content, Opening } from "./application/index.ts";
import { isApplicationType } from "./application/index.ts";
import { RestanteError } from "./bytes/index.ts";
import type { Hashname } from "./crypto/index.ts";
import type { Driver, DriverState } from "./driver.ts";
import type { Root } from "./peer.ts";
import { encodeJson, isObject, type JsonObject, parseJson } from "./wire/index.ts";

/** A packet on its way out. Head and body have room for some 1200 bytes together. */
export interface OutgoingPacket {
  /**
   * JSON without the fields c, type, seq, ack, miss, end and err, which belong to the channel; 56 fields and 8 levels at most.
   * Default: none.
   */
  readonly head?: JsonObject;
  /** Default: none. */
  readonly body?: Uint8Array;
}

/** A packet as it came. Whole numbers beyond 2^53-1 in its head are `bigint`. */
export interface IncomingPacket {
  readonly head: JsonObject;
  readonly body: Uint8Array;
}

/** How a channel ended. */
export interface ChannelEnd {
  /**
   * Absent: both ends ended it, and everything was taken. Else "removed" (no contact any more), "idle" (ten minutes), "unread" (2 MiB of
   * this contact's wait to be received), "restarted", "stopped", the word of the link ("timeout", "renewed", "left", ...), or what the
   * other end said, at most 200 characters: "unknown type" where it serves none of this type, or not for us.
   */
  readonly why?: string;
}

/**
 * A channel between an application here and one at a contact, while both are there. Packets travel encrypted, over the link. It ends with
 * the link: nothing of it is kept, and nobody opens it again. After ten minutes without a packet it ends as well.
 */
export interface PeerChannel extends AsyncIterable<IncomingPacket> {
  readonly type: string;
  /** The device at the other end. */
  readonly hashname: Hashname;
  /** Packets come once and in order, or the channel ends. If not, they may be missing, come twice, or in another order. */
  readonly reliable: boolean;
  /**
   * Resolves when the packet is on its way; on a reliable channel only then when there is room for it, so that who waits for it is never
   * faster than the other end receives. Codes: "channel-closed", "channel-ended", "busy" (64 wait already), "bad-packet", "too-large".
   */
  send(packet: OutgoingPacket): Promise<void>;
  /**
   * The next packet, for one caller after the other; `undefined` behind the last. The first of a channel that the other end opened is the one that
   * opened it. A reliable channel that nobody receives from stops the other end; of an unreliable one is lost what comes while 64
   * packets wait. Where it broke: a `ChannelBroken`, its code "channel-closed", with the reason.
   */
  receive(): Promise<IncomingPacket | undefined>;
  /** Our last packet, behind all that was sent before. What the other end says can be received after it. Codes as of `send`. */
  end(packet?: OutgoingPacket): Promise<void>;
  /** End it at once, whatever is under way. `why`: told to the other end, at most 200 characters. */
  abort(why?: string): void;
  /** Resolves when it is over. Never rejects. */
  readonly closed: Promise<ChannelEnd>;
}

/** A channel broke. */
export class ChannelBroken extends RestanteError {
  /** As in `ChannelEnd`. */
  readonly why: string;

  constructor(why: string, options?: { readonly cause?: unknown }) {
    super("channel-closed", `the channel broke: ${why}`, options);
    this.why = why;
  }
}

/** How a channel is opened, and its first packet: an empty one where neither `head` nor `body` is given. */
export interface OpenOptions extends OutgoingPacket {
  /** Default: true. */
  readonly reliable?: boolean;
  /**
   * Milliseconds, 0 to 40,000: so long a link is looked for where there is none; 0: it is opened over a link that is there, or not at all.
   * Default: 40,000.
   */
  readonly wait?: number;
}

/** Joins the channels with the driver: those of a root end with it, and the next one is told again what is served. */
export class RunChannels {
  readonly #driver: () => Pick<Driver<Root>, "call" | "state">;
  readonly #failed: (channel: PeerChannel, message: string) => void;
  readonly #served = new Map<string, Registration>();

  /** `failed`: told of handlers that throw, with what they said. */
  constructor(
    driver: () => Pick<Driver<Root>, "call" | "state">,
    failed: (channel: PeerChannel, message: string) => void,
  ) {
    this.#driver = driver;
    this.#failed = failed;
  }

  async open(to: string, type: string, options: OpenOptions = {}): Promise<PeerChannel> {
    if (typeof to !== "string" || typeof type !== "string")
      throw new RestanteError("bad-request", "who opens a channel names a contact and a type");
    const { reliable = true, wait, ...packet } = options;
    const how = { reliable, ...(wait !== undefined && { wait }) };
    const opening = await this.#ask<Opening>({ type: "open", to, kind: type, ...how, ...written(packet) });
    return new RunChannel(opening, (call) => this.#ask(call));
  }

  serve(type: string, handler: (channel: PeerChannel) => unknown): () => void {
    if (typeof handler !== "function") throw new RestanteError("bad-request", "a function has to take the channels");
    if (!isApplicationType(type))
      throw new RestanteError(
        "bad-type",
        "a channel type has 1 to 64 visible ASCII characters, and is none that telehash or Restante uses",
      );
    if (this.#served.has(type)) throw new RestanteError("known", `channels of type ${type} are served already`);
    if (this.#served.size >= MAX_TYPES) throw new RestanteError("full", `at most ${MAX_TYPES} types are served`);
    const registration = { type, handler };
    this.#served.set(type, registration);
    if (this.#driver().state === "running") void this.#accept(registration);
    return () => {
      if (this.#served.get(type) !== registration) return;
      this.#served.delete(type);
      this.#ask({ type: "unserve", kind: type }).catch(() => {}); // another root has never heard of it
    };
  }

  /** The driver has another root: it knows nothing of channels. */
  entered(state: DriverState): void {
    if (state === "running") for (const registration of this.#served.values()) void this.#accept(registration);
  }

  async #accept(registration: Registration): Promise<void> {
    const { type } = registration;
    try {
      await this.#ask({ type: "serve", kind: type });
      // Meanwhile it may have been stopped, and the type be another's: then its channels are, too.
      while (this.#served.get(type) === registration) {
        const opening = await this.#ask<Opening>({ type: "accept", kind: type });
        const channel = new RunChannel(opening, (call) => this.#ask(call));
        const taker = this.#served.get(type);
        if (taker === undefined) channel.abort("unknown type");
        else void this.#handle(channel, taker.handler);
      }
    } catch {
      // It is served no more, or this root is no more: then the next one hears of it.
    }
  }

  async #handle(channel: PeerChannel, handler: (channel: PeerChannel) => unknown): Promise<void> {
    try {
      await handler(channel);
    } catch (error) {
      channel.abort("failed");
      // That the channel ended is no fault of the handler.
      if (!(error instanceof RestanteError && error.code === "channel-closed"))
        this.#failed(channel, error instanceof Error ? error.message : String(error));
    }
  }

  #ask<T = void>(ask: ApplicationCall): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#driver().call({ type: "channel", ask }, (value, error) => {
        if (error === undefined) resolve(value as T);
        else reject(error);
      });
    });
  }
}

/** Who serves a type: another one each time, also where the function is the same. */
interface Registration {
  readonly type: string;
  readonly handler: (channel: PeerChannel) => unknown;
}

type Ask = <T = void>(call: ApplicationCall) => Promise<T>;

class RunChannel implements PeerChannel {
  readonly type: string;
  readonly hashname: Hashname;
  readonly reliable: boolean;
  readonly closed: Promise<ChannelEnd>;
  readonly #ch: number;
  readonly #ask: Ask;
  #first: Content | undefined;
  /** The receivers before: they have their packets in the order in which they asked. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ ch, peer, kind, reliable, content }: Opening, ask: Ask) {
    this.type = kind;
    this.hashname = peer;
    this.reliable = reliable;
    this.#ch = ch;
    this.#ask = ask;
    this.#first = content;
    this.closed = ask<string | undefined>({ type: "watch", ch }).then(
      (why) => (why === undefined ? {} : { why }),
      (error: RestanteError) => ({ why: error.code }),
    );
  }

  async send(packet: OutgoingPacket): Promise<void> {
    await this.#ask({ type: "send", ch: this.#ch, ...written(packet) });
  }

  receive(): Promise<IncomingPacket | undefined> {
    const next = this.#turn.then(() => this.#next());
    this.#turn = next.catch(() => {});
    return next;
  }

  async end(packet: OutgoingPacket = {}): Promise<void> {
    await this.#ask({ type: "send", ch: this.#ch, ...written(packet), end: true });
  }

  abort(why = "aborted"): void {
    this.#ask({ type: "fail", ch: this.#ch, why: String(why) }).catch(() => {}); // then it is over already
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<IncomingPacket, void, undefined> {
    for (let packet = await this.receive(); packet !== undefined; packet = await this.receive()) yield packet;
  }

  async #next(): Promise<IncomingPacket | undefined> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return first;
    try {
      return await this.#ask<Content | undefined>({ type: "receive", ch: this.#ch });
    } catch (error) {
      if (!(error instanceof RestanteError) || error.code === "busy") throw error;
      const { why } = await this.closed;
      if (why === undefined) return undefined;
      throw new ChannelBroken(why, { cause: error });
    }
  }
}

/** The packet as the machine takes it: nothing in it is the caller's any more. Throws "bad-packet". */
function written({ head = {}, body = NOTHING }: OutgoingPacket): Content {
  let read: ReturnType<typeof parseJson>;
  try {
    read = parseJson(encodeJson(head));
  } catch {
    read = undefined;
  }
  if (!isObject(read) || !(body instanceof Uint8Array))
    throw new RestanteError("bad-packet", "a packet is a JSON object, of 56 fields and 8 levels at most, and bytes");
  return { head: read, body: body.slice() };
}

const NOTHING = new Uint8Array(0);
const MAX_TYPES = 256; // as in application/application.ts
