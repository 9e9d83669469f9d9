/**
 * The cache's `boxes`: tells a recipient whose link is up which boxes hold messages, until it has opened them.
 * Unreliable, so repeated (X22), and without any order or number that would tell more (C27). protocol/box.md §6
 */
import { concat, Deadlines, fromHex, type Random, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { type ChannelEvent, NOTHING } from "./channel.ts";
import type { PartOut } from "./operations.ts";

interface Options {
  readonly random: Random;
  readonly handles: () => number;
  readonly hasInbox: (peer: Hashname, box: string) => boolean;
}

/** One recipient whose link is up. */
interface Watch {
  readonly peer: Hashname;
  since: Time;
  /** How often it was looked after since then. */
  step: number;
  /** When to look again; absent while the store is asked, and while there is nothing to tell. */
  next: Time | undefined;
  isListing: boolean;
  /** `boxes` channels that are not closed yet. */
  readonly channels: Set<number>;
}

/** All `boxes` channels that we opened, and when to open the next. */
export class Adverts {
  readonly #options: Options;
  readonly #watches = new Map<Hashname, Watch>();
  readonly #channels = new Map<number, Watch>();
  readonly #deadlines = new Deadlines<Hashname>();

  constructor(options: Options) {
    this.#options = options;
  }

  up(peer: Hashname, now: Time): PartOut[] {
    const watch: Watch = { peer, since: now, step: 0, next: undefined, isListing: false, channels: new Set() };
    this.#watches.set(peer, watch);
    return this.#look(watch);
  }

  down(peer: Hashname): void {
    for (const ch of this.#watches.get(peer)?.channels ?? []) this.#channels.delete(ch);
    this.#watches.delete(peer);
    this.#deadlines.set(peer, undefined);
  }

  tick(now: Time): PartOut[] {
    return this.#deadlines.due(now).flatMap((peer) => {
      const watch = this.#watches.get(peer);
      return watch === undefined ? [] : this.#look(watch);
    });
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  /** An empty box has a message now. */
  gained(recipient: string, box: string, now: Time): PartOut[] {
    const watch = this.#watches.get(recipient as Hashname);
    if (watch === undefined || this.#options.hasInbox(watch.peer, box)) return [];
    this.#hurry(watch, now);
    return this.#tell(watch, [box]);
  }

  /** The store's answer to `list`. Nothing to tell: be quiet until something changes. */
  listed(peer: Hashname, boxes: readonly string[], now: Time): PartOut[] {
    const watch = this.#watches.get(peer);
    if (!watch?.isListing) return [];
    watch.isListing = false;
    const unread = boxes.filter((box) => !this.#options.hasInbox(peer, box));
    if (unread.length === 0) return [];
    const offset = TIMES_MS[watch.step];
    // What came while the store was asked has set its own time.
    if (watch.next === undefined) this.#schedule(watch, offset === undefined ? now + REPEAT_MS : watch.since + offset);
    return this.#tell(watch, unread);
  }

  /** There is no answer to `list`: ask again. */
  unlisted(peer: Hashname, now: Time): void {
    const watch = this.#watches.get(peer);
    if (!watch?.isListing) return;
    watch.isListing = false;
    if (watch.next === undefined) this.#schedule(watch, now + REPEAT_MS);
  }

  /** An inbox was closed: its box may hold messages that nobody is reading now. */
  unread(peer: Hashname, isDry: boolean, now: Time): void {
    const watch = this.#watches.get(peer);
    if (watch === undefined) return;
    if (!isDry) this.#hurry(watch, now);
    else if (watch.next === undefined) this.#schedule(watch, now + REPEAT_MS);
  }

  over(event: Extract<ChannelEvent, { type: "ended" | "closed" }>): void {
    if (event.type === "ended") return;
    this.#channels.get(event.ch)?.channels.delete(event.ch);
    this.#channels.delete(event.ch);
  }

  #look(watch: Watch): PartOut[] {
    this.#schedule(watch, undefined);
    watch.step++;
    if (watch.isListing) return [];
    watch.isListing = true;
    return [{ type: "store", request: { type: "list", recipient: watch.peer } }];
  }

  /** Begin the schedule again, unless it is in its quick part: many new boxes are no reason to ask without a pause. */
  #hurry(watch: Watch, now: Time): void {
    if (watch.next !== undefined && watch.step < TIMES_MS.length) return;
    watch.since = now;
    watch.step = 1;
    this.#schedule(watch, now + (TIMES_MS[1] ?? 0));
  }

  #schedule(watch: Watch, at: Time | undefined): void {
    watch.next = at;
    this.#deadlines.set(watch.peer, at);
  }

  #tell(watch: Watch, boxes: readonly string[]): PartOut[] {
    // Somebody who does not even close these channels is told again later, with all that has come until then.
    if (watch.channels.size >= MAX_CHANNELS) return [];
    const ch = this.#options.handles();
    watch.channels.add(ch);
    this.#channels.set(ch, watch);
    const ids = this.#shuffle(boxes).map((box) => fromHex(box) ?? NOTHING);
    const outs: PartOut[] = [];
    for (let at = 0; at < ids.length; at += IDS_PER_PACKET) {
      const body = concat(...ids.slice(at, at + IDS_PER_PACKET));
      const end = at + IDS_PER_PACKET >= ids.length;
      if (at > 0) outs.push({ type: "send", ch, head: {}, body, end });
      else outs.push({ type: "open", ch, peer: watch.peer, reliable: false, head: { type: "boxes" }, body, end });
    }
    return outs;
  }

  #shuffle(boxes: readonly string[]): string[] {
    const drawn = this.#options.random(4 * boxes.length);
    const numbers = new DataView(drawn.buffer, drawn.byteOffset, drawn.length);
    const mixed = [...boxes];
    for (let last = mixed.length - 1; last > 0; last--) {
      const other = numbers.getUint32(4 * last) % (last + 1);
      [mixed[last], mixed[other]] = [mixed[other] ?? "", mixed[last] ?? ""];
    }
    return mixed;
  }
}

const TIMES_MS: readonly Time[] = [0, 1_000, 3_000, 8_000, 20_000]; // X22: as the handshake's, counted from the first
const REPEAT_MS = 30_000; // X22: each keepalive after that
const IDS_PER_PACKET = 120; // seed 003: "only up to 120 IDs are included per message"
const MAX_CHANNELS = 8;
