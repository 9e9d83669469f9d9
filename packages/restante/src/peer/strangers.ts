/**
 * Strangers who knock: what the application is asked about them, whom it let in, and the admission URIs of all who came in.
 * Strangers cost nothing and come in masses, so everything here is bounded. protocol/exchange.md §5
 */
import type { Hashname } from "../crypto/index.ts";

/** What the application is asked with: a handshake. */
interface Asked {
  readonly hashname: Hashname;
}

export class Strangers<Handshake extends Asked> {
  /** Questions that are open, by whom they are about: what to ask about after a no, or that no answer is needed. */
  readonly #asking = new Map<Hashname, Handshake | "settled" | undefined>();
  /** Whom the application let in, until their link goes down. */
  readonly #approved = new Set<Hashname>();
  readonly #up = new Set<Hashname>();
  /** The URIs that peers with a link which is up showed last. */
  readonly #shown = new Map<Hashname, string>();
  /** Those of peers whose links are not up: anybody with an invite can make many of them. */
  readonly #showing = new Map<Hashname, string>();

  /** Whether to ask the application now. If not, it has not answered the question before, or too many others. */
  asks(handshake: Handshake): boolean {
    const { hashname } = handshake;
    const isOpen = this.#asking.has(hashname);
    if (!isOpen && this.#asking.size >= ASKING) return false;
    this.#asking.set(hashname, isOpen ? handshake : undefined);
    return !isOpen;
  }

  /** Somebody was let in without the application's word: one that is still to come counts for nothing. */
  settle(hashname: Hashname): void {
    if (this.#asking.has(hashname)) this.#asking.set(hashname, "settled");
  }

  /**
   * What follows from a word of the application: nothing, when it was not asked or need not have been; or, after a no, a
   * question about what has come since.
   */
  answered(hashname: Hashname, ok: boolean): "yes" | "no" | "nothing" | Handshake {
    const since = this.#asking.get(hashname);
    if (!this.#asking.delete(hashname) || since === "settled") return "nothing";
    if (!ok) return since ?? "no";
    this.#approved.add(hashname);
    const [oldest] = this.#approved; // most likely one whose link never came up
    if (this.#approved.size > APPROVED && oldest !== undefined) this.#approved.delete(oldest);
    return "yes";
  }

  isApproved(hashname: Hashname): boolean {
    return this.#approved.has(hashname);
  }

  /** Keeps the admission URI of a peer that was let in. */
  note(hashname: Hashname, uri: string): void {
    (this.#up.has(hashname) ? this.#shown : this.#showing).set(hashname, uri);
    const [oldest] = this.#showing.keys();
    if (this.#showing.size > SHOWING && oldest !== undefined) this.#showing.delete(oldest);
  }

  /** The admission URI that a peer with a link has shown last. */
  uriOf(hashname: Hashname): string | undefined {
    return this.#shown.get(hashname);
  }

  /** A link came up, or went down. */
  link(hashname: Hashname, isUp: boolean): void {
    const uri = (isUp ? this.#showing : this.#shown).get(hashname);
    if (isUp) {
      this.#up.add(hashname);
      this.#showing.delete(hashname);
    } else {
      this.#up.delete(hashname);
      this.#shown.delete(hashname);
      this.#approved.delete(hashname);
    }
    if (uri !== undefined) this.note(hashname, uri);
  }
}

const ASKING = 256; // as many as the mesh has waiting
const APPROVED = 4096;
const SHOWING = 1024; // links come up or not within 30 s
