/** End-to-end encrypted exchanges: messages, handshakes, channels. protocol/exchange.md, protocol/channels.md */
export { type ChannelPacket, encodeChannelPacket, parseChannelPacket } from "./channel.ts";
export {
  type ChannelEvent,
  Channels,
  type ChannelsIn,
  type ChannelsOut,
  type Held,
  oneByOne,
  type PacketEvent,
  type PacketRow,
  packetRoom,
} from "./channels.ts";
export {
  Exchange,
  type ExchangeIn,
  type ExchangeOptions,
  type ExchangeOut,
  type OuterPacket,
  type ReceivedHandshake,
  type RemoteExchange,
} from "./exchange.ts";
export {
  FRAGMENT_LIMITS,
  type FragmentLimits,
  Fragments,
  type FragmentsIn,
  type FragmentsOut,
  type MessageFragment,
  parseMessageFragment,
  splitPacket,
} from "./fragments.ts";
export {
  encodeHandshake,
  fitsHandshake,
  HANDSHAKE_BYTES,
  type HandshakeMessage,
  type KeyPacket,
  keyPacket,
  MAX_AT,
  parseHandshake,
  parseKeyPacket,
} from "./handshake.ts";
/** What an exchange decides about handshakes: plain data, for models and tests of it. protocol/exchange.md §3-4 */
export * as handshaking from "./handshaking.ts";
export { type OpenMessage, openMessage, type SealOptions, sealMessage } from "./message.ts";
export { decodePayload, encodePayload } from "./payload.ts";
