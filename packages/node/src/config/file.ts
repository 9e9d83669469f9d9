/** The configuration file: TOML that is right in every key, or a list of what is wrong with it, each with its line. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from "node:fs";
import { RestanteError } from "restante";
import { parse, type TomlError } from "smol-toml";
import type { ConfigPlace } from "../home.ts";
import type { Value } from "./kinds.ts";
import { NAMES, type Name, SECTIONS, settingOf } from "./table.ts";

/** A file that was read: right in every key. */
export interface ConfigFile {
  readonly path: string;
  /** What it says, and in which line. */
  readonly said: ReadonlyMap<Name, { readonly value: Value; readonly line: number }>;
}

/**
 * Read it. `undefined` when there is none and none has to be. Throws "bad-config" with the first thing that is wrong, as
 * "FILE:LINE: [section] key: what it must be", "no-file", "open-permissions" when others may write it.
 */
export function readConfig({ path, must }: ConfigPlace): ConfigFile | undefined {
  if (!must && !existsSync(path)) return undefined;
  const { file, problems } = parseConfig(path, textOf(path));
  const [first, ...more] = problems;
  if (first === undefined) return file;
  const others = more.length === 0 ? "" : `; and ${more.length} more: \`config check\` lists them`;
  throw new RestanteError("bad-config", `${first}${others}`);
}

/** The same without a throw for what is wrong in it: all of that, in lines. */
export function checkConfig(path: string): { file: ConfigFile; problems: readonly string[] } {
  return parseConfig(path, textOf(path));
}

/** What a text says. Never throws. */
export function parseConfig(path: string, text: string): { file: ConfigFile; problems: readonly string[] } {
  const said = new Map<Name, { value: Value; line: number }>();
  const problems: string[] = [];
  const lines = new Lines(text);
  let sections: Record<string, unknown> = {};
  try {
    sections = parse(text);
  } catch (error) {
    const { line = 1, message } = error as Partial<TomlError> & Error;
    const [, words = message] = /^Invalid TOML document: (.*)/.exec(message) ?? [];
    // A line that ends within a text: its end is the control character that the parser means.
    const said = words.startsWith("control characters")
      ? "a text in quotes ends in its line, and has no control characters in it"
      : words;
    problems.push(`${path}:${line}: this is no TOML: ${said}`);
  }
  for (const [section, keys] of Object.entries(sections)) {
    const at = (key?: string): string => `${path}:${lines.of(section, key)}:`;
    if (!Object.hasOwn(SECTIONS, section)) {
      problems.push(`${at()} ${unknownSection(section)}`);
      continue;
    }
    if (typeof keys !== "object" || keys === null || Array.isArray(keys) || keys instanceof Date) {
      problems.push(`${at()} ${shown(section)} is a section: write [${section}] in a line of its own`);
      continue;
    }
    for (const [key, value] of Object.entries(keys)) {
      const name = NAMES.find((each) => settingOf(each).section === section && settingOf(each).key === key);
      const title = `[${section}] ${shown(key)}`;
      if (name === undefined) {
        const hint = problems.length < HINTS ? nearest(section, key) : "";
        problems.push(`${at(key)} ${title}: there is no such key${hint}`);
        continue;
      }
      const { kind } = settingOf(name);
      const right = kind.ofToml(value);
      if (right === undefined) problems.push(`${at(key)} ${title}: must be ${kind.words}`);
      else said.set(name, { value: right, line: lines.of(section, key) });
    }
  }
  return { file: { path, said }, problems: problems.sort(byLine) };
}

/** Of the open file, not of its name: nobody can put another one in between. */
function textOf(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new RestanteError("no-file", `there is no file "${path}"`);
  }
  try {
    const found = fstatSync(fd);
    const { mode, uid, size } = found;
    if (found.isDirectory()) throw new RestanteError("bad-config", `"${path}" is a folder; name the file in it`);
    const self = process.getuid?.();
    const isTheirs = self !== undefined && self !== 0 && uid !== self && uid !== 0;
    if (process.platform !== "win32" && ((mode & 0o022) !== 0 || isTheirs))
      throw new RestanteError(
        "open-permissions",
        `other users can write ${path}, and so say what this node does; ` +
          (isTheirs ? `make it yours with: chown ${self} ${path}` : `forbid it with: chmod go-w ${path}`),
      );
    if (size > MOST_BYTES) throw new RestanteError("bad-config", `${path} has more than ${MOST_BYTES} bytes`);
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

/** Where keys and sections stand: the parser does not say. Each line is looked at once, whatever stands in it. */
class Lines {
  readonly #keys = new Map<string, number>();
  readonly #firsts = new Map<string, number>();
  readonly #lasts = new Map<string, number>();

  constructor(text: string) {
    let current = "";
    for (const [i, line] of text.split("\n").entries()) {
      const header = /^\[([^\]]+)\]/.exec(line.trim())?.[1];
      if (header !== undefined) current = bare(header);
      const [word = "", value] = line.split("=", 2);
      const name = header === undefined && value !== undefined && /^[\w.\-"'\s]+$/.test(word) ? bare(word) : "";
      const whole = current === "" ? name : `${current}.${name}`;
      if (name !== "" && !this.#keys.has(whole)) this.#keys.set(whole, i + 1);
      const [first = ""] = name.split(".", 1);
      const outer = header === undefined ? [] : [current, ...current.split(".", 1)];
      for (const section of [...outer, ...(current === "" ? [name, first] : [])]) {
        if (!this.#firsts.has(section)) this.#firsts.set(section, i + 1);
        this.#lasts.set(section, i + 1);
      }
    }
  }

  /** Of what is written in an unusual way, the line of its section. */
  of(section: string, key?: string): number {
    if (key === undefined) return this.#firsts.get(section) ?? 1;
    return this.#keys.get(`${section}.${key}`) ?? this.#lasts.get(section) ?? 1;
  }
}

function bare(name: string): string {
  return name.replaceAll(/["'\s]/g, "");
}

function unknownSection(section: string): string {
  const [home] = NAMES.map(settingOf).filter(({ key }) => key === section);
  if (home !== undefined) return `${shown(section)} stands before any section: it goes below [${home.section}]`;
  const near = closest(section, Object.keys(SECTIONS));
  const hint = near === undefined ? `: there are ${Object.keys(SECTIONS).join(", ")}` : `; did you mean [${near}]?`;
  return `there is no section [${shown(section)}]${hint}`;
}

function nearest(section: string, key: string): string {
  const all = NAMES.map(settingOf);
  const elsewhere = all.find((it) => it.key === key);
  if (elsewhere !== undefined) return `; it goes below [${elsewhere.section}]`;
  const near = closest(
    key,
    all.filter((it) => it.section === section).map((it) => it.key),
  );
  return near === undefined ? "; `config example` shows all" : `; did you mean ${near}?`;
}

function closest(word: string, words: readonly string[]): string | undefined {
  const [best] = words
    .map((each) => ({ each, far: distance(word.slice(0, 40), each) }))
    .sort((a, b) => a.far - b.far)
    .filter(({ each, far }) => far <= Math.ceil(each.length / 3));
  return best?.each;
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, char] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (char === b[j] ? 0 : 1)));
    row = next;
  }
  return row[b.length] ?? 0;
}

/** A key is anybody's text: not more of it than fits into a line, and nothing that a terminal would obey or turn around. */
function shown(key: string): string {
  const quoted = JSON.stringify(key.slice(0, 40));
  return /^[\w-]{1,40}$/.test(key) ? key : quoted.replace(/\p{C}/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}

/** Puts problems into the order of their lines. */
export function byLine(a: string, b: string): number {
  const line = (problem: string): number => Number(/:(\d+): /.exec(problem)?.[1] ?? 0);
  return line(a) - line(b);
}

const MOST_BYTES = 65_536;
const HINTS = 100; // each looks at all that there is
