/** What people type for a contact, a list, a mail: each names one thing, or is refused with what it could have meant. */
import { type ContactInfo, type ListInfo, type Peer, type Received, type RequestInfo, RestanteError } from "restante";
import type { TrackInfo } from "./contract.ts";

/** The one contact of this name. Throws "not-found" or "ambiguous", saying which it could be. */
export function findContact(peer: Peer, text: string): ContactInfo {
  const found = peer.findContact(text);
  if (found !== undefined) return found;
  const wanted = text.toLowerCase();
  const all = peer.contacts();
  const like = all.filter(({ id, name = "", hashnames }) =>
    [id, name.toLowerCase(), ...hashnames].some((it) => it.startsWith(wanted)),
  );
  if (like.length > 1) {
    const ids = like.slice(0, 4).map(({ id, name }) => `${id.slice(0, 8)}${name === undefined ? "" : ` (${name})`}`);
    const more = like.length > ids.length ? ", ..." : "";
    throw new RestanteError("ambiguous", `${like.length} contacts match "${text}": ${ids.join(", ")}${more}`);
  }
  throw new RestanteError("not-found", `there is no contact "${text}"`);
}

/** What `send` takes: the name of a list, or the id of a contact. Throws as `findContact` does. */
export function recipient(peer: Peer, text: string): string {
  return findList(peer, text)?.name ?? findContact(peer, text).id;
}

export function findList(peer: Peer, name: string): ListInfo | undefined {
  return peer.lists().find((list) => list.name.toLowerCase() === name.toLowerCase());
}

/** Throws "not-found". */
export function listNamed(peer: Peer, name: string): ListInfo {
  const list = findList(peer, name);
  if (list === undefined) throw new RestanteError("not-found", `there is no list "${name}"`);
  return list;
}

/** Whose contact id, request id or hashname this is. Throws as `findContact` does. */
export function whom(peer: Peer, text: string): string {
  const isOf = ({ request }: RequestInfo): boolean =>
    request === text || (text.length >= SHORTEST_START && request.startsWith(text));
  const requests = peer.requests().filter(isOf);
  if (peer.findContact(text) === undefined && requests.length === 1) return requests[0]?.request ?? text;
  return WHOLE_HASHNAME.test(text) ? text : findContact(peer, text).id;
}

/** The one of `all` whose id is or starts with `text`. Throws "not-found" or "ambiguous". */
export function theOne<T>(all: readonly T[], idOf: (it: T) => string, text: string, what: string): T {
  const like = all.filter((it) => idOf(it) === text || (text.length >= SHORTEST_START && idOf(it).startsWith(text)));
  if (like.length > 1) throw new RestanteError("ambiguous", `${like.length} ${what}s start with "${text}"`);
  if (like[0] === undefined) throw new RestanteError("not-found", `there is no ${what} "${text}"`);
  return like[0];
}

/** A mail of ours, on its way or long over. Throws "not-found" or "ambiguous". */
export async function track(peer: Peer, text: string): Promise<TrackInfo> {
  // Mail that is long final is known by its whole id alone.
  const mail = FULL_ID.test(text)
    ? peer.outbox().find(({ id }) => id === text)
    : theOne(peer.outbox(), ({ id }) => id, text, "mail");
  const id = mail?.id ?? text;
  const ledger = await peer.track(id);
  const last = ledger?.at(-1);
  if (ledger === undefined || last === undefined) throw new RestanteError("not-found", `there is no mail "${text}"`);
  return { id, state: mail?.state ?? last.state, ledger, ...(mail === undefined ? {} : { mail }) };
}

/** A received file, by its number in the inbox. Throws "not-found". */
export async function fileAt(peer: Peer, text: string): Promise<Received> {
  const n = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  const [mail] = n > 0 ? await peer.inbox({ after: n - 1, limit: 1 }) : [];
  if (mail?.n !== n || mail.file === undefined) throw new RestanteError("not-found", `message ${text} is no file`);
  return mail;
}

const SHORTEST_START = 4; // as for contacts
const WHOLE_HASHNAME = /^[a-z2-7]{52}$/;
const FULL_ID = /^[0-9a-f]{32}$/;
