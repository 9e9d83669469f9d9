/** What a cache leaves behind: nothing on disk, nothing in what it says. Seen from outside, by its system calls and its output. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client } from "./api/client.ts";
import type { ContactList, OutboxList, StatusInfo } from "./api/contract.ts";

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
  for (const child of running) child.kill("SIGKILL");
  rmSync(dir, { recursive: true });
});

test.skipIf(!hasStrace)(
  "[A31] [A32] a cache through which mail went wrote no byte of it to disk, and never names it or those who use it",
  async () => {
    const cacheHome = join(dir, "cache");
    // Its identity is made and written once; from then on there is nothing for it to write.
    await (await serve(["serve", "--cache-only", "--home", cacheHome])).stop();
    const before = readdirSync(cacheHome).map((name) => [name, readFileSync(join(cacheHome, name))]);

    const cache = await serve(["serve", "--cache-only", "--home", cacheHome], join(dir, "trace"));
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
  120_000,
);

test.skipIf(!hasStrace)("the same look at a process that writes to a file sees it", () => {
  const file = join(dir, "planted");
  const program = `require("node:fs").writeFileSync(${JSON.stringify(file)}, "planted")`;
  const out = join(dir, "trace-planted");
  spawnSync("strace", [...STRACE, "-o", out, process.execPath, "-e", program]);
  expect(readFileSync(file, "utf8")).toBe("planted");
  expect(diskWrites(readFileSync(out, "utf8")).join("\n")).toContain(file);
});

test("the output of people's own nodes names neither the text nor the mail", async () => {
  const carol = await person("carol", ["start"]);
  const id = (await carol.run("send", "echo", SECRET)).trim();
  await carol.client.until<StatusInfo>("/v1/status", ({ inbox }) => inbox >= 1);
  await carol.stop();
  for (const private_ of [SECRET, id]) expect(carol.said()).not.toContain(private_);
});

/** The calls in a trace that change a file or make one. Sockets, pipes, terminals and eventfds are no files. */
function diskWrites(trace: string): string[] {
  return trace.split("\n").filter((line) => {
    if (/ = -1 E\w+ /.test(line)) return false;
    if (/\b(open|openat|creat)\(/.test(line))
      return /O_WRONLY|O_RDWR|O_CREAT|creat\(/.test(line) && !NO_FILES.test(line);
    if (/\b(write|writev|pwrite64|pwritev|pwritev2|ftruncate)\(/.test(line))
      return /\(\d+<\//.test(line) && !NO_FILES.test(line);
    return /\b(rename|renameat|renameat2|link|linkat|mkdir|mkdirat|symlink|symlinkat|truncate|mknod|sendfile|copy_file_range)\(/.test(
      line,
    );
  });
}

interface Serving {
  readonly ready: Readonly<Record<string, string>>;
  said(): string;
  stop(signal?: NodeJS.Signals): Promise<unknown>;
}

/** Starts a node; resolves when it is ready. `trace`: the file for its system calls. */
async function serve(args: readonly string[], trace?: string): Promise<Serving> {
  const command = [process.execPath, main, "--json", "--host", "127.0.0.1", "--port", "0", ...args];
  const traced = trace === undefined ? command : ["strace", ...STRACE, "-o", trace, ...command];
  const [program = "", ...rest] = traced;
  // Writes by io_uring would be no system calls that a trace shows.
  const child = spawn(program, rest, { cwd: dir, env: { ...process.env, UV_USE_IO_URING: "0" } });
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
      const code = await new Promise((resolve) => child.on("exit", resolve));
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
  "open,openat,creat,write,writev,pwrite64,pwritev,pwritev2,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,symlink," +
  "symlinkat,truncate,ftruncate,mknod,mknodat,sendfile,copy_file_range,sendto,sendmsg,sendmmsg";
const STRACE = ["-f", "-y", "-q", "-s", "32", "-e", `trace=${CALLS}`];
// What a write goes to that is no file: sockets, pipes, events, terminals, /dev/null, and /proc (its own settings).
const NO_FILES = /<(socket|pipe|anon_inode|UNIX|TCP|UDP)[^>]*>|<\/dev\/(null|pts|tty)|"\/dev\/(null|tty|pts)|"\/proc\//;
