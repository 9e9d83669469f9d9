import { randomBytes } from "node:crypto";
import { loadBackend, tcpTransport, udpTransport } from "@restante/node";
import fc from "fast-check";
import type { Transport, TransportEvents } from "restante";
import {
  type CipherSet,
  createCrypto,
  createIdentity,
  cs3a,
  encodeKeys,
  fromHex,
  type Identity,
  type JsonObject,
  toHex,
} from "restante/protocol";
import { describe, expect, onTestFinished, test } from "vitest";
import { everySet } from "../cipher-sets.ts";
import { PeerProgram } from "./program.ts";

const backend = await loadBackend(() => {});
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const SETS: readonly CipherSet[] = everySet(backend);
const LISTS: readonly (readonly CipherSet[])[] = [...SETS.map((set) => [set]), SETS];
const identities = (sets: readonly CipherSet[]) => [identityOf(sets), identityOf(sets)] as const;
const identityOf = (sets: readonly CipherSet[]): Identity =>
  createIdentity(
    createCrypto(backend, sets),
    random,
    sets.map(({ csid }) => csid),
  );
const nameOf = (sets: readonly CipherSet[]): string => sets.map(({ csid }) => csid.toString(16)).join("+");

const u32 = (n: number): Uint8Array => fromHex(n.toString(16).padStart(8, "0")) ?? new Uint8Array(4);

interface Event extends JsonObject {
  readonly ev: string;
}

/** A program, what it said so far, and a way to wait for what it will say. */
class Bench {
  readonly identity: Identity;
  readonly events: Event[] = [];
  readonly #program: PeerProgram;
  #wake = (): void => {};

  constructor(
    identity: Identity,
    transports: readonly Transport[],
    options: { compat?: boolean; above?: number } = {},
  ) {
    const crypto = createCrypto(backend, SETS);
    this.identity = identity;
    this.#program = new PeerProgram({
      crypto,
      identity,
      random,
      transports,
      compat: options.compat === true,
      saved: options.above === undefined ? undefined : Uint8Array.of(...new Uint8Array(4), ...u32(options.above)),
      emit: (event) => {
        this.events.push(event as Event);
        this.#wake();
      },
    });
    onTestFinished(() => this.stop());
  }

  async start(): Promise<this> {
    await this.#program.start();
    return this;
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }

  get ports(): JsonObject {
    return this.events.find(({ ev }) => ev === "listening") ?? {};
  }

  get hashname(): string {
    return this.identity.hashname;
  }

  get keys(): Record<string, string> {
    return encodeKeys(this.identity.keys);
  }

  /** The one event that answers the command. */
  say(command: JsonObject): JsonObject {
    const from = this.events.length;
    expect(this.#program.command(JSON.stringify({ ...command, id: from }))).toBe(true);
    const answers = this.events.slice(from).filter(({ id }) => id === from);
    expect(answers).toHaveLength(1);
    return answers[0] ?? {};
  }

  tell(line: string): boolean {
    return this.#program.command(line);
  }

  async until(fact: (event: Event) => boolean, from = 0): Promise<JsonObject> {
    for (;;) {
      const found = this.events.slice(from).find(fact);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

type Kind = "udp" | "tcp";
const listen = (kind: Kind, port = 0): Transport =>
  kind === "udp" ? udpTransport({ host: "127.0.0.1", port }) : tcpTransport({ host: "127.0.0.1", port });
const linkTo = (peer: Bench, kind: Kind): JsonObject => ({
  cmd: "link",
  json: { keys: peer.keys, paths: [{ type: `${kind}4`, ip: "127.0.0.1", port: peer.ports[kind] ?? 0 }] },
});

async function linked(kind: Kind, sets: readonly CipherSet[], compat = false): Promise<[Bench, Bench]> {
  const [one, other] = identities(sets);
  const a = await new Bench(one, [listen(kind)], { compat }).start();
  const b = await new Bench(other, [listen(kind)], { compat }).start();
  expect(a.say(linkTo(b, kind))).toMatchObject({ ev: "linked", hashname: b.hashname });
  await a.until(({ ev, hashname }) => ev === "up" && hashname === b.hashname);
  await b.until(({ ev, hashname }) => ev === "up" && hashname === a.hashname);
  return [a, b];
}

async function echoes(a: Bench, b: Bench, seq?: number): Promise<void> {
  const bodies = [0, 1, 200, 1_000].map((length) => toHex(random(length)));
  const open = { type: "echo", n: 0, ...(seq === undefined ? {} : { seq }) };
  const from = a.events.length;
  const { chan } = a.say({ cmd: "chan", hashname: b.hashname, open, body: bodies[0] });
  const answer = (n: number, end = false) =>
    a.until(({ ev, chan: ch, json }) => {
      const { n: which, end: isEnd } = (json ?? {}) as JsonObject;
      return ev === "packet" && ch === chan && which === n && (isEnd === true) === end;
    }, from);
  expect(await answer(0)).toMatchObject({ hashname: b.hashname, body: bodies[0] });
  for (const n of [1, 2]) {
    expect(a.say({ cmd: "send", chan, json: { n }, body: bodies[n] })).toMatchObject({ ev: "sent" });
    expect(await answer(n)).toMatchObject({ body: bodies[n] });
  }
  a.say({ cmd: "send", chan, json: { n: 3 }, body: bodies[3], end: true });
  expect(await answer(3, true)).toMatchObject({ body: bodies[3] });
  await a.until(({ ev, chan: ch, err }) => ev === "closed" && ch === chan && err === undefined, from);
}

describe.each(LISTS.map((sets) => [nameOf(sets), sets] as const))("with cipher sets %s", (_, sets) => {
  test.each<Kind>(["udp", "tcp"])("two peers link over %s and echo each other's channels", async (kind) => {
    const [a, b] = await linked(kind, sets);
    await echoes(a, b);
    await echoes(b, a);
    await echoes(a, b, 1);
  });

  test("as do two that take each other for old ones", async () => {
    const [a, b] = await linked("tcp", sets, true);
    await echoes(a, b);
    await echoes(b, a);
  });

  test("what one encrypts the other decrypts, and nobody else", async () => {
    const [one, other] = identities(sets);
    const [a, b, c] = [new Bench(one, []), new Bench(other, []), new Bench(identityOf(sets), [])];
    const inner = toHex(random(300));
    const { outer } = a.say({ cmd: "encrypt", to: { keys: b.keys }, inner });
    expect(b.say({ cmd: "decrypt", from: { keys: a.keys }, outer })).toMatchObject({ ev: "decrypted", inner });
    expect(b.say({ cmd: "decrypt", from: a.keys, outer })).toMatchObject({ ev: "decrypted", inner });
    expect(b.say({ cmd: "decrypt", from: { keys: c.keys }, outer })).toMatchObject({ ev: "refused" });
    expect(c.say({ cmd: "decrypt", from: { keys: a.keys }, outer })).toMatchObject({ ev: "refused" });
  });
});

test("a message in a lower cipher set than the highest is sealed and opened", () => {
  const [a, b] = identities(SETS).map((identity) => new Bench(identity, [])) as [Bench, Bench];
  for (const csid of ["1a", "2a", "3a"].filter((each) => each in a.keys)) {
    const lower = (keys: Record<string, string>) => ({ keys: { [csid]: keys[csid] ?? "" } });
    const { outer } = a.say({ cmd: "encrypt", to: lower(b.keys), inner: "0000" });
    expect(String(outer).slice(0, 6)).toBe(`0001${csid}`);
    for (const from of [lower(a.keys), { keys: a.keys }])
      expect(b.say({ cmd: "decrypt", from, outer })).toMatchObject({ ev: "decrypted", inner: "0000" });
  }
});

test.each<Kind>(["udp", "tcp"])("a peer that starts anew is linked again over %s", async (kind) => {
  const [a, b] = await linked(kind, [cs3a(backend)]);
  const port = Number(b.ports[kind]);
  await b.stop();
  const above = Math.floor(Date.now() / 1_000) + 100;
  const again = await new Bench(b.identity, [listen(kind, port)], { above }).start();
  const from = a.events.length;
  again.say(linkTo(a, kind));
  await a.until(({ ev }) => ev === "up", from);
  await echoes(a, again);
  await echoes(again, a);
});

test("packets come with their whole heads, on channels that we opened and on those that we did not", async () => {
  const [a, b] = await linked("udp", [cs3a(backend)]);
  const { chan } = a.say({ cmd: "chan", hashname: b.hashname, open: { type: "hold", big: 1 }, body: "ff" });
  const open = { ev: "packet", hashname: a.hashname, json: { type: "hold", big: 1 }, body: "ff" };
  const { chan: theirs } = await b.until(({ ev }) => ev === "packet");
  expect(b.events).toContainEqual({ ...open, chan: theirs });
  b.say({ cmd: "send", chan: theirs, json: { deep: { a: [1, null] } } });
  expect(await a.until(({ ev }) => ev === "packet")).toMatchObject({
    chan,
    json: { deep: { a: [1, null] } },
    body: "",
  });
  b.say({ cmd: "send", chan: theirs, end: true });
  expect(await a.until(({ json }) => (json as JsonObject | undefined)?.["end"] === true)).toMatchObject({ chan });
  a.say({ cmd: "fail", chan, err: "enough" });
  expect(await b.until(({ ev }) => ev === "closed")).toMatchObject({ chan: theirs, err: "enough" });
});

test("what cannot be echoed is told, and the program goes on", async () => {
  const [a, b] = await linked("udp", [cs3a(backend)]);
  const { chan } = a.say({ cmd: "chan", hashname: b.hashname, open: { type: "echo" } });
  const { chan: theirs } = await b.until(({ ev }) => ev === "packet");
  b.say({ cmd: "send", chan: theirs, json: { last: true }, end: true });
  await a.until(({ json }) => (json as JsonObject | undefined)?.["last"] === true);
  a.say({ cmd: "send", chan, body: "00" });
  expect(await b.until(({ ev }) => ev === "error")).toMatchObject({ chan: theirs });
  await echoes(a, b);
});

test("a channel to nobody is closed at once, after it was answered", () => {
  const [a, b] = identities([cs3a(backend)]).map((identity) => new Bench(identity, [])) as [Bench, Bench];
  const { chan } = a.say({ cmd: "chan", hashname: b.hashname, open: { type: "echo" } });
  expect(a.events.map(({ ev }) => ev)).toEqual(["chan", "closed"]);
  expect(a.say({ cmd: "send", chan })).toMatchObject({ ev: "error", why: "no such channel" });
});

const known = identityOf([cs3a(backend)]);
const stranger = { hashname: known.hashname, keys: encodeKeys(known.keys) };

test.each<[string, JsonObject]>([
  ["an unknown command", { cmd: "dance" }],
  ["no command", {}],
  ["a link without keys", { cmd: "link", json: { paths: [] } }],
  ["a link with a key that is none", { cmd: "link", json: { keys: { "3a": "!" } } }],
  ["a link of no cipher set that we have", { cmd: "link", json: { keys: { "5a": "ae" } } }],
  ["a channel without a type", { cmd: "chan", hashname: stranger.hashname, open: {} }],
  ["a channel that starts in the middle", { cmd: "chan", hashname: stranger.hashname, open: { type: "x", seq: 2 } }],
  ["a body that is no hex", { cmd: "chan", hashname: stranger.hashname, open: { type: "x" }, body: "f" }],
  [
    "a body that is too long",
    { cmd: "chan", hashname: stranger.hashname, open: { type: "x" }, body: "00".repeat(1_400) },
  ],
  ["a hashname that is none", { cmd: "chan", hashname: "x", open: { type: "x" } }],
  ["a channel that is not there", { cmd: "send", chan: 1 }],
  ["a message to nobody", { cmd: "encrypt", to: {}, inner: "" }],
  ["a message to a key of another length", { cmd: "encrypt", to: { keys: { "3a": "ae" } }, inner: "" }],
  ["a message from nobody", { cmd: "decrypt", outer: "0000" }],
])("%s is an error that names itself, and the program goes on", (_, command) => {
  const bench = new Bench(identityOf([cs3a(backend)]), []);
  bench.say({ cmd: "link", json: { keys: stranger.keys, paths: [{ type: "udp4", ip: "127.0.0.1", port: 9 }] } });
  const { ev, why } = bench.say(command);
  expect([ev, typeof why]).toEqual(["error", "string"]);
  expect(bench.say({ cmd: "decrypt", from: stranger.keys, outer: "00" })).toMatchObject({ ev: "refused" });
});

test("whatever a line says, one event answers it", () => {
  const bench = new Bench(identityOf([cs3a(backend)]), []);
  const command = fc.record(
    {
      cmd: fc.constantFrom("link", "chan", "send", "fail", "encrypt", "decrypt"),
      ...Object.fromEntries(
        ["json", "open", "hashname", "body", "chan", "to", "from", "inner", "outer"].map((name) => [
          name,
          fc.oneof(fc.jsonValue(), fc.constantFrom(stranger.hashname, "00", { keys: stranger.keys }, { type: "x" })),
        ]),
      ),
    },
    { requiredKeys: ["cmd"] },
  );
  const line = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.json(),
    command.map((each) => JSON.stringify(each)),
  );
  fc.assert(
    fc.property(line, (text) => {
      const from = bench.events.length;
      expect(bench.tell(text)).toBe(true);
      const answers = bench.events.slice(from).filter(({ ev }) => ev !== "closed" && ev !== "down");
      expect(answers).toHaveLength(1);
    }),
    { numRuns: 500 },
  );
});

/** A stream that goes nowhere, and what was written to it. */
function sink(): { transport: Transport; written: Uint8Array[]; events: () => TransportEvents | undefined } {
  const written: Uint8Array[] = [];
  let given: TransportEvents | undefined;
  const transport: Transport = {
    types: ["tcp4"],
    start: async (events) => {
      given = events;
      return [{ type: "tcp4", ip: "127.0.0.1", port: 1 }];
    },
    send: (_, bytes) => written.push(bytes),
    flush() {},
    close() {},
    async stop() {},
  };
  return { transport, written, events: () => given };
}

test("[X29] with --compat the first word on a stream has no cloak, and without it has", async () => {
  for (const compat of [true, false]) {
    const { transport, written } = sink();
    const bench = await new Bench(identityOf([cs3a(backend)]), [transport], { compat }).start();
    bench.say({
      cmd: "link",
      json: { keys: stranger.keys, paths: [{ type: "tcp4", ip: "127.0.0.1", port: 2 }] },
    });
    const [length, ...start] = written[0]?.slice(0, 4) ?? [];
    expect(length).toBeGreaterThan(100);
    if (compat) expect(start).toEqual([0, 1, 0x3a]);
    else expect(start[0]).not.toBe(0);
  }
});
