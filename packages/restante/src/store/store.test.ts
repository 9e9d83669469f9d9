import { test } from "vitest";
import { storeSuite } from "../testing/store-suite.ts";
import { memoryStore } from "./store.ts";

for (const { name, run } of storeSuite(async () => ({ store: memoryStore() }))) test(`memory store: ${name}`, run);
