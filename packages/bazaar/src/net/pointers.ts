/**
 * `/restante/pointers/1.0.0`: pointers put at the peers closest to their key and at push nodes, found there again, and taken
 * back. Nodes that serve keep those of others. protocol/bazaar-network.md §3
 */
import { Budget, Budgets } from "restante/protocol";
import {
  ANSWER_BYTES,
  encodePointerAnswer,
  encodePointerRequest,
  type PointerRecord,
  type PointerRequest,
  type PointerStatus,
  parsePointerAnswer,
  parsePointerRequest,
  REQUEST_BYTES,
} from "../format/dht.ts";
import type { Contact, Place } from "../offline/effects.ts";
import type { Pointers } from "../offline/pointers.ts";
import type { BazaarNode, Remote } from "./node.ts";
import { answerAll, type Conversation, converse, type Protocol } from "./questions.ts";
import { within } from "./within.ts";

export const POINTER_PROTOCOL: Protocol = {
  name: "/restante/pointers/1.0.0",
  questionBytes: REQUEST_BYTES,
  answerBytes: ANSWER_BYTES,
};

/** What is told of what others put and take back, once it is done. */
export interface PointerEvents {
  /** A peer put a pointer. */
  put?(from: Remote, pointer: PointerRecord): void;
  /** Somebody showed the secret of a hash. */
  withdrawn?(preimage: Uint8Array): void;
  /** What somebody asked was no question of the protocol, came too fast, or found no room. */
  refused?(): void;
}

/** Keeps pointers of others in `store`, at rates that one peer and one network can have. Call before the node starts. */
export async function servePointers(
  node: BazaarNode,
  store: Pointers,
  now: () => number,
  events: PointerEvents = {},
): Promise<void> {
  const rates = new Rates();
  await answerAll(node, POINTER_PROTOCOL, (bytes, from) => {
    const request = parsePointerRequest(bytes);
    if (request === undefined) {
      events.refused?.();
      return undefined;
    }
    const { key } = request;
    const at = now();
    if (!rates.take(from, request.type, at)) {
      events.refused?.();
      return encodePointerAnswer({ type: "status", key, status: "slow down" });
    }
    if (request.type === "get") {
      const page = store.get(key, request.cursor, ANSWER_BYTES - ANSWER_HEAD, at);
      return encodePointerAnswer({ type: "pointers", key, ...page });
    }
    const status = change(store, request, from, at);
    if (request.type === "add" && status === "done") events.put?.(from, request.pointer);
    if (status === "full") events.refused?.();
    if (request.type === "withdraw") events.withdrawn?.(request.preimage);
    return encodePointerAnswer({ type: "status", key, status });
  });
}

/** Puts a pointer, or takes it back, at the k closest or at one peer. Gives how many took it. */
export async function tellPointer(
  node: BazaarNode,
  at: Place,
  request: Exclude<PointerRequest, { type: "get" }>,
  timeoutMs: number,
  stopped: AbortSignal,
): Promise<number> {
  const signal = within(timeoutMs, stopped);
  const question = encodePointerRequest(request);
  let took = 0;
  await eachOf(node, at, request.key, signal, async (talk) => {
    const answer = parsePointerAnswer((await talk.ask(question)) ?? NOTHING);
    if (answer?.type === "status" && isTaken(answer.status)) took++;
  });
  return took;
}

/**
 * Asks for the pointers below a key: all of the k closest, or one peer. `found` is called page by page; what several peers
 * have comes several times. Gives how many answered at all. Of each peer at most MOST_PAGES are read.
 */
export async function findPointers(
  node: BazaarNode,
  at: Place,
  key: Uint8Array,
  timeoutMs: number,
  stopped: AbortSignal,
  found: (pointers: readonly PointerRecord[], by: Contact) => void,
): Promise<number> {
  const signal = within(timeoutMs, stopped);
  let asked = 0;
  await eachOf(node, at, key, signal, async (talk, peer) => {
    let cursor: Uint8Array | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const question = encodePointerRequest({ type: "get", key, ...(cursor && { cursor }) });
      const answer = parsePointerAnswer((await talk.ask(question)) ?? NOTHING);
      if (answer?.type !== "pointers") return;
      if (page === 0) asked++;
      if (answer.pointers.length > 0) found(answer.pointers, peer);
      cursor = answer.next;
      if (cursor === undefined) return;
    }
  });
  return asked;
}

/** Talks with the peers at a place, a few at a time. */
async function eachOf(
  node: BazaarNode,
  at: Place,
  key: Uint8Array,
  signal: AbortSignal,
  talk: (with_: Conversation, peer: Contact) => Promise<void>,
): Promise<void> {
  const peers = at === "dht" ? await node.closest(key, signal) : [at];
  const left = peers.slice(0, CLOSEST);
  const one = async (): Promise<void> => {
    for (let peer = left.shift(); peer !== undefined; peer = left.shift()) await with_(node, peer, signal, talk);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

async function with_(
  node: BazaarNode,
  peer: Contact,
  signal: AbortSignal,
  talk: (with_: Conversation, peer: Contact) => Promise<void>,
): Promise<void> {
  // One that hangs must not use up the time of all.
  const own = within(PEER_MS, signal);
  const conversation = await converse(node, peer, POINTER_PROTOCOL, own);
  if (conversation === undefined) return;
  await talk(conversation, peer);
  conversation.end();
}

function change(
  store: Pointers,
  request: Exclude<PointerRequest, { type: "get" }>,
  from: Remote,
  now: number,
): PointerStatus {
  const { key } = request;
  if (request.type === "withdraw") return store.withdraw(key, request.id, request.preimage, now);
  return store.put(key, request.pointer, { peer: from.id, group: from.group }, now);
}

/** A pointer that is not there any more is taken back, too. */
function isTaken(status: PointerStatus): boolean {
  return status === "done" || status === "gone" || status === "unknown";
}

/** What one peer and one network may ask. Gets are dear for who asks often, puts for what they leave behind. */
class Rates {
  readonly #puts = new Budgets<string>(() => new Budget(2, 200), MOST_NAMES);
  readonly #gets = new Budgets<string>(() => new Budget(5, 200), MOST_NAMES);
  readonly #groups = new Budgets<string>(() => new Budget(50, 2000), MOST_NAMES);

  take({ id, group }: Remote, type: PointerRequest["type"], now: number): boolean {
    const own = (type === "get" ? this.#gets : this.#puts).of(id);
    if (own.left(now) < 1 || !this.#groups.of(group).take(now)) return false;
    return own.take(now);
  }
}

const NOTHING = new Uint8Array(0);
const ANSWER_HEAD = 128; // the fields of an answer beside its pointers
const CLOSEST = 20; // kad-dht's k
const AT_ONCE = 6;
const PEER_MS = 10_000;
const MOST_PAGES = 40; // all that may be below one key: POINTER_LIMITS.perKey
const MOST_NAMES = 10_000;
