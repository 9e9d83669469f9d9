/** Sending: from what the application gives to what the machine takes, for one contact or all of a list. */
import type { Random } from "./bytes/index.ts";
import { RestanteError } from "./bytes/index.ts";
import { type FileMail, type OutgoingFile, Uploads } from "./files.ts";
import type { Call, FannedOut, ListInfo, OutgoingMail } from "./peer.ts";
import type { Store } from "./store/index.ts";

/** How a mail is sent. */
export interface SendOptions {
  /** Milliseconds since 1970. Default: in 14 days. */
  readonly expires?: number;
  /**
   * Send a large file by caches, too. Without it a file of more than `PeerOptions.waitForLink` bytes waits until there is a link to
   * its recipient.
   */
  readonly insist?: boolean;
  /**
   * The id of the mail, 32 hex characters, in place of a random one: so that who does not know whether a mail was sent before a crash
   * can ask `track`, and send it again as the same. Its recipient sees it. Codes: "bad-id", "known" (a mail of ours has it).
   */
  readonly id?: string;
}

export interface SendingOptions {
  readonly store: Store;
  readonly random: Random;
  readonly call: <T>(what: Call) => Promise<T>;
  /** Whether a mail of ours has this id. */
  readonly isKnown: (id: string) => Promise<boolean>;
}

/** Sends. Every promise is rejected with what the peer refuses, or the store. */
export class Sending {
  readonly #call: SendingOptions["call"];
  readonly #isKnown: SendingOptions["isKnown"];
  readonly #uploads: Uploads;
  /** Ids that were given to us, of mails that are being sent. */
  readonly #given = new Set<string>();

  constructor(options: SendingOptions) {
    this.#call = options.call;
    this.#isKnown = options.isKnown;
    this.#uploads = new Uploads(options);
  }

  /** Resolves with the id of the mail when it is durable. `contact`: an id. */
  async toContact(contact: string, mail: string | OutgoingFile, options: SendOptions): Promise<string> {
    return this.#once(options.id, () => this.#toContact(contact, mail, options));
  }

  /** The same for each of a list; the id is that of all. */
  async toList(list: ListInfo, mail: string | OutgoingFile, options: SendOptions): Promise<string> {
    return this.#once(options.id, () => this.#toList(list, mail, options));
  }

  /** No two mails get one id. */
  async #once(id: string | undefined, send: () => Promise<string>): Promise<string> {
    if (id === undefined) return send();
    if (!MAIL_ID.test(id)) throw new RestanteError("bad-id", "the id of a mail is 32 hex characters, in lower case");
    if (this.#given.has(id)) throw new RestanteError("known", "a mail with this id is being sent");
    this.#given.add(id);
    try {
      if (await this.#isKnown(id)) throw new RestanteError("known", "a mail of ours has this id");
      return await send();
    } finally {
      this.#given.delete(id);
    }
  }

  async #toContact(contact: string, mail: string | OutgoingFile, options: SendOptions): Promise<string> {
    const outgoing = await this.#prepared(mail);
    try {
      return (await this.#call<{ id: string }>({ type: "send", contact, mail: outgoing, ...how(options) })).id;
    } catch (error) {
      if (isRefusal(error) && outgoing.kind === "file") await this.#uploads.drop(outgoing);
      throw error;
    }
  }

  async #toList(
    { name: list, contacts }: ListInfo,
    mail: string | OutgoingFile,
    options: SendOptions,
  ): Promise<string> {
    const first = await this.#prepared(mail);
    // Each mail erases its content when it is over: none may take that of another with it.
    const files = new Map<string, FileMail>();
    const to: { contact: string; mail: OutgoingMail }[] = [];
    try {
      for (const contact of contacts) {
        if (first.kind !== "file") to.push({ contact, mail: first });
        else {
          const file = files.size === 0 ? first : await this.#uploads.copy(first);
          files.set(contact, file);
          to.push({ contact, mail: file });
        }
      }
      const { id, refused } = await this.#call<FannedOut>({ type: "send-list", list, to, ...how(options) });
      for (const [contact] of refused) {
        const file = files.get(contact);
        if (file !== undefined) await this.#uploads.drop(file);
      }
      return id;
    } catch (error) {
      if (isRefusal(error)) for (const file of files.values()) await this.#uploads.drop(file);
      throw error;
    }
  }

  async #prepared(mail: string | OutgoingFile): Promise<OutgoingMail> {
    return typeof mail === "string" ? { kind: "text", text: mail } : this.#uploads.keep(mail);
  }
}

function how({ expires, insist, id }: SendOptions): { expires?: number; insist?: true; id?: string } {
  return { ...(expires !== undefined && { expires }), ...(insist && { insist }), ...(id !== undefined && { id }) };
}

/** Refused for what it is, not cut off by a stop or a failing disk: then nothing names the content, or ever will. */
function isRefusal(error: unknown): boolean {
  return !(error instanceof RestanteError) || !CUT_OFF.has(error.code);
}

/** Codes of calls of which we cannot know whether they were committed. */
const CUT_OFF = new Set(["restarted", "stopped", "not-running", "store-failed"]);
const MAIL_ID = /^[0-9a-f]{32}$/;
