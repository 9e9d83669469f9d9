/** Whom a text means: what people type for a contact, and programs hand on. protocol/card.md §1 */
import type { Hashname } from "../crypto/index.ts";

/** What somebody can be called. */
export interface Callable {
  /** 32 hex characters. */
  readonly id: string;
  /** As its own card has it, so it may be anything. */
  readonly name?: string | undefined;
  readonly hashnames: readonly Hashname[];
}

/**
 * All whom the text may mean: nobody, one, or, where it is ambiguous, several. A whole id or hashname means whose it is and is never
 * a name. A whole name goes before starts of other names, but not before the start of somebody's id or hashname (four characters or
 * more): names are chosen by their owners, who may choose what people see of somebody else.
 */
export function meant<T>(all: readonly T[], text: string, called: (one: T) => Callable): T[] {
  const wanted = text.toLowerCase();
  if (WHOLE.test(wanted))
    return all.filter((one) => {
      const { id, hashnames } = called(one);
      return id === wanted || hashnames.some((hashname) => hashname === wanted);
    });
  const isStart = wanted.length >= LEAST_START;
  const starts = (each: string): boolean => isStart && each.startsWith(wanted);
  const [proven, named, begun]: [T[], T[], T[]] = [[], [], []];
  for (const one of all) {
    const { id, name, hashnames } = called(one);
    const own = name?.toLowerCase();
    if (starts(id) || hashnames.some(starts)) proven.push(one);
    else if (own === wanted) named.push(one);
    else if (own !== undefined && starts(own)) begun.push(one);
  }
  const isName = named.length > 0 || proven.some((one) => called(one).name?.toLowerCase() === wanted);
  return [...proven, ...named, ...(isName ? [] : begun)];
}

const WHOLE = /^(?:[0-9a-f]{32}|[a-z2-7]{52})$/; // an id, or a hashname
const LEAST_START = 4; // characters: fewer are a typing slip more often than a name
