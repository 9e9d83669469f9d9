import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { examine, type Finding, reach, type Surroundings } from "./doctor.ts";
import { emptyCoreDumps } from "./memory-only.ts";

let dir: string;
let proc: string;
let home: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "restante-doctor-"));
  proc = join(dir, "proc");
  home = join(dir, "home");
  mkdirSync(home, { mode: 0o700 });
  plant("proc/swaps", SWAPS);
  plant("proc/self/cgroup", "0::/system.slice/restante.service\n");
  plant("proc/self/limits", limits("0", "524288"));
  plant("proc/self/coredump_filter", "00000033\n");
  plant("proc/sys/kernel/core_pattern", "core\n");
  plant("home/identity.json", "{}", 0o600);
});
afterEach(() => rmSync(dir, { recursive: true }));

function plant(name: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(dir, name)), { recursive: true });
  writeFileSync(join(dir, name), text, { mode });
}

function limits(core: string, files: string): string {
  return [
    "Limit                     Soft Limit           Hard Limit           Units     ",
    `Max core file size        ${core.padEnd(20)} unlimited            bytes     `,
    `Max open files            ${files.padEnd(20)} 524288               files     `,
  ].join("\n");
}

function look(surroundings: Partial<Surroundings> = {}): readonly Finding[] {
  const planted = { home, proc, cgroups: join(dir, "cgroups"), nodeOptions: [], backend: "sodium-native" };
  return examine({ ...planted, ...surroundings });
}

function finding(check: Finding["check"], surroundings: Partial<Surroundings> = {}): Finding | undefined {
  return look(surroundings).find((it) => it.check === check);
}

test("where all is well each check says so, and none has a remedy", () => {
  const found = look();
  expect(found.map(({ check }) => check)).toEqual([
    "swap",
    "core dumps",
    "home",
    "disk",
    "open files",
    "clock",
    "cryptography",
    "diagnostics",
  ]);
  for (const it of found) expect(it).toEqual({ check: it.check, state: "good", says: expect.any(String) });
});

test("swap on a disk is found, unless a control group around the process allows none", () => {
  plant("proc/swaps", `${SWAPS}/dev/zram0 partition 1024 0 100\n`);
  expect(finding("swap")?.state).toBe("good");
  plant("proc/swaps", `${SWAPS}/dev/sda2 partition 1024 0 -2\n`);
  expect(finding("swap")).toMatchObject({ state: "bad", says: expect.stringContaining("/dev/sda2") });
  expect(finding("swap")?.remedy).toMatch(/swapoff -a.*MemorySwapMax=0/);
  plant("cgroups/system.slice/restante.service/memory.swap.max", "max\n");
  expect(finding("swap")?.state).toBe("bad");
  plant("cgroups/system.slice/memory.swap.max", "0\n");
  expect(finding("swap")?.state).toBe("good");
});

test("core dumps are emptied where that is possible; where it is not, those that are written are found", () => {
  plant("proc/self/limits", limits("unlimited", "524288"));
  expect(finding("core dumps")?.state).toBe("good");
  expect(readFileSync(join(proc, "self/coredump_filter"), "utf8").trim()).toBe("00000000");
  rmSync(join(proc, "self/coredump_filter"));
  expect(finding("core dumps")).toMatchObject({ state: "bad", remedy: expect.stringContaining("LimitCORE=0") });
  plant("proc/self/limits", limits("0", "524288"));
  expect(finding("core dumps")?.state).toBe("good");
  plant("proc/sys/kernel/core_pattern", "|/usr/share/collect %p\n"); // is called whatever the limit is
  expect(finding("core dumps")?.state).toBe("bad");
});

test.skipIf(process.platform !== "linux")(
  "[C8] the kernel takes the setting that leaves memory out of core dumps",
  () => {
    expect(emptyCoreDumps()).toBe("empty");
    expect(readFileSync("/proc/self/coredump_filter", "utf8").trim()).toBe("00000000");
  },
);

test.skipIf(process.platform === "win32").each([
  ["home", 0o750, "700"],
  ["home/identity.json", 0o640, "600"],
  ["home/key", 0o604, "600"],
])("others who can get at %s are found", (name, mode, remedy) => {
  if (name !== "home") plant(name, "secret");
  chmodSync(join(dir, name), mode);
  expect(finding("home")).toMatchObject({
    state: "bad",
    says: expect.stringContaining(join(dir, name)),
    remedy: `chmod ${remedy} ${join(dir, name)}`,
  });
});

test("a home that is not there yet is no fault", () => {
  expect(finding("home", { home: join(dir, "nowhere") })).toMatchObject({ state: "note" });
});

test("too few open files, a clock that is wrong, slow cryptography and options that write memory out are found", () => {
  plant("proc/self/limits", limits("0", "256"));
  expect(finding("open files")).toMatchObject({ state: "bad", remedy: expect.stringContaining("LimitNOFILE=1024") });
  expect(finding("clock", { now: 0 })).toMatchObject({ state: "bad", says: expect.stringContaining("1970-01-01") });
  const yesterday = Date.now() - 24 * 60 * 60 * 1000;
  expect(finding("clock", { now: yesterday })).toMatchObject({ state: "bad", says: expect.stringContaining(home) });
  expect(finding("cryptography", { backend: "portable" })).toMatchObject({ state: "note" });
  for (const option of ["--inspect=0.0.0.0:9229", "--heapsnapshot-signal=SIGUSR1", "--report-on-signal"])
    expect(finding("diagnostics", { nodeOptions: [option] })).toMatchObject({ state: "bad" });
  expect(finding("diagnostics", { nodeOptions: ["--max-old-space-size=64"] })?.state).toBe("good");
});

test("a system that tells nothing is no failure", () => {
  const found = look({ proc: join(dir, "no-proc"), cgroups: join(dir, "no-cgroups") });
  expect(found.filter(({ state }) => state === "bad")).toEqual([]);
  expect(found.filter(({ state }) => state === "note").map(({ check }) => check)).toEqual([
    "swap",
    "core dumps",
    "open files",
  ]);
});

const SWAPS = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

test.each([
  ["192.0.2.1", "good"],
  ["2001:db8::1", "good"],
  ["100.63.0.1", "good"],
  ["172.32.0.1", "good"],
  ["10.0.0.7", "note"],
  ["100.64.0.1", "note"],
  ["172.31.0.1", "note"],
  ["192.168.1.2", "note"],
  ["127.0.0.1", "note"],
  ["169.254.0.1", "note"],
  ["fd00::1", "note"],
  ["fe80::1", "note"],
  ["::1", "note"],
])("who listens at %s alone gets a %s about how others reach it", (ip, state) => {
  expect(reach([{ ip, port: 4000 }])).toMatchObject({ check: "address", state });
  expect(reach([{ ip: "10.0.0.7", port: 4000 }, { ip }])).toMatchObject({ state });
});

test("a home that is still to be made is judged by the disk where it will be", () => {
  expect(finding("disk", { home: join(home, "not", "yet") })?.says).toMatch(/^\d+ [MG]iB are free/);
});
