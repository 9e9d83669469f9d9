/**
 * What a cache may do that no honest one does: a store of boxes that drops, lies, replays, reorders or delays. Nothing of it
 * can be seen in what the cache says while it takes a message, as the protocol has it: silence is structural.
 */
import type { Time } from "../bytes/index.ts";
import type { BoxAnswer, BoxOp, BoxStore, MemoryBoxes } from "../store/index.ts";
import type { Chance } from "./chance.ts";

/** The last is not a matter of the store: whoever makes the cache has its packets come late. */
export const EVILS = ["drops", "lies", "replays", "reorders", "delays", "answers late"] as const;
/** One of `EVILS`. */
export type Evil = (typeof EVILS)[number];

/** The same store, in evil hands. */
export function evilBoxes(store: MemoryBoxes, evil: Evil, chance: Chance): BoxStore {
  const held = new Map<string, Time>(); // when what it delays may be seen
  const isSeen = (id: string, now: Time): boolean => (held.get(id) ?? 0) <= now;
  const handle = (asked: BoxOp, now: Time): BoxAnswer[] => {
    if (asked.type === "put" && asked.more !== undefined) {
      const { more, ...first } = asked;
      const answers = [first, ...more.map((one) => ({ ...first, ...one }))].flatMap((put) => handle(put, now));
      return [...answers.filter(({ type }) => type !== "done"), { type: "done", op: asked.op }];
    }
    const op: BoxOp = asked.type === "read" ? { ...asked, most: 1 } : asked;
    if (op.type === "put" && evil === "drops") return [{ type: "done", op: op.op }];
    const isRemoval = op.type === "remove" || op.type === "remove-many" || op.type === "clear";
    if (isRemoval && evil === "replays") return [{ type: "done", op: op.op }];
    if (op.type === "put" && evil === "delays") {
      if (!held.has(op.id)) held.set(op.id, now + chance.between(HOUR_MS, 60 * HOUR_MS));
      return store.handle(op, now).filter(({ type }) => type !== "gained");
    }
    if (op.type === "read" && (evil === "reorders" || evil === "delays")) {
      const waiting = all(store, op, now).filter(({ id }) => isSeen(id, now));
      const order = evil === "reorders" ? shuffled(waiting) : waiting;
      return [order.find(({ cursor }) => cursor > op.after) ?? { type: "dry", op: op.op }];
    }
    const answers = store.handle(op, now);
    return evil === "lies" ? answers.map((answer) => lie(answer, chance)) : answers;
  };
  return { stats: () => store.stats(), handle };
}

type Message = Extract<BoxAnswer, { type: "message" }>;

/** A few bytes changed, some of it cut off, or something else altogether; of boxes, some that there are not. */
function lie(answer: BoxAnswer, chance: Chance): BoxAnswer {
  if (answer.type === "list") {
    const invented = Array.from({ length: chance.between(0, 3) }, () => hex(chance));
    return { ...answer, boxes: chance.shuffle([...answer.boxes, ...invented]) };
  }
  if (answer.type !== "message") return answer;
  const bytes = answer.bytes.slice();
  const at = chance.between(0, bytes.length - 1);
  bytes[at] = 255 - (bytes[at] ?? 0);
  const cut = answer.bytes.subarray(0, chance.between(1, answer.bytes.length - 1));
  const made = chance.random(chance.between(1, 3000));
  return { ...answer, bytes: chance.pick([bytes, cut, made]), id: hex(chance) };
}

function hex(chance: Chance): string {
  return chance
    .between(0, 2 ** 31 - 1)
    .toString(16)
    .padStart(16, "0");
}

function all(store: MemoryBoxes, op: Extract<BoxOp, { type: "read" }>, now: Time): Message[] {
  const messages: Message[] = [];
  for (let after = 0; ; ) {
    const [answer] = store.handle({ ...op, after }, now);
    if (answer?.type !== "message") return messages;
    messages.push(answer);
    after = answer.cursor;
  }
}

/** In an order that has nothing to do with when they came, with cursors that go by it. */
function shuffled(messages: readonly Message[]): Message[] {
  return messages
    .map((message) => ({ ...message, cursor: 1 + Number.parseInt(message.id.slice(0, 8), 16) }))
    .sort((a, b) => a.cursor - b.cursor);
}

const HOUR_MS = 3_600_000;
