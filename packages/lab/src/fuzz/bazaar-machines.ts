/** The machines of the bazaar: sender and recipient among peers that say anything, and what nodes keep for others. */
import {
  type Cid,
  chatMessage,
  cidOf,
  encodeAddress,
  encodeMessage,
  encodePointerAnswer,
  encodePointerRequest,
  extend,
  identityFromSeed,
  type Message,
  magicId,
  offlineAck,
  type PointerRecord,
  parseMessage,
  parsePointerAnswer,
  parsePointerRequest,
  pointerKey,
  seal,
  sealedMessage,
  split,
  storeMessage,
  topicOf,
} from "@restante/bazaar/format";
import {
  type Answer,
  type Contact,
  Outgoing,
  type OutgoingInput,
  type OutgoingOutput,
  Pointers,
  PushNode,
  Retrieve,
  type RetrieveInput,
  type RetrieveOutput,
} from "@restante/bazaar/offline";
import { Chance } from "restante/testing";
import type { Mutator } from "./mutate.ts";
import { machine, type Target } from "./target.ts";

export const BAZAAR_MACHINES: readonly Target[] = [
  machine("bazaar-retrieve", 2500, retrieve, { growth: 8 << 20 }),
  machine("bazaar-outgoing", 2500, outgoing, { growth: 8 << 20 }),
  machine("bazaar-kept-pointers", 8000, keptPointers, { growth: 4 << 20 }),
  machine("bazaar-push", 8000, push, { growth: 4 << 20 }),
];

const START = 1_700_000_000_000;
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
  { type: 0, requestId: 7 },
  extend(chat, toBob),
  { ...extend(sealedMessage(random(300)), toBob), requestId: 9 },
  extend(chat, { ...toBob, recipient: alice.id }),
  offlineAck(magicId(random(30))),
  storeMessage([cidOf(random(10))]),
  { type: 4, payload: { typeUrl: "type.googleapis.com/Order", value: random(50) } },
  { type: 15, payload: { typeUrl: "", value: random(80) } },
  { type: 4711 },
];
const ENCODED = MESSAGES.map(encodeMessage);
/** What opens, and how it may look. */
const CONTENTS = [...MESSAGES, extend(typing, toBob)].flatMap((message) =>
  [alice, mallory].flatMap((from) => seal(from, bob.publicKey, message, random) ?? []),
);

/** Somebody whose pointers, contents and streams are all in other hands; started again now and then, on damaged records too. */
function retrieve(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const saved = new Map<string, Uint8Array>();
  const questions: Extract<RetrieveOutput, { readonly id: number }>[] = [];
  const pages = [0, 1, 7].map((count) =>
    encodePointerAnswer({
      type: "pointers",
      key: pointerKey(bob.id),
      pointers: Array.from({ length: count }, () => pointerTo(chance.pick(CONTENTS))),
    }),
  );
  let now = START;
  let role = make();
  let took = false;

  function make(): Retrieve {
    questions.length = 0;
    const records = [...saved].map(([key, value]) =>
      chance.happens(0.05) ? ([key, mutator.bytes([value])] as const) : ([key, value] as const),
    );
    const made = new Retrieve({ identity: bob, nodes: [NODE] }, records);
    give(made, { type: "start" });
    return made;
  }
  function give(to: Retrieve, input: RetrieveInput): void {
    const outs = to.handle(input, now);
    if (outs.length > MOST_OUTS) throw new Error(`${outs.length} things to do for one input`);
    for (const out of outs) {
      if (out.type === "save") {
        if (out.value === undefined) saved.delete(out.key);
        else saved.set(out.key, out.value);
      } else if (out.type === "offer") took = true;
      if ("id" in out) questions.push(out);
    }
    if (questions.length > MOST_OPEN) throw new Error(`${questions.length} questions are open`);
  }
  function answer(): RetrieveInput {
    const [question] = questions.splice(chance.between(0, questions.length - 1), 1);
    if (question === undefined) return { type: "tick" };
    if (question.type === "offer")
      return { type: "taken", id: question.id, result: chance.pick(["done", "early", "refused"]) };
    if (question.type === "lookup") {
      const page = parsePointerAnswer(chance.happens(0.5) ? chance.pick(pages) : mutator.bytes(pages));
      const pointers = page?.type === "pointers" ? page.pointers : [pointerTo(chance.random(5), mutator)];
      if (chance.happens(0.3)) questions.push(question);
      else return { type: "found", id: question.id, pointers, last: { asked: chance.between(0, 3) } };
      return { type: "found", id: question.id, pointers };
    }
    return answerOf(question.id, question.type, mutator);
  }
  return () => {
    took = false;
    now += chance.pick([0, 1, 1000, 60_000, 3_600_000]);
    const from = chance.pick(PEOPLE);
    const fate = chance.between(0, 19);
    if (fate < 10) give(role, answer());
    else if (fate < 13) give(role, { type: "received", from, message: damaged(mutator) });
    else if (fate < 15) give(role, { type: "heard", topic: topicOf(pointerKey(bob.id)), data: contentOf(mutator) });
    else if (fate < 17) give(role, { type: "tick" });
    else if (fate === 17)
      give(role, { type: chance.pick(["banned", "contacts"]), peers: chance.happens(0.8) ? [] : [from.id] });
    else if (fate === 18) give(role, chance.happens(0.5) ? { type: "scan" } : { type: "nodes", nodes: [NODE, from] });
    else if (chance.happens(0.2)) role = make();
    return took;
  };
}

/** Somebody who writes, and whose storage, nodes and recipients do what they like. */
function outgoing(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const saved = new Map<string, Uint8Array>();
  const questions: Extract<OutgoingOutput, { readonly id: number }>[] = [];
  const magics: Uint8Array[] = [chance.random(34)];
  let now = START;
  let role = make();
  let took = false;

  function make(): Outgoing {
    questions.length = 0;
    const records = [...saved].map(([key, value]) =>
      chance.happens(0.05) ? ([key, mutator.bytes([value])] as const) : ([key, value] as const),
    );
    const made = new Outgoing({ identity: alice, random: chance.random, nodes: [NODE] }, records);
    give(made, { type: "start" });
    return made;
  }
  function give(to: Outgoing, input: OutgoingInput): void {
    const outs = to.handle(input, now);
    if (outs.length > MOST_OUTS) throw new Error(`${outs.length} things to do for one input`);
    for (const out of outs) {
      if (out.type === "save") {
        if (out.value === undefined) saved.delete(out.key);
        else saved.set(out.key, out.value);
      } else if (out.type === "progress") took = true;
      else if (out.type === "put") magics.unshift(magicId(out.content));
      if ("id" in out) questions.push(out);
    }
    magics.length = Math.min(magics.length, 50);
    if (questions.length > MOST_OPEN) throw new Error(`${questions.length} questions are open`);
  }
  return () => {
    took = false;
    now += chance.pick([0, 1, 1000, 60_000, 12 * 3_600_000]);
    const to = chance.pick([...PEOPLE, { id: bob.id }, { id: bob.id, publicKey: alice.publicKey }]);
    const fate = chance.between(0, 19);
    if (fate < 11) {
      const [question] = questions.splice(chance.between(0, questions.length - 1), 1);
      if (question !== undefined) give(role, answerOf(question.id, question.type, mutator));
    } else if (fate < 13) {
      const ref = chance.happens(0.9) ? `letter-${chance.between(0, 30)}` : mutator.text(["letter", "ack-1"]);
      give(role, { type: "send", ref, to, message: damaged(mutator), isPlain: chance.happens(0.5) });
    } else if (fate < 15) give(role, { type: "acknowledged", from: to.id, magic: mutator.bytes(magics) });
    else if (fate === 15) give(role, { type: "acknowledged", from: to.id, magic: chance.pick(magics) });
    else if (fate === 16) give(role, { type: "acknowledge", to, magic: chance.pick(magics) });
    else if (fate === 17) give(role, { type: "tick" });
    else if (fate === 18) give(role, { type: "heard", peer: to.id });
    else if (chance.happens(0.2)) role = make();
    else give(role, { type: "cancel", ref: `letter-${chance.between(0, 30)}` });
    return took;
  };
}

/** A node that keeps pointers of whoever comes. */
function keptPointers(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const limits = { total: 400, perKey: 100, perPeer: 60, perGroup: 150 };
  const secret = chance.random(32);
  const keys = [alice, bob, mallory].map(({ id }) => pointerKey(id));
  const requests = keys.flatMap((key) => [
    encodePointerRequest({ type: "add", key, pointer: pointerTo(chance.random(9)) }),
    encodePointerRequest({ type: "get", key }),
    encodePointerRequest({ type: "withdraw", key, id: magicId(chance.random(9)), preimage: secret }),
  ]);
  const cursors: Uint8Array[] = [chance.random(8)];
  let pointers = new Pointers(limits);
  let now = START;
  return () => {
    now += chance.pick([0, 1000, 60_000, 12 * 3_600_000]);
    if (chance.happens(0.02)) {
      const rows = pointers.changes().flatMap(({ row }) => row ?? []);
      pointers = new Pointers(limits);
      pointers.load(rows, now);
    }
    if (chance.happens(0.1)) pointers.expire(now);
    const source = { peer: `peer ${chance.between(0, 40)}`, group: `group ${chance.between(0, 5)}` };
    const fresh = encodePointerRequest({ type: "add", key: chance.pick(keys), pointer: pointerTo(chance.random(9)) });
    const request = parsePointerRequest(chance.happens(0.4) ? fresh : mutator.bytes([...requests, fresh]));
    if (request === undefined) return false;
    const { key } = request;
    let isDone = true;
    if (request.type === "add") isDone = pointers.put(key, request.pointer, source, now) === "done";
    else if (request.type === "withdraw") isDone = pointers.withdraw(key, request.id, request.preimage, now) === "done";
    else {
      const cursor = request.cursor ?? (chance.happens(0.5) ? mutator.bytes(cursors) : undefined);
      const { pointers: page, next } = pointers.get(key, cursor, 4000, now);
      if (page.length > limits.perKey) throw new Error("a page is longer than all that there may be");
      if (next !== undefined) cursors[0] = next;
    }
    if (pointers.size > limits.total) throw new Error("the pointers outgrew their bound");
    return isDone;
  };
}

/** A push node between peers that it lets in and others. */
function push(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const limits = { perPeer: 40_000, total: 90_000, bundles: 10, blocks: 8, blockBytes: 3000 };
  const node = new PushNode({ admitted: PEOPLE.slice(0, 2).map(({ id }) => id), limits });
  const messages = Array.from({ length: 20 }, () => {
    const content = chance.random(chance.between(1, 2500));
    const blocks = Array.from({ length: chance.between(1, 4) }, () => chance.random(chance.between(1, 3500)));
    return [content, ...blocks].map((bytes) => ({ bytes, cid: cidOf(bytes) }));
  });
  const wanted = new Set<Cid>();
  const kept = new Set<Cid>();
  const secrets = [chance.random(32), chance.random(32)];
  let now = START;
  return () => {
    now += chance.pick([0, 1, 1000, 60_000, 86_400_000]);
    const effects = [...node.expire(now)];
    const peer = chance.pick(PEOPLE).id;
    const blocks = chance.pick(messages);
    const block = chance.pick(blocks);
    const fate = chance.between(0, 9);
    let isTaken = true;
    if (fate < 3) {
      const answer = node.store(
        peer,
        blocks.map(({ cid }) => cid),
        now,
      );
      effects.push(...(answer?.effects ?? []));
      for (const cid of answer?.wanted ?? []) wanted.add(cid);
      isTaken = answer !== undefined;
    } else if (fate < 8) {
      const bytes = chance.happens(0.7) ? block.bytes : mutator.bytes([block.bytes]);
      const taken = node.block(peer, block.cid, bytes, now);
      if (taken?.some(({ type }) => type === "keep") && !wanted.has(block.cid))
        throw new Error("a block that nobody asked for was taken");
      effects.push(...(taken ?? []));
      isTaken = taken !== undefined;
    } else if (fate === 8) effects.push(...node.pointed(peer, block.cid, chance.pick(secrets)));
    else effects.push(...node.withdraw(chance.pick(secrets)));
    for (const effect of effects) {
      if (effect.type === "keep") kept.add(effect.cid);
      else if (effect.type === "forget") kept.delete(effect.cid);
    }
    if (node.bytes > limits.total) throw new Error("the blocks outgrew their bound");
    for (const cid of kept) if (!node.has(cid)) throw new Error("a block is kept that it does not know of");
    return isTaken;
  };
}

/** An answer that the asker may get: what it hopes for, or something else. */
function answerOf(id: number, question: string, mutator: Mutator): Answer {
  const { chance } = mutator;
  const isGood = chance.happens(0.6);
  switch (question) {
    case "put":
      return { type: "stored", id, address: isGood ? encodeAddress({ type: "ipfs", cid: A_CID }) : undefined };
    case "get":
    case "fetch":
      return { type: "content", id, content: isGood ? contentOf(mutator) : undefined };
    case "remove":
      return { type: "removed", id, ok: isGood };
    case "send":
      return { type: "sent", id, ok: isGood };
    case "request":
      return { type: "answered", id, message: isGood ? damaged(mutator) : undefined };
    case "find-key":
      return { type: "key", id, publicKey: isGood ? chance.pick(PEOPLE).publicKey : chance.random(36) };
    default:
      return { type: "provided", id, took: isGood ? chance.between(1, 20) : 0 };
  }
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
  return (chance.happens(0.5) ? undefined : parseMessage(mutator.bytes(ENCODED))) ?? chance.pick(MESSAGES);
}

/** `mutator`: with an address that need not be one. */
function pointerTo(content: Uint8Array, mutator?: Mutator): PointerRecord {
  const [root] = split(content);
  const address = encodeAddress({ type: "ipfs", cid: root?.cid ?? A_CID });
  const record = { id: magicId(content), address, size: content.length };
  return mutator === undefined ? record : { ...record, address: mutator.bytes([address]), size: 1 };
}

const A_CID = cidOf(new Uint8Array(8));
const MOST_OUTS = 3000;
const MOST_OPEN = 3000;
