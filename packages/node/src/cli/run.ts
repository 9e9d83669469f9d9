/** Sees to the memory of the process, before anything is there that takes some, and goes on in command.ts. */
import { growSlowly } from "./growth.ts";

if (process.argv.includes("serve") || process.argv.includes("start")) growSlowly();
await import("./command.ts");
