/** The push node at work: STORE and BLOCK of the peers it lets in, their blocks in a store. protocol/bazaar-network.md §5 */
import { RECORD_BYTES, RestanteError, type Store } from "restante";
import { concat, utf8 } from "restante/protocol";
import { type Cid, parseCid } from "../format/ids.ts";
import { blockOf, errorMessage, type Message, storedCids, storeMessage, TYPES } from "../format/message.ts";
import { type BundleRow, PUSH_LIMITS, type PushEffect, type PushLimits, PushNode } from "../offline/push.ts";
import type { Remote } from "./node.ts";

/** The role, over a store. */
export class PushService {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #machine: PushNode;
  /** What was decided is written in this order, one after the other. */
  #turn: Promise<void> = Promise.resolve();
  /** Lists and blocks that were not taken, since the start. */
  refused = 0;

  private constructor(store: Store, now: () => number, machine: PushNode) {
    this.#store = store;
    this.#now = now;
    this.#machine = machine;
  }

  /** Reads what it kept. `admitted`: the `Qm...` ids of those that it works for. */
  static async open(
    store: Store,
    now: () => number,
    options: { readonly admitted: Iterable<string>; readonly limits?: Partial<PushLimits> | undefined },
  ): Promise<PushService> {
    const machine = new PushNode({ admitted: options.admitted, ...(options.limits && { limits: options.limits }) });
    const service = new PushService(store, now, machine);
    const rows = (await store.load(ROWS)).flatMap(([, value]) => parseRow(value) ?? []);
    await service.#carryOut(machine.load(rows, now()));
    return service;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#machine.bytes;
  }

  /** Lets these in, and no others but those of the options. */
  admit(guests: Iterable<string>): void {
    this.#machine.admit(guests);
  }

  /** Takes a STORE or a BLOCK; false for messages that are neither. */
  receive(message: Message, from: Remote, reply: (answer: Message) => void): boolean {
    if (message.type !== TYPES.STORE && message.type !== TYPES.BLOCK) return false;
    if (message.type === TYPES.STORE) this.#stored(message, from, reply);
    else this.#blockCame(message, from);
    return true;
  }

  /** A block that is kept here. */
  async read(cid: Cid): Promise<Uint8Array | undefined> {
    if (!this.#machine.has(cid)) return undefined;
    const records: Uint8Array[] = [];
    for (let i = 0; i * RECORD_BYTES < PUSH_LIMITS.blockBytes; i++) {
      const record = await this.#store.blobRead(blobOf(cid), i);
      if (record === undefined) break;
      records.push(record);
      if (record.length < RECORD_BYTES) break;
    }
    return records.length > 0 ? concat(...records) : undefined;
  }

  /** A guest put a pointer to a message that may lie here. */
  pointed(from: Remote, root: Cid, withdraw: Uint8Array | undefined): void {
    if (withdraw) this.#carryOut(this.#machine.pointed(from.id, root, withdraw)).catch(() => {});
  }

  /** Somebody showed a secret. */
  withdraw(preimage: Uint8Array): void {
    this.#carryOut(this.#machine.withdraw(preimage)).catch(() => {});
  }

  /** Forgets what is over: to be called now and then. */
  async expire(): Promise<void> {
    await this.#carryOut(this.#machine.expire(this.#now()));
  }

  /** Resolves when all that was decided is written. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  #stored(message: Message, from: Remote, reply: (answer: Message) => void): void {
    const cids = storedCids(message, PUSH_LIMITS.blocks);
    const result = cids && this.#machine.store(from.id, cids, this.#now());
    if (result === undefined) {
      this.refused++;
      reply(errorMessage(REFUSED, "not stored here"));
      return;
    }
    // What is wanted is said after it is written that it was: a crash between leaves a message that is asked for again.
    this.#carryOut(result.effects).then(
      () => reply(storeMessage(result.wanted)),
      () => reply(errorMessage(REFUSED, "not stored now")),
    );
  }

  #blockCame(message: Message, from: Remote): void {
    const block = blockOf(message);
    const effects = block && this.#machine.block(from.id, block.cid, block.bytes, this.#now());
    if (effects) this.#carryOut(effects).catch(() => {});
    else this.refused++;
  }

  #carryOut(effects: readonly PushEffect[]): Promise<void> {
    if (effects.length === 0) return this.#turn;
    const done = this.#turn.then(() => this.#write(effects));
    this.#turn = done.catch(() => {}); // the next one tries its own
    return done;
  }

  async #write(effects: readonly PushEffect[]): Promise<void> {
    const batch: { key: string; value: Uint8Array | undefined }[] = [];
    for (const effect of effects) {
      if (effect.type === "save") {
        batch.push({ key: ROWS + effect.name, value: effect.row && encodeRow(effect.row) });
      } else if (effect.type === "keep") {
        for (let i = 0; i * RECORD_BYTES <= effect.bytes.length; i++) {
          const record = effect.bytes.subarray(i * RECORD_BYTES, (i + 1) * RECORD_BYTES);
          if (record.length > 0 || i === 0) await this.#store.blobWrite(blobOf(effect.cid), i, record);
        }
        // Durable before the row that says so.
        await this.#store.blobSync([blobOf(effect.cid)]);
      }
    }
    if (batch.length > 0) await this.#store.commit(batch);
    for (const effect of effects) if (effect.type === "forget") await this.#store.blobRemove(blobOf(effect.cid));
  }
}

function encodeRow({ peer, blocks, until, withdraw }: BundleRow): Uint8Array {
  const row = {
    peer,
    until,
    blocks: blocks.map(({ cid, size }) => [cid, size]),
    ...(withdraw && { withdraw: [...withdraw] }),
  };
  return utf8(JSON.stringify(row));
}

function parseRow(bytes: Uint8Array): BundleRow | undefined {
  try {
    const { peer, until, blocks, withdraw } = JSON.parse(new TextDecoder().decode(bytes)) as {
      peer: string;
      until: number;
      blocks: [string, number][];
      withdraw?: number[];
    };
    const kept = blocks.flatMap(([text, size]) => {
      const cid = parseCid(text);
      return cid ? [{ cid, size }] : [];
    });
    return { peer, until, blocks: kept, ...(withdraw && { withdraw: Uint8Array.from(withdraw) }) };
  } catch (cause) {
    throw new RestanteError("store-damaged", "a record of the push node cannot be read", { cause });
  }
}

function blobOf(cid: Cid): string {
  return `bazaar-push-${cid}`;
}

const ROWS = "bazaar/push/";
const REFUSED = 507; // as HTTP's: no storage
