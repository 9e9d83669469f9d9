/** What the page says: states, times and sizes in plain words, and names of others made harmless. */
import type { MeshPeer } from "@restante/node/contract";
import type { ContactInfo, HistoryEntry, LedgerEntry, MailState } from "restante";

/** One line of somebody else's: nothing that moves, hides or turns what stands around it. */
export function oneLine(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
}

/** What the daemon says, as a sentence: a terminal shows it after the name of the program. */
export function sentence(text: string): string {
  const begun = /^[a-z]+(?:[ ,;]|: )/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[\p{L}\p{N})]$/u.test(begun) ? `${begun}.` : begun;
}

/** What to call a contact. */
export function nameOf(contact: Pick<ContactInfo, "name" | "id"> | undefined): string {
  if (contact === undefined) return "somebody";
  return oneLine(contact.name ?? "") || `nameless ${contact.id.slice(0, 6)}`;
}

/** A text of somebody else's, as it was written, but for what would turn or hide it. */
export function shownText(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(/[\u202d\u202e]|(?![\n\t])\p{Cc}/gu, "");
}

/** The state of a mail of ours: the ledger's own word, as in the API and on the command line. `share`: which part of it is there already. */
export function stateWords(state: MailState, share?: number): string {
  return isGoing(state, share) ? `${state}, ${Math.floor(share * 100)} %` : state;
}

/** Whether some of it is there, and not yet all. */
export function isGoing(state: MailState, share: number | undefined): share is number {
  return (state === "queued" || state === "handed") && share !== undefined && share > 0;
}

/** What that state means for who wrote it. */
export function stateMeaning(state: MailState, name: string): string {
  if (state === "queued") return `It is safe on this machine, and goes as soon as there is a way to ${name}.`;
  if (state === "handed") return `It is on its way. ${name} has not said yet that it came; you need not stay online.`;
  if (state === "delivered") return `A device of ${name} has it and said so.`;
  if (state === "read") return `${name} has seen it.`;
  if (state === "expired") return `Nobody said in time that it came. If it did, that still shows here.`;
  return `It was taken back. A copy that was on its way already may still arrive.`;
}

/** A step of a mail's way, as a sentence that begins with the ledger's word. */
export function stepWords({ state, route, why }: LedgerEntry, name: string): string {
  if (state === "queued") return "Queued: you wrote it, and it is saved here";
  if (state === "handed") {
    if (route === "cache") return `Handed to a cache of ${name}'s`;
    if (route === "direct") return `Handed to ${name} directly`;
    return "Handed to the bazaar";
  }
  if (state === "delivered") return `Delivered: ${name} has it`;
  if (state === "read") return `Read by ${name}`;
  if (state === "expired") return "Expired";
  if (why === "forgotten") return "Cancelled with the contact";
  return why === "lost" ? "Cancelled: the store was damaged" : "Cancelled: you took it back";
}

/** What stands in the list of conversations. */
export function preview(entry: HistoryEntry | undefined): string {
  if (entry === undefined) return "";
  const text = entry.file ? oneLine(entry.file.name) : oneLine((entry.text ?? entry.kind).slice(0, 120));
  return entry.way === "out" ? `You: ${text}` : text;
}

/** Where the words of a search stand in a text: pieces in their order, from shortly before the first. As the daemon finds them. */
export function marked(text: string, words: string): { text: string; isHit: boolean }[] {
  const [all, wanted] = [oneLine(text), words].map((each) => each.normalize("NFKC"));
  const any = wanted?.trim().split(/\s+/).filter(Boolean).map(literal).sort(byLength).join("|") || "$^";
  const first = all?.search(new RegExp(any, "iu")) ?? 0;
  const start = first > BEFORE_HIT * 1.5 ? first - BEFORE_HIT : 0;
  const shown = all?.slice(start, start + MARKED_LENGTH).replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, "") ?? "";
  const pieces = `${start > 0 ? "…" : ""}${shown}`.split(new RegExp(`(${any})`, "giu"));
  return pieces.map((piece, at) => ({ text: piece, isHit: at % 2 === 1 })).filter(({ text }) => text !== "");
}

/** Bytes for people, in the units of the command line. */
export function size(bytes: number): string {
  if (bytes < 1024) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length);
  const value = bytes / 1024 ** power;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[power - 1]}`;
}

/** The time of day. */
export function clock(time: number): string {
  return new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** Today's time, or the day. For lists. */
export function when(time: number, now: number): string {
  return dayOf(time) === dayOf(now) ? clock(time) : day(time, now);
}

/** "Today", "Yesterday", or the date. */
export function day(time: number, now: number): string {
  if (dayOf(time) === dayOf(now)) return "Today";
  if (dayOf(time) === dayOf(now - DAY_MS)) return "Yesterday";
  const isThisYear = new Date(time).getFullYear() === new Date(now).getFullYear();
  const year = isThisYear ? {} : ({ year: "numeric" } as const);
  return new Date(time).toLocaleDateString([], { weekday: "short", day: "numeric", month: "short", ...year });
}

/** Since when, in the largest unit that fits. */
export function ago(time: number, now: number): string {
  const passed = Math.max(0, now - time);
  if (passed < MINUTE_MS) return "just now";
  return `for ${span(passed)}`;
}

/** A length of time, in its largest unit. */
export function span(ms: number): string {
  if (ms < MINUTE_MS) return counted(Math.max(1, Math.round(ms / 1000)), "second");
  if (ms < HOUR_MS) return counted(Math.floor(ms / MINUTE_MS), "minute");
  if (ms < 2 * DAY_MS) return counted(Math.floor(ms / HOUR_MS), "hour");
  return counted(Math.floor(ms / DAY_MS), "day");
}

/** "1 mail", "2 mails". */
export function counted(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

/** Whether somebody is linked, and since when. */
export function linkWords({ state, since }: Pick<MeshPeer, "state" | "since">, now: number): string {
  if (state === "up") return since === undefined ? "linked" : `linked ${ago(since, now)}`;
  return state === "down" ? "looked for" : "nobody knows where";
}

/** How a link runs. `router`: the name of who is between. */
export function wayWords(place: MeshPeer["place"], router?: string): string {
  if (place === undefined) return "";
  if (place.reach === "router") return `by ${router ?? "somebody"}, who passes it on`;
  const where = { machine: "on this machine", lan: "in your network", internet: "over the internet" }[place.reach];
  const by = place.transport === "udp" || place.transport === "tcp" ? place.transport.toUpperCase() : "";
  return by ? `${where}, ${by}` : where;
}

/** One of eight colours, the same for the same id. */
export function hue(id: string): number {
  return [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 0) % 8;
}

function literal(word: string): string {
  return word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

function byLength(a: string, b: string): number {
  return b.length - a.length;
}

function dayOf(time: number): string {
  return new Date(time).toDateString();
}

const BEFORE_HIT = 40;
const MARKED_LENGTH = 200;
const UNITS = ["KiB", "MiB", "GiB", "TiB"];
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
