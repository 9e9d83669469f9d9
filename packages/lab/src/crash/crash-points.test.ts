/**
 * One short scene on a real disk, and `kill -9` at every point of it: before and after each write, each commit, each removal, and
 * between a commit and what follows from it. restante/src/testing/crash-points.test.ts does it in a simulated world, with a longer one.
 */
import { type ChildProcess, fork } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadBackend, udpTransport } from "@restante/node";
import { createPeer, memoryStore } from "restante";
import { Chance } from "restante/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Answer, type Bob, bobOf, type Call, openBob, type Shown } from "./victim.ts";

const VICTIM = fileURLToPath(new URL("../../dist/crash/victim.js", import.meta.url));
const isStrict = process.env["CI_STRICT"] === "1";
const children = new Set<ChildProcess>();
let dir: string;

beforeAll(() => {
  if (!existsSync(VICTIM)) throw new Error("the program is not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-points-"));
});
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

test("killed at any write to its disk, and between a commit and what follows, a peer loses, doubles and halves nothing", {
  timeout: 900_000,
}, async () => {
  const { passed } = await play(0);
  // The scene writes what it should: records of files, commits, and packets after those. Removals come when there is nothing else to do.
  expect(new Set(passed)).toEqual(new Set([...passed, "after commit", "commit", "sent", "sync", "write"]));
  expect(passed.length).toBeGreaterThan(50);
  const points = isStrict
    ? passed.map((_, i) => i + 1)
    : new Chance(SEED).shuffle(passed.map((_, i) => i + 1)).slice(0, SAMPLE);
  const failures: string[] = [];
  let killed = 0;
  const work = async (): Promise<void> => {
    for (let at = points.shift(); at !== undefined; at = points.shift()) {
      const run = await play(at);
      if (run.isKilled) killed++;
      else if (run.passed.length >= at) failures.push(`${at}: he passed ${run.passed.length} points and lives`);
      failures.push(...run.wrong.map((what) => `${at} (${passed[at - 1]}): ${what}`));
    }
  };
  await Promise.all([work(), work()]);
  expect(failures).toEqual([]);
  // Packets do not come in the same order and at the same pace each time: a run may have points less than the first one.
  expect(killed).toBeGreaterThan(isStrict ? passed.length * 0.5 : 0);
});

interface Run {
  readonly passed: readonly string[];
  readonly isKilled: boolean;
  readonly wrong: readonly string[];
}

/** Bob adds Alice, gets a text and a file, and sends both. Killed at point `at` he goes on with what his disk holds. 0: never. */
async function play(at: number): Promise<Run> {
  const home = mkdtempSync(join(dir, "bob-"));
  const alice = await createPeer({
    ...{ name: "alice", store: memoryStore(), backend: await loadBackend(() => {}) },
    transports: [udpTransport({ host: "127.0.0.1", port: 0 })],
  });
  const victim = new Victim(home, at);
  try {
    const link = await alice.invite();
    await victim.until(
      async (bob) => (await bob.contacts()).length === 1,
      (bob) => bob.add(link),
    );
    const [contact = ""] = await victim.ask((bob) => bob.contacts());
    await victim.alive(() => alice.contacts().length > 0);
    const toBob: Shown[] = [];
    const toAlice: Shown[] = [];
    const bobAtAlice = alice.contacts()[0]?.id ?? "";
    for (const content of CONTENTS) toBob.push({ id: await alice.send(bobAtAlice, mailOf(content)), content });
    await victim.until(async (bob) => (await bob.inbox()).length >= CONTENTS.length);
    // What was asked of him when he died was not promised: it is asked again.
    for (const content of CONTENTS)
      toAlice.push({ id: await victim.ask((bob) => bob.send(contact, mailOf(content))), content });
    const areOver = async (peer: Bob, mails: readonly Shown[]): Promise<boolean> =>
      (await peer.open(mails.map(({ id }) => id))).length === 0;
    await victim.until((bob) => areOver(bob, toAlice));
    const atAlice = bobOf(alice);
    await victim.alive(() => areOver(atAlice, toBob));
    // In the end, too, he may die: what counts is what the next one finds.
    const passed = await victim.close();
    const bob = await openBob(home);
    const wrong = [
      ...problems("bob", await bob.inbox(), toBob, 0),
      ...problems("alice", await atAlice.inbox(), toAlice, victim.isKilled ? 1 : 0),
    ];
    await bob.close();
    return { passed, isKilled: victim.isKilled, wrong };
  } finally {
    await alice.close();
    await victim.close();
    rmSync(home, { recursive: true, force: true });
  }
}

/** `unpromised`: how many may be there that nobody was promised. They, too, are what was sent, whole. */
function problems(who: string, inbox: readonly Shown[], sent: readonly Shown[], unpromised: number): string[] {
  const wrong: string[] = [];
  const same = (one: Shown["content"], other: Shown["content"]): boolean =>
    typeof one === "string" ? one === other : typeof other !== "string" && Buffer.compare(one, other) === 0;
  for (const { id, content } of sent) {
    const shown = inbox.filter((mail) => mail.id === id);
    if (shown.length !== 1) wrong.push(`${who} has a mail ${shown.length} times`);
    if (!shown.every((mail) => same(mail.content, content))) wrong.push(`${who} has another mail than was sent`);
  }
  const others = inbox.filter(({ id }) => !sent.some((mail) => mail.id === id));
  if (others.length > unpromised) wrong.push(`${who} has ${others.length} more mails than were sent`);
  if (!others.every(({ content }) => CONTENTS.some((one) => same(one, content)))) wrong.push(`${who} has half a mail`);
  return wrong;
}

/** Bob: in a process that is going to be killed, and then in this one, on the same disk. */
class Victim {
  readonly #home: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  readonly #ready: Promise<boolean>;
  #calls = 0;
  #passed: readonly string[] = [];
  #isGone = false;
  #again: Promise<Bob> | undefined;
  isKilled = false;

  constructor(home: string, at: number) {
    this.#home = home;
    const child = fork(VICTIM, [home, String(at)], {
      serialization: "advanced",
      execArgv: [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    children.add(child);
    this.#child = child;
    let ready: (is: boolean) => void = () => {};
    this.#ready = new Promise((resolve) => (ready = resolve));
    child.on("message", (answer: Answer) => {
      if ("passed" in answer) this.#passed = answer.passed;
      ready(true);
      this.#waiting.get(answer.n)?.(answer);
      this.#waiting.delete(answer.n);
    });
    child.on("exit", (_, signal) => {
      children.delete(child);
      this.isKilled ||= signal === "SIGKILL";
      this.#isGone = true;
      ready(false);
      this.#giveUp();
    });
  }

  /** Does it, and once again with what the disk holds when he dies of it. */
  async ask<T>(act: (bob: Bob) => Promise<T>): Promise<T> {
    try {
      return await act(await this.#bob());
    } catch (error) {
      if (!this.isKilled || this.#again !== undefined) throw error;
      return act(await this.#bob());
    }
  }

  /** Asks until it is so. What leads there is done first, and again when he has died and it is not so. */
  async until(isSo: (bob: Bob) => Promise<boolean>, act: (bob: Bob) => Promise<void> = async () => {}): Promise<void> {
    await this.ask(async (bob) => (await isSo(bob)) || act(bob));
    while (!(await this.ask(isSo))) await pause();
  }

  /** Waits for something at the other end; when he dies meanwhile, somebody has to start him again. */
  async alive(isSo: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isSo())) {
      await this.ask((bob) => bob.contacts());
      await pause();
    }
  }

  /** The points that were passed, of one that was not killed. */
  async close(): Promise<readonly string[]> {
    const exit = this.#isGone ? undefined : new Promise((resolve) => this.#child.once("exit", resolve));
    const bob = await (this.#isGone ? this.#again : this.#bob());
    await bob?.close().catch(() => {}); // he may die of it
    this.#child.kill("SIGTERM");
    await exit;
    return this.#passed;
  }

  #giveUp(): void {
    for (const end of this.#waiting.values()) end(undefined);
    this.#waiting.clear();
  }

  async #bob(): Promise<Bob> {
    if ((await this.#ready) && !this.isKilled) return this.#remote();
    this.#again ??= openBob(this.#home);
    return this.#again;
  }

  #remote(): Bob {
    return new Proxy({} as Bob, {
      get: (_, name) =>
        name === "then"
          ? undefined
          : (...given: readonly unknown[]) =>
              new Promise((resolve, reject) => {
                const n = ++this.#calls;
                this.#waiting.set(n, (answer) => {
                  if (answer !== undefined && "value" in answer) resolve(answer.value);
                  else reject(new Error(answer !== undefined && "error" in answer ? answer.error : "he is dead"));
                });
                const call: Call = { n, name: name as keyof Bob, given };
                this.#child.send(call, () => {}); // who is not there to hear it has ended, or is about to: then this ends, too
                if (this.#isGone) this.#giveUp();
              }),
    });
  }
}

function mailOf(content: Shown["content"]): Parameters<Bob["send"]>[1] {
  return typeof content === "string" ? content : { name: "file.bin", bytes: content };
}

function pause(): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

/** A text, and a file of some parts. */
const CONTENTS: readonly Shown["content"][] = ["Are you there?", new Chance(5).random(70_000)];
/** Each point is a process: without CI_STRICT a few, the same ones each time unless CRASH_SEED says otherwise. */
const SAMPLE = 5;
const SEED = Number(process.env["CRASH_SEED"] ?? 1);
const PAUSE_MS = 15;
