/** How far each reader of the mail is: what `recv` has printed, what the page has shown, what a program was given. */
import { RestanteError } from "restante";
import { readText, writeText } from "./small-file.ts";

/** Numbers that only grow, and survive the process; each reader has its own, so that none takes mail from another. */
export interface Readers {
  /** The inbox number up to which this reader was given mail; 0 for one that is not known. */
  position(reader: string): number;
  /** How far any of them is. */
  furthest(): number;
  /** Throws "full" for a new one beyond 64, and "store-failed". */
  move(reader: string, n: number): Promise<void>;
}

/** Whose position it is when nobody is named, and that of the web page. */
export const RECV = "recv";
export const PAGE = "page";
/** What a reader may be called. */
export const READER: RegExp = /^[a-z0-9-]{1,32}$/;

/**
 * A file of few lines: the number of `recv` alone, as it was when that was the only one, then "NAME N" of each other. What cannot
 * be read counts as 0: at worst mail is shown once more.
 */
export async function openReaders(file: string): Promise<Readers> {
  const readers = parse(await readText(file));
  let writing = Promise.resolve();
  return {
    position: (reader) => readers.get(reader) ?? 0,
    furthest: () => Math.max(...readers.values()),
    async move(reader, n) {
      if (n <= (readers.get(reader) ?? 0)) return;
      if (!readers.has(reader) && readers.size >= MAX_READERS)
        throw new RestanteError("full", `there are ${MAX_READERS} readers already: use one of their names`);
      readers.set(reader, n);
      // One after the other: the last one to be written has what all have moved.
      writing = writing.catch(() => {}).then(() => writeText(file, format(readers)));
      try {
        await writing;
      } catch (cause) {
        throw new RestanteError("store-failed", "what was shown could not be noted: it will be shown again", { cause });
      }
    },
  };
}

function parse(text: string): Map<string, number> {
  const [first = "", ...lines] = text.slice(0, MAX_BYTES).trimEnd().split("\n");
  const shown = number(first);
  // Of a time when there was one for all: the page has shown what was shown.
  const readers = new Map([
    [RECV, shown],
    [PAGE, lines.length === 0 ? shown : 0],
  ]);
  for (const line of lines) {
    const [, name, n = ""] = /^(\S+) (\d+)$/.exec(line) ?? [];
    if (name === undefined || name === RECV || !READER.test(name)) continue;
    if (readers.has(name) || readers.size < MAX_READERS) readers.set(name, number(n));
  }
  return readers;
}

function format(readers: ReadonlyMap<string, number>): string {
  const others = [...readers].filter(([name]) => name !== RECV).map(([name, n]) => `${name} ${n}\n`);
  return `${readers.get(RECV) ?? 0}\n${others.join("")}`;
}

function number(text: string): number {
  const n = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(n) ? n : 0;
}

const MAX_READERS = 64;
const MAX_BYTES = 8192;
