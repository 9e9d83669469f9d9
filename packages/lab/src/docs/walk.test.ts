/** "Two people and a cache" of the README, command by command as it stands there, with processes of the built program. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const CLI = join(ROOT, "packages/node/dist/cli/main.js");
const [, SECTION = ""] =
  /\n## Two people and a cache\n([\s\S]*?)\n\*\*On machines/.exec(readFileSync(join(ROOT, "README.md"), "utf8")) ?? [];
/** What is typed first in each terminal: what a word there stands for, behind `npm run -s restante --`. */
const ALIASES = new Map(
  [...SECTION.matchAll(/^ {4}alias (\w+)='npm run -s restante -- (.*)'$/gm)].map(([, who = "", args = ""]) => [
    who,
    args,
  ]),
);
let dir: string;
const running = new Map<string, ChildProcess>();

beforeAll(() => {
  if (!existsSync(CLI)) throw new Error("the program is not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-walk-"));
});
afterAll(() => {
  for (const child of running.values()) child.kill("SIGKILL");
  rmSync(dir, { recursive: true });
});

type Step =
  | { type: "run"; who: string; args: string[]; shown: string[] }
  /** Ctrl-C in the terminal of somebody's `serve`. */
  | { type: "stop"; who: string };

/** What the section does, in its order. After `track` the lines that it shows. */
function steps(): Step[] {
  const found: Step[] = [];
  for (const line of SECTION.split("\n")) {
    const [, who, command] = /^ {4}(cache|alice|bob) (.*?)( +#.*)?$/.exec(line) ?? [];
    const [, shown] = /^ {4}(\S.*)$/.exec(line) ?? [];
    const [, leaver] = /\b(Alice|Bob) goes[.:]/.exec(line) ?? [];
    const last = found.at(-1);
    if (who !== undefined && command !== undefined)
      found.push({ type: "run", who, args: words(command.trim()), shown: [] });
    else if (shown !== undefined && last?.type === "run") last.shown.push(shown);
    if (leaver !== undefined) found.push({ type: "stop", who: leaver.toLowerCase() });
  }
  return found;
}

function words(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? "");
}

function launch(who: string, args: readonly string[]): ChildProcess {
  const alias = words((ALIASES.get(who) ?? "").replaceAll("~/restante", dir));
  const here = [...alias, "--host", "127.0.0.1", "--port", "0"];
  return spawn(process.execPath, [CLI, ...here, ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
}

/** Starts a node, and waits for the line that says that it is there. Gives what it printed before. */
async function serve(who: string, args: readonly string[]): Promise<string> {
  const child = launch(who, args);
  running.set(who, child);
  let said = "";
  await new Promise<void>((resolve, reject) => {
    const hear = (piece: Buffer): void => {
      said += piece;
      if (/listens on/.test(said) && (who !== "cache" || /link:\S+\n/.test(said))) resolve();
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.on("exit", (code) => reject(new Error(`${who} ended with ${code}: ${said}`)));
  });
  return said;
}

async function stop(who: string): Promise<void> {
  const child = running.get(who);
  running.delete(who);
  const exit = new Promise<number | null>((resolve) => child?.on("exit", resolve));
  child?.kill("SIGINT");
  expect([who, await exit]).toEqual([who, 0]);
}

/** A command that succeeds: at once, and again after each event of the node, until it shows what it should. */
async function run(who: string, args: readonly string[], isRight: (out: string) => boolean): Promise<string> {
  let wake = (): void => {};
  let isStale = false;
  const events = request({ socketPath: join(dir, who, "sock"), path: "/v1/events" });
  const listening = new Promise<void>((resolve, reject) => {
    events.on("error", reject);
    events.on("response", (answer) =>
      answer.on("data", () => {
        isStale = true;
        wake();
        resolve(); // the first bytes only say that it listens
      }),
    );
  });
  events.end();
  await listening;
  for (;;) {
    isStale = false;
    const child = launch(who, args);
    if (child.stdout === null || child.stderr === null) throw new Error("no pipes");
    const exit = new Promise<number | null>((resolve) => child.on("exit", resolve));
    const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
    expect({ who, args, code, err }).toMatchObject({ code: 0 });
    if (isRight(out)) {
      events.destroy();
      return out;
    }
    while (!isStale)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
}

/** Without what is another one each time. */
function usual(line: string): string {
  return line
    .replaceAll(/\b[0-9a-f]{32}\b/g, "ID")
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d/g, "DATE")
    .replaceAll(/DATE:\d\d/g, "TIME")
    .replaceAll(/\bcache [a-z2-7]{12}\b/g, "cache HASHNAME");
}

const statesIn = (out: string): string[] =>
  [...out.matchAll(/^[\d-]{10} [\d:]{8} {2}(\w+)/gm)].map(([, it]) => it ?? "");

test("[A1] two people who are never there together, by the README's commands, and each state that it shows", async () => {
  const got = { joinLink: "", invite: "", id: "", received: "" };
  const tracked: string[][] = [];
  expect([...ALIASES.keys()].toSorted()).toEqual(["alice", "bob", "cache"]);
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  expect(join(ROOT, scripts["restante"]?.replace(/^node /, "") ?? "")).toBe(CLI);
  for (const step of steps()) {
    if (step.type === "stop") {
      await stop(step.who);
      continue;
    }
    const { who, shown } = step;
    const states = statesIn(shown.join("\n"));
    const args = step.args.map((arg) => {
      if (arg === "link://…") return step.args[0] === "cache" ? got.joinLink : got.invite;
      return arg === "ID" ? got.id : arg.replace("~", dir);
    });
    if (args[0] === "serve") {
      const said = await serve(who, args);
      if (who === "cache") got.joinLink = /link:\S+/.exec(said)?.[0] ?? "";
      continue;
    }
    const out = await run(who, args, (it) => {
      if (args[0] === "recv") got.received += it;
      if (args[0] === "recv") return existsSync(join(dir, "Downloads/restante.png"));
      return states.length > 0 ? statesIn(it).length === states.length : it !== "";
    });
    if (args[0] === "invite") got.invite = out.trim();
    if (args[0] === "send") got.id = out.slice(0, 12);
    if (states.length > 0) {
      expect(out.trim().split("\n").map(usual)).toEqual(shown.map(usual));
      tracked.push(states);
    }
  }
  expect(tracked).toEqual([
    ["queued", "handed"],
    ["queued", "handed", "delivered"],
  ]);
  expect(got.received).toMatch(/ {2}alice {2}see you on Friday$/m);
  expect(readdirSync(join(dir, "Downloads"))).toEqual(["restante.png"]);
  await stop("alice");
  await stop("cache");
});
