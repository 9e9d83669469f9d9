/**
 * The order of a conversation. A mail stands behind those that its writer had seen, and behind those that its writer wrote
 * before; what neither orders, the writers' clocks do. No order of arrival changes it. protocol/mail.md §4
 */
import { assert, type Time } from "../bytes/index.ts";

/** A mail, as far as its place goes. */
export interface Said {
  readonly id: string;
  /** Mails that its writer had seen. */
  readonly after: readonly string[];
  /** When it was written, as it is shown. */
  readonly time: Time;
  /** What was written on this line stands in the order of `place`. Absent: nothing is known but the time. */
  readonly line?: string;
  /** Unique on its line. */
  readonly place?: number;
}

/**
 * The mails in the order of the conversation, the same for every order of `mails`. Where somebody claims to have seen what was
 * written after, one of the circle comes first, by its time. Time: n log n, for at most 8 ids in each `after`.
 */
export function inOrder<T extends Said>(mails: readonly T[]): T[] {
  const nodes = mails.map((mail): Node<T> => ({ mail, waitsFor: 0, next: [], isPlaced: false })).sort(byTime);
  for (const [earlier, later] of edges(nodes)) {
    earlier.next.push(later);
    later.waitsFor++;
  }
  const ready = nodes.filter(({ waitsFor }) => waitsFor === 0).reverse(); // the first one last: it is taken from the end
  const ordered: T[] = [];
  let oldest = 0;
  while (ordered.length < nodes.length) {
    let node = ready.pop();
    if (node === undefined) {
      // A circle: only what somebody made up can be one.
      while (nodes[oldest]?.isPlaced) oldest++;
      node = nodes[oldest];
    }
    assert(node !== undefined, "as long as some are not placed, one is the oldest of them");
    if (node.isPlaced) continue;
    node.isPlaced = true;
    ordered.push(node.mail);
    for (const later of node.next) if (--later.waitsFor === 0 && !later.isPlaced) insert(ready, later);
  }
  return ordered;
}

/** When a mail is shown to have been written: not more than a day after it came, whatever its writer's clock said. */
export function shownTime(time: Time, received: Time): Time {
  return Math.min(time, received + AHEAD_MS);
}

interface Node<T extends Said> {
  readonly mail: T;
  /** How many stand before it that are not placed. */
  waitsFor: number;
  readonly next: Node<T>[];
  isPlaced: boolean;
}

function* edges<T extends Said>(nodes: readonly Node<T>[]): Generator<readonly [earlier: Node<T>, later: Node<T>]> {
  const byId = new Map<string, Node<T>[]>();
  const lines = new Map<string, Node<T>[]>();
  for (const node of nodes) {
    const { id, line, place } = node.mail;
    push(byId, id, node);
    if (line !== undefined && place !== undefined) push(lines, line, node);
  }
  for (const node of nodes)
    for (const id of new Set(node.mail.after))
      for (const seen of byId.get(id) ?? []) if (seen !== node) yield [seen, node];
  for (const line of lines.values()) {
    line.sort((a, b) => (a.mail.place ?? 0) - (b.mail.place ?? 0));
    for (const [i, node] of line.entries()) {
      const before = line[i - 1];
      if (before !== undefined) yield [before, node];
    }
  }
}

function push<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** Into a list that is sorted, the first one last. */
function insert<T extends Said>(ready: Node<T>[], node: Node<T>): void {
  let [low, high] = [0, ready.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = ready[middle];
    if (other !== undefined && byTime(other, node) > 0) low = middle + 1;
    else high = middle;
  }
  ready.splice(low, 0, node);
}

function byTime<T extends Said>({ mail: a }: Node<T>, { mail: b }: Node<T>): number {
  if (a.time !== b.time) return a.time - b.time;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  // Both sides may have used one id, if one of them wants to.
  const [one, other] = [`${a.line} ${a.place}`, `${b.line} ${b.place}`];
  return one < other ? -1 : one > other ? 1 : 0;
}

const AHEAD_MS = 86_400_000;
