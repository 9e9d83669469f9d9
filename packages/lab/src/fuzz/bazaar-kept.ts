/** What nodes of the bazaar keep for others, pointers and blocks, and the trees that they put together from blocks of anybody. */
import {
  Assembly,
  type Cid,
  cidOf,
  encodeAddress,
  encodePointerRequest,
  fromBase58,
  identityFromSeed,
  isMagicId,
  magicId,
  multihash,
  type PointerRecord,
  parsePointerRequest,
  pointerKey,
} from "@restante/bazaar/format";
import { type BundleRow, type PointerRow, Pointers, type PushEffect, PushNode } from "@restante/bazaar/offline";
import { concat, encodeVarint, equal, toHex } from "restante/protocol";
import { Chance } from "restante/testing";
import type { Mutator } from "./mutate.ts";
import { machine, type Target } from "./target.ts";

export const BAZAAR_KEPT: readonly Target[] = [
  machine("bazaar-kept-pointers", 8000, keptPointers, { growth: 4 << 20 }),
  machine("bazaar-push", 8000, push, { growth: 4 << 20 }),
  machine("bazaar-tree", 8000, tree, { growth: 4 << 20 }),
];

const START = 1_700_000_000_000;
const { random } = new Chance(11);
const PEOPLE = [1, 2, 3].map(() => identityFromSeed(random(32)).id);

/** The blocks of messages; some are longer than a block may be. */
const MESSAGES = Array.from({ length: 20 }, (_, at) =>
  [900, 1200, 500, 20].slice(0, 1 + (at % 4)).map((length) => {
    const bytes = random(1 + ((at * 131) % length));
    return { bytes, cid: cidOf(bytes) };
  }),
);
const BLOCKS = MESSAGES.flat();
const SECRETS = [random(32), random(32)];

/** A node that keeps pointers of whoever comes; what it says of itself is held against what it asks to save. */
function keptPointers(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const limits = { total: 60, perKey: 25, perPeer: 8, perGroup: 20 };
  const hashes = SECRETS.map(hashOf);
  const keys = PEOPLE.map((id) => pointerKey(id));
  const saved = new Map<string, PointerRow>();
  const cursors: Uint8Array[] = [chance.random(8)];
  let pointers = new Pointers(limits);
  let now = START;

  function pointer(): PointerRecord {
    const content = Uint8Array.of(chance.between(0, 20));
    const address = encodeAddress({ type: "ipfs", cid: cidOf(content) });
    const withdraw = chance.happens(0.3) ? { withdraw: chance.pick(hashes) } : {};
    return { id: magicId(content), address, size: chance.between(0, 99), ...withdraw };
  }
  function request(): Uint8Array {
    const key = chance.pick(keys);
    const fate = chance.fraction();
    if (fate < 0.6) return encodePointerRequest({ type: "add", key, pointer: pointer() });
    if (fate < 0.8) return encodePointerRequest({ type: "get", key, cursor: chance.pick(cursors) });
    return encodePointerRequest({ type: "withdraw", key, id: pointer().id, preimage: chance.pick(SECRETS) });
  }
  function done(asked: NonNullable<ReturnType<typeof parsePointerRequest>>): boolean {
    const { key } = asked;
    const source = { peer: `peer ${chance.between(0, 9)}`, group: `group ${chance.between(0, 3)}` };
    if (asked.type === "add") return pointers.put(key, asked.pointer, source, now) === "done";
    if (asked.type === "withdraw") return pointers.withdraw(key, asked.id, asked.preimage, now) === "done";
    const cursor = chance.happens(0.5) ? asked.cursor : mutator.bytes(cursors);
    const { next } = pointers.get(key, cursor, chance.between(0, 4000), now);
    if (next !== undefined) cursors[0] = next;
    return true;
  }
  /** All pages below a key show each pointer that is kept there once. */
  function leafThrough(key: Uint8Array): void {
    const there = [...saved.values()].filter((row) => equal(row.key, key) && row.until > now).length;
    const bytes = chance.between(0, 2000);
    let seen = 0;
    for (let cursor: Uint8Array | undefined, more = true; more; more = cursor !== undefined) {
      const page = pointers.get(key, cursor, bytes, now);
      seen += page.pointers.length;
      cursor = page.next;
      if (seen > there || (cursor !== undefined && page.pointers.length === 0))
        throw new Error("the pages have no end");
      if (page.pointers.some(({ id, life = 0 }) => !isMagicId(id) || life <= 0))
        throw new Error("it shows what is over");
    }
    if (seen !== there) throw new Error("the pages do not show all that is kept");
  }
  function save(): void {
    for (const { name, row } of pointers.changes()) {
      if (row === undefined) saved.delete(name);
      else saved.set(name, row);
    }
    if (saved.size !== pointers.size) throw new Error("what is kept is not what is saved");
    const rows = [...saved.values()];
    if (rows.length > limits.total) throw new Error("the pointers outgrew their bound");
    most(
      limits.perKey,
      rows.map(({ key }) => toHex(key)),
    );
    most(
      limits.perPeer,
      rows.map(({ source }) => source.peer),
    );
    most(
      limits.perGroup,
      rows.map(({ source }) => source.group),
    );
  }
  return () => {
    now += chance.happens(0.05) ? 12 * 3_600_000 : chance.pick([0, 1000, 60_000, -30_000]); // clocks are set right, too
    if (chance.happens(0.02)) now = Math.max(now, (pointers.deadline() ?? now) - chance.pick([0, 20_000]));
    if (chance.happens(0.02)) {
      pointers = new Pointers(limits);
      pointers.load(saved.values(), now);
    }
    if (chance.happens(0.1)) pointers.expire(now);
    const fresh = request();
    const asked = parsePointerRequest(chance.happens(0.7) ? fresh : mutator.bytes([fresh, request()]));
    const isDone = asked !== undefined && done(asked);
    save();
    if (chance.happens(0.1)) leafThrough(chance.pick(keys));
    save();
    return isDone;
  };
}

/** A push node between peers that it lets in and another, started again now and then. */
function push(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const limits = { perPeer: 5000, total: 9000, bundles: 20, blocks: 8, blockBytes: 1000 };
  const admitted = PEOPLE.slice(0, 2);
  const wanted = new Set<string>();
  const kept = new Map<Cid, Uint8Array>();
  const rows = new Map<string, BundleRow>();
  let node = new PushNode({ admitted, limits });
  let now = START;

  function carryOut(effects: readonly PushEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "keep" && cidOf(effect.bytes) !== effect.cid) throw new Error("a block has another's name");
      if (effect.type === "keep") kept.set(effect.cid, effect.bytes);
      else if (effect.type === "forget") kept.delete(effect.cid);
      else if (effect.row === undefined) rows.delete(effect.name);
      else rows.set(effect.name, effect.row);
    }
  }
  function store(peer: string): boolean {
    const blocks = chance.pick(MESSAGES).map(({ cid }) => cid);
    // Or a message that borrows from others, what was kept already among it.
    const list = chance.happens(0.7) ? blocks : [...blocks, ...chance.pick(MESSAGES).map(({ cid }) => cid)];
    const answer = node.store(peer, list, now);
    for (const cid of answer?.wanted ?? []) wanted.add(`${peer} ${cid}`);
    carryOut(answer?.effects ?? []);
    return answer !== undefined;
  }
  function block(peer: string): boolean {
    const own = [...wanted].filter((one) => one.startsWith(peer));
    const asked = own.length > 0 && chance.happens(0.7) ? chance.pick(own) : undefined;
    const { cid, bytes: good } = BLOCKS.find((one) => asked?.endsWith(one.cid)) ?? chance.pick(BLOCKS);
    const bytes = chance.happens(0.8) ? good : mutator.bytes([good]);
    const effects = node.block(peer, cid, bytes, now);
    if (effects?.some(({ type }) => type === "keep") && !wanted.has(`${peer} ${cid}`))
      throw new Error("a block that nobody asked for was taken");
    carryOut(effects ?? []);
    return effects !== undefined;
  }
  function withdraw(): void {
    const secret = chance.pick(SECRETS);
    carryOut(node.withdraw(secret));
    const hash = hashOf(secret);
    if ([...rows.values()].some((row) => row.withdraw !== undefined && equal(row.withdraw, hash)))
      throw new Error("what was withdrawn is still there");
  }
  function restart(): void {
    node = new PushNode({ admitted, limits });
    carryOut(node.load(rows.values(), now));
  }
  function judge(): void {
    const all = [...rows.values()];
    const bytes = [...kept.values()].reduce((sum, { length }) => sum + length, 0);
    if (node.bytes !== bytes) throw new Error("it counts other bytes than it keeps");
    if (bytes > limits.total) throw new Error("the blocks outgrew their bound");
    for (const cid of kept.keys()) if (!node.has(cid)) throw new Error("a block is kept that it does not know of");
    for (const { until, blocks } of all) {
      if (until <= now) throw new Error("what is over is still there");
      if (blocks.length > 2 * limits.blocks) throw new Error("a message has too many blocks");
      for (const { cid, size } of blocks)
        if (size !== (kept.get(cid)?.length ?? 0)) throw new Error("what is saved of a block is not true");
    }
    most(
      limits.bundles,
      all.map(({ peer }) => peer),
    );
    for (const peer of PEOPLE) {
      const own = new Map(
        all.flatMap((row) => (row.peer === peer ? row.blocks.map(({ cid, size }) => [cid, size]) : [])),
      );
      if ([...own.values()].reduce((sum, size) => sum + size, 0) > limits.perPeer)
        throw new Error("a peer outgrew its bound");
    }
  }
  return () => {
    now += chance.happens(0.01) ? 86_400_000 : chance.pick([0, 1, 1000, 30_000]);
    if (chance.happens(0.003)) now = Math.max(now, node.deadline() ?? now);
    carryOut(node.expire(now));
    const peer = chance.pick(PEOPLE);
    const fate = chance.between(0, 19);
    let isTaken = true;
    if (fate < 6) isTaken = store(peer);
    else if (fate < 16) isTaken = block(peer);
    else if (fate < 18)
      carryOut(node.pointed(peer, chance.pick(MESSAGES)[0]?.cid ?? A_CID, hashOf(chance.pick(SECRETS))));
    else if (fate === 18) withdraw();
    else if (chance.happens(0.5)) restart();
    else node.admit(chance.happens(0.5) ? PEOPLE : []);
    judge();
    return isTaken;
  };
}

/** A block of a tree, and what is known of the tree below it. */
interface Part {
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly depth: number;
  /** How many blocks the tree has, each as often as it stands in it. */
  readonly blocks: number;
  /** What it holds; "lie": something in it is not as it says; `undefined`: who knows. */
  readonly content: Uint8Array | "lie" | undefined;
}

/** Trees, some of them honest, put together with blocks in any order. */
function tree(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const parts = new Map<Cid, Part>();
  add(leafOf(chance.random(9), 9));

  function add(part: Part): void {
    const [oldest] = parts.size >= PARTS ? parts.keys() : [];
    if (oldest !== undefined) parts.delete(oldest);
    parts.set(cidOf(part.bytes), part);
  }
  function grow(): void {
    const fate = chance.fraction();
    if (fate < 0.4) {
      const data = chance.random(chance.pick([0, 1, 20, 500]));
      add(leafOf(data, data.length + (chance.happens(0.1) ? chance.between(-1, 1) : 0)));
    } else if (fate < 0.9) {
      const children = Array.from({ length: chance.pick([1, 2, 3, 7]) }, () => chance.pick([...parts]));
      const isLarge = children.reduce((sum, [, { size, blocks }]) => sum + size + blocks, 0) > LARGE;
      if (!isLarge) add(branchOf(children, chance.happens(0.15) ? chance.pick(LIES) : NO_LIE));
    } else {
      const part = chance.pick([...parts.values()]);
      add({ ...part, bytes: mutator.bytes([part.bytes]), content: undefined });
    }
  }
  function assemble(root: Cid, whole: Part): boolean {
    const limit = chance.pick([0, 30, 1000, 100_000]);
    const assembly = new Assembly(root, limit);
    let isWhole = true;
    for (let taken = 0; ; taken++) {
      if (taken > 257 + limit / 1024) throw new Error("it asks for more blocks than a tree may have");
      const wanted = assembly.wanted(chance.between(1, 9));
      const stray = chance.pick([...parts]);
      if (
        !wanted.includes(stray[0]) &&
        assembly.wanted(PARTS * PARTS).includes(stray[0]) !== assembly.add(stray[1].bytes)
      )
        throw new Error("it takes what it did not want, or refuses what it did");
      const missing = assembly.wanted(PARTS * PARTS);
      if (missing.length === 0) break;
      const { bytes } = parts.get(chance.pick(missing)) ?? {};
      isWhole = bytes !== undefined;
      if (bytes === undefined) break;
      if (!assembly.add(bytes)) throw new Error("it refuses what it wanted");
    }
    const content = assembly.content();
    if (content !== undefined && (content.length > limit || assembly.failed || !isWhole))
      throw new Error("it gives what it may not");
    if (content !== undefined && whole.content === "lie") throw new Error("it believes a lie");
    const { size, depth, blocks } = whole;
    const isHonest = whole.content instanceof Uint8Array && size <= limit && depth <= 3 && blocks <= 250;
    if (isWhole && isHonest && !(content && equal(content, whole.content)))
      throw new Error("it refuses an honest tree");
    return content !== undefined;
  }
  return () => {
    grow();
    const [root, part] = chance.pick([...parts]);
    return assemble(root, part);
  };
}

function leafOf(data: Uint8Array, size: number): Part {
  const says = Math.max(0, size);
  const file = concat(FILE, ...(data.length > 0 ? [field(2, data)] : []), number(3, says));
  return { bytes: field(1, file), size: says, depth: 0, blocks: 1, content: says === data.length ? data : "lie" };
}

/** `whole`, `part`: by how much it says too much of itself, and of its first child. */
function branchOf(children: readonly (readonly [Cid, Part])[], { whole, part }: Lie): Part {
  const size = Math.max(
    0,
    children.reduce((sum, [, child]) => sum + child.size, whole),
  );
  const links = children.map(([cid, { bytes }]) =>
    field(2, concat(field(1, fromBase58(cid) ?? random(34)), number(3, bytes.length))),
  );
  const file = concat(
    FILE,
    number(3, size),
    ...children.map(([, child], at) => number(4, Math.max(0, child.size + (at === 0 ? part : 0)))),
  );
  const contents = children.map(([, { content }]) => content);
  // An empty part is never written.
  const isLie = whole !== 0 || part !== 0 || contents.includes("lie") || children.some(([, child]) => child.size === 0);
  return {
    bytes: concat(...links, field(1, file)),
    size,
    depth: 1 + Math.max(...children.map(([, { depth }]) => depth)),
    blocks: children.reduce((sum, [, { blocks }]) => sum + blocks, 1),
    content: isLie ? "lie" : concatAll(contents),
  };
}

function concatAll(contents: readonly Part["content"][]): Uint8Array | undefined {
  const all = contents.filter((content) => content instanceof Uint8Array);
  return all.length === contents.length ? concat(...all) : undefined;
}

/** None of the names comes more often than that. */
function most(limit: number, names: readonly string[]): void {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const [name, count] of counts) if (count > limit) throw new Error(`${name} has ${count}, more than it may`);
}

function hashOf(secret: Uint8Array): Uint8Array {
  return multihash(secret).subarray(2);
}

function number(no: number, value: number): Uint8Array {
  return concat(encodeVarint(no * 8), encodeVarint(value));
}

function field(no: number, bytes: Uint8Array): Uint8Array {
  return concat(encodeVarint(no * 8 + 2), encodeVarint(bytes.length), bytes);
}

const FILE = Uint8Array.of(8, 2); // unixfs: a file
const A_CID = cidOf(new Uint8Array(8));
const NO_LIE = { whole: 0, part: 0 };
type Lie = typeof NO_LIE;
const LIES: readonly Lie[] = [
  { whole: -1, part: 0 },
  { whole: 1, part: 0 },
  { whole: 2 ** 40, part: 0 },
  { whole: 0, part: 1 },
  { whole: 1, part: 1 }, // here and below, the child alone gives it away
  { whole: -1, part: -1 },
];
const PARTS = 40;
const LARGE = 100_000; // above it a tree is not built upon
