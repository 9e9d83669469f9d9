/** What a person sees: lines, tables, times, sizes. Data goes to stdout, talk to stderr. */
import { stripVTControlCharacters, styleText } from "node:util";

type Style = "bold" | "dim" | "green" | "yellow" | "red";

export interface Screen {
  /** JSON lines instead of text. */
  readonly json: boolean;
  /** Is stdout a terminal? */
  readonly isTerminal: boolean;
  readonly hasColor: boolean;
  readonly columns: number;
  /** A line of data. */
  out(line: string): void;
  /** A line of talk. */
  say(line: string): void;
  paint(style: Style, text: string): string;
}

/** The screen of this process. Colours only on a terminal, and neither with --no-color nor with NO_COLOR (no-color.org). */
export function createScreen(options: { json?: boolean; color: boolean }): Screen {
  const isTerminal = process.stdout.isTTY === true;
  const hasColor = isTerminal && options.color && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
  return {
    json: options.json ?? false,
    isTerminal,
    hasColor,
    columns: process.stdout.columns || 80,
    out: (line) => void process.stdout.write(`${options.json ? plainJson(line) : line}\n`),
    say,
    paint: (style, text) => (hasColor ? styleText(style, text, { validateStream: false }) : text),
  };
}

/** A line of talk on stderr; folded between words where that is a terminal. */
export function say(line: string): void {
  const lines = process.stderr.isTTY ? foldPainted(line, process.stderr.columns || 80) : [line];
  process.stderr.write(`${lines.join("\n")}\n`);
}

/** As `fold`, also of a line that is painted as a whole; one that is painted in part stays. */
export function foldPainted(line: string, columns: number): string[] {
  const text = stripVTControlCharacters(line);
  const at = line.indexOf(text);
  if (at === -1 || text === "") return [line];
  const [on, off] = [line.slice(0, at), line.slice(at + text.length)];
  return fold(text, columns).map((each) => on + each + off);
}

/**
 * Text of others, made harmless for a terminal: control characters would move the cursor or change colours, and direction marks
 * would reorder what stands there. Line breaks and tabs stay, unless it must be one line.
 */
export function printable(text: string, { oneLine = false } = {}): string {
  const lines = text.replace(/\r\n?/g, "\n");
  const flat = oneLine ? lines.replace(/[\n\t\u2028\u2029]+/g, " ") : lines;
  return flat.replace(/(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, "\u{FFFD}");
}

/** JSON with the same meaning that a terminal shows as it stands: what `printable` takes out is escaped. */
export function plainJson(json: string): string {
  return json.replace(
    /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Cut to a number of columns, counting wide characters as two. */
export function clip(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let used = 0;
  let kept = "";
  for (const { segment } of segments.segment(text)) {
    const next = width(segment);
    if (used + next > columns - 1) break;
    used += next;
    kept += segment;
  }
  return `${kept.trimEnd()}…`;
}

/** One line as lines of so many columns at most, parted between words; only a word that is too long itself is longer. */
export function fold(line: string, columns: number, first: number = columns): string[] {
  if (width(line) <= first) return [line];
  const lines: string[] = [];
  let current: string | undefined;
  let room = first;
  for (const word of line.split(" ")) {
    if (current !== undefined && width(current) + 1 + width(word) > room) {
      lines.push(current);
      current = word;
      room = columns;
    } else current = current === undefined ? word : `${current} ${word}`;
  }
  return [...lines, current ?? ""];
}

/** What somebody said: when, who, and the words; further lines of it are indented, on a terminal folded to its width. */
export function said(screen: Screen, at: string, who: string, words: string): string[] {
  const [first = "", ...rest] = words.split("\n").flatMap((line, i) => {
    if (!screen.isTerminal) return [line];
    const indented = screen.columns - INDENT.length;
    return fold(line, indented, i === 0 ? screen.columns - width(`${at}  ${who}  `) : indented);
  });
  return [`${screen.paint("dim", at)}  ${screen.paint("bold", who)}  ${first}`, ...rest.map((line) => INDENT + line)];
}

/** Rows in aligned columns, two spaces between them. The last column takes what room is left and is cut there. */
export function table(screen: Screen, head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const last = head.length - 1;
  const widths = head.map((title, i) => Math.max(...[title, ...rows.map((row) => row[i] ?? "")].map(width)));
  const before = widths.slice(0, last).reduce((sum, it) => sum + it + 2, 0);
  const room = screen.isTerminal ? Math.max(screen.columns - before, 8) : Number.POSITIVE_INFINITY;
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === last ? clip(cell, room) : cell + " ".repeat((widths[i] ?? 0) - width(cell))))
      .join("  ")
      .trimEnd();
  return [screen.paint("dim", line(head)), ...rows.map(line)];
}

/** "0 bytes", "5.0 MiB". */
export function size(bytes: number): string {
  if (bytes < 1024) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length);
  const amount = bytes / 1024 ** power;
  return `${amount.toFixed(amount < 100 ? 1 : 0)} ${UNITS[power - 1]}`;
}

/** Local time, "2026-08-01 14:05"; with seconds when asked. */
export function time(ms: number, { seconds = false } = {}): string {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date
    .toISOString()
    .slice(0, seconds ? 19 : 16)
    .replace("T", " ");
}

/** The start of an id or hashname, enough for a person and for `findContact`. */
export function short(id: string): string {
  return id.slice(0, 12);
}

/** "1 mail", "3 mails". */
export function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

/** How many columns a text takes. */
export function width(text: string): number {
  let columns = 0;
  for (const { segment } of segments.segment(text)) columns += WIDE.test(segment) ? 2 : /^\p{M}/u.test(segment) ? 0 : 1;
  return columns;
}

const INDENT = "  ";
const UNITS = ["KiB", "MiB", "GiB", "TiB"];
const segments = new Intl.Segmenter();
/** East Asian wide ranges and pictures, coarsely: enough to keep columns straight. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|^\p{Emoji_Presentation}/u;
