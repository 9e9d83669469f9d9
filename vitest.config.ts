import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

const source = ["restante-source", ...defaultServerConditions];
const project = (name: string) => ({
  extends: true as const,
  test: { name, root: `packages/${name}`, include: ["src/**/*.test.ts"] },
});

export default defineConfig({
  ssr: { resolve: { conditions: source } },
  test: {
    // Where only the end of what is printed may be kept, .ci/run names those that failed after it, and those that a second try helped.
    retry: process.env["CI_STRICT"] ? 1 : 0,
    reporters: process.env["CI_STRICT"]
      ? ["default", ["json", { outputFile: "node_modules/.cache/tests.json" }]]
      : ["default"],
    pool: "threads",
    isolate: false,
    maxWorkers: 3, // of two cores: a sixth of the time one of them waits for processes, sockets and browsers
    // A machine may be busy: what hangs is found all the same, and nothing here is timed.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 60_000 } },
    projects: ["restante", "bazaar", "client", "node", "web", "lab"].map(project),
    coverage: { provider: "v8", include: ["packages/*/src/**/*.ts"], exclude: ["**/gen/**", "**/*.test.ts"] },
  },
});
