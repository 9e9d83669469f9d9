/**
 * createPeer: the library's front door. Joins the pure root machine with a clock, randomness, sockets and a store; the only
 * file that knows both sides.
 */
import { pooled, type Random, RestanteError, type Time, utf8 } from "./bytes/index.ts";
import { isName, MAX_PATHS, type Path } from "./card/index.ts";
import { Chores, erasedGroups } from "./chores.ts";
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
import { copyBlob, hashBlob, keepFile, type OutgoingFile, readFile } from "./files.ts";
import { type ConversationPage, History, type HistoryEntry, type Retention } from "./history.ts";
import type { CacheTest, LedgerEntry, LedgerRecord, ReadMail, InboxRecord as Received } from "./mail/index.ts";
import { type Noise, noiseProblem } from "./mesh/index.ts";
import { type ContactInfo, migrated, OWN_CARD_KEY, RECORDS_KEY, recordsState, restored } from "./peer/index.ts";
import {
  type BlockedInfo,
  type CacheInfo,
  type Call,
  type DeviceInfo,
  type FannedOut,
  type FanRecord,
  type HandshakeInfo,
  handshakeProblem,
  type ListedEntry,
  type ListInfo,
  type OutgoingMail,
  type PeerEvent,
  type PeerStatus,
  type RequestInfo,
  Root,
  type SafetyInfo,
} from "./peer.ts";
import { type SearchOptions, searchStamp } from "./search.ts";
import { type BoxStats, type BoxStore, memoryBoxStore, memoryStore, type Store } from "./store/index.ts";
import type { Transport } from "./transport/index.ts";

export interface PeerOptions {
  /**
   * At how many caches of its recipient a mail lies, if none of them fails: 1 to 8, of different failure domains. More find
   * their way past more bad caches, and tell more caches who writes to whom. Throws "bad-copies" for others. Default: 2.
   */
  readonly copies?: number;
  /**
   * Keep the texts that we send, and what the files were called, also when they are delivered: without them a conversation has
   * one side. Default: true.
   */
  readonly keepSent?: boolean;
  /**
   * How many bytes of mail one contact may make us keep in a day (of UTC). What is over that is not taken and not lost: it stays
   * where it is, and comes on a later day. Default: 256 MiB.
   */
  readonly dailyBytes?: number;
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

/** A running peer. Made by `createPeer`; every promise is rejected with a `RestanteError` whose `code` tells the reason. */
export interface Peer {
  readonly hashname: Hashname;
  /**
   * A link for somebody to write to us. `once` (default): who uses it first is accepted unasked, and nobody after. `work`:
   * what mail that comes by it and by our caches costs its sender each day, as long as that is no contact: 2^work hashes on
   * average. 0 (default) to 24; 20 are 1.4 s in JavaScript alone. Who reaches us directly pays nothing. Codes: "bad-work", "unreachable".
   */
  invite(options?: { once?: boolean; work?: number }): Promise<string>;
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
  /**
   * Never to hear of somebody again: a contact (its id), who sent a request (its id), or any hashname. A contact is removed with
   * it. For them we are from then on like somebody who has never heard of them. At most 10,000. Codes: "not-found", "self", "full".
   */
  block(who: string): Promise<void>;
  /** A stranger like all others from now on. Code: "not-found". */
  unblock(hashname: Hashname): Promise<void>;
  /** Whom we blocked, oldest first. */
  blocked(): BlockedInfo[];
  /**
   * What to compare with a contact (its id) on another way, for each of its devices: the same there, if nobody stands between.
   * Code: "not-found".
   */
  safety(contact: string): SafetyInfo[];
  /**
   * Compare what was read or scanned at a contact's device: all words, in any spelling, or the line. The device that it is of counts
   * as verified from then on, see `ContactInfo`. `undefined` takes back what was said of all its devices. Codes: "mismatch", "not-found".
   */
  verify(contact: string, said: string | undefined): Promise<ContactInfo>;
  /**
   * A link by which another device of the user takes this one in, once. From then on contacts know both as one, write to each,
   * and this one knows whom the other knows. Codes: "not-new" (this one has contacts), "unreachable".
   */
  deviceLink(): Promise<string>;
  /** Take in the device that made this link. Codes: "bad-invite", "self", "known", "full" (seven others at most). */
  addDevice(link: string): Promise<Hashname>;
  /**
   * A device is lost: contacts write to it no more, and close their doors to it. It can do the same to us until they know. What it had
   * is with whoever has it. Code: "not-found".
   */
  removeDevice(hashname: Hashname): Promise<void>;
  /** The devices of the user, this one first. Empty: there is only this one. */
  devices(): DeviceInfo[];
  /** Our lists: one name for several contacts. No contact learns of them. */
  lists(): ListInfo[];
  /**
   * The list of this name has these contacts (ids) from now on; without any there is none. At most 256 lists of 256. Who is
   * removed from the contacts is in no list any more. Codes: "bad-name", "not-found", "full".
   */
  setList(name: string, contacts: readonly string[]): Promise<void>;
  /** The one contact that this names: id, hashname, name, or an unambiguous start of at least four characters. */
  findContact(text: string): ContactInfo | undefined;
  /** Strangers who wrote to us and wait for an answer. */
  requests(): readonly RequestInfo[];
  accept(request: string): Promise<void>;
  /** Forget a request, and what else the stranger sends in the next 30 days, or until the next invite. Nobody learns of it. */
  ignore(request: string): Promise<void>;
  /**
   * Resolves with the mail's id (32 hex characters) when the mail is durable here. Codes: "not-found" (no such contact),
   * "too-large" (more than one box holds), "bad-file". A list may stand in place of a contact; where both have the name, the
   * list is meant. To a list it is one mail to each contact, and the id is that of all of them: `outbox` has one entry,
   * `track` says of each step whose it is, and `cancel` gives all of them up.
   */
  send(contact: string, mail: string | OutgoingFile, options?: { expires?: number }): Promise<string>;
  /** Give a mail up and take its copies back where that is still possible. */
  cancel(id: string): Promise<void>;
  /** Mail that is not final yet, and what became of it lately. */
  outbox(): readonly ListedEntry[];
  /** What happened to a mail of ours, oldest first; `undefined`: no such mail. `contact`: of one to a list. */
  track(id: string): Promise<readonly (LedgerEntry & { readonly contact?: string })[] | undefined>;
  /** Received mail with `n` above `after`, oldest first. */
  inbox(options?: { after?: number; limit?: number }): Promise<Received[]>;
  /**
   * The last mails with a contact (its id), ours and theirs, in the order in which they were said: each behind what its writer
   * had seen, whatever the clocks and in whatever order they came. `limit`: 1 to 200, default 50; `before`: what a later page
   * said. A page may hold less than `limit` though there is more before it. Code: "bad-request".
   */
  conversation(contact: string, options?: { before?: string; limit?: number }): Promise<ConversationPage>;
  /**
   * Mail in whose text or file name all these words stand, in any case, also inside of longer words; the newest first. `limit`:
   * 1 to 200, default 50. All mail is read and decrypted for it, in memory; `signal` ends it. Code: "bad-request".
   */
  search(words: string, options?: { contact?: string; limit?: number; signal?: AbortSignal }): Promise<HistoryEntry[]>;
  /**
   * Erase what was written with a contact so many days after it came or went (1 to 36,500), what is older now, and on each day
   * what has become so. `undefined`: keep it for ever, as it is for all others. What can still be found on a disk afterwards is
   * said in docs/store.md. Codes: "not-found", "bad-days".
   */
  keep(contact: string, days: number | undefined): Promise<void>;
  /** For whom that is set, those among them who are no contact any more. */
  retentions(): Promise<Retention[]>;
  /** Erase now what is over its time. How many mails that were. */
  sweep(): Promise<number>;
  /**
   * The user has seen all mail up to number `n` of the inbox. Contacts for whom read marks are on are told which of theirs is
   * among it. A sender notes it of mail that it still has in memory: some days after the delivery it may not any more.
   */
  seen(n: number): Promise<void>;
  /** Whether a contact (its id) is told which of its mail was seen. Off for everybody unless it is said here. Code: "not-found". */
  setReadMarks(contact: string, on: boolean): Promise<ContactInfo>;
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
   * Leaves a mail for ourselves at each of our caches and tells which gave it back, in some two minutes at most. It happens by
   * itself every few hours, too. A cache can see that sender and recipient are one: this finds those that lose mail, not
   * those that lie with care. Codes: "no-cache" (we have none), "full" (too many calls wait for it).
   */
  testCaches(): Promise<readonly CacheTest[]>;
  /** Our caches with their last tests, then those of our contacts, of each contact the best first. */
  caches(): CacheInfo[];
  /**
   * Show these with our keys from now on, in place of those before; on links that are up with a handshake at once. Not
   * kept: give them again after a start. Code: "bad-handshake".
   */
  setHandshakes(messages: readonly HandshakeMessage[]): Promise<void>;
  /** A link with which others join the cache that this peer serves. Code: "no-cache". */
  joinLink(): string;
  /**
   * How it fares. `held`: when it serves a cache. `turns`: inputs handled since the start. `isCopied`: at this start the store
   * was not the one of last time but a backup or a copy of it. Its mail goes on under new numbers; what came and was answered
   * in between is not here. Two peers at once on two copies take each other's mail.
   */
  status(): PeerStatus & { isCopied: boolean; state: string; turns: number; held: BoxStats | undefined };
  /**
   * Stop. What was promised is on the disk; the rest is as if it had not been asked. Takes up to two seconds while senders
   * wait for an acknowledgement, so that they need not wait for our next start.
   */
  close(): Promise<void>;
}

/**
 * Start a peer. Throws "bad-name", "bad-identity", "bad-copies", "bad-noise", and what the store and the transports throw when they cannot open
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
  const { copies } = options;
  if (copies !== undefined && !(Number.isInteger(copies) && copies >= 1 && copies <= MAX_COPIES))
    throw new RestanteError("bad-copies", `copies is a whole number, 1 to ${MAX_COPIES}`);
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
  const isCopied = store.isCopied ?? false;
  const prepared = async (): Promise<Identity> => {
    if (hasMail) await prepare(store, clock());
    return options.identity ?? ownIdentity(crypto, random, store);
  };
  const identity = await prepared().catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  if (isCopied) trouble(COPIED);
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
  let onErased: (groups: readonly string[]) => void = () => {};
  let onState: (state: DriverState, why: string) => void = () => {};

  const searching: SearchOptions = {
    backend: crypto.backend,
    clock: () => performance.now(),
    soon(run) {
      const id = setTimeout(run);
      return () => clearTimeout(id);
    },
  };
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
        () => {
          onErased(erasedGroups(changes));
          done();
        },
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
    findStamp: (task, done) => searchStamp(searching, task, done),
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
      if (event.type === "copied") trouble(COPY_SENDS);
      if (event.type === "full")
        trouble(`contact ${event.contact.slice(0, 8)} sent more in a day than it may: the rest comes on another day`);
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
    ...(copies === undefined ? {} : { copies }),
    ...(options.keepSent === undefined ? {} : { keepSent: options.keepSent }),
    ...(options.dailyBytes === undefined ? {} : { dailyBytes: options.dailyBytes }),
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
  const recordOf = async (id: string): Promise<Pick<LedgerRecord, "ledger"> | FanRecord | undefined> => {
    const running = root().ledger(id);
    if (running !== undefined) return { ledger: running };
    const value = await store.get(`ledger/${id}`);
    return value && JSON.parse(new TextDecoder().decode(value));
  };
  const sendToList = async (
    { name: list, contacts }: ListInfo,
    mail: string | OutgoingFile,
    expires: number | undefined,
  ): Promise<string> => {
    const first =
      typeof mail === "string" ? ({ kind: "text", text: mail } as const) : await keepFile(store, random, mail);
    // Each mail erases its content when it is over: none may take that of another with it.
    const blobs = new Map<string, string>();
    const to: { contact: string; mail: OutgoingMail }[] = [];
    try {
      for (const contact of contacts) {
        const blob =
          first.kind === "file" && (blobs.size === 0 ? first.blob : await copyBlob(store, random, first.blob));
        if (blob) blobs.set(contact, blob);
        to.push({ contact, mail: first.kind === "file" && blob ? { ...first, blob } : first });
      }
      const what: Call = { type: "send-list", list, to, ...(expires === undefined ? {} : { expires }) };
      const { id, refused } = await call<FannedOut>(what);
      for (const [contact] of refused) {
        const blob = blobs.get(contact);
        if (blob !== undefined) await store.blobRemove(blob);
      }
      return id;
    } catch (error) {
      const isRefused = !(error instanceof RestanteError) || !CUT_OFF.has(error.code);
      if (isRefused) for (const blob of blobs.values()) await store.blobRemove(blob);
      throw error;
    }
  };
  const closing = new Set<() => void>();
  const on = (listener: (event: PeerEvent) => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  const history = new History({
    store,
    now: clock,
    last: () => root().status(),
    isSpooled: (id) => root().ledger(id) !== undefined,
    stateOf: async (id) => {
      const record = await recordOf(id);
      return record !== undefined && "ledger" in record ? record.ledger.at(-1)?.state : undefined;
    },
    erase: (keys) => call({ type: "erase", keys }),
  });
  const chores = new Chores({
    clock,
    sweep: (isStopped) => history.sweep(isStopped),
    compact: async (groups) => store.compact?.(groups),
    trouble,
  });
  onErased = (groups) => chores.note(groups);
  if (hasMail) chores.start();

  return {
    hashname: identity.hashname,
    invite: async ({ once = true, work = 0 } = {}) =>
      (await call<{ link: string }>({ type: "invite", once, work })).link,
    add: (link) => call({ type: "add", link }),
    contacts: () => root().contacts(),
    block: async (who) => void (await call({ type: "block", who })),
    unblock: async (hashname) => void (await call({ type: "unblock", hashname })),
    blocked: () => root().blocked(),
    safety(contact) {
      const found = root().safety(contact);
      if (found === undefined) throw new RestanteError("not-found", "there is no such contact");
      return found;
    },
    setReadMarks: (contact, on) => call({ type: "read-marks", contact, on }),
    async seen(n) {
      const isWanted = root()
        .contacts()
        .some(({ readMarks }) => readMarks);
      const read = isWanted ? await numbersOf(store, root().seen, n) : [];
      await call({ type: "seen", n, read });
    },
    verify: (contact, said) => call({ type: "verify", contact, ...(said === undefined ? {} : { said }) }),
    findContact: (text) => root().findContact(text),
    requests: () => root().requests(),
    accept: async (request) => void (await call({ type: "accept", request })),
    ignore: async (request) => void (await call({ type: "ignore", request })),
    deviceLink: async () => (await call<{ link: string }>({ type: "device-link" })).link,
    addDevice: async (link) => (await call<{ hashname: Hashname }>({ type: "device-add", link })).hashname,
    removeDevice: async (hashname) => void (await call({ type: "device-remove", hashname })),
    devices: () => root().devices(),
    lists: () => root().lists(),
    setList: async (name, contacts) => void (await call({ type: "list", name, contacts })),
    async send(contact, mail, { expires } = {}) {
      const list = root().list(contact);
      if (list !== undefined) return sendToList(list, mail, expires);
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
      const record = await recordOf(id);
      if (record === undefined || "ledger" in record) return record?.ledger;
      const steps: (LedgerEntry & { contact: string })[] = [];
      for (const [whose, mail] of record.mails) {
        const found = await recordOf(mail);
        if (found !== undefined && "ledger" in found)
          steps.push(...found.ledger.map((entry) => ({ ...entry, contact: whose })));
      }
      return steps.sort((a, b) => a.at - b.at);
    },
    async inbox({ after = 0, limit = 1000 } = {}) {
      const pairs = await store.list("inbox/", `inbox/${String(after).padStart(12, "0")}`, limit);
      return pairs.map(([, value]) => JSON.parse(new TextDecoder().decode(value)) as Received);
    },
    conversation: (contact, options) => history.conversation(contact, options),
    search: (words, options) => history.search(words, options),
    async keep(contact, days) {
      await call({ type: "keep", contact, ...(days === undefined ? {} : { days }) });
      if (days !== undefined) await chores.sweep();
    },
    retentions: () => history.retentions(),
    sweep: () => chores.sweep(),
    file: (mail) => readFile(store, mail),
    events: () => eventStream(on, closing),
    on,
    join: (link) => call({ type: "join", link }),
    leave: async (cache) => void (await call({ type: "leave", cache })),
    testCaches: () => call({ type: "test-caches" }),
    caches: () => root().caches(),
    closeInvite: async (link) => void (await call({ type: "close", link })),
    removeContact: async (contact) => void (await call({ type: "remove", contact })),
    setHandshakes: async (messages) => void (await call({ type: "handshakes", messages })),
    joinLink() {
      if (cache === undefined) throw new RestanteError("no-cache", "this peer serves no cache");
      return root().joinLink();
    },
    status: () => ({ ...root().status(), isCopied, state: driver.state, turns: driver.turns, held: boxes?.stats() }),
    async close() {
      await chores.stop();
      driver.input({ type: "flush" });
      for (let left = FLUSH_TRIES; left > 0 && driver.root?.owesAcknowledgement; left--)
        await new Promise((resolve) => setTimeout(resolve, FLUSH_PAUSE_MS));
      driver.stop();
      clearTimeout(timer?.id);
      for (const end of closing) end();
      await Promise.all(transports.map((transport) => transport.stop()));
      await chores.compact();
      await store.close();
    },
  };
}

/** Make the records those of this version and, where the store is a copy, what goes on under new numbers. In one batch. */
async function prepare(store: Store, now: Time): Promise<void> {
  const version = await store.get(RECORDS_KEY);
  const state = recordsState(version);
  if (state === "newer")
    throw new RestanteError("store-schema", "the store has records of a newer version of this program; use that one");
  const saved = async (): Promise<Map<string, Uint8Array>> =>
    new Map((await Promise.all(HEAD_SPACE.map((prefix) => store.load(prefix)))).flat());
  const changes = state === "older" ? migrated(await saved(), version) : [];
  if (store.isCopied) {
    const card = changes.findLast(({ key }) => key === OWN_CARD_KEY);
    changes.push(...restored(card === undefined ? await store.get(OWN_CARD_KEY) : card.value, now));
  }
  if (changes.length > 0) await store.commit(changes);
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

/** Of the mails of the inbox after one up to another: who sent them, and under which number. */
async function numbersOf(store: Store, after: number, upTo: number): Promise<ReadMail[]> {
  const found: ReadMail[] = [];
  for (let last = after; last < upTo; ) {
    const page = await store.list("inbox/", `inbox/${String(last).padStart(12, "0")}`, INBOX_PAGE);
    if (page.length === 0) return found;
    for (const [, value] of page) {
      const { n, from, epoch, seq } = JSON.parse(new TextDecoder().decode(value)) as Received;
      last = n;
      if (n <= upTo && epoch !== undefined && seq !== undefined) found.push({ from, epoch, seq });
    }
  }
  return found;
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

const COPIED =
  "this store was put back from a backup, or is a copy: it goes on under new numbers; if the other one is still in use, stop one of them";
const COPY_SENDS =
  "a contact says that another copy of this identity sends it mail: nothing of either is lost, but each takes what comes for the other; if there are two, stop one";
const MIB = 1024 * 1024;
const MAX_COPIES = 8; // as many caches as a card names
const HEAD_SPACE = ["driver/", "mail/", "mesh/", "peer/"]; // loaded as a whole; all other keys are read one by one
const IDENTITY_KEY = "identity";
const TRUSTED_TIMER_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1; // setTimeout takes no more
/** Codes of calls of which we cannot know whether they were committed. */
const CUT_OFF = new Set(["restarted", "stopped", "not-running", "store-failed"]);
const FLUSH_TRIES = 100;
const FLUSH_PAUSE_MS = 20;
const INBOX_PAGE = 1000;
const MAX_QUEUED_EVENTS = 10_000;
const NAME_LENGTH = 64; // as in a card
