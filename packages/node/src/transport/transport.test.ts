import { once } from "node:events";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import fc from "fast-check";
import type { Transport, TransportEvents, TransportPath } from "restante";
import { transportSuite } from "restante/testing";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { destination, ownPaths } from "./address.ts";
import { tcpTransport } from "./tcp.ts";
import { udpTransport } from "./udp.ts";

const HOST = "127.0.0.1";
const LOCAL = { host: HOST, port: 0 };

describe("udp", () => {
  for (const { name, run } of transportSuite(async () => [udpTransport(LOCAL), udpTransport(LOCAL)])) test(name, run);
});

describe("tcp", () => {
  for (const { name, run } of transportSuite(async () => [tcpTransport(LOCAL), tcpTransport(LOCAL)])) test(name, run);
});

describe.skipIf(!(await hasIpv6()))("IPv6", () => {
  const options = { host: "::1", port: 0 };
  for (const { name, run } of transportSuite(async () => [udpTransport(options), udpTransport(options)]))
    test(`udp: ${name}`, run);
  for (const { name, run } of transportSuite(async () => [tcpTransport(options), tcpTransport(options)]))
    test(`tcp: ${name}`, run);

  test("without a host both families listen, on one port", async () => {
    for (const make of [udpTransport, tcpTransport]) {
      const { paths, transport } = await started(make({ port: 0 }));
      expect(new Set(paths.map(({ port }) => port)).size).toBe(1);
      const received = events();
      const other = await started(make({ host: "::1", port: 0 }), received);
      const kind = make === udpTransport ? "udp6" : "tcp6";
      other.transport.send({ type: kind, ip: "::1", port: paths[0]?.port ?? 0 }, Uint8Array.of(1));
      transport.send({ type: kind, ip: "::1", port: other.paths[0]?.port ?? 0 }, Uint8Array.of(2));
      await received.arrived(1);
      expect(received.bytes()).toEqual(Uint8Array.of(2));
    }
  });
});

describe("ports and addresses", () => {
  for (const [name, make] of [
    ["udp", udpTransport],
    ["tcp", tcpTransport],
  ] as const) {
    test(`${name}: a taken port moves to the next free one, and that is said`, async () => {
      const { paths } = await started(make(LOCAL));
      const port = paths[0]?.port ?? 0;
      const told = events();
      const second = await started(make({ host: HOST, port }), told);
      expect(second.paths[0]?.port).toBeGreaterThan(port);
      expect(second.paths[0]?.port).toBeLessThanOrEqual(port + 20);
      expect(told.troubles).toEqual([expect.stringContaining(String(port))]);
    });

    test(`${name}: a host that is not ours is refused in words`, async () => {
      await expect(make({ host: "example.org" }).start(events())).rejects.toMatchObject({ code: "bad-address" });
      await expect(make({ host: "192.0.2.1", port: 0 }).start(events())).rejects.toMatchObject({ code: "bad-address" });
    });

    test(`${name}: own paths are addresses of this machine, loopback only when there is nothing else`, async () => {
      const { paths } = await started(make({ port: 0, ipv6: false }));
      expect(paths.length).toBeGreaterThan(0);
      expect(paths.length).toBeLessThanOrEqual(8);
      for (const { type, ip } of paths) expect([type, ip]).toEqual([`${name}4`, expect.stringMatching(/^[\d.]+$/)]);
      const isLoopback = paths.map(({ ip }) => ip?.startsWith("127."));
      expect(isLoopback.every((is) => is === isLoopback[0])).toBe(true);
    });
  }

  test("tcp: 21 taken ports in a row are an error that says so", async () => {
    const first = await freeRow(21);
    const held = await Promise.all(
      Array.from({ length: 21 }, async (_, i) => {
        const server = createServer();
        await once(server.listen(first + i, HOST), "listening");
        return server;
      }),
    );
    onTestFinished(() => void held.map((server) => server.close()));
    await expect(tcpTransport({ host: HOST, port: first }).start(events())).rejects.toMatchObject({
      code: "address-in-use",
      message: expect.stringContaining(`${first} to ${first + 20}`),
    });
  });

  test("a wildcard host is not an own path", () => {
    const bound = [{ family: 4 as const, socket: undefined }];
    expect(ownPaths("udp", 7, bound, "0.0.0.0").map(({ ip }) => ip)).not.toContain("0.0.0.0");
    expect(ownPaths("udp", 7, bound, HOST)).toEqual([{ type: "udp4", ip: HOST, port: 7 }]);
  });

  test("only well-formed addresses of the right kind are destinations", () => {
    expect(destination("udp", { type: "udp4", ip: HOST, port: 1 })).toEqual({ family: 4, ip: HOST, port: 1 });
    for (const path of [
      { type: "tcp4", ip: HOST, port: 1 },
      { type: "udp6", ip: HOST, port: 1 },
      { type: "udp4", ip: "::1", port: 1 },
      { type: "udp4", ip: "localhost", port: 1 },
      { type: "udp4", ip: HOST, port: 0 },
      { type: "udp4", ip: HOST, port: 65_536 },
      { type: "udp4", ip: HOST, port: 1.5 },
      { type: "udp4", ip: HOST },
      { type: "udp4", port: 1 },
    ])
      expect(destination("udp", path)).toBeUndefined();
  });
});

describe("tcp connections", () => {
  test("a connection is told once when it comes and once when it goes, on both sides", async () => {
    const [here, there] = [events(), events()];
    const a = await started(tcpTransport(LOCAL), here);
    const b = await started(tcpTransport(LOCAL), there);
    const path = pathOf(b);
    a.transport.send(path, Uint8Array.of(1, 2, 3));
    await there.arrived(3);
    await here.told(1);
    expect(here.paths).toEqual([[path, true]]);
    expect(there.paths).toEqual([[there.lastPath, true]]);
    a.transport.close(path);
    await Promise.all([here.told(2), there.told(2)]);
    expect(here.paths.slice(1)).toEqual([[path, false]]);
    expect(there.paths.slice(1)).toEqual([[there.lastPath, false]]);
    // And a new one comes about on demand.
    a.transport.send(path, Uint8Array.of(4));
    await there.arrived(4);
  });

  test("nobody there: quiet, and the next send tries again", async () => {
    const { port, server } = await listening();
    await new Promise((resolve) => server.close(resolve));
    const here = events();
    const a = await started(tcpTransport(LOCAL), here);
    a.transport.send({ type: "tcp4", ip: HOST, port }, Uint8Array.of(1));
    // The refusal is over once a connection that was begun later has come about.
    const there = events();
    const b = await started(tcpTransport(LOCAL), there);
    a.transport.send(pathOf(b), Uint8Array.of(1));
    await there.arrived(1);
    const again = createServer((socket) => socket.on("data", (data) => socket.write(data)));
    await once(again.listen(port, HOST), "listening");
    onTestFinished(() => void again.close());
    a.transport.send({ type: "tcp4", ip: HOST, port }, Uint8Array.of(9));
    await here.arrived(1);
    expect(here.bytes()).toEqual(Uint8Array.of(9));
    expect(here.paths.filter(([{ port: p }]) => p === port)).toEqual([[{ type: "tcp4", ip: HOST, port }, true]]);
  });

  test("a remote that does not read costs 256 KiB here, and credit comes when it reads", async () => {
    let remote: Socket | undefined;
    const { port } = await listening((socket) => {
      remote = socket.pause();
    });
    const here = events();
    const a = await started(tcpTransport(LOCAL), here);
    const path = { type: "tcp4", ip: HOST, port };
    a.transport.send(path, Uint8Array.of(0));
    await here.told(1);
    expect(here.credits.at(-1)).toBeGreaterThan(223 * 1024); // an eighth of 256 KiB is kept back
    // Far more than the system's buffers and ours take: each piece is whole or not there.
    const piece = new Uint8Array(16 * 1024).fill(7);
    let sent = 0;
    for (; sent < 16 * 1024 * 1024; sent += piece.length) a.transport.send(path, piece);
    const known = here.credits.length;
    let got = 0;
    remote?.on("data", (data) => {
      got += data.length;
    });
    remote?.resume();
    await here.credited(known + 1);
    expect(Math.max(...here.credits)).toBeLessThanOrEqual(256 * 1024);
    a.transport.send(path, Uint8Array.of(1));
    await new Promise<void>((resolve) => remote?.on("data", (data) => data.at(-1) === 1 && resolve()));
    expect((got - 2) % piece.length).toBe(0);
    expect(got).toBeLessThan(sent / 2);
  });

  test("what is sent in one turn leaves in order and complete, up to the limit", async () => {
    const there = events();
    const b = await started(tcpTransport(LOCAL), there);
    const a = await started(tcpTransport(LOCAL));
    const pieces = Array.from({ length: 200 }, (_, i) => new Uint8Array(1000).fill(i));
    for (const piece of pieces) a.transport.send(pathOf(b), piece);
    await there.arrived(200_000);
    expect(there.bytes().every((byte, i) => byte === Math.floor(i / 1000))).toBe(true);
  });

  test("what is sent leaves once, when the event loop's call has ended or when that is asked for, and in order", async () => {
    const received = events();
    const [near, far] = [await started(tcpTransport(LOCAL)), await started(tcpTransport(LOCAL), received)];
    const path = pathOf(far);
    near.transport.send(path, Uint8Array.of(0));
    await received.arrived(1);
    const write = vi.spyOn(Socket.prototype, "write");
    onTestFinished(() => write.mockRestore());
    near.transport.send(path, Uint8Array.of(1));
    near.transport.send(path, Uint8Array.of(2));
    expect(write).not.toHaveBeenCalled();
    near.transport.flush();
    expect(write).toHaveBeenCalledTimes(1);
    near.transport.flush();
    near.transport.send(path, Uint8Array.of(3));
    expect(write).toHaveBeenCalledTimes(1);
    await received.arrived(4);
    expect(received.bytes()).toEqual(Uint8Array.of(0, 1, 2, 3));
    expect(write).toHaveBeenCalledTimes(2);
  });

  test("what waits for a slow remote arrives as it was sent, whatever was sent after it and to whom", async () => {
    let remote: Socket | undefined;
    const { port } = await listening((socket) => {
      remote = socket.pause();
    });
    const [a, b] = [await started(tcpTransport(LOCAL)), await started(tcpTransport(LOCAL))];
    const path = { type: "tcp4", ip: HOST, port };
    // The array that a piece was sent in is used for the next one. More pieces than the system takes, so that some wait.
    const piece = new Uint8Array(10_000);
    const turn = async (byte: number) => {
      a.transport.send(path, piece.fill(byte));
      a.transport.send(pathOf(b), piece.fill(255));
      await new Promise(setImmediate);
    };
    for (let i = 0; i < 1_000; i++) await turn(i % 250);
    const got: Uint8Array[] = [];
    remote?.on("data", (data) => void got.push(data)).resume();
    for (let i = 0; got.at(-1)?.at(-1) !== 254; i++) await turn(i < 100 ? 253 : 254);
    const bytes = Buffer.concat(got);
    expect(bytes.length).toBeGreaterThan(256 * 1024);
    const strange = bytes.findIndex((byte, at) => byte !== bytes[at - (at % 10_000)] || byte === 255);
    expect(strange).toBe(-1);
  });

  test.each([
    ["at most 512 connections: the newest replaces the least recently used", 512, LOCAL],
    ["of `connections` the newest replaces the least recently used", 8, { ...LOCAL, connections: 8 }],
  ])("%s", async (_, limit, options) => {
    const there = events();
    const b = await started(tcpTransport(options), there);
    const port = pathOf(b).port ?? 0;
    const sockets: Socket[] = [];
    onTestFinished(() => void sockets.map((socket) => socket.destroy()));
    for (let i = 0; i < limit; i++) {
      const socket = connect(port, HOST);
      sockets.push(socket);
      socket.on("error", () => {});
      await once(socket, "connect");
    }
    await there.told(limit);
    // The first speaks, so the second is the one that goes.
    sockets[0]?.write("x");
    await there.arrived(1);
    const [kept, lost] = sockets;
    const gone = once(lost ?? connect(port), "close");
    const last = connect(port, HOST);
    sockets.push(last);
    lost?.resume();
    await gone;
    await there.told(limit + 2);
    expect(there.paths.filter(([, open]) => !open)).toHaveLength(1);
    kept?.write("y");
    await there.arrived(2);
  });
});

test("no path and no bytes make send or close throw", async () => {
  const transports = [(await started(udpTransport(LOCAL))).transport, (await started(tcpTransport(LOCAL))).transport];
  const path = fc.record(
    {
      type: fc.constantFrom("udp4", "udp6", "tcp4", "tcp6", "ws", ""),
      ip: fc.oneof(fc.string(), fc.constantFrom("::1", "::", "0.0.0.0", "::ffff:1.2.3.4", "fe80::1%none")),
      port: fc.oneof(fc.integer(), fc.double()),
      url: fc.string(),
    },
    { requiredKeys: ["type"] },
  );
  fc.assert(
    fc.property(path, fc.uint8Array({ maxLength: 64 }), (path, bytes) => {
      for (const transport of transports) {
        transport.send(path, bytes);
        transport.close(path);
      }
    }),
    { numRuns: 500 },
  );
  for (const transport of transports) transport.send({ type: "udp4", ip: HOST, port: 9 }, new Uint8Array(70_000));
});

interface Started {
  readonly transport: Transport;
  readonly paths: readonly TransportPath[];
}

const running = new Set<Transport>();
afterEach(async () => {
  await Promise.all([...running].map((transport) => transport.stop()));
  running.clear();
});

async function started(transport: Transport, listener: TransportEvents = events()): Promise<Started> {
  running.add(transport);
  return { transport, paths: await transport.start(listener) };
}

function pathOf({ paths }: Started): TransportPath {
  return paths[0] ?? { type: "none" };
}

/** Events as lists, and promises for when there are enough of them. */
function events() {
  const pieces: Uint8Array[] = [];
  const paths: [TransportPath, boolean][] = [];
  const credits: number[] = [];
  const troubles: string[] = [];
  let lastPath: TransportPath = { type: "none" };
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const check of waiting) check();
  };
  const until = (isDone: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!isDone()) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  const length = (): number => pieces.reduce((sum, piece) => sum + piece.length, 0);
  return {
    received(path: TransportPath, bytes: Uint8Array): void {
      lastPath = path;
      pieces.push(bytes);
      wake();
    },
    path(path: TransportPath, open: boolean): void {
      paths.push([path, open]);
      wake();
    },
    writable(_path: TransportPath, credit: number): void {
      credits.push(credit);
      wake();
    },
    trouble: (message: string) => void troubles.push(message),
    paths,
    credits,
    troubles,
    bytes: () => new Uint8Array(Buffer.concat(pieces)),
    get lastPath() {
      return lastPath;
    },
    arrived: (count: number) => until(() => length() >= count),
    told: (count: number) => until(() => paths.length >= count),
    credited: (count: number) => until(() => credits.length >= count),
  };
}

async function listening(onSocket: (socket: Socket) => void = () => {}) {
  const server = createServer(onSocket);
  await once(server.listen(0, HOST), "listening");
  onTestFinished(() => void server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

/** The first of so many ports that were all free a moment ago. */
async function freeRow(length: number): Promise<number> {
  for (let first = 23_000; ; first += length) {
    const tries = Array.from(
      { length },
      (_, i) =>
        new Promise<boolean>((resolve) => {
          const server = createServer();
          server.once("error", () => resolve(false));
          server.listen(first + i, HOST, () => server.close(() => resolve(true)));
        }),
    );
    if ((await Promise.all(tries)).every((isFree) => isFree)) return first;
  }
}

async function hasIpv6(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(0, "::1", () => server.close(() => resolve(true)));
  });
}
