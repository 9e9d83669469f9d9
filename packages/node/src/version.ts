import { createRequire } from "node:module";

/** Of this package, like "0.1.0". */
export const VERSION: string = (createRequire(import.meta.url)("../package.json") as { version: string }).version;
