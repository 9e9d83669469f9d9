// Makes a fresh clone ready: dependencies and build. Runs before `npm start` and `npm test`; a no-op takes 0.3 s.
// Node built-ins only: it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

step(
  "node_modules/.restante-lock",
  () => hash("package-lock.json"),
  () => npm("ci", "--ignore-scripts", "--no-audit", "--no-fund"),
);
// What runs, without the tests: a slip in one of those must not keep anybody from starting. `npm run check` sees them all.
run(process.execPath, [join("node_modules", "@typescript", "native", "bin", "tsc"), "-b", "packages/lab"]);

function step(stamp, want, act) {
  const file = join(root, stamp);
  const wanted = String(want());
  if (existsSync(file) && readFileSync(file, "utf8") === wanted) return;
  act();
  writeFileSync(file, wanted);
}

function npm(...args) {
  const cli = process.env.npm_execpath; // set by npm itself; the fallback serves `node scripts/setup.mjs`
  if (cli) run(process.execPath, [cli, ...args]);
  else run("npm", args);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] }); // data to stdout, talk to stderr
  if (status !== 0) {
    process.stderr.write(`setup: ${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}\n`);
    process.exit(1);
  }
}

function hash(file) {
  return createHash("sha256")
    .update(readFileSync(join(root, file)))
    .digest("hex");
}
