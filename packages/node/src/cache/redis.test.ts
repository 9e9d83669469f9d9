import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

/** Whether a process that has loaded this file of ours has a client of Redis, and whether V8 finds the methods of texts fast. */
function after(file: string): string {
  const script = `
    import { createRequire } from "node:module";
    await import(${JSON.stringify(new URL(`../../dist/${file}`, import.meta.url).href)});
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    console.log(loaded.some((file) => file.includes("ioredis")), %HasFastProperties(String.prototype));
  `;
  const args = ["--allow-natives-syntax", "--input-type=module", "--eval", script];
  return execFileSync(process.execPath, args, { encoding: "utf8" }).trim();
}

test("who has no Redis Cluster loads no client of one", () => {
  expect(after("index.js")).toBe("false true");
});
