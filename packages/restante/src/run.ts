/**
 * createPeer: the library's front door. Joins the pure root machine with a clock, randomness, sockets and a store; the only
 * file that knows both sides.
 */
import { pooled, type Random, RestanteError, type Time, utf8 } from "./bytes/index.ts";
import { type BazaarAddress, bazaarInRoom, MAX_PATHS, type Path } from "./card/index.ts";
import { Carrying } from "./carrier.ts";
import { Chores, erasedGroups } from "./chores.ts";
import {
  type Crypto,
  createCrypto,
  createIdentity,
  encodeKeys,
  exportIdentity,
  type Hashname,
  type Identity,
  importIdentity,
  isWhole,
  portable,
} from "./crypto/index.ts";
import { type Commit, Driver, type DriverIo, type DriverState } from "./driver.ts";
import { hashBlob, readFile, sweepUploads } from "./files.ts";
import { History } from "./history.ts";
import type { LedgerEntry, LedgerRecord, PlaceRecord, ReadMail, InboxRecord as Received } from "./mail/index.ts";
import { placeKey, queueKey } from "./mail/index.ts";
import { noiseProblem } from "./mesh/index.ts";
import { cutName } from "./own-name.ts";
import { migrated, OWN_CARD_KEY, RECORDS_KEY, recordsState, restored } from "./peer/index.ts";
import { type Call, type FanRecord, handshakeProblem, type PeerEvent, Root } from "./peer.ts";
import { RunChannels } from "./run-channels.ts";
import type { Peer, PeerOptions } from "./run-contract.ts";
import { type SearchOptions, searchStamp } from "./search.ts";
import { Sending } from "./sending.ts";
import { Serving } from "./serving.ts";
import { Space } from "./space.ts";
import { memoryBoxStore, memoryStore, type Store } from "./store/index.ts";
import type { Transport } from "./transport/index.ts";

export type { Peer, PeerOptions } from "./run-contract.ts";

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
  const name = options.name === undefined ? undefined : cutName(options.name);
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
  if (cache?.onDemand && !hasMail)
    throw new RestanteError("no-mail", "a peer that serves a cache and nothing else does so from the start");
  const serving =
    cache && new Serving(options.boxes ?? (() => memoryBoxStore({ box: cache.cap, recipient: cache.quota })));
  if (cache?.onDemand === undefined) serving?.set(true, clock());

  await store.open();
  const isCopied = store.isCopied ?? false;
  const prepared = async (): Promise<Identity> => {
    if (hasMail) await prepare(store, clock());
    if (hasMail) await sweepUploads(store);
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
  const { bazaar, use = "beside" } = (hasMail && options.routes) || {};
  const carrying = bazaar && new Carrying(bazaar, () => driver);
  const tell = (event: PeerEvent): void => {
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (error) {
        trouble(`a listener failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  const channels = new RunChannels(
    () => driver,
    ({ type: channel, hashname }, message) => {
      trouble(`what serves channels of type ${channel} failed: ${message}`);
      tell({ type: "channel-failed", channel, hashname, message });
    },
  );
  const io: DriverIo = {
    ...carrying?.io,
    now: clock,
    wake(at) {
      const now = clock();
      // Asked after each turn. A timer that comes too early is left: its tick asks anew, which costs less than another timer
      // for each packet. Timers stand still while the machine sleeps, so it is made anew now and then, and when its time has
      // come and it has not.
      const isTrusted = timer !== undefined && now < timer.at && Math.abs(now - timer.since) < TRUSTED_TIMER_MS;
      if (isTrusted && at !== undefined && timer !== undefined && timer.at <= at) return;
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
    list(prefix, after, limit, done) {
      store.list(prefix, after, limit).then(done, (error: unknown) => done([], error));
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
    boxes(op, done, isSenders) {
      // The acknowledgement of what a sender said leaves before the store is asked, and before a recipient who is there is sent anything of it.
      // To sweep takes longest of all, and comes without anybody's packet: what waits does not wait for it.
      if (op.type === "put" || op.type === "sweep" || isSenders) for (const transport of transports) transport.flush();
      const answers = serving?.boxes?.handle(op, clock()) ?? [];
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
      if (event.type === "contact") carrying?.refresh();
      if (event.type === "dead")
        trouble("no handshake with a contact is possible any more: one of you needs a new identity and a new invite");
      if (event.type === "copied") trouble(COPY_SENDS);
      if (event.type === "full") trouble("a contact sent more in a day than it may: the rest comes on another day"); // no log names anybody
      tell(event);
    },
    trouble(message) {
      lastTrouble = message;
      trouble(message);
    },
    state(state) {
      onState(state, lastTrouble);
      carrying?.entered(state);
      channels.entered(state);
    },
  };
  let own: BazaarAddress | undefined;
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
    ...(options.disk === undefined ? {} : { disk: options.disk }),
    ...(options.waitForLink === undefined ? {} : { waitForLink: options.waitForLink }),
    asks: options.approve !== undefined,
    cbor: options.cbor ?? false,
    noise: options.noise,
    handshakes: options.handshakes ?? [],
    routes: options.route === true && cache !== undefined,
  };
  const driver = new Driver({
    io,
    durable: hasMail,
    root(saved) {
      const root = new Root({ ...common, saved, mail: hasMail, bazaar: own && { address: own, use } });
      serving?.set(root.isServing, clock());
      return root;
    },
    bareRoot() {
      if (cache === undefined || serving?.boxes === undefined) return undefined;
      const { onDemand: _, ...served } = cache;
      return new Root({ ...common, cache: served, saved: new Map(), mail: false });
    },
  });

  serving?.listen(
    (gained) => driver.input({ type: "boxes", answers: [gained] }),
    () => new Set(driver.root?.status().links.flatMap(({ hashname, state }) => (state === "up" ? [hashname] : []))),
  );
  /** One at a time. */
  const running = (begin: () => void): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      const settle = (error?: RestanteError): void => {
        onState = () => {};
        if (error === undefined) resolve();
        else reject(error);
      };
      onState = (state, why) => {
        if (state === "running") settle();
        else if (state === "failed") settle(new RestanteError("store-failed", `the store cannot be used: ${why}`));
        else if (state === "stopped") settle(new RestanteError("stopped", "the peer was stopped before this was done"));
      };
      if (driver.state === "stopped") onState("stopped", "");
      else begin();
    });
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
    own = carrying && bazaarInRoom(await carrying.start());
    await running(() => driver.start());
  } catch (error) {
    driver.stop();
    await Promise.all([...started, ...(carrying ? [carrying] : [])].map((each) => each.stop()));
    await store.close();
    throw error;
  }

  const call = <T>(what: Call): Promise<T> =>
    new Promise((resolve, reject) => {
      driver.call(what, (value, error) => (error === undefined ? resolve(value as T) : reject(error)));
    });
  const parted = (what: Call): Promise<void> => call(what).then(() => carrying?.refresh());
  /** It makes room for another one that is being read, and answers questions until then: nobody has to ask twice. */
  let leaving: Root | undefined;
  const root = (): Root => {
    const found = driver.root ?? (driver.state === "loading" ? leaving : undefined);
    if (found === undefined) throw new RestanteError("not-running", "the peer is not running");
    return found;
  };
  const recordOf = async (id: string): Promise<Pick<LedgerRecord, "ledger"> | FanRecord | undefined> => {
    const running = root().ledger(id);
    if (running !== undefined) return { ledger: running };
    // One whose turn has not come is in the store with all that is known of it.
    const place = await store.get(placeKey(id));
    const queued = place && (await store.get(queueKey(jsonOf<PlaceRecord>(place).place)));
    const value = queued ?? (await store.get(`ledger/${id}`));
    return value && jsonOf(value);
  };
  const sending = new Sending({ store, random, call, isKnown: async (id) => (await recordOf(id)) !== undefined });
  const closing = new Set<() => void>();
  let changing: Promise<void> = Promise.resolve();
  const on = (listener: (event: PeerEvent) => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  const history = new History({
    store,
    now: clock,
    last: () => root().status(),
    isSpooled: async (id) => root().ledger(id) !== undefined || (await store.get(placeKey(id))) !== undefined,
    stateOf: async (id) => {
      const record = await recordOf(id);
      return record !== undefined && "ledger" in record ? record.ledger.at(-1)?.state : undefined;
    },
    erase: (keys, files) => call({ type: "erase", keys, files }),
  });
  const chores = new Chores({
    clock,
    sweep: (isStopped) => history.sweep(isStopped),
    compact: async (groups) => store.compact?.(groups),
    trouble,
  });
  onErased = (groups) => chores.note(groups);
  if (hasMail) chores.start();
  const space = new Space({ store, tell: (free) => driver.input({ type: "space", free }), state: () => driver.root });
  if (hasMail) space.start();

  return {
    hashname: identity.hashname,
    keys: encodeKeys(identity.keys),
    invite: async ({ once = true, work = 0 } = {}) =>
      (await call<{ link: string }>({ type: "invite", once, work })).link,
    add: (link) => call({ type: "add", link }),
    contacts: () => root().contacts(),
    block: (who) => parted({ type: "block", who }),
    unblock: async (hashname) => void (await call({ type: "unblock", hashname })),
    blocked: () => root().blocked(),
    safety(contact) {
      const found = root().safety(contact);
      if (found === undefined) throw new RestanteError("not-found", "there is no such contact");
      return found;
    },
    ping: (contact) => call({ type: "ping", contact }),
    setReadMarks: (contact, on) => call({ type: "read-marks", contact, on }),
    rename: async (name) => call({ type: "rename", name: cutName(name) }),
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
    async send(contact, mail, options = {}) {
      const list = root().list(contact);
      if (list !== undefined) return sending.toList(list, mail, options);
      const found = root().findContact(contact);
      if (found === undefined) throw new RestanteError("not-found", "there is no such contact");
      return sending.toContact(found.id, mail, options);
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
      return pairs.map(([, value]) => jsonOf<Received>(value));
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
    offers: () => root().offers(),
    takeOffer: (contact) => call({ type: "take-offer", contact }),
    offerCache: async (on, { end } = {}) => void (await call({ type: "offer", on, ...(end && { end }) })),
    serveCache(on) {
      // One after the other: each sees what the one before has left.
      const done = changing.then(async () => {
        if (on === (serving?.boxes !== undefined)) return;
        await call({ type: "serve", on });
        leaving = driver.root;
        await running(() => driver.restart()).finally(() => {
          leaving = undefined;
        });
      });
      changing = done.catch(() => {});
      return done;
    },
    leave: async (cache) => void (await call({ type: "leave", cache })),
    testCaches: () => call({ type: "test-caches" }),
    caches: () => root().caches(),
    closeInvite: async (link) => void (await call({ type: "close", link })),
    removeContact: (contact) => parted({ type: "remove", contact }),
    setHandshakes: async (messages) => void (await call({ type: "handshakes", messages })),
    channels(type, handler) {
      if (!hasMail) throw new RestanteError("no-mail", "a peer that only serves a cache has no contacts");
      return channels.serve(type, handler);
    },
    openChannel: (contact, type, how) => channels.open(contact, type, how),
    joinLink() {
      if (serving?.boxes === undefined) throw new RestanteError("no-cache", "this peer serves no cache");
      return root().joinLink();
    },
    status: () => {
      const { state, turns, faults } = driver;
      return { ...root().status(), isCopied, state, turns, faults, held: serving?.boxes?.stats() };
    },
    async close() {
      await chores.stop();
      space.stop();
      driver.input({ type: "flush" });
      for (let left = FLUSH_TRIES; left > 0 && driver.root?.owesAcknowledgement; left--)
        await new Promise((resolve) => setTimeout(resolve, FLUSH_PAUSE_MS));
      await carrying?.stop(); // first: what it brought is answered by the driver
      driver.leave();
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
      const { n, from, epoch, seq } = jsonOf<Received>(value);
      last = n;
      if (n <= upTo && epoch !== undefined && seq !== undefined) found.push({ from, epoch, seq });
    }
  }
  return found;
}

function jsonOf<T>(value: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(value)) as T;
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
const FLUSH_TRIES = 100;
const FLUSH_PAUSE_MS = 20;
const INBOX_PAGE = 1000;
const MAX_QUEUED_EVENTS = 10_000;
