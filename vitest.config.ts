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
    projects: ["restante", "node", "lab"].map(project),
    coverage: { provider: "v8", include: ["packages/*/src/**/*.ts"], exclude: ["**/gen/**", "**/*.test.ts"] },
  },
});
