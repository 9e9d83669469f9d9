/** Everything that is fuzzed, in one list: a new parser, opener or machine gets its line in one of the nine. */
import { BAZAAR } from "./bazaar.ts";
import { BAZAAR_KEPT } from "./bazaar-kept.ts";
import { BAZAAR_MACHINES } from "./bazaar-machines.ts";
import { HTTP } from "./http.ts";
import { MACHINES } from "./machines.ts";
import { OPENERS } from "./openers.ts";
import { PARSERS } from "./parsers.ts";
import type { Target } from "./target.ts";
import { TEXTS } from "./texts.ts";
import { WEBSOCKET } from "./websocket.ts";

export const TARGETS: readonly Target[] = [
  ...PARSERS,
  ...OPENERS,
  ...MACHINES,
  ...BAZAAR,
  ...BAZAAR_MACHINES,
  ...BAZAAR_KEPT,
  ...HTTP,
  ...WEBSOCKET,
  ...TEXTS,
];
