/** Everything that is fuzzed, in one list: a new parser, opener or machine gets its line in one of the three. */
import { MACHINES } from "./machines.ts";
import { OPENERS } from "./openers.ts";
import { PARSERS } from "./parsers.ts";
import type { Target } from "./target.ts";

export const TARGETS: readonly Target[] = [...PARSERS, ...OPENERS, ...MACHINES];
