/** A recipient and a cache that knows how to remove many at once, or does not: what is dealt with goes, and nothing else. box.md §6 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex } from "../bytes/index.ts";
import { portable } from "../crypto/index.ts";
import { alice, BOX, bob, Desk, self } from "../testing/cache-desk.ts";
import type { JsonObject } from "../wire/index.ts";
import type { CacheOut } from "./cache.ts";
import { Inbox, type InboxOut } from "./inbox.ts";

const NOTHING = new Uint8Array(0);

interface Packet {
  readonly head: JsonObject;
  readonly body: Uint8Array;
}

/** Bob's end and the cache's end of one inbox, with packets on their way between them. */
class Pair {
  readonly desk = new Desk();
  /** What Bob's application has and is not done with. */
  readonly open: string[] = [];
  /** Packets that Bob sent, after the open one. */
  sent = 0;
  readonly #knows: boolean;
  readonly #inbox: Inbox;
  readonly #up: Packet[] = [];
  readonly #down: Packet[] = [];
  #ch = 50_000;

  /** `knows`: the cache removes many at once. */
  constructor(messages: number, knows: boolean) {
    this.#knows = knows;
    this.#inbox = new Inbox({ backend: portable, self: bob, handles: () => ++this.#ch });
    this.leave(messages);
    const told = { ch: 1, peer: self, reliable: false, kind: "boxes", head: { type: "boxes" } } as const;
    this.#bob(this.#inbox.handle({ type: "opened", ...told, body: fromHex(BOX) ?? NOTHING }, 0));
  }

  leave(messages: number): void {
    for (let n = 0; n < messages; n++)
      this.#cache(this.desk.outbox(alice, { done: true }, Uint8Array.of(this.#ch >> 8, n, n >> 8, 1)).outs);
  }

  /** How many more packets either end may send. */
  credit(bobs: number, caches: number): void {
    this.#bob(this.#inbox.handle({ type: "writable", ch: this.#ch, credit: bobs }, 0));
    this.#cache(this.desk.take({ type: "writable", ch: this.#ch, credit: caches }));
  }

  done(nth: number, keep: boolean): string {
    const [id = ""] = this.open.splice(nth % this.open.length, 1);
    this.#bob(this.#inbox.handle({ type: "done", via: self, box: BOX, id, keep }, 0));
    return id;
  }

  /** One packet arrives. */
  arrive(end: "bob" | "cache"): void {
    const packet = (end === "bob" ? this.#down : this.#up).shift();
    if (packet === undefined) return;
    const ch = this.#ch;
    if (end === "bob") this.#bob(this.#inbox.handle({ type: "packet", ch, ...packet }, 0));
    else if (this.#knows || packet.body.length === 0) this.#cache(this.desk.packet(ch, packet.head, packet.body));
    else expect.unreachable("a BODY for a cache that did not ask for it");
  }

  settle(): void {
    while (this.#up.length + this.#down.length > 0) {
      while (this.#down.length > 0) this.arrive("bob");
      while (this.#up.length > 0) this.arrive("cache");
    }
  }

  #bob(outs: readonly InboxOut[]): void {
    for (const out of outs) {
      if (out.type === "open") {
        const { ch, head, body } = out;
        this.#cache(
          this.desk.take({ type: "opened", ch, peer: bob, reliable: true, kind: "inbox", head, body: body.slice() }),
        );
      } else if (out.type === "message") this.open.push(out.id);
      else if (out.type === "send") {
        this.sent++;
        this.#up.push(out);
      }
    }
  }

  #cache(outs: readonly CacheOut[]): void {
    for (const out of outs) {
      if (out.type !== "send") continue;
      const { ids: _, ...old } = out.head;
      this.#down.push({ head: this.#knows ? out.head : old, body: out.body });
    }
  }
}

const turn = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constantFrom("bob" as const, "cache" as const) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("done" as const), nth: fc.nat(100), keep: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("credit" as const), bobs: fc.nat(3), caches: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("leave" as const), messages: fc.nat(5) }) },
);

test("[C54] [C56] whatever the cache knows, in the end it has what was kept and nothing that was removed", () => {
  fc.assert(
    fc.property(fc.nat(30), fc.boolean(), fc.array(turn, { maxLength: 80 }), (messages, knows, turns) => {
      const pair = new Pair(messages, knows);
      const kept = new Set<string>();
      for (const each of turns)
        if (each.type === "credit") pair.credit(each.bobs, each.caches);
        else if (each.type === "leave") pair.leave(each.messages);
        else if (each.type !== "done") pair.arrive(each.type);
        else if (pair.open.length > 0) {
          const id = pair.done(each.nth, each.keep);
          if (each.keep) kept.add(id);
        }
      pair.credit(10_000, 10_000);
      pair.settle();
      while (pair.open.length > 0) pair.done(0, false);
      pair.settle();
      expect(pair.desk.stats()?.messages).toBe(kept.size);
    }),
  );
});

test("[C56] what is done at once is removed with two packets, and one by one where the cache does not know better", () => {
  for (const [knows, packets] of [
    [true, 2],
    [false, 60],
  ] as const) {
    const pair = new Pair(60, knows);
    pair.credit(10_000, 10_000);
    pair.settle();
    while (pair.open.length > 0) pair.done(0, false);
    pair.settle();
    expect([pair.sent, pair.desk.stats()?.messages]).toEqual([packets, 0]);
  }
});
