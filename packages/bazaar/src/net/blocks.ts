/**
 * `/restante/blocks/1.0.0`: a block for its name. Whoever asks gets it, as far as the rates go: names are known from pointers,
 * and what is in the blocks is sealed. protocol/bazaar-network.md §4
 */
import { Budget, Budgets } from "restante/protocol";
import { type Cid, fromBase58, isMultihash, toBase58 } from "../format/ids.ts";
import { Assembly } from "../format/unixfs.ts";
import type { Contact } from "../offline/effects.ts";
import type { BazaarNode } from "./node.ts";
import { answerAll, converse, type Protocol } from "./questions.ts";
import { within } from "./within.ts";

/** The question is the 34 bytes of a CIDv0, the answer the block, or nothing for one that is not here. */
const BLOCK_PROTOCOL: Protocol = {
  name: "/restante/blocks/1.0.0",
  questionBytes: 34,
  answerBytes: 512 * 1024,
};

/** Gives blocks to whoever asks. `read`: the block, or `undefined`. Call before the node starts. */
export async function serveBlocks(
  node: BazaarNode,
  now: () => number,
  read: (cid: Cid) => Promise<Uint8Array | undefined>,
): Promise<void> {
  const peers = new Budgets<string>(() => new Budget(PEER_BYTES, 16 * PEER_BYTES), MOST_NAMES);
  const groups = new Budgets<string>(() => new Budget(4 * PEER_BYTES, 64 * PEER_BYTES), MOST_NAMES);
  await answerAll(node, BLOCK_PROTOCOL, async (question, from) => {
    if (!isMultihash(question)) return undefined;
    const at = now();
    const [own, group] = [peers.of(from.id), groups.of(from.group)];
    // A question costs a look at the disk, even where nothing is found.
    if (!own.take(at, MIN_BYTES) || !group.take(at, MIN_BYTES)) return NOTHING;
    const block = await read(toBase58(question) as Cid);
    if (block === undefined || block.length > BLOCK_PROTOCOL.answerBytes) return NOTHING;
    return own.take(at, block.length) && group.take(at, block.length) ? block : NOTHING;
  });
}

/**
 * The content of a tree of blocks, each verified by its name: of these peers first, one after the other, then of those who the
 * DHT says have it. `undefined`: not all blocks were found in time, or they are no content of at most `limit` bytes.
 */
export async function fetchBlocks(
  node: BazaarNode,
  root: Cid,
  from: readonly Contact[],
  limit: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const assembly = new Assembly(root, limit);
  const asked = new Set<string>();
  const isOver = (): boolean => signal.aborted || assembly.failed || assembly.wanted(1).length === 0;
  const ask = async (peer: Contact): Promise<void> => {
    if (isOver() || asked.has(peer.id) || asked.size >= MOST_PEERS) return;
    asked.add(peer.id);
    const own = within(PEER_MS, signal);
    const conversation = await converse(node, peer, BLOCK_PROTOCOL, own);
    if (conversation === undefined) return;
    while (!isOver()) {
      const [cid] = assembly.wanted(1);
      const question = cid && fromBase58(cid);
      const block = question && (await conversation.ask(question));
      // One that lacks a block, or gives another, is left; what it gave before stays.
      if (!block?.length || !assembly.add(block)) break;
    }
    conversation.end();
  };
  for (const peer of from) await ask(peer);
  if (!isOver()) {
    for await (const peer of node.providers(root, signal)) {
      await ask(peer);
      if (isOver()) break;
    }
  }
  return assembly.content();
}

const NOTHING = new Uint8Array(0);
const PEER_BYTES = 1024 * 1024; // a second
const MIN_BYTES = 4096;
const MOST_NAMES = 10_000;
const MOST_PEERS = 12;
const PEER_MS = 60_000;
