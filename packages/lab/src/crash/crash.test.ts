/** What worlds simulate, with processes, a database and a disk: killed at any moment, a damaged log, a full disk. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Chance } from "restante/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Daemon, PROGRAM, Refusal } from "./daemon.ts";
import { sendLarge } from "./large.ts";

const isStrict = process.env["CI_STRICT"] === "1";
const hasLimits = spawnSync("prlimit", ["--version"]).error === undefined;
const SEEDS =
  process.env["CRASH_SEED"] === undefined
    ? [1, randomBytes(4).readUInt32BE() >>> 1]
    : [Number(process.env["CRASH_SEED"])];
const daemons: Daemon[] = [];
let dir: string;

beforeAll(() => {
  if (!existsSync(PROGRAM)) throw new Error("the program is not built: npm run build");
  if (isStrict && !hasLimits) throw new Error("prlimit is missing");
  dir = mkdtempSync(join(tmpdir(), "restante-crash-"));
});
afterAll(async () => {
  await Promise.all(daemons.map((daemon) => daemon.stop("SIGKILL")));
  rmSync(dir, { recursive: true, force: true });
});

// By itself it takes some 20 seconds of two cores: it is left out where nobody asked for all.
// A seed that is the same each time, and one that is not: each stands in its test's title, and CRASH_SEED tries it again. It decides
// what is written and who is killed when; what the two processes did until then, the machine.
test.skipIf(!isStrict).each(SEEDS)(
  "killed ten times at any moment, two nodes lose, double and halve nothing: CRASH_SEED=%i",
  async (seed) => {
    const chance = new Chance(seed);
    const { alice, bob } = await friends(`killed-${seed}`);
    const promised = new Map<string, { to: Daemon; content: string | Buffer }>();
    for (let kill = 0; kill < 10; kill++) {
      const [from, to] = chance.happens(0.5) ? [alice, bob] : [bob, alice];
      const victim = chance.happens(0.5) ? from : to;
      const writing = Promise.allSettled(
        [1, 2, 3].map(async (n) => {
          const content = n === 3 ? Buffer.from(chance.random(chance.between(1, 90_000))) : `text ${kill} ${n}`;
          promised.set(await send(from, content), { to, content });
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, chance.between(0, 250)));
      await victim.stop("SIGKILL");
      await writing;
      await victim.start();
    }
    // Where a machine is slow, whoever is killed promised nothing before.
    expect(promised.size).toBeGreaterThan(0);
    for (const [from, to] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const mine = new Set([...promised].filter(([, mail]) => mail.to === to).map(([id]) => id));
      const shown = await to.until<Inbox>(ALL, ({ messages }) => {
        const ids = new Set(messages.map(({ id }) => id));
        return [...mine].every((id) => ids.has(id));
      });
      expect(new Set(shown.messages.map(({ id }) => id)).size).toBe(shown.messages.length);
      for (const { id, n, text, file } of shown.messages) {
        const sent = promised.get(id)?.content;
        if (file !== undefined) {
          const bytes = await to.bytes("GET", `/v1/messages/${n}/file`);
          expect([bytes.length, sha256(bytes)]).toEqual([file.size, file.sha256]);
          if (sent !== undefined) expect(sha256(bytes)).toBe(sha256(sent));
        } else if (sent !== undefined) expect(text).toBe(sent);
      }
      await from.until<Outbox>("/v1/outbox", ({ outbox }) => outbox.every(isOver));
    }
  },
);

test.skipIf(!isStrict)(
  "a log without its end is refused in words and goes on when it is put right; a torn one goes on",
  async () => {
    const { alice, bob } = await friends("damaged");
    await bob.stop("SIGKILL");
    const id = await send(alice, "before the power went");
    await alice.stop("SIGKILL");
    const backup = `${alice.home}-backup`;
    copy(alice.home, backup);
    const log = newestLog(alice.home);
    const whole = readFileSync(log);
    // Not the last batch alone: that may be one that nobody was promised yet.
    writeFileSync(log, whole.subarray(0, whole.length >> 1));
    await expect(alice.start()).rejects.toThrow(/store is damaged \(\d+ batches are missing/);
    // The end of a batch that nobody was promised: a header that says more than there is.
    rmSync(alice.home, { recursive: true });
    copy(backup, alice.home);
    appendFileSync(log, Buffer.from([1, 2, 3, 4, 0xe8, 0x03, 1, ...randomBytes(100)]));
    await alice.start();
    await bob.start();
    await bob.until<Inbox>(ALL, ({ messages }) => messages.some((mail) => mail.id === id));
    await alice.until<Outbox>("/v1/outbox", ({ outbox }) => outbox.every(isOver));
  },
);

test.skipIf(!isStrict || !hasLimits).each(["alice", "bob"] as const)(
  "a full disk at %s: nothing is promised that is not kept, and all is delivered once when there is room",
  async (name) => {
    const { alice, bob } = await friends(`full-${name}`);
    const victim = name === "alice" ? alice : bob;
    const texts = new Map<string, string>();
    const refusals = new Set<string>();
    const write = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n++) {
        const text = `${n} `.repeat(3000);
        try {
          texts.set(await send(alice, text), text);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          refusals.add(error.code);
        }
      }
    };
    const limit = (bytes: string): Buffer =>
      execFileSync("prlimit", ["--pid", String(victim.pid), `--fsize=${bytes}:unlimited`]);
    await write(0, 10);
    limit("100"); // no file may grow any more, and none may be begun that matters
    await write(10, 30);
    while (!/trying again/.test(victim.said)) await new Promise((resolve) => setTimeout(resolve, 50));
    await write(30, 32);
    if (name === "alice") expect(refusals.size).toBeGreaterThan(0);
    else expect([refusals.size, texts.size]).toEqual([0, 32]);
    limit("unlimited");
    const { messages } = await bob.until<Inbox>(ALL, ({ messages }) => {
      const ids = new Set(messages.map(({ id }) => id));
      return [...texts.keys()].every((id) => ids.has(id));
    });
    expect(new Set(messages.map(({ id }) => id)).size).toBe(messages.length);
    for (const { id, text } of messages) if (texts.has(id)) expect(text).toBe(texts.get(id));
    await alice.until<Outbox>("/v1/outbox", ({ outbox }) => outbox.every(isOver));
  },
);

test.skipIf(process.platform !== "linux")(
  "a file of many parts comes whole and once over a link, though its recipient is killed in the middle",
  async () => {
    // A machine that is busy may look when all of it is over: then the file was too small.
    for (const mib of [12, 36, 108]) {
      const run = await sendLarge({ mib, kill: true, dir: mkdtempSync(join(dir, "large-")) });
      expect(run.isWhole).toBe(true);
      expect(run.killedAt).toBeGreaterThan(12 * mib); // a third of its parts
      if (run.killedAt < 36 * mib) return; // and not all of them
    }
    expect.unreachable("it was never killed in the middle");
  },
);

interface Inbox {
  readonly messages: readonly {
    readonly n: number;
    readonly id: string;
    readonly text?: string;
    readonly file?: { readonly size: number; readonly sha256: string };
  }[];
}
interface Outbox {
  readonly outbox: readonly { readonly kind: string; readonly state: string }[];
}

/** Two nodes that use one cache and know each other. */
async function friends(name: string): Promise<{ alice: Daemon; bob: Daemon }> {
  const place = join(dir, name);
  const cache = new Daemon(place, "cache", ["serve", "--cache-only"]);
  const [alice, bob] = ["alice", "bob"].map((each) => new Daemon(place, each, ["serve", "--name", each]));
  if (alice === undefined || bob === undefined) throw new Error("there are two");
  daemons.push(cache, alice, bob);
  const [{ joinLink }] = await Promise.all([cache.start(), alice.start(), bob.start()]);
  for (const each of [alice, bob]) await each.call("POST", "/v1/caches", { link: joinLink });
  const { link } = await bob.call<{ link: string }>("POST", "/v1/invites", { once: true });
  await alice.call("POST", "/v1/contacts", { link });
  for (const each of [alice, bob])
    await each.until<{ contacts: unknown[] }>("/v1/contacts", ({ contacts }) => contacts.length === 1);
  await alice.until<Outbox>("/v1/outbox", ({ outbox }) => outbox.every(isOver));
  return { alice, bob };
}

/** The id, when it is promised. */
async function send(from: Daemon, content: string | Buffer): Promise<string> {
  const contact = from.home.endsWith("alice") ? "bob" : "alice";
  const answer =
    typeof content === "string"
      ? await from.call<{ id: string }>("POST", "/v1/messages", { contact, text: content })
      : await from.call<{ id: string }>("PUT", `/v1/files?contact=${contact}&name=file.bin`, content);
  return answer.id;
}

function isOver({ state }: { readonly state: string }): boolean {
  return state === "delivered" || state === "read";
}

/** With all modes: not every Node keeps those of folders. */
function copy(from: string, to: string): void {
  execFileSync("cp", ["-aT", from, to]);
}

function newestLog(home: string): string {
  const logs = readdirSync(home, { recursive: true, encoding: "utf8" }).filter((file) => /\d{6}\.log$/.test(file));
  const last = logs.sort().at(-1);
  if (last === undefined) throw new Error("the store has no log");
  return join(home, last);
}

function sha256(bytes: Buffer | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const ALL = "/v1/messages?limit=1000";
