/** Links to other peers: paths, handshakes, keepalive. protocol/exchange.md */
export { type DropReason, Mesh, type MeshIn, type MeshOptions, type MeshOut } from "./mesh.ts";
