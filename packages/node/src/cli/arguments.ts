/** What stands behind options, as text of the user: what it means, or an error that says what it must be. */
import { InvalidArgumentError, Option } from "commander";
import { MAX_WORK } from "restante/protocol";
import { READER } from "../readers.ts";
import { usage } from "./failure.ts";

export function clusterOption(description: string): Option {
  return new Option("--cluster <servers>", description).env("RESTANTE_CLUSTER").argParser((text) => text.split(","));
}

export function mails(text: string): number {
  const n = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (n === 0) throw new InvalidArgumentError("It is a number of mails, 1 or more.");
  return n;
}

export function times(text: string): number {
  const n = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (n === 0) throw new InvalidArgumentError("It is how often, 1 or more.");
  return n;
}

/** Of a mail in the inbox; 0: before the first. */
export function inboxNumber(text: string): number {
  const n = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(n)) throw new InvalidArgumentError("It is a number of the inbox, 0 or more.");
  return n;
}

/** Of who reads mail at its own pace. */
export function readerName(text: string): string {
  if (!READER.test(text)) throw new InvalidArgumentError("It is a name of 1 to 32 of a-z, 0-9 and -.");
  return text;
}

/** As many as are found at once. */
export function foundMails(text: string): number {
  const n = mails(text);
  if (n > MAX_FOUND) throw new InvalidArgumentError(`It is a number of mails, 1 to ${MAX_FOUND}.`);
  return n;
}

export function days(text: string): number {
  const n = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (!(n >= 1 && n <= MAX_DAYS)) throw new InvalidArgumentError(`It is a number of days, 1 to ${MAX_DAYS}.`);
  return n;
}

/** Of work. */
export function bits(text: string): number {
  const n = /^\d{1,2}$/.test(text) ? Number(text) : MAX_WORK + 1;
  if (n > MAX_WORK) throw new InvalidArgumentError(`It is a number of bits, 0 to ${MAX_WORK}.`);
  return n;
}

export function seconds(text: string): number {
  const n = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(n > 0 && n <= MAX_WAIT))
    throw new InvalidArgumentError(`It is a number of seconds, more than 0 and up to ${MAX_WAIT}.`);
  return n;
}

export function collect(item: string, items: string[] = []): string[] {
  if (item === "") throw usage("an option was given an empty value: leave it away, or say what it is");
  return [...items, item];
}

const MAX_FOUND = 200; // what the API gives at once
const MAX_DAYS = 36_500; // a hundred years
const MAX_WAIT = 1_000_000; // some 11 days: timers take no more than 2^31 ms
