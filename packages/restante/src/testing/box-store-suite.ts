/** What every `BoxStore` adapter must do. A plain list: run it with any test runner, ours or yours. protocol/box.md §7 */
import { assert, equal, fromHex, type Time, toBase32, toHex } from "../bytes/index.ts";
import { BOX_LIMITS, type BoxAnswer, type BoxLimits, type BoxOp, type BoxStore } from "../store/index.ts";
import { Chance } from "./chance.ts";
import type { SuiteTest } from "./store-suite.ts";

/** The tests for one adapter. `make` gives an empty store with these limits each time; it may be shared by nobody else. */
export function boxStoreSuite(make: (limits: BoxLimits) => BoxStore | Promise<BoxStore>): SuiteTest[] {
  const test = (name: string, limits: Partial<BoxLimits>, run: (desk: Desk) => Promise<void>): SuiteTest => ({
    name,
    run: async () => run(new Desk(await make({ ...BOX_LIMITS, ...limits }))),
  });
  return [
    test("[C48] [C58] messages wait in the order they came, and reading removes nothing", {}, async (desk) => {
      for (const n of [1, 2, 3]) await desk.put(message(n, 300));
      for (let i = 0; i < 2; i++) await desk.expect([1, 2, 3]);
    }),
    test("several that are read at once are those that are read one by one, within what was asked for", {}, async (desk) => {
      for (const n of [1, 2, 3, 4, 5, 6]) await desk.put(message(n, n === 4 ? 3000 : 300));
      for (const room of [0, 299, 600, 3300, 1e6])
        for (const most of [1, 2, 4, 100]) await desk.expectAtOnce([1, 2, 3, 4, 5, 6], most, room);
    }),
    test("an unknown box is dry, an unknown recipient has no boxes", {}, async (desk) => {
      await desk.expect([]);
      await desk.expect([], { recipient: BOB });
      assert((await desk.list()).length === 0, "no boxes");
    }),
    test("[C57] a box is its recipient's: the same id under another name is another box", {}, async (desk) => {
      await desk.put(message(1, 300));
      await desk.expect([], { recipient: BOB });
      await desk.ask({ type: "clear", op: 0, recipient: BOB, box: BOX });
      await desk.ask({ type: "remove", op: 0, recipient: BOB, box: BOX, id: id(1) });
      await desk.expect([1]);
    }),
    test("gained tells of new messages, and whether the box was empty", {}, async (desk) => {
      assert((await desk.put(message(1, 300))) === "first", "into an empty box");
      assert((await desk.put(message(2, 300))) === "more", "into a box that holds one");
      await desk.ask({ type: "clear", op: 0, recipient: ALICE, box: BOX });
      assert((await desk.put(message(3, 300))) === "first", "empty again");
    }),
    test("messages put together are kept in order as if each had come alone, with one answer", {
      box: 8000,
    }, async (desk) => {
      const together = (...ns: readonly number[]) => ns.map((n) => ({ id: id(n), bytes: message(n, 2000).bytes }));
      assert((await desk.put({ ...message(1, 2000), more: together(2, 1, 3) })) === "first", "into an empty box");
      await desk.expect([1, 2, 3]); // the same bytes again are no other message
      assert((await desk.put({ ...message(2, 2000), more: together(3) })) === "none", "nothing new");
      const bad = { id: "no id", bytes: new Uint8Array(300) };
      assert((await desk.put({ ...message(1, 2000), more: [bad, ...together(4, 5)] })) === "more", "two new ones");
      await desk.expect([2, 3, 4, 5]); // the oldest made room, and what has no id is left out
      const more = together(6);
      await desk.put({ ...message(5, 2000), more });
      assert(
        more.every(({ bytes }) => bytes.every((byte) => byte === 0)),
        "what was handed over is overwritten",
      );
      await desk.ask({ type: "remove", op: 0, recipient: ALICE, box: BOX, id: id(5) });
      await desk.expect([3, 4, 6]);
    }),
    test("[X31] the same bytes again keep their place, tell nobody, and refresh their time", {}, async (desk) => {
      await desk.put({ ...message(1, 300), expires: NOW + 1000 });
      await desk.put(message(2, 300));
      assert((await desk.put({ ...message(1, 300), expires: NOW + 5000 })) === "none", "nothing was gained");
      await desk.expect([1, 2]);
      desk.now = NOW + 4999;
      await desk.expect([1, 2]);
      desk.now = NOW + 5000;
      await desk.expect([2]);
    }),
    test("[X16] two messages under one id are both kept, and go together", {}, async (desk) => {
      await desk.put(message(1, 300));
      await desk.put({ ...message(2, 300), id: id(1) });
      await desk.put(message(3, 300));
      await desk.expect([1, 2, 3]);
      await desk.ask({ type: "remove", op: 0, recipient: ALICE, box: BOX, id: id(1) });
      await desk.expect([3]);
    }),
    test("[C38] clear empties one box and no other", {}, async (desk) => {
      await desk.put(message(1, 300));
      await desk.put({ ...message(2, 300), box: box(2) });
      await desk.ask({ type: "clear", op: 0, recipient: ALICE, box: BOX });
      await desk.expect([]);
      await desk.expect([2], { box: box(2) });
      assert((await desk.list()).join() === box(2), "listed without the empty one");
    }),
    test("[X32] what has expired does not exist, protected or not", {}, async (desk) => {
      await desk.put({ ...message(1, 300), expires: NOW + 10 });
      await desk.put({ ...message(2, 2000), expires: NOW + 20 });
      assert((await desk.put({ ...message(3, 300), expires: NOW })) === "none", "expired when it came");
      desk.now = NOW + 10;
      await desk.expect([2]);
      desk.now = NOW + 20;
      assert((await desk.list()).length === 0, "no box is left");
      assert((await desk.put(message(4, 300))) === "first", "and the next finds it empty");
    }),
    test("[X32] nothing outlives the lifetime, whatever was asked for", { lifetime: 1000 }, async (desk) => {
      await desk.put({ ...message(1, 300), expires: NOW + 1e9 });
      desk.now = NOW + 999;
      await desk.expect([1]);
      desk.now = NOW + 1000;
      await desk.expect([]);
    }),
    test("sweep erases what expired unseen, and counts what is left", {}, async (desk) => {
      await desk.put({ ...message(1, 300), expires: NOW + 10 });
      await desk.put(message(2, 300));
      desk.now = NOW + 10;
      const [swept] = await desk.ask({ type: "sweep", op: 7 });
      assert(swept?.type === "swept" && swept.op === 7 && swept.messages === 1, "one is left");
      assert(desk.store.stats().messages === 1 && desk.store.stats().bytes === 300, "and its bytes alone");
    }),
    test("[C41] [X17] a box holds its cap to the byte; one byte more, and the oldest goes", {
      box: 8000,
    }, async (desk) => {
      for (const n of [1, 2, 3, 4]) await desk.put(message(n, 2000));
      await desk.expect([1, 2, 3, 4]);
      await desk.put({ ...message(5, 2000), box: box(2) });
      await desk.expect([1, 2, 3, 4]);
      await desk.put(message(6, 2000));
      await desk.expect([2, 3, 4, 6]);
      await desk.put(message(7, 1025));
      await desk.expect([3, 4, 6, 7]);
    }),
    test("[X17] a recipient at quota loses older messages, nobody else's", { recipient: 6000 }, async (desk) => {
      await desk.put({ ...message(9, 2000), recipient: BOB });
      for (const n of [1, 2, 3]) await desk.put({ ...message(n, 2000), box: box(n) });
      await desk.put({ ...message(4, 3000), box: box(3) });
      await desk.expect([], { box: box(1) });
      await desk.expect([2], { box: box(2) });
      await desk.expect([4], { box: box(3) });
      await desk.expect([9], { recipient: BOB });
    }),
    test("[C41] a recipient at quota loses what is oldest in the box that has most", {
      recipient: 20_000,
    }, async (desk) => {
      await desk.put({ ...message(1, 3000), box: box(1) });
      for (let n = 10; n < 18; n++) await desk.put({ ...message(n, 2000), box: box(2) });
      // A sender who has much there pushes out its own, whoever's is older.
      await desk.put({ ...message(18, 2000), box: box(2) });
      await desk.expect([1], { box: box(1) });
      await desk.expect([11, 12, 13, 14, 15, 16, 17, 18], { box: box(2) });
      // And others push out what is its.
      await desk.put({ ...message(30, 4000), box: box(3) });
      await desk.put({ ...message(31, 3000), box: box(3) });
      await desk.expect([1], { box: box(1) });
      await desk.expect([30, 31], { box: box(3) });
      await desk.expect([14, 15, 16, 17, 18], { box: box(2) });
    }),
    test("[C41] a sender who leaves all that it may takes nothing from senders who left little", {
      box: 8000,
      recipient: 40_000,
    }, async (desk) => {
      for (let n = 1; n <= 8; n++) await desk.put({ ...message(n, 2000), box: box(n) });
      for (let n = 100; n < 200; n++) await desk.put({ ...message(n, 1900), box: box(100 + (n % 4)) });
      for (let n = 1; n <= 8; n++) await desk.expect([n], { box: box(n) });
    }),
    test("what is revoked is heard, and touches nothing that lies there", {}, async (desk) => {
      await desk.put({ ...message(1, 300), serial: 7 });
      const [heard] = await desk.ask({ type: "revoke", op: 5, recipient: ALICE, serials: [7, 8] });
      assert(heard?.type === "done", "it is answered");
      await desk.expect([1]);
      await desk.put({ ...message(2, 300), serial: 9 });
      await desk.expect([1, 2]);
      assert((await desk.list()).join() === BOX, "one box");
    }),
    test("where the new message is all that its box could give, the others give", {
      recipient: 10_000,
    }, async (desk) => {
      for (let n = 1; n <= 4; n++) await desk.put({ ...message(n, 2000), box: box(n) });
      assert((await desk.put({ ...message(5, 6000), box: box(5) })) === "first", "it is kept");
      await desk.expect([5], { box: box(5) });
      for (const n of [1, 2]) await desk.expect([], { box: box(n) });
      for (const n of [3, 4]) await desk.expect([n], { box: box(n) });
      // It has not lost its place: now it is the one that has most.
      await desk.put({ ...message(6, 2000), box: box(3) });
      await desk.expect([], { box: box(5) });
      await desk.expect([3, 6], { box: box(3) });
    }),
    test(
      "[C42] [X39] the newest small message of each box survives a flood from its own sender and from others",
      FLOOD,
      async (desk) => {
        await desk.put({ ...message(1, 1023), box: box(1) });
        await desk.put({ ...message(2, 500), box: box(2) });
        await desk.put({ ...message(3, 1023), box: box(2) });
        for (let n = 10; n < 60; n++) await desk.put({ ...message(n, 2000), box: box(1 + (n % 3)) });
        assert((await desk.numbers({ box: box(1) })).includes(1), "the first box kept its small one");
        assert((await desk.numbers({ box: box(2) })).includes(3), "the second its newest small one");
        assert(!(await desk.numbers({ box: box(2) })).includes(2), "and not the one before");
      },
    ),
    test("[C42] 1024 bytes are not small", { box: 8000 }, async (desk) => {
      await desk.put(message(1, 1024));
      for (const n of [2, 3, 4, 5]) await desk.put(message(n, 2000));
      await desk.expect([2, 3, 4, 5]);
    }),
    test("[C43] a quota of ten small messages holds one of each of ten senders", {
      recipient: 10_240,
    }, async (desk) => {
      for (let n = 1; n <= 10; n++) await desk.put({ ...message(n, 1023), box: box(n) });
      assert((await desk.put({ ...message(11, 1023), box: box(11) })) === "none", "the eleventh finds no room");
      for (let n = 1; n <= 10; n++) await desk.expect([n], { box: box(n) });
      assert((await desk.put({ ...message(12, 1000), box: box(4) })) === "more", "a sender may replace its own");
      await desk.expect([12], { box: box(4) });
    }),
    test("what fits nowhere is refused and pushes nothing out", { box: 4000, recipient: 5000 }, async (desk) => {
      await desk.put(message(1, 2000));
      await desk.put({ ...message(2, 1000), box: box(2) });
      assert((await desk.put(message(3, 4001))) === "none", "above the cap of a box");
      assert((await desk.put({ ...message(4, 3500), box: box(2) })) === "none", "beside what is protected");
      await desk.expect([1]);
      await desk.expect([2], { box: box(2) });
    }),
    test("strangers have a pool of their own and never push out contacts", STRANGERS, async (desk) => {
      await desk.put(message(1, 2000));
      for (let n = 10; n < 30; n++) await desk.put({ ...message(n, 3000), box: box(n), class: "stranger" });
      await desk.expect([1]);
      await desk.expect([], { box: box(25) });
      for (let n = 26; n < 30; n++) await desk.expect([n], { box: box(n) });
      assert((await desk.put({ ...message(31, 8193), box: box(31), class: "stranger" })) === "none", "8 KiB each");
    }),
    test("a sender that was a stranger has one box, in order", {}, async (desk) => {
      await desk.put({ ...message(1, 1500), class: "stranger" });
      assert((await desk.put(message(2, 1500))) === "more", "the box was not empty");
      await desk.put({ ...message(3, 1500), class: "stranger" });
      assert((await desk.put(message(1, 1500))) === "none", "the same message by another token is the same");
      await desk.expect([1, 2, 3]);
      assert((await desk.list()).join() === BOX, "listed once");
      await desk.ask({ type: "remove", op: 0, recipient: ALICE, box: BOX, id: id(3) });
      await desk.expect([1, 2]);
      await desk.ask({ type: "clear", op: 0, recipient: ALICE, box: BOX });
      await desk.expect([]);
    }),
    test("the number of boxes of a recipient is bounded", { boxes: 3 }, async (desk) => {
      for (let n = 1; n <= 5; n++)
        await desk.put({ ...message(n, 300), box: box(n), class: n % 2 ? "contact" : "stranger" });
      assert((await desk.list()).sort().join() === [box(1), box(2), box(3)].join(), "three boxes");
      await desk.put({ ...message(6, 300), box: box(2) });
      await desk.expect([2, 6], { box: box(2) });
    }),
    test("memory is bounded in all, and comes back", { total: 64 * 1024 }, async (desk) => {
      for (let n = 1; n <= 200; n++) await desk.put({ ...message(n, 700), recipient: person(n % 20), box: box(n % 7) });
      assert(desk.store.stats().memory <= 64 * 1024, "within the bound");
      assert(desk.store.stats().messages > 20, "and put to use");
      for (let n = 1; n <= 200; n++)
        await desk.ask({ type: "clear", op: 0, recipient: person(n % 20), box: box(n % 7) });
      const { messages, bytes, memory, boxes, recipients } = desk.store.stats();
      assert(messages + bytes + memory + boxes + recipients === 0, "nothing is left");
    }),
    test("cursors go on where they were, whatever was removed meanwhile", {}, async (desk) => {
      for (let n = 1; n <= 120; n++) await desk.put(message(n, 200));
      const first = await desk.read(0);
      assert(first?.n === 1, "the first");
      for (let n = 1; n <= 100; n++)
        if (n % 10 !== 0) await desk.ask({ type: "remove", op: 0, recipient: ALICE, box: BOX, id: id(n) });
      const second = await desk.read(first.cursor);
      assert(second?.n === 10, "the next that is left");
      await desk.put(message(121, 200));
      await desk.ask({ type: "remove", op: 0, recipient: ALICE, box: BOX, id: id(10) });
      assert((await desk.read(second.cursor))?.n === 20, "and the next");
    }),
    test("[C6] what was handed out is a copy, and later removal does not reach it", {}, async (desk) => {
      await desk.put(message(1, 300));
      const copy = await desk.read(0);
      await desk.ask({ type: "clear", op: 0, recipient: ALICE, box: BOX });
      assert(copy !== undefined && equal(copy.bytes, payload(1, 300)), "as it was");
    }),
    test("every length comes back byte for byte", {}, async (desk) => {
      const lengths = [2, 15, 16, 17, 127, 128, 129, 1023, 1024, 1025, 4096, 4097, 32_768, 65_535, 65_536];
      for (const [i, length] of lengths.entries()) await desk.put(message(i, length));
      for (let i = 0, next = await desk.read(0); i < lengths.length; i++, next = await desk.read(next?.cursor ?? 0))
        assert(next?.n === i && next.bytes.length === lengths[i], `the message of ${lengths[i]} bytes`);
    }),
    test("[X16] ids that meet on purpose: many messages under one id, in many boxes", {}, async (desk) => {
      for (let n = 1; n <= 60; n++) await desk.put({ ...message(n, 300), id: id(1), box: box(n % 3) });
      for (let n = 1; n <= 60; n++)
        assert((await desk.put({ ...message(n, 300), id: id(1), box: box(n % 3) })) === "none", "each is known");
      await desk.ask({ type: "remove", op: 0, recipient: ALICE, box: box(1), id: id(1) });
      await desk.expect([], { box: box(1) });
      for (const rest of [0, 2])
        await desk.expect(
          Array.from({ length: 60 }, (_, i) => i + 1).filter((n) => n % 3 === rest),
          { box: box(rest) },
        );
    }),
    test("several are removed at once, those that are there", {}, async (desk) => {
      for (let n = 1; n <= 9; n++) await desk.put(message(n, n === 3 ? 2000 : 300));
      await desk.put({ ...message(10, 300), id: id(4), class: "stranger" });
      await desk.put({ ...message(11, 300), box: box(1), id: id(4) });
      const ids = words(id(9), id(4), id(77), id(3), id(4));
      await desk.ask({ type: "remove-many", op: 0, recipient: ALICE, box: BOX, ids });
      await desk.ask({ type: "remove", op: 0, recipient: ALICE, box: BOX, id: "no id" });
      await desk.expect([1, 2, 5, 6, 7, 8]);
      await desk.expect([11], { box: box(1) });
      await desk.ask({ type: "remove-many", op: 0, recipient: BOB, box: BOX, ids: words(id(1)) });
      await desk.ask({
        type: "remove-many",
        op: 0,
        recipient: ALICE,
        box: BOX,
        ids: words(...[1, 2, 5, 6, 7, 8].map(id)),
      });
      await desk.expect([]);
      assert((await desk.list()).join() === box(1), "the box is gone");
      for (const n of [1, 2, 3]) await desk.put({ ...message(n, 300), id: id(n === 2 ? 1 : n) });
      await desk.ask({ type: "remove-many", op: 0, recipient: ALICE, box: BOX, ids: words(id(1), id(77)) });
      await desk.expect([3]);
    }),
    test("what is left after thousands came and went is unchanged and in order", {}, async (desk) => {
      const chance = new Chance(9);
      const boxes = Array.from({ length: 12 }, (_, i) => ({ recipient: i % 2 ? ALICE : BOB, box: box(i), left: [0] }));
      for (const at of boxes) at.left = [];
      for (let n = 1; n <= 3000; n++) {
        const at = chance.pick(boxes);
        const { recipient, box: name, left } = at;
        await desk.put({ ...message(n, chance.pick([130, 300, 300, 700, 2000])), recipient, box: name });
        left.push(n);
        if (n < 1500 ? chance.happens(0.3) : chance.happens(0.9)) {
          const gone = chance.pick(left);
          await desk.ask({ type: "remove", op: 0, recipient, box: name, id: id(gone) });
          at.left = left.filter((one) => one !== gone);
        }
        if (!chance.happens(0.003)) continue;
        await desk.ask({ type: "clear", op: 0, recipient, box: name });
        at.left = [];
      }
      for (const { left, ...where } of boxes) await desk.expect(left, where);
    }),
    test("a clock that goes back loses nothing, and one that leaps ahead leaves nothing", {}, async (desk) => {
      await desk.put({ ...message(1, 300), expires: NOW + 1000 });
      desk.now = NOW - 1e9;
      await desk.put({ ...message(2, 300), expires: desk.now + 1000 });
      await desk.expect([1, 2]);
      desk.now = NOW - 1e9 + 1000;
      await desk.expect([1]);
      desk.now = NOW + 1e12;
      await desk.expect([]);
      assert(desk.store.stats().messages === 0, "nothing is left");
    }),
    ...Array.from({ length: 6 }, (_, seed) =>
      test(`[C41] [C42] [X17] a thousand random turns do what the rules say (${seed})`, MODEL, (desk) =>
        compare(desk, seed),
      ),
    ),
  ];
}

/** A store, a clock, and questions put in few words. Everything is alice's, in one box, unless said otherwise. */
class Desk {
  readonly store: BoxStore;
  now: Time = NOW;
  #op = 100;

  constructor(store: BoxStore) {
    this.store = store;
  }

  async ask(op: BoxOp): Promise<BoxAnswer[]> {
    const answers = await this.store.handle(op, this.now);
    const own = answers.filter((answer) => answer.type !== "gained");
    assert(
      own.length === 1 && own.every((answer) => answer.op === op.op),
      "one answer with the number of the question",
    );
    return answers;
  }

  async put(put: Put): Promise<"first" | "more" | "none"> {
    const op = this.#op++;
    const answers = await this.ask({ type: "put", op, ...put, bytes: put.bytes.slice() });
    for (const answer of answers) {
      if (answer.type !== "gained") continue;
      assert(answer.recipient === put.recipient && answer.box === put.box, "it names the box");
      return answer.wasEmpty ? "first" : "more";
    }
    return "none";
  }

  async list(recipient = ALICE): Promise<string[]> {
    const [answer] = await this.ask({ type: "list", op: this.#op++, recipient });
    assert(answer?.type === "list", "a list");
    return [...answer.boxes];
  }

  async read(
    after: number,
    where: Where = {},
  ): Promise<{ n: number; id: string; bytes: Uint8Array; cursor: number } | undefined> {
    const { recipient = ALICE, box: name = BOX } = where;
    const [answer] = await this.ask({ type: "read", op: this.#op++, recipient, box: name, after });
    if (answer?.type === "dry") return undefined;
    assert(answer?.type === "message" && answer.cursor > after, "a message, further on");
    return { n: numberOf(answer), ...answer };
  }

  async numbers(where: Where = {}): Promise<number[]> {
    const found: number[] = [];
    for (let next = await this.read(0, where); next !== undefined; next = await this.read(next.cursor, where))
      found.push(next.n);
    return found;
  }

  /** Reads up to so many at once. */
  async expectAtOnce(numbers: readonly number[], most: number, room: number, where: Where = {}): Promise<void> {
    const { recipient = ALICE, box: name = BOX } = where;
    const found: number[] = [];
    let isOver = false;
    for (let after = 0; ; ) {
      const read = { type: "read", op: this.#op++, recipient, box: name, after, most, room } as const;
      const answer = (await this.ask(read)).find(({ type }) => type === "message");
      if (answer?.type !== "message") break;
      assert(!isOver, "nothing follows what was said to be the last");
      isOver = answer.isLast === true;
      const messages = [answer, ...(answer.more ?? [])];
      const bytes = messages.reduce((sum, one) => sum + one.bytes.length, 0);
      assert(messages.length <= most && (bytes <= room || messages.length === 1), "no more than was asked for");
      for (const one of messages) {
        assert(one.cursor > after, "cursors grow");
        after = one.cursor;
        found.push(numberOf(one));
      }
    }
    assert(found.join() === numbers.join(), `expected ${numbers.join()}, found ${found.join()}`);
  }

  async expect(numbers: readonly number[], where: Where = {}): Promise<void> {
    const found = await this.numbers(where);
    assert(found.join() === numbers.join(), `expected ${numbers.join()}, found ${found.join()}`);
  }
}

function numberOf({ bytes }: { readonly bytes: Uint8Array }): number {
  const n = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  assert(equal(bytes, payload(n, bytes.length)), "unchanged");
  return n;
}

/** The rules again, with lists and loops: what is compared with the adapter after each turn. */
class Model {
  readonly #limits: BoxLimits;
  messages: (Put & { n: number })[] = [];

  constructor(limits: BoxLimits) {
    this.#limits = limits;
  }

  expire(now: Time): void {
    this.messages = this.messages.filter((one) => one.expires > now);
  }

  put(put: Put & { n: number }, now: Time): void {
    const expires = Math.min(put.expires, now + this.#limits.lifetime);
    const same = this.messages.findIndex((one) => isIn(one, put) && one.id === put.id && equal(one.bytes, put.bytes));
    const known = this.messages[same];
    if (known !== undefined) {
      this.messages[same] = { ...known, expires };
      this.expire(now);
      return;
    }
    if (expires <= now) return;
    const isNewBox = !this.messages.some((one) => isIn(one, put));
    if (isNewBox && this.boxes(put.recipient).length >= this.#limits.boxes) return;
    const isPool = (one: Put): boolean =>
      one.recipient === put.recipient && (one.class === "stranger") === (put.class === "stranger");
    const { box: cap, strangerBox, recipient, strangers } = this.#limits;
    const [inBox, inAll] = put.class === "stranger" ? [strangerBox, strangers] : [cap, recipient];
    const fresh = { ...put, expires };
    let next = [...this.messages, fresh];
    for (const [limit, counts] of [
      [inBox, (one: Put) => isPool(one) && isIn(one, put)],
      [inAll, isPool],
    ] as const) {
      while (sizeOf(next.filter(counts)) > limit) {
        const kept = new Set(
          [...this.boxesOf(next)].map((at) => next.findLast((one) => isIn(one, at) && one.bytes.length < 1024)),
        );
        const mayGo = next.filter((one) => counts(one) && one !== fresh && !kept.has(one));
        // Of those that are the oldest in their box the first, unless another box has more.
        const [goes] = mayGo
          .map((one) => ({ one, size: sizeOf(next.filter((other) => isPool(other) && isIn(other, one))) }))
          .sort((a, b) => b.size - a.size);
        if (goes === undefined) return;
        next = next.filter((one) => one !== goes.one);
      }
    }
    this.messages = next;
  }

  boxes(recipient: string): string[] {
    return [...new Set(this.messages.filter((one) => one.recipient === recipient).map((one) => one.box))];
  }

  boxesOf(messages: readonly Put[]): Put[] {
    return messages.filter((one, i) => messages.findIndex((other) => isIn(other, one)) === i);
  }
}

async function compare(desk: Desk, seed: number): Promise<void> {
  const chance = new Chance(seed);
  const model = new Model({ ...BOX_LIMITS, ...MODEL });
  for (let n = 1; n <= 1000; n++) {
    desk.now += chance.between(0, 50);
    model.expire(desk.now);
    const where = { recipient: chance.pick([ALICE, BOB]), box: box(chance.between(1, 6)) };
    const old = chance.happens(0.2)
      ? model.messages[chance.between(0, Math.max(0, model.messages.length - 1))]
      : undefined;
    const kind = chance.fraction();
    if (kind < 0.85) {
      const fresh = { ...message(n, chance.pick([20, 300, 1023, 1024, 1500, 4000])), ...where, n };
      const lifetime = chance.pick([0, 100, 5000, 1e9]);
      const sender = chance.pick<Put["class"]>(["member", "contact", "contact", "stranger"]);
      const twin = chance.happens(0.05) && old !== undefined ? { id: old.id } : {};
      const put = {
        ...(old ?? fresh),
        ...(old === undefined || "id" in twin ? { ...fresh, ...twin } : {}),
        class: sender,
        expires: desk.now + lifetime,
      };
      await desk.put(put);
      model.put(put, desk.now);
    } else if (kind < 0.94) {
      const target = old ?? { ...where, id: id(n) };
      await desk.ask({ type: "remove", op: 0, recipient: target.recipient, box: target.box, id: target.id });
      model.messages = model.messages.filter((one) => !isIn(one, target) || one.id !== target.id);
    } else if (kind < 0.98) {
      const target = { recipient: old?.recipient ?? where.recipient, box: old?.box ?? where.box };
      const there = model.messages.filter((one) => isIn(one, target));
      const share = chance.pick([0.5, 1]);
      const ids = [id(n), ...there.filter(() => chance.happens(share)).map((one) => one.id)];
      if (chance.happens(0.3)) ids.reverse();
      await desk.ask({ type: "remove-many", op: 0, ...target, ids: words(...ids) });
      model.messages = model.messages.filter((one) => !isIn(one, target) || !ids.includes(one.id));
    } else {
      await desk.ask({ type: "clear", op: 0, ...where });
      model.messages = model.messages.filter((one) => !isIn(one, where));
    }
    for (const recipient of [ALICE, BOB]) {
      const boxes = model.boxes(recipient);
      assert((await desk.list(recipient)).sort().join() === [...boxes].sort().join(), `the boxes in turn ${n}`);
      for (const name of boxes) {
        const expected = model.messages.filter((one) => isIn(one, { recipient, box: name })).map((one) => one.n);
        await desk.expect(expected, { recipient, box: name });
        if (n % 10 === 0) await desk.expectAtOnce(expected, 7, 9000, { recipient, box: name });
      }
    }
  }
  const stats = desk.store.stats();
  assert(stats.messages === model.messages.length, "the number of messages");
  assert(stats.bytes === model.messages.reduce((sum, one) => sum + one.bytes.length, 0), "and of bytes");
}

type Put = Omit<Extract<BoxOp, { type: "put" }>, "type" | "op">;
interface Where {
  readonly recipient?: string;
  readonly box?: string;
}

function sizeOf(messages: readonly Put[]): number {
  return messages.reduce((sum, one) => sum + Math.max(128, one.bytes.length), 0);
}

function isIn(one: Where, other: Where): boolean {
  return one.recipient === other.recipient && one.box === other.box;
}

/** Message number `n`, of this many bytes (2 at least). */
function message(n: number, length: number): Put {
  return { recipient: ALICE, box: BOX, id: id(n), bytes: payload(n, length), expires: NOW + 1e8, class: "contact" };
}

function payload(n: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(n % 251);
  bytes[0] = n >> 8;
  bytes[1] = n & 255;
  return bytes;
}

function person(n: number): string {
  return toBase32(new Uint8Array(32).fill(n));
}

function box(n: number): string {
  return toHex(Uint8Array.of(0xb0, 0, 0, 0, 0, 0, n >> 8, n & 255));
}

function id(n: number): string {
  return toHex(fromHex(box(n))?.fill(0x1d, 0, 1) ?? new Uint8Array(8));
}

/** Ids as a removal of several has them. */
function words(...ids: readonly string[]): Uint32Array {
  return Uint32Array.from(ids.flatMap((id) => [id.slice(0, 8), id.slice(8)]).map((half) => Number.parseInt(half, 16)));
}

const NOW: Time = 1_800_000_000_000;
const BOX = box(0);
const [ALICE, BOB]: readonly [string, string] = [person(0xa1), person(0xb0)];
const FLOOD: Partial<BoxLimits> = { box: 8000, recipient: 16_000 };
const STRANGERS: Partial<BoxLimits> = { strangers: 12_000 };
const MODEL: Partial<BoxLimits> = {
  box: 8000,
  recipient: 16_000,
  strangerBox: 3000,
  strangers: 6000,
  boxes: 5,
  lifetime: 1e6,
};
