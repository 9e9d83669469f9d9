/**
 * The porter: who knocks is let in, is told to the application, or hears nothing. Nothing else decides whether a stranger
 * learns that we exist. protocol/admission.md, protocol/exchange.md §5
 */
import type { Time } from "../bytes/index.ts";
import { parseSecretUri } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { HandshakeMessage } from "../e3x/index.ts";
import type { MeshOut } from "../mesh/index.ts";
import type { Blocked } from "./blocked.ts";
import type { Book } from "./book.ts";
import type { HandshakeInfo } from "./contract.ts";
import type { Door } from "./door.ts";
import type { Links } from "./links.ts";
import type { Step } from "./step.ts";
import { Strangers } from "./strangers.ts";

export interface PorterOptions {
  readonly blocked: Blocked;
  readonly book: Book;
  readonly door: Door;
  readonly links: Links;
  /** Whether the application decides about strangers. Otherwise they are refused. */
  readonly asks: boolean;
}

/** Judges handshakes by what they show, and by the application's word. */
export class Porter {
  readonly #options: PorterOptions;
  readonly #strangers = new Strangers<HandshakeInfo>();

  constructor(options: PorterOptions) {
    this.#options = options;
  }

  /** Somebody proved who it is, or a peer with a link shows another admission URI. */
  handshake(out: Extract<MeshOut, { type: "handshake" }>, now: Time): Step[] {
    const { hashname, keys, path, messages, isNew } = out;
    const uri = uriIn(messages);
    const isWelcome = this.#isWelcome(hashname, uri, now);
    // Of those whom nobody let in nothing is kept.
    if (uri !== undefined && (isWelcome || !isNew)) this.#strangers.note(hashname, uri);
    if (isWelcome) {
      this.#strangers.settle(hashname);
      return [{ child: "mesh", input: { type: "approve", hashname } }];
    }
    if (this.#options.asks && isNew && !this.#options.blocked.has(hashname))
      return this.#ask({ hashname, keys, path, messages });
    // A key handshake whose `uri` part is still on its way is not decided: the mesh asks again when that comes.
    return uri === undefined ? [] : [{ child: "mesh", input: { type: "reject", hashname } }];
  }

  /** The application's word on an `ask`. */
  asked(hashname: Hashname, ok: boolean): Step[] {
    const verdict = this.#strangers.answered(hashname, ok);
    if (verdict === "nothing") return [];
    if (verdict === "yes") return [{ child: "mesh", input: { type: "approve", hashname } }];
    // Whoever has become one of ours while the application thought about it stays so.
    if (this.#options.links.isOurs(hashname)) return [];
    return verdict === "no" ? [{ child: "mesh", input: { type: "reject", hashname } }] : this.#ask(verdict);
  }

  /** A link came up, or went down. */
  link(hashname: Hashname, isUp: boolean): void {
    this.#strangers.link(hashname, isUp);
  }

  /** Whether `from` may reach `to` by us. */
  mayReach(from: Hashname, to: Hashname, now: Time): boolean {
    const { book, door } = this.#options;
    return book.isPeer(from) || door.mayReach(this.#strangers.uriOf(from), from, to, now);
  }

  #isWelcome(hashname: Hashname, uri: string | undefined, now: Time): boolean {
    const { blocked, book, door, links } = this.#options;
    if (links.isOurs(hashname)) return true;
    // An invite of ours says that we want to hear of somebody. A token is the word of one whose mail we keep: his affair.
    if (blocked.has(hashname)) return uri !== undefined && !parseSecretUri(uri) && door.admits(uri, hashname, now);
    // Another device of a contact, perhaps: before it has shown itself nothing is sent to it but the link.
    if (this.#strangers.isApproved(hashname) || book.isNamed(hashname)) return true;
    return uri !== undefined && door.admits(uri, hashname, now);
  }

  #ask(handshake: HandshakeInfo): Step[] {
    return this.#strangers.asks(handshake) ? [{ type: "ask", ...handshake }] : [];
  }
}

/** The admission URI that a handshake shows. */
function uriIn(messages: readonly HandshakeMessage[]): string | undefined {
  const uri = messages.find(({ type }) => type === "uri")?.json["uri"];
  return typeof uri === "string" ? uri : undefined;
}
