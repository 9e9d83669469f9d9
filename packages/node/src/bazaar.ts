/**
 * The bazaar of a daemon: what its settings mean, and where in the home it keeps things. libp2p costs some 70 MB of memory, so this
 * file is imported only where the bazaar is asked for. docs/bazaar.md
 */
import { join } from "node:path";
import {
  type Bazaar,
  type BazaarStorage,
  bazaarSeed,
  type Contact,
  contactAt,
  folderStorage,
  type MailRoute,
  mailRoute,
  webdavStorage,
} from "@restante/bazaar";
import { identityFromSeed, type PeerId, parsePeerId } from "@restante/bazaar/format";
import type { Hono } from "hono";
import { type Backend, type PeerOptions, RestanteError, type Store } from "restante";
import { fromUtf8 } from "restante/protocol";
import type { BazaarInfo } from "./api/contract.ts";
import type { Upgrades } from "./api/later.ts";
import { createObApi } from "./api/ob.ts";
import { obSocket } from "./api/ob-socket.ts";
import { openOb } from "./ob/ob.ts";
import { levelStore } from "./store/level.ts";
import { readPrivate } from "./store/private-file.ts";

/** What an operator says about it. All multiaddrs as text. */
export interface BazaarSettings {
  /** Where to listen: then the node serves the others, and contacts learn of it. Default: it only asks. */
  readonly listen?: readonly string[];
  /** Nodes to begin with, each with `/p2p/` and its id. */
  readonly peers?: readonly string[];
  /** Keep messages for contacts of ours, and for those in `admit`: be a push node. */
  readonly push?: boolean;
  /** `Qm...` ids of others that we are a push node for. */
  readonly admit?: readonly string[];
  /** Push nodes of ours, each with `/p2p/` and its id: they keep what we send, and what is sent to us. */
  readonly pushNodes?: readonly string[];
  /** All texts go by it at once, and not only what caches did not deliver. */
  readonly always?: boolean;
  /** Relay connections for those whom nobody can dial; with `listen`. */
  readonly relay?: boolean;
  /** What we send lies in this folder of a web server, and not in our home alone: WebDAV, or PUT and DELETE. */
  readonly storage?: {
    /** https://host/folder/; http only where `local` is. */
    readonly url: string;
    readonly user?: string;
    /** Its first line: the password of the user, or without one a token. For nobody else to read. */
    readonly passwordFile?: string;
  };
  /** How long what OpenBazaar's clients wrote is kept: 365 days without a word. */
  readonly keepDays?: number;
  /** Addresses of private networks and of this machine count too. */
  readonly local?: boolean;
}

export interface DaemonBazaar {
  /** For `createPeer`, which starts and stops it. */
  readonly routes: NonNullable<PeerOptions["routes"]>;
  /** Its records; others may keep theirs in it under other keys. */
  readonly store: Store;
  readonly route: MailRoute;
  /** What OpenBazaar's clients call: for `createApi` and `serveApi`. */
  readonly ob: Hono;
  readonly upgrades: Upgrades;
  /** To be called once the peer runs: what OpenBazaar's clients send goes out from now on. */
  attach(): void;
  /** `undefined` before the peer runs, and after. */
  info(): BazaarInfo | undefined;
  /** Closes its store. After the peer. */
  close(): Promise<void>;
}

export interface DaemonBazaarOptions extends BazaarSettings {
  /** The directory of the daemon. */
  readonly dir: string;
  /** Of its store, 32 bytes; who we are in the bazaar follows from it. */
  readonly key: Uint8Array;
  readonly backend: Backend;
  readonly say: (message: string) => void;
}

/**
 * Opens the store and makes the route. Throws "bad-address" for a multiaddr or an id that is none, "storage-unusable",
 * "open-permissions", "no-file" and "bad-file" for a storage, and what the store throws.
 */
export async function openDaemonBazaar(options: DaemonBazaarOptions): Promise<DaemonBazaar> {
  const { dir, key, backend, say, listen = [], peers = [], local = false, always = false } = options;
  const pushNodes = (options.pushNodes ?? []).map(nodeAt);
  const admitted = (options.admit ?? []).map(idOf);
  for (const each of peers) nodeAt(each);
  const storage = await storageOf(options);
  const store = levelStore({ dir: join(dir, "bazaar"), key, backend });
  await store.open();
  const seed = bazaarSeed(key);
  let hasTrouble = false;
  const onTrouble = (): void => {
    // Once: what fails there is tried again and again.
    if (!hasTrouble) say("the bazaar fares badly: its store or its network does not work; it is tried again");
    hasTrouble = true;
  };
  const limits = options.keepDays === undefined ? {} : { days: options.keepDays };
  const ob = await openOb({ store, id: identityFromSeed(seed).id, limits, onTrouble }).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const route = mailRoute({
    seed,
    store,
    storage,
    listen,
    bootstrap: peers,
    network: local ? "local" : "public",
    // Who is found at a relay alone is no node for others to ask.
    serves: listen.some((each) => !each.includes("/p2p-circuit")),
    relays: options.relay ?? false,
    pushNodes,
    ...(options.push && { push: { admitted } }),
    onMessage: (message) => ob.received(message),
    onProgress: (progress) => ob.progressed(progress),
    onFleeting: (from, message) => ob.fleeting(from, message),
    onTrouble,
  });
  return {
    routes: { bazaar: route, use: always ? "always" : "beside" },
    store,
    route,
    ob: createObApi(ob, say),
    upgrades: obSocket(ob),
    attach() {
      const bazaar = route.bazaar();
      if (bazaar) ob.attach(bazaar);
    },
    info: () => infoOf(route.bazaar()),
    close: () => store.close(),
  };
}

function infoOf(bazaar: Bazaar | undefined): BazaarInfo | undefined {
  if (bazaar === undefined) return undefined;
  const { connections, pushBytes, refusedPointers, refusedPushes, outgoing, retrieve } = bazaar.stats();
  const { postings: waiting = 0, left = 0, forgedAcks = 0 } = outgoing ?? {};
  const { refused: messages = 0, badPointers = 0 } = retrieve ?? {};
  const refused = messages + badPointers + forgedAcks + refusedPointers + refusedPushes;
  return { id: bazaar.id, addrs: bazaar.addrs(), connections, waiting, left, pushBytes, refused };
}

/** The web server; what was written before there was one is still in the home. */
async function storageOf({ dir, storage, local = false }: DaemonBazaarOptions): Promise<BazaarStorage> {
  const folder = folderStorage(join(dir, "outbox"));
  if (storage === undefined) return folder;
  const { url, user, passwordFile } = storage;
  const secret = passwordFile === undefined ? undefined : await firstLine(passwordFile);
  if (user !== undefined && secret === undefined)
    throw new RestanteError("storage-unusable", "the message store has a user, and no file with the password");
  const auth =
    secret === undefined
      ? undefined
      : user === undefined
        ? ({ type: "token", token: secret } as const)
        : ({ type: "basic", user, password: secret } as const);
  const web = webdavStorage({ url, isLocalAllowed: local, ...(auth && { auth }) });
  return {
    async open() {
      await folder.open();
      await web.open();
    },
    put: (name, content) => web.put(name, content),
    get: async (name) => (await folder.get(name)) ?? (await web.get(name)),
    async remove(name) {
      await folder.remove(name);
      await web.remove(name);
    },
  };
}

async function firstLine(file: string): Promise<string> {
  const bytes = await readPrivate(file);
  if (bytes === undefined) throw new RestanteError("no-file", `there is no file "${file}"`);
  const [line = ""] = fromUtf8(bytes)?.split(/\r?\n/, 1) ?? [];
  if (line === "") throw new RestanteError("bad-file", `"${file}" has no password in its first line`);
  return line;
}

function nodeAt(address: string): Contact {
  const contact = contactAt(address);
  if (contact === undefined)
    throw new RestanteError(
      "bad-address",
      `"${address}" is no node of the bazaar: /ip4/ADDRESS/tcp/PORT/p2p/12D3KooW...`,
    );
  return contact;
}

function idOf(text: string): PeerId {
  const id = parsePeerId(text);
  if (id === undefined) throw new RestanteError("bad-address", `"${text}" is no id in the bazaar: those begin with Qm`);
  return id;
}
