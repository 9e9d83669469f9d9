/** Messages (`e3x.CS...`) and channel packets (`channel.CS...`) of each cipher set, on each backend that has it. */
import {
  type Backend,
  type CipherSet,
  createCrypto,
  createIdentity,
  encodeChannelPacket,
  openMessage,
  parseChannelPacket,
  pooled,
  sealMessage,
} from "restante/protocol";
import { everySet } from "../cipher-sets.ts";
import {
  type Ceilings,
  type Operation,
  primitiveCeilings,
  rsaCeilings,
  smallCurveCeilings,
  sodiumCeilings,
} from "./ceilings.ts";
import { type Bench, timed, type Work } from "./harness.ts";

/** The benches of all sets. The first backend is the usual one; keys of the others end in their name. */
export async function cipherSets(backends: readonly (readonly [name: string, backend: Backend])[]): Promise<Bench[]> {
  const sodium = await sodiumCeilings(MESSAGE, PACKET);
  const lazily = (make: () => Ceilings): (() => Ceilings) => {
    let made: Ceilings | undefined;
    return () => {
      made ??= make();
      return made;
    };
  };
  const [rsa, smallCurve] = [
    lazily(() => rsaCeilings(MESSAGE, PACKET)),
    lazily(() => smallCurveCeilings(MESSAGE, PACKET)),
  ];
  return backends.flatMap(([name, backend], i) => {
    const suffix = i === 0 ? "" : `.${name}`;
    const own = (): Ceilings => primitiveCeilings(backend, MESSAGE, PACKET);
    const isNative = name === "native";
    const ceilings: Readonly<Record<number, (() => Ceilings) | undefined>> = {
      58: lazily(() => (isNative && sodium) || own()),
      42: rsa,
      26: isNative ? smallCurve : undefined,
    };
    return everySet(backend)
      .toReversed()
      .flatMap((set) => benches(set, backend, suffix, ceilings[set.csid]));
  });
}

function benches(set: CipherSet, backend: Backend, suffix: string, ceilings: (() => Ceilings) | undefined): Bench[] {
  const text = set.csid.toString(16);
  const bench = (key: string, operation: Operation, prepare: () => Work): Bench =>
    timed(`${key}${suffix}`, () => ({ work: prepare(), ceiling: ceilings?.()[operation] }));
  return [
    bench(`e3x.${text}.seal.reused`, "seal.reused", () => messages(set, backend).seal(true)),
    bench(`e3x.${text}.seal.fresh`, "seal.fresh", () => messages(set, backend).seal(false)),
    bench(`e3x.${text}.open.cached`, "open.cached", () => messages(set, backend).open(true)),
    bench(`e3x.${text}.open.fresh`, "open.fresh", () => messages(set, backend).open(false)),
    bench(`channel.${text}.send`, "send", () => channel(set).send),
    bench(`channel.${text}.receive`, "receive", () => channel(set).receive),
  ];
}

/** Fresh: an exchange for each message, as mail is sealed. Reused: many messages of one exchange. */
function messages(set: CipherSet, backend: Backend): { seal(reused: boolean): Work; open(cached: boolean): Work } {
  const crypto = createCrypto(backend, [set]);
  const [from, to] = [createIdentity(crypto, random), createIdentity(crypto, random)];
  const [ourKey, theirKey] = [from.keys.get(set.csid), to.keys.get(set.csid)];
  const ephemeral = theirKey && set.exchange(theirKey, random);
  if (ourKey === undefined || ephemeral === undefined) throw new Error("no exchange");
  const inner = random(MESSAGE);
  const seal = (reused: boolean): Uint8Array => {
    const outer = reused
      ? sealMessage(crypto, { from, to: to.keys, inner, random, ephemeral })
      : sealMessage(crypto, { from, to: to.keys, inner, random });
    if (outer === undefined) throw new Error("not sealed");
    return outer;
  };
  return {
    seal: (reused) => () => (seal(reused).length > 0 ? 1 : 0),
    open(cached) {
      // More exchanges than a cipher set remembers, so that each is as good as new.
      const outers = Array.from({ length: cached ? SAMPLES : EXCHANGES }, () => seal(cached));
      let i = 0;
      return () => {
        const opened = openMessage(crypto, to, outers[i++ % outers.length] ?? inner);
        if (opened?.verify(ourKey) !== true) throw new Error("does not open");
        return 1;
      };
    },
  };
}

/** From the application's bytes to the outer packet and back, as an exchange does it. */
function channel(set: CipherSet): { send: Work; receive: Work } {
  const { key } = set.generate(random);
  const [ours, theirs] = [set.exchange(key, random), set.exchange(key, random)];
  const [sends, receives] = [
    ours && theirs && set.channel(ours, theirs.key),
    ours && theirs && set.channel(theirs, ours.key),
  ];
  if (sends === undefined || receives === undefined) throw new Error("no channel");
  const [token, body] = [random(16), random(PACKET)];
  const front = sends.inPlace === undefined ? 0 : OUTER_HEAD + (set.channelFront ?? 0);
  let seq = SEQ;
  const send = (): Uint8Array => {
    seq = seq === 2 * SEQ ? SEQ : seq + 1;
    const packet = encodeChannelPacket(
      front,
      { c: 1, seq, ack: undefined, miss: undefined, end: false },
      undefined,
      body,
    );
    if (sends.inPlace === undefined) return sends.seal(token, packet, random);
    sends.inPlace.seal(token, packet.subarray(OUTER_HEAD), random);
    return packet;
  };
  const packets = Array.from({ length: SAMPLES }, () => {
    const packet = send();
    return (sends.inPlace === undefined ? packet : packet.subarray(OUTER_HEAD)).slice();
  });
  const datagram = new Uint8Array(packets[0]?.length ?? 0);
  let i = 0;
  return {
    send: () => (send().length > 0 ? 1 : 0),
    receive() {
      datagram.set(packets[i++ % packets.length] ?? body); // it is overwritten each time, and the same packets come again
      const { inPlace } = receives;
      const inner = inPlace === undefined ? receives.open(datagram) : datagram;
      const at = inPlace === undefined ? 0 : inPlace.open(datagram, 0);
      if (inner === undefined || at < 0 || parseChannelPacket(inner, at) === undefined)
        throw new Error("does not open");
      return 1;
    },
  };
}

const random = pooled((length) => crypto.getRandomValues(new Uint8Array(length)));
const MESSAGE = 256; // bytes
const PACKET = 1300;
const OUTER_HEAD = 2; // bytes: the LOB length of no head
const EXCHANGES = 1100;
const SAMPLES = 16;
const SEQ = 10_000; // numbers of five digits, so that all packets are equally long
