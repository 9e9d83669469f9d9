/**
 * Webhooks: programs that are told by HTTP what happens here, signed as Standard Webhooks says. Mail is told in its order and from a
 * place in the inbox that is on the disk: at least once, over restarts too. Of all else is told what happens while we run. docs/api.md
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { type Peer, type PeerEvent, RestanteError } from "restante";
import type { NewWebhook, WebhookInfo } from "./api/contract.ts";
import { messageInfo } from "./api/message.ts";
import { readPrivate, replacePrivate } from "./store/private-file.ts";

type EventType = WebhookInfo["events"][number];

export interface WebhookOptions {
  readonly peer: Pick<Peer, "inbox" | "status" | "contacts" | "on">;
  /** Where they are kept, sealed. */
  readonly file: string;
  /** 32 bytes: the key of the home. */
  readonly key: Uint8Array;
  readonly world?: Partial<World>;
}

/** What it needs of the world. */
export interface World {
  /** Milliseconds since 1970. */
  now(): number;
  /** 0 to 1. */
  random(): number;
  /** Runs this after so many ms, unless it is taken back by what is given. */
  later(ms: number, run: () => void): () => void;
  /** Resolves with the status of the answer; rejects when there is none. Follows no redirect. */
  post(url: string, headers: Readonly<Record<string, string>>, body: string, signal: AbortSignal): Promise<number>;
}

interface NewHook {
  readonly url: string;
  readonly events?: readonly EventType[] | undefined;
  readonly content?: boolean | undefined;
  readonly after?: number | undefined;
}

export interface Webhooks {
  list(): WebhookInfo[];
  /** At most 16. Throws "bad-url", "full", "store-failed". */
  add(hook: NewHook): Promise<NewWebhook>;
  /** Throws "not-found". */
  remove(id: string): Promise<WebhookInfo>;
  /** A sentence for each that was given up. */
  problems(): string[];
  /** Resolves when all that can be told now is told, or waits for its next attempt. */
  idle(): Promise<void>;
  /** Attempts that are under way are cut off, and made again after the next start. */
  close(): Promise<void>;
}

/** Reads them and begins. Throws as `readPrivate`, and "store-damaged" for a file that the key does not open. */
export async function openWebhooks({ peer, file, key, world: given }: WebhookOptions): Promise<Webhooks> {
  const world = { ...THIS_WORLD, ...given };
  const secret = new Uint8Array(hkdfSync("sha256", key, new Uint8Array(0), "restante/webhooks/1", 32));
  const sealed = await readPrivate(file);
  const hooks = new Map<string, Hook>();
  let writing: Promise<void> = Promise.resolve();
  const save = (): Promise<void> => {
    writing = writing
      .catch(() => {})
      .then(() => replacePrivate(file, seal(secret, JSON.stringify([...hooks.values()].map((hook) => hook.kept)))));
    return writing.catch((cause: unknown) => {
      throw new RestanteError("store-failed", "the webhooks could not be written", { cause });
    });
  };
  for (const kept of sealed === undefined ? [] : open(secret, sealed))
    hooks.set(kept.id, new Hook(kept, { peer, world, save }));
  for (const hook of hooks.values()) hook.wake();
  const end = peer.on((event) => {
    for (const hook of hooks.values()) hook.tell(event);
  });
  return {
    list: () => [...hooks.values()].map((hook) => hook.info()),
    async add({ url, events = ["mail"], content = false, after }) {
      checkUrl(url);
      if (hooks.size >= MAX_HOOKS) throw new RestanteError("full", `there are ${MAX_HOOKS} webhooks already`);
      const from = Math.min(after ?? Number.MAX_SAFE_INTEGER, peer.status().inbox);
      const made = `${SECRET}${randomBytes(32).toString("base64")}`;
      const kept: Kept = {
        ...{ id: randomBytes(8).toString("hex"), url, events: [...new Set(events)], content, secret: made },
        ...{ after: from, failures: 0, isOff: false },
      };
      const hook = new Hook(kept, { peer, world, save });
      hooks.set(kept.id, hook);
      try {
        await save();
      } catch (error) {
        // Nobody got its secret: it is not there, and not after the next start either if that can be helped.
        hooks.delete(kept.id);
        await hook.stop();
        await save().catch(() => {});
        throw error;
      }
      hook.wake();
      return { ...hook.info(), secret: made };
    },
    async remove(id) {
      const hook = hooks.get(id);
      if (hook === undefined) throw new RestanteError("not-found", `there is no webhook "${id}"`);
      hooks.delete(id);
      await save().catch((error: unknown) => {
        hooks.set(id, hook); // it would be back after the next start
        throw error;
      });
      await hook.stop();
      return hook.info();
    },
    problems: () =>
      [...hooks.values()].flatMap(({ kept }) =>
        kept.isOff ? [`a webhook at ${new URL(kept.url).host} failed for too long and is told nothing more`] : [],
      ),
    async idle() {
      await Promise.all([...hooks.values()].map((hook) => hook.idle()));
    },
    async close() {
      end();
      await Promise.all([...hooks.values()].map((hook) => hook.stop()));
      await writing.catch(() => {});
    },
  };
}

interface Kept {
  readonly id: string;
  readonly url: string;
  readonly events: readonly EventType[];
  readonly content: boolean;
  readonly secret: string;
  /** Up to which number of the inbox it was told. */
  after: number;
  failures: number;
  /** When the first of these failures was. */
  since?: number;
  isOff: boolean;
  why?: string;
}

interface HookWorld {
  readonly peer: WebhookOptions["peer"];
  readonly world: World;
  readonly save: () => Promise<void>;
}

interface Told {
  readonly id: string;
  readonly type: EventType;
  readonly at: number;
  readonly data: object;
}

/** One thing at a time, in order: what fails is tried again before anything else is told. */
class Hook {
  readonly kept: Kept;
  readonly #world: HookWorld;
  readonly #stop = new AbortController();
  /** What happened while we run, but mail. */
  readonly #others: Told[] = [];
  #hasMail = true;
  #running: Promise<void> | undefined;
  #cancel: (() => void) | undefined;

  constructor(kept: Kept, world: HookWorld) {
    this.kept = kept;
    this.#world = world;
  }

  info(): WebhookInfo {
    const { id, url, events, content, after, failures, isOff, why } = this.kept;
    const state = isOff ? "disabled" : failures > 0 ? "failing" : "well";
    return { id, url, events, content, state, after, failures, ...(why === undefined ? {} : { why }) };
  }

  tell(event: PeerEvent): void {
    const { events, content } = this.kept;
    if (event.type === "mail") this.#hasMail = true;
    else if (isTold(event) && events.includes(event.type) && !this.kept.isOff) {
      const data = content ? event : discreet(event);
      const id = `msg_${randomBytes(12).toString("hex")}`;
      this.#others.push({ id, type: event.type, at: this.#world.world.now(), data });
      if (this.#others.length > MAX_QUEUED) this.#others.shift();
    } else return;
    this.wake();
  }

  /** Begins, unless it is at work or waits for its next attempt. */
  wake(): void {
    if (this.#running !== undefined || this.#cancel !== undefined || this.kept.isOff || this.#stop.signal.aborted)
      return;
    this.#running = this.#work()
      .catch(() => {
        // The store does not work: what was not told is looked for again, not only when other mail comes.
        this.#hasMail = true;
        this.#later(RETRY_MS[0] ?? 0);
      })
      .finally(() => {
        this.#running = undefined;
        if (this.#hasMail || this.#others.length > 0) this.wake();
      });
  }

  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#cancel?.();
    await this.#running;
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !this.kept.isOff) {
      const other = this.#others[0];
      if (other !== undefined) {
        if (!(await this.#attempt(other))) return;
        // When too many came meanwhile it is not the first any more, and what is now was not told.
        if (this.#others[0] === other) this.#others.shift();
      } else if (this.#hasMail) {
        this.#hasMail = false;
        if (!(await this.#mails())) {
          this.#hasMail = true;
          return;
        }
      } else return;
    }
  }

  /** All that is there; false: the next attempt is later. */
  async #mails(): Promise<boolean> {
    const { kept } = this;
    const { peer, save } = this.#world;
    if (!kept.events.includes("mail")) return true;
    for (;;) {
      const page = await peer.inbox({ after: kept.after, limit: PAGE });
      for (const mail of page) {
        const shown = messageInfo(peer, mail);
        const data = kept.content ? shown : discreet(shown);
        const isTaken = await this.#attempt({ id: `msg_${kept.id}_${mail.n}`, type: "mail", at: mail.received, data });
        if (!isTaken) return false;
        kept.after = mail.n;
        await save();
      }
      if (page.length < PAGE) return true;
    }
  }

  async #attempt({ id, type, at, data }: Told): Promise<boolean> {
    const { world, save } = this.#world;
    const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data });
    const timestamp = String(Math.floor(world.now() / 1000));
    const headers = {
      "content-type": "application/json",
      "user-agent": "restante",
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": signature(this.kept.secret, id, timestamp, body),
    };
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const status = await world.post(this.kept.url, headers, body, signal).catch((error: unknown) => reason(error));
    if (this.#stop.signal.aborted) return false;
    if (typeof status === "number" && status >= 200 && status < 300) {
      const wasFailing = this.kept.failures > 0;
      this.kept.failures = 0;
      delete this.kept.since;
      delete this.kept.why;
      if (wasFailing) await save();
      return true;
    }
    const now = world.now();
    this.kept.since ??= now;
    this.kept.failures++;
    this.kept.why = typeof status === "number" ? `it answered ${status}` : status;
    // "Gone" is the word of who does not want to hear of us any more.
    this.kept.isOff = status === 410 || now - this.kept.since >= GIVE_UP_MS;
    if (this.kept.isOff) this.#others.length = 0;
    else this.#later(RETRY_MS[Math.min(this.kept.failures, RETRY_MS.length) - 1] ?? 0);
    await save();
    return false;
  }

  #later(ms: number): void {
    const { world } = this.#world;
    this.#cancel?.();
    if (this.#stop.signal.aborted) return;
    this.#cancel = world.later(Math.round(ms * (0.75 + world.random() / 2)), () => {
      this.#cancel = undefined;
      this.wake();
    });
  }
}

/** Standard Webhooks, symmetric: `v1,` and the HMAC-SHA256 of id, time and body, in base64. */
export function signature(secret: string, id: string, timestamp: string, body: string): string {
  const key = Buffer.from(secret.slice(SECRET.length), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}

function isTold(event: PeerEvent): event is Extract<PeerEvent, { type: "state" | "request" | "contact" }> {
  return event.type === "state" || event.type === "request" || event.type === "contact";
}

/** Without what somebody wrote or calls himself. */
function discreet(data: object): object {
  const { text: _text, texts: _texts, name: _name, file, contact, ...rest } = data as Record<string, unknown>;
  const { media, size } = (file ?? {}) as { media?: string; size?: number };
  return {
    ...rest,
    ...(file === undefined ? {} : { file: { media, size } }),
    ...(contact === undefined ? {} : { contact: typeof contact === "object" ? discreet(contact as object) : contact }),
  };
}

function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.password !== "")
    throw new RestanteError(
      "bad-url",
      "a webhook has an address that begins with http:// or https://, and no password",
    );
}

function reason(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  if (name === "TimeoutError") return "it did not answer in time";
  return `it cannot be reached (${typeof code === "string" ? code : "no answer"})`;
}

/** A nonce, a tag, and the text: with a key of its own under that of the home. */
function seal(key: Uint8Array, text: string): Uint8Array {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  const box = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), box]);
}

function open(key: Uint8Array, sealed: Uint8Array): Kept[] {
  try {
    const cipher = createDecipheriv("chacha20-poly1305", key, sealed.subarray(0, 12), { authTagLength: 16 });
    cipher.setAuthTag(sealed.subarray(12, 28));
    const text = Buffer.concat([cipher.update(sealed.subarray(28)), cipher.final()]).toString("utf8");
    return JSON.parse(text) as Kept[];
  } catch (cause) {
    throw new RestanteError("store-damaged", "the file of the webhooks cannot be read: remove it, and make them anew", {
      cause,
    });
  }
}

const THIS_WORLD: World = {
  now: Date.now,
  random: Math.random,
  later(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
  post: (url, headers, body, signal) =>
    new Promise((resolve, reject) => {
      const make = url.startsWith("https:") ? httpsRequest : httpRequest;
      // No connection is kept, and nothing of an answer is read: its status says all.
      const outgoing = make(url, { method: "POST", headers, agent: false, signal });
      outgoing.on("error", reject);
      outgoing.on("response", (answer) => {
        resolve(answer.statusCode ?? 0);
        answer.destroy();
      });
      outgoing.end(body);
    }),
};
const SECRET = "whsec_";
const MAX_HOOKS = 16;
const MAX_QUEUED = 1000;
const PAGE = 20;
const TIMEOUT_MS = 15_000;
const MINUTE_MS = 60_000;
const RETRY_MS = [
  5000,
  30_000,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  60 * MINUTE_MS,
  120 * MINUTE_MS,
  240 * MINUTE_MS,
];
const GIVE_UP_MS = 5 * 86_400_000;
