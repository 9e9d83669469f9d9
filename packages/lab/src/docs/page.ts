/** What stands in a page to be typed, saved or compared: its blocks, fenced or indented. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the project. */
export const ROOT: string = fileURLToPath(new URL("../../../..", import.meta.url));

export interface Block {
  /** Where its text begins, for who looks for it: from 1. */
  readonly line: number;
  /** What stands behind the fence; "" where nothing does, "indented" where there is none. */
  readonly language: string;
  /** Without the indentation. Ends with a line feed. */
  readonly text: string;
}

/** The text of a page, named from the folder of the project. */
export function page(name: string): string {
  return readFileSync(join(ROOT, name), "utf8");
}

/** All blocks of a text in Markdown, in their order. */
export function blocks(text: string): Block[] {
  const lines = text.split("\n");
  const found: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, language] = /^ *```(.*)$/.exec(lines[at] ?? "") ?? [];
    const isIndented = /^ {4}\S/.test(lines[at] ?? "") && (lines[at - 1] ?? "").trim() === "";
    if (language === undefined && !isIndented) continue;
    const first = language === undefined ? at : at + 1;
    let end = first;
    if (language === undefined) while (/^ {4}/.test(lines[end] ?? "")) end++;
    else while (end < lines.length && !/^ *```$/.test(lines[end] ?? "")) end++;
    const body = lines.slice(first, end).map((line) => (language === undefined ? line.slice(4) : line));
    found.push({ line: first + 1, language: language ?? "indented", text: `${body.join("\n")}\n` });
    at = end;
  }
  return found;
}
