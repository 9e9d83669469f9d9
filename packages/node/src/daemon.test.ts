import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { portable } from "restante";
import { parseInvite } from "restante/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "./api/client.ts";
import type { InviteInfo, SeenInfo, StatusInfo } from "./api/contract.ts";
import { type Daemon, type DaemonOptions, startCache, startDaemon } from "./daemon.ts";

let dir: string;
const open: { close(): Promise<void> }[] = [];
const local = { host: "127.0.0.1", port: 0 };

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-daemon-"));
});
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
  await rm(dir, { recursive: true });
});

async function start(options: Partial<DaemonOptions> = {}): Promise<{ daemon: Daemon; client: Client }> {
  const daemon = await startDaemon({ ...local, home: join(dir, "home"), ...options });
  open.push(daemon);
  return { daemon, client: new Client(daemon.socket) };
}

describe("a daemon", () => {
  test("keeps its identity, its name and what was seen in its home", async () => {
    const first = await start({ name: "anna" });
    await first.daemon.close();
    await writeFile(join(dir, "home", "seen"), "0");
    const second = await start();
    expect(second.daemon.peer.hashname).toBe(first.daemon.peer.hashname);
    expect(second.daemon.name).toBe("anna");
    await second.daemon.close();
    const third = await start({ name: "berta" });
    expect(await third.client.call<StatusInfo>("GET", "/v1/status")).toMatchObject({ name: "berta", seen: 0 });
  });

  test("listens where it did last time, when nothing else is asked for", async () => {
    const home = join(dir, "home");
    const ports = (daemon: Daemon): number[] => daemon.peer.status().paths.map(({ port }) => port ?? 0);
    const first = await startDaemon({ host: "127.0.0.1", home });
    open.push(first);
    const before = ports(first);
    await first.close();
    const second = await startDaemon({ host: "127.0.0.1", home });
    open.push(second);
    expect(ports(second)).toEqual(before);
    await second.close();
    for (const damage of ["what", "0 0", "99999 1"]) {
      await writeFile(join(home, "ports"), damage);
      const again = await startDaemon({ host: "127.0.0.1", home });
      open.push(again);
      expect(ports(again).every((port) => port > 0)).toBe(true);
      await again.close();
    }
  });

  test("takes a cursor that cannot be read for none: mail is shown again, never skipped", async () => {
    const first = await start();
    await first.daemon.close();
    await writeFile(join(dir, "home", "seen"), "-1e9 what");
    const { client } = await start();
    expect(await client.call<SeenInfo>("GET", "/v1/seen")).toEqual({ n: 0 });
  });

  test("gives the advertised addresses to others instead of its own", async () => {
    const { client } = await start({ advertise: ["192.0.2.7:4000", "[2001:db8::1]:5000", "localhost:6000"] });
    const { link } = await client.call<InviteInfo>("POST", "/v1/invites");
    const paths = parseInvite(portable, link)?.paths ?? [];
    expect(paths.slice(0, 4)).toEqual([
      { type: "udp4", ip: "192.0.2.7", port: 4000 },
      { type: "tcp4", ip: "192.0.2.7", port: 4000 },
      { type: "udp6", ip: "2001:db8::1", port: 5000 },
      { type: "tcp6", ip: "2001:db8::1", port: 5000 },
    ]);
    expect(paths.slice(4).map(({ port }) => port)).toEqual([6000, 6000]);
  });

  test.each([
    ["a name with a line break", { name: "a\nb" }, "bad-name"],
    ["a name that is too long", { name: "x".repeat(65) }, "bad-name"],
    ["an address without a port", { advertise: ["192.0.2.7"] }, "bad-address"],
    ["port 0 as an address", { advertise: ["192.0.2.7:0"] }, "bad-address"],
    ["a host that nobody knows", { advertise: ["no-such-host.invalid:1"] }, "bad-address"],
  ])("refuses %s, and leaves the home free", async (_, options, code) => {
    await expect(start(options)).rejects.toMatchObject({ code });
    await start();
  });

  test("says when none of its caches answers", async () => {
    const cache = await startCache({ ...local, home: join(dir, "cache") });
    const { client } = await start();
    await client.call("POST", "/v1/caches", { link: cache.joinLink() });
    expect(await client.call<StatusInfo>("GET", "/v1/status")).toMatchObject({ caches: [{ up: true }], problems: [] });
    await open.pop()?.close();
    await cache.close();
    const again = await start();
    expect(await again.client.call<StatusInfo>("GET", "/v1/status")).toMatchObject({
      caches: [{ up: false }],
      problems: ["none of your caches answers"],
    });
  });

  test("can serve a cache as well, and shows the link to join it", async () => {
    const { client } = await start({ cache: true });
    const { joinLink } = await client.call<StatusInfo>("GET", "/v1/status");
    const other = await start({ home: join(dir, "other") });
    expect(await other.client.call("POST", "/v1/caches", { link: joinLink })).toMatchObject({ cap: 8 * 1024 * 1024 });
  });
});

test("a cache is the same after a restart, so that what its recipients hold stays valid", async () => {
  const home = join(dir, "cache");
  const cache = await startCache({ ...local, home });
  const identity = await readFile(join(home, "identity.json"), "utf8");
  const { hashname } = cache;
  await cache.close();
  const again = await startCache({ ...local, home });
  open.push(again);
  expect(again.hashname).toBe(hashname);
  // Two would answer with one identity, and each would hold half of the mail.
  await expect(startCache({ ...local, home })).rejects.toMatchObject({ code: "home-locked" });
  await expect(startDaemon({ ...local, home })).rejects.toMatchObject({ code: "home-locked" });
  expect(await readFile(join(home, "identity.json"), "utf8")).toBe(identity);
});
