/** Cards that are too large for where they go: as much of them as has room. Pure. protocol/card.md §1 */
import { type Card, type CardPeer, fits } from "./card.ts";

/**
 * The card itself where `isGood` takes it; else the first of ever less of it that `isGood` takes, or the least. All peers stay,
 * with their keys; what goes first is what others are let in by (`others`), then addresses beyond the first ones, then caches of
 * each peer beyond the first ones, then where it is in the bazaar, and what it offers. The same card, the same answer.
 */
export function fitted(card: Card, isGood: (card: Card) => boolean = fits): Card {
  let less = card;
  for (const level of LEVELS) {
    if (isGood(less)) return less;
    less = { ...card, peers: card.peers.map((peer) => lessOf(peer, level)) };
  }
  return less;
}

interface Level {
  /** Of the peer, and of each cache. */
  readonly paths: number;
  readonly cachePaths: number;
  readonly caches: number;
}

function lessOf({ paths, caches, bazaar, offer, ...peer }: CardPeer, most: Level): CardPeer {
  return {
    ...peer,
    ...(bazaar && most.caches > 1 && { bazaar }),
    ...(offer && most.caches > 1 && { offer }),
    paths: paths.slice(0, most.paths),
    caches: caches.slice(0, most.caches).map(({ others: _, ...cache }) => ({
      ...cache,
      paths: cache.paths.slice(0, most.cachePaths),
    })),
  };
}

/** Of 8 devices with 8 caches each, the usual case is the third; the last is 64 peers without anything. */
const LEVELS: readonly Level[] = [
  { paths: 16, cachePaths: 16, caches: 8 },
  { paths: 8, cachePaths: 4, caches: 8 },
  { paths: 4, cachePaths: 2, caches: 8 },
  { paths: 4, cachePaths: 1, caches: 8 },
  { paths: 2, cachePaths: 1, caches: 4 },
  { paths: 2, cachePaths: 1, caches: 2 },
  { paths: 1, cachePaths: 1, caches: 1 },
  { paths: 1, cachePaths: 0, caches: 0 },
  { paths: 0, cachePaths: 0, caches: 0 },
];
