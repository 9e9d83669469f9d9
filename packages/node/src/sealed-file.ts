/** A sealed file: any bytes, readable by whom it is for, and by nobody else. No daemon, no network. protocol/sealed-file.md */
import { type Backend, type Hashname, type Identity, type Random, RestanteError } from "restante";
import {
  type Crypto,
  concat,
  encodeKeys,
  encodePacket,
  hashnameOf,
  highestCommon,
  type JsonObject,
  type Keys,
  mail,
  openMessage,
  parseKeys,
  parsePacket,
  sealMessage,
  utf8,
} from "restante/protocol";
import { openFrames, Pieces, sealFrames } from "./store/frames.ts";

/** Who seals a file, for whom, and what it says of itself. */
export interface SealedFileOptions {
  readonly crypto: Crypto;
  readonly backend: Backend;
  readonly random: Random;
  /** Who seals it; one made for this file where nobody is to be named. */
  readonly from: Identity;
  readonly isAnonymous?: boolean;
  /** Of each who may open it, 1 to 64. */
  readonly to: readonly Keys[];
  /** What the file is called, for who opens it. Left out where it is no plain name. */
  readonly name?: string;
  /** When it is sealed, ms since 1970. */
  readonly time: number;
}

/** What a sealed file says of itself, once it is certain who said it; of the content that is certain where there is one reader. */
export interface SealedFileHead {
  /** Who sealed it; `undefined`: somebody who does not say who it is. */
  readonly from: Hashname | undefined;
  readonly time: number;
  readonly name: string | undefined;
  /** For how many devices it is, by its header. Of more than one each can seal other content under what the sender said. */
  readonly readers: number;
}

/** What stands before the content, and the secret that the content is under. Together they give all of the content away. */
export interface SealedHeader {
  readonly header: Uint8Array;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/**
 * The bytes of the sealed file, one after the other. Throws "bad-keys" when somebody of `to` has no cipher set in common with `from`,
 * or too many are named.
 */
export async function* sealFile(
  bytes: AsyncIterable<Uint8Array>,
  options: SealedFileOptions,
): AsyncGenerator<Uint8Array> {
  yield* sealContent(options.backend, sealHeader(options), bytes);
}

/** The part that takes the keys of who seals. Throws as `sealFile`. */
export function sealHeader(options: SealedFileOptions): SealedHeader {
  const { crypto, backend, random, from, to } = options;
  if (to.length === 0 || to.length > READERS)
    throw new RestanteError("bad-keys", `a file is for 1 to ${READERS} peers`);
  const secret = random(SECRET_BYTES);
  const messages = to.map((keys) => {
    const inner = encodePacket(headOf(options, hashnameOf(backend, keys)), secret);
    const message = sealMessage(crypto, { from, to: keys, inner, random });
    if (message === undefined)
      throw new RestanteError("bad-keys", "a reader has no cipher set in common with who seals, or unusable keys");
    return message;
  });
  const header = concat(
    utf8(MAGIC),
    Uint8Array.of(VERSION, messages.length),
    ...messages.flatMap((message) => [Uint8Array.of(message.length >> 8, message.length & 0xff), message]),
  );
  return { header, secret };
}

/** The whole file, by a header that was made for it alone. */
export async function* sealContent(
  backend: Backend,
  { header, secret }: SealedHeader,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield header;
  yield* sealFrames({ backend, ...frameKey(backend, secret, header) }, bytes);
}

/**
 * Who sealed a file and what it is called, and then its bytes, each when it was verified; that it is whole is known when they end. Throws
 * "bad-sealed" when it is no sealed file, or was cut or changed, and "not-for-us" when none of its messages opens.
 */
export async function openFile(
  bytes: AsyncIterable<Uint8Array>,
  { crypto, backend, identity }: { readonly crypto: Crypto; readonly backend: Backend; readonly identity: Identity },
): Promise<{ readonly head: SealedFileHead; readonly content: AsyncGenerator<Uint8Array> }> {
  const { header, rest } = await readHeader(bytes);
  const { head, secret } = openHeader(header, { crypto, backend, identity });
  return { head, content: openContent(backend, { header, secret }, rest) };
}

/** The header of a file, and what follows it. Throws "bad-sealed" when it is none. */
export async function readHeader(
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ readonly header: Uint8Array; readonly rest: AsyncGenerator<Uint8Array> }> {
  const source = bytes[Symbol.asyncIterator]();
  const read = new Pieces();
  const header: Uint8Array[] = [];
  const take = async (length: number): Promise<Uint8Array> => {
    while (read.length < length) {
      const next = await source.next();
      if (next.done) throw damaged("it is none, or it was cut");
      read.push(next.value);
    }
    const taken = read.take(length);
    header.push(taken);
    return taken;
  };
  const count = readersIn(await take(MAGIC.length + 2));
  for (let i = 0; i < count; i++) {
    const [high = 0, low = 0] = await take(2);
    await take((high << 8) | low);
  }
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    if (read.length > 0) yield read.take(read.length);
    for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
  };
  return { header: concat(...header), rest: rest() };
}

/** The part that takes the keys of who opens. Throws "bad-sealed" for what is no whole header, and "not-for-us". */
export function openHeader(
  header: Uint8Array,
  { crypto, backend, identity }: { readonly crypto: Crypto; readonly backend: Backend; readonly identity: Identity },
): { readonly head: SealedFileHead; readonly secret: Uint8Array } {
  const count = readersIn(header.subarray(0, MAGIC.length + 2));
  const messages: Uint8Array[] = [];
  let at = MAGIC.length + 2;
  for (let i = 0; i < count; i++) {
    const [high = 0, low = 0] = header.subarray(at, at + 2);
    const end = at + 2 + ((high << 8) | low);
    if (at + 2 > header.length || end > header.length) throw damaged("it was cut");
    messages.push(header.subarray(at + 2, end));
    at = end;
  }
  if (at !== header.length) throw damaged("more than its header is given as one");
  const found = firstOf(messages, (message) => openHead(crypto, backend, identity, message));
  if (found === undefined) throw new RestanteError("not-for-us", "this file is not sealed for this identity");
  return { head: { ...found.head, readers: count }, secret: found.secret };
}

/** What follows a header, each piece when it was verified. Throws "bad-sealed" as soon as something is not as it was sealed. */
export function openContent(
  backend: Backend,
  { header, secret }: SealedHeader,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  return openFrames({ backend, ...frameKey(backend, secret, header) }, rest, () => damaged("it was cut or changed"));
}

/** How many readers its first bytes say. */
function readersIn(start: Uint8Array): number {
  const [version, count = 0] = start.subarray(MAGIC.length);
  if (!utf8(MAGIC).every((byte, i) => byte === start[i])) throw damaged("it does not begin like one");
  if (version !== VERSION) throw damaged("it was made by a newer version; use that one");
  if (count === 0 || count > READERS) throw damaged("it is for nobody");
  return count;
}

function headOf(options: SealedFileOptions, to: Hashname): JsonObject {
  const { from, isAnonymous = false, time, name } = options;
  return {
    type: TYPE,
    v: VERSION,
    from: from.hashname,
    to,
    keys: encodeKeys(from.keys),
    ...(isAnonymous && { anonymous: true }),
    time,
    ...(name !== undefined && mail.isFileName(name) ? { name } : {}),
  };
}

/** What one of the messages says, if it is for us, and is by whom it says. */
function openHead(
  crypto: Crypto,
  backend: Backend,
  identity: Identity,
  message: Uint8Array,
): { head: Omit<SealedFileHead, "readers">; secret: Uint8Array } | undefined {
  const opened = openMessage(crypto, identity, message);
  const packet = opened && parsePacket(opened.inner);
  if (opened === undefined || packet?.json === undefined || packet.body.length !== SECRET_BYTES) return undefined;
  const { type, v, from, to, keys: theirs, anonymous, time, name } = packet.json;
  const keys = parseKeys(theirs);
  if (type !== TYPE || v !== VERSION || to !== identity.hashname || keys === undefined || keys.size === 0)
    return undefined;
  const hashname = hashnameOf(backend, keys);
  const key = keys.get(opened.csid);
  // The highest set that both have: who sealed it with a lower one was talked into it.
  if (hashname !== from || key === undefined || opened.csid !== highestCommon(crypto, identity.keys, keys))
    return undefined;
  if (!opened.verify(key)) return undefined;
  if (typeof time !== "number" || !Number.isSafeInteger(time) || time < 0) return undefined;
  const isNamed = typeof name === "string" && mail.isFileName(name);
  return {
    head: { from: anonymous === true ? undefined : hashname, time, name: isNamed ? name : undefined },
    secret: packet.body.slice(),
  };
}

function frameKey(backend: Backend, secret: Uint8Array, header: Uint8Array): { key: Uint8Array; label: Uint8Array } {
  const label = backend.sha256(header);
  return { key: backend.hkdf(secret, new Uint8Array(0), concat(utf8(INFO), label), 32), label };
}

function firstOf<T, R>(all: readonly T[], find: (each: T) => R | undefined): R | undefined {
  for (const each of all) {
    const found = find(each);
    if (found !== undefined) return found;
  }
  return undefined;
}

function damaged(what: string): RestanteError {
  return new RestanteError("bad-sealed", `this is no whole sealed file: ${what}`);
}

const MAGIC = "restante sealed\n";
const VERSION = 1;
const TYPE = "sealed";
const INFO = "restante/sealed/1";
const SECRET_BYTES = 32;
const READERS = 64;
