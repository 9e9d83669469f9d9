/** Wire: packets, and how they travel on streams and under a cloak. */
export { ChunkStream, type ChunkStreamIn, type ChunkStreamOptions, type ChunkStreamOut } from "./chunk-stream.ts";
export { countChunks, Dechunker, encodeChunks, encodeFrames } from "./chunks.ts";
export {
  ALL_ROUNDS,
  type CloakLayers,
  cloak,
  decloak,
  decloakInPlace,
  MAX_ROUNDS,
  type StreamCipher,
} from "./cloak.ts";
export { type ChannelHead, channelHeadLength, type ScannedHead, scanChannelHead, writeChannelHead } from "./head.ts";
export { jweToPacket, jwsToPacket, packetToJwe, packetToJws } from "./jose.ts";
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
export { NoiseFloor, type NoiseFloorIn, type NoiseFloorOptions, type NoiseFloorOut } from "./noise.ts";
export { encodePacket, type Packet, parsePacket } from "./packet.ts";
