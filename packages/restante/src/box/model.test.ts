/** Control packets in any order, at any moment, against a cache that is nothing but lists. box.md §5, §6 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, equal, fromHex, type Time } from "../bytes/index.ts";
import { type Hashname, portable } from "../crypto/index.ts";
import { alice, bob, Desk, mallory } from "../testing/cache-desk.ts";
import type { JsonObject } from "../wire/index.ts";
import type { CacheOut } from "./cache.ts";
import { boxId, messageId } from "./ids.ts";

const NOTHING = new Uint8Array(0);
const SENDERS = [alice, mallory] as const;
const LIFETIME: Time = 30 * 24 * 60 * 60 * 1000;

interface Kept {
  readonly n: number;
  readonly id: string;
  readonly bytes: Uint8Array;
  expires: Time;
}

/** What a cache does, said as shortly as possible: a list for each sender, and what each channel has in progress. */
class Model {
  readonly boxes = new Map<Hashname, Kept[]>(SENDERS.map((sender) => [sender, []]));
  readonly parts = new Map<number, Uint8Array[]>();
  /** Everything that ever was put, in the order of arrival. */
  readonly arrived: Kept[] = [];

  waiting(sender: Hashname, now: Time): Kept[] {
    const kept = (this.boxes.get(sender) ?? []).filter(({ expires }) => expires > now);
    this.boxes.set(sender, kept);
    return kept;
  }

  outbox(sender: Hashname, ch: number, head: JsonObject, body: Uint8Array, now: Time): void {
    const isClear = head["clear"] === true;
    if (isClear) {
      this.boxes.set(sender, []);
      this.parts.delete(ch);
    }
    if (!isClear && head["done"] !== true && body.length === 0) this.remove(sender, head["id"]);
    const parts = [...(this.parts.get(ch) ?? []), body];
    this.parts.set(ch, parts);
    if (head["done"] !== true) return;
    this.parts.delete(ch);
    const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
    if (bytes.length === 0) return;
    const { x } = head;
    const isSeconds = typeof x === "number" && Number.isSafeInteger(x) && x >= 0;
    const expires = now + Math.min(isSeconds ? x * 1000 : LIFETIME, LIFETIME);
    const waiting = this.waiting(sender, now);
    const same = waiting.find((each) => equal(each.bytes, bytes));
    if (same !== undefined) same.expires = expires;
    else if (expires > now) {
      const id = messageId(portable, boxId(portable, sender, bob), bytes);
      const kept = { n: this.arrived.length, id, bytes, expires };
      this.arrived.push(kept);
      waiting.push(kept);
    }
    this.waiting(sender, now);
  }

  remove(sender: Hashname, id: unknown): void {
    this.boxes.set(
      sender,
      (this.boxes.get(sender) ?? []).filter((each) => each.id !== id),
    );
  }
}

/** A standing inbox, and what came on it. */
interface Reader {
  readonly ch: number;
  readonly sender: Hashname;
  readonly messages: Uint8Array[];
  parts: Uint8Array[];
  caps: number;
  owed: number;
  hasHeard: boolean;
}

/** The head of the next packet: the first one says how many ids may be removed at once. */
function heard(reader: Reader, head: JsonObject): JsonObject {
  if (reader.hasHeard) return head;
  reader.hasHeard = true;
  return { ...head, ids: 120 };
}

/** What the channel brought: whole messages, a `cap` never inside one, nothing else. */
function take(reader: Reader, outs: readonly CacheOut[]): void {
  for (const out of outs) {
    if (!("ch" in out) || out.ch !== reader.ch || out.type === "took") continue;
    if (out.type !== "send") throw new Error(`an inbox does not ${out.type}`);
    if (out.head["cap"] !== undefined) {
      expect([reader.parts.length, out.body.length, out.head]).toEqual([0, 0, heard(reader, { cap: out.head["cap"] })]);
      reader.caps++;
      continue;
    }
    expect(out.body.length).toBeGreaterThan(0);
    expect(out.head).toEqual(heard(reader, out.head["done"] === true ? { done: true } : {}));
    reader.parts.push(out.body);
    if (out.head["done"] !== true) continue;
    reader.messages.push(Uint8Array.from(reader.parts.flatMap((part) => [...part])));
    reader.parts = [];
  }
}

const body = fc
  .tuple(fc.constantFrom(0, 1, 7, 1200, 1400), fc.nat(3))
  .map(([length, n]) => new Uint8Array(length).fill(n));
const lifetime = fc.constantFrom<JsonObject[string]>(0, 1, 60, 3600, 1e12, -1, 1.5, "60", null);
const packet = fc.record({
  what: fc.constantFrom("part", "part", "done", "done", "remove", "clear", "rest"),
  body,
  x: fc.option(lifetime, { nil: undefined }),
  pick: fc.nat(20),
});
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("outbox" as const), who: fc.nat(1), ch: fc.nat(2), packet }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("inbox" as const),
      who: fc.nat(1),
      what: fc.constantFrom("id", "unknown", "clear", "nothing", "ids"),
      pick: fc.nat(20),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("credit" as const), who: fc.nat(1), credit: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("wait" as const), seconds: fc.constantFrom(1, 30, 3000) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("close" as const), who: fc.nat(1), ch: fc.nat(2) }) },
);

/** The messages of a box, as somebody gets them who opens it now. */
function fresh(desk: Desk, sender: Hashname): Uint8Array[] {
  const { ch, outs } = desk.inbox(bob, boxId(portable, sender, bob), 10_000);
  const reader: Reader = { ch, sender, messages: [], parts: [], caps: 0, owed: 0, hasHeard: false };
  take(reader, outs);
  expect([reader.caps, reader.parts]).toEqual([1, []]);
  desk.take({ type: "ended", ch });
  desk.take({ type: "closed", ch, err: undefined });
  return reader.messages;
}

test("[C37] [C38] [C58] whatever senders and their recipient say in whatever order, a box holds what it should", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const desk = new Desk();
      const model = new Model();
      const channels = new Map<string, number>();
      const readers = SENDERS.map((sender): Reader => {
        const { ch, outs } = desk.inbox(bob, boxId(portable, sender, bob), 0);
        const reader = { ch, sender, messages: [], parts: [], caps: 0, owed: 0, hasHeard: false };
        take(reader, outs);
        return reader;
      });
      const all = (outs: readonly CacheOut[]): void => {
        expect(outs.some((out) => out.type === "fail" || out.type === "open")).toBe(false);
        for (const reader of readers) take(reader, outs);
      };
      for (const each of steps) {
        if (each.type === "wait") {
          desk.now += each.seconds * 1000;
          continue;
        }
        const sender = SENDERS[each.who] ?? alice;
        const reader = readers[each.who];
        if (reader === undefined) throw new Error("a reader for each sender");
        if (each.type === "credit") all(desk.take({ type: "writable", ch: reader.ch, credit: each.credit }));
        if (each.type === "inbox") {
          const id = model.arrived[each.pick]?.id ?? "0123456789abcdef";
          const head: JsonObject =
            each.what === "clear"
              ? { clear: true }
              : each.what === "nothing"
                ? {}
                : { id: each.what === "id" ? id : "00" };
          if (each.what === "ids") {
            // Some that are there, some of the other box, one twice.
            const ids = [...model.arrived.slice(each.pick, each.pick + 5).map((one) => one.id), id];
            all(desk.packet(reader.ch, {}, concat(...ids.map((one) => fromHex(one) ?? NOTHING))));
            for (const one of ids) model.remove(sender, one);
            reader.owed++;
            const waiting = model.waiting(sender, desk.now).map(({ bytes }) => bytes);
            expect(fresh(desk, sender)).toEqual(waiting);
            continue;
          }
          all(desk.packet(reader.ch, head));
          if (each.what === "clear") model.boxes.set(sender, []);
          if (each.what === "id") model.remove(sender, id);
          if (each.what === "clear" || each.what === "id") reader.owed++;
        }
        const name = `${each.who} ${"ch" in each ? each.ch : ""}`;
        if (each.type === "close") {
          const ch = channels.get(name);
          channels.delete(name);
          if (ch === undefined) continue;
          model.parts.delete(ch);
          all(desk.take({ type: "closed", ch, err: "timeout" }));
        }
        if (each.type === "outbox") {
          const { what, x, pick } = each.packet;
          const id = model.arrived[pick]?.id ?? "0123456789abcdef";
          const head: JsonObject = {
            ...(what === "done" || what === "rest" ? { done: true, ...(x === undefined ? {} : { x }) } : {}),
            ...(what === "remove" ? { id } : {}),
            ...(what === "clear" || what === "rest" ? { clear: true } : {}),
          };
          const bytes = what === "remove" ? NOTHING : each.packet.body;
          const known = channels.get(name);
          const open = known === undefined ? desk.outbox(sender, head, bytes.slice()) : undefined;
          const ch = known ?? open?.ch ?? 0;
          const outs = open?.outs ?? desk.packet(ch, head, bytes.slice());
          channels.set(name, ch);
          expect(outs.filter((out) => "ch" in out && out.ch === ch)).toEqual([{ type: "took", ch }]);
          all(outs);
          model.outbox(sender, ch, head, bytes, desk.now);
        }
        const waiting = model.waiting(sender, desk.now).map(({ bytes }) => bytes);
        expect(fresh(desk, sender)).toEqual(waiting);
      }
      for (const reader of readers) {
        const waiting = model.waiting(reader.sender, desk.now);
        all(desk.take({ type: "writable", ch: reader.ch, credit: 10_000 }));
        // What is still there has come, in the order of its arrival; what was removed may have come before that.
        expect(reader.parts).toEqual([]);
        const left = waiting.map(({ bytes }) => String(bytes));
        const came = reader.messages.map(String);
        expect(left.every((one) => came.includes(one))).toBe(true);
        expect(came.filter((one) => left.includes(one)).slice(-left.length)).toEqual(left);
        // A `cap` for each removal, and at least one for having run dry.
        expect(reader.caps).toBeGreaterThan(reader.owed);
      }
    }),
    { numRuns: 300 },
  );
});
