import { utf8 } from "restante/protocol";
import { Chance } from "restante/testing";
import { expect, test } from "vitest";
import {
  blockOf,
  cidOf,
  encodeAddress,
  type Identity,
  identityFromSeed,
  type Message,
  magicId,
  open,
  sealedMessage,
  sealedOf,
  storedCids,
  storeMessage,
  TYPES,
} from "../format/index.ts";
import type { Answer, Contact } from "./effects.ts";
import { OUT_PREFIX, Outgoing, type OutgoingInput, type OutgoingOutput } from "./outgoing.ts";

const [alice, bob, push] = [1, 2, 3].map((byte) => identityFromSeed(new Uint8Array(32).fill(byte))) as [
  Identity,
  Identity,
  Identity,
];
const to: Contact = { id: bob.id, publicKey: bob.publicKey };
const node: Contact = { id: push.id, publicKey: push.publicKey };
const T = 1_700_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A sender; what it asks is answered by rules that a test may change. */
class Sender {
  machine: Outgoing;
  now = T;
  readonly out: OutgoingOutput[] = [];
  readonly store = new Map<string, Uint8Array>();
  readonly files = new Map<string, Uint8Array>();
  /** Gives the answer to an effect; `null`: none for now. */
  rule: (effect: OutgoingOutput & { id: number }) => Answer | null | undefined = () => undefined;
  readonly nodes: readonly Contact[];
  readonly onlineMs: number | undefined;

  constructor(nodes: readonly Contact[] = [], onlineMs?: number) {
    this.nodes = nodes;
    this.onlineMs = onlineMs;
    this.machine = this.#make();
  }

  #make(): Outgoing {
    const chance = new Chance(this.out.length + 1);
    const random = (length: number) => Uint8Array.from({ length }, () => chance.between(0, 255));
    return new Outgoing({ identity: alice, random, nodes: this.nodes, onlineMs: this.onlineMs }, [...this.store]);
  }

  restart(): void {
    this.machine = this.#make();
    this.give({ type: "start" });
  }

  give(input: OutgoingInput): void {
    const queue: OutgoingInput[] = [input];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const effect of this.machine.handle(next, this.now)) {
        this.out.push(effect);
        if (effect.type === "save") {
          if (effect.value === undefined) this.store.delete(effect.key);
          else this.store.set(effect.key, effect.value);
        }
        if (!("id" in effect)) continue;
        const special = this.rule(effect);
        const answer = special === undefined ? this.answer(effect) : special;
        if (answer !== null) queue.push(answer);
      }
    }
  }

  answer(effect: OutgoingOutput & { id: number }): Answer | null {
    const { id } = effect;
    switch (effect.type) {
      case "put":
        this.files.set(effect.name, effect.content);
        return { type: "stored", id, address: encodeAddress({ type: "ipfs", cid: cidOf(utf8(effect.name)) }) };
      case "get":
        return { type: "content", id, content: this.files.get(effect.name) };
      case "remove":
        return { type: "removed", id, ok: this.files.delete(effect.name) };
      case "send":
        return { type: "sent", id, ok: false };
      case "request":
        return { type: "answered", id, message: undefined };
      case "find-key":
        return { type: "key", id, publicKey: undefined };
      case "provide":
      case "withdraw":
        return { type: "provided", id, took: 1 };
      default:
        return null;
    }
  }

  send(ref: string, message: Message = sealedMessage(utf8(ref)), more: object = {}): void {
    this.give({ type: "send", ref, to, message, ...more });
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (let at = this.machine.deadline(); at !== undefined && at <= end; at = this.machine.deadline()) {
      this.now = Math.max(this.now, at);
      this.give({ type: "tick" });
    }
    this.now = end;
  }

  of<K extends OutgoingOutput["type"]>(type: K): (OutgoingOutput & { type: K })[] {
    return this.out.filter((effect): effect is OutgoingOutput & { type: K } => effect.type === type);
  }

  states(ref: string): string[] {
    return this.of("progress").flatMap((one) =>
      one.ref === ref ? [one.how ? `${one.state}: ${one.how}` : one.state] : [],
    );
  }
}

test("[D12] the online attempt is as long as the peer took lately, 30 seconds or what is set at most, and left out for who just failed", () => {
  const sender = new Sender();
  let took = 100;
  sender.rule = (effect) => {
    if (effect.type !== "request") return undefined;
    sender.now += took;
    const message = { ...effect.message, isResponse: true };
    return { type: "answered", id: effect.id, message };
  };
  const timeouts = () => sender.of("request").map(({ timeoutMs }) => timeoutMs);
  const hasty = new Sender([], 3000);
  hasty.rule = (effect) => {
    if (effect.type === "request") hasty.now += 20_000;
    return sender.rule(effect);
  };
  for (const ref of ["c1", "c2", "c3"]) hasty.send(ref);
  expect(hasty.of("request").map(({ timeoutMs }) => timeoutMs)).toEqual([3000, 3000, 3000]);
  const never = new Sender([], 0);
  never.send("d1");
  expect(never.of("request")).toEqual([]);
  expect(never.states("d1")).toEqual(["accepted", "stored", "published"]);
  sender.send("a1");
  sender.send("a2");
  expect(timeouts()[1]).toBe(2000);
  took = 20_000;
  for (let n = 3; n < 20; n++) sender.send(`a${n}`);
  expect(Math.max(...timeouts())).toBe(30_000);
  sender.rule = () => undefined;
  const before = timeouts().length;
  sender.send("b1");
  sender.send("b2");
  expect(timeouts()).toHaveLength(before + 1);
  expect(sender.states("b2")).toEqual(["accepted", "stored", "published"]);
  sender.now += 2 * MINUTE;
  sender.send("b3");
  expect(timeouts()).toHaveLength(before + 2);
});

test("nothing leaves before it is saved, and after a crash the same file is made of it, not another", () => {
  const sender = new Sender();
  sender.rule = (effect) => (effect.type === "put" ? null : undefined);
  sender.send("one");
  expect(sender.out.slice(0, 3).map(({ type }) => type)).toEqual(["save", "progress", "request"]);
  sender.restart();
  sender.restart();
  const names = sender.of("put").map(({ name }) => name);
  expect(names).toHaveLength(3);
  expect(new Set(names).size).toBe(1);
  const content = sender.of("put")[0]?.content ?? new Uint8Array();
  expect(sealedOf(open(bob, content)?.message as Message)).toEqual(utf8("one"));
  // Delivered online after all: the file that may lie there is removed.
  sender.rule = (effect) =>
    effect.type === "request"
      ? { type: "answered", id: effect.id, message: { type: TYPES.SEALED, isResponse: true } }
      : undefined;
  sender.files.set(names[0] ?? "", content);
  sender.now += 2 * MINUTE;
  sender.restart();
  expect(sender.states("one").at(-1)).toBe("delivered: online");
  expect(sender.files.size).toBe(0);
  expect(sender.store.size).toBe(0);
});

test("[D27][D30][D31] push nodes get what they want, one message at a time, and the pointer after the blocks", () => {
  const sender = new Sender([node]);
  const held: (() => void)[] = [];
  sender.rule = (effect) => {
    if (effect.type !== "request" || effect.to.id !== push.id) return undefined;
    const { id, message } = effect;
    held.push(() => {
      const wanted = { ...storeMessage(storedCids(message, 9) ?? []), isResponse: true };
      sender.give({ type: "answered", id, message: wanted });
    });
    return null;
  };
  sender.send("one");
  sender.send("two");
  expect(held).toHaveLength(1);
  sender.rule = (
    (old) => (effect) =>
      effect.type === "send" ? { type: "sent", id: effect.id, ok: true } : old(effect)
  )(sender.rule);
  held.shift()?.();
  expect(sender.of("send").map(({ message }) => blockOf(message)?.cid)).toHaveLength(1);
  const last = sender.out.filter(
    (effect) => effect.type === "send" || (effect.type === "provide" && effect.at !== "dht"),
  );
  expect(last.map(({ type }) => type)).toEqual(["send", "provide"]);
  expect(held).toHaveLength(1); // the second message's turn
});

test("a message lies elsewhere when a push node has it; where there is none, when pointers lead to it; until it is over", () => {
  const alone = new Sender();
  expect(alone.machine.lies("m")).toBe(false);
  alone.rule = (effect) => (effect.type === "provide" ? { type: "provided", id: effect.id, took: 0 } : undefined);
  alone.send("m");
  expect(alone.machine.lies("m")).toBe(false);
  alone.rule = () => undefined;
  alone.run(HOUR);
  expect(alone.machine.lies("m")).toBe(true);
  expect(alone.machine.stats).toMatchObject({ postings: 1, left: 1 });
  alone.give({ type: "cancel", ref: "m" });
  alone.run(HOUR);
  expect(alone.machine.lies("m")).toBe(false);

  const pushing = new Sender([node]);
  pushing.send("m");
  // Pointers are out, but what they lead to lies here alone.
  expect(pushing.states("m")).toEqual(["accepted", "stored", "published"]);
  expect(pushing.machine.lies("m")).toBe(false);
  pushing.rule = (effect) =>
    effect.type === "request" && effect.to.id === push.id
      ? { type: "answered", id: effect.id, message: { ...storeMessage([]), isResponse: true } }
      : undefined;
  pushing.run(24 * HOUR);
  expect(new Set(pushing.states("m"))).toEqual(new Set(["accepted", "stored", "published", "pushed"]));
  expect(pushing.machine.lies("m")).toBe(true);
  pushing.restart();
  expect(pushing.machine.lies("m")).toBe(true);
});

test("a push node that is away is asked again, ever more rarely, and does not hold up the DHT", () => {
  const sender = new Sender([node]);
  sender.send("one");
  expect(sender.states("one")).toContain("published");
  sender.run(24 * HOUR);
  const asked = sender.of("request").filter((effect) => effect.to.id === push.id).length;
  expect(asked).toBeGreaterThan(10);
  expect(asked).toBeLessThan(50);
});

test("[D42] an acknowledgement is sent online first; stored, it is published once, and not kept as a pointer", () => {
  const sender = new Sender();
  const magic = magicId(utf8("theirs"));
  sender.give({ type: "acknowledge", to, magic });
  expect(sender.of("send")).toHaveLength(1);
  expect(sender.of("provide")).toHaveLength(1);
  sender.run(6 * 24 * HOUR);
  expect(sender.of("provide")).toHaveLength(1);
  expect(sender.of("progress")).toEqual([]);
  sender.give({ type: "acknowledge", to, magic }); // they still point to it: once more
  expect(sender.of("provide")).toHaveLength(2);
  expect(sender.of("put")).toHaveLength(1);
  sender.run(2 * 24 * HOUR);
  expect(sender.files.size + sender.store.size).toBe(0);
});

test("after the acknowledgement all is taken back, also when it comes in the middle of publishing, and over a restart", () => {
  const sender = new Sender([node]);
  let pending: (() => void) | undefined;
  sender.rule = (effect) => {
    if (effect.type !== "provide" || effect.at !== "dht") return undefined;
    pending = () => sender.give({ type: "provided", id: effect.id, took: 3 });
    return null;
  };
  sender.send("one");
  const magic = sender.of("provide")[0]?.pointer.id ?? new Uint8Array();
  sender.give({ type: "acknowledged", from: bob.id, magic });
  expect(sender.states("one").at(-1)).toBe("delivered: acknowledged");
  const provides = sender.of("provide").length;
  sender.rule = (effect) => (effect.type === "remove" ? { type: "removed", id: effect.id, ok: false } : undefined);
  pending?.();
  expect(sender.of("withdraw").some(({ at }) => at === "dht")).toBe(true);
  expect([...sender.store.keys()]).toEqual([`${OUT_PREFIX}one`]); // the file could not be removed yet
  sender.rule = () => undefined;
  sender.restart();
  expect(sender.store.size + sender.files.size).toBe(0);
  sender.run(48 * HOUR);
  expect(sender.of("provide")).toHaveLength(provides);
  expect(sender.states("one").filter((state) => state.startsWith("delivered"))).toHaveLength(1);
});

test("what cannot be taken is refused at once: too large, a key that is another's, a name that is none, too many", () => {
  const sender = new Sender();
  sender.send("large", sealedMessage(new Uint8Array(1024 * 1024)));
  sender.give({
    type: "send",
    ref: "key",
    to: { id: bob.id, publicKey: alice.publicKey },
    message: sealedMessage(utf8("x")),
  });
  sender.send("Upper");
  sender.send("ack-1");
  expect(sender.of("progress").map(({ ref, how }) => `${ref}: ${how}`)).toEqual([
    "large: too large",
    "key: bad key",
    "Upper: bad name",
    "ack-1: bad name",
  ]);
  expect(sender.store.size).toBe(0);
  sender.rule = (effect) => (effect.type === "request" ? null : undefined);
  for (let n = 0; n < 20_000; n++)
    sender.machine.handle({ type: "send", ref: `n${n}`, to, message: { type: 1000 } }, T);
  sender.send("last");
  expect(sender.states("last")).toEqual(["refused: full"]);
});

test("the same name again changes nothing, a cancelled message is taken back, damaged records are counted", () => {
  const sender = new Sender();
  sender.send("one");
  sender.send("one", sealedMessage(utf8("another")));
  expect(sender.of("put")).toHaveLength(1);
  expect(sender.states("one")).not.toContain("refused: bad name");
  sender.send("one", undefined, { to: node });
  expect(sender.states("one").at(-1)).toBe("refused: bad name");
  sender.give({ type: "cancel", ref: "one" });
  expect(sender.states("one").at(-1)).toBe("cancelled");
  expect(sender.store.size + sender.files.size).toBe(0);
  sender.send("one");
  expect(sender.of("put")).toHaveLength(1);
  for (const record of ["{", "{}", '{"ref":"x","to":{"id":"y"}}', "null"])
    sender.store.set(OUT_PREFIX + record, utf8(record));
  sender.restart();
  expect(sender.machine.stats).toEqual({ postings: 0, left: 0, forgedAcks: 0, damagedRecords: 4 });
});

test("what came to its end goes once more when it is asked for anew, behind the taking back of the first", () => {
  const sender = new Sender();
  const anew = (ref: string): void => sender.send(ref, undefined, { isAnew: true });
  anew("one");
  anew("one");
  expect(sender.of("put")).toHaveLength(1);
  const pointers = (): (Uint8Array | undefined)[] =>
    sender.of("provide").map((each) => (each.type === "provide" ? each.pointer.id : undefined));
  const [first] = pointers();
  const acknowledge = (magic: Uint8Array | undefined): void =>
    sender.give({ type: "acknowledged", from: bob.id, magic: magic ?? new Uint8Array(34) });
  acknowledge(first);
  expect(sender.states("one").at(-1)).toBe("delivered: acknowledged");
  anew("one");
  const [, second] = pointers();
  expect(second).toBeDefined();
  expect(second).not.toEqual(first);
  expect(sender.machine.lies("one")).toBe(true);
  // Nobody can withdraw the pointer for now: the next one waits.
  sender.rule = (effect) => (effect.type === "withdraw" ? { type: "provided", id: effect.id, took: 0 } : undefined);
  acknowledge(second);
  anew("one");
  expect(sender.machine.lies("one")).toBe(false);
  expect(pointers()).toHaveLength(2);
  sender.run(HOUR);
  expect(pointers()).toHaveLength(3);
  expect(sender.machine.lies("one")).toBe(true);
  // What waits so is cancelled as well.
  acknowledge(pointers()[2]);
  anew("one");
  sender.give({ type: "cancel", ref: "one" });
  sender.run(HOUR);
  expect(pointers()).toHaveLength(3);
  expect(sender.store.size + sender.files.size).toBe(0);
});

test("work for one message does not grow with the outbox: the same effects among 10 and among 200", () => {
  const effects = (others: number): number => {
    const sender = new Sender();
    for (let n = 0; n < others; n++) sender.send(`other${n}`);
    sender.out.length = 0;
    sender.send("one");
    const count = sender.out.length;
    expect(sender.machine.deadline()).toBeDefined();
    return count;
  };
  expect(effects(200)).toBe(effects(10));
});

test("strangers, one or many, use up neither the files nor the acknowledgements that contacts wait for, also after a restart", () => {
  const sender = new Sender();
  const acks = (): number => sender.files.size;
  const strange = (n: number): Contact => {
    const { id, publicKey } = identityFromSeed(new Uint8Array(32).fill(100 + n));
    return { id, publicKey };
  };
  let count = 0;
  const acknowledge = (who: Contact, isStranger: boolean): void =>
    sender.give({ type: "acknowledge", to: who, magic: magicId(utf8(`content ${count++}`)), isStranger });
  for (let i = 0; i < 500; i++) acknowledge(strange(i % 5), true);
  expect(acks()).toBe(100);
  for (let minute = 0; minute < 100; minute++) {
    sender.run(MINUTE);
    for (let i = 0; i < 30; i++) acknowledge(strange(i % 5), true);
  }
  expect(acks()).toBe(1000);
  sender.restart();
  sender.run(HOUR);
  for (let i = 0; i < 30; i++) acknowledge(strange(i), true);
  expect(acks()).toBe(1000);
  for (let i = 0; i < 1200; i++) acknowledge(to, false);
  expect(acks()).toBe(2000);
  acknowledge(node, false);
  expect(acks()).toBe(2001);
  sender.run(8 * 24 * HOUR);
  expect(acks()).toBe(0);
  acknowledge(strange(1), true);
  expect(acks()).toBe(1);
});
