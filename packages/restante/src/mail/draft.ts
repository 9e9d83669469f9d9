/** Drafts: what is to be sent, before it is a mail with numbers and a ledger. protocol/mail.md §4 */
import { RestanteError, type Time, utf8 } from "../bytes/index.ts";
import { type Crypto, highestCommon, type Identity } from "../crypto/index.ts";
import { CONTENT_LIMIT, EXPIRY_MS, PART_CONTENT, TEXT_LIMIT } from "./constants.ts";
import type { Hello } from "./hello.ts";
import { sizeOfPart } from "./inner.ts";
import type { Ownerless } from "./posted.ts";
import type { Destination } from "./route.ts";
import { partOf, partsFor } from "./sealing.ts";
import type { Addressee, Spool } from "./spool.ts";
import type { Draft } from "./turn.ts";

/** Why a draft is too large to be sent, in plain words; `undefined`: it is not. */
export function tooLarge(draft: Draft): string | undefined {
  const size = sizeOf(draft);
  if (draft.kind === "sync" && size > TEXT_LIMIT) return `what devices tell each other has at most ${TEXT_LIMIT} bytes`;
  if (draft.kind === "text" && size > TEXT_LIMIT) return `a text has at most ${TEXT_LIMIT} bytes: send it as a file`;
  return size > CONTENT_LIMIT ? `a file has at most ${CONTENT_LIMIT} bytes` : undefined;
}

/** The mail that a draft becomes at `now`; `isPatient`: it goes over links alone. It expires when it is wanted to, within the time that any cache keeps it. */
export function mailOf(
  draft: Draft,
  {
    id,
    contact,
    now,
    expires = now + EXPIRY_MS,
    isPatient = false,
  }: { id: string; contact: string; now: Time; expires?: Time | undefined; isPatient?: boolean },
): Ownerless {
  const size = sizeOf(draft);
  return {
    ...{ id, contact, kind: draft.kind, created: now, size },
    expires: Math.max(now, Math.min(expires, now + EXPIRY_LIMIT_MS)),
    parts: partsFor(size),
    ...(isPatient && { linkOnly: true }),
    ...(draft.kind === "file" && {
      file: { name: draft.name, media: draft.media, size, sha256: draft.sha256, blob: draft.blob },
    }),
  };
}

/** How a mail goes to one peer; or the code of the reason why it cannot. Makes its first part once, to be sure. */
export function addresseeOf(
  { crypto, identity }: { readonly crypto: Crypto; readonly identity: Identity },
  {
    to,
    mail,
    number,
    after,
    hello,
  }: {
    readonly to: Destination;
    readonly mail: Ownerless;
    readonly number: ReturnType<Spool["next"]>;
    readonly after: readonly string[];
    readonly hello: Hello | undefined;
  },
): Addressee | string {
  const csid = highestCommon(crypto, identity.keys, to.keys);
  const overhead = crypto.sets.get(csid ?? 0)?.overhead;
  if (csid === undefined || overhead === undefined) return "no-cipher";
  const parcel = { peer: to.hashname, ...number };
  const content = new Uint8Array(Math.min(mail.size, PART_CONTENT));
  const part = partOf(identity, { mail, parcel, part: 0, after, content, hello });
  try {
    const size = sizeOfPart(crypto, csid, identity, part, hello === undefined ? number.forward : undefined);
    return { peer: to.hashname, hello: hello !== undefined, partBytes: size + overhead };
  } catch (error) {
    if (error instanceof RestanteError) return error.code;
    throw error;
  }
}

/** Bytes of content. */
function sizeOf(draft: Draft): number {
  if (draft.kind === "file") return draft.size;
  return draft.kind === "card" ? 0 : utf8(draft.text).length;
}

const EXPIRY_LIMIT_MS = 30 * 86_400_000; // as long as a cache keeps anything

/** The reasons of `addresseeOf`, in plain words. */
export const REFUSALS: Readonly<Record<string, string>> = {
  "too-large": "the mail does not fit into a message",
  "bad-mail": "the name or the media type of the file cannot be sent",
  "no-cipher": "there is no cipher set in common",
};
