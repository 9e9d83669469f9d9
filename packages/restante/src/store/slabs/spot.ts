/** What the store has at hand for operations that come in groups. What holders, halves and shelves are: memory-boxes.ts. */

/**
 * A hashname as it was last written, and the holder that it had then: 0 for none. And the box of its last operation: the two
 * words of the id, and a half of it; 0: none is known.
 */
export interface Name {
  readonly text: string;
  readonly words: Uint32Array;
  holder: number;
  box: string;
  low: number;
  high: number;
  half: number;
}

/** Where the messages of a put go. No holder, no half of the box for that kind of sender, none for the other: 0. */
export interface Spot {
  readonly name: Name;
  /** Which of the holder's shelves: 1 is that of strangers, 0 the other. */
  readonly side: number;
  readonly boxLimit: number;
  readonly shelfLimit: number;
  holder: number;
  half: number;
  /** What a put pushes out is of its own shelf, and so never in here. */
  readonly other: number;
  /** The words of that half, of its holder and of its shelf, and where they begin: zeros where there is none. */
  box: Uint32Array;
  boxAt: number;
  sums: Uint32Array;
  holderAt: number;
  sumsAt: number;
  /** What the protected message of that half counts. */
  kept: number;
}
