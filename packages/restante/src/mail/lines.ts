/**
 * Lines: where mail of ours stands until its turn comes, in the store. A contact has one for texts and one for files, so that no
 * text waits behind a file; in memory there are only their counts. docs/store.md §5
 */
import { asJson, assert, ofJson, type Save, type Time } from "../bytes/index.ts";

/** Mail of one part, and mail of several. */
export type LineKind = "text" | "file";

/** Numbers of one line, from 1 on. None is given twice. */
export interface Line {
  /** Its own number: 1 to LINES_LIMIT. */
  readonly line: number;
  /** That the next mail gets. */
  next: number;
  /** How many are in the store. */
  kept: number;
  /** Mail below this number is of a contact that was forgotten: it ends as soon as it is come by. */
  doomed: number;
}

/** The lines of all contacts. What changes is to be saved: `saves` gives it. */
export class Lines {
  readonly #contacts = new Map<string, Lined>();
  /** When something is to be done about mail that nothing in memory speaks of, by the first place of its block. */
  readonly #looks = new Map<number, Time>();
  readonly #taken = new Set<number>();
  #open = 0;
  #total = 0;
  #lowest = 1;
  readonly #dirty = new Set<string>();
  readonly #dirtyLooks = new Set<number>();

  /** `saved`: keys "mail/line/..." and "mail/block/...". */
  constructor(saved: ReadonlyMap<string, Uint8Array>) {
    for (const [key, value] of saved) {
      if (key.startsWith(LOOK_PREFIX))
        this.#looks.set(Number(key.slice(LOOK_PREFIX.length)), ofJson<LookRecord>(value).at);
      if (!key.startsWith(LINE_PREFIX)) continue;
      const { text, file, ...rest }: LinesRecord = ofJson(value);
      const lined: Lined = { ...rest, text: text && lineOf(text), file: file && lineOf(file) };
      this.#contacts.set(key.slice(LINE_PREFIX.length), lined);
      this.#open += lined.open;
      for (const line of linesIn(lined)) this.#taken.add(line.line);
      this.#total += this.kept(key.slice(LINE_PREFIX.length));
    }
  }

  /** How many mails of all contacts are not final. */
  get open(): number {
    return this.#open;
  }

  /** Whether the contact has a line, or there is one for it. */
  has(contact: string, kind: LineKind): boolean {
    return this.#contacts.get(contact)?.[kind] !== undefined || this.#taken.size < LINES_LIMIT;
  }

  /** `undefined`: nothing was ever in it. */
  get(contact: string, kind: LineKind): Line | undefined {
    return this.#contacts.get(contact)?.[kind];
  }

  /** Those with mail of contacts that were forgotten. */
  doomed(): Line[] {
    return [...this.#contacts.values()].flatMap(linesIn).filter(({ doomed }) => doomed > 1);
  }

  /** How many mails of all contacts there are. */
  get total(): number {
    return this.#total;
  }

  /** How many mails of the contact there are. */
  kept(contact: string): number {
    return linesIn(this.#contacts.get(contact)).reduce((sum, { kept }) => sum + kept, 0);
  }

  /** Is a card on its way to the contact, wherever it stands? */
  hasCard(contact: string): boolean {
    return (this.#contacts.get(contact)?.cards ?? 0) > 0;
  }

  /** A place for one more mail of the contact. */
  add(contact: string, kind: LineKind, isCard: boolean): number {
    const lined = this.#contacts.get(contact) ?? { open: 0, cards: 0, text: undefined, file: undefined };
    this.#contacts.set(contact, lined);
    lined[kind] ??= { line: this.#free(), next: 1, kept: 0, doomed: 1 };
    const line = lined[kind];
    line.kept++;
    this.#total++;
    lined.open++;
    this.#open++;
    if (isCard) lined.cards++;
    this.#dirty.add(contact);
    return placeOf(line, line.next++);
  }

  /** A mail came to an end: it stays in its place for a while. */
  ended(contact: string, isCard: boolean): void {
    const lined = this.#contacts.get(contact);
    if (lined === undefined) return;
    lined.open--;
    this.#open--;
    if (isCard) lined.cards--;
    this.#dirty.add(contact);
  }

  /** A mail left its place. True: it was the last of its line. */
  removed(contact: string, place: number): boolean {
    const line = linesIn(this.#contacts.get(contact)).find((each) => each.line === lineAt(place));
    if (line === undefined) return false;
    line.kept--;
    this.#total--;
    this.#dirty.add(contact);
    if (line.kept === 0) line.doomed = 1;
    return line.kept === 0;
  }

  /** The contact was forgotten, and all that stands in its lines with it. */
  doom(contact: string): Line[] {
    const lines = linesIn(this.#contacts.get(contact)).filter(({ kept }) => kept > 0);
    for (const line of lines) line.doomed = line.next;
    if (lines.length > 0) this.#dirty.add(contact);
    return lines;
  }

  /** All blocks that have to be looked at, and when. */
  looks(): ReadonlyMap<number, Time> {
    return this.#looks;
  }

  /** Sets when to look at the block that begins at this place. */
  look(first: number, at: Time | undefined): void {
    if (this.#looks.get(first) === at) return;
    if (at === undefined) this.#looks.delete(first);
    else this.#looks.set(first, at);
    this.#dirtyLooks.add(first);
  }

  /** All that changed since it was asked last. */
  saves(): Save[] {
    const saves = [...this.#dirty].map((contact): Save => {
      const lined = this.#contacts.get(contact);
      const value = this.#isOver(contact) || lined === undefined ? undefined : asJson(lined);
      return { type: "save", key: LINE_PREFIX + contact, value };
    });
    for (const first of this.#dirtyLooks) {
      const at = this.#looks.get(first);
      const record: LookRecord | undefined = at === undefined ? undefined : { at };
      saves.push({ type: "save", key: LOOK_PREFIX + digits(first), value: record && asJson(record) });
    }
    this.#dirty.clear();
    this.#dirtyLooks.clear();
    return saves;
  }

  /** The contact was forgotten, and nothing stands in its lines any more. */
  forget(contact: string): void {
    const lined = this.#contacts.get(contact);
    if (lined === undefined || linesIn(lined).some(({ kept }) => kept > 0)) return;
    for (const { line } of linesIn(lined)) this.#taken.delete(line);
    this.#lowest = 1;
    this.#contacts.delete(contact);
    this.#dirty.add(contact);
  }

  #isOver(contact: string): boolean {
    return !this.#contacts.has(contact);
  }

  #free(): number {
    while (this.#taken.has(this.#lowest)) this.#lowest++;
    assert(this.#lowest <= LINES_LIMIT, "whoever adds has asked whether there is a line");
    this.#taken.add(this.#lowest);
    return this.#lowest;
  }
}

/** Where a mail stands: the number of its line, and its own in it. */
export function placeOf({ line }: Line, n: number): number {
  return line * LINE_LENGTH + n;
}

/** The number of the line of a place. */
export function lineAt(place: number): number {
  return Math.floor(place / LINE_LENGTH);
}

/** The number in its line of a place. */
export function numberAt(place: number): number {
  return place % LINE_LENGTH;
}

/** The first place of the block that a place is in. Looks are taken at whole blocks. */
export function blockOf(place: number): number {
  return place - (numberAt(place) % BLOCK);
}

/** What follows on a block. */
export function blockEnd(first: number): number {
  return first + BLOCK;
}

/** Where a mail lies: keys sort as the places do. */
export function queueKey(place: number): string {
  return QUEUE_PREFIX + digits(place);
}

/** The place in a key that `queueKey` made. */
export function placeIn(key: string): number {
  return Number(key.slice(QUEUE_PREFIX.length));
}

/** With what all keys of the line of a place begin. */
export function linePrefix(place: number): string {
  return QUEUE_PREFIX + digits(place).slice(0, LINE_DIGITS);
}

/** Where it is noted in which place a mail stands. */
export function placeKey(mail: string): string {
  return `place/${mail}`;
}

/** The value of `placeKey`: JSON. */
export interface PlaceRecord {
  readonly place: number;
}

/** The value of "mail/line/<contact>". */
interface LinesRecord {
  /** Mails that are not final, and how many of them are cards. */
  open: number;
  cards: number;
  text?: LineRecord | undefined;
  file?: LineRecord | undefined;
}

type LineRecord = Omit<Line, "doomed"> & { doomed?: number };

interface Lined extends LinesRecord {
  text: Line | undefined;
  file: Line | undefined;
}

interface LookRecord {
  readonly at: Time;
}

function lineOf(record: LineRecord): Line {
  return { doomed: 1, ...record };
}

function linesIn(lined: Lined | undefined): Line[] {
  return [lined?.text, lined?.file].flatMap((line) => line ?? []);
}

function digits(place: number): string {
  return String(place).padStart(LINE_DIGITS + NUMBER_DIGITS, "0");
}

const QUEUE_PREFIX = "queue/";
const LINE_PREFIX = "mail/line/";
const LOOK_PREFIX = "mail/block/";
const LINE_DIGITS = 5;
const NUMBER_DIGITS = 10; // a mail a second for three hundred years
const LINE_LENGTH = 10 ** NUMBER_DIGITS;
const LINES_LIMIT = 10 ** LINE_DIGITS - 1;
const BLOCK = 1024;
