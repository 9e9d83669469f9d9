/**
 * Runs the one bench that it is told, in a process of its own: what ran before would cost it, in the compiler's eyes and the
 * collector's, and a key alone would have other figures than among all.
 */
import { benches } from "./benches.ts";
import { findPeers, peerBench } from "./peers/peers.ts";

process.once("message", async (key: string) => {
  const peers = key.startsWith("peer.") ? findPeers().peers.map((peer) => peerBench(peer)) : undefined;
  const bench = (peers ?? (await benches())).find(({ keys }) => keys.includes(key));
  process.send?.((await bench?.run()) ?? {});
  process.disconnect();
});
process.send?.("ready"); // what is told before somebody listens can get lost
