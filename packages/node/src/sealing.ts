/**
 * Sealing and opening files with the keys of a home: by who has the home, or by its daemon. What is sealed does not pass here, nor do
 * the keys of the home go out: of a file only its header is made or opened, and the secret of that one file given to who asks.
 */
import { randomBytes } from "node:crypto";
import { type Backend, createCrypto, createIdentity, type Identity, RestanteError } from "restante";
import {
  type Crypto,
  cs3a,
  type Keys,
  parseInvite,
  parseJson,
  parseLink,
  parseLinkJson,
  utf8,
} from "restante/protocol";
import { contactOf, contactsNamed, type OfflineHome } from "./offline.ts";
import { openHeader, type SealedFileHead, type SealedHeader, sealHeader } from "./sealed-file.ts";

export interface SealingOptions {
  readonly crypto: Crypto;
  readonly backend: Backend;
  /** Whose keys these are, and whom they know: asked for each time, for contacts come and go. */
  readonly home: () => Promise<OfflineHome>;
}

/** What is to be sealed. */
export interface ToSeal {
  /** Each a contact, "me", an invite, a link with keys, or link JSON. */
  readonly readers: readonly string[];
  /** Do not say who sealed it. */
  readonly isAnonymous: boolean;
  /** What the file is called. */
  readonly name?: string | undefined;
}

export interface Sealed extends SealedHeader {
  /** For how many devices. */
  readonly readers: number;
}

interface Opened {
  readonly head: SealedFileHead;
  readonly secret: Uint8Array;
  /** The contact that sealed it. */
  readonly contact: { readonly id: string; readonly name?: string | undefined } | undefined;
  /** Was it this identity? */
  readonly isOwn: boolean;
}

/** Both reject as `readOffline` where that is how the home is known. */
export interface Sealing {
  /** Rejects with "bad-link", "not-found", "ambiguous" for a reader, and "bad-keys". */
  seal(asked: ToSeal): Promise<Sealed>;
  /** Rejects with "bad-sealed" and "not-for-us". */
  open(header: Uint8Array): Promise<Opened>;
}

/** By a home that can be read. */
export function sealingOf({ crypto, backend, home }: SealingOptions): Sealing {
  return {
    async seal(asked) {
      // What is wrong with a link is said before anybody is asked for a passphrase.
      const keys = asked.readers.map((reader) => keysIn(backend, reader));
      const known = await home();
      const to = asked.readers.flatMap((reader, i) => keys[i] ?? keysOf(known, reader));
      return sealedBy(asked.isAnonymous ? undefined : known.identity, to, asked, { crypto, backend });
    },
    async open(header) {
      const { identity, contacts } = await home();
      const { head, secret } = openHeader(header, { crypto, backend, identity });
      const found = head.from && contactOf(contacts, head.from);
      const contact = found && { id: found.id, name: found.card.name };
      return { head, secret, contact, isOwn: head.from === identity.hashname };
    },
  };
}

/** Who says nothing of itself and names nobody that it knows needs no home; `undefined`: this one does. Throws "bad-link", "bad-keys". */
export function sealWithoutHome(asked: ToSeal, by: { crypto: Crypto; backend: Backend }): Sealed | undefined {
  const to = asked.readers.flatMap((reader) => keysIn(by.backend, reader) ?? []);
  if (!asked.isAnonymous || to.length < asked.readers.length) return undefined;
  return sealedBy(undefined, to, asked, by);
}

/** By somebody, or by keys that are made for this file alone. */
function sealedBy(
  who: Identity | undefined,
  to: readonly Keys[],
  { name, isAnonymous }: ToSeal,
  { crypto, backend }: { crypto: Crypto; backend: Backend },
): Sealed {
  const from = who ?? createIdentity(plainest(crypto, backend, to), random);
  const named = name === undefined ? {} : { name };
  const made = { crypto, backend, random, from, isAnonymous, to, ...named, time: Date.now() };
  return { ...sealHeader(made), readers: to.length };
}

/** For keys that are used once: one pair does, where all readers have that set. */
function plainest(crypto: Crypto, backend: Backend, to: readonly Keys[]): Crypto {
  const set = cs3a(backend);
  return to.every((keys) => keys.has(set.csid)) ? createCrypto(backend, [set]) : crypto;
}

/** The keys in what somebody gave away: an invite, a link, link JSON. `undefined`: it is none of these. Throws "bad-link". */
function keysIn(backend: Backend, text: string): Keys | undefined {
  const invite = parseInvite(backend, text);
  if (invite !== undefined) return invite.keys;
  if (text.startsWith("{")) {
    const link = parseLinkJson(backend, parseJson(utf8(text)));
    if (link === undefined) throw new RestanteError("bad-link", "this link JSON cannot be read");
    return link.keys;
  }
  const link = parseLink(text);
  if (link === undefined) {
    if (text.includes("://")) throw new RestanteError("bad-link", "this is no link, or not all of it");
    return undefined;
  }
  if (link.keys.size === 0)
    throw new RestanteError("bad-link", "this link has no keys in it: take an invite, or a contact");
  return link.keys;
}

/** Of each device of a contact that has shown itself. */
function keysOf(home: OfflineHome, text: string): Keys[] {
  if (text === "me") return [home.identity.keys];
  const [contact, ...others] = contactsNamed(home.contacts, text);
  if (others.length > 0)
    throw new RestanteError("ambiguous", `"${text}" may mean ${1 + others.length} contacts; give the whole id of one`);
  if (contact === undefined)
    throw new RestanteError("not-found", `"${text}" is neither a contact, nor an invite or link with keys, nor "me"`);
  const keys = contact.card.peers.map((peer) => peer.keys);
  if (keys.length === 0) throw new RestanteError("not-found", `no device of "${text}" has shown itself yet`);
  return keys;
}

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
