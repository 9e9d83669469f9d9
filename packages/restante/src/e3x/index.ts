/** End-to-end encrypted exchanges: messages, handshakes, channels. protocol/exchange.md, protocol/channels.md */
export { type ChannelEvent, Channels, type ChannelsIn, type ChannelsOut, type Held, packetRoom } from "./channels.ts";
export {
  Exchange,
  type ExchangeIn,
  type ExchangeOptions,
  type ExchangeOut,
  type ReceivedHandshake,
  type RemoteExchange,
} from "./exchange.ts";
export {
  encodeHandshake,
  HANDSHAKE_BYTES,
  type HandshakeMessage,
  type KeyPacket,
  keyPacket,
  MAX_AT,
  parseHandshake,
  parseKeyPacket,
} from "./handshake.ts";
export { type OpenMessage, openMessage, type SealOptions, sealMessage } from "./message.ts";
