import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

/** The folder of this package, with "/" at its end: for what lies there beside its code. From here, since the bundle lies as deep. */
export const PACKAGE: URL = new URL("../", import.meta.url);

/** Of this package, like "0.1.0". */
export const VERSION: string = (createRequire(import.meta.url)("../package.json") as { version: string }).version;

/** Of what lies on the disk now, where this program was loaded from. Rejects when nothing does. */
export async function installedVersion(): Promise<string> {
  const text = await readFile(new URL("package.json", PACKAGE), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
