import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { portable } from "restante";
import { parseInvite } from "restante/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "./api/client.ts";
import type { InviteInfo, SeenInfo, StatusInfo } from "./api/contract.ts";
import { type Daemon, type DaemonOptions, type Household, startCache, startDaemon, startHousehold } from "./daemon.ts";
import { createIdentityHome, homeOfIdentity, identitiesOf } from "./home.ts";
import { rewriteKey } from "./store/key.ts";

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
    const started = async (): Promise<number[]> => {
      const daemon = await startDaemon({ host: "127.0.0.1", home });
      open.push(daemon);
      const found = ports(daemon);
      await daemon.close();
      return found;
    };
    // Between the two somebody else may have taken one of them: not three times.
    let [before, after] = [await started(), await started()];
    for (let i = 0; i < 2 && String(before) !== String(after); i++) [before, after] = [after, await started()];
    expect(after).toEqual(before);
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
      problems: [expect.stringMatching(/^none of your caches answers: .*; is this machine online\?/)],
    });
  });

  test.runIf(process.platform === "linux")("is refused beside one that runs on a copy of its home", async () => {
    const { daemon } = await start();
    await daemon.close();
    await cp(join(dir, "home"), join(dir, "copy"), { recursive: true, filter: (file) => !file.includes("/sock") });
    await start();
    await expect(start({ home: join(dir, "copy") })).rejects.toMatchObject({ code: "identity-in-use" });
    await open.pop()?.close();
    const copy = await start({ home: join(dir, "copy") });
    expect(copy.daemon.peer.hashname).toBe(daemon.peer.hashname);
    // What was refused was no start: the copy had not gone on, and so had taken nobody's links.
    expect(copy.daemon.peer.status().isCopied).toBe(true);
  });

  test("can serve a cache as well, and shows the link to join it", async () => {
    const { client } = await start({ cache: true });
    const { joinLink } = await client.call<StatusInfo>("GET", "/v1/status");
    const other = await start({ home: join(dir, "other") });
    expect(await other.client.call("POST", "/v1/caches", { link: joinLink })).toMatchObject({ cap: 8 * 1024 * 1024 });
  });
});

describe("several identities of one home", () => {
  const household = async (options: Partial<DaemonOptions> = {}): Promise<Household> => {
    const all = await startHousehold({ ...local, home: join(dir, "home"), ...options });
    open.push(all);
    return all;
  };

  test("run in one process, each with an API, a store and a key of its own, and write to each other as strangers do", async () => {
    expect(await identitiesOf(join(dir, "home"))).toEqual([]);
    await createIdentityHome(join(dir, "home"), "work");
    await expect(createIdentityHome(join(dir, "home"), "work")).rejects.toMatchObject({ code: "home-not-empty" });
    const asked: (string | undefined)[] = [];
    await rewriteKey(join(dir, "home", "id", "work", "key"), async () => "secret");
    const said: string[] = [];
    const all = await household({
      web: { port: 0 },
      say: (message) => void said.push(message),
      passphrase: async (identity) => {
        asked.push(identity);
        return "secret";
      },
    });
    expect(asked).toEqual(["work"]);
    expect(said).toContainEqual(expect.stringContaining("the page: of the first identity alone"));
    expect([all.webUrl, all.others.get("work")?.webUrl]).toEqual([expect.stringContaining("http://127"), undefined]);
    const work = all.others.get("work");
    const [mine, its] = [new Client(all.socket), new Client(work?.socket ?? "")];
    const places = [all.peer, work?.peer].flatMap((peer) =>
      peer?.status().paths.map(({ type, port }) => `${type} ${port}`),
    );
    expect(new Set(places).size).toBe(places.length);
    expect(work?.peer.hashname).not.toBe(all.peer.hashname);
    const { link } = await its.call<InviteInfo>("POST", "/v1/invites");
    const { id } = await mine.call<{ id: string }>("POST", "/v1/contacts", { link });
    const came = new Promise((resolve) => work?.peer.on((event) => event.type === "mail" && resolve(event.text)));
    await mine.call("POST", "/v1/messages", { contact: id, text: "from home to work" });
    expect(await came).toBe("from home to work");
    expect((await mine.call<StatusInfo>("GET", "/v1/status")).inbox).toBe(0);
  });

  test("start all or none", async () => {
    const home = await createIdentityHome(join(dir, "home"), "work");
    await writeFile(join(home, "key"), "no key", { mode: 0o600 });
    await expect(household()).rejects.toMatchObject({ code: "store-key" });
    await rm(join(home, "key"));
    const all = await household();
    expect([...all.others.keys()]).toEqual(["work"]);
    await open.pop()?.close();
    // Each of them can be started alone.
    const { daemon } = await start({ home });
    expect(daemon.peer.hashname).toBe(all.others.get("work")?.peer.hashname);
    await expect(household()).rejects.toMatchObject({ code: "home-locked" });
  });

  test.each(["", ".", "..", "a/b", "../up", "-x", "x".repeat(33), "a b"])(
    'have names that are folders: "%s" is none',
    (name) => {
      expect(() => homeOfIdentity(dir, name)).toThrow(expect.objectContaining({ code: "bad-name" }));
    },
  );
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
