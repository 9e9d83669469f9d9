/**
 * Carries out what the machines of sender and recipient ask for: on the network, in the storage, in the store. Everything is
 * answered once, whatever fails. protocol/bazaar.md §8
 */
import type { Store } from "restante";
import { fromUtf8, utf8 } from "restante/protocol";
import { type Cid, encodeAddress, parseAddress, split } from "../format/index.ts";
import type { Answer, Block, Contact, Effect, Save } from "../offline/effects.ts";
import { download } from "../storage/download.ts";
import type { BazaarStorage } from "../storage/storage.ts";
import { fetchBlocks } from "./blocks.ts";
import type { BazaarNode } from "./node.ts";
import { findPointers, tellPointer } from "./pointers.ts";
import type { Pubsub } from "./pubsub.ts";
import type { AppStreams } from "./streams.ts";
import { within } from "./within.ts";

export interface CarrierParts {
  readonly node: BazaarNode;
  readonly streams: AppStreams;
  readonly pubsub: Pubsub;
  readonly storage: BazaarStorage;
  readonly store: Store;
  /** Tell the DHT that we have a message's blocks ourselves: where no push node has them. It shows that we wrote it. */
  readonly isProvider: () => boolean;
  /** URLs of this machine and of private networks too. */
  readonly isLocal: boolean;
  /** The store could not be read. */
  readonly fault: (error: unknown) => void;
  /** What came on a topic. */
  readonly heard: (topic: string, data: Uint8Array) => void;
}

/** An effect that is carried out once the saves of its turn are durable. */
export type Deed = Exclude<Effect, Save>;

export class Carrier {
  readonly #parts: CarrierParts;
  readonly #stopped = new AbortController();
  /** The content whose blocks were asked for last: a recipient asks for all of them, one after the other. */
  #last: { readonly name: string; readonly blocks: ReadonlyMap<Cid, Uint8Array> } | undefined;

  constructor(parts: CarrierParts) {
    this.#parts = parts;
  }

  /** Begins it. `answer` is called as the effect's contract says, unless `stop` comes before. */
  carry(deed: Deed, answer: (answer: Answer) => void): void {
    this.#carry(deed, (given) => {
      if (!this.#stopped.signal.aborted) answer(given);
    }).catch((error: unknown) => this.#parts.fault(error));
  }

  /** Ends what is under way; nothing is answered any more. */
  stop(): void {
    this.#stopped.abort();
  }

  /** A block of what lies in our storage, for whoever asks. */
  async read(cid: Cid): Promise<Uint8Array | undefined> {
    const { store, storage } = this.#parts;
    const known = this.#last?.blocks.get(cid);
    if (known) return known;
    const name = fromUtf8((await store.get(BLOCK + cid)) ?? NOTHING);
    if (!name) return undefined;
    const content = await storage.get(name).catch(() => undefined);
    if (content === undefined) return undefined;
    this.#last = { name, blocks: new Map(split(content).map((block) => [block.cid, block.bytes])) };
    return this.#last.blocks.get(cid);
  }

  async #carry(deed: Deed, answer: (answer: Answer) => void): Promise<void> {
    const { node, streams, pubsub, storage } = this.#parts;
    const { signal } = this.#stopped;
    switch (deed.type) {
      case "put": {
        const address = await this.#put(deed.name, deed.content, deed.blocks).catch(() => undefined);
        return answer({ type: "stored", id: deed.id, address });
      }
      case "get": {
        const content = await storage.get(deed.name).catch(() => undefined);
        return answer({ type: "content", id: deed.id, content });
      }
      case "remove": {
        const ok = await this.#remove(deed.name, deed.root).then(
          () => true,
          () => false,
        );
        return answer({ type: "removed", id: deed.id, ok });
      }
      case "send":
        return answer({ type: "sent", id: deed.id, ok: await streams.send(deed.to, deed.message, deed.timeoutMs) });
      case "request": {
        const message = await streams.request(deed.to, deed.message, deed.timeoutMs);
        return answer({ type: "answered", id: deed.id, message });
      }
      case "find-key": {
        const publicKey = await node.findKey(deed.peer, within(FIND_MS, signal));
        return answer({ type: "key", id: deed.id, publicKey });
      }
      case "provide": {
        if (deed.at === "dht") this.#provide(deed.pointer.address);
        const request = { type: "add" as const, key: deed.key, pointer: deed.pointer };
        return answer({
          type: "provided",
          id: deed.id,
          took: await tellPointer(node, deed.at, request, TELL_MS, signal),
        });
      }
      case "withdraw": {
        const request = { type: "withdraw" as const, key: deed.key, id: deed.pointer, preimage: deed.preimage };
        return answer({
          type: "provided",
          id: deed.id,
          took: await tellPointer(node, deed.at, request, TELL_MS, signal),
        });
      }
      case "lookup": {
        const { id } = deed;
        const asked = await findPointers(node, deed.at, deed.key, FIND_MS, signal, (pointers, by) =>
          answer({ type: "found", id, by: by.id, pointers }),
        );
        return answer({ type: "found", id, pointers: [], last: { asked } });
      }
      case "fetch": {
        const content = await this.#fetch(deed.address, deed.from, deed.limit);
        return answer({ type: "content", id: deed.id, content });
      }
      case "publish":
        await pubsub.publish(deed.topic, deed.data);
        return;
      case "subscribe":
        return await pubsub.subscribe(deed.topic, (data) => this.#parts.heard(deed.topic, data));
    }
  }

  async #put(name: string, content: Uint8Array, blocks: readonly Block[]): Promise<Uint8Array | undefined> {
    const { storage, store } = this.#parts;
    const [root] = blocks;
    if (root === undefined) return undefined;
    const url = await storage.put(name, content);
    const cids = blocks.map(({ cid }) => cid);
    const index = cids.map((cid) => ({ key: BLOCK + cid, value: utf8(name) }));
    await store.commit([...index, { key: BLOCKS + name, value: utf8(cids.join(" ")) }]);
    return encodeAddress(url === undefined ? { type: "ipfs", cid: root.cid } : { type: "https", url });
  }

  /** With each publication of its pointer: the DHT forgets within two days who has a block, and so do we with a restart. */
  #provide(bytes: Uint8Array): void {
    const address = this.#parts.isProvider() ? parseAddress(bytes) : undefined;
    if (address?.type !== "ipfs") return;
    this.#inBackground(this.#parts.node.provide(address.cid, within(TELL_MS, this.#stopped.signal)));
  }

  async #remove(name: string, root: Cid): Promise<void> {
    const { node, storage, store } = this.#parts;
    if (this.#last?.name === name) this.#last = undefined;
    await storage.remove(name);
    const cids = (fromUtf8((await store.get(BLOCKS + name)) ?? NOTHING) ?? "").split(" ").filter(Boolean);
    await store.commit([BLOCKS + name, ...cids.map((cid) => BLOCK + cid)].map((key) => ({ key, value: undefined })));
    this.#inBackground(node.unprovide(root));
  }

  async #fetch(bytes: Uint8Array, from: readonly Contact[], limit: number): Promise<Uint8Array | undefined> {
    const signal = within(FETCH_MS, this.#stopped.signal);
    const address = parseAddress(bytes);
    if (address?.type === "https")
      return await download(address.url, { limit, signal, isLocalAllowed: this.#parts.isLocal });
    if (address?.type === "ipfs") return await fetchBlocks(this.#parts.node, address.cid, from, limit, signal);
    return undefined;
  }

  /** What nobody waits for, and what fails without harm. */
  #inBackground(work: Promise<void>): void {
    work.catch(() => {});
  }
}

const NOTHING = new Uint8Array(0);
const BLOCK = "bazaar/block/"; // by the CID of a block: the name of the content that it is of
const BLOCKS = "bazaar/blocks/"; // by the name of a content: its CIDs
const TELL_MS = 30_000;
const FIND_MS = 30_000;
const FETCH_MS = 120_000;
