/**
 * createPeer: the library's front door. Joins the pure root machine with a clock, randomness, sockets and a store; the only
 * file that knows both sides.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { pooled, type Random, RestanteError, type Time, toHex, utf8 } from "./bytes/index.ts";
import { isName, MAX_PATHS, type Path } from "./card/index.ts";
import {
  type Backend,
  type CipherSet,
  type Crypto,
  createCrypto,
  createIdentity,
  exportIdentity,
  type Hashname,
  type Identity,
  importIdentity,
  isWhole,
  portable,
} from "./crypto/index.ts";
import { type Commit, Driver, type DriverIo, type DriverState } from "./driver.ts";
import type { HandshakeMessage } from "./e3x/index.ts";
import {
  CONTENT_LIMIT,
  isFileName,
  isMedia,
  type LedgerEntry,
  type LedgerRecord,
  type OutboxEntry,
  PART_CONTENT,
  type InboxRecord as Received,
} from "./mail/index.ts";
import { type Noise, noiseProblem } from "./mesh/index.ts";
import type { ContactInfo } from "./peer/index.ts";
import {
  type Call,
  type HandshakeInfo,
  handshakeProblem,
  type PeerEvent,
  type PeerStatus,
  type RequestInfo,
  Root,
} from "./peer.ts";
import { type BoxStats, type BoxStore, memoryBoxStore, memoryStore, type Store } from "./store/index.ts";
import type { Transport } from "./transport/index.ts";

export interface PeerOptions {
  /** Where mail and contacts live. Default: memory, gone with the process. */
  readonly store?: Store;
  /** How to reach others. Without any, the peer is alone. */
  readonly transports?: readonly Transport[];
  /** Default: the one in the store, made at the first start. With the secrets of all its keys of `cipherSets`. */
  readonly identity?: Identity;
  /** Shown to people who get our card: one line, cut to 64 characters. */
  readonly name?: string;
  /**
   * Hold boxes for others, in memory. Sizes in bytes: `cap` per sender and recipient, `quota` per recipient. `secret`, 32 bytes:
   * that of all nodes which share one store of boxes, so that recipients know them as one failure domain.
   */
  readonly cache?: { readonly cap?: number; readonly quota?: number; readonly secret?: Uint8Array } | undefined;
  /** Also pass on packets between those who use this cache, and contacts, when both are there. Default: false. */
  readonly route?: boolean;
  /** Where those boxes lie. Default: the memory store. */
  readonly boxes?: BoxStore;
  /** False: only a cache; nothing is written anywhere. */
  readonly mail?: boolean;
  /** Addresses to put into cards and invites instead of those on which the transports listen. The first 16 count. */
  readonly advertise?: readonly Path[];
  /** The cryptographic primitives. Default: portable JavaScript. `@restante/node` has a native one. */
  readonly backend?: Backend;
  /** Default: 3a, and 2a where the backend has RSA. */
  readonly cipherSets?: readonly CipherSet[];
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly random?: Random;
  /**
   * What to show to everybody with our keys, besides them: a token ("jwt", see `restante/jwt`), a transaction ("tx").
   * Throws "bad-handshake" for other types, for two of one, and for what is too long.
   */
  readonly handshakes?: readonly HandshakeMessage[];
  /** Packets of channels some 20 bytes shorter, and dearer to make, where the other side offers it too. Default: false. */
  readonly cbor?: boolean;
  /**
   * Send a datagram at every tick of a clock to every peer with a link, said or not, so that who only counts and measures
   * datagrams does not see when and how much we say there. It does not hide that there are a link and a floor, the start
   * of a link, packets of a size that the floor cannot hide (less than `bytes` - 8 * `rounds` - 7, more than `bytes` - 8),
   * anything on TCP, nor anything from who undoes the cloak, whose key is public. It makes mail slow: of packets of one
   * size one leaves in eight ticks. The other end hides what it says only if it does the same. protocol/cloaking.md §6.
   * Throws "bad-noise" for values out of range. Default: none.
   */
  readonly noise?: Noise;
  /**
   * Whether a stranger, admitted by nothing else, may have a link. Nothing is sent before it says true; a failure counts as
   * false. About one stranger it is asked once at a time: again after a no, with all messages, when more of the handshake have
   * come. Of questions without an answer there are 256 at most; about further strangers it is not asked. Default: no stranger may.
   */
  readonly approve?: (handshake: HandshakeInfo) => boolean | Promise<boolean>;
  /** Told in plain words when something is wrong that needs a person. Default: nobody. */
  readonly onTrouble?: (message: string) => void;
}

/** A file to send: bytes at once, or as they come. */
export interface OutgoingFile {
  readonly name: string;
  /** A media type, like "image/png". Default: application/octet-stream. */
  readonly media?: string;
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
}

/** A running peer. Made by `createPeer`; every promise is rejected with a `RestanteError` whose `code` tells the reason. */
export interface Peer {
  readonly hashname: Hashname;
  /** A link for somebody to write to us. `once` (default): who uses it first is accepted unasked, and nobody after. */
  invite(options?: { once?: boolean }): Promise<string>;
  /** Nobody may use this invite of ours any more, at our caches either. Code: "not-found", "bad-invite". */
  closeInvite(link: string): Promise<void>;
  /** Become the contact of who made the invite. Codes: "bad-invite", "self", "known", "full". */
  add(link: string): Promise<ContactInfo>;
  contacts(): ContactInfo[];
  /**
   * Not to know a contact (its id) any more: mail to it is given up, and it can leave none at our caches. Nobody tells it.
   * What it writes to us after that is a stranger's. Code: "not-found".
   */
  removeContact(id: string): Promise<void>;
  /** The one contact that this names: id, hashname, name, or an unambiguous start of at least four characters. */
  findContact(text: string): ContactInfo | undefined;
  /** Strangers who wrote to us and wait for an answer. */
  requests(): readonly RequestInfo[];
  accept(request: string): Promise<void>;
  /** Forget a request, and what else the stranger sends in the next 30 days, or until the next invite. Nobody learns of it. */
  ignore(request: string): Promise<void>;
  /**
   * Resolves with the mail's id (32 hex characters) when the mail is durable here. Codes: "not-found" (no such contact),
   * "too-large" (more than one box holds), "bad-file".
   */
  send(contact: string, mail: string | OutgoingFile, options?: { expires?: number }): Promise<string>;
  /** Give a mail up and take its copies back where that is still possible. */
  cancel(id: string): Promise<void>;
  /** Mail that is not final yet, and what became of it lately. */
  outbox(): readonly OutboxEntry[];
  /** What happened to a mail of ours, oldest first; `undefined`: no such mail. */
  track(id: string): Promise<readonly LedgerEntry[] | undefined>;
  /** Received mail with `n` above `after`, oldest first. */
  inbox(options?: { after?: number; limit?: number }): Promise<Received[]>;
  /** The bytes of a received file, in pieces. Code: "not-found". */
  file(mail: Received): AsyncIterable<Uint8Array>;
  /** Everything that happens from this call on. A reader who falls 10,000 events behind loses the oldest. Ends with `close`. */
  events(): AsyncIterableIterator<PeerEvent>;
  /** The same, called at once. Gives back the function that ends it. */
  on(listener: (event: PeerEvent) => void): () => void;
  /** Use the cache behind a join link. Codes: "bad-link", "self", "refused", "unreachable", "full". */
  join(link: string): Promise<{ cache: Hashname; quota: number; cap: number }>;
  /**
   * Not to use a cache any more. Contacts are told, and so is the cache if it is there: what it still keeps for us is lost at
   * this cache, and comes again from its senders. Code: "not-found".
   */
  leave(cache: Hashname): Promise<void>;
  /**
   * Show these with our keys from now on, in place of those before; on links that are up with a handshake at once. Not
   * kept: give them again after a start. Code: "bad-handshake".
   */
  setHandshakes(messages: readonly HandshakeMessage[]): Promise<void>;
  /** A link with which others join the cache that this peer serves. Code: "no-cache". */
  joinLink(): string;
  /** How it fares. `held`: when it serves a cache. `turns`: inputs handled since the start. */
  status(): PeerStatus & { state: string; turns: number; held: BoxStats | undefined };
  /**
   * Stop. What was promised is on the disk; the rest is as if it had not been asked. Takes up to two seconds while senders
   * wait for an acknowledgement, so that they need not wait for our next start.
   */
  close(): Promise<void>;
}

/**
 * Start a peer. Throws "bad-name", "bad-identity", "bad-noise", and what the store and the transports throw when they cannot open
 * ("store-locked", "address-in-use", ...); what was opened before is closed again then.
 */
export async function createPeer(options: PeerOptions = {}): Promise<Peer> {
  const clock = options.clock ?? Date.now;
  const random = options.random ?? pooled(webRandom);
  const hasMail = options.mail ?? true;
  if (!hasMail && options.store !== undefined)
    throw new RestanteError(
      "no-mail",
      "a peer without mail of its own keeps nothing: give it an identity, and no store",
    );
  const store = options.store ?? memoryStore();
  const transports = options.transports ?? [];
  const trouble = options.onTrouble ?? (() => {});
  const name = options.name?.slice(0, NAME_LENGTH).replace(/[\ud800-\udbff]$/, ""); // no half of a character
  if (name !== undefined && !isName(name))
    throw new RestanteError("bad-name", "a name is one line of text, without control characters, and not empty");
  const noisy = options.noise && noiseProblem(options.noise);
  if (noisy !== undefined) throw new RestanteError("bad-noise", noisy);
  const crypto = createCrypto(options.backend ?? portable, options.cipherSets);
  if (options.identity !== undefined && !isWhole(crypto, options.identity))
    throw new RestanteError("bad-identity", "the identity lacks the secret of a key that this peer would have to use");
  const cache = options.cache && {
    ...options.cache,
    cap: options.cache.cap ?? 8 * MIB,
    quota: options.cache.quota ?? 64 * MIB,
  };
  const boxes = cache && (options.boxes ?? memoryBoxStore({ box: cache.cap, recipient: cache.quota }));

  await store.open();
  const identity =
    options.identity ??
    (await ownIdentity(crypto, random, store).catch(async (error: unknown) => {
      await store.close();
      throw error;
    }));
  const problem = handshakeProblem(crypto, identity, options.handshakes ?? []);
  if (problem !== undefined) {
    await store.close();
    throw new RestanteError("bad-handshake", problem);
  }
  const byType = new Map(transports.flatMap((transport) => transport.types.map((type) => [type, transport] as const)));
  const listeners = new Set<(event: PeerEvent) => void>();
  const paths: Path[] = [];
  let timer: { readonly id: ReturnType<typeof setTimeout>; readonly at: Time; readonly since: Time } | undefined;
  let lastTrouble = "";
  let onState: (state: DriverState, why: string) => void = () => {};

  const io: DriverIo = {
    now: clock,
    wake(at) {
      const now = clock();
      // Asked after each turn, and mostly for the same time. A timer stands still while the machine sleeps, so it is made
      // anew now and then, and when its time has come and it has not.
      if (timer !== undefined && timer.at === at && now < at && Math.abs(now - timer.since) < TRUSTED_TIMER_MS) return;
      clearTimeout(timer?.id);
      timer = undefined;
      if (at === undefined) return;
      const expire = (): void => {
        timer = undefined;
        driver.tick();
      };
      timer = { id: setTimeout(expire, Math.min(Math.max(at - now, 0), LONGEST_TIMER_MS)), at, since: now };
    },
    load(done) {
      Promise.all(HEAD_SPACE.map((prefix) => store.load(prefix))).then(
        (pairs) => done(new Map(pairs.flat())),
        (error: unknown) => done(undefined, error),
      );
    },
    commit({ records, changes }, done) {
      commit(store, records, changes).then(
        () => done(),
        (error: unknown) => done(error ?? new Error("the store gave no reason")),
      );
    },
    read(key, done) {
      store.get(key).then(done, (error: unknown) => done(undefined, error));
    },
    blobRead(blob, index, done) {
      store.blobRead(blob, index).then(done, (error: unknown) => done(undefined, error));
    },
    blobHash(blob, count, size, done) {
      hashBlob(store, blob, count, size).then(done, (error: unknown) => done("", error));
    },
    blobRemove(blob) {
      store
        .blobRemove(blob)
        .catch(() => trouble("a file that is no longer needed could not be removed from the store"));
    },
    boxes(op, done) {
      if (boxes === undefined) return done([]);
      const answers = boxes.handle(op, clock());
      // A cache that cannot be asked holds nothing: deposits are dropped in silence (X20).
      if (Array.isArray(answers)) done(answers);
      else Promise.resolve(answers).then(done, () => done([]));
    },
    ask(handshake, done) {
      // Behind a promise, so that what the application throws at once is a no as well.
      new Promise<boolean>((resolve) => resolve(options.approve?.(handshake) ?? false)).then(
        (ok) => done(ok === true),
        (error: unknown) => {
          done(false);
          trouble(`approve failed: ${error instanceof Error ? error.message : String(error)}`);
        },
      );
    },
    transmit(path, bytes) {
      byType.get(path.type)?.send(path, bytes);
    },
    disconnect(path) {
      byType.get(path.type)?.close(path);
    },
    event(event) {
      if (event.type === "dead")
        trouble(
          `no handshake with ${event.hashname} is possible any more: one of you needs a new identity and a new invite`,
        );
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error) {
          trouble(`a listener failed: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
    },
    trouble(message) {
      lastTrouble = message;
      trouble(message);
    },
    state: (state) => onState(state, lastTrouble),
  };
  const common = {
    crypto,
    identity,
    random,
    paths,
    ...(name === undefined ? {} : { name }),
    ...(cache === undefined ? {} : { cache }),
    asks: options.approve !== undefined,
    cbor: options.cbor ?? false,
    noise: options.noise,
    handshakes: options.handshakes ?? [],
    routes: options.route === true && cache !== undefined,
  };
  const driver = new Driver({
    io,
    durable: hasMail,
    root: (saved) => new Root({ ...common, saved, mail: hasMail }),
    ...(cache === undefined ? {} : { bareRoot: () => new Root({ ...common, saved: new Map(), mail: false }) }),
  });

  boxes?.listen?.(
    (gained) => driver.input({ type: "boxes", answers: [gained] }),
    () => new Set(driver.root?.status().links.flatMap(({ hashname, state }) => (state === "up" ? [hashname] : []))),
  );
  const started: Transport[] = [];
  try {
    for (const transport of transports) {
      const own = await transport.start({
        received: (path, bytes) => driver.input({ type: "received", path, bytes }),
        path: (path, open) => driver.input({ type: "path", path, open }),
        writable: (path, credit) => driver.input({ type: "writable", path, credit }),
        trouble,
      });
      started.push(transport);
      paths.push(...own);
    }
    if (options.advertise !== undefined) paths.splice(0, paths.length, ...options.advertise);
    paths.splice(MAX_PATHS); // a card has no room for more
    await new Promise<void>((resolve, reject) => {
      onState = (state, why) => {
        if (state === "running") resolve();
        else if (state === "failed") reject(new RestanteError("store-failed", `the store cannot be used: ${why}`));
      };
      driver.start();
    });
  } catch (error) {
    driver.stop();
    await Promise.all(started.map((transport) => transport.stop()));
    await store.close();
    throw error;
  }
  onState = () => {};

  const call = <T>(what: Call): Promise<T> =>
    new Promise((resolve, reject) => {
      driver.call(what, (value, error) => (error === undefined ? resolve(value as T) : reject(error)));
    });
  const root = (): Root => {
    if (driver.root === undefined) throw new RestanteError("not-running", "the peer is not running");
    return driver.root;
  };
  const closing = new Set<() => void>();
  const on = (listener: (event: PeerEvent) => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  return {
    hashname: identity.hashname,
    invite: async ({ once = true } = {}) => (await call<{ link: string }>({ type: "invite", once })).link,
    add: (link) => call({ type: "add", link }),
    contacts: () => root().contacts(),
    findContact: (text) => root().findContact(text),
    requests: () => root().requests(),
    accept: async (request) => void (await call({ type: "accept", request })),
    ignore: async (request) => void (await call({ type: "ignore", request })),
    async send(contact, mail, { expires } = {}) {
      const found = root().findContact(contact);
      if (found === undefined) throw new RestanteError("not-found", "there is no such contact");
      const outgoing =
        typeof mail === "string" ? ({ kind: "text", text: mail } as const) : await keepFile(store, random, mail);
      const what: Call = {
        type: "send",
        contact: found.id,
        mail: outgoing,
        ...(expires === undefined ? {} : { expires }),
      };
      try {
        return (await call<{ id: string }>(what)).id;
      } catch (error) {
        // Refused for what it is, not cut off by a stop or a failing disk: then nothing names the content, or ever will.
        const isRefused = error instanceof RestanteError && !CUT_OFF.has(error.code);
        if (isRefused && outgoing.kind === "file") await store.blobRemove(outgoing.blob);
        throw error;
      }
    },
    cancel: async (id) => void (await call({ type: "cancel", id })),
    outbox: () => root().outbox(),
    async track(id) {
      const running = root().ledger(id);
      if (running !== undefined) return running;
      const value = await store.get(`ledger/${id}`);
      return value === undefined ? undefined : (JSON.parse(new TextDecoder().decode(value)) as LedgerRecord).ledger;
    },
    async inbox({ after = 0, limit = 1000 } = {}) {
      const pairs = await store.list("inbox/", `inbox/${String(after).padStart(12, "0")}`, limit);
      return pairs.map(([, value]) => JSON.parse(new TextDecoder().decode(value)) as Received);
    },
    file: (mail) => readFile(store, mail),
    events: () => eventStream(on, closing),
    on,
    join: (link) => call({ type: "join", link }),
    leave: async (cache) => void (await call({ type: "leave", cache })),
    closeInvite: async (link) => void (await call({ type: "close", link })),
    removeContact: async (contact) => void (await call({ type: "remove", contact })),
    setHandshakes: async (messages) => void (await call({ type: "handshakes", messages })),
    joinLink() {
      if (cache === undefined) throw new RestanteError("no-cache", "this peer serves no cache");
      return root().joinLink();
    },
    status: () => ({ ...root().status(), state: driver.state, turns: driver.turns, held: boxes?.stats() }),
    async close() {
      driver.input({ type: "flush" });
      for (let left = FLUSH_TRIES; left > 0 && driver.root?.owesAcknowledgement; left--)
        await new Promise((resolve) => setTimeout(resolve, FLUSH_PAUSE_MS));
      driver.stop();
      clearTimeout(timer?.id);
      for (const end of closing) end();
      await Promise.all(transports.map((transport) => transport.stop()));
      await store.close();
    },
  };
}

async function ownIdentity(crypto: Crypto, random: Random, store: Store): Promise<Identity> {
  const saved = await store.get(IDENTITY_KEY);
  if (saved !== undefined) {
    const identity = importIdentity(crypto, JSON.parse(new TextDecoder().decode(saved)));
    if (identity === undefined) throw new RestanteError("store-damaged", "the identity in the store is not readable");
    return identity;
  }
  const identity = createIdentity(crypto, random);
  await store.commit([{ key: IDENTITY_KEY, value: utf8(JSON.stringify(exportIdentity(identity))) }]);
  return identity;
}

/** Records first and synced, then the batch that names them: a name on the disk never points at nothing. */
async function commit(store: Store, records: Commit["records"], changes: Commit["changes"]): Promise<void> {
  for (const { blob, index, bytes } of records) await store.blobWrite(blob, index, bytes);
  if (records.length > 0) await store.blobSync([...new Set(records.map(({ blob }) => blob))]);
  if (changes.length > 0) await store.commit(changes);
}

async function hashBlob(store: Store, blob: string, count: number, size: number): Promise<string> {
  const hash = sha256.create();
  let left = size;
  for (let index = 0; index < count && left > 0; index++) {
    const record = await store.blobRead(blob, index);
    if (record === undefined) return "";
    hash.update(record.subarray(0, left));
    left -= Math.min(record.length, left);
  }
  return left === 0 ? toHex(hash.digest()) : "";
}

/** Cut a file into records, so that it can be sent part by part, and again after a restart. */
async function keepFile(
  store: Store,
  random: Random,
  file: OutgoingFile,
): Promise<{ kind: "file"; name: string; media: string; size: number; sha256: string; blob: string }> {
  const { name, media = "application/octet-stream" } = file;
  if (!isFileName(name))
    throw new RestanteError("bad-file", "a file needs a name of 1 to 255 bytes without slashes or control characters");
  if (!isMedia(media)) throw new RestanteError("bad-file", "the media type is not like text/plain");
  const blob = `out/${toHex(random(16))}`;
  const hash = sha256.create();
  const record = new Uint8Array(PART_CONTENT);
  let used = 0;
  let index = 0;
  let size = 0;
  try {
    for await (const piece of file.bytes instanceof Uint8Array ? [file.bytes] : file.bytes) {
      size += piece.length;
      if (size > CONTENT_LIMIT)
        throw new RestanteError(
          "too-large",
          `a file of more than ${CONTENT_LIMIT} bytes does not fit into one box yet`,
        );
      hash.update(piece);
      for (let at = 0; at < piece.length; ) {
        const taken = Math.min(piece.length - at, PART_CONTENT - used);
        record.set(piece.subarray(at, at + taken), used);
        used += taken;
        at += taken;
        if (used < PART_CONTENT) continue;
        await store.blobWrite(blob, index++, record.slice());
        used = 0;
      }
    }
    if (used > 0 || index === 0) await store.blobWrite(blob, index, record.slice(0, used));
    await store.blobSync([blob]);
  } catch (error) {
    await store.blobRemove(blob);
    throw error;
  }
  return { kind: "file", name, media, size, sha256: toHex(hash.digest()), blob };
}

async function* readFile(store: Store, mail: Received): AsyncIterable<Uint8Array> {
  if (mail.file === undefined) throw new RestanteError("not-found", "this mail is not a file");
  let left = mail.file.size;
  for (let index = 0; left > 0; index++) {
    const record = await store.blobRead(mail.file.blob, index);
    if (record === undefined) throw new RestanteError("not-found", "the file is no longer kept here");
    yield record.subarray(0, left);
    left -= Math.min(record.length, left);
  }
}

/** Listens from the moment it is made, so that nothing is missed between asking and the first `await`. */
function eventStream(
  on: (listener: (event: PeerEvent) => void) => () => void,
  closing: Set<() => void>,
): AsyncIterableIterator<PeerEvent> {
  const queue: PeerEvent[] = [];
  let wake = (): void => {};
  let isOver = false;
  const end = on((event) => {
    if (queue.length >= MAX_QUEUED_EVENTS) queue.shift();
    queue.push(event);
    wake();
  });
  const finish = (): void => {
    isOver = true;
    closing.delete(finish);
    end();
    wake();
  };
  const over = async (): Promise<IteratorReturnResult<undefined>> => {
    finish();
    return { done: true, value: undefined };
  };
  closing.add(finish);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      while (!isOver) {
        const value = queue.shift();
        if (value !== undefined) return { done: false, value };
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return over();
    },
    return: over,
  };
}

function webRandom(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  // The Web allows at most 65,536 bytes a call.
  for (let at = 0; at < length; at += 65_536) globalThis.crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

const MIB = 1024 * 1024;
const HEAD_SPACE = ["driver/", "mail/", "mesh/", "peer/"]; // loaded as a whole; all other keys are read one by one
const IDENTITY_KEY = "identity";
const TRUSTED_TIMER_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1; // setTimeout takes no more
/** Codes of calls of which we cannot know whether they were committed. */
const CUT_OFF = new Set(["restarted", "stopped", "not-running", "store-failed"]);
const FLUSH_TRIES = 100;
const FLUSH_PAUSE_MS = 20;
const MAX_QUEUED_EVENTS = 10_000;
const NAME_LENGTH = 64; // as in a card
