import { mkdtempSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPeer, MemoryNetwork, memoryBoxStore, memoryStore, type Peer, type Transport } from "restante";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { until } from "../../../testing/until.ts";
import { loadBackend } from "./crypto/best.ts";
import { startCache } from "./daemon.ts";
import { metered, noTraffic, parseMetricsAddress, serveMetrics } from "./metrics.ts";
import { tcpTransport } from "./transport/tcp.ts";
import { udpTransport } from "./transport/udp.ts";

let dir: string;
const open: { close(): Promise<void> }[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "restante-metrics-"));
});
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
  rmSync(dir, { recursive: true });
});

async function person(
  name: string,
  transport: typeof tcpTransport | typeof udpTransport = udpTransport,
): Promise<Peer> {
  const peer = await createPeer({
    name,
    store: memoryStore(),
    backend: await loadBackend(() => {}),
    transports: [transport({ host: "127.0.0.1", port: 0 })],
  });
  open.push(peer);
  return peer;
}

/** The samples of a page by name. */
function samples(page: string): Map<string, number> {
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.split(" ")[0] ?? "", Number(line.split(" ")[1])]));
}

test("[C5] under load the page of a cache names nobody, no box and no mail, and its totals are right", async () => {
  const traffic = noTraffic();
  const cache = await startCache({ home: join(dir, "cache"), host: "127.0.0.1", port: 0, traffic });
  open.push(cache);
  let shown = cache.status(); // what the page was made of: mail may come while it is read
  const metrics = await serveMetrics({ host: "127.0.0.1", port: 0 }, () => {
    shown = cache.status();
    return { status: shown, traffic };
  });
  open.push(metrics);
  const read = async (): Promise<string> => (await fetch(metrics.url)).text();

  const before = samples(await read());
  for (const name of ["messages", "boxes", "recipients", "bytes", "gained_total", "evicted_total"])
    expect(before.get(`restante_cache_${name}`)).toBe(0);
  const [alice, bob] = [await person("alice"), await person("bob")];
  for (const peer of [alice, bob]) await peer.join(cache.joinLink());
  const { id } = await alice.add(await bob.invite());
  await until(bob, () => bob.contacts().length === 1);
  await until(alice, () => alice.outbox().every(({ state }) => state === "delivered"));
  await bob.close();
  const mails = await Promise.all([1, 2, 3].map((n) => alice.send(id, `mail ${n}`)));
  await until(alice, () => mails.every((mail) => alice.outbox().some((it) => it.id === mail && it.state === "handed")));

  const page = await read();
  const after = samples(page);
  const { held, links } = shown;
  expect(after.get("restante_cache_messages")).toBe(held?.messages);
  expect(held?.messages).toBeGreaterThanOrEqual(3);
  expect(after.get("restante_cache_boxes")).toBe(held?.boxes);
  expect(after.get("restante_cache_recipients")).toBe(held?.recipients);
  expect(after.get("restante_cache_bytes")).toBe(held?.bytes);
  expect(after.get("restante_cache_gained_total")).toBeGreaterThanOrEqual(3);
  expect(after.get("restante_links")).toBe(links.filter(({ state }) => state === "up").length);
  for (const name of ["received_packets", "received_bytes", "sent_packets", "sent_bytes", "turns"])
    expect(after.get(`restante_${name}_total`)).toBeGreaterThan(before.get(`restante_${name}_total`) ?? 0);

  const known = [alice.hashname, bob.hashname, cache.hashname, id, ...mails];
  for (const name of known) expect(page).not.toContain(name);
  expect(page).not.toMatch(/[0-9a-f]{16}|[a-z2-7]{52}|127\.0\.0\.1/);
  // Without labels there is no place for a name: each line is a comment, or a metric and a number.
  expect(page).not.toContain("{");
  for (const line of page.trimEnd().split("\n"))
    expect(line).toMatch(/^(# HELP [a-z_]+ .+|# TYPE [a-z_]+ (gauge|counter)|[a-z_]+ \d+(\.\d+)?(e[+-]\d+)?)$/);
  const names = [...after.keys()];
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(page).toContain(`# TYPE ${name} ${name.endsWith("_total") ? "counter" : "gauge"}\n`);
});

test("the listener has one page, and is gone after it is closed", async () => {
  const status = { held: undefined, links: [], channels: 0, turns: 7, faults: 1 };
  let isBroken = false;
  const metrics = await serveMetrics({ host: "127.0.0.1", port: 0 }, () => {
    if (isBroken) throw new Error("not running");
    return { status, traffic: noTraffic() };
  });
  open.push(metrics);
  const at = (path: string): string => new URL(path, metrics.url).href;
  expect((await fetch(at("/"))).status).toBe(404);
  expect((await fetch(at("/metrics/x"))).status).toBe(404);
  expect((await fetch(metrics.url, { method: "POST", body: "x" })).status).toBe(405);
  const page = await (await fetch(metrics.url)).text();
  expect(samples(page).get("restante_turns_total")).toBe(7);
  expect(samples(page).get("restante_faults_total")).toBe(1);
  expect(page).not.toContain("restante_cache_"); // who serves no cache has no totals of one
  isBroken = true;
  expect((await fetch(metrics.url)).status).toBe(503);
  const port = Number(new URL(metrics.url).port);
  await expect(
    serveMetrics({ host: "127.0.0.1", port }, () => ({ status, traffic: noTraffic() })),
  ).rejects.toMatchObject({ code: "address-in-use" });
  open.pop();
  await metrics.close();
  await expect(fetch(metrics.url)).rejects.toThrow();
});

test("an address without a host is one on loopback", () => {
  expect(parseMetricsAddress("9100")).toEqual({ host: "127.0.0.1", port: 9100 });
  expect(parseMetricsAddress("10.0.0.1:80")).toEqual({ host: "10.0.0.1", port: 80 });
  expect(parseMetricsAddress("[::1]:0")).toEqual({ host: "::1", port: 0 });
  for (const text of ["", ":9100", "host:9100", "127.0.0.1", "65536", "1.2.3:4", "[::1:4", "9100 "])
    expect(parseMetricsAddress(text)).toBeUndefined();
});

test("a metered transport adds up what goes through it, both ways", async () => {
  const network = new MemoryNetwork();
  const traffic = noTraffic();
  const [one, two] = [metered(network.transport("one"), traffic), network.transport("two")];
  const came = new Promise<Uint8Array>((received) => {
    void one.start({ received: (_, bytes) => received(bytes), path() {}, writable() {} });
  });
  await two.start({ received() {}, path() {}, writable() {} });
  one.send({ type: "mem", name: "two" }, new Uint8Array(10));
  two.send({ type: "mem", name: "one" }, new Uint8Array(3));
  expect((await came).length).toBe(3);
  expect(traffic).toEqual({ packetsIn: 1, packetsOut: 1, bytesIn: 3, bytesOut: 10 });
  await one.stop();
  await two.stop();
});

test("what a metered transport sent leaves when that is asked for", () => {
  const flush = vi.fn();
  const transport: Transport = { types: [], start: async () => [], send() {}, flush, close() {}, stop: async () => {} };
  metered(transport, noTraffic()).flush();
  expect(flush).toHaveBeenCalledTimes(1);
});

test("[C33] [C45] a cache as it is served has written the acknowledgement to the sender's connection when its store is asked", async () => {
  const cache = await startCache({ home: join(dir, "cache"), host: "127.0.0.1", port: 0, traffic: noTraffic() });
  open.push(cache);
  const port = cache.status().paths.find(({ type }) => type === "tcp4")?.port;
  const [alice, bob] = [await person("alice", tcpTransport), await person("bob", tcpTransport)];
  for (const peer of [alice, bob]) await peer.join(cache.joinLink());
  const { id } = await alice.add(await bob.invite());
  await until(alice, () => alice.outbox().every(({ state }) => state === "delivered"));

  // What the cache reads from its connections and writes to them, and what its store is asked, in order.
  const log: string[] = [];
  const { emit, write } = Socket.prototype;
  const store = Object.getPrototypeOf(memoryBoxStore()) as ReturnType<typeof memoryBoxStore>;
  const { handle } = store;
  const spies = [
    vi.spyOn(Socket.prototype, "emit").mockImplementation(function (this: Socket, ...given: unknown[]) {
      if (given[0] === "data" && this.localPort === port) log.push("read");
      return Reflect.apply(emit, this, given);
    } as typeof emit),
    vi.spyOn(Socket.prototype, "write").mockImplementation(function (this: Socket, ...given: unknown[]) {
      if (this.localPort === port) log.push("write");
      return Reflect.apply(write, this, given);
    } as typeof write),
    vi.spyOn(store, "handle").mockImplementation(function (this: typeof store, ...given: Parameters<typeof handle>) {
      log.push(given[0].type);
      return handle.apply(this, given);
    }),
  ];
  onTestFinished(() => spies.forEach((spy) => void spy.mockRestore()));
  await bob.close();
  for (const text of ["one", "two", "three"]) {
    const mail = await alice.send(id, text);
    await until(alice, () => alice.outbox().some((it) => it.id === mail && it.state === "handed"));
  }
  const puts = log.flatMap((entry, i) => (entry === "put" ? [log.slice(0, i)] : []));
  expect(puts.length).toBeGreaterThanOrEqual(3);
  for (const before of puts) expect(before.findLast((entry) => entry !== "put")).toBe("write");
});
