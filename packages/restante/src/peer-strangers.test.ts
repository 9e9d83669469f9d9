/** Strangers at the door of a root whose application decides: late words, many questions, URIs of nobody. */
import { expect, test } from "vitest";
import {
  admissionUri,
  mintToken,
  type Path,
  parseInvite,
  parseJoinAnswer,
  parseJoinLink,
  secretUri,
} from "./card/index.ts";
import { createCrypto, createIdentity, type Ephemeral, type Identity, portable } from "./crypto/index.ts";
import { encodeHandshake, type HandshakeMessage, keyPacket, sealMessage } from "./e3x/index.ts";
import { Mesh, type MeshIn, type MeshOut } from "./mesh/index.ts";
import { Door } from "./peer/index.ts";
import { Root, type RootIn, type RootOut } from "./peer.ts";
import { Chance } from "./testing/chance.ts";
import { cs01 } from "./testing/cipher-set-01.ts";

const set = cs01();
const crypto = createCrypto(portable, [set]);
const { random } = new Chance(9);
const NOW = 1_800_000_000_000;
const CACHE = { cap: 1 << 20, quota: 1 << 24, routes: true } as const;

/** Alice, whose application is asked about strangers, and who has a cache and passes on packets. */
class Alice {
  readonly identity: Identity = createIdentity(crypto, random);
  readonly root: Root;
  now = NOW;

  constructor() {
    const { identity } = this;
    const more = { mail: true, cloak: false, asks: true, cache: CACHE, routes: true };
    this.root = new Root({ crypto, identity, random, saved: new Map(), paths: [place("alice")], ...more });
    this.take({ type: "start" });
  }

  take(input: RootIn): RootOut[] {
    return this.root.handle(input, this.now);
  }

  receives(from: Stranger, at: number, message?: Partial<HandshakeMessage>): RootOut[] {
    const bytes = from.handshake(this.identity, at, message);
    return this.take({ type: "received", path: place(from.name), bytes });
  }

  answers({ identity: { hashname } }: Stranger, ok: boolean): RootOut[] {
    return this.take({ type: "asked", hashname, ok });
  }

  /** Whether there is a link, up or not. */
  knows({ identity }: Stranger): boolean {
    return this.root.status().links.some(({ hashname }) => hashname === identity.hashname);
  }

  inviteUri(): string {
    const [reply] = this.take({ type: "call", req: 1, call: { type: "invite", once: false } }).filter(
      (each) => each.type === "reply",
    );
    const { link } = given(reply).value as { link: string };
    return secretUri(given(parseInvite(portable, link)?.secret));
  }

  /** The URI that a recipient of her cache shows. */
  memberUri({ hashname }: Identity): string {
    const door = new Door({ crypto, identity: this.identity, saved: new Map(), serves: CACHE });
    const join = admissionUri(given(parseJoinLink(this.root.joinLink())).token);
    const { key } = given(parseJoinAnswer(door.joinAnswer(join, hashname, this.now)?.head));
    return admissionUri(mintToken(portable, key, { recipient: hashname, class: "member", until: 0, serial: 1 }));
  }
}

/** Somebody with one exchange, who says what the test wants. */
class Stranger {
  readonly identity: Identity = createIdentity(crypto, random);
  readonly name: string;
  #ephemeral: Ephemeral | undefined;

  constructor(name: string) {
    this.name = name;
  }

  handshake(to: Identity, at: number, message: Partial<HandshakeMessage> = {}): Uint8Array {
    const { identity: from } = this;
    const key = to.keys.get(set.csid) ?? new Uint8Array(0);
    this.#ephemeral ??= set.exchange(key, random);
    const whole = { type: "key", json: {}, body: keyPacket(portable, from, set.csid), ...message };
    const inner = encodeHandshake(BigInt(at), whole);
    const ephemeral = this.#ephemeral;
    const bytes = sealMessage(crypto, { from, to: to.keys, inner, random, ...(ephemeral && { ephemeral }) });
    return bytes ?? new Uint8Array(0);
  }
}

/** A peer that is nothing but a mesh, on a wire to Alice without delay or loss. */
class Recipient {
  readonly identity: Identity = createIdentity(crypto, random);
  readonly outs: MeshOut[] = [];
  readonly name: string;
  readonly #wire: Wire;
  readonly #mesh: Mesh;

  constructor(wire: Wire, name: string) {
    this.name = name;
    this.#wire = wire;
    let handle = 1;
    const { identity } = this;
    const routers = [wire.alice.identity.hashname];
    this.#mesh = new Mesh({ crypto, identity, random, handles: () => handle++, cloak: false, routers });
    wire.recipients.push(this);
  }

  take(input: MeshIn): void {
    for (const out of this.#mesh.handle(input, this.#wire.alice.now)) {
      if (out.type === "transmit") this.#wire.carry(this.name, out.path, out.bytes);
      else this.outs.push(out);
    }
  }

  /** Links to Alice, or by her to another. */
  want({ hashname, keys }: Identity, path: Path, uri?: string): void {
    this.take({ type: "want", peer: { hashname, keys, paths: [path] }, ...(uri === undefined ? {} : { uri }) });
    this.#wire.run();
  }
}

class Wire {
  readonly alice = new Alice();
  readonly recipients: Recipient[] = [];
  readonly #queue: (() => void)[] = [];

  carry(from: string, to: Path, bytes: Uint8Array): void {
    const received = { type: "received", path: place(from), bytes: bytes.slice() } as const;
    this.#queue.push(() => {
      if (to.name === "alice") this.give(this.alice.take(received));
      else this.recipients.find(({ name }) => name === to.name)?.take(received);
    });
  }

  /** Carries what Alice sends. */
  give(out: readonly RootOut[]): void {
    for (const each of sent(out)) this.carry("alice", each.path, each.bytes);
  }

  run(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
  }
}

function place(name: string): Path {
  return { type: "mem", name };
}

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("nothing there");
  return value;
}

const uri = (text: string): Partial<HandshakeMessage> => ({ type: "uri", json: { uri: text } });
const asks = (out: readonly RootOut[]) => out.filter((each) => each.type === "ask");
const sent = (out: readonly RootOut[]) =>
  out.filter((each): each is Extract<RootOut, { type: "transmit" }> => each.type === "transmit");

test("a no that comes late does not end the link of a stranger who has shown an invite since", () => {
  const alice = new Alice();
  const eve = new Stranger("eve");
  const invite = alice.inviteUri();
  expect(asks(alice.receives(eve, 2))).toHaveLength(1);
  expect(sent(alice.receives(eve, 2, uri(invite))).length).toBeGreaterThan(0);
  alice.answers(eve, false);
  expect(alice.knows(eve)).toBe(true);
});

test("one question about a stranger at a time; after a no the next is about all that came since", () => {
  const alice = new Alice();
  const eve = new Stranger("eve");
  const kinds = (out: readonly RootOut[]) => asks(out).map(({ messages }) => messages.map(({ type }) => type).sort());
  expect(kinds(alice.receives(eve, 2))).toEqual([["key"]]);
  for (const type of ["jwt", "tx"]) expect(alice.receives(eve, 2, { type, body: random(40) })).toEqual([]);
  expect(kinds(alice.answers(eve, false))).toEqual([["jwt", "key", "tx"]]);
  expect(sent(alice.answers(eve, true)).length).toBeGreaterThan(0);
  // Nothing is open any more: a word too many is none.
  expect(alice.answers(eve, false)).toEqual([]);
  expect(alice.knows(eve)).toBe(true);
});

test("[B54] after a no nothing is sent, whatever the application said of it before the question", () => {
  const alice = new Alice();
  const eve = new Stranger("eve");
  alice.answers(eve, true);
  expect(asks(alice.receives(eve, 2))).toHaveLength(1);
  expect(sent(alice.answers(eve, false))).toEqual([]);
  expect(sent(alice.receives(eve, 4))).toEqual([]);
  expect(alice.knows(eve)).toBe(false);
});

test("however many strangers knock and however often, 256 questions are open at most", () => {
  const alice = new Alice();
  let open = 0;
  const strangers = Array.from({ length: 300 }, (_, i) => new Stranger(`s${i}`));
  for (let at = 2; at < 8; at += 2)
    for (const stranger of strangers) {
      alice.now += 100; // slower than the budget for openings
      open += asks(alice.receives(stranger, at)).length;
    }
  expect(open).toBe(256);
  // Each answer makes room for one.
  alice.answers(given(strangers[0]), true);
  expect(asks(alice.receives(given(strangers[299]), 10))).toHaveLength(1);
});

test("recipients reach each other by their cache, however many strangers showed it something since", () => {
  const wire = new Wire();
  const { alice } = wire;
  const [bob, carol] = [new Recipient(wire, "bob"), new Recipient(wire, "carol")];
  for (const each of [bob, carol]) each.want(alice.identity, place("alice"), alice.memberUri(each.identity));
  expect([bob, carol].map(({ outs }) => outs.some(({ type }) => type === "up"))).toEqual([true, true]);

  const invite = alice.inviteUri();
  for (let i = 0; i < KNOCKS; i++) {
    alice.now += 20;
    // What an invite lets in, and what nothing lets in.
    for (const text of [invite, "link:///?t=nothing"]) alice.receives(new Stranger(`s${i}`), 2, uri(text));
  }
  bob.want(carol.identity, { type: "peer", hn: alice.identity.hashname });
  const [knock] = carol.outs.filter((out) => out.type === "handshake");
  expect(knock).toMatchObject({ hashname: bob.identity.hashname, isNew: true });
});

const KNOCKS = 1100; // more than are remembered before their links come up
