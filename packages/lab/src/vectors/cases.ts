/** Cases of a vector file. Its shape is checked as it is read: whatever is not as it should be is a failed case. */
import { fromHex, toHex } from "restante/protocol";

/** One case of a file. */
export interface Case {
  readonly name: string;
  /** It is of a kind that this version does not have: not run, and neither passed nor failed. */
  readonly isUnsupported: boolean;
  /** Throws, saying what differs, when the case does not pass. */
  readonly check: () => void;
}

/**
 * The cases in the parsed JSON of a file. `beside` reads another file of the same folder, by its name without ending; where it
 * is missing there, the project's own. Throws when the file has not the shape of its kind.
 */
export type Runner = (file: unknown, beside: (name: string) => unknown) => Case[];

/** A JSON object of a vector file. */
export type Fields = Readonly<Record<string, unknown>>;

/** The value as an object. Throws when it is none. */
export function object(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${what} is no object`);
  return value as Fields;
}

/** The value as a list of objects. Throws when it is none. */
export function list(value: unknown, what: string): Fields[] {
  if (!Array.isArray(value)) throw new Error(`${what} is no list`);
  return value.map((item) => object(item, `an item of ${what}`));
}

/** The text in a field. Throws when there is none. */
export function text(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== "string") throw new Error(`${key} is no text`);
  return value;
}

/** The number in a field. Throws when there is none. */
export function number(fields: Fields, key: string): number {
  const value = fields[key];
  if (typeof value !== "number") throw new Error(`${key} is no number`);
  return value;
}

/** The bytes in a field of hex. Throws when there are none. */
export function bytes(fields: Fields, key: string): Uint8Array {
  const value = fromHex(text(fields, key));
  if (value === undefined) throw new Error(`${key} is no hex`);
  return value;
}

/** Whether the field says something: it is there and not `null`. */
export function has(fields: Fields, key: string): boolean {
  return fields[key] !== undefined && fields[key] !== null;
}

/** Throws unless the bytes are those that were expected; `undefined` stands for a refusal, `null` for one expected. */
export function same(actual: Uint8Array | undefined, expected: Uint8Array | null, what: string): void {
  sameText(actual && toHex(actual), expected && toHex(expected), what);
}

/** As `same`, for text. */
export function sameText(actual: string | undefined, expected: string | null, what: string): void {
  if (actual !== (expected ?? undefined)) throw new Error(`${what}: ${show(actual)} instead of ${show(expected)}`);
}

/** Throws unless the fact holds. */
export function holds(fact: boolean, what: string): void {
  if (!fact) throw new Error(what);
}

/** The value, where it must be there. */
export function given<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(what);
  return value;
}

function show(value: string | null | undefined): string {
  if (value === undefined || value === null) return "a refusal";
  return value.length > SHOWN ? `"${value.slice(0, SHOWN)}..."` : `"${value}"`;
}

const SHOWN = 120;
