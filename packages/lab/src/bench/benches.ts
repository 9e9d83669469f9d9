/** What is measured: the primitives that decide the speed of a node, and one mail from end to end. */
import { memoryBoxStore } from "restante";
import {
  type Backend,
  box,
  type Crypto,
  createCrypto,
  createIdentity,
  cs3a,
  encodePacket,
  fromBase32,
  openMessage,
  parsePacket,
  portable,
  sealMessage,
  siphash,
  toBase32,
} from "restante/protocol";
import { Chance, World } from "restante/testing";
import type { Bench } from "./harness.ts";

const { random } = new Chance(1);
const NOW = 1_700_000_000_000;

/** All benches; those of the native backend only where it loads. */
export function benches(native: Backend | undefined): Bench[] {
  const backends: [string, Backend][] = [
    ["portable", portable],
    ...(native ? [["native", native] as [string, Backend]] : []),
  ];
  return [
    ...backends.flatMap(([name, backend]) => [
      ...messages(name, backend),
      ...channels(name, backend),
      hashing(name, backend),
    ]),
    ...packets(),
    ...texts(),
    { key: "cache.accept.256", prepare: cacheAccept },
    ...backends.map(([name, backend]): Bench => ({ key: `mail.direct.${name}`, prepare: () => mailDirect(backend) })),
  ];
}

/** What one run tells: how many times the first costs the second. Steadier than the figures themselves. */
export const RATIOS: readonly (readonly [dividend: string, divisor: string])[] = [
  ["message.seal.256.portable.fresh", "message.seal.256.native.fresh"],
  ["message.open.256.portable.fresh", "message.open.256.native.fresh"],
  ["message.seal.256.native.fresh", "message.seal.256.native.reused"],
  ["channel.seal.1300.portable", "channel.seal.1300.native"],
  ["lob.parse.head", "lob.parse.head.builtin"],
  ["base32.decode.32", "base32.encode.32"],
  ["mail.direct.portable", "mail.direct.native"],
];

/** Messages of set 3a. Fresh: an exchange for each, as mail is sealed. Reused: many of one exchange. */
function messages(name: string, backend: Backend): Bench[] {
  const crypto = createCrypto(backend);
  const [from, to] = [createIdentity(crypto, random), createIdentity(crypto, random)];
  const inner = random(256);
  const seal = (of: Crypto, reused: boolean): Uint8Array => {
    const ephemeral = reused ? { ephemeral: pair } : {};
    return sealMessage(of, { from, to: to.keys, inner, random, ...ephemeral }) ?? inner;
  };
  const pair = cs3a(backend).generate(random);
  const open = (outers: readonly Uint8Array[]) => {
    let i = 0;
    return () => {
      const opened = openMessage(crypto, to, outers[i++ % outers.length] ?? inner);
      if (opened?.verify(from.keys.get(0x3a) ?? inner) !== true) throw new Error("does not open");
      return 1;
    };
  };
  return [
    { key: `message.seal.256.${name}.fresh`, prepare: () => () => seal(crypto, false) && 1 },
    { key: `message.seal.256.${name}.reused`, prepare: () => () => seal(crypto, true) && 1 },
    // More than the secrets that a cipher set remembers, so that every one of them is agreed again.
    { key: `message.open.256.${name}.fresh`, prepare: () => open(many(1100, () => seal(crypto, false))) },
    { key: `message.open.256.${name}.reused`, prepare: () => open(many(8, () => seal(crypto, true))) },
  ];
}

/** Channel packets with 1300 bytes inside. */
function channels(name: string, backend: Backend): Bench[] {
  const set = cs3a(backend);
  const [ours, theirs] = [set.generate(random), set.generate(random)];
  const [sends, receives] = [set.channel(ours, theirs.key), set.channel(theirs, ours.key)];
  if (sends === undefined || receives === undefined) throw new Error("no channel");
  const [token, inner] = [random(16), random(1300)];
  const body = sends.seal(token, inner, random);
  return [
    { key: `channel.seal.1300.${name}`, prepare: () => () => sends.seal(token, inner, random) && 1 },
    { key: `channel.open.1300.${name}`, prepare: () => () => (receives.open(body) ? 1 : 0) },
  ];
}

function hashing(name: string, backend: Backend): Bench {
  const [key, data] = [random(16), random(256)];
  return { key: `siphash.256.${name}`, prepare: () => () => (backend.siphash(key, data) ? 1 : 0) };
}

/** The head of a channel packet, read by our strict parser and by the lax one of the language. */
function packets(): Bench[] {
  const packet = encodePacket({ c: 17, seq: 1234, ack: 1230, miss: [1, 4, 100], end: true }, random(1000));
  const head = parsePacket(packet)?.head ?? packet;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return [
    { key: "lob.parse.head", prepare: () => () => (parsePacket(packet)?.json ? 1 : 0) },
    { key: "lob.parse.head.builtin", prepare: () => () => (JSON.parse(decoder.decode(head)) ? 1 : 0) },
  ];
}

function texts(): Bench[] {
  const bytes = random(32);
  const text = toBase32(bytes);
  const [key, data] = [random(16), random(32)];
  return [
    { key: "base32.encode.32", prepare: () => () => (toBase32(bytes) ? 1 : 0) },
    { key: "base32.decode.32", prepare: () => () => (fromBase32(text) ? 1 : 0) },
    { key: "siphash.32", prepare: () => () => (siphash(key, data) ? 1 : 0) },
  ];
}

/** A deposit of 256 bytes in one packet: what the cache role and the memory store do behind the channel. */
function cacheAccept(): () => number {
  const crypto = createCrypto(portable);
  const [self, sender, recipient] = many(3, () => createIdentity(crypto, random).hashname);
  if (self === undefined || sender === undefined || recipient === undefined) throw new Error("no hashnames");
  const store = memoryBoxStore();
  let handle = 0;
  const cache = new box.Cache({
    backend: portable,
    self,
    random,
    handles: () => ++handle,
    cap: 1 << 23,
    admit: () => "contact",
  });
  const ch = ++handle;
  const give = (input: box.CacheIn): void => {
    for (const out of cache.handle(input, NOW))
      if (out.type === "boxes") for (const answer of store.handle(out.op, NOW)) give({ type: "store", answer });
  };
  give({
    type: "opened",
    ch,
    peer: sender,
    reliable: true,
    kind: "outbox",
    head: { type: "outbox", to: recipient },
    body: new Uint8Array(0),
  });
  return () => {
    give({ type: "packet", ch, head: { done: true }, body: random(256) }); // other bytes each time, or it is a repetition
    return 1;
  };
}

/** A line of text between two peers with a link, until its sender knows that it was delivered: both ends together. */
function mailDirect(backend: Backend): () => number {
  const world = new World({ seed: 1, backend, cipherSets: (of) => [cs3a(of)], latency: [1, 1] });
  const [a, b] = [world.peer("a"), world.peer("b")];
  world.run("1 s");
  a.call({ type: "invite", once: true }, (value) => b.call({ type: "add", link: (value as { link: string }).link }));
  world.run("1 min");
  let n = 0;
  return () => {
    const before = b.records().length;
    for (let i = 0; i < MAILS; i++) a.send(b, `line ${n++}`);
    world.run("3 s");
    // Both disks would grow for as long as the bench runs, and with them the cost of looking at them.
    for (const peer of [a, b])
      for (const key of peer.disk.keys()) if (/^(inbox|ledger)\//.test(key) && n > MAILS) peer.disk.delete(key);
    if (before === b.records().length && n <= MAILS) throw new Error("no mail arrived");
    return MAILS;
  };
}

function many<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

const MAILS = 10;
