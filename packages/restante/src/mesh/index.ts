/** Links to other peers: paths, handshakes, keepalive. protocol/exchange.md */
export type { DropReason, MeshIn, MeshOptions, MeshOut } from "./contract.ts";
export { type Noise, noiseProblem } from "./floors.ts";
export { Mesh } from "./mesh.ts";
export type { Routing } from "./routing.ts";
