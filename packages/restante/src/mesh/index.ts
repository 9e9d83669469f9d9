/** Links to other peers: paths, handshakes, keepalive. protocol/exchange.md */
export { type Noise, noiseProblem } from "./floors.ts";
export { type DropReason, Mesh, type MeshIn, type MeshOptions, type MeshOut } from "./mesh.ts";
export type { Routing } from "./routing.ts";
