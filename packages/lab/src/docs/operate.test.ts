/**
 * docs/operate.md, from a rented server to a link, and a node of one's own: the blocks as they stand there, in a folder that stands for
 * the disk. What only root or a running systemd can do is done by stand-ins, which do as much of it as can be seen: the unit that was
 * copied is started by its own lines, and its journal is what it says. The same for the three commands of docs/cache.md. What a
 * firewall and the end of a session do is not tried (`ufw`, `loginctl`: their words are held against a list).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocks, page, ROOT } from "./page.ts";

const isLinux = process.platform === "linux";
let dir: string;

/** Stand-ins, by name. DISK is the folder; `did` tells the test. */
const STANDINS: Readonly<Record<string, string>> = {
  // The clone: what is here.
  git: '[ "$1 $2" = "clone RESTANTE" ] || exit 1\nmkdir -p "$3" && ln -s "$SOURCE"/* "$3/"',
  // Both were done before any test ran; tools.test.ts looks whether there are such scripts.
  npm: 'did npm "$@"',
  useradd: 'did useradd "$@"',
  ufw: 'did ufw "$@"',
  loginctl: 'did loginctl "$@"',
  // Without the owner, who is not there.
  install:
    'shift_owner() { [ "$1 $3" = "-o -g" ] || exit 1; shift 4; exec /usr/bin/install -d "$@"; }\n[ "$1" = -d ] && shift && shift_owner "$@"',
  sudo: 'case "$1" in -u) shift 2 ;; esac\nexec "$@"',
  // Starts the unit by what stands in it, and comes back when that is there, as the commands behind it expect.
  systemctl: `units="$DISK/etc/systemd/system"
[ "$1" = --user ] && units="$HOME/.config/systemd/user" && shift
[ "$1 $2" = "enable --now" ] || exit 1
unit="$units/$3.service"
journal="$DISK/journal.$3"
for line in ExecStartPre ExecStart; do
  sed -n "s/^$line=-*//p" "$unit" | sed "s#/usr/bin/#$DISK/usr/bin/#; s#/var/lib#$DISK/var/lib#; s#--metrics .*#--metrics 0#; s#--web\\$#--web 0#" > "$journal.$line"
done
sh "$journal.ExecStartPre" >> "$journal" 2>&1
mkfifo "$journal.pipe"
sh -c "exec $(cat "$journal.ExecStart") --host 127.0.0.1 --port 0" > "$journal.pipe" 2>&1 &
did pid $!
exec 3< "$journal.pipe"
while read -r said <&3; do
  echo "$said" >> "$journal"
  # The last word: of a cache its link, of a node its home.
  case "$said" in *"is in memory only"*) ;; *link:* | *"its home is"*) break ;; esac
done
cat <&3 >> "$journal" 2> /dev/null &`,
  journalctl: '[ "$1 $3 $4" = "-u -o cat" ] && cat "$DISK/journal.$2"',
};

beforeAll(() => {
  if (!existsSync(join(ROOT, "packages/node/dist/cli/main.js"))) throw new Error("not built: npm run build");
  dir = mkdtempSync(join(tmpdir(), "restante-operate-"));
  for (const folder of ["stand-ins", "usr/bin", "var/lib", "etc/systemd/system", "home"])
    mkdirSync(join(dir, folder), { recursive: true });
  for (const [name, script] of Object.entries(STANDINS)) {
    const file = join(dir, "stand-ins", name);
    writeFileSync(file, `#!/bin/sh\ndid() { echo "$@" >> "$DISK/did"; }\n${script}\n`);
    chmodSync(file, 0o755);
  }
});
afterAll(() => {
  for (const pid of did("pid")) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended.
    }
  }
  rmSync(dir, { recursive: true, force: true });
});

/** A block that begins so, with the folder in the place of the disk. */
function block(name: string, start: string): string {
  const found = blocks(page(name)).find((each) => each.text.startsWith(start));
  if (found === undefined) throw new Error(`${name} has no block "${start}" any more`);
  return found.text.replaceAll(/(?<=^|[\s=])\/(opt|usr|var|etc)\//gm, `${dir}/$1/`);
}

/** Typed by somebody, line by line; the first that fails ends it. What goes on then is killed in the end. */
async function typed(commands: string): Promise<string> {
  const { XDG_STATE_HOME: _, XDG_CONFIG_HOME: __, ...outside } = process.env;
  const path = [join(dir, "stand-ins"), join(dir, "usr/bin"), dirname(process.execPath), outside["PATH"]].join(":");
  const env = { ...outside, DISK: dir, SOURCE: ROOT, HOME: join(dir, "home"), PATH: path };
  const child = spawn("sh", ["-euc", commands], { cwd: ROOT, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  expect({ code, err }).toMatchObject({ code: 0 });
  return out;
}

/** What a stand-in was told, each time. */
function did(name: string): string[] {
  const all = existsSync(join(dir, "did")) ? readFileSync(join(dir, "did"), "utf8").split("\n") : [];
  return all.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
}

test("from a rented server to a link, and the cache's own commands are the same", async () => {
  const out = await typed(block("docs/operate.md", "git clone"));
  expect(out.trim().split("\n").at(-1)).toMatch(/link:\/\/\S+$/);
  expect(out).toMatch(/^[a-z2-7]{52}$/m);
  expect(statSync(join(dir, "var/lib/restante")).mode & 0o777).toBe(0o700);
  expect(did("npm")).toEqual(["ci --ignore-scripts", "run build"]);
  expect(did("ufw")).toEqual(["allow 42424"]);
  expect(did("useradd")).toEqual([
    `--system --home-dir ${dir}/var/lib/restante --shell ${dir}/usr/sbin/nologin restante`,
  ]);
  const once = blocks(page("docs/cache.md"))[0]?.text.trim().split("\n") ?? [];
  const there = page("docs/operate.md").split("\n");
  for (const line of once) expect(there).toContain(line.startsWith("sudo -u") ? line : line.replace("sudo ", ""));
});

test("a node of one's own is found by the commands without a word, and what it takes is told by the page's last line", async () => {
  // Of all that run on this machine only those that were started here.
  const measured = block("docs/operate.md", "grep -E").replace("pgrep -of", "pgrep -s 0 -of");
  const out = await typed(`${block("docs/operate.md", "mkdir -p ~/.config")}${isLinux ? measured : ""}`);
  const [link, ...memory] = out.trim().split("\n");
  expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#\S+$/);
  expect(did("loginctl")).toEqual(["enable-linger"]);
  if (isLinux) expect(memory.join("\n")).toMatch(/^VmRSS:.* kB\nRssAnon:.* kB$/);
});
