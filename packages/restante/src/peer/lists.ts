/** Lists: one name for several contacts. They are ours alone: no contact learns of them, or of who else is in one. */

import { asJson, ofJson, type Save } from "../bytes/index.ts";
import { isName } from "../card/index.ts";
import { refuse, type Step } from "./step.ts";

/** A list as the application sees it. */
export interface ListInfo {
  /** As the user wrote it. Two that differ in upper and lower case alone are one. */
  readonly name: string;
  /** Ids of contacts, in the order in which they came. */
  readonly contacts: readonly string[];
}

/** The lists. */
export class Lists {
  readonly #lists = new Map<string, ListInfo>();

  /** `saved`: keys "peer/list/...". */
  constructor(saved: ReadonlyMap<string, Uint8Array>) {
    for (const [key, value] of saved)
      if (key.startsWith(LIST)) this.#lists.set(key.slice(LIST.length), ofJson<ListInfo>(value));
  }

  /** By name. */
  all(): ListInfo[] {
    return [...this.#lists.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get(name: string): ListInfo | undefined {
    return this.#lists.get(name.toLowerCase());
  }

  /** The list has these contacts from now on; without any there is none. `isContact`: whether an id is that of a contact. */
  set(req: number, { name, contacts }: ListInfo, isContact: (id: string) => boolean): Step[] {
    if (!isName(name)) return [refuse(req, "bad-name", "a list has a name of one line, at most 64 characters")];
    if (!contacts.every(isContact)) return [refuse(req, "not-found", "there is no such contact")];
    const list: ListInfo = { name, contacts: [...new Set(contacts)] };
    const isFull = this.get(name) === undefined && this.#lists.size >= MAX_LISTS;
    if (list.contacts.length > MAX_MEMBERS || isFull)
      return [refuse(req, "full", `at most ${MAX_LISTS} lists, each of at most ${MAX_MEMBERS} contacts`)];
    return [this.#put(list), { type: "reply", req, value: list }];
  }

  /** A contact is one no more. */
  drop(contact: string): Save[] {
    return this.all().flatMap(({ name, contacts }) =>
      contacts.includes(contact) ? this.#put({ name, contacts: contacts.filter((id) => id !== contact) }) : [],
    );
  }

  #put(list: ListInfo): Save {
    const key = list.name.toLowerCase();
    if (list.contacts.length === 0) this.#lists.delete(key);
    else this.#lists.set(key, list);
    return { type: "save", key: LIST + key, value: list.contacts.length === 0 ? undefined : asJson(list) };
  }
}

const LIST = "peer/list/";
const MAX_LISTS = 256;
const MAX_MEMBERS = 256; // each is a mail of its own
