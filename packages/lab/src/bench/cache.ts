/**
 * A cache as others use it: a `restante serve --cache-only` in a process of its own, TCP, real links and their encryption. What
 * it does there is the same that its peers do in peers/. docs/benches.md
 */
import { loadBackend } from "@restante/node";
import {
  admissionUri,
  type Backend,
  createCrypto,
  createIdentity,
  type Hashname,
  type Identity,
  mintToken,
  pooled,
  recipientKey,
} from "restante/protocol";
import { Client } from "./cache-client.ts";
import { type RunningCache, startCacheProcess } from "./cache-server.ts";
import type { Bench, Result } from "./harness.ts";
import {
  type Connection,
  FIGURES,
  type Figure,
  type Keeper,
  keyed,
  LOAD,
  type Load,
  measure,
  type RunningKeeper,
  type Sender,
} from "./peers/work.ts";

/** One run gives all keys, since a drain needs deposits. `node`: options for the Node that runs the cache, such as --cpu-prof. */
export function cache(load: Load = LOAD, node: readonly string[] = []): Bench {
  const run = async (): Promise<Record<string, Result>> => {
    const keeper = ourCache(await loadBackend(() => {}), node);
    return keyed(await measure(keeper, load), cacheKeyOf);
  };
  return { keys: FIGURES.map(cacheKeyOf), run };
}

/** `cache.bytes_per_message` is the store's own, of boxes.ts; here it is what the whole process grows by. */
export function cacheKeyOf(figure: Figure): string {
  return `cache.${figure === "bytes_per_message" ? "resident_bytes_per_message" : figure}`;
}

/** As one more that keeps messages. `under`: a program that runs it, with its arguments. */
export function ourCache(backend: Backend, node: readonly string[] = [], under: readonly string[] = []): Keeper {
  return {
    settles: true,
    start: async (recipients) => new OurCache(backend, await startCacheProcess(backend, node, under), recipients),
  };
}

class OurCache implements RunningKeeper {
  readonly #backend: Backend;
  readonly #cache: RunningCache;
  readonly #recipients: Identity[];

  constructor(backend: Backend, running: RunningCache, recipients: number) {
    this.#backend = backend;
    this.#cache = running;
    const crypto = createCrypto(backend);
    this.#recipients = Array.from({ length: recipients }, () => createIdentity(crypto, random));
  }

  get process(): RunningCache["process"] {
    return this.#cache.process;
  }

  used(): Promise<number> {
    return this.#cache.process.used();
  }

  async sender(): Promise<Sender> {
    const client = new Client(this.#backend, random);
    const { hashname } = client.identity;
    const uris = this.#recipients.map((identity) => this.#contactUri(identity.hashname, hashname));
    await client.link(this.#cache, at(uris, 0));
    return {
      deposit: (to, bytes, isPassing) =>
        client.deposit(at(this.#recipients, to).hashname, at(uris, to), bytes, isPassing ? PASSING_S : undefined),
      acknowledgements: () => client.packets,
      close: () => client.close(),
    };
  }

  async collect(recipient: number, messages: number): Promise<Connection> {
    const client = this.#recipient(recipient);
    let left = messages;
    const all = new Promise<void>((resolve) => {
      client.onMessage = () => {
        if (--left === 0) resolve();
      };
    });
    await this.#link(client);
    await all;
    return client;
  }

  async wait(recipient: number, took: () => void): Promise<Connection> {
    const client = this.#recipient(recipient);
    client.onMessage = took;
    await this.#link(client);
    return client;
  }

  stop(): Promise<void> {
    return this.#cache.stop();
  }

  #recipient(number: number): Client {
    return new Client(this.#backend, random, at(this.#recipients, number));
  }

  #link(recipient: Client): Promise<void> {
    const { hashname } = recipient.identity;
    const grant = { recipient: hashname, class: "member" as const, until: 0, serial: 1, sender: hashname };
    return recipient.link(this.#cache, admissionUri(mintToken(this.#backend, this.#key(hashname), grant)));
  }

  #contactUri(recipient: Hashname, sender: Hashname): string {
    const grant = { recipient, class: "contact" as const, until: 0, serial: 2, sender };
    return admissionUri(mintToken(this.#backend, this.#key(recipient), grant));
  }

  #key(recipient: Hashname): Uint8Array {
    return recipientKey(this.#backend, this.#cache.key, recipient);
  }
}

function at<T>(list: readonly T[], index: number): T {
  const one = list[index];
  if (one === undefined) throw new Error("too few");
  return one;
}

const random = pooled((length) => crypto.getRandomValues(new Uint8Array(length)));
const PASSING_S = 1;
