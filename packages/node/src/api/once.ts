/**
 * Requests that send once, however often they are repeated: by the header Idempotency-Key, for a day. What a key stands for is on
 * the disk before anything is sent, and the id of the mail follows from the key: after a crash in between, the repeated request
 * sends under the same id, or finds that it is sent. The file tells nothing to who has not the key of the home.
 */
import { createHash, createHmac, hkdfSync } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { CONTENT_LIMIT, RestanteError } from "restante";
import { readPrivate, replacePrivate } from "../store/private-file.ts";

/** Where keys of requests are remembered, and under which secret. */
export interface OnceOptions {
  /** Where it is kept; without it, in memory. */
  readonly file?: string;
  /** 32 bytes: the key of the home. */
  readonly key: Uint8Array;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface Sending {
  /** Sends, under this id. Resolves with it. */
  give(how: { id: string }): Promise<string>;
  /** Whether a mail of ours has this id. */
  isSent(id: string): Promise<boolean>;
  /** Of a body that is not part of `asked`: what it was, once it is read. */
  readonly digest?: (() => Promise<string>) | undefined;
}

/** The keys of the last day. At most 10,000. */
export interface Once {
  /**
   * Resolves with the id of the mail of this key. `asked`: the request; the same key with another is refused. Throws
   * "bad-request" for what is no key, "key-reused", "too-many-keys", "store-failed", and what `give` throws: then the key may be
   * tried again.
   */
  run(key: string, asked: object, sending: Sending): Promise<string>;
  /** Resolves when what is being written is on the disk and the file is closed. Never rejects over that writing. */
  close(): Promise<void>;
}

/** Reads what is kept. Lines that are none are passed over, as a crash leaves one. Throws as `readPrivate`. */
export async function openOnce({ file, key, now = Date.now }: OnceOptions): Promise<Once> {
  const secret = new Uint8Array(hkdfSync("sha256", key, new Uint8Array(0), "restante/api/1/once", 32));
  const mac = (text: string): string => createHmac("sha256", secret).update(text).digest("hex").slice(0, 32);
  const kept = new Map<string, Kept>();
  const busy = new Map<string, Promise<unknown>>();
  const text = file === undefined ? "" : new TextDecoder().decode((await readPrivate(file)) ?? new Uint8Array(0));
  for (const line of text.split("\n")) {
    const [, at, name = "", asked = "", digest] = LINE.exec(line) ?? [];
    if (at !== undefined) kept.set(name, { at: Number(at), asked, ...(digest === undefined ? {} : { digest }) });
  }
  let handle: FileHandle | undefined;
  const forget = (): void => {
    // In the order of their time, but for what a clock that was set does.
    for (const [name, { at }] of kept) if (at <= now() - KEEP_MS || at > now() + KEEP_MS) kept.delete(name);
  };
  const rewrite = async (): Promise<void> => {
    if (file === undefined) return;
    isTorn = true;
    await handle?.close();
    handle = undefined;
    await replacePrivate(file, Buffer.from([...kept].map(([name, it]) => lineOf(name, it)).join("")));
    lines = kept.size;
    handle = await open(file, "a", 0o600);
    isTorn = false;
  };
  let lines = 0;
  /** A write broke off: behind half a line nothing may be written. */
  let isTorn = false;
  forget();
  await rewrite();

  let writing: Promise<void> = Promise.resolve();
  const note = (name: string, it: Kept): Promise<void> => {
    const before = kept.get(name);
    kept.set(name, it);
    writing = writing
      .catch(() => {})
      .then(async () => {
        try {
          if (isTorn || ++lines > 2 * MAX_KEYS) return await rewrite();
          await handle?.appendFile(lineOf(name, it));
          await handle?.datasync();
        } catch (error) {
          isTorn = true;
          // What is kept is what the disk has: the next try of this key has to be noted before it sends.
          if (before === undefined) kept.delete(name);
          else kept.set(name, before);
          throw error;
        }
      });
    return writing.catch((cause: unknown) => {
      throw new RestanteError("store-failed", "the key could not be noted: nothing was sent", { cause });
    });
  };

  const run = async (name: string, asked: string, given: string, { give, isSent, digest }: Sending) => {
    forget();
    const before = kept.get(name);
    if (before !== undefined && before.asked !== asked) throw reused();
    if (before === undefined && kept.size >= MAX_KEYS)
      throw new RestanteError("too-many-keys", `a daemon keeps ${MAX_KEYS} keys a day; send without one, or later`);
    const it = before ?? { at: now(), asked };
    const id = mac(`id\n${it.at}\n${given}`);
    if (before !== undefined && (await isSent(id))) {
      const isOther = digest !== undefined && it.digest !== undefined && mac(await digest()) !== it.digest;
      if (isOther) throw reused();
      return id;
    }
    // Durable first: a crash between the two leaves a key without a mail, never a mail that is sent again.
    if (before === undefined) await note(name, it);
    await give({ id });
    // It is sent: without its digest the key only is less strict.
    if (digest !== undefined) await note(name, { ...it, digest: mac(await digest()) }).catch(() => {});
    return id;
  };
  return {
    async run(given, asked, sending) {
      if (!KEY.test(given))
        throw new RestanteError("bad-request", "an Idempotency-Key has 1 to 255 visible ASCII characters");
      const name = mac(`key\n${given}`);
      // One after the other: the second finds what became of the first.
      const turn = (busy.get(name) ?? Promise.resolve())
        .catch(() => {})
        .then(() => run(name, mac(`asked\n${canonical(asked)}`), given, sending));
      busy.set(name, turn);
      try {
        return await turn;
      } finally {
        if (busy.get(name) === turn) busy.delete(name);
      }
    },
    async close() {
      await writing.catch(() => {});
      await handle?.close();
    },
  };
}

/** A body whose bytes are hashed while somebody reads them. */
export function withDigest(body: ReadableStream<Uint8Array> | null): {
  bytes: AsyncIterable<Uint8Array>;
  digest: () => string;
} {
  const hash = createHash("sha256");
  const bytes = (async function* () {
    let length = 0;
    for await (const piece of body ?? []) {
      length += piece.length;
      if (length > CONTENT_LIMIT) throw new RestanteError("too-large", `a file has at most ${CONTENT_LIMIT} bytes`);
      hash.update(piece);
      yield piece;
    }
  })();
  return { bytes, digest: () => hash.copy().digest("hex") };
}

/** Reads what is left of it. */
export async function readOut(bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of bytes);
}

interface Kept {
  readonly at: number;
  /** Of the request. */
  readonly asked: string;
  /** Of its body, when it was read to its end. */
  readonly digest?: string;
}

function lineOf(name: string, { at, asked, digest }: Kept): string {
  return `${at} ${name} ${asked}${digest === undefined ? "" : ` ${digest}`}\n`;
}

/** The same text for the same request, in whatever order its members stood. */
function canonical(asked: object): string {
  return JSON.stringify(Object.entries(asked).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function reused(): RestanteError {
  return new RestanteError("key-reused", "another request was made with this Idempotency-Key");
}

const LINE = /^(\d{1,15}) ([0-9a-f]{32}) ([0-9a-f]{32})(?: ([0-9a-f]{32}))?$/;
const KEY = /^[\x21-\x7e]{1,255}$/;
const KEEP_MS = 86_400_000;
const MAX_KEYS = 10_000;
