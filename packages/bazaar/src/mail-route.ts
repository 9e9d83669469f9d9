/**
 * The bazaar as a route of mail: what the library asks of a carrier, put to a bazaar. What comes and is no sealed mail of ours is
 * for whoever asks for it. protocol/mail.md §15
 */
import { base58btc } from "multiformats/bases/base58";
import type { BazaarAddress, BazaarNode, Carrier, CarrierEvents } from "restante";
import { ed25519KeyOf, peerIdOf, sealedMessage, sealedOf } from "./format/index.ts";
import type { Taken } from "./offline/arrivals.ts";
import type { Contact } from "./offline/effects.ts";
import type { Bazaar, BazaarMessage, BazaarOptions } from "./route.ts";

/** A bazaar's options; mail goes to the library and not to `onMessage`. */
export interface MailRouteOptions extends Omit<BazaarOptions, "onMessage"> {
  /** A message that is no mail: see `BazaarOptions`. Default: forgotten. */
  readonly onMessage?: (message: BazaarMessage) => Promise<Taken> | Taken;
}

/** A carrier that is a bazaar. */
export interface MailRoute extends Carrier {
  /** It; `undefined` before `start` is done, and after `stop`. */
  bazaar(): Bazaar | undefined;
}

/** Makes the route; libp2p is imported, and everything opened, by its `start`. Its store is the caller's to close, after `stop`. */
export function mailRoute(options: MailRouteOptions): MailRoute {
  return new Route(options);
}

/**
 * Somebody at a multiaddr that ends in `/p2p/` and an Ed25519 id (`12D3Koo...`, which is the key itself). `undefined` for all else.
 */
export function contactAt(address: string): Contact | undefined {
  const [, id = ""] = /^\/[!-~]+\/p2p\/(12D3Koo[1-9A-HJ-NP-Za-km-z]{45})$/.exec(address) ?? [];
  if (id === "") return undefined;
  const bytes = base58btc.baseDecode(id);
  const publicKey = bytes.slice(IDENTITY_HASH.length);
  const isKey = IDENTITY_HASH.every((byte, i) => bytes[i] === byte) && ed25519KeyOf(publicKey) !== undefined;
  return isKey ? { id: peerIdOf(publicKey), publicKey, addrs: [address] } : undefined;
}

class Route implements MailRoute {
  readonly #options: MailRouteOptions;
  #bazaar: Bazaar | undefined;
  /** By message, who waits for it to lie elsewhere. */
  readonly #waiting = new Map<string, Set<(isLeft: boolean) => void>>();
  /** By message for which nobody waits any more, the oldest first: whether it was taken since. Its next attempt is told so. */
  readonly #late = new Map<string, boolean>();

  constructor(options: MailRouteOptions) {
    this.#options = options;
  }

  bazaar(): Bazaar | undefined {
    return this.#bazaar;
  }

  async start(events: CarrierEvents): Promise<BazaarAddress> {
    const { onMessage, onProgress, listen = [], pushNodes = [] } = this.#options;
    const { openBazaar } = await import("./route.ts");
    const bazaar = await openBazaar({
      ...this.#options,
      onMessage: async (message) => {
        const sealed = sealedOf(message.message);
        if (sealed === undefined) return (await onMessage?.(message)) ?? "done";
        return (await events.brought(message.publicKey, sealed)) ? "done" : "early";
      },
      onProgress: (progress) => {
        onProgress?.(progress);
        const { ref, state } = progress;
        if (state === "delivered" && this.#late.has(ref)) this.#late.set(ref, true);
        if (state === "delivered" || this.#bazaar?.lies(ref)) this.#end(ref, true);
      },
    });
    this.#bazaar = bazaar;
    // Who listens at an address of its own choice is there tomorrow, too. A relay has no place for us yet, but it is known which one
    // it will be; it stands first: who names a relay can often be reached there alone, and a card takes few.
    const own = listen.length === 0 ? [] : bazaar.addrs().filter((each) => !isRelayed(each));
    const relayed = listen.filter(isRelayed).map((each) => `${each}/p2p/${nodeIdOf(bazaar.publicKey)}`);
    const addrs = [...relayed, ...own.sort((a, b) => Number(isLoopback(a)) - Number(isLoopback(b)))];
    return { key: bazaar.publicKey, addrs, push: pushNodes.flatMap(nodeOf) };
  }

  async deliver({ ref, to, bytes }: Parameters<Carrier["deliver"]>[0]): Promise<boolean> {
    const bazaar = this.#bazaar;
    const [recipient, ...nodes] = [to, ...to.push].map(contactOf);
    if (bazaar === undefined || recipient === undefined) return false;
    const isTaken = this.#late.get(ref);
    this.#late.delete(ref);
    if (isTaken) return true;
    const known = nodes.filter((node) => node !== undefined);
    const isLeft = this.#leaves(ref);
    // Who asks again for what was taken has no answer to it: it may be lost there. A failure to keep it is a failed attempt.
    const send = bazaar.send({ ref, to: recipient, message: sealedMessage(bytes), nodes: known, isAnew: true });
    const result = await send.catch(() => undefined);
    if (result !== "accepted" || bazaar.lies(ref)) this.#end(ref, result === "accepted");
    return await isLeft;
  }

  withdraw(refs: readonly string[]): void {
    for (const ref of refs) {
      this.#late.delete(ref);
      this.#bazaar?.cancel(ref);
    }
  }

  contacts(keys: readonly Uint8Array[]): void {
    const peers = keys.map(peerIdOf);
    this.#bazaar?.contacts(peers);
    this.#bazaar?.admit(peers);
  }

  async stop(): Promise<void> {
    await this.#bazaar?.stop();
    this.#bazaar = undefined;
    for (const ref of [...this.#waiting.keys()]) this.#end(ref, false);
  }

  /** Whether it is there, or lies elsewhere, within a while: the bazaar goes on trying by itself. */
  #leaves(ref: string): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(ref) ?? new Set();
      this.#waiting.set(ref, waiting);
      const timer = setTimeout(() => {
        end(false);
        this.#late.set(ref, false);
        for (const [oldest] of this.#late) if (this.#late.size > LATE) this.#late.delete(oldest);
      }, WAIT_MS);
      const end = (isLeft: boolean): void => {
        clearTimeout(timer);
        waiting.delete(end);
        if (waiting.size === 0) this.#waiting.delete(ref);
        resolve(isLeft);
      };
      waiting.add(end);
    });
  }

  #end(ref: string, isLeft: boolean): void {
    for (const end of [...(this.#waiting.get(ref) ?? [])]) end(isLeft);
  }
}

function contactOf({ key, addrs }: BazaarNode): Contact | undefined {
  return ed25519KeyOf(key) === undefined ? undefined : { id: peerIdOf(key), publicKey: key, addrs };
}

function nodeOf({ publicKey, addrs = [] }: Contact): BazaarNode[] {
  return publicKey === undefined ? [] : [{ key: publicKey, addrs }];
}

/** As libp2p calls it: the key itself. */
function nodeIdOf(publicKey: Uint8Array): string {
  return base58btc.baseEncode(Uint8Array.from([...IDENTITY_HASH, ...publicKey]));
}

function isRelayed(address: string): boolean {
  return address.includes("/p2p-circuit");
}

function isLoopback(address: string): boolean {
  return /^\/ip4\/127\.|^\/ip6\/::1\//.test(address);
}

const WAIT_MS = 30_000;
const LATE = 20_000; // as many as the bazaar keeps
const IDENTITY_HASH = [0x00, 0x24]; // multihash: the 36 bytes themselves
