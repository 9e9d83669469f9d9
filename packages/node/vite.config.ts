import { defineConfig, type Plugin } from "vite";

/** The program in few files, made of what the compiler wrote. src/cli/bundled.ts says what for. */
export default defineConfig({
  plugins: [narrow()],
  publicDir: false,
  build: {
    ssr: "dist/cli/run.js",
    outDir: "program",
    target: "node20",
    minify: false, // names are for the reader of a stack trace
    rolldownOptions: {
      output: {
        // The same from one build to the next: a daemon that runs meanwhile loads the rest of itself later.
        ...{ entryFileNames: "[name].js", chunkFileNames: "[name].js", minifyInternalExports: false },
        comments: false,
        // Constants stay constants: V8 reads a `var` anew wherever it is used, and knows nothing of its value.
        topLevelVar: false,
      },
    },
  },
  // All but what has native code, and what loads files of its own.
  ssr: { noExternal: true, external: ["classic-level", "pino"] },
});

/** One letter beyond Latin-1 makes V8 keep the whole file at two bytes a letter. */
function narrow(): Plugin {
  const escaped = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return { name: "narrow", renderChunk: (code) => code.replace(/[^\0-\xff]/g, escaped) };
}
