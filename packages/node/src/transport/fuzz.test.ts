import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createPeer, type Transport, type TransportEvents, type TransportPath } from "restante";
import { Chance } from "restante/testing";
import { expect, onTestFinished, test } from "vitest";
import { tcpTransport } from "./tcp.ts";
import { udpTransport } from "./udp.ts";

const HOST = "127.0.0.1";
const LOCAL = { host: HOST, port: 0 };

test("10,000 random datagrams and 2,000 pieces of streams: the peer goes on, and its memory stays", async () => {
  const [udp, tcp] = [recorded(udpTransport(LOCAL)), recorded(tcpTransport(LOCAL))];
  const troubles: string[] = [];
  const peer = await createPeer({
    transports: [udp.transport, tcp.transport],
    cache: {},
    onTrouble: (message) => troubles.push(message),
  });
  onTestFinished(() => peer.close());
  const friend = await createPeer({ transports: [udpTransport(LOCAL)] });
  onTestFinished(() => friend.close());
  await friend.add(await peer.invite());

  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  collect();
  const before = { count: udp.count(), heap: process.memoryUsage().heapUsed };

  const chance = new Chance(42);
  const out = createSocket("udp4");
  onTestFinished(() => void out.close());
  const udpPort = udp.paths[0]?.port ?? 0;
  for (let i = 0; i < 10_000; i++) {
    const bytes = chance.random(chance.between(0, 1500));
    // Half of them look like handshakes and channel packets at first sight.
    if (i % 2 === 0 && bytes.length > 4) bytes.set(i % 4 === 0 ? [0, 1, 0x3a] : [0, 0]);
    await new Promise((resolve) => out.send(bytes, udpPort, HOST, resolve));
    // No faster than they are taken up: what the system drops tests nothing.
    if (i % 16 === 15) await udp.reached(before.count + i + 1);
  }
  const tcpPort = tcp.paths[0]?.port ?? 0;
  for (let n = 0; n < 20; n++) {
    const socket = connect(tcpPort, HOST);
    socket.on("error", () => {});
    for (let i = 0; i < 100; i++)
      await new Promise((resolve) => socket.write(chance.random(chance.between(1, 1500)), resolve));
    socket.destroy();
    await once(socket, "close");
  }
  expect(tcp.count()).toBeGreaterThan(20);
  expect(udp.count()).toBeGreaterThanOrEqual(before.count + 10_000);

  // The peer still does its work: a mail arrives.
  const mail = new Promise<void>((resolve) => peer.on((event) => event.type === "mail" && resolve()));
  await friend.send(friend.contacts()[0]?.id ?? "", "still there?");
  await mail;
  expect(troubles).toEqual([]);
  collect();
  expect(process.memoryUsage().heapUsed - before.heap).toBeLessThan(32 * 1024 * 1024);
});

/** The transport itself, with its paths and the number of pieces that it received. */
function recorded(transport: Transport) {
  let count = 0;
  const paths: TransportPath[] = [];
  const wrapped: Transport = {
    ...transport,
    async start(listener) {
      const received: TransportEvents["received"] = (path, bytes) => {
        count++;
        listener.received(path, bytes);
      };
      paths.push(...(await transport.start({ ...listener, received })));
      return paths;
    },
  };
  const reached = async (wanted: number): Promise<void> => {
    while (count < wanted) await new Promise((resolve) => setImmediate(resolve));
  };
  return { transport: wrapped, paths, count: () => count, reached };
}
