/** How long to wait for somebody to answer online before going offline: as long as they took lately, and some. */
import type { PeerId } from "../format/index.ts";

/** What is known of the peers that were called lately: at most 1000 of them. */
export class Reach {
  /** Never longer than that, in milliseconds. */
  readonly #most: number;
  readonly #peers = new Map<PeerId, { took: number; failed: number | undefined }>();

  constructor(most: number = MOST_MS) {
    this.#most = most;
  }

  /** How long to wait now. 0: they did not answer a moment ago, do not try. */
  timeout(peer: PeerId, now: number): number {
    const known = this.#peers.get(peer);
    if (known?.failed !== undefined && now - known.failed < QUIET_MS && now >= known.failed) return 0;
    const took = known === undefined || known.took === 0 ? DEFAULT_MS : 4 * known.took + 1000;
    return Math.min(this.#most, Math.max(LEAST_MS, took));
  }

  /** They answered after so many milliseconds. */
  answered(peer: PeerId, took: number): void {
    const known = this.#peers.get(peer);
    const smooth = known === undefined || known.took === 0 ? took : known.took * 0.75 + took * 0.25;
    this.#keep(peer, { took: Math.max(1, smooth), failed: undefined });
  }

  /** They did not answer in time. */
  failed(peer: PeerId, now: number): void {
    this.#keep(peer, { took: this.#peers.get(peer)?.took ?? 0, failed: now });
  }

  /** They were heard of: the next call may find them. */
  heard(peer: PeerId): void {
    const known = this.#peers.get(peer);
    if (known !== undefined) known.failed = undefined;
  }

  #keep(peer: PeerId, what: { took: number; failed: number | undefined }): void {
    this.#peers.delete(peer); // the last one touched is the last one dropped
    this.#peers.set(peer, what);
    for (const oldest of this.#peers.keys()) {
      if (this.#peers.size <= PEERS) break;
      this.#peers.delete(oldest);
    }
  }
}

const DEFAULT_MS = 8000;
const LEAST_MS = 2000;
const MOST_MS = 30_000; // D12
const QUIET_MS = 60_000;
const PEERS = 1000;
