/** The routing token tells where a packet belongs, and is no secret: nothing may be derived from it or bound to it. */
import { loadBackend } from "@restante/node";
import {
  type Backend,
  createCrypto,
  createIdentity,
  cs3a,
  Exchange,
  type ExchangeIn,
  equal,
  type Identity,
  openMessage,
  parseHandshake,
  portable,
  toHex,
  utf8,
} from "restante/protocol";
import { Chance } from "restante/testing";
import { expect, test } from "vitest";
import { everySet } from "../cipher-sets.ts";

const START = 1_700_000_000_000;

/** A backend that notes what it is asked: the name of the primitive and all its inputs. */
function spy(): { backend: Backend; asked: { primitive: string; inputs: readonly Uint8Array[] }[] } {
  const asked: { primitive: string; inputs: readonly Uint8Array[] }[] = [];
  const backend = new Proxy(portable, {
    get(target, primitive: keyof Backend) {
      const value = target[primitive];
      if (typeof value !== "function") return value;
      return (...inputs: unknown[]) => {
        const copies = inputs.filter((input) => input instanceof Uint8Array).map((input) => input.slice());
        asked.push({ primitive, inputs: copies });
        return Reflect.apply(value, target, inputs);
      };
    },
  });
  return { backend, asked };
}

/** Two exchanges on a wire that loses nothing; `packets` holds all that went over it. */
function pair(backend: Backend) {
  const crypto = createCrypto(backend, [cs3a(backend)]);
  const chance = new Chance(7);
  const packets: Uint8Array[] = [];
  const ends = [createIdentity(crypto, chance.random), createIdentity(crypto, chance.random)] as const;
  const exchange = (us: Identity, them: Identity): Exchange =>
    new Exchange({
      crypto,
      identity: us,
      remote: { hashname: them.hashname, csid: 0x3a, key: them.keys.get(0x3a) ?? new Uint8Array(0) },
      random: chance.random,
      handles: () => chance.next(),
      nextAt: (above, now) => {
        const next = BigInt(now) / 1000n > above ? BigInt(now) / 1000n : above + 1n;
        return next + (next & 1n);
      },
    });
  const exchanges = [exchange(ends[0], ends[1]), exchange(ends[1], ends[0])] as const;
  const turn = (side: 0 | 1, input: ExchangeIn): void => {
    for (const out of exchanges[side].handle(input, START)) {
      if (out.type !== "send") continue;
      const packet = out.bytes.subarray(out.free);
      packets.push(packet);
      const other = side === 0 ? 1 : 0;
      const opened = openMessage(crypto, ends[other], packet);
      const handshake = opened && parseHandshake(opened.inner);
      if (opened === undefined || handshake === undefined)
        turn(other, { type: "packets", packets: [{ bytes: packet, at: 0 }] });
      else {
        const { token, ephemeral, prefix } = opened;
        const { at, message } = handshake;
        const digest = toHex(packet);
        turn(other, { type: "handshake", at, token, ephemeral, prefix, kind: message.type, digest });
      }
    }
  };
  return { turn, packets, tokens: exchanges.map(({ token }) => token) };
}

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = 0; at + part.length <= bytes.length; at++)
    if (equal(bytes.subarray(at, at + part.length), part)) return true;
  return false;
}

test("[B44] no primitive is given the token, through handshakes and channels in both directions", () => {
  const { backend, asked } = spy();
  const { turn, packets, tokens } = pair(backend);
  turn(0, { type: "start" });
  turn(0, { type: "open", ch: 1, reliable: true, head: { type: "test" }, body: utf8("there") });
  turn(1, { type: "open", ch: 2, reliable: false, head: { type: "test" }, body: utf8("and back") });
  turn(1, { type: "start" });

  const channelPackets = packets.filter((packet) => packet[1] === 0);
  for (const token of tokens) {
    // Both tokens were in use: packets begin with them.
    expect(channelPackets.some((packet) => equal(packet.subarray(2, 18), token))).toBe(true);
    for (const { primitive, inputs } of asked)
      expect(
        inputs.some((input) => contains(input, token)),
        primitive,
      ).toBe(false);
  }
  // And the spy saw the work: keys were agreed, hashed and used.
  const primitives = new Set(asked.map(({ primitive }) => primitive));
  for (const used of ["beforenm", "sha256", "secretboxSeal", "secretboxOpen", "onetimeauth"])
    expect(primitives).toContain(used);
});

test("[B44] a channel packet opens under any token: it is an address, not bound to what is inside", async () => {
  const { random } = new Chance(3);
  for (const set of everySet(await loadBackend(() => {}))) {
    const identity = set.generate(random).key;
    const [ours, theirs] = [set.exchange(identity, random), set.exchange(identity, random)];
    const sends = ours && set.channel(ours, theirs?.key ?? identity);
    const receives = theirs && set.channel(theirs, ours?.key ?? identity);
    const body = sends?.seal(random(16), utf8("inner"), random) ?? new Uint8Array(0);
    for (const token of [random(16), new Uint8Array(16)]) {
      const readdressed = body.slice();
      readdressed.set(token);
      expect(Buffer.from(receives?.open(readdressed) ?? []).toString(), set.csid.toString(16)).toBe("inner");
    }
    body[16] = (body[16] ?? 0) ^ 1; // but a changed nonce is noticed
    expect(receives?.open(body)).toBeUndefined();
  }
});
