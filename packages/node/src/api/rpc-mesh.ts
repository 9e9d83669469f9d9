/**
 * The methods of telehash's guide for implementers (v3/guides/implementers.md), as one peer answers them: it has its identity, its
 * links follow from its contacts, and channels are those of applications. docs/api.md
 */
import { randomBytes } from "node:crypto";
import { createCrypto, createIdentity, exportIdentity, type Peer, type PeerEvent, RestanteError } from "restante";
import { loadBackend } from "../crypto/best.ts";
import { RpcChannels } from "./rpc-channels.ts";
import { waitOf, within } from "./rpc-wait.ts";

export class MeshMethods {
  readonly #peer: Peer;
  readonly #signal: AbortSignal;
  readonly #channels: RpcChannels;
  readonly #events: object[] = [];
  readonly #waiting: ((event: unknown) => void)[] = [];
  #isListening = false;

  /** `signal`: aborted when the daemon stops. */
  constructor(peer: Peer, signal: AbortSignal) {
    this.#peer = peer;
    this.#signal = signal;
    this.#channels = new RpcChannels(peer, (event) => this.#tell(event));
  }

  knows(method: string): boolean {
    return METHODS.has(method);
  }

  /** `gone`: nobody waits for the answer any more, or nothing will happen any more. */
  async call(method: string, params: object, gone: AbortSignal): Promise<unknown> {
    const [first, second, third] = Array.isArray(params) ? (params as unknown[]) : [];
    const { hashname } = this.#peer;
    if (method === "meshGenerate") return generated();
    if (method === "meshLoad") {
      if (first !== undefined) throw new RestanteError("refused", "secrets are not taken here: this peer has its own");
      return { hashname, keys: this.#peer.keys, paths: this.#peer.status().paths };
    }
    if (first !== hashname) throw new RestanteError("not-found", `the mesh here is ${hashname}`);
    if (method === "meshWait") {
      const ms = waitOf(second);
      this.#channels.serve(second);
      return this.#channels.whileWaiting(this.#next(ms, gone));
    }
    const wanted = typeof second === "object" && second !== null && "hashname" in second ? second.hashname : second;
    if (method === "linkChan") return this.#channels.open(wanted, third);
    if (method === "linkSend") return this.#channels.send(wanted, third);
    if (method === "linkRecv") return this.#channels.receive(wanted, third, gone);
    const link = this.#peer.status().links.find((each) => each.hashname === wanted);
    if (link === undefined)
      throw new RestanteError("refused", "links are made to contacts and their caches: add its invite first");
    return { hashname: link.hashname, state: link.state };
  }

  /** Links and channels that came or went since the first who waited; empty after so many milliseconds without any. */
  #next(ms: number | undefined, gone: AbortSignal): Promise<unknown> {
    if (!this.#isListening) this.#listen();
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve(event);
    if (this.#waiting.length >= MAX_WAITING) throw new RestanteError("full", "too many wait already");
    let take = (_event: unknown): void => {};
    const next = new Promise<unknown>((resolve) => {
      take = resolve;
    });
    this.#waiting.push(take);
    const leave = (): void => {
      const at = this.#waiting.indexOf(take);
      if (at >= 0) this.#waiting.splice(at, 1);
    };
    return within(next, ms, gone, leave).then((found) => found ?? {});
  }

  #listen(): void {
    this.#isListening = true;
    const end = this.#peer.on((event: PeerEvent) => {
      if (event.type === "link") this.#tell({ event: event.up ? "up" : "down", link: { hashname: event.hashname } });
    });
    this.#signal.addEventListener("abort", end, { once: true });
  }

  #tell(event: object): void {
    const first = this.#waiting.shift();
    if (first !== undefined) first(event);
    else this.#events.push(event);
    if (this.#events.length > MAX_WAITING) this.#events.shift();
  }
}

/** A new identity of the set that this version prefers. It is nobody's but the caller's: nothing of it stays here. */
async function generated(): Promise<object> {
  const crypto = createCrypto(await loadBackend(() => {}));
  const { hashname, keys, secrets } = exportIdentity(createIdentity(crypto, (length) => randomBytes(length)));
  return { hashname, keys, paths: [], secrets };
}

const MAX_WAITING = 1000;
const METHODS: ReadonlySet<string> = new Set([
  ...["meshGenerate", "meshLoad", "meshLink", "meshWait"],
  ...["linkChan", "linkSend", "linkRecv"],
]);
