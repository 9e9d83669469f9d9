export {
  BOX_LIMITS,
  type BoxAnswer,
  type BoxLimits,
  type BoxOp,
  type BoxStats,
  type BoxStore,
  type MemoryBoxes,
} from "./boxes.ts";
export { memoryBoxStore } from "./memory-boxes.ts";
export { type Change, memoryStore, RECORD_BYTES, type Store } from "./store.ts";
