/**
 * `npm run demo [FILE...]`: the main job, with processes of the operating system. Bob's is gone when Alice writes, hers is
 * gone when he reads; only a cache runs all the time, and it cannot read a byte. Exits 1 when anything is not as promised.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Misuse, runTool } from "../command-line.ts";
import { DEMO } from "../tools.ts";
import { demonstrateBazaar } from "./bazaar.ts";
import { endAll, type Running, say, start, title, until } from "./processes.ts";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const CLI = join(ROOT, "packages/node/dist/cli/main.js");

async function main(args: readonly string[], isBazaar: boolean): Promise<number> {
  if (isBazaar && args.length > 0) throw new Misuse("--bazaar takes no files");
  const missing = args.filter((file) => !existsSync(file) || !statSync(file).isFile());
  if (missing.length > 0) throw new Misuse(`${missing[0]} is not a file`);
  if (args.reduce((sum, file) => sum + statSync(file).size, 0) > MAX_BYTES)
    throw new Misuse("a cache holds 8 MiB of one sender, so give it 7 MiB or less in all");
  const dir = mkdtempSync(join(tmpdir(), "restante-demo-"));
  try {
    if (isBazaar) await demonstrateBazaar(dir);
    else await demonstrate(dir, args.length > 0 ? args.map((file) => resolve(file)) : ownFiles(dir));
    say("\nEverything was as promised.");
    return 0;
  } catch (error) {
    process.stderr.write(`\nNot as promised: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    await endAll();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function demonstrate(dir: string, files: readonly string[]): Promise<void> {
  const text = "Poste restante: this waits for you.";
  const [alice, bob] = [new Person("alice", dir), new Person("bob", dir)];

  title("A cache, which runs all the time and keeps everything in memory");
  const cache = start("cache", CLI, ["--home", join(dir, "cache"), ...ANYWHERE, "serve", "--cache-only", "--json"]);
  const { joinLink } = JSON.parse(await cache.line(/"joinLink"/)) as { joinLink: string };
  say(`  process ${cache.pid}`);

  title("Set-up: Bob joins the cache and makes an invite");
  await bob.online();
  await bob.run("cache", "join", joinLink);
  say(`  the cache holds ${describe(await holds(cache))}`);
  const invite = (await bob.run("invite")).trim();
  await bob.offline();

  title("Set-up: Alice joins the cache and adds Bob, who is not there");
  await alice.online();
  await alice.run("cache", "join", joinLink);
  await alice.run("add", invite);
  await until("alice's hello lies in the cache", async () => (await holds(cache)).messages > 0);
  await alice.offline();

  title("Set-up: Bob comes, finds her hello, takes her as a contact, and goes for good");
  await bob.online();
  await until("bob knows alice", async () => (await bob.run("contacts")).includes("alice"));
  await until("bob's own card lies in the cache", async () => (await holds(cache)).messages > 0);
  await bob.offline();

  title("Alice comes back for Bob's card, then writes while no process of Bob exists");
  await alice.online();
  const ids = (await alice.run("send", "bob", text, ...files.flatMap((file) => ["-f", file]))).trim().split("\n");
  if (ids.length !== files.length + 1) throw new Error(`send printed ${ids.length} ids for ${files.length + 1} mails`);
  await until("the cache has taken all of it", async () => {
    const states = await Promise.all(ids.map((id) => alice.state(id)));
    const wanted = files.reduce((sum, file) => sum + statSync(file).size, 0);
    return states.every((state) => state === "handed") && (await holds(cache)).bytes >= wanted;
  });
  say(`  the cache holds ${describe(await holds(cache))}`);
  await alice.offline();

  title("Bob starts, receives, checks, and goes");
  await bob.online();
  const out = join(dir, "received");
  mkdirSync(out);
  const [textId = "", ...fileIds] = ids;
  const found = new Map<string, ReceivedMail>();
  await until("bob has everything", async () => {
    for (const line of (await bob.run("recv", "--json", "--out", out)).split("\n").filter((each) => each !== "")) {
      const mail = JSON.parse(line) as ReceivedMail;
      if (found.has(mail.id)) throw new Error(`mail ${mail.id} was shown twice`);
      found.set(mail.id, mail);
    }
    return ids.every((id) => found.has(id));
  });
  if (found.get(textId)?.text !== text) throw new Error(`the text arrived as "${found.get(textId)?.text}"`);
  for (const [index, file] of files.entries()) {
    const [sent, received] = [sha256(file), sha256(found.get(fileIds[index] ?? "")?.file?.saved ?? "")];
    const [size, verdict] = [String(statSync(file).size).padStart(10), sent === received ? "same" : "DIFFERENT"];
    say(`  ${basename(file).padEnd(20)} ${size} bytes  SHA-256 ${received.slice(0, 16)}…  ${verdict}`);
    if (sent !== received) throw new Error(`${basename(file)} arrived changed`);
  }
  await until("bob's acknowledgement lies in the cache", async () => {
    const { messages, bytes } = await holds(cache);
    return messages > 0 && bytes < 64 * 1024;
  });
  await bob.offline();

  title("Alice starts again and sees what became of it");
  await alice.online();
  await until("every mail is delivered", async () => {
    const states = await Promise.all(ids.map((id) => alice.state(id)));
    return states.every((state) => state === "delivered");
  });
  for (const id of ids) say(indent(await alice.run("track", id)));
  await until("the cache has let go of every mail", async () => (await holds(cache)).bytes < 8 * 1024);
  say(`\n  the cache holds ${describe(await holds(cache))}: Alice's acknowledgements, until Bob comes again`);
  await alice.offline();
  if ((await cache.kill("SIGTERM")) !== 0) throw new Error("the cache did not end in good order");
}

/** What \`recv --json\` prints of a mail, as far as it is looked at here. */
interface ReceivedMail {
  readonly id: string;
  readonly text?: string;
  /** \`saved\`: where it was put. */
  readonly file?: { readonly saved?: string };
}

/** Somebody with a home directory, whose daemon runs only while online. */
class Person {
  readonly #name: string;
  readonly #home: string;
  #daemon: Running | undefined;

  constructor(name: string, dir: string) {
    this.#name = name;
    this.#home = join(dir, name);
  }

  async online(): Promise<void> {
    this.#daemon = start(this.#name, CLI, ["--home", this.#home, ...ANYWHERE, "serve", "--name", this.#name, "--json"]);
    await this.#daemon.line(/"ready"/);
    say(`  ${this.#name}: process ${this.#daemon.pid} runs`);
  }

  async offline(): Promise<void> {
    const code = await this.#daemon?.kill("SIGTERM");
    if (code !== 0) throw new Error(`the daemon of ${this.#name} ended with ${code}`);
    say(`  ${this.#name}: no process any more`);
  }

  /** A command to the own daemon: what it prints. */
  async run(...args: string[]): Promise<string> {
    const command = start(this.#name, CLI, ["--home", this.#home, ...args]);
    const code = await command.exit;
    if (code !== 0) throw new Error(`restante ${args[0]} of ${this.#name} ended with ${code}: ${command.err.trim()}`);
    return command.out;
  }

  async state(id: string): Promise<string> {
    const track = JSON.parse(await this.run("--json", "track", id)) as { ledger?: { state: string }[]; state?: string };
    return track.ledger?.at(-1)?.state ?? track.state ?? "";
  }
}

interface Holds {
  readonly boxes: number;
  readonly messages: number;
  readonly bytes: number;
}

async function holds(cache: Running): Promise<Holds> {
  const from = cache.out.length;
  process.kill(cache.pid, "SIGUSR2");
  return JSON.parse(await cache.line(/"holds"/, from)) as Holds;
}

function describe({ boxes, messages, bytes }: Holds): string {
  return messages === 0
    ? "nothing"
    : `${bytes} bytes in ${count(messages, "sealed message")} in ${count(boxes, "box", "boxes")}`;
}

function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** The picture of this repository, and five MiB that nobody has seen before. */
function ownFiles(dir: string): string[] {
  const [picture, large] = [join(dir, "restante.png"), join(dir, "five-mib.bin")];
  copyFileSync(join(ROOT, "docs/restante.png"), picture);
  writeFileSync(large, randomBytes(5 * 1024 * 1024));
  return [picture, large];
}

function sha256(file: string): string {
  return existsSync(file) ? createHash("sha256").update(readFileSync(file)).digest("hex") : "not there";
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, "  ");
}

const ANYWHERE = ["--port", "0", "--host", "127.0.0.1"];
const MAX_BYTES = 7 << 20; // sealing and padding make it a little more

await runTool(DEMO, (asked) => main(asked.operands, asked.has("bazaar")));
