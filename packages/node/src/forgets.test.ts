/** What a cache leaves behind: nothing on disk, nothing in what it says. Seen from outside, by its system calls and its output. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Backend, createPeer, memoryStore, type Path, type Peer, portable, type Store } from "restante";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../../testing/until.ts";
import { Client } from "./api/client.ts";
import type { ContactList, OutboxList, StatusInfo } from "./api/contract.ts";
import { loadBackend } from "./crypto/best.ts";
import { udpTransport } from "./transport/udp.ts";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const hasStrace = spawnSync("strace", ["-V"]).status === 0;
const running = new Set<ChildProcess>();
let dir: string;

beforeAll(() => {
  if (!existsSync(main)) throw new Error("the program is not built: npm run build");
  if (process.env["CI_STRICT"] === "1" && !hasStrace) throw new Error("strace is missing");
  dir = mkdtempSync(join(tmpdir(), "restante-forgets-"));
});
afterAll(() => {
  for (const child of running) {
    // What strace looks at would outlive it.
    spawnSync("pkill", ["--signal=SIGKILL", "--parent", String(child.pid)]);
    child.kill("SIGKILL");
  }
  rmSync(dir, { recursive: true });
});

test.skipIf(!hasStrace)(
  "[A31] [A32] a cache through which mail went wrote no byte of it to disk, and never names it or those who use it",
  async () => {
    const cacheHome = join(dir, "cache");
    // Its identity is made and written once; from then on there is nothing for it to write.
    await (await serve(["serve", "--cache-only", "--home", cacheHome])).stop();
    const before = readdirSync(cacheHome).map((name) => [name, readFileSync(join(cacheHome, name))]);

    // It says all that it can say.
    const loud = ["serve", "--cache-only", "--home", cacheHome, "--log-level", "debug"];
    const cache = await serve(loud, { trace: join(dir, "trace") });
    const joinLink = cache.ready["joinLink"] ?? "";
    const bob = await person("bob");
    await bob.run("cache", "join", joinLink);
    const invite = (await bob.run("invite")).trim();
    let alice = await person("alice");
    await alice.run("cache", "join", joinLink); // his acknowledgement waits there for her
    await alice.run("add", invite);
    await bob.client.until<ContactList>("/v1/contacts", ({ contacts }) => contacts.length === 1);
    await bob.stop();
    const [id = ""] = (await alice.run("send", "bob", SECRET, "--file", main)).trim().split("\n");
    await alice.client.until<OutboxList>("/v1/outbox", ({ outbox }) => {
      const mine = outbox.filter(({ kind }) => kind !== "card");
      return mine.length === 2 && mine.every(({ state }) => state === "handed");
    });
    await alice.stop();
    const again = await person("bob");
    await again.client.until<StatusInfo>("/v1/status", ({ inbox }) => inbox >= 2);
    await again.stop();
    alice = await person("alice");
    await alice.client.until<OutboxList>("/v1/outbox", ({ outbox }) =>
      outbox.every(({ kind, state }) => kind === "card" || state === "delivered"),
    );
    await alice.stop();
    await cache.stop("SIGKILL"); // no leave-taking in which it could tidy up

    const trace = readFileSync(join(dir, "trace"), "utf8");
    expect(trace).toMatch(/sendto|sendmsg|sendmmsg/); // the trace did see it work
    expect(diskWrites(trace)).toEqual([]);
    expect(readdirSync(cacheHome).map((name) => [name, readFileSync(join(cacheHome, name))])).toEqual(before);
    const said = cache.said();
    for (const private_ of [SECRET, id, alice.hashname, bob.hashname]) expect(said).not.toContain(private_);
    // Ids of boxes and messages have 16 hex digits; of its own it says a hashname and a link, which have none.
    expect(said.replaceAll(joinLink, "")).not.toMatch(/\b[0-9a-f]{16,}\b/);
  },
);

test.skipIf(!hasStrace)(
  "[C7] [C8] a cache that is deposited at, drained, filled up, flooded and killed wrote nothing, and nothing of it is on the disk",
  async () => {
    const place = join(dir, "overload"); // all that is its own: home and working directory
    const home = join(place, "home");
    const cwd = join(place, "cwd");
    mkdirSync(cwd, { recursive: true });
    const cacheOnly = ["serve", "--cache-only", "--home", home, "--memory", "1", "--metrics", "127.0.0.1:0"];
    await runToEnd([...cacheOnly, "--init"]);
    const cache = await serve(cacheOnly, { trace: join(dir, "trace-overload"), cwd });
    const { joinLink = "", metrics = "" } = cache.ready;
    const total = async (name: string): Promise<number> => {
      const found = new RegExp(`^${name} (\\d+)$`, "m").exec(await (await fetch(metrics)).text());
      return Number(found?.[1]);
    };

    // Everybody joins and gets to know alice; then they go.
    const watched = watch(portable);
    const store = memoryStore();
    let alice = await peer("alice", store, watched.backend);
    await alice.join(joinLink);
    const people: { name: string; store: Store; hashname: string }[] = [];
    for (const name of ["bob", ...Array.from({ length: 24 }, (_, i) => `person ${i}`)]) {
      const store = memoryStore();
      const person = await peer(name, store);
      await person.join(joinLink);
      await alice.add(await person.invite());
      await until(person, () => person.contacts().length === 1);
      await until(alice, () => alice.outbox().every(({ state }) => state === "delivered"));
      people.push({ name, store, hashname: person.hashname });
      await person.close();
    }

    // Deposit and drain. Alice comes anew: else she would first try, for long, the links that were up.
    await alice.close();
    alice = await peer("alice", store, watched.backend);
    await alice.send("bob", SECRET);
    await until(alice, () => isHanded(alice));
    const [bob] = people;
    if (bob === undefined) throw new Error("bob is missing");
    const reading = watch(portable);
    const again = await peer("bob", bob.store, reading.backend);
    await until(again, () => again.status().inbox > 0);
    // The control of what is looked for below: sealed by alice, and read out of the cache as it lay there.
    const lay = watched.sealed.filter((bytes) => reading.opened.some((plain) => plain.includes(middle(bytes))));
    expect(lay.length).toBeGreaterThan(0);
    const invite = await again.invite({ once: false });
    const friends = await Promise.all(
      Array.from({ length: 4 }, async (_, i) => {
        const name = `friend ${i}`;
        const friend = await peer(name, memoryStore(), watched.backend);
        await friend.add(invite);
        await until(again, () => again.contacts().some((contact) => contact.name === name));
        await until(friend, () => friend.outbox().every(({ state }) => state === "delivered"));
        return friend;
      }),
    );
    await again.close();

    // What bob may have there is taken: what is new pushes out what is old.
    // Texts: of a file they would wait for bob's link, which they had, half a minute.
    for (const friend of friends)
      for (let n = 0; n < 3; n++) await friend.send("bob", randomBytes(12_000).toString("hex"));
    await alice.close();
    alice = await peer("alice", store, watched.backend);
    await alice.send("bob", { name: "file.bin", bytes: randomBytes(60_000) });
    while ((await total("restante_cache_evicted_total")) === 0) await setTimeout(PAUSE_MS);

    // And all that there is, with strangers at the door.
    for (const { name } of people) await alice.send(name, { name: "file.bin", bytes: randomBytes(60_000) });
    while ((await total("restante_cache_refused_total")) === 0) await setTimeout(PAUSE_MS);
    const strangers = await Promise.all(Array.from({ length: 12 }, (_, i) => peer(`stranger ${i}`, memoryStore())));
    await Promise.all(
      strangers.map(async (stranger) => {
        const { id } = await stranger.add(invite);
        for (let n = 0; n < 3; n++) await stranger.send(id, SECRET.repeat(20));
        await until(stranger, () => stranger.outbox().some(({ state }) => state === "handed"));
      }),
    );
    await flood(cache.ready["paths"] as unknown as Path[]);
    expect(await total("restante_cache_messages")).toBeGreaterThan(0);
    expect(await total("restante_cache_memory_bytes")).toBeLessThanOrEqual(1024 * 1024);
    expect(await total("restante_cache_memory_bytes")).toBeGreaterThan(0.9 * 1024 * 1024);

    const coreDumps = /coredump_filter>, "0/;
    await cache.stop("SIGKILL");
    const trace = readFileSync(join(dir, "trace-overload"), "utf8");
    expect(trace).toMatch(/sendto|sendmsg|sendmmsg/);
    expect(trace).toMatch(coreDumps); // memory is left out of dumps: the one thing written that is no socket and no log
    expect(diskWrites(trace)).toEqual([]);
    expect(readdirSync(cwd)).toEqual([]);
    expect(watched.sealed.length).toBeGreaterThan(100);
    expect(holding(place, watched.sealed)).toEqual([]);
    const said = cache.said();
    for (const { hashname } of [...people, alice, ...strangers]) expect(said).not.toContain(hashname);
    expect(said.replaceAll(joinLink, "")).not.toMatch(/\b[0-9a-f]{16,}\b/);
    expect(said).not.toContain(SECRET);

    // What is planted is found by the same search.
    const [planted = Buffer.of()] = lay;
    writeFileSync(join(cwd, "left-behind"), Buffer.concat([Buffer.from("before"), planted, Buffer.from("after")]));
    expect(holding(place, watched.sealed)).toEqual([join(cwd, "left-behind")]);
    await Promise.all([alice, ...strangers, ...friends].map((it) => it.close()));
  },
);

test.skipIf(!hasStrace)(
  "[C8] a cache that crashes with mail in it writes nothing, and the core dump that the kernel writes has none of it",
  async () => {
    const place = join(dir, "crash");
    const [home, cwd] = [join(place, "home"), join(place, "cwd")];
    mkdirSync(cwd, { recursive: true });
    const cacheOnly = ["serve", "--cache-only", "--home", home];
    await runToEnd([...cacheOnly, "--init"]);
    const cache = await serve(cacheOnly, { trace: join(dir, "trace-crash"), cwd, dumps: true });
    const watched = watch(portable);
    const alice = await peer("alice", memoryStore(), watched.backend);
    const bob = await peer("bob", memoryStore());
    for (const each of [alice, bob]) await each.join(cache.ready["joinLink"] ?? "");
    await alice.add(await bob.invite());
    await until(alice, () => alice.outbox().every(({ state }) => state === "delivered"));
    await bob.close();
    for (let n = 0; n < 20; n++) await alice.send("bob", SECRET.repeat(20));
    await until(alice, () => isHanded(alice));
    // Its memory does hold them, and no part of it is one that the kernel would dump, whatever it does with a dump.
    expect(inMemory(cache.pid(), 0x33, watched.sealed)).toBeGreaterThan(0);
    expect(inMemory(cache.pid(), dumpFilter(cache.pid()), watched.sealed)).toBe(0);
    await cache.stop("SIGABRT");
    await alice.close();
    const trace = readFileSync(join(dir, "trace-crash"), "utf8");
    expect(trace).toContain("SIGABRT");
    expect(diskWrites(trace)).toEqual([]);
    expect(watched.sealed.length).toBeGreaterThan(20);
    expect(holding(place, watched.sealed)).toEqual([]);

    // A process that does not ask for it leaves all that it has, and is found by the same search, where the kernel leaves dumps in
    // the working directory; where it hands them to a program, what stood above is the proof.
    const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8").trim();
    if (pattern.includes("/") || pattern.startsWith("|")) return;
    const [held = Buffer.of()] = watched.sealed;
    const filter = `require("node:fs").writeFileSync("/proc/self/coredump_filter", "0x33")`; // else it has ours, whatever that is by now
    const holder = `${filter}; kept = Buffer.from("${held.toString("hex")}", "hex"); process.abort()`;
    const [program = "", ...rest] = withDumps([process.execPath, "--max-old-space-size=32", "-e", holder]);
    spawnSync(program, rest, { cwd });
    expect(holding(place, watched.sealed)).toHaveLength(1);
  },
);

test.skipIf(!hasStrace).each([
  ["a written file", 'fs.writeFileSync(file, "x")', "planted"],
  ["a file that is opened to be written", 'fs.openSync(file, "r+")', "planted"],
  ["another name", 'fs.renameSync(file, file + ".new")', "planted.new"],
  ["a shorter file", "fs.truncateSync(file, 1)", "planted"],
  ["a folder", 'fs.mkdirSync(file + ".dir")', "planted.dir"],
  ["a copy", 'fs.copyFileSync(file, file + ".copy")', "planted.copy"],
  ["a link", 'fs.linkSync(file, file + ".link")', "planted.link"],
])("[C7] the same look at a process sees %s", (_, call, name) => {
  const place = mkdtempSync(join(dir, "planted-"));
  const file = join(place, "planted");
  writeFileSync(file, "as it was");
  const out = join(place, "trace");
  const program = `const fs = require("node:fs"); const file = ${JSON.stringify(file)}; ${call}`;
  spawnSync("strace", [...STRACE, "-o", out, process.execPath, "-e", program]);
  expect(diskWrites(readFileSync(out, "utf8")).join("\n")).toContain(join(place, name));
});

test("[C7] the same look sees what Node itself cannot do: a file mapped to be written, and ways around system calls", () => {
  for (const line of [
    "7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 17</var/tmp/x>, 0) = 0x7f0000000000",
    "7 io_uring_setup(64, {flags=0}) = 5<anon_inode:[io_uring]>",
    '7 openat(AT_FDCWD</>, "/proc/self/environ", O_RDWR) = 5</proc/7/environ>',
    '7 write(5</proc/7/mem>, "0", 1) = 1',
    "7 fallocate(5</var/tmp/x>, 0, 0, 10) = 0",
    "7 splice(4<pipe:[1]>, NULL, 5</var/tmp/x>, NULL, 10, 0) = 10",
  ])
    expect(diskWrites(line)).toEqual([line]);
  for (const line of [
    "7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000",
    "7 mmap(NULL, 4096, PROT_READ, MAP_SHARED, 17</usr/lib/x.so>, 0) = 0x7f0000000000",
    '7 openat(AT_FDCWD</>, "/var/tmp/x", O_RDONLY|O_CLOEXEC) = 17</var/tmp/x>',
    '7 openat(AT_FDCWD</>, "/var/tmp/x", O_RDWR) = -1 EACCES (Permission denied)',
    '7 write(1<pipe:[1]>, "said", 4) = 4',
    '7 write(5</proc/7/coredump_filter>, "00000000", 8) = 8',
  ])
    expect(diskWrites(line)).toEqual([]);
});

test("the output of people's own nodes names neither the text nor the mail", async () => {
  const carol = await person("carol", ["start"]);
  const id = (await carol.run("send", "echo", SECRET)).trim();
  await carol.client.until<StatusInfo>("/v1/status", ({ inbox }) => inbox >= 1);
  await carol.stop();
  for (const private_ of [SECRET, id]) expect(carol.said()).not.toContain(private_);
});

/**
 * The calls in a trace that change a file or make one, or that could without another call. Sockets, pipes, terminals and
 * eventfds are no files; nor is the one setting of the kernel that leaves memory out of core dumps.
 */
function diskWrites(trace: string): string[] {
  return trace.split("\n").filter((line) => {
    if (/ = -1 E\w+ /.test(line)) return false;
    if (/\b(open|openat|openat2|creat)\(/.test(line))
      return /O_WRONLY|O_RDWR|O_CREAT|creat\(/.test(line) && !NO_FILES.test(line);
    if (/\b(write|writev|pwrite64|pwritev|pwritev2|ftruncate|fallocate)\(/.test(line))
      return /\(\d+<\//.test(line) && !NO_FILES.test(line);
    if (/\bmmap\(/.test(line)) return /PROT_WRITE/.test(line) && /MAP_SHARED/.test(line) && /\d+<\//.test(line);
    return /\b(rename|renameat|renameat2|link|linkat|mkdir|mkdirat|symlink|symlinkat|truncate|mknod|mknodat|sendfile|copy_file_range|splice|io_uring_setup)\(/.test(
      line,
    );
  });
}

/** Files under a folder that hold the middle of one of these. */
function holding(place: string, needles: readonly Buffer[]): string[] {
  const files = readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => {
      const bytes = readFileSync(file);
      return needles.some((needle) => bytes.includes(middle(needle)));
    });
}

/** Which kinds of memory the kernel would write into a dump of this process: core(5). */
function dumpFilter(pid: number): number {
  return Number.parseInt(readFileSync(`/proc/${pid}/coredump_filter`, "utf8"), 16);
}

/** How many pieces of a process's memory hold the middle of one of these, of those that a dump with this filter would have. */
function inMemory(pid: number, filter: number, needles: readonly Buffer[]): number {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    return readFileSync(`/proc/${pid}/maps`, "utf8")
      .split("\n")
      .filter((line) => {
        const [, readable, shared, inode = "0"] = /^\S+ (.)..(.) \S+ \S+ (\d+)/.exec(line) ?? [];
        const kind = (inode === "0" ? 0 : 2) + (shared === "s" ? 1 : 0); // of the bits of the filter
        return readable === "r" && !/\[v/.test(line) && ((filter >> kind) & 1) === 1;
      })
      .filter((line) => {
        const [from = 0, to = 0] =
          line
            .split(" ", 1)[0]
            ?.split("-")
            .map((hex) => Number.parseInt(hex, 16)) ?? [];
        const piece = Buffer.alloc(to - from);
        try {
          readSync(memory, piece, 0, piece.length, from);
        } catch {
          return false; // given back meanwhile, or not there for anybody
        }
        return needles.some((needle) => piece.includes(middle(needle)));
      }).length;
  } finally {
    closeSync(memory);
  }
}

/** 24 bytes of ciphertext that no framing cuts: messages of one packet lie in a cache in one piece. */
function middle(bytes: Buffer): Buffer {
  const at = Math.max(Math.floor(bytes.length / 2) - 12, 0);
  return bytes.subarray(at, at + 24);
}

/** A backend that remembers what it sealed and what it opened. */
function watch(backend: Backend): { backend: Backend; sealed: Buffer[]; opened: Buffer[] } {
  const sealed: Buffer[] = [];
  const opened: Buffer[] = [];
  return {
    sealed,
    opened,
    backend: {
      ...backend,
      secretboxSeal(key, nonce, plain) {
        const boxed = backend.secretboxSeal(key, nonce, plain);
        if (boxed.length >= 64) sealed.push(Buffer.from(boxed));
        return boxed;
      },
      secretboxOpen(key, nonce, boxed) {
        const plain = backend.secretboxOpen(key, nonce, boxed);
        if (plain !== undefined) opened.push(Buffer.from(plain));
        return plain;
      },
    },
  };
}

/** A person in this process: beside the traced one, not in it. */
async function peer(name: string, store: Store, backend?: Backend): Promise<Peer> {
  return createPeer({
    name,
    store,
    backend: backend ?? (await loadBackend(() => {})),
    transports: [udpTransport({ host: "127.0.0.1", port: 0 })],
  });
}

function isHanded(peer: Peer): boolean {
  return peer.outbox().every(({ kind, state }) => kind === "card" || state === "handed" || state === "delivered");
}

/** What is no packet of anybody: datagrams, and streams that end in the middle. */
async function flood(paths: readonly Path[]): Promise<void> {
  const port = (kind: string): number => paths.find(({ type }) => type === kind)?.port ?? 0;
  const socket = createSocket("udp4");
  for (let i = 0; i < 500; i++)
    await new Promise((resolve) =>
      socket.send(Buffer.alloc(1 + ((i * 37) % 1400), i), port("udp4"), "127.0.0.1", resolve),
    );
  socket.close();
  await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const stream = connect(port("tcp4"), "127.0.0.1");
      stream.on("error", () => {}); // it may be thrown out
      await new Promise((resolve) => stream.write(Buffer.alloc(3000, i), resolve));
      stream.destroy();
    }),
  );
}

/** A command of the program that ends by itself. */
async function runToEnd(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [main, ...args], { cwd: dir, stdio: "ignore" });
  expect(await new Promise((resolve) => child.on("exit", resolve))).toBe(0);
}

interface Serving {
  readonly ready: Readonly<Record<string, string>>;
  said(): string;
  /** Of the node itself, also where strace runs it. */
  pid(): number;
  stop(signal?: NodeJS.Signals): Promise<unknown>;
}

/** The same command with core dumps of any size. */
function withDumps(command: readonly string[]): string[] {
  return ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", ...command];
}

/** Starts a node; resolves when it is ready. `trace`: the file for its system calls. `dumps`: a crash makes a core dump. */
async function serve(
  args: readonly string[],
  at: { trace?: string; cwd?: string; dumps?: boolean } = {},
): Promise<Serving> {
  const { trace, cwd = dir, dumps = false } = at;
  const command = [process.execPath, main, "--json", "--host", "127.0.0.1", "--port", "0", ...args];
  const traced = trace === undefined ? command : ["strace", ...STRACE, "-o", trace, ...command];
  const [program = "", ...rest] = dumps ? withDumps(traced) : traced;
  const child = spawn(program, rest, { cwd });
  running.add(child);
  let said = "";
  const exit = new Promise((resolve) => child.on("exit", resolve)).finally(() => running.delete(child));
  const line = await new Promise<string>((resolve, reject) => {
    child.stderr.on("data", (piece) => {
      said += piece;
    });
    child.stdout.on("data", (piece) => {
      said += piece;
      const ready = /^\{.*\}$/m.exec(said);
      if (ready !== null) resolve(ready[0]);
    });
    exit.then((code) => reject(new Error(`${args.join(" ")} ended with ${code}: ${said}`)));
  });
  return {
    ready: JSON.parse(line),
    said: () => said,
    pid() {
      const own = child.pid ?? 0;
      if (trace === undefined) return own;
      return Number(spawnSync("pgrep", ["--parent", String(own)], { encoding: "utf8" }).stdout);
    },
    async stop(signal = "SIGTERM") {
      // strace passes no signal on: its child is the one to stop.
      if (trace === undefined) child.kill(signal);
      else spawnSync("pkill", [`--signal=${signal}`, "--parent", String(child.pid)]);
      await exit;
    },
  };
}

/** A person's node, with what is asked of it. */
async function person(name: string, command: readonly string[] = ["serve"]) {
  const home = join(dir, name);
  const serving = await serve([...command, "--name", name, "--home", home]);
  const api = new Client(join(home, "sock"));
  return {
    hashname: serving.ready["hashname"] ?? "",
    said: serving.said,
    stop: serving.stop,
    async run(...args: string[]): Promise<string> {
      const child = spawn(process.execPath, [main, ...args, "--home", home], { cwd: dir });
      let out = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (out += piece));
      child.stdin.end();
      const code = await new Promise((resolve) => child.on("close", resolve)); // what it printed has come
      expect({ args, code, out }).toMatchObject({ code: 0 });
      return out;
    },
    client: {
      /** Asks at once, and again at each event, until the answer is right. */
      async until<T>(path: string, isRight: (answer: T) => boolean): Promise<void> {
        const stop = new AbortController();
        const events = await api.events(undefined, stop.signal);
        try {
          if (isRight(await api.call<T>("GET", path))) return;
          for await (const _ of events) if (isRight(await api.call<T>("GET", path))) return;
          throw new Error("the daemon ended");
        } finally {
          stop.abort();
        }
      },
    },
  };
}

const SECRET = "poste restante, at the counter on the left";
const CALLS =
  "open,openat,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,rename,renameat,renameat2,link,linkat,mkdir,mkdirat," +
  "symlink,symlinkat,truncate,ftruncate,fallocate,mknod,mknodat,sendfile,copy_file_range,splice,mmap,io_uring_setup," +
  "sendto,sendmsg,sendmmsg";
// What goes by an io_uring is no system call that a trace shows, so there are none: newer libuv makes some, and does without.
const NO_RINGS = ["-e", "inject=io_uring_setup:error=ENOSYS"];
const STRACE = ["-f", "-y", "-q", "-s", "32", "-e", `trace=${CALLS}`, ...NO_RINGS];
// What a write goes to that is no file: sockets, pipes, events, terminals, /dev/null, and the setting for core dumps.
const NO_FILES =
  /<(socket|pipe|anon_inode|UNIX|TCP|UDP)[^>]*>|<\/dev\/(null|pts|tty)|"\/dev\/(null|tty|pts)|"\/proc\/self\/coredump_filter"|<\/proc\/\d+\/coredump_filter>/;
const PAUSE_MS = 20; // between two looks at the totals
