/** One who uses a cache, over TCP: the roles of a sender and of a recipient on a link of its own, and nothing of mail. */
import { tcpTransport } from "@restante/node";
import type { TransportPath } from "restante";
import {
  type Backend,
  box,
  type ChannelEvent,
  createCrypto,
  createIdentity,
  type Hashname,
  type Identity,
  mesh,
  oneByOne,
} from "restante/protocol";

/** The cache that a client uses. */
export interface CacheAddress {
  readonly hashname: Hashname;
  readonly keys: Identity["keys"];
  readonly path: TransportPath;
}

export class Client {
  readonly identity: Identity;
  /** Called with each message that comes, however often it comes. */
  onMessage: (bytes: Uint8Array) => void = () => {};
  readonly #mesh: mesh.Mesh;
  readonly #outbox: box.Outbox;
  readonly #inbox: box.Inbox;
  readonly #sending = new Set<number>(); // channels of the outbox; all others are of the inbox
  readonly #waiting = new Map<number, { resolve(): void; reject(error: Error): void }>();
  readonly #transport = tcpTransport({ port: 0, host: "127.0.0.1", ipv6: false });
  #up: () => void = () => {};
  #deposits = 0;
  readonly #taken = new Map<number, number>(); // packets of the inputs that are being handled, by channel
  #isGiving = false;
  #packets = 0;
  #isClosed = false;
  #timer: { at: number; id: NodeJS.Timeout } | undefined;
  #cache: CacheAddress | undefined;

  /** `identity`: one that was here before. */
  constructor(backend: Backend, random: (length: number) => Uint8Array, identity?: Identity) {
    const crypto = createCrypto(backend);
    this.identity = identity ?? createIdentity(crypto, random);
    let handle = 0;
    const handles = (): number => ++handle;
    this.#mesh = new mesh.Mesh({ crypto, identity: this.identity, random, handles });
    this.#outbox = new box.Outbox({ handles });
    this.#inbox = new box.Inbox({ backend, self: this.identity.hashname, handles, gathers: true });
  }

  /** How many packets have come. */
  get packets(): number {
    return this.#packets;
  }

  /** Links to the cache, which is shown this admission URI. */
  async link(cache: CacheAddress, uri: string): Promise<void> {
    this.#cache = cache;
    await this.#transport.start({
      received: (path, bytes) => this.#give({ type: "received", path, bytes }),
      path: (path, open) => this.#give({ type: "path", path, open }),
      writable: (path, credit) => this.#give({ type: "writable", path, credit }),
    });
    const up = new Promise<void>((resolve) => {
      this.#up = resolve;
    });
    const { hashname, keys, path } = cache;
    this.#give({ type: "want", peer: { hashname, keys, paths: [path] }, uri });
    await up;
  }

  /** Resolves when the cache has acknowledged all of it. `x`: seconds to keep it. */
  deposit(to: Hashname, uri: string, bytes: Uint8Array, x: number = DAY_S): Promise<void> {
    const id = ++this.#deposits;
    const via = this.#cache?.hashname;
    if (via === undefined) throw new Error("not linked");
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#serve(this.#outbox.handle({ type: "deposit", id, via, to, uri, bytes, x }, Date.now()));
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer?.id);
    this.#timer = undefined;
    await this.#transport.stop();
  }

  #give(input: mesh.MeshIn): void {
    if (this.#isClosed) return;
    if (input.type === "received") this.#packets++;
    const now = Date.now();
    const isOuter = !this.#isGiving;
    this.#isGiving = true;
    const outs = this.#mesh.handle(input, now);
    // What answers an event may send at once, and must not overtake the packets of this turn.
    for (const out of outs) if (out.type === "transmit") this.#transport.send(out.path, out.bytes);
    for (const out of outs) {
      if (out.type === "transmit") continue;
      if (out.type === "handshake") this.#give({ type: "approve", hashname: out.hashname });
      else if (out.type === "up" || out.type === "down") {
        const event = { type: out.type, peer: out.hashname };
        this.#serve(this.#outbox.handle(event, now));
        this.#serve(this.#inbox.handle(event, now));
        if (out.type === "up") this.#up();
      } else if (out.type === "opened") this.#serve(this.#inbox.handle(out, now));
      else if ("ch" in out) this.#channel(out, now);
    }
    if (!isOuter) return;
    // As a peer does: one removal and one acknowledgement for all that came together.
    if (this.#inbox.hasGathered) this.#serve(this.#inbox.handle({ type: "gathered" }, now));
    this.#isGiving = false;
    const taken = [...this.#taken];
    this.#taken.clear();
    for (const [ch, count] of taken) this.#give({ type: "took", ch, count });
    this.#wake();
  }

  #channel(event: Exclude<ChannelEvent, { type: "opened" }>, now: number): void {
    const isOurs = this.#sending.has(event.ch);
    if (event.type === "closed") this.#sending.delete(event.ch);
    const role = isOurs ? this.#outbox : this.#inbox;
    if (event.type !== "packets") this.#serve(role.handle(event, now));
    else for (const packet of oneByOne(event)) this.#serve(role.handle(packet, now));
  }

  #serve(outs: readonly (box.OutboxOut | box.InboxOut)[]): void {
    for (const out of outs) {
      switch (out.type) {
        case "reach":
        case "release":
          break; // the link is there
        case "find-stamp":
        case "forget-stamp":
          break; // the invite asks for none
        case "deposited":
        case "failed":
          this.#settle(out);
          break;
        case "message":
          this.onMessage(out.bytes);
          this.#serve(this.#inbox.handle({ type: "done", via: out.via, box: out.box, id: out.id }, Date.now()));
          break;
        case "keeps":
          break;
        case "took":
          this.#taken.set(out.ch, (this.#taken.get(out.ch) ?? 0) + (out.count ?? 1));
          break;
        default:
          if (out.type === "open" && out.head["type"] === "outbox") this.#sending.add(out.ch);
          if (out.type === "send") this.#acknowledgeBeside(out.ch);
          this.#give(out);
      }
    }
  }

  /** As a peer does: what leaves carries what was taken on its channel by then. */
  #acknowledgeBeside(ch: number): void {
    const count = this.#taken.get(ch);
    if (count === undefined) return;
    this.#taken.delete(ch);
    this.#give({ type: "took", ch, count, isFollowed: true });
  }

  #settle(out: Extract<box.OutboxOut, { type: "deposited" | "failed" }>): void {
    const waiting = this.#waiting.get(out.id);
    this.#waiting.delete(out.id);
    if (out.type === "deposited") waiting?.resolve();
    else waiting?.reject(new Error(`a deposit failed: ${out.why}`));
  }

  #wake(): void {
    if (this.#isClosed) return;
    const due = [this.#mesh, this.#outbox, this.#inbox].map(
      (machine) => machine.deadline() ?? Number.POSITIVE_INFINITY,
    );
    const at = Math.min(...due);
    if (at === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.at <= at)) return;
    clearTimeout(this.#timer?.id);
    const tick = (): void => {
      this.#timer = undefined;
      const now = Date.now();
      this.#serve(this.#outbox.handle({ type: "tick" }, now));
      this.#serve(this.#inbox.handle({ type: "tick" }, now));
      this.#give({ type: "tick" });
    };
    this.#timer = { at, id: setTimeout(tick, Math.max(0, at - Date.now())) };
  }
}

const DAY_S = 24 * 60 * 60;
