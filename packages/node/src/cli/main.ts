#!/usr/bin/env node
/** `restante`: in few files where they were made of what lies here, else in the many of the compiler. */
import { bundled } from "./bundled.ts";

const program = bundled(new URL("../../", import.meta.url));
await (program === undefined ? import("./run.ts") : import(program.href));
