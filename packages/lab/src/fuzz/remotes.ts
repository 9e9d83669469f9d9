/** The other ends of a role's channels, and what the mesh would tell of them: its promises are kept, theirs are not. */
import type { box, Hashname, JsonObject, Machine } from "restante/protocol";
import type { Mutator } from "./mutate.ts";

/** A packet as an honest peer would send it. `head` of one that opens a channel has `type`. */
export interface Opening {
  readonly head: JsonObject;
  readonly body: Uint8Array;
}

/** What roles have in common. */
export type RoleIn = box.ChannelEvent | { type: "up" | "down"; peer: Hashname } | { type: "tick" };

interface Open {
  readonly ch: number;
  readonly peer: Hashname;
  unacked: number;
  isEnded: boolean;
}

export class Remotes<In extends { type: string }, Out extends { type: string }> {
  readonly #mutator: Mutator;
  readonly #machine: Machine<In | RoleIn, Out>;
  readonly #peers: readonly Hashname[];
  readonly #openings: readonly Opening[];
  readonly #packets: readonly Opening[];
  readonly #answer: (out: Out, now: number) => In[];
  readonly #open = new Map<number, Open>();
  #handles = 0;
  #now = 1_700_000_000_000;

  /** `answer` gives what the parent of the machine would say to an output that is no channel operation. */
  constructor(
    mutator: Mutator,
    machine: Machine<In | RoleIn, Out>,
    peers: readonly Hashname[],
    openings: readonly Opening[],
    packets: readonly Opening[],
    answer: (out: Out, now: number) => In[],
  ) {
    this.#mutator = mutator;
    this.#machine = machine;
    this.#peers = peers;
    this.#openings = openings;
    this.#packets = packets;
    this.#answer = answer;
    for (const peer of peers) this.give({ type: "up", peer });
  }

  handle(): number {
    return ++this.#handles;
  }

  /** One damaged packet, and whatever else may happen to channels. */
  step(): void {
    const { chance } = this.#mutator;
    this.#now += chance.pick([0, 1, 50, 1000, 20_000]);
    if ((this.#machine.deadline() ?? Number.POSITIVE_INFINITY) <= this.#now) this.give({ type: "tick" });
    const alive = [...this.#open.values()].filter(({ isEnded }) => !isEnded);
    const canOpen =
      this.#openings.length > 0 && (alive.length === 0 || (alive.length < CHANNELS && chance.happens(0.3)));
    if (canOpen) this.#opened();
    else if (alive.length > 0) {
      const { head, body } = this.#packet(this.#packets);
      this.give({ type: "packet", ch: chance.pick(alive).ch, head, body });
    }
    for (const channel of [...this.#open.values()]) if (chance.happens(0.1)) this.#happen(channel);
    if (chance.happens(0.01)) this.#cut(chance.pick(this.#peers));
  }

  /** An input of the parent's, and all that follows from it. */
  give(input: In | RoleIn): void {
    for (const out of this.#machine.handle(input, this.#now)) {
      this.#did(out as Out & Partial<Open> & { end?: boolean });
      for (const answer of this.#answer(out, this.#now)) this.give(answer);
    }
  }

  #opened(): void {
    const { chance } = this.#mutator;
    const { head, body } = this.#packet(this.#openings);
    const kind = head["type"];
    if (typeof kind !== "string") return; // the channel layer does not open such a one
    const channel: Open = { ch: this.handle(), peer: chance.pick(this.#peers), unacked: 0, isEnded: false };
    this.#open.set(channel.ch, channel);
    const reliable = kind !== "boxes" ? chance.happens(0.95) : chance.happens(0.05);
    this.give({ type: "opened", ch: channel.ch, peer: channel.peer, reliable, kind, head, body });
  }

  /** A sample, damaged more often than not. Fields of the channel layer never come through. */
  #packet(samples: readonly Opening[]): Opening {
    const { chance } = this.#mutator;
    const { head, body } = chance.pick(samples);
    const {
      c: _c,
      seq: _s,
      ack: _a,
      miss: _m,
      end: _e,
      err: _r,
      ...rest
    } = chance.happens(0.7) ? this.#mutator.object(head) : head;
    const damaged = chance.happens(0.5) ? this.#mutator.bytes([body, ...samples.map((each) => each.body)]) : body;
    return { head: rest, body: damaged.subarray(0, PACKET) };
  }

  #happen(channel: Open): void {
    const { chance } = this.#mutator;
    const { ch, unacked, isEnded } = channel;
    switch (chance.between(0, 9)) {
      case 0:
        if (isEnded) break;
        channel.isEnded = true;
        this.give({ type: "ended", ch });
        break;
      case 1:
        this.#open.delete(ch);
        this.give({ type: "closed", ch, err: chance.happens(0.3) ? undefined : chance.pick(["timeout", "\u0000"]) });
        break;
      case 2:
      case 3:
      case 4:
        if (unacked === 0) break;
        channel.unacked = 0;
        this.give({ type: "acked", ch, count: unacked });
        break;
      default:
        this.give({ type: "writable", ch, credit: chance.between(0, 20) });
    }
  }

  /** The link is lost: its channels close before that is told. */
  #cut(peer: Hashname): void {
    for (const channel of [...this.#open.values()].filter((one) => one.peer === peer)) {
      this.#open.delete(channel.ch);
      this.give({ type: "closed", ch: channel.ch, err: "down" });
    }
    this.give({ type: "down", peer });
    this.give({ type: "up", peer });
  }

  /** What the machine did to a channel. */
  #did(out: { type: string; ch?: number; peer?: Hashname; end?: boolean }): void {
    const { type, ch = 0, peer } = out;
    const channel = this.#open.get(ch);
    if (type === "open" && peer !== undefined) this.#open.set(ch, { ch, peer, unacked: 1, isEnded: false });
    if (type === "send" && channel !== undefined) channel.unacked++;
    if (type === "fail") this.#open.delete(ch);
  }
}

const CHANNELS = 100;
const PACKET = 1400;
