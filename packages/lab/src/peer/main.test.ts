/** The peer program as a process, and what docs/interop.md says of it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = fileURLToPath(new URL("../../dist/peer/main.js", import.meta.url));
const PAGE = readFileSync(fileURLToPath(new URL("../../../../docs/interop.md", import.meta.url)), "utf8");
const running = new Set<ChildProcess>();
let dir: string;

beforeAll(() => {
  if (!existsSync(main)) throw new Error("the program is not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-peer-"));
});
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(dir, { recursive: true });
});

type Event = Readonly<Record<string, unknown>>;

/** A peer whose events can be waited for. */
function start(args: readonly string[]) {
  const child = spawn(process.execPath, [main, "--host", "127.0.0.1", ...args], { cwd: dir });
  running.add(child);
  const events: Event[] = [];
  let rest = "";
  let wake = (): void => {};
  child.stdout.on("data", (piece: Buffer) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    events.push(...lines.map((line) => JSON.parse(line) as Event));
    wake();
  });
  const err = text(child.stderr);
  let isOver = false;
  const exit = once(child, "close").then(([code]) => {
    running.delete(child);
    isOver = true;
    wake();
    return code as number | null;
  });
  return {
    events,
    err,
    exit,
    say: (line: string) => child.stdin.write(`${line}\n`),
    async until(ev: string): Promise<Event> {
      for (;;) {
        const found = events.find((event) => event["ev"] === ev);
        if (found !== undefined) return found;
        if (isOver) throw new Error(`it ended without ${ev}: ${JSON.stringify(events)} ${await err}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

const lineOf = (start: string): string => PAGE.split("\n").find((line) => line.startsWith(`    ${start}`)) ?? "";

test("the first steps of docs/interop.md, as they stand there", async () => {
  const [first = "", second = ""] = [...PAGE.matchAll(/^ {4}npm run -s peer -- (.*)$/gm)].map(([, args]) => args);
  const a = start(first.replace("42000", "0").split(" "));
  const { udp, hashname } = await a.until("listening");
  expect(statSync(join(dir, "a.json")).mode & 0o777).toBe(0o600);
  const { keys } = JSON.parse(readFileSync(join(dir, "a.json"), "utf8")) as { keys: Record<string, string> };
  const b = start(second.split(" "));
  await b.until("listening");
  b.say(
    lineOf('{"cmd":"link"')
      .replace("42000", String(udp))
      .replace("KEY", keys["3a"] ?? ""),
  );
  expect(await b.until("up")).toMatchObject({ hashname });
  b.say(lineOf('{"cmd":"chan"').replace("HASHNAME", String(hashname)));
  expect(await b.until("packet")).toMatchObject({ hashname, body: "68656c6c6f" });
  expect(b.events.map(({ ev }) => ev)).toEqual(["listening", "linked", "up", "chan", "packet"]);
  for (const peer of [a, b]) peer.say('{"cmd":"quit"}');
  expect(await Promise.all([a.exit, b.exit])).toEqual([0, 0]);
});

test("a port that was named and is taken ends it, and that is told to programs and people", async () => {
  const taken = createSocket("udp4").bind(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address();
  const peer = start(["--identity", "taken.json", "--create", "--tcp", "0", "--udp", String(port)]);
  expect(await peer.exit).toBe(1);
  expect(peer.events).toEqual([{ ev: "error", why: `UDP port ${port} is taken` }]);
  expect(await peer.err).toBe(`peer: UDP port ${port} is taken\n`);
  taken.close();
});

test("an identity that cannot be used ends it, and it is said why", async () => {
  writeFileSync(join(dir, "text.json"), "hello");
  writeFileSync(join(dir, "empty.json"), "{}");
  const ends = async (file: string) => {
    const peer = start(["--identity", file]);
    return [await peer.exit, peer.events.map(({ ev, why }) => `${ev}: ${why}`)];
  };
  expect(await Promise.all(["none.json", "text.json", "empty.json"].map(ends))).toEqual([
    [1, ["error: there is no file none.json; --create makes one"]],
    [1, ["error: text.json is not JSON"]],
    [1, [expect.stringMatching(/^error: empty.json holds no identity/)]],
  ]);
});

test("made for several cipher sets, an identity has a key of each; made once, it stays", async () => {
  const args = ["--identity", "many.json", "--create", "--sets", "1a,3a"];
  const hashnames: unknown[] = [];
  for (let run = 0; run < 2; run++) {
    const peer = start(args);
    hashnames.push((await peer.until("listening"))["hashname"]);
    peer.say('{"cmd":"quit"}');
    expect(await peer.exit).toBe(0);
  }
  expect(hashnames[0]).toBe(hashnames[1]);
  const { keys } = JSON.parse(readFileSync(join(dir, "many.json"), "utf8")) as { keys: object };
  expect(Object.keys(keys)).toEqual(["1a", "3a"]);
});
