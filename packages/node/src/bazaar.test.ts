import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Bazaar, bazaarSeed, createBazaar, folderStorage } from "@restante/bazaar";
import { type ContactInfo, memoryStore } from "restante";
import { utf8 } from "restante/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Client } from "./api/client.ts";
import type { InviteInfo, MessagePage, SentInfo, StatusInfo, TrackInfo } from "./api/contract.ts";
import type { BazaarSettings } from "./bazaar.ts";
import { type Daemon, startDaemon } from "./daemon.ts";

let dir: string;
const servers: Bazaar[] = [];
const open: Daemon[] = [];
/** Real nodes on a busy machine. */
/** What a machine was too busy for once is tried again a minute later. */
const WAIT = { timeout: 180_000, interval: 50 };

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-daemon-bazaar-"));
  for (let i = 0; i < 3; i++)
    servers.push(
      await createBazaar({
        seed: bazaarSeed(utf8(`server ${i}`.padEnd(32))),
        store: memoryStore(),
        storage: folderStorage(join(dir, `server-${i}`)),
        listen: ["/ip4/127.0.0.1/tcp/0"],
        bootstrap: servers[0]?.addrs() ?? [],
        network: "local",
        serves: true,
        onMessage: () => "done",
      }),
    );
});
afterEach(async () => {
  for (const daemon of open.splice(0)) await daemon.close();
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await rm(dir, { recursive: true });
});

const peers = (): string[] => servers.flatMap((server) => server.addrs());

/** A daemon that nobody can reach but by the bazaar. */
async function start(name: string, settings: BazaarSettings = {}): Promise<{ daemon: Daemon; client: Client }> {
  const daemon = await startDaemon({
    ...{ home: join(dir, name), host: "127.0.0.1", port: 0, name },
    bazaar: { local: true, peers: peers(), ...settings },
  });
  open.push(daemon);
  // Its addresses stand in cards; what comes to them finds nobody there any more when it is asked.
  return { daemon, client: new Client(daemon.socket) };
}

async function stop(daemon: Daemon): Promise<void> {
  open.splice(open.indexOf(daemon), 1);
  await daemon.close();
}

describe("two daemons that never run at the same time, a push node and three nodes of a DHT", () => {
  test("[D1] get to know each other by an invite, a text arrives, and its sender hears so", async () => {
    // Who they are there follows from their homes, and the push node has to know.
    const ids: string[] = [];
    for (const name of ["alice", "bob"]) {
      const { daemon, client } = await start(name);
      ids.push((await client.call<StatusInfo>("GET", "/v1/status")).bazaar?.id ?? "");
      await stop(daemon);
    }
    const listen = ["/ip4/127.0.0.1/tcp/0"];
    const push = await start("push", { listen, push: true, admit: ids });
    const pushInfo = async (): Promise<StatusInfo["bazaar"]> =>
      (await push.client.call<StatusInfo>("GET", "/v1/status")).bazaar;
    const pushNodes = [...((await pushInfo())?.addrs ?? [])];
    expect(pushNodes).toHaveLength(1);

    const bob = await start("bob", { pushNodes });
    const { link } = await bob.client.call<InviteInfo>("POST", "/v1/invites", {});
    await stop(bob.daemon);

    const alice = await start("alice", { pushNodes });
    const contact = await alice.client.call<ContactInfo>("POST", "/v1/contacts", { link });
    const { id } = await alice.client.call<SentInfo>("POST", "/v1/messages", { contact: contact.id, text: "hello" });
    await vi.waitFor(async () => {
      const { ledger } = await alice.client.call<TrackInfo>("GET", `/v1/outbox/${id}`);
      expect(ledger.at(-1)).toMatchObject({ state: "handed", route: "bazaar" });
    }, WAIT);
    expect((await pushInfo())?.pushBytes).toBeGreaterThan(0);
    await stop(alice.daemon);

    const bobAgain = await start("bob", { pushNodes });
    await vi.waitFor(async () => {
      const { messages } = await bobAgain.client.call<MessagePage>("GET", "/v1/messages?after=0");
      expect(messages).toMatchObject([{ text: "hello", suite: "static" }]);
    }, WAIT);
    await settled(bobAgain.client);
    await stop(bobAgain.daemon);

    // What he said first may be of the invite alone, and what he says of the text be on its way when he goes: then once more.
    for (let round = 0; !(await hears(id, { pushNodes })); round++) {
      expect(round).toBeLessThan(3);
      const bobOnceMore = await start("bob", { pushNodes });
      await settled(bobOnceMore.client);
      await stop(bobOnceMore.daemon);
    }
  }, 900_000);

  /** His acknowledgement lies where she will look, and for a while nothing else was on its way. */
  async function settled(bob: Client): Promise<void> {
    let quiet = 0;
    await vi.waitFor(async () => {
      const { bazaar } = await bob.call<StatusInfo>("GET", "/v1/status");
      const isQuiet = bazaar !== undefined && bazaar.waiting > 0 && bazaar.left === bazaar.waiting;
      quiet = isQuiet ? quiet + 1 : 0;
      expect(quiet).toBeGreaterThan(40);
    }, WAIT);
  }

  /** Whether she learns that it was delivered. */
  async function hears(id: string, settings: BazaarSettings): Promise<boolean> {
    const { daemon, client } = await start("alice", settings);
    const told = vi.waitFor(
      async () => {
        const { ledger } = await client.call<TrackInfo>("GET", `/v1/outbox/${id}`);
        expect(ledger.at(-1)).toMatchObject({ state: "delivered" });
      },
      { ...WAIT, timeout: 20_000 },
    );
    const isTold = await told.then(
      () => true,
      () => false,
    );
    await stop(daemon);
    return isTold;
  }
});

test.each<[string, BazaarSettings]>([
  ["a node that has no id", { peers: ["/ip4/127.0.0.1/tcp/1"] }],
  ["a push node that is no multiaddr", { pushNodes: ["127.0.0.1:1"] }],
  ["a guest that is no id", { admit: ["12D3KooWnobody"] }],
])("%s is refused, and the home is free again", async (_, settings) => {
  await expect(start("refused", settings)).rejects.toMatchObject({ code: "bad-address" });
  const { daemon } = await start("refused");
  await stop(daemon);
});

describe("libp2p", () => {
  const main = fileURLToPath(new URL("../dist/cli/run.js", import.meta.url)); // as it was compiled: a bundle has few modules
  /** Every module that is loaded says so on stderr. */
  const spy = `import { register } from "node:module";
    register("data:text/javascript," + encodeURIComponent(\`
      import { writeSync } from "node:fs";
      export async function load(url, context, next) { writeSync(2, "module " + url + "\\\\n"); return await next(url, context); }
    \`));`;

  /** The modules that a daemon has loaded when it is ready. */
  async function modules(args: readonly string[]): Promise<string[]> {
    const loader = `data:text/javascript,${encodeURIComponent(spy)}`;
    const all = [
      "--import",
      loader,
      main,
      "--json",
      "--home",
      join(dir, `light-${args.length}`),
      "--host",
      "127.0.0.1",
    ];
    const child = spawn(process.execPath, [...all, "--port", "0", "serve", ...args]);
    const found: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => {
      if (line.startsWith("module ")) found.push(line.slice(7));
    });
    const ended = new Promise((resolve) => child.on("close", resolve));
    await new Promise<void>((resolve, reject) => {
      child.stdout.once("data", () => resolve());
      ended.then((code) => reject(new Error(`it ended with ${String(code)}`)));
    });
    child.kill("SIGTERM");
    await ended;
    return found;
  }

  test("is loaded by a daemon with the bazaar, and no module of it by one without", async () => {
    if (!existsSync(main)) throw new Error("the program is not built: npm run build");
    const isOfBazaar = (url: string): boolean => /libp2p|packages\/bazaar|@restante\/bazaar|multiformats/.test(url);
    const light = await modules([]);
    expect(light.length).toBeGreaterThan(50);
    expect(light.filter(isOfBazaar)).toEqual([]);
    expect((await modules(["--bazaar"])).filter(isOfBazaar).length).toBeGreaterThan(100);
  });
});
