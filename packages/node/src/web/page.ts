/** The built page: its files, held in memory. */
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PACKAGE } from "../version.ts";

interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** Its name changes with its content. */
  readonly isHashed: boolean;
}

export interface Page {
  /** The file of this path; "/" is the page. No path leads outside: only what was read at the start is there. */
  file(path: string): PageFile | undefined;
}

/** Read the page that lies beside this package's code. `undefined` when it was not built. */
export async function loadPage(dir: string = BUILT): Promise<Page | undefined> {
  const files = new Map<string, PageFile>();
  const names = await readdir(dir, { recursive: true }).catch(() => []);
  for (const name of names) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const path = `/${name.replaceAll("\\", "/")}`;
    const bytes = new Uint8Array(await readFile(join(dir, name)));
    files.set(path, { bytes, type, isHashed: path.startsWith("/assets/") });
  }
  const index = files.get("/index.html");
  if (index === undefined) return undefined;
  files.set("/", index);
  return { file: (path) => files.get(path) };
}

const BUILT = fileURLToPath(new URL("web", PACKAGE));
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};
