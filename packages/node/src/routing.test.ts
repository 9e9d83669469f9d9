/** A cache that routes, and two people who cannot reach each other without it: real processes, whose cards name wrong addresses. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { freePort, isFree } from "../../../testing/ports.ts";
import { Client } from "./api/client.ts";
import type { ContactList, MessagePage, StatusInfo, TrackInfo } from "./api/contract.ts";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const running = new Set<ChildProcess>();
let dir: string;
let hasIpv6 = false;

beforeAll(async () => {
  if (!existsSync(main)) throw new Error("the program is not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-routing-"));
  hasIpv6 = await isFree(0, "::1");
});
afterEach(async () => {
  const ended = [...running].map((child) => once(child, "exit"));
  for (const child of running) child.kill("SIGKILL");
  await Promise.all(ended);
});
afterAll(() => {
  rmSync(dir, { recursive: true });
});

test("two of whom one has IPv4 and the other IPv6 write by a link through their cache; it holds nothing, and may start anew", async ({
  skip,
}) => {
  if (!hasIpv6) skip("this machine has no IPv6 loopback");
  const { cache, alice, bob } = await scene("apart", "127.0.0.2", "::1");
  const file = join(dir, "a-file");
  writeFileSync(
    file,
    Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7919) >> 3),
  );
  for (const [from, to, args] of [
    [alice, bob, ["from alice"]],
    [bob, alice, ["from bob"]],
    [alice, bob, ["--file", file]],
  ] as const) {
    // On a machine that is busy for seconds the cache gets a copy, too, until it is delivered.
    expect(routesOf(await from.delivers(to, ...args))).toContain("direct");
    await cache.empties();
  }
  expect(await bob.receivedFile()).toEqual(new Uint8Array(readFileSync(file)));

  // Without it neither hears of the other any more, and what one of them says waits.
  await cache.stop("SIGKILL");
  const waiting = await alice.send(bob, "while it was away");
  const again = await router(cache.home, cache.port);
  await alice.delivered(waiting);
  for (const each of [alice, bob]) await each.linked();
  expect(routesOf(await bob.delivers(alice, "as before"))).toContain("direct");
  await again.empties();
  expect(await alice.texts()).toEqual(["from bob", "as before"]);
  expect(await bob.texts()).toEqual(["from alice", "while it was away"]);
});

test("two whom their cache told where they are need it no more: it is killed, and their mail goes on", async () => {
  const { cache, alice, bob } = await scene("together", "127.0.0.2", "127.0.0.3");
  expect(routesOf(await alice.delivers(bob, "hello"))).toContain("direct");
  await cache.stop("SIGKILL"); // it stays away
  for (const i of [1, 2]) {
    await alice.delivers(bob, `from alice ${i}`);
    expect(routesOf(await bob.delivers(alice, `from bob ${i}`))).toContain("direct");
  }
  expect(await bob.texts()).toEqual(["hello", "from alice 1", "from alice 2"]);
  expect(await alice.texts()).toEqual(["from bob 1", "from bob 2"]);
});

/** Two contacts on these addresses, who use one cache, and of whom nobody is where the card says. Their link is up. */
async function scene(name: string, ...[first, second]: readonly [string, string]) {
  const port = await freePort();
  const cache = await router(join(dir, name, "cache"), port);
  const alice = await person(join(dir, name, "alice"), first, "192.0.2.1:9");
  const bob = await person(join(dir, name, "bob"), second, "192.0.2.2:9");
  for (const each of [alice, bob]) await each.run("cache", "join", cache.ready["joinLink"] ?? "");
  await bob.run("add", (await alice.run("invite")).trim());
  for (const each of [alice, bob]) await each.linked();
  return { cache, alice, bob };
}

interface Serving {
  readonly ready: Readonly<Record<string, string>>;
  readonly child: ChildProcess;
  /** The first line from now on that `pattern` matches. */
  says(pattern: RegExp): Promise<string>;
  stop(signal?: NodeJS.Signals): Promise<unknown>;
}

/** Starts a node; resolves when it is ready. */
async function serve(...args: readonly string[]): Promise<Serving> {
  const child = spawn(process.execPath, [main, "--json", ...args], { cwd: dir });
  running.add(child);
  let errors = "";
  let said = "";
  let heard = (): void => {};
  child.stderr.on("data", (piece) => {
    errors += piece;
  });
  child.stdout.on("data", (piece) => {
    said += piece;
    heard();
  });
  const exit = once(child, "exit").finally(() => running.delete(child));
  const says = (pattern: RegExp): Promise<string> => {
    const from = said.length;
    return new Promise((resolve, reject) => {
      heard = () => {
        const line = pattern.exec(said.slice(from));
        if (line !== null) resolve(line[0]);
      };
      heard();
      exit.then(([code]) => reject(new Error(`${args.join(" ")} ended with ${code}: ${errors}`)));
    });
  };
  const ready = JSON.parse(await says(/^\{"type":"ready".*\}$/m));
  return {
    ready,
    child,
    says,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await exit;
    },
  };
}

/** A cache that routes, in both families. */
async function router(home: string, port: number) {
  const at = ["127.0.0.1", "[::1]"].flatMap((host) => ["--advertise", `${host}:${port}`]);
  const serving = await serve("--port", `${port}`, "--home", home, "serve", "--cache-only", "--route", ...at);
  const holds = async (): Promise<{ messages?: unknown }> => {
    const line = serving.says(/^\{"type":"holds".*\}$/m);
    serving.child.kill("SIGUSR2");
    return JSON.parse(await line);
  };
  return {
    ...serving,
    home,
    port,
    /** Asks until it holds nothing. */
    async empties(): Promise<void> {
      while ((await holds()).messages !== 0);
    },
  };
}

/** A person's node on one address, whose card has another. */
async function person(home: string, host: string, advertised: string) {
  const name = home.slice(home.lastIndexOf("/") + 1);
  const network = ["--host", host, "--port", "0"];
  const serving = await serve(...network, "--home", home, "serve", "--name", name, "--advertise", advertised);
  const api = new Client(join(home, "sock"));
  const run = async (...args: readonly string[]): Promise<string> => {
    const child = spawn(process.execPath, [main, ...args, "--home", home], { cwd: dir });
    let out = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (out += piece));
    child.stdin.end();
    const [code] = await once(child, "close"); // what it printed has come
    expect({ args, code, out }).toMatchObject({ code: 0 });
    return out;
  };
  /** Asks at once, and again at each event, until the answer is right. */
  const until = async <T>(path: string, isRight: (answer: T) => boolean): Promise<T> => {
    const stop = new AbortController();
    const events = await api.events(undefined, stop.signal);
    try {
      let answer = await api.call<T>("GET", path);
      if (isRight(answer)) return answer;
      for await (const _ of events) {
        answer = await api.call<T>("GET", path);
        if (isRight(answer)) return answer;
      }
      throw new Error("the daemon ended");
    } finally {
      stop.abort();
    }
  };
  const delivered = (id: string): Promise<TrackInfo> =>
    until<TrackInfo>(`/v1/outbox/${id}`, ({ state }) => state === "delivered");
  const send = async (to: { name: string }, ...args: readonly string[]): Promise<string> =>
    (await run("send", to.name, ...args)).trim();
  const messages = async () => (await api.call<MessagePage>("GET", "/v1/messages")).messages;
  return {
    name,
    run,
    send,
    delivered,
    delivers: async (...args: Parameters<typeof send>): Promise<TrackInfo> => delivered(await send(...args)),
    /** Has a link with its contact, and all its own mail of before is delivered. */
    async linked(): Promise<void> {
      await until<ContactList>("/v1/contacts", ({ contacts }) => contacts.some(({ link }) => link === "up"));
      await until<StatusInfo>("/v1/status", ({ waiting }) => waiting === 0);
    },
    texts: async (): Promise<string[]> => (await messages()).flatMap(({ text }) => text ?? []),
    async receivedFile(): Promise<Uint8Array> {
      const { n } = (await messages()).find(({ file }) => file !== undefined) ?? { n: 0 };
      const pieces: Buffer[] = [];
      for await (const piece of await api.download(`/v1/messages/${n}/file`)) pieces.push(piece as Buffer);
      return new Uint8Array(Buffer.concat(pieces));
    },
    stop: serving.stop,
  };
}

/** By which ways a mail went, each once. */
function routesOf({ ledger }: TrackInfo): string[] {
  return [...new Set(ledger.flatMap(({ route }) => route ?? []))];
}
