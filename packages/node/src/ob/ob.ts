/**
 * What OpenBazaar's users call, over one bazaar: chat messages sent and received, read marks, typing, and the notifications of
 * all three. docs/bazaar.md
 */
import { randomBytes } from "node:crypto";
import type { Bazaar, BazaarMessage, BazaarProgress, Taken } from "@restante/bazaar";
import {
  type Chat,
  chatId,
  chatMessage,
  chatOf,
  encodeChat,
  type Message,
  type Moment,
  momentOf,
  type PeerId,
  parsePeerId,
  payloadOf,
  SUBJECT_BYTES,
  TEXT_BYTES,
  TYPES,
  writeTime,
} from "@restante/bazaar/format";
import { RestanteError, type Store } from "restante";
import { fromUtf8, toHex, utf8 } from "restante/protocol";
import { type ChatLimits, Conversations } from "./conversations.ts";

/** What it needs of a bazaar. */
export type ObBazaar = Pick<Bazaar, "send" | "scan" | "reach" | "ban">;

export interface ObOptions {
  /** The store of the bazaar, opened; keys begin with "ob/". */
  readonly store: Store;
  /** Our `Qm...` id. */
  readonly id: PeerId;
  readonly limits?: Partial<ChatLimits>;
  readonly now?: () => number;
  /** The store does not work now. */
  readonly onTrouble?: (error: unknown) => void;
}

/** What a reader of notifications is told: OpenBazaar's words. */
export type Notification =
  | {
      readonly message: {
        readonly messageId: string;
        readonly peerId: PeerId;
        readonly subject: string;
        readonly message: string;
        readonly timestamp: string;
      };
    }
  | { readonly messageRead: { readonly messageId: string; readonly peerId: PeerId; readonly subject: string } }
  | { readonly messageTyping: { readonly messageId: string; readonly peerId: PeerId; readonly subject: string } };

/** Reads the conversations, and who is blocked. Throws what the store throws. */
export async function openOb(options: ObOptions): Promise<Ob> {
  const ob = new Ob(options, blockedIn(await options.store.get(BLOCKED)));
  await ob.conversations.load();
  await ob.conversations.expire((options.now ?? Date.now)());
  return ob;
}

export class Ob {
  readonly conversations: Conversations;
  readonly #store: Store;
  readonly #blocked: Set<PeerId>;
  readonly #now: () => number;
  readonly #trouble: (error: unknown) => void;
  readonly #listeners = new Set<(notification: Notification) => void>();
  #bazaar: ObBazaar | undefined;
  #lastTime: Moment = { seconds: 0, nanos: 0 };
  #expired = 0;

  constructor({ store, id, limits, now, onTrouble }: ObOptions, blocked: Iterable<PeerId>) {
    this.#store = store;
    this.#blocked = new Set(blocked);
    this.conversations = new Conversations(store, id, limits);
    this.#now = now ?? Date.now;
    this.#trouble = onTrouble ?? (() => {});
  }

  /** From now on there is a network. What was written and not handed to it before a crash is handed to it now. */
  attach(bazaar: ObBazaar): void {
    this.#bazaar = bazaar;
    bazaar.ban(this.blocked());
    this.#resend(bazaar).catch(this.#trouble);
  }

  /** Told of everything from now on. Gives the function that ends it. */
  on(listener: (notification: Notification) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Writes to some peers; gives the message's id. An empty text says that somebody is typing, to those who are online. Throws
   * "too-large", "bad-address" for what is no id, "not-running" without a network, "no-room" when too much is on its way, and
   * what the store throws; of several peers, those who come first have it then all the same.
   */
  async write(peers: readonly string[], subject: string, text: string, isGroup: boolean): Promise<string> {
    if (utf8(subject).length > SUBJECT_BYTES)
      throw new RestanteError("too-large", `a subject has at most ${SUBJECT_BYTES} bytes`);
    if (utf8(text).length > TEXT_BYTES)
      throw new RestanteError("too-large", `a message has at most ${TEXT_BYTES} bytes`);
    const to = peers.map(peerOf);
    const bazaar = this.#network();
    const time = this.#time();
    const flag = text === "" ? "typing" : "message";
    const message = chatMessage({ text, subject, time, flag });
    const messageId = chatId(text, subject, time);
    if (message === undefined || messageId === undefined) throw new RestanteError("bad-request", "the clock is wrong");
    const name = PREFIX + toHex(new Uint8Array(randomBytes(12)));
    if (flag === "typing") {
      for (const [i, peer] of to.entries()) await this.#hand(bazaar, `${name}-${i}`, peer, message);
      return messageId;
    }
    await this.#expire();
    const [first = ""] = to;
    const waiting = to.map((_, i) => i);
    // Kept before it leaves: a crash between the two sends it at the next start.
    await this.conversations.add({
      messageId,
      peerId: isGroup ? "" : first,
      subject,
      text,
      time,
      isOutgoing: true,
      isRead: false,
      at: this.#now(),
      sent: { name, to, waiting, failed: 0 },
    });
    for (const [i, peer] of to.entries()) {
      try {
        await this.#hand(bazaar, `${name}-${i}`, peer, message);
      } catch (error) {
        // Whoever called hears that it failed: those behind this one are not sent it at the next start.
        for (let left = i; left < to.length; left++) await this.conversations.ended(name, left, false);
        throw error;
      }
    }
    return messageId;
  }

  /** What came of this peer about this subject is read; the peer is told. Throws what the store throws. */
  async markRead(peer: string, subject: string): Promise<void> {
    const who = peer === "" ? "" : peerOf(peer);
    const last = await this.conversations.read(who, subject);
    if (last === undefined || who === "") return;
    const mark: Chat = { messageId: last, subject, text: "", time: undefined, flag: "read" };
    const message: Message = { type: TYPES.CHAT, payload: payloadOf("Chat", encodeChat(mark)) };
    await this.#hand(this.#network(), `${PREFIX}read-${toHex(new Uint8Array(randomBytes(12)))}`, who, message);
  }

  /** Of whom nothing is taken. */
  blocked(): PeerId[] {
    return [...this.#blocked];
  }

  /**
   * Takes nothing of this peer from now on, or does again; nobody is told. What came before stays. Throws "bad-address", "full"
   * when 10,000 are blocked, and what the store throws: then nothing has changed.
   */
  async block(peer: string, isBlocked: boolean): Promise<void> {
    const who = peerOf(peer);
    if (this.#blocked.has(who) === isBlocked) return;
    if (isBlocked && this.#blocked.size >= MOST_BLOCKED)
      throw new RestanteError("full", `${MOST_BLOCKED} are blocked already`);
    const blocked = isBlocked ? [...this.#blocked, who] : this.blocked().filter((each) => each !== who);
    await this.#store.commit([{ key: BLOCKED, value: utf8(blocked.join("\n")) }]);
    if (isBlocked) this.#blocked.add(who);
    else this.#blocked.delete(who);
    this.#bazaar?.ban(this.blocked());
  }

  /** Looks for mail now. */
  scan(): void {
    this.#network().scan();
  }

  /** Whether a peer can be reached now. */
  async isOnline(peer: string): Promise<boolean> {
    return await this.#network().reach({ id: peerOf(peer) }, AbortSignal.timeout(STATUS_MS));
  }

  /** A message that is none of mail's. What is no chat of a sane size is refused for good. Rejects when the store fails. */
  async received({ from, message, extension, way }: BazaarMessage): Promise<Taken> {
    const chat = chatOf(message);
    if (this.#blocked.has(from)) return "refused";
    if (chat === undefined || utf8(chat.subject).length > SUBJECT_BYTES || utf8(chat.text).length > TEXT_BYTES)
      return "refused";
    const { messageId, subject, text, time } = chat;
    if (messageId.length > ID_CHARACTERS) return "refused";
    if (chat.flag === "read") {
      const isKnown = await this.conversations.readThere(from, subject, messageId);
      if (isKnown) this.#tell({ messageRead: { messageId, peerId: from, subject } });
      return "done";
    }
    if (chat.flag !== "message" || time === undefined) return "refused";
    await this.#expire();
    const isNew = await this.conversations.add({
      messageId,
      peerId: from,
      subject,
      text,
      time,
      isOutgoing: false,
      isRead: false,
      at: this.#now(),
      isProven: extension !== undefined || way === "online",
      isExtended: extension !== undefined,
    });
    const timestamp = timestampOf(time);
    if (isNew) this.#tell({ message: { messageId, peerId: from, subject, message: text, timestamp } });
    return "done";
  }

  /** Somebody is typing. */
  fleeting(from: PeerId, message: Message): void {
    const chat = chatOf(message);
    if (this.#blocked.has(from)) return;
    if (chat?.flag !== "typing" || utf8(chat.subject).length > SUBJECT_BYTES) return;
    const { messageId, subject } = chat;
    if (messageId.length <= ID_CHARACTERS) this.#tell({ messageTyping: { messageId, peerId: from, subject } });
  }

  /** How it goes with what was sent. Names that are not ours are passed over. */
  progressed({ ref, state }: BazaarProgress): void {
    const [, name, index] = REF.exec(ref) ?? [];
    const isOver = state === "delivered" || state === "expired" || state === "cancelled" || state === "refused";
    if (name === undefined || !isOver) return;
    this.conversations.ended(name, Number(index), state === "delivered").catch(this.#trouble);
  }

  async #hand(bazaar: ObBazaar, ref: string, to: PeerId, message: Message): Promise<void> {
    // Who once wrote without our extension is OpenBazaar's own, and gets none. Of others nothing speaks against it.
    const isPlain = this.conversations.lastFrom(to)?.isExtended === false;
    const result = await bazaar.send({ ref, to: { id: to }, message, isPlain });
    if (result === "accepted") return;
    if (result === "full") throw new RestanteError("no-room", "too much is on its way already");
    throw new RestanteError("bad-address", `nothing can be sent to ${to}: ${result}`);
  }

  async #resend(bazaar: ObBazaar): Promise<void> {
    for (const { text, subject, time, sent } of this.conversations.undelivered()) {
      const message = chatMessage({ text, subject, time });
      for (const index of sent?.waiting ?? []) {
        const to = sent?.to[index];
        // What is on its way is known by its name; the same again is the same.
        if (message && to) await this.#hand(bazaar, `${sent?.name}-${index}`, to, message);
      }
    }
  }

  #network(): ObBazaar {
    if (this.#bazaar === undefined) throw new RestanteError("not-running", "the bazaar is not there yet");
    return this.#bazaar;
  }

  #tell(notification: Notification): void {
    for (const listener of this.#listeners) listener(notification);
  }

  /** Now, and later than the last time: two equal texts are two messages. */
  #time(): Moment {
    const now = momentOf(this.#now());
    const { seconds, nanos } = this.#lastTime;
    const isLater = now.seconds > seconds || (now.seconds === seconds && now.nanos > nanos);
    this.#lastTime = isLater
      ? now
      : nanos < 999_999_999
        ? { seconds, nanos: nanos + 1 }
        : { seconds: seconds + 1, nanos: 0 };
    return this.#lastTime;
  }

  /** Once in a while. */
  async #expire(): Promise<void> {
    const now = this.#now();
    if (Math.abs(now - this.#expired) < EXPIRE_MS) return;
    this.#expired = now;
    await this.conversations.expire(now);
  }
}

function blockedIn(bytes: Uint8Array | undefined): PeerId[] {
  const lines = (bytes && fromUtf8(bytes))?.split("\n") ?? [];
  return lines.flatMap((line) => parsePeerId(line) ?? []);
}

function peerOf(text: string): PeerId {
  const peer = parsePeerId(text);
  if (peer === undefined)
    throw new RestanteError("bad-address", `"${text.slice(0, 64)}" is no peer id: those begin with Qm`);
  return peer;
}

/** As OpenBazaar writes times. */
export function timestampOf(time: Moment): string {
  return writeTime(time) ?? "0001-01-01T00:00:00Z";
}

const BLOCKED = "ob/blocked";
const MOST_BLOCKED = 10_000;
const PREFIX = "ob-";
const REF = /^(ob-[0-9a-f]{24})-(\d{1,4})$/;
const ID_CHARACTERS = 128;
const STATUS_MS = 10_000;
const EXPIRE_MS = 3_600_000;
