import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

/** A process that watches itself, with the code that `npm test` has built, and does `work` to two inputs. */
function run(work: string): { stdout: string; signal: string | null } {
  const built = new URL("../../dist/fuzz/watchdog.js", import.meta.url).href;
  const code = `
    import { watch } from ${JSON.stringify(built)};
    const before = watch(300, 10, "it hangs: HEX");
    before(Uint8Array.of(1));
    before(Uint8Array.of(0xab, 0xcd));
    ${work}`;
  const args = ["--input-type=module", "--eval", code];
  const { stdout, signal } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 30_000 });
  return { stdout, signal };
}

test("an input that never comes to an end is printed, and its process killed", () => {
  expect(run("for (;;);")).toEqual({ stdout: "it hangs: abcd\n", signal: "SIGKILL" });
});

test("a process that waits, or comes to its end, is left alone", () => {
  // Longer than the watchdog waits, on the clock; but only CPU time counts.
  expect(run("setTimeout(() => console.log('done'), 1500);")).toEqual({ stdout: "done\n", signal: null });
});
