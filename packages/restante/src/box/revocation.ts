/**
 * Revocation: a recipient tells each of its caches, whenever a link to it comes up and when there is more to tell, which
 * serials of its tokens are worth nothing any more; and when it leaves, that nothing is to be kept for it. One reliable channel
 * of type "restante.revoke", both ends of it here. protocol/admission.md §6
 */
import type { Machine, Time } from "../bytes/index.ts";
import { encodeRevocations, parseRevocations } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { flag, text } from "../wire/index.ts";
import { type ChannelEvent, type ChannelOp, NOTHING } from "./channel.ts";

export type RevocationIn =
  | ChannelEvent
  | { type: "up" | "down"; peer: Hashname }
  /** There is more to tell. */
  | { type: "changed" }
  /** `cache` is none of ours any more: say so, if it is there. `uri` of class `member`. */
  | { type: "leave"; cache: Hashname; uri: string }
  | { type: "tick" };

export type RevocationOut =
  | ChannelOp
  /** A recipient of ours wants nothing kept for it. */
  | { type: "left"; peer: Hashname }
  /** What `revoke` was told, for those who keep boxes with us. */
  | { type: "revoked"; peer: Hashname; serials: readonly number[] };

export interface RevocationOptions {
  readonly handles: () => number;
  /** What to tell a cache of ours, and the admission URI of class `member` to show it; `undefined`: it is none of ours. */
  readonly tells: (
    cache: Hashname,
    now: Time,
  ) => { readonly uri: string; readonly serials: readonly number[] } | undefined;
  /** When there will be more to tell than at `now`. */
  readonly next: (now: Time) => Time | undefined;
  /** Whether what `peer` shows makes it a recipient here: only then is it listened to. */
  readonly isRecipient: (uri: string | undefined, peer: Hashname, now: Time) => boolean;
  /** The recipient has revoked these serials. */
  readonly revoke: (recipient: Hashname, serials: readonly number[], now: Time) => void;
}

/** Both ends. Says nothing to a cache as long as nothing is revoked, and nothing to a recipient but that it has heard. */
export class Revocation implements Machine<RevocationIn, RevocationOut> {
  readonly #options: RevocationOptions;
  readonly #up = new Set<Hashname>();
  /** What is still to be said on each channel of ours. */
  readonly #telling = new Map<number, Uint8Array[]>();
  /** Whose each channel is that others opened; `undefined`: of somebody who is not listened to. */
  readonly #hearing = new Map<number, Hashname | undefined>();
  #due: Time | undefined;

  constructor(options: RevocationOptions) {
    this.#options = options;
  }

  handle(input: RevocationIn, now: Time): RevocationOut[] {
    switch (input.type) {
      case "up":
        this.#up.add(input.peer);
        this.#due = this.#options.next(now);
        return this.#tell(input.peer, now);
      case "down":
        this.#up.delete(input.peer);
        return [];
      case "changed":
      case "tick":
        this.#due = this.#options.next(now);
        return [...this.#up].flatMap((cache) => this.#tell(cache, now));
      case "leave": {
        if (!this.#up.has(input.cache)) return [];
        const head = { type: REVOKE_CHANNEL, uri: input.uri, leave: true };
        const ch = this.#options.handles();
        return [{ type: "open", ch, peer: input.cache, reliable: true, head, body: NOTHING, end: true }];
      }
      case "writable":
        return this.#write(input.ch, input.credit);
      case "opened": {
        if (!input.reliable) return [];
        const isHeard = this.#options.isRecipient(text(input.head, "uri"), input.peer, now);
        this.#hearing.set(input.ch, isHeard ? input.peer : undefined);
        const outs = this.#hear(input.ch, input.body, now);
        if (isHeard && flag(input.head, "leave")) outs.push({ type: "left", peer: input.peer });
        return outs;
      }
      case "packet":
        return this.#hear(input.ch, input.body, now);
      case "ended": {
        // Once all is told we have ended it ourselves. A cache that does not want to hear the rest is not told it.
        const isOpen = this.#hearing.delete(input.ch) || this.#telling.delete(input.ch);
        return isOpen ? [{ type: "send", ch: input.ch, head: {}, body: NOTHING, end: true }] : [];
      }
      case "closed":
        this.#telling.delete(input.ch);
        this.#hearing.delete(input.ch);
        return [];
      case "acked":
        return [];
    }
  }

  deadline(): Time | undefined {
    return this.#due;
  }

  #tell(cache: Hashname, now: Time): ChannelOp[] {
    const told = this.#options.tells(cache, now);
    if (told === undefined || told.serials.length === 0) return [];
    const ch = this.#options.handles();
    this.#telling.set(ch, encodeRevocations(told.serials));
    const head = { type: REVOKE_CHANNEL, uri: told.uri };
    return [{ type: "open", ch, peer: cache, reliable: true, head, body: NOTHING }];
  }

  #write(ch: number, credit: number): ChannelOp[] {
    const left = this.#telling.get(ch);
    if (left === undefined) return [];
    const bodies = left.splice(0, credit);
    const isAll = left.length === 0;
    if (isAll) this.#telling.delete(ch);
    return bodies.map((body, i) => {
      const send = { type: "send", ch, head: {}, body } as const;
      return isAll && i === bodies.length - 1 ? { ...send, end: true } : send;
    });
  }

  #hear(ch: number, body: Uint8Array, now: Time): RevocationOut[] {
    const recipient = this.#hearing.get(ch);
    const serials = recipient === undefined ? undefined : parseRevocations(body);
    const took: RevocationOut = { type: "took", ch };
    if (recipient === undefined || serials === undefined || serials.length === 0) return [took];
    this.#options.revoke(recipient, serials, now);
    return [took, { type: "revoked", peer: recipient, serials }];
  }
}

export const REVOKE_CHANNEL = "restante.revoke";
