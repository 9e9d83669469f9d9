/** Wire: packets, and how they travel on streams and under a cloak. */
export { Dechunker, encodeChunks } from "./chunks.ts";
export { cloak, decloak, type StreamCipher } from "./cloak.ts";
export {
  encodeJson,
  flag,
  hasOnly,
  isObject,
  type Json,
  type JsonLimits,
  type JsonObject,
  parseJson,
  text,
  uint,
  uint64,
} from "./json.ts";
export { encodePacket, type Packet, parsePacket } from "./packet.ts";
