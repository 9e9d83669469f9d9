/**
 * Command lines of the lab's tools. One table says what a tool takes; its help and its refusals come from it. The tables are
 * in tools.ts.
 */
import { parseArgs } from "node:util";

/** `Name`: those of its options. */
export interface Tool<Name extends string> {
  /** Its script in package.json: `npm run -s NAME`. */
  readonly name: string;
  /** What it is for, in a sentence or two. */
  readonly purpose: string;
  /** What may stand beside the options, as the help shows it: "DIR", "[FILE...]". Absent: nothing may. */
  readonly operands?: string;
  readonly options: Readonly<Record<Name, ToolOption>>;
  /** What there is to know beside the options. Lines of at most 80 characters. */
  readonly more?: string;
  /** What follows `npm run -s NAME -- `, and what it does. */
  readonly examples: readonly (readonly [args: string, does: string])[];
  /** The meaning of the exit codes. */
  readonly exits: string;
}

interface ToolOption {
  /** What the help calls its value: "N". Absent: it is a flag. */
  readonly value?: string;
  readonly text: string;
  /** May be there more than once. */
  readonly isRepeatable?: boolean;
  /** Not in the help: between processes of the tool. */
  readonly isHidden?: boolean;
}

/** What was asked for. `Name`: those of the tool's options. */
export class Asked<Name extends string> {
  readonly operands: readonly string[];
  readonly #values: Readonly<Record<string, readonly (string | boolean)[] | undefined>>;

  constructor(
    values: Readonly<Record<string, readonly (string | boolean)[] | undefined>>,
    operands: readonly string[],
  ) {
    this.#values = values;
    this.operands = operands;
  }

  has(flag: Name): boolean {
    return this.#values[flag] !== undefined;
  }

  /** The value of an option, the last one given. */
  text(name: Name): string | undefined {
    return this.all(name).at(-1);
  }

  /** Every value of an option, in order. */
  all(name: Name): readonly string[] {
    return (this.#values[name] ?? []).map(String);
  }

  /** A whole number from `least` to `most`. Throws `Misuse`. */
  whole(name: Name, least: number, most: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new Misuse(`--${name} takes a whole number from ${least} to ${most}, not "${text}"`);
  }

  /** A number from `least` to `most`. Throws `Misuse`. */
  number(name: Name, least: number, most: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{0,15}(\.\d{1,15})?$/.test(text) && text !== "" ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new Misuse(`--${name} takes a number from ${least} to ${most}, not "${text}"`);
  }
}

/** A tool was called in a way that makes no sense. The message says what is wrong. */
export class Misuse extends Error {}

/** Reads a command line. Throws `Misuse`. */
export function parseTool<Name extends string>(tool: Tool<Name>, args: readonly string[]): Asked<Name> {
  const known: Readonly<Record<string, ToolOption>> = tool.options;
  const options = Object.fromEntries(
    Object.entries(known).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ("boolean" as const) : ("string" as const), multiple: true },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options,
      allowPositionals: tool.operands !== undefined,
    });
    for (const [name, given] of Object.entries(values))
      if (known[name]?.isRepeatable !== true && Array.isArray(given) && given.length > 1)
        throw new Misuse(`--${name} stands there more than once`);
    return new Asked(values as Record<string, (string | boolean)[]>, positionals);
  } catch (error) {
    if (error instanceof Misuse || !(error instanceof TypeError)) throw error;
    // Node's own words, without its advice, which is about something else.
    const [first = ""] = error.message.split(/\.\s|\n/);
    throw new Misuse(first.charAt(0).toLowerCase() + first.slice(1).replace(/\.$/, ""));
  }
}

/** The help of a tool, no line of it over 80 characters. */
export function helpOf({ name, purpose, operands, options, more, examples, exits }: Tool<string>): string {
  const call = `npm run -s ${name}`;
  const shown = Object.entries({ ...options, help: { text: "print this" } as ToolOption }).filter(
    ([, { isHidden }]) => isHidden !== true,
  );
  const terms = shown.map(([term, { value }]) => (value === undefined ? `--${term}` : `--${term} ${value}`));
  const column = Math.max(...terms.map(({ length }) => length)) + 4;
  const described = shown.map(([, { text, isRepeatable }], i) => {
    const lines = wrap(isRepeatable ? `${text}; may be given more than once` : text, WIDTH - column);
    return lines.map((line, n) => (n === 0 ? `  ${terms[i] ?? ""}`.padEnd(column) : " ".repeat(column)) + line);
  });
  return [
    `Usage: ${call} -- [options]${operands === undefined ? "" : ` ${operands}`}`,
    "",
    ...wrap(purpose, WIDTH),
    "",
    "Options:",
    ...described.flat(),
    ...(more === undefined ? [] : ["", more]),
    "",
    "Examples:",
    ...examples.flatMap(([args, does]) => [`  ${call}${args === "" ? "" : ` -- ${args}`}`, `      ${does}`]),
    "",
    ...wrap(`Exit codes: ${exits}, 2 wrong use.`, WIDTH),
    "",
  ].join("\n");
}

/**
 * Runs a tool with the command line of this process. `--help` goes to stdout; what makes no sense is told on stderr in one
 * line, with exit code 2.
 */
export async function runTool<Name extends string>(
  tool: Tool<Name>,
  act: (asked: Asked<Name>) => number | Promise<number>,
): Promise<void> {
  const args = process.argv.slice(2);
  const end = args.indexOf("--");
  if ((end < 0 ? args : args.slice(0, end)).some((arg) => arg === "--help" || arg === "-h")) {
    process.stdout.write(helpOf(tool));
    return;
  }
  try {
    process.exitCode = await act(parseTool(tool, args));
  } catch (error) {
    if (!(error instanceof Misuse)) throw error;
    process.stderr.write(`${tool.name}: ${error.message}; see npm run -s ${tool.name} -- --help\n`);
    process.exitCode = MISUSE;
  }
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

const WIDTH = 80;
const MISUSE = 2;
