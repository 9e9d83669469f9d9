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
    pool: "threads",
    isolate: false,
    maxWorkers: 2, // on two cores the default is one thread; the worlds alone take two minutes of one
    testTimeout: 120_000, // a machine may be busy: what hangs is found all the same, and nothing here is timed
    projects: ["restante", "node", "lab"].map(project),
    coverage: { provider: "v8", include: ["packages/*/src/**/*.ts"], exclude: ["**/gen/**", "**/*.test.ts"] },
  },
});
