import { expect, test } from "vitest";
import { transportSuite } from "../testing/transport-suite.ts";
import { MemoryNetwork, type TransportEvents } from "./transport.ts";

const suite = transportSuite(async () => {
  const network = new MemoryNetwork();
  return [network.transport("a"), network.transport("b")];
});
for (const { name, run } of suite) test(`memory network: ${name}`, run);

test("networks are apart, and the receiver never runs inside the sender's turn", async () => {
  const [one, other] = [new MemoryNetwork(), new MemoryNetwork()];
  const heard: string[] = [];
  let arrived = (): void => {};
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const events = (name: string): TransportEvents => ({
    received(path, bytes) {
      heard.push(`${name} ${path.name} ${bytes}`);
      arrived();
    },
    path() {},
    writable() {},
  });
  const sender = one.transport("sender");
  await sender.start(events("sender"));
  await other.transport("receiver").start(events("elsewhere"));
  const [path] = await one.transport("receiver").start(events("receiver"));
  if (path === undefined) throw new Error("no path");
  const bytes = Uint8Array.of(1, 2);
  sender.send(path, bytes);
  bytes.fill(9); // the sender's own again as soon as `send` returns
  expect(heard).toEqual([]);
  await arrival;
  expect(heard).toEqual(["receiver sender 1,2"]);
});
