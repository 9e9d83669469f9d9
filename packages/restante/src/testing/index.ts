/** `restante/testing`: simulated worlds, and the suites that adapters must pass. Never for production: nothing here is secure. */
export { backendSuite } from "./backend-suite.ts";
export { boxStoreSuite } from "./box-store-suite.ts";
export { Chance } from "./chance.ts";
export { cs01 } from "./cipher-set-01.ts";
export { type CipherSetUnderTest, cipherSetSuite } from "./cipher-set-suite.ts";
export { EVILS, type Evil } from "./evil-caches.ts";
export { type MemoryNames, memoryResolver } from "./memory-resolver.ts";
export { describe, MISHAPS, type Mishap, type SimulationOptions, type SimulationReport, simulate } from "./simulate.ts";
export { type SuiteTest, storeSuite } from "./store-suite.ts";
export { transportSuite } from "./transport-suite.ts";
export { type Counters, EFFECTS, type Effect, milliseconds, SimPeer, World, type WorldOptions } from "./world.ts";
