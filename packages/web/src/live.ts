/**
 * What happens at the daemon, told to all tabs of this browser by one connection. A browser has some six connections to a server
 * of HTTP/1.1 for all of its tabs: if each tab kept one open, the seventh would wait for ever. One tab, the one that holds the
 * lock, listens and passes on; when it is closed the next one does.
 */
import { call, events, type LiveEvent, Refusal } from "./api.ts";

/** What tabs tell each other. */
type Word =
  | { readonly type: "who" }
  | { readonly type: "listening"; readonly isSo: boolean }
  | { readonly type: "event"; readonly event: LiveEvent };

/** The tab's way to the events. Made once. */
export class Live {
  readonly #channel = "locks" in navigator ? new BroadcastChannel("restante") : undefined;
  readonly #words = new EventTarget();
  #isFirst = this.#channel === undefined;
  #isListening = false;

  constructor() {
    const channel = this.#channel;
    if (channel === undefined) return; // a browser without locks, or without TLS: each tab for itself
    channel.onmessage = ({ data }: MessageEvent<Word>) => {
      if (data.type === "who" && this.#isFirst) this.#say({ type: "listening", isSo: this.#isListening });
      this.#words.dispatchEvent(new CustomEvent("word", { detail: data }));
    };
    navigator.locks
      .request("restante-live", () => {
        this.#isFirst = true;
        this.#words.dispatchEvent(new Event("first"));
        return new Promise(() => {}); // until the tab is closed
      })
      .catch(() => {});
  }

  /** As `events`: everything that happens from when it resolves on, until `ended`. Rejects when nobody listens now. */
  async listen(signal: AbortSignal, tell: (event: LiveEvent) => void): Promise<{ ended: Promise<void> }> {
    if (!this.#isFirst) {
      const heard = await this.#overhear(signal, tell);
      if (heard !== undefined) return heard;
    }
    const live = await events(signal, (event) => {
      tell(event);
      this.#say({ type: "event", event });
    });
    this.#isListening = true;
    this.#say({ type: "listening", isSo: true });
    const ended = live.ended.then(() => {
      this.#isListening = false;
      this.#say({ type: "listening", isSo: false });
    });
    return { ended };
  }

  /** Events by the first tab. `undefined`: it does not say anything, or this one has become the first. */
  async #overhear(
    signal: AbortSignal,
    tell: (event: LiveEvent) => void,
  ): Promise<{ ended: Promise<void> } | undefined> {
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    let isOpen = false;
    const answer = new Promise<boolean | undefined>((resolve) => {
      const word = (event: Event): void => {
        const said = (event as CustomEvent<Word>).detail;
        if (said.type === "event" && isOpen) tell(said.event);
        if (said.type !== "listening") return;
        if (isOpen && !said.isSo) over.abort();
        isOpen = said.isSo;
        resolve(said.isSo);
      };
      this.#words.addEventListener("word", word, { signal: until });
      this.#words.addEventListener("first", () => over.abort(), { signal: until });
      until.addEventListener("abort", () => resolve(undefined), { once: true });
      setTimeout(resolve, PATIENCE_MS, undefined);
    });
    this.#say({ type: "who" });
    const isSo = await answer;
    if (isSo === true) {
      const ended = new Promise<void>((resolve) => until.addEventListener("abort", () => resolve(), { once: true }));
      return { ended: until.aborted ? Promise.resolve() : ended };
    }
    over.abort();
    if (isSo === undefined) return undefined;
    // The first tab has lost the daemon. Whether that is for want of a session this tab learns by itself.
    await call("GET", "/v1/status");
    throw new Refusal(0, "away", "Restante does not answer. Is it running?");
  }

  #say(word: Word): void {
    this.#channel?.postMessage(word);
  }
}

const PATIENCE_MS = 2000; // a tab that sleeps answers nobody
