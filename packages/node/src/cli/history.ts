/** Commands about mail that is over: history, find, keep. */
import type { HistoryEntry } from "restante";
import type { Client } from "../api/client.ts";
import type { ContactList, FoundList, HistoryPage, RetentionList } from "../api/contract.ts";
import { EXIT, usage } from "./failure.ts";
import { contactName } from "./mail.ts";
import { MISSING } from "./people.ts";
import { count, printable, type Screen, said, short, size, table, time } from "./screen.ts";

/** The last `limit` mails with a contact, of both sides, in the order in which they were said. */
export async function history(screen: Screen, client: Client, contact: string, limit: number): Promise<number> {
  const path = `/v1/contacts/${encodeURIComponent(contact)}/history`;
  const entries: HistoryEntry[] = [];
  let name = "";
  let missing = 0;
  for (let before: string | undefined, more = true; more; more = before !== undefined && entries.length < limit) {
    const query = new URLSearchParams({ limit: String(Math.min(limit - entries.length, PAGE)) });
    if (before !== undefined) query.set("before", before);
    const page: HistoryPage = await client.call("GET", `${path}?${query}`);
    entries.unshift(...page.entries);
    before = page.before;
    name = contactName(page.contact);
    missing = page.contact.missing;
  }
  for (const entry of entries) show(screen, entry, entry.way === "out" ? "you" : name);
  if (screen.json) return EXIT.done;
  if (entries.length === 0) screen.say(`there is no mail with ${name} yet, or it is erased`);
  if (missing > 0)
    screen.say(`${count(missing, "mail")} of ${name} ${missing === 1 ? "is" : "are"} missing: ${MISSING}`);
  return EXIT.done;
}

/** Mail in which all these words stand, the newest first. */
export async function find(
  screen: Screen,
  client: Client,
  words: readonly string[],
  options: { contact?: string; limit: number },
): Promise<number> {
  if (words.join("").trim() === "") throw usage("say at least one word to look for");
  const query = new URLSearchParams({ q: words.join(" "), limit: String(options.limit) });
  if (options.contact !== undefined) query.set("contact", options.contact);
  const { found } = await client.call<FoundList>("GET", `/v1/search?${query}`);
  for (const entry of found) {
    const name = contactName({ id: entry.contact, name: entry.name });
    show(screen, entry, entry.way === "out" ? `you to ${name}` : name);
  }
  if (found.length > 0) return EXIT.done;
  if (!screen.json) screen.say("no mail that is here has these words");
  return EXIT.notFound;
}

/** For whom mail is erased; or sets it for one contact, or ends it. */
export async function keep(
  screen: Screen,
  client: Client,
  contact: string | undefined,
  days: number | undefined,
  forEver: boolean,
): Promise<number> {
  if (contact === undefined && forEver) throw usage("say whose mail to keep: keep CONTACT --for-ever");
  if (contact === undefined) return listKept(screen, client);
  if ((days === undefined) === !forEver) throw usage("give a number of days, or --for-ever");
  const path = `/v1/contacts/${encodeURIComponent(contact)}/keep`;
  if (days === undefined) {
    const left = await client.call<RetentionList>("DELETE", path);
    if (screen.json) screen.out(JSON.stringify(left));
    else screen.say(`mail with ${printable(contact, { oneLine: true })} is kept from now on`);
    return EXIT.done;
  }
  const found = await client.call<{ id: string; name?: string }>("PUT", path, { days });
  if (screen.json) screen.out(JSON.stringify({ contact: found.id, days }));
  else
    screen.say(`mail with ${contactName(found)} is erased after ${count(days, "day")}, and what was older is erased`);
  return EXIT.done;
}

async function listKept(screen: Screen, client: Client): Promise<number> {
  const { retentions } = await client.call<RetentionList>("GET", "/v1/retentions");
  if (screen.json) {
    for (const each of retentions) screen.out(JSON.stringify(each));
    return EXIT.done;
  }
  if (retentions.length === 0) {
    screen.say("all mail is kept");
    return EXIT.done;
  }
  const { contacts } = await client.call<ContactList>("GET", "/v1/contacts");
  const rows = retentions.map(({ contact, days }) => {
    const found = contacts.find(({ id }) => id === contact);
    return [short(contact), String(days), found === undefined ? "no contact any more" : contactName(found)];
  });
  for (const line of table(screen, ["ID", "DAYS", "NAME"], rows)) screen.out(line);
  return EXIT.done;
}

function show(screen: Screen, entry: HistoryEntry, who: string): void {
  if (screen.json) return screen.out(JSON.stringify(entry));
  for (const line of said(screen, time(entry.time), who, `${bodyOf(entry)}${remarkOn(entry)}`)) screen.out(line);
}

function bodyOf({ kind, text, file }: HistoryEntry): string {
  if (text !== undefined) return printable(text);
  if (file !== undefined) return `[file ${printable(file.name, { oneLine: true })}, ${size(file.size)}]`;
  return `[a mail of kind "${printable(kind, { oneLine: true })}", which this version cannot show]`;
}

function remarkOn({ way, state, why, missing, claimed }: HistoryEntry): string {
  const remarks = [
    ...(way === "out" && state !== undefined && state !== "delivered" && state !== "read" ? [state] : []),
    ...(why === undefined ? [] : ["came damaged"]),
    ...(missing === undefined ? [] : ["answers a mail that is not here"]),
    ...(claimed === undefined ? [] : ["its sender's clock is ahead"]),
  ];
  return remarks.length === 0 ? "" : ` (${remarks.join(", ")})`;
}

const PAGE = 200;
