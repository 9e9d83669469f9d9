// Makes a fresh clone ready: dependencies and build. Runs before `npm start` and `npm test`; a no-op takes 0.3 s.
// Node built-ins only: it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
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
// The program in few files (packages/node/src/cli/bundled.ts).
step("packages/node/program/.stamp", compiled, () =>
  run(process.execPath, [join(root, "node_modules/vite/bin/vite.js"), "build", "--logLevel", "warn"], "packages/node"),
);
// The page that the daemon serves.
step("packages/node/web/.stamp", newest, () =>
  run(process.execPath, [join(root, "node_modules/vite/bin/vite.js"), "build"], "packages/web"),
);

/** When the compiler wrote something last. */
function compiled() {
  const folders = ["restante", "bazaar", "client", "node"].map((name) => join("packages", name, "dist"));
  const records = folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".tsbuildinfo"))
      .map((name) => join(root, folder, name)),
  );
  return Math.max(
    ...["package-lock.json", "packages/node/vite.config.ts", ...records].map((file) => statSync(file).mtimeMs),
  );
}

/** When the page's sources changed last. */
function newest() {
  const files = ["package-lock.json", "packages/web", "packages/web/src", "packages/web/public"].flatMap((name) => {
    const path = join(root, name);
    return statSync(path).isFile() ? [path] : readdirSync(path).map((entry) => join(path, entry));
  });
  return Math.max(...files.map((file) => statSync(file).mtimeMs));
}

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

function run(command, args, dir = ".") {
  const { status, error } = spawnSync(command, args, { cwd: join(root, dir), stdio: ["ignore", 2, 2] }); // data to stdout, talk to stderr
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
