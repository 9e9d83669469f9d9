/**
 * A spool with more mail than it holds: it reads pages from its store. Without deliveries, caches and links: what is offered is
 * acknowledged, or not, as the test wants it.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { assert, ofJson, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { pageOf } from "../testing/mail-world.ts";
import { isFinal, type LedgerEntry, type MailState, stateOf } from "./ledger.ts";
import type { Parcel } from "./parcel.ts";
import { Ranges } from "./ranges.ts";
import { Spool, type SpoolIn, type SpoolOut } from "./spool.ts";

const START = 1_800_000_000_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A store whose pages cost what is in them. */
class Disk {
  readonly values = new Map<string, Uint8Array>();
  readonly #lines = new Map<string, string[]>();
  lists = 0;

  set(key: string, value: Uint8Array | undefined): void {
    if (value === undefined) this.values.delete(key);
    else {
      const line = this.#lineOf(key);
      // Places only go up, until the line is empty: then it is another contact's, and they begin anew.
      if (key.startsWith("queue/") && !this.values.has(key)) {
        const at = (line.at(-1) ?? "") < key ? line.length : firstAbove(line, key);
        if (line[at - 1] !== key) line.splice(at, 0, key);
      }
      this.values.set(key, value);
    }
  }

  list(prefix: string, after: string, limit: number): (readonly [string, Uint8Array])[] {
    this.lists++;
    const line = this.#lineOf(prefix);
    const found: (readonly [string, Uint8Array])[] = [];
    for (let at = firstAbove(line, after); at < line.length && found.length < limit; at++) {
      const key = line[at] ?? "";
      const value = this.values.get(key);
      if (value !== undefined) found.push([key, value]);
    }
    return found;
  }

  keys(prefix: string): string[] {
    return [...this.values.keys()].filter((key) => key.startsWith(prefix));
  }

  #lineOf(key: string): string[] {
    const name = key.slice(0, "queue/".length + 5);
    const line = this.#lines.get(name) ?? [];
    this.#lines.set(name, line);
    return line;
  }
}

/** Where the first one behind `after` stands, of keys in order. */
function firstAbove(keys: readonly string[], after: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] ?? "") > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

interface Sent {
  readonly id: string;
  readonly contact: string;
  readonly expires: number;
}

/** A spool, its store, and those who acknowledge. */
class Office {
  readonly disk = new Disk();
  readonly contacts: Map<string, Hashname[]>;
  readonly window: number;
  now = START;
  spool: Spool;
  /** What is offered, by peer. */
  readonly open = new Map<Hashname, Set<Parcel>>();
  readonly sent = new Map<string, Sent>();
  /** By peer and number: whose it is. */
  readonly #numbers = new Map<string, { peer: Hashname; epoch: string; seq: number; mail: string }>();
  /** Those of them that a peer had before it left. */
  readonly #ended = new Set<string>();
  /** By peer and epoch: the highest floor that it was told. */
  readonly #told = new Map<string, number>();
  /** What each peer has, by epoch. */
  readonly #has = new Map<Hashname, Map<string, Ranges>>();
  /** Mails that a peer has. */
  readonly has = new Map<Hashname, Set<string>>();
  readonly #answers: (() => void)[] = [];
  highest = 0;
  #epochs = 0;
  readonly #idle: number;
  #req = 0;
  readonly #onlySought = new Set<number>();
  readonly found = new Map<number, boolean>();

  constructor(contacts: Record<string, string[]>, window: number, idle = IDLE) {
    this.#idle = idle;
    this.contacts = new Map(Object.entries(contacts) as [string, Hashname[]][]);
    this.window = window;
    this.spool = this.#begin();
  }

  #begin(idle = this.#idle): Spool {
    this.open.clear();
    this.#answers.length = 0;
    const saved = new Map([...this.disk.values].filter(([key]) => key.startsWith("mail/")));
    const fresh = (++this.#epochs).toString(16).padStart(16, "0");
    let reads = 0;
    this.spool = new Spool({
      saved,
      fresh,
      draw: () => (++this.#epochs).toString(16).padStart(16, "0"),
      isKey: () => true,
      reads: () => ++reads,
      idle,
      page: Math.min(idle, 64),
      room: (peer) => this.window - (this.open.get(peer)?.size ?? 0),
    });
    this.give({ type: "start" });
    for (const [contact, peers] of this.contacts) for (const peer of peers) this.give({ type: "join", peer, contact });
    return this.spool;
  }

  restart(): void {
    this.#begin();
  }

  /** One that is no contact's any more; or so it seems after a start at which nobody names it. */
  goes(contact: string, peer: Hashname, isUnnamed = false): void {
    const peers = this.contacts.get(contact) ?? [];
    if (!peers.includes(peer)) return;
    peers.splice(peers.indexOf(peer), 1);
    if (isUnnamed) {
      this.restart();
      return;
    }
    this.give({ type: "leave", peer });
    for (const [key, number] of this.#numbers) if (number.peer === peer) this.#ended.add(key);
  }

  comes(contact: string, peer: Hashname): void {
    const peers = this.contacts.get(contact) ?? [];
    if (peers.includes(peer)) return;
    peers.push(peer);
    this.give({ type: "join", peer, contact });
  }

  restore(): void {
    this.disk.values.delete("mail/epoch");
    this.#begin();
  }

  give(input: SpoolIn): void {
    this.#take(this.spool.handle(input, this.now));
  }

  #take(outs: readonly SpoolOut[]): void {
    for (const out of outs) if (out.type === "save") this.disk.set(out.key, out.value);
    for (const out of outs) this.#perform(out);
    this.highest = Math.max(this.highest, this.spool.held);
  }

  #perform(out: SpoolOut): void {
    switch (out.type) {
      case "list": {
        const { req, prefix, after, limit } = out;
        const { spool } = this;
        const asked = this.disk.list(prefix, after, limit);
        this.#answers.push(() => {
          // As of when it was asked, or of when it is answered: a store may do either.
          const pairs = req % 2 === 0 ? asked : this.disk.list(prefix, after, limit);
          if (this.spool === spool) this.give({ type: "listed", req, pairs });
        });
        return;
      }
      case "read": {
        const value = this.disk.values.get(out.key);
        const { spool } = this;
        this.#answers.push(() => {
          if (this.spool === spool) this.give({ type: "read", req: out.req, value });
        });
        return;
      }
      case "found":
        this.found.set(out.req, out.mail !== undefined);
        if (out.mail !== undefined && !this.#onlySought.has(out.req) && !isFinal(stateOf(out.mail.ledger)))
          this.give({ type: "cancel", mail: out.mail.id });
        return;
      case "turn":
        this.give({ type: "address", mail: out.mail.id, to: { peer: out.peer, hello: false, partBytes: 1023 } });
        return;
      case "fed":
        this.give({ type: "room", peer: out.peer });
        return;
      case "offer": {
        const { peer, epoch, seq, mail } = out.parcel;
        const key = `${peer} ${epoch} ${seq}`;
        assert((this.#numbers.get(key)?.mail ?? mail) === mail, `${key} is given once`);
        this.#numbers.set(key, { peer, epoch, seq, mail });
        if (![...this.contacts.values()].flat().includes(peer)) return;
        this.#tell(peer, out.parcel);
        this.open.set(peer, (this.open.get(peer) ?? new Set()).add(out.parcel));
        return;
      }
      case "stop":
        this.open.get(out.parcel.peer)?.delete(out.parcel);
    }
  }

  /** So many answers of the store come. */
  settle(most = Number.POSITIVE_INFINITY): void {
    for (let n = 0; n < most && this.#answers.length > 0; n++) this.#answers.shift()?.();
  }

  post(contact: string, days = 14, parts = 1): string {
    const id = (this.sent.size + 1).toString(16).padStart(32, "0");
    const expires = this.now + days * DAY;
    this.sent.set(id, { id, contact, expires });
    const mail = { id, contact, kind: "text", created: this.now, expires, size: 5, parts };
    const to = (this.contacts.get(contact) ?? []).map((peer) => ({ peer, hello: false, partBytes: 1023 }));
    this.give({ type: "post", mail, to });
    return id;
  }

  /** Brings a mail into memory and does nothing about it. */
  seek(id: string): void {
    this.#onlySought.add(++this.#req);
    this.give({ type: "find", req: this.#req, mail: id });
  }

  cancel(id: string): void {
    if (this.spool.get(id) !== undefined) this.give({ type: "cancel", mail: id });
    else this.give({ type: "find", req: ++this.#req, mail: id });
  }

  /** The peer gets up to so many of what is offered to it, from the front or the back, and says so. */
  take(peer: Hashname, most: number, isBackwards = false): void {
    this.get(peer, most, isBackwards);
    this.tell(peer);
  }

  get(peer: Hashname, most: number, isBackwards = false): void {
    const offered = [...(this.open.get(peer) ?? [])];
    if (isBackwards) offered.reverse();
    const epochs = this.#has.get(peer) ?? new Map<string, Ranges>();
    this.#has.set(peer, epochs);
    const mails = this.has.get(peer) ?? new Set();
    this.has.set(peer, mails);
    for (const { epoch, seq, mail } of offered.slice(0, most)) {
      const ranges = epochs.get(epoch) ?? new Ranges();
      epochs.set(epoch, ranges);
      ranges.add(seq, seq, 500);
      if (ranges.has(seq)) mails.add(mail);
    }
  }

  tell(peer: Hashname): void {
    const reports = [...(this.#has.get(peer) ?? [])]
      .slice(-4)
      .map(([epoch, ranges]) => ({ epoch, floor: 1, ranges: ranges.list(), unfinished: [] }));
    const acknowledgement = { by: "ab".repeat(8), ownEpoch: "cd".repeat(8), floor: 1, reports };
    this.give({ type: "acknowledged", peer, acknowledgement });
    this.give({ type: "room", peer });
  }

  /** `isSlow`: the store does not answer meanwhile. */
  pass(duration: number, isSlow = false): void {
    const end = this.now + duration;
    for (;;) {
      if (!isSlow) this.settle();
      const due = this.spool.deadline() ?? Number.POSITIVE_INFINITY;
      if (due > end) break;
      this.now = Math.max(this.now + 1, due);
      this.give({ type: "tick" });
    }
    // A clock that is looked at once a day leaps for nobody.
    for (; this.now < end; this.now = Math.min(end, this.now + DAY)) this.give({ type: "tick" });
    this.now = end;
    this.give({ type: "tick" });
    if (!isSlow) this.settle();
  }

  ledger(id: string): readonly LedgerEntry[] {
    const known = this.spool.get(id)?.ledger;
    if (known !== undefined) return known;
    const place = this.disk.values.get(`place/${id}`);
    const key = place && `queue/${String(ofJson<{ place: number }>(place).place).padStart(15, "0")}`;
    const value = this.disk.values.get(key ?? `ledger/${id}`);
    return value === undefined ? [] : ofJson<{ ledger: LedgerEntry[] }>(value).ledger;
  }

  state(id: string): MailState {
    return stateOf(this.ledger(id));
  }

  #tell(peer: Hashname, { epoch, floor }: { readonly epoch: string; readonly floor: number }): void {
    const key = `${peer} ${epoch}`;
    this.#told.set(key, Math.max(floor, this.#told.get(key) ?? 1));
  }

  /** Numbers that are offered to those who are there, although they were told that nothing below a higher one is of use. */
  lost(): string[] {
    const there = [...this.contacts.values()].flat();
    for (const peer of there) this.#tell(peer, this.spool.next(peer));
    const open = there.flatMap((peer) => [...(this.open.get(peer) ?? [])]);
    return open
      .filter(({ peer, epoch, seq, state }) => state === "open" && seq < (this.#told.get(`${peer} ${epoch}`) ?? 1))
      .map(({ peer, epoch, seq }) => `${peer} ${epoch} ${seq}`);
  }

  /** No floor is above a number that is offered; and as many are queued as are. */
  check(): void {
    expect(this.lost()).toEqual([]);
    for (const [key, { peer, epoch, seq, mail }] of this.#numbers) {
      const next = this.spool.next(peer);
      const { expires = 0 } = this.sent.get(mail) ?? {};
      const isOver = this.#ended.has(key) || this.has.get(peer)?.has(mail) === true || this.now >= expires + 2 * DAY;
      if (next.epoch === epoch && !isOver) expect(next.floor).toBeLessThanOrEqual(seq);
    }
    const queued = [...this.sent.keys()].filter((id) => !isFinal(this.state(id))).length;
    expect(this.spool.queued).toBe(queued);
  }
}

const alice = "alice" as Hashname;
const phone = "phone" as Hashname;
const bob = "bob" as Hashname;
const carol = "carol" as Hashname;
const WINDOW = 256;
const IDLE = 256;

test("of a hundred thousand mails to three contacts some hundred each are in memory, also after a restart, and they arrive in order", () => {
  const office = new Office({ a: [alice], b: [bob], c: [carol] }, WINDOW);
  for (let i = 0; i < 99_999; i++) office.post(["a", "b", "c"][i % 3] ?? "");
  expect(office.spool.queued).toBe(99_999);
  const bound = 3 * WINDOW + IDLE;
  expect(office.highest).toBeLessThanOrEqual(bound);
  office.disk.lists = 0;
  office.restart();
  office.settle();
  // The head of each contact, and no mail that waits.
  expect(office.disk.lists).toBeLessThan(3 * 8);
  expect(office.disk.keys("mail/").length).toBeLessThan(99_999 / 512 + 20);
  expect([office.spool.queued, office.spool.held]).toEqual([99_999, 3 * WINDOW]);
  for (let turn = 0; turn < 8; turn++) {
    for (const peer of [alice, bob, carol]) office.take(peer, WINDOW);
    office.settle();
    // What is delivered is kept for a minute, in case that its copies have to be taken back again.
    if (turn % 2 === 1) office.pass(2 * 60_000);
    expect(office.spool.held).toBeLessThanOrEqual(3 * 3 * WINDOW + IDLE);
  }
  const arrived = [...office.sent.keys()].filter((id) => office.state(id) === "delivered");
  expect(arrived).toEqual([...office.sent.keys()].slice(0, 8 * 3 * WINDOW));
  expect(office.spool.queued).toBe(99_999 - arrived.length);
});

test("what waits behind the window can be looked up and cancelled, and expires within ten minutes of its time", () => {
  const office = new Office({ a: [alice] }, 4);
  const ids = Array.from({ length: 700 }, (_, i) => office.post("a", i < 690 ? 14 : i < 695 ? 2 : 3));
  const [late = "", soon = "", later = ""] = [ids[500], ids[692], ids[699]];
  expect([office.spool.get(ids[100] ?? ""), office.state(late)]).toEqual([undefined, "queued"]);
  office.restart();
  office.settle();
  office.cancel(late);
  office.cancel("f".repeat(32));
  office.settle();
  expect(office.state(late)).toBe("cancelled");
  expect([1, 2].map((req) => office.found.get(req))).toEqual([true, false]);
  expect(office.spool.queued).toBe(699);
  office.pass(2 * DAY + 600_001);
  expect([office.state(soon), office.state(later), office.spool.queued]).toEqual(["expired", "queued", 694]);
  office.pass(DAY);
  expect([office.state(later), office.state(ids[0] ?? ""), office.spool.queued]).toEqual(["expired", "queued", 689]);
  office.check();
  office.pass(14 * DAY);
  expect(office.spool.queued).toBe(0);
  office.pass(60 * DAY);
  for (const prefix of ["queue/", "place/", "mail/block/"]) expect(office.disk.keys(prefix)).toEqual([]);
});

test("a mail to two devices waits for the one that is away without filling memory, and is for it when it is back", () => {
  const office = new Office({ a: [alice, phone] }, 8);
  for (let i = 0; i < 2000; i++) {
    office.post("a");
    office.take(alice, 8);
    if (i % 100 === 99) office.pass(120_000);
  }
  expect(office.spool.queued).toBe(0);
  expect(office.spool.held).toBeLessThanOrEqual(8 + IDLE + 100);
  office.restart();
  office.settle();
  for (let turn = 0; turn < 400; turn++) {
    office.take(phone, 8);
    office.settle();
    if (turn % 20 === 19) office.pass(120_000);
  }
  expect(office.has.get(phone)?.size).toBe(2000);
  office.pass(60 * DAY);
  expect(office.disk.keys("queue/")).toEqual([]);
});

test("a contact that is forgotten takes all with it that waits for it, also when that is stopped half-way", () => {
  const office = new Office({ a: [alice], b: [bob] }, 8);
  const gone = Array.from({ length: 3000 }, (_, i) => office.post("a", 14, 1 + (i % 7 === 0 ? 1 : 0)));
  const stays = Array.from({ length: 300 }, () => office.post("b"));
  office.give({ type: "forget", contact: "a" });
  office.give({ type: "leave", peer: alice });
  office.contacts.delete("a");
  office.settle(5);
  office.restart();
  office.pass(HOUR);
  for (const id of gone) expect(office.state(id)).toBe("cancelled");
  for (const id of stays) expect(office.state(id)).toBe("queued");
  expect(office.spool.queued).toBe(300);
  expect(office.disk.keys("mail/line/")).toEqual(["mail/line/b"]);
  expect(office.disk.keys("queue/")).toHaveLength(300);
});

test("who is a contact again gets nothing of before, though it stands in the line still", () => {
  const office = new Office({ a: [alice] }, 8);
  const gone = new Set(Array.from({ length: 2000 }, () => office.post("a")));
  office.give({ type: "forget", contact: "a" });
  office.give({ type: "leave", peer: alice });
  office.open.clear();
  office.give({ type: "join", peer: alice, contact: "a" });
  const fresh = Array.from({ length: 20 }, () => office.post("a"));
  for (let turn = 0; turn < 200; turn++) {
    office.settle(1);
    for (const { mail } of office.open.get(alice) ?? []) expect(gone.has(mail)).toBe(false);
    office.take(alice, 3);
  }
  office.pass(HOUR);
  for (const id of gone) expect(office.state(id)).toBe("cancelled");
  for (const id of fresh) expect(office.state(id)).toBe("delivered");
  office.pass(60 * DAY);
  expect(office.disk.keys("queue/")).toEqual([]);
});

/** Three hundred mails have numbers for alice, and most of them are not read yet after a start. */
function started(pages: number, peers = [alice]): Office {
  const office = new Office({ a: peers }, WINDOW);
  for (let i = 0; i < 300; i++) office.post("a");
  office.settle();
  office.restart();
  office.settle(pages);
  return office;
}

test("who leaves and comes back while what is numbered for it is read gets all of it under numbers above the floor it is told", () => {
  for (const [pages, isCrash] of [0, 1, 2, 3].flatMap((n) => [[n, false] as const, [n, true] as const])) {
    const office = started(pages);
    office.goes("a", alice);
    if (isCrash) office.restart();
    office.comes("a", alice);
    for (let turn = 0; turn < 5; turn++) {
      office.settle(1);
      expect(office.lost()).toEqual([]);
    }
    // Again, now that some have new numbers and others old ones.
    office.restart();
    for (let turn = 0; turn < 20; turn++) {
      office.settle(2);
      expect(office.lost()).toEqual([]);
      office.take(alice, WINDOW);
    }
    expect(office.has.get(alice)?.size).toBe(300);
    for (const id of office.sent.keys()) expect(office.state(id)).toBe("delivered");
  }
});

test("what one who was away for a moment had under old numbers is delivered when it says so, is not sent again, and goes", () => {
  const office = new Office({ a: [alice] }, WINDOW);
  for (let i = 0; i < 200; i++) office.post("a");
  office.get(alice, 200);
  office.restart();
  office.goes("a", alice);
  office.comes("a", alice);
  office.settle(3);
  const anew = office.open.get(alice)?.size ?? 0;
  expect(anew).toBeLessThan(200);
  office.tell(alice);
  office.settle();
  for (const id of [...office.sent.keys()].slice(anew)) expect(office.state(id)).toBe("delivered");
  expect(office.open.get(alice)?.size).toBe(anew);
  office.take(alice, anew);
  office.pass(3 * DAY);
  expect(office.disk.keys("queue/")).toEqual([]);
});

test("of two devices one leaves and comes back at a start: each gets all", () => {
  const office = started(1, [alice, phone]);
  office.goes("a", alice);
  office.pass(3 * 60_000);
  office.comes("a", alice);
  office.pass(3 * 60_000);
  for (let turn = 0; turn < 20; turn++) {
    for (const peer of [alice, phone]) office.take(peer, WINDOW);
    office.pass(120_000);
    expect(office.lost()).toEqual([]);
  }
  expect([office.has.get(alice)?.size, office.has.get(phone)?.size]).toEqual([300, 300]);
  for (const id of office.sent.keys()) expect(office.state(id)).toBe("delivered");
});

test("mail that was looked for before anybody named its peer is offered when the peer is there, and kept over a start", () => {
  const office = started(0);
  office.goes("a", alice, true);
  const [first = ""] = office.sent.keys();
  office.seek(first);
  office.settle();
  office.comes("a", alice);
  office.settle();
  expect([...(office.open.get(alice) ?? [])].filter(({ mail }) => mail === first)).toHaveLength(1);
  // The next ones get numbers, and with these it is saved where the reader is.
  office.take(alice, 10, true);
  office.pass(120_000);
  office.restart();
  office.settle();
  office.take(alice, WINDOW);
  expect(office.state(first)).toBe("delivered");
  expect(office.lost()).toEqual([]);
});

type Op =
  | { type: "post"; contact: string; days: number; parts: number }
  | { type: "take"; peer: Hashname; most: number; isBackwards: boolean }
  | { type: "cancel"; nth: number }
  | { type: "pass"; hours: number; isSlow: boolean }
  | { type: "settle"; most: number }
  | { type: "goes" | "comes" | "unnamed"; peer: Hashname }
  /** A start; when so many pages have come, all leave and are back at once. */
  | { type: "blink"; pages: number }
  | { type: "restart" | "restore" | "again" };

const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constantFrom("goes" as const, "comes" as const, "unnamed" as const),
      peer: fc.constantFrom(alice, phone),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      type: fc.constant("post" as const),
      contact: fc.constantFrom("a", "b"),
      days: fc.integer({ min: 1, max: 20 }),
      parts: fc.constantFrom(1, 1, 2),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("take" as const),
      peer: fc.constantFrom(alice, phone, bob),
      most: fc.integer({ min: 0, max: 5 }),
      isBackwards: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("blink" as const), pages: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("cancel" as const), nth: fc.nat(60) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("pass" as const),
      hours: fc.integer({ min: 0, max: 60 }),
      isSlow: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("settle" as const), most: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom("restart" as const, "restart" as const, "restore" as const, "again" as const),
    }),
  },
);

test("whatever happens: no number is given twice, no floor passes what is open, the counts are right, and all ends and leaves", () => {
  fc.assert(
    fc.property(fc.array(op, { minLength: 10, maxLength: 120 }), (ops) => {
      const office = new Office({ a: [alice], b: [bob] }, 6, 2);
      for (const each of ops) {
        if (each.type === "post") office.post(each.contact, each.days, each.parts);
        else if (each.type === "take") office.take(each.peer, each.most, each.isBackwards);
        else if (each.type === "cancel") {
          const id = [...office.sent.keys()][each.nth];
          if (id !== undefined) office.cancel(id);
        } else if (each.type === "pass") office.pass(each.hours * HOUR, each.isSlow);
        else if (each.type === "settle") office.settle(each.most);
        else if (each.type === "restart") office.restart();
        else if (each.type === "restore") office.restore();
        else if (each.type === "again") office.give({ type: "again", contact: "a" });
        else if (each.type === "blink") {
          office.restart();
          office.settle(each.pages);
          const there = [...(office.contacts.get("a") ?? [])];
          for (const peer of there) office.goes("a", peer);
          for (const peer of there) office.comes("a", peer);
        } else if (each.type === "comes") office.comes("a", each.peer);
        else if (each.type === "goes" || each.type === "unnamed") office.goes("a", each.peer, each.type === "unnamed");
        office.check();
      }
      for (const peer of [alice, phone]) office.comes("a", peer);
      office.settle();
      // All who are there take what comes: what did not end is delivered, to each of those it was sent to.
      const before = new Map([...office.sent.keys()].map((id) => [id, office.state(id)]));
      for (let turn = 0; turn < 60; turn++) {
        for (const peer of [alice, phone, bob]) office.take(peer, 3);
        office.settle();
      }
      office.check();
      for (const [id, state] of before) {
        const now = office.state(id);
        if (!isFinal(state)) expect([id, now]).toEqual([id, "delivered"]);
        else if (state === "delivered") expect([id, now]).toEqual([id, "delivered"]);
      }
      expect(office.spool.queued).toBe(0);
      office.pass(70 * DAY);
      expect(office.disk.keys("queue/")).toEqual([]);
      expect(office.disk.keys("place/")).toEqual([]);
      expect(office.disk.keys("mail/block/")).toEqual([]);
      expect(office.spool.held).toBe(0);
      expect(office.spool.deadline()).toBeUndefined();
    }),
    { numRuns: 150 },
  );
});

test("a clock that is far ahead for a while puts off no end of what waits in the store", () => {
  const [now, day] = [1_800_000_000_000, 86_400_000];
  const saved = new Map<string, Uint8Array>();
  const ended = new Set<string>();
  let room = 2;
  const begin = (at: Time): Spool => {
    const options = { fresh: "00".repeat(8), draw: () => "dd".repeat(8), isKey: () => true, room: () => room };
    const spool = new Spool({ saved, ...options });
    take(spool, { type: "start" }, at);
    take(spool, { type: "join", peer: "peer" as Hashname, contact: "c" }, at);
    return spool;
  };
  const take = (spool: Spool, input: SpoolIn, at: Time): void => {
    const queue = spool.handle(input, at);
    for (const out of queue) {
      if (out.type === "save" && out.value !== undefined) saved.set(out.key, out.value);
      else if (out.type === "save") saved.delete(out.key);
      else if (out.type === "state" && out.entry.state === "expired") ended.add(out.mail.id);
      else if (out.type === "offer") room--;
      else if (out.type === "list") {
        const pairs = pageOf(saved, out.prefix, out.after, out.limit);
        queue.push(...spool.handle({ type: "listed", req: out.req, pairs }, at));
      }
    }
  };
  const first = begin(now);
  for (let i = 0; i < 3000; i++) {
    const id = i.toString(16).padStart(32, "0");
    const mail = { id, contact: "c", kind: "text", created: now, expires: now + 3 * day, size: 1, parts: 1 };
    take(first, { type: "post", mail, to: [{ peer: "peer" as Hashname, hello: false, partBytes: 1023 }] }, now);
  }
  for (let i = 0; i < 3; i++) take(first, { type: "tick" }, now + 60 * day + i * 600_001);
  room = 2;
  const second = begin(now + day);
  for (let at = now + day; at < now + 10 * day; at += 3_600_000) take(second, { type: "tick" }, at);
  expect(ended.size).toBe(3000);
});
