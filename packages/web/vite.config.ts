import { readFileSync } from "node:fs";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defaultClientConditions, defineConfig, minifySync, type Plugin } from "vite";

export default defineConfig({
  // Which rules belong to which component is told by the component's name: shorter than a digest of it, and as good in one folder.
  plugins: [
    withoutHydration(),
    withoutProxies(),
    withoutMessages(),
    withoutPreload(),
    withWorker(),
    svelte({
      compilerOptions: { runes: true, cssHash: ({ name }) => `s-${name}`, discloseVersion: false, fragments: "tree" },
    }),
  ],
  resolve: { conditions: ["restante-source", ...defaultClientConditions] },
  // As files, not as data in the style sheet: the page's policy takes nothing else.
  build: { outDir: "../node/web", emptyOutDir: true, target: "es2023", assetsInlineLimit: 0, modulePreload: false },
});

/** Svelte guards by one variable what is for pages that a server has drawn. Ours none has: as a constant it takes 6 kB of it away. */
function withoutHydration(): Plugin {
  return {
    name: "without-hydration",
    transform: {
      filter: { id: /svelte\/src\/internal\/client\/dom\/hydration\.js$/ },
      handler(code) {
        const [variable, assignment] = ["export let hydrating = false;", "hydrating = value;"];
        if (!code.includes(variable) || !code.includes(assignment))
          this.error("Svelte has it otherwise now: look again");
        return code.replace(variable, "export const hydrating = false;").replace(assignment, "");
      },
    },
  };
}

/** State of ours is replaced, not changed within: `$state.raw` for all that is no text, number or flag. This tells who forgets it. */
function withoutProxies(): Plugin {
  return {
    name: "without-proxies",
    transform: {
      filter: { id: /svelte\/src\/internal\/client\/proxy\.js$/ },
      handler: () => `
        export function proxy(value) {
          if (Array.isArray(value) || value?.constructor === Object) throw new Error("$state.raw");
          return value;
        }
        export const get_proxied_value = proxy;
        export const is = Object.is;`,
    },
  };
}

/** The decoder says for each picture without a code why, in words: to nobody. */
function withoutMessages(): Plugin {
  return {
    name: "without-messages",
    transform: {
      filter: { id: /node_modules\/qr\// },
      handler: (code) => code.replace(/(new (?:Type|Range)?Error)\((?:`[^`]*`|'[^']*')\)/g, "$1()"),
    },
  };
}

/** What is loaded later has no style sheet and loads nothing else: there is nothing to load before it. */
function withoutPreload(): Plugin {
  return {
    name: "without-preload",
    transform: {
      filter: { id: /vite\/preload-helper\.js$/ },
      handler: () => "export const __vitePreload = (load) => load();",
    },
  };
}

/** The service worker, at a place and under a name that stay. */
function withWorker(): Plugin {
  return {
    name: "with-worker",
    generateBundle() {
      const source = minifySync("sw.js", readFileSync(new URL("src/sw.js", import.meta.url), "utf8")).code;
      this.emitFile({ type: "asset", fileName: "sw.js", source });
    },
  };
}
