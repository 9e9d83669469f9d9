/** What every `Transport` adapter must do. A plain list: run it with any test runner, ours or yours. */
import { assert, equal } from "../bytes/index.ts";
import { isStream } from "../card/index.ts";
import type { Transport, TransportPath } from "../transport/index.ts";
import type { SuiteTest } from "./store-suite.ts";

/**
 * The tests for one adapter. `make` gives two transports that are not started and can reach each other. Streams may cut and
 * join what is sent as they like; datagram transports must keep each packet whole.
 */
export function transportSuite(make: () => Promise<[Transport, Transport]>): SuiteTest[] {
  return [
    {
      name: "a packet arrives, and the path it came by leads back",
      run: () =>
        withPair(make, async (a, b) => {
          const hello = Uint8Array.of(0, 1, 0x3a, 7, 8, 9);
          a.transport.send(await b.reach(), hello);
          const came = await b.next(hello.length);
          assert(equal(came.bytes, hello), "the bytes are the same");
          b.transport.send(came.path, Uint8Array.of(1, 2, 3, 4));
          assert(equal((await a.next(4)).bytes, Uint8Array.of(1, 2, 3, 4)), "the answer is the same");
        }),
    },
    {
      name: "1400 bytes of every value arrive unchanged",
      run: () =>
        withPair(make, async (a, b) => {
          const packet = Uint8Array.from({ length: 1400 }, (_, i) => i % 256);
          a.transport.send(await b.reach(), packet);
          assert(equal((await b.next(1400)).bytes, packet), "unchanged");
        }),
    },
    {
      name: "a hundred packets arrive, of a stream in order",
      run: () =>
        withPair(make, async (a, b) => {
          const path = await b.reach();
          for (let i = 0; i < 100; i++) a.transport.send(path, new Uint8Array(100).fill(i));
          const { bytes } = await b.next(10_000);
          const seen = new Set(Array.from({ length: 100 }, (_, i) => bytes[i * 100]));
          assert(seen.size === 100, "each once");
          if (isStream(path))
            assert(
              [...bytes].every((byte, i) => byte === Math.floor(i / 100)),
              "in order",
            );
        }),
    },
    {
      name: "sending to nowhere, to nonsense and after stop never throws",
      run: () =>
        withPair(make, async (a, b) => {
          const path = await b.reach();
          a.transport.send({ type: "none" }, Uint8Array.of(1));
          a.transport.send({ ...path, ip: "not an address", name: "nobody", url: "nowhere" }, Uint8Array.of(1));
          a.transport.send({ ...path, port: 1 }, Uint8Array.of(1));
          a.transport.close({ ...path, port: 1 });
          await b.transport.stop();
          a.transport.send(path, Uint8Array.of(1));
          await a.transport.stop();
          a.transport.send(path, Uint8Array.of(1));
        }),
    },
  ];
}

interface End {
  readonly transport: Transport;
  reach(): Promise<TransportPath>;
  /** So many bytes in all that were received and not given out before, with the path of the last piece. */
  next(length: number): Promise<{ path: TransportPath; bytes: Uint8Array }>;
}

async function withPair(
  make: () => Promise<[Transport, Transport]>,
  run: (a: End, b: End) => Promise<void>,
): Promise<void> {
  const [a, b] = (await make()).map(end) as [End, End];
  try {
    await a.reach();
    await run(a, b);
  } finally {
    await a.transport.stop();
    await b.transport.stop();
  }
}

function end(transport: Transport): End {
  let pieces: Uint8Array[] = [];
  let last: TransportPath = { type: "none" };
  let started: Promise<readonly TransportPath[]> | undefined;
  let wake = (): void => {};
  const start = (): Promise<readonly TransportPath[]> => {
    started ??= transport.start({
      received(path, bytes) {
        pieces.push(bytes);
        last = path;
        wake();
      },
      path() {},
      writable() {},
    });
    return started;
  };
  return {
    transport,
    async reach() {
      const [path] = await start();
      assert(path !== undefined, "it listens somewhere");
      return path;
    },
    async next(length) {
      await start();
      while (pieces.reduce((sum, piece) => sum + piece.length, 0) < length)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
      let at = 0;
      for (const piece of pieces) {
        all.set(piece, at);
        at += piece.length;
      }
      pieces = [all.subarray(length)];
      return { path: last, bytes: all.subarray(0, length) };
    },
  };
}
