/** Packets and texts: what every byte from the wire passes through, beside what the language has for the purpose. */
import {
  encodePacket,
  fromBase32,
  parseChannelPacket,
  parsePacket,
  scanChannelHead,
  siphash,
  toBase32,
} from "restante/protocol";
import { type Bench, timed } from "./harness.ts";

export function packets(): Bench[] {
  return [
    // The head of nearly every packet, by the scanner; then with the packet around it, as a channel takes it.
    timed("lob.decode", () => reading({ c: 17, seq: 1234, ack: 1230 }, scan)),
    timed("lob.decode.miss", () => reading({ c: 17, seq: 1234, ack: 1230, miss: [1, 4, 100], end: true }, scan)),
    timed("lob.decode.packet", () => reading({ c: 17, seq: 1234, ack: 1230 }, (packet) => parseChannelPacket(packet))),
    // Any other, by the strict parser.
    timed("lob.decode.strict", () => reading({ c: 17, seq: 1234, done: true }, (packet) => parsePacket(packet)?.json)),
    timed("base32.encode.32", () => {
      const bytes = random(32);
      return { work: () => (toBase32(bytes) ? 1 : 0) };
    }),
    timed("base32.decode.32", () => {
      const text = toBase32(random(32));
      return { work: () => (fromBase32(text) ? 1 : 0) };
    }),
    timed("siphash.32", () => {
      const [key, data] = [random(16), random(32)];
      return { work: () => (siphash(key, data) ? 1 : 0) };
    }),
  ];
}

/** Reads a packet with 1300 bytes behind this head. The ceiling: the head as text, by JSON.parse. */
function reading(
  head: Parameters<typeof encodePacket>[0],
  read: (packet: Uint8Array, headLength: number) => unknown,
): ReturnType<Parameters<typeof timed>[1]> {
  const packet = encodePacket(head, random(1300));
  const bytes = parsePacket(packet)?.head ?? packet;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return {
    work: () => (read(packet, bytes.length) === undefined ? 0 : 1),
    ceiling: () => (JSON.parse(decoder.decode(bytes)) === undefined ? 0 : 1),
  };
}

function scan(packet: Uint8Array, headLength: number): unknown {
  return scanChannelHead(packet, LENGTH_BYTES, LENGTH_BYTES + headLength);
}

function random(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

const LENGTH_BYTES = 2;
