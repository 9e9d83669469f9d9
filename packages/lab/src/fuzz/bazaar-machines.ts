/** The machines of the bazaar: sender and recipient among peers, nodes and storages that say anything. */
import {
  chatMessage,
  cidOf,
  encodeAddress,
  encodeMessage,
  encodePointerAnswer,
  extend,
  identityFromSeed,
  type Message,
  magicId,
  offlineAck,
  type PointerRecord,
  parseMessage,
  parsePointerAnswer,
  pointerKey,
  seal,
  sealedMessage,
  split,
  storedCids,
  storeMessage,
  TYPES,
  topicOf,
} from "@restante/bazaar/format";
import {
  type Answer,
  type Contact,
  type Effect,
  Outgoing,
  type OutgoingInput,
  Retrieve,
  type RetrieveInput,
  type RetrieveOutput,
} from "@restante/bazaar/offline";
import { toHex } from "restante/protocol";
import { Chance } from "restante/testing";
import { OutgoingJudge, RetrieveJudge } from "./bazaar-judges.ts";
import type { Mutator } from "./mutate.ts";
import { machine, type Target } from "./target.ts";

export const BAZAAR_MACHINES: readonly Target[] = [
  machine("bazaar-retrieve", 2500, retrieve, { growth: 8 << 20 }),
  machine("bazaar-outgoing", 2500, outgoing, { growth: 8 << 20 }),
];

type Question = Extract<Effect, { readonly id: number }>;

const START = 1_700_000_000_000;
const HOUR = 3_600_000;
const { random } = new Chance(11);
const [alice, bob, mallory] = [1, 2, 3].map(() => identityFromSeed(random(32))) as [Person, Person, Person];
type Person = ReturnType<typeof identityFromSeed>;
const PEOPLE: readonly Contact[] = [alice, bob, mallory].map(({ id, publicKey }) => ({ id, publicKey, addrs: [] }));
const NODE = PEOPLE[2] as Contact;

const chat = chatMessage({ text: "hello", subject: "", time: { seconds: 1_700_000_000, nanos: 0 } }) ?? { type: 0 };
const typing = chatMessage({ text: "", subject: "", time: { seconds: 1, nanos: 0 }, flag: "typing" }) ?? { type: 0 };
const toBob = { recipient: bob.id, id: random(16), time: START, preimage: random(32) };
const MESSAGES: readonly Message[] = [
  chat,
  typing,
  { type: TYPES.PING, requestId: 7 },
  extend(chat, toBob),
  { ...extend(sealedMessage(random(300)), toBob), requestId: 9 },
  extend(chat, { ...toBob, recipient: alice.id }),
  offlineAck(magicId(random(30))),
  storeMessage([cidOf(random(10))]),
  { type: TYPES.ORDER, payload: { typeUrl: "type.googleapis.com/Order", value: random(50) } },
  { type: 4711 },
];
/** What opens, and how it may look. */
const CONTENTS = [
  ...MESSAGES,
  extend(typing, toBob),
  extend(chat, { ...toBob, time: START - 60 * 24 * HOUR }),
  extend(chat, { ...toBob, time: START + 48 * HOUR }),
].flatMap((message) => [alice, mallory].flatMap((from) => seal(from, bob.publicKey, message, random) ?? []));
const RELAYED: Message = { type: TYPES.OFFLINE_RELAY, payload: { typeUrl: "", value: CONTENTS[0] ?? random(80) } };
const ENCODED = [...MESSAGES, RELAYED].map(encodeMessage);
/** Where they lie, each in the two ways that there are. */
const POINTERS = CONTENTS.flatMap((content) => [
  pointerTo(content),
  {
    ...pointerTo(content),
    address: encodeAddress({ type: "https", url: `https://example.org/${toHex(magicId(content))}` }),
  },
]);
const AT = new Map(POINTERS.map(({ address }, at) => [toHex(address), CONTENTS[at >> 1]]));

/** Somebody whose pointers, contents and streams are all in other hands; started again now and then, on damaged records too. */
function retrieve(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const judge = new RetrieveJudge(mutator);
  const questions: Extract<RetrieveOutput, { readonly id: number }>[] = [];
  let now = START;
  let role: Retrieve;
  let took = false;
  let timesEmptied = 0;
  restart();

  function restart(): void {
    questions.length = 0;
    role = new Retrieve({ identity: bob, nodes: [NODE] }, judge.restart());
    give({ type: "start" });
  }
  function give(input: RetrieveInput): void {
    const outs = role.handle(input, now);
    // When what is to be saved cannot be, nothing has happened: it begins again from what is on the disk.
    if (chance.happens(0.002)) return restart();
    judge.turn(input, outs, now);
    for (const out of outs) {
      if (out.type === "offer") took = true;
      if ("id" in out) questions.push(out);
    }
    bounded(input, role, outs, questions, now);
  }
  function answer(): RetrieveInput {
    const [question] = questions.splice(chance.between(0, questions.length - 1), 1);
    if (question === undefined) return { type: "tick" };
    if (question.type === "offer")
      return { type: "taken", id: question.id, result: chance.pick(["done", "early", "refused"]) };
    if (question.type !== "lookup") return answerTo(question, mutator);
    const found = { type: "found", id: question.id, pointers: pageOf(mutator) } as const;
    const by = chance.happens(0.5) ? { by: chance.pick(PEOPLE).id } : {};
    if (chance.happens(0.7)) return { ...found, ...by, last: { asked: chance.between(0, 3) } };
    questions.push(question);
    return { ...found, ...by };
  }
  /** Whatever was said before: what waits is offered until it is taken. */
  function empty(): void {
    timesEmptied++;
    for (let i = 0; i < 500 && role.stats.waiting > 0; i++) {
      for (let one = questions.shift(); one !== undefined; one = questions.shift())
        give(one.type === "offer" ? { type: "taken", id: one.id, result: "done" } : nothingTo(one));
      now = Math.max(now, role.deadline() ?? now);
      give({ type: "tick" });
    }
    if (role.stats.waiting > 0) throw new Error("what waits is not offered");
  }
  return () => {
    took = false;
    now += chance.pick([0, 1, 1000, 60_000, HOUR, -600_000]);
    const from = chance.pick(PEOPLE);
    const fate = chance.between(0, 19);
    if (fate < 10) give(answer());
    else if (fate < 13) give({ type: "received", from, message: damaged(mutator) });
    else if (fate < 15) give({ type: "heard", topic: topicOf(pointerKey(bob.id)), data: contentOf(mutator) });
    else if (fate < 17) {
      if (chance.happens(0.5)) now = Math.max(now, role.deadline() ?? now);
      give({ type: "tick" });
    } else if (fate === 17)
      give({ type: chance.pick(["banned", "contacts"]), peers: chance.happens(0.8) ? [] : [from.id] });
    else if (fate === 18) give(chance.happens(0.5) ? { type: "scan" } : { type: "nodes", nodes: [NODE, from] });
    else if (chance.happens(0.2)) restart();
    else if (timesEmptied < MOST_EMPTIED && chance.happens(0.1)) empty();
    return took;
  };
}

/** Somebody who writes, and whose storage, nodes and recipients do what they like. */
function outgoing(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const judge = new OutgoingJudge(mutator);
  const questions: Question[] = [];
  const magics: Uint8Array[] = [chance.random(34)];
  const files = new Map<string, Uint8Array>();
  let now = START;
  let role: Outgoing;
  let took = false;
  let timesEmptied = 0;
  restart();

  function restart(): void {
    questions.length = 0;
    role = new Outgoing({ identity: alice, random: chance.random, nodes: [NODE] }, judge.restart());
    give({ type: "start" });
  }
  function give(input: OutgoingInput): void {
    const outs = role.handle(input, now);
    if (chance.happens(0.002)) return restart(); // as above
    judge.turn(input, outs);
    for (const out of outs) {
      if (out.type === "progress") took = true;
      else if (out.type === "put") {
        magics.unshift(magicId(out.content));
        files.set(out.name, out.content);
      } else if (out.type === "remove") files.delete(out.name);
      if ("id" in out) questions.push(out);
    }
    magics.length = Math.min(magics.length, 50);
    bounded(input, role, outs, questions, now);
  }
  /** When everybody does their part, and nobody writes any more, nothing is left in the end. */
  function empty(): void {
    timesEmptied++;
    const isOnline = chance.happens(0.5);
    const end = now + 40 * 24 * HOUR;
    while (now < end && (questions.length > 0 || role.deadline() !== undefined)) {
      for (let one = questions.shift(); one !== undefined; one = questions.shift()) give(goodTo(one, isOnline, files));
      now = Math.max(now + 6 * HOUR, Math.min(role.deadline() ?? now, end));
      give({ type: "tick" });
    }
    if ((judge.left ?? 0) > 0) throw new Error("something is left of what came to its end");
  }
  function send(to: Contact): void {
    const ref = chance.happens(0.9) ? `letter-${chance.between(0, 30)}` : mutator.text(["letter", "ack-1"]);
    const [isPlain, isAnew] = [chance.happens(0.5), chance.happens(0.2)];
    const nodes = chance.happens(0.3) ? [chance.pick(PEOPLE)] : [];
    give({ type: "send", ref, to, message: damaged(mutator), isPlain, isAnew, nodes });
  }
  return () => {
    took = false;
    now += chance.pick([0, 1, 1000, 60_000, 12 * HOUR, -600_000]);
    const to: Contact = chance.pick([...PEOPLE, { id: bob.id }]);
    const fate = chance.between(0, 19);
    if (fate < 11) {
      const [question] = questions.splice(chance.between(0, questions.length - 1), 1);
      if (question !== undefined) give(answerTo(question, mutator, files));
    } else if (fate < 13) send(chance.happens(0.1) ? { id: bob.id, publicKey: alice.publicKey } : to);
    else if (fate < 15) give({ type: "acknowledged", from: to.id, magic: mutator.bytes(magics) });
    else if (fate === 15) give({ type: "acknowledged", from: to.id, magic: chance.pick(magics) });
    else if (fate === 16)
      give({ type: "acknowledge", to, magic: chance.pick(magics), isStranger: chance.happens(0.5) });
    else if (fate === 17) {
      if (chance.happens(0.5)) now = Math.max(now, role.deadline() ?? now);
      give({ type: "tick" });
    } else if (fate === 18)
      give(chance.happens(0.8) ? { type: "heard", peer: to.id } : { type: "nodes", nodes: [chance.pick(PEOPLE)] });
    else if (chance.happens(0.2)) restart();
    else if (timesEmptied < MOST_EMPTIED && chance.happens(0.1)) empty();
    else give({ type: "cancel", ref: `letter-${chance.between(0, 30)}` });
    return took;
  };
}

/** What both keep to: nothing is done without end, and who calls them when they want to be called comes to rest. */
function bounded(
  input: { readonly type: string },
  role: { deadline(): number | undefined },
  outs: readonly unknown[],
  questions: readonly unknown[],
  now: number,
): void {
  if (outs.length > MOST) throw new Error(`${outs.length} things to do for one input`);
  if (questions.length > MOST) throw new Error(`${questions.length} questions are open`);
  if (input.type === "tick" && (role.deadline() ?? now + 1) <= now)
    throw new Error("woken, it wants to be woken at once");
}

/** An answer that the asker may get: what it hopes for, or something else. */
function answerTo(question: Question, mutator: Mutator, files?: ReadonlyMap<string, Uint8Array>): Answer {
  const { chance } = mutator;
  const fate = chance.fraction();
  if (fate < 0.5) return goodTo(question, true, files);
  if (fate < 0.7) return nothingTo(question);
  const { id } = question;
  switch (question.type) {
    case "get":
    case "fetch":
      return { type: "content", id, content: contentOf(mutator) };
    case "request":
      return { type: "answered", id, message: { ...damaged(mutator), isResponse: true } };
    case "find-key":
      return { type: "key", id, publicKey: chance.happens(0.5) ? chance.pick(PEOPLE).publicKey : chance.random(36) };
    default:
      return nothingTo(question);
  }
}

/** What it hopes for. Of a list of blocks the first are wanted. */
function goodTo(question: Question, isOnline: boolean, files?: ReadonlyMap<string, Uint8Array>): Answer {
  const { id } = question;
  switch (question.type) {
    case "put":
      return { type: "stored", id, address: encodeAddress({ type: "ipfs", cid: question.blocks[0]?.cid ?? A_CID }) };
    case "get":
      return { type: "content", id, content: files?.get(question.name) };
    case "fetch":
      return { type: "content", id, content: AT.get(toHex(question.address)) };
    case "remove":
      return { type: "removed", id, ok: true };
    case "send":
      return { type: "sent", id, ok: isOnline };
    case "request": {
      const { type } = question.message;
      const wanted = storedCids(question.message, MOST);
      if (wanted !== undefined) return { type: "answered", id, message: { ...storeMessage(wanted), isResponse: true } };
      return { type: "answered", id, message: isOnline ? { type, isResponse: true } : undefined };
    }
    case "find-key":
      return { type: "key", id, publicKey: PEOPLE.find((one) => one.id === question.peer)?.publicKey };
    case "lookup":
      return { type: "found", id, pointers: [], last: { asked: 1 } };
    default:
      return { type: "provided", id, took: 3 };
  }
}

/** As when nobody was reached. */
function nothingTo(question: Question): Answer {
  const { id } = question;
  switch (question.type) {
    case "put":
      return { type: "stored", id, address: undefined };
    case "get":
    case "fetch":
      return { type: "content", id, content: undefined };
    case "remove":
      return { type: "removed", id, ok: false };
    case "send":
      return { type: "sent", id, ok: false };
    case "request":
      return { type: "answered", id, message: undefined };
    case "find-key":
      return { type: "key", id, publicKey: undefined };
    case "lookup":
      return { type: "found", id, pointers: [], last: { asked: 0 } };
    default:
      return { type: "provided", id, took: 0 };
  }
}

/** A page of pointers to what there is, to what there is not, or as a node would damage it. */
function pageOf(mutator: Mutator): readonly PointerRecord[] {
  const { chance } = mutator;
  const pointers = Array.from({ length: chance.pick([0, 1, 7]) }, () => ({
    ...chance.pick(POINTERS),
    ...(chance.happens(0.1) && { size: chance.pick([1, 1000, 1 << 30]) }),
  }));
  if (chance.happens(0.6)) return pointers;
  const page = parsePointerAnswer(
    mutator.bytes([encodePointerAnswer({ type: "pointers", key: pointerKey(bob.id), pointers })]),
  );
  const unknown = pointerTo(chance.random(5));
  return page?.type === "pointers" ? page.pointers : [{ ...unknown, address: mutator.bytes([unknown.address]) }];
}

function contentOf(mutator: Mutator): Uint8Array {
  const fate = mutator.chance.fraction();
  if (fate < 0.15) return mutator.chance.pick(CONTENTS);
  // Less than the 56 bytes that the least sealed message has.
  if (fate < 0.4) return mutator.chance.random(mutator.chance.between(0, 56));
  return mutator.bytes(CONTENTS);
}

function damaged(mutator: Mutator): Message {
  const { chance } = mutator;
  return (
    (chance.happens(0.5) ? undefined : parseMessage(mutator.bytes(ENCODED))) ?? chance.pick([...MESSAGES, RELAYED])
  );
}

function pointerTo(content: Uint8Array): PointerRecord {
  const cid = split(content)[0]?.cid ?? cidOf(content);
  return { id: magicId(content), address: encodeAddress({ type: "ipfs", cid }), size: content.length };
}

const A_CID = cidOf(new Uint8Array(8));
const MOST = 3000;
const MOST_EMPTIED = 5; // it takes its time
