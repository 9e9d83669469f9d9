import { expect, test } from "vitest";
import { equal } from "../bytes/index.ts";
import { encodePacket, type JsonObject, parsePacket } from "../wire/index.ts";
import { type ChannelEvent, Channels, type ChannelsIn, type ChannelsOptions, type ChannelsOut } from "./channels.ts";
import { decodePayload, encodePayload } from "./payload.ts";

/** A conversation with everything in it; gives what each side sent, and what it was told. `wire`: what becomes of packets. */
function converse(
  options: Partial<ChannelsOptions>,
  wire: (inner: Uint8Array) => Uint8Array = (inner) => inner.slice(),
): { sent: ChannelsOut[]; told: ChannelEvent[] } {
  const sent: ChannelsOut[] = [];
  const told: ChannelEvent[] = [];
  let handle = 100;
  const sides = ([1, 0] as const).map((order) => new Channels({ order, handles: () => handle++, ...options }));
  const act = (side: number, input: ChannelsIn): void => {
    for (const out of sides[side]?.handle(input, 1000) ?? []) {
      if (out.type !== "transmit") told.push(out);
      else {
        sent.push({ ...out, inner: out.inner.slice() });
        act(1 - side, { type: "received", packets: [{ inner: wire(out.inner.subarray(out.at)), at: 0 }] });
      }
    }
  };
  const body = new Uint8Array(1200).fill(7);
  act(0, { type: "open", ch: 1, reliable: true, head: { type: "chat", to: "somebody" }, body });
  act(1, { type: "took", ch: 100 });
  for (let i = 0; i < 5; i++) act(0, { type: "send", ch: 1, head: i % 2 === 0 ? {} : { n: i, odd: true }, body });
  for (let i = 0; i < 5; i++) act(1, { type: "took", ch: 100 });
  act(0, { type: "send", ch: 1, head: {}, body: body.subarray(0, 0), end: true });
  act(1, { type: "send", ch: 100, head: { done: true }, body, end: true });
  act(0, { type: "took", ch: 1 });
  act(0, { type: "open", ch: 2, reliable: false, head: { type: "ping" }, body: body.subarray(0, 3) });
  act(1, { type: "fail", ch: 101, err: "no" });
  return { sent, told };
}

test("with room in front each inner packet is the end of an array that is free before it, and nothing else differs", () => {
  const [plain, roomy] = [converse({}), converse({ front: 58 })];
  expect(roomy.told).toEqual(plain.told);
  expect(roomy.sent.length).toBe(plain.sent.length);
  let inPlace = 0;
  roomy.sent.forEach((out, i) => {
    const other = plain.sent[i];
    if (out.type !== "transmit" || other?.type !== "transmit") throw new Error("expected packets");
    expect(other.at).toBe(0);
    if (out.at !== 58) return;
    inPlace++;
    expect(equal(out.inner.subarray(58), other.inner)).toBe(true);
    expect(out.inner.subarray(0, 58).every((byte) => byte === 0)).toBe(true);
  });
  expect(inPlace).toBe(roomy.sent.length);
});

test("two sides that speak CBOR tell their applications the same, in fewer bytes", () => {
  let [lob, cbor] = [0, 0];
  const spoken = converse({}, (inner) => {
    const payload = encodePayload(inner);
    lob += inner.length;
    cbor += payload.length;
    return decodePayload(payload) ?? expect.unreachable();
  });
  expect(spoken.told).toEqual(converse({}).told);
  expect(cbor).toBeLessThan(lob);
});

test("a body is copied where it does not leave at once, and nowhere is it kept", () => {
  for (const credit of [0, 10_000]) {
    const channels = new Channels({ order: 1, handles: () => 9 });
    const body = new Uint8Array(100).fill(7);
    channels.handle({ type: "credit", bytes: credit }, 0);
    const open = { type: "open", ch: 1, reliable: false, head: { type: "x" }, body } as const;
    const sent = [...channels.handle(open, 0), ...channels.handle({ type: "send", ch: 1, head: {}, body }, 0)];
    body.fill(9);
    sent.push(...channels.handle({ type: "credit", bytes: 10_000 }, 0));
    const bodies = sent.map((out) => out.type === "transmit" && parsePacket(out.inner)?.body);
    expect(bodies).toEqual([new Uint8Array(100).fill(7), new Uint8Array(100).fill(7)]);
  }
});

test("a head that cannot change is written once, and says what any other says; one that can is not remembered", () => {
  const channels = new Channels({ order: 1, handles: () => 100 });
  channels.handle({ type: "open", ch: 1, reliable: false, head: { type: "chat" }, body: new Uint8Array(0) }, 0);
  const said = (head: JsonObject): unknown => {
    const [out] = channels.handle({ type: "send", ch: 1, head, body: Uint8Array.of(1) }, 0);
    return out?.type === "transmit" && parsePacket(out.inner)?.json;
  };
  const frozen = Object.freeze({ done: true, n: 5 });
  const shallow = Object.freeze({ list: [1] });
  for (let i = 0; i < 3; i++) {
    expect(said(frozen)).toEqual({ c: 1, done: true, n: 5 });
    shallow.list[0] = i;
    expect(said(shallow)).toEqual({ c: 1, list: [i] });
  }
  const bad = Object.freeze({ seq: 3 });
  for (let i = 0; i < 2; i++) expect(() => said(bad)).toThrow("only the open packet has a type");
});

test("a body that is given leaves as it is, when it leaves and when it leaves again", () => {
  const channels = new Channels({ order: 1, handles: () => 100 });
  channels.handle({ type: "open", ch: 1, reliable: true, head: { type: "chat" }, body: new Uint8Array(0) }, 0);
  const body = Uint8Array.of(1, 2, 3);
  const bodies = (outs: readonly ChannelsOut[]): Uint8Array[] =>
    outs.flatMap((out) => {
      const packet = out.type === "transmit" ? parsePacket(out.inner.slice()) : undefined;
      return packet === undefined || packet.body.length === 0 ? [] : [packet.body];
    });
  expect(bodies(channels.handle({ type: "send", ch: 1, head: {}, body, isGiven: true }, 0))).toEqual([body]);
  channels.handle({ type: "received", packets: [{ inner: encodePacket({ c: 1, ack: 1 }), at: 0 }] }, 1);
  expect(bodies(channels.handle({ type: "tick" }, channels.deadline() ?? 0))).toEqual([body]);
});
