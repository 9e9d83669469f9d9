/** What the socket benches and their two ends tell each other. */

/** How two ends are connected. `raw`: by the bare sockets of Node. */
export interface Wiring {
  readonly transport: "udp" | "tcp";
  readonly cloaked: boolean;
  readonly raw: boolean;
}

/** What an end is told: `start` first; then one of the two `connect`; then it is asked. Each is answered once. */
export type ToEnd =
  | ({ readonly type: "start" } & Wiring)
  | { readonly type: "connect"; readonly to: Address }
  /** Send so many bursts, a few of which may be under way at once. */
  | { readonly type: "send"; readonly bursts: number }
  | { readonly type: "report" };

export interface Address {
  readonly port: number;
  readonly hashname: string;
  readonly keys: Record<string, string>;
}

/** Where the end listens; or the CPU time that it took so far, in microseconds, and the packets that came in. */
export type FromEnd = Address | { readonly cpu: number; readonly packets: number };

/** Packets that leave without waiting: few enough for any socket's buffer. */
export const BURST = 32;
/** Bytes of a body. */
export const PACKET = 1300;
