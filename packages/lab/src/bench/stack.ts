/**
 * A packet of 1300 bytes from the application to the bytes for a socket and back, without a socket: the stack of sockets.ts
 * alone, both ends in this process. The ceiling: one bare call of libsodium.
 */
import { type Backend, createCrypto, createIdentity, cs3a, mesh, pooled } from "restante/protocol";
import { sodiumCeilings } from "./ceilings.ts";
import { type Bench, timed } from "./harness.ts";
import { BURST, PACKET } from "./wiring.ts";

/** Keys `mesh.udp.send`, `mesh.tcp.receive.cloaked` and so on. */
export async function stack(backend: Backend): Promise<Bench[]> {
  const ceilings = await sodiumCeilings(0, PACKET);
  return (["udp", "tcp"] as const).flatMap((transport) =>
    [false, true].flatMap((cloaked) => {
      const suffix = cloaked ? ".cloaked" : "";
      return [
        timed(`mesh.${transport}.send${suffix}`, () => {
          const { send } = pair(backend, transport, cloaked);
          return { work: () => send().length, ceiling: ceilings?.send };
        }),
        timed(`mesh.${transport}.receive${suffix}`, () => {
          const { send, receive } = pair(backend, transport, cloaked);
          const sent = Array.from({ length: SAMPLES }, () => send().map((bytes) => bytes.slice()));
          const buffer = new Uint8Array(JOINED);
          let i = 0;
          const work = (): number => {
            const pieces = sent[i++ % SAMPLES] ?? [];
            // What came is overwritten, and comes again: so it is copied, which a socket does too. A stream comes in one piece.
            let at = 0;
            for (const bytes of pieces) {
              buffer.set(bytes, at);
              if (transport === "udp") receive(buffer.subarray(at, at + bytes.length));
              at += bytes.length;
            }
            if (transport === "tcp") receive(buffer.subarray(0, at));
            return pieces.length;
          };
          return { work, ceiling: ceilings?.receive };
        }),
      ];
    }),
  );
}

/** Two linked peers. `send` gives the bytes of BURST packets, `receive` takes what came. */
function pair(
  backend: Backend,
  transport: "udp" | "tcp",
  cloak: boolean,
): { send(): Uint8Array[]; receive(bytes: Uint8Array): void } {
  const crypto = createCrypto(backend, [cs3a(backend)]);
  const ends = [0, 1].map((i) => {
    const identity = createIdentity(crypto, random);
    let handle = 0;
    const handles = (): number => ++handle;
    const path = { type: `${transport}4`, ip: "127.0.0.1", port: i + 1 };
    return { identity, handles, path, machine: new mesh.Mesh({ crypto, identity, random, handles, cloak }) };
  });
  const [a, b] = ends;
  if (a === undefined || b === undefined) throw new Error("two ends");
  let packets = 0;
  const give = (end: typeof a, input: mesh.MeshIn): void => {
    for (const out of end.machine.handle(input, NOW)) {
      if (out.type === "transmit")
        give(end === a ? b : a, { type: "received", path: end.path, bytes: out.bytes.slice() });
      else if (out.type === "handshake") give(end, { type: "approve", hashname: out.hashname });
      else if (out.type === "packets") packets += out.packets.length;
    }
  };
  const peer = { hashname: b.identity.hashname, keys: b.identity.keys, paths: [b.path] };
  give(a, { type: "want", peer });
  const ch = a.handles();
  give(a, { type: "open", peer: peer.hashname, ch, reliable: false, head: { type: "bench" }, body: new Uint8Array(0) });
  const body = random(PACKET);
  give(a, { type: "send", ch, head: {}, body });
  if (packets !== 1) throw new Error("no link");
  return {
    send() {
      const sent: Uint8Array[] = [];
      for (let i = 0; i < BURST; i++)
        for (const out of a.machine.handle({ type: "send", ch, head: {}, body }, NOW))
          if (out.type === "transmit") sent.push(out.bytes);
      return sent;
    },
    receive(bytes) {
      let came = 0;
      for (const out of b.machine.handle({ type: "received", path: a.path, bytes }, NOW))
        if (out.type === "packets") came += out.packets.length;
      if (came === 0) throw new Error("not received");
    },
  };
}

const random = pooled((length) => crypto.getRandomValues(new Uint8Array(length)));
const NOW = 1_700_000_000_000;
const SAMPLES = 16;
const JOINED = 64 * 1024;
