/**
 * What a setting may be. Values are as a person writes them, so that a flag, a variable, the file and what is shown of them agree:
 * MiB stay MiB. No schema library here: every command builds its options of the table, and one would cost each of them 46 ms.
 */
import { parseMetricsAddress } from "../metrics.ts";

export type Value = boolean | number | string | readonly string[];

export interface Kind<T extends Value> {
  /** What it must be, as in "must be a port, 0 to 65535". */
  readonly words: string;
  /** All that it may be, where that is a few words. */
  readonly choices?: readonly string[];
  /** The same of what a flag takes at once, where it may stand more than once. */
  readonly one?: string;
  /** Of a flag's word or of a variable of the environment. `undefined`: it is none. */
  ofText(text: string): T | undefined;
  /** Of what stands in the file. `undefined`: it is none. */
  ofToml(value: unknown): T | undefined;
}

/** On or off. */
export const SWITCH: Kind<boolean> = {
  words: "true or false",
  ofText: (text) => (YES.test(text) ? true : NO.test(text) ? false : undefined),
  ofToml: (value) => (typeof value === "boolean" ? value : undefined),
};

/** A whole number; `what` says of what. */
export function number(what: string, least: number, most: number): Kind<number> {
  const fits = (n: number): number | undefined => (Number.isInteger(n) && n >= least && n <= most ? n : undefined);
  const isFar = most > 100_000; // no limit that anybody meets
  return {
    words: `${what}, ${isFar ? `${least} or more` : `${least} to ${most}`}`,
    ofText: (text) => (/^\d{1,7}$/.test(text) ? fits(Number(text)) : undefined),
    ofToml: (value) => (typeof value === "number" ? fits(value) : undefined),
  };
}

/** A text that is not empty and in one line. */
export function line(words: string, isRight: (text: string) => boolean = () => true): Kind<string> {
  const ofText = (text: string): string | undefined => (ONE_LINE.test(text) && isRight(text) ? text : undefined);
  return { words, ofText, ofToml: (value) => (typeof value === "string" ? ofText(value) : undefined) };
}

export function oneOf<T extends string>(...names: readonly T[]): Kind<T> {
  const ofText = (text: string): T | undefined => names.find((name) => name === text);
  const words = names.map((name) => `"${name}"`).join(", ");
  return {
    choices: names,
    words: words.replace(/, (?=[^,]*$)/, " or "),
    ofText,
    ofToml: (it) => names.find((name) => name === it),
  };
}

/** Several of a kind: in the file a list, or one; in a text with commas between. */
export function several(one: Kind<string>): Kind<readonly string[]> {
  const all = (items: readonly (string | undefined)[]): readonly string[] | undefined =>
    items.includes(undefined) ? undefined : (items as string[]);
  return {
    words: `a list, each ${one.words}`,
    one: one.words,
    ofText: (text) => all(text.split(",").map(one.ofText)),
    ofToml: (value) => all([value].flat().map(one.ofToml)),
  };
}

/** Something that is off, on where it is on by default, or on at a place that is said. */
export function offOr<T extends number | string>(place: Kind<T>): Kind<boolean | T> {
  return {
    words: `true, false, or ${place.words}`,
    one: place.words,
    ofText: (text) => place.ofText(text) ?? SWITCH.ofText(text),
    ofToml: (value) => SWITCH.ofToml(value) ?? place.ofToml(value),
  };
}

export const PORT = number("a port", 0, 65_535);
export const MEBIBYTES = number("a number of MiB", 1, 9_999_999);
export const FILE = line("the path of a file");
/** A host that others reach: what it means is looked up when it is used. */
export const HOST_PORT = line('"host:port" or "[IPv6]:port"', (text) =>
  /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]/]+):\d{1,5}$/.test(text),
);
export const MULTIADDR = line("a multiaddr: /ip4/...", (text) => text.startsWith("/"));
export const METRICS = metrics();

/** A port alone may be a number in the file. */
function metrics(): Kind<string> {
  const kind = line('"port", "IP:port" or "[IPv6]:port"', (text) => parseMetricsAddress(text) !== undefined);
  return { ...kind, ofToml: (value) => kind.ofToml(typeof value === "number" ? String(value) : value) };
}

/** A value as TOML: in one line. */
export function toToml(value: Value): string {
  if (typeof value === "object") return `[${value.map((each) => toToml(each)).join(", ")}]`;
  return typeof value === "string" ? JSON.stringify(value).replaceAll("\x7f", "\\u007f") : String(value);
}

const YES = /^(true|yes|on|1)$/i;
const NO = /^(false|no|off|0)$/i;
const ONE_LINE = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;
