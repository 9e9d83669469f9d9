export {
  BOX_LIMITS,
  type BoxAnswer,
  type BoxLimits,
  type BoxOp,
  type BoxStats,
  type BoxStore,
  memoryBoxStore,
} from "./boxes.ts";
export { type Change, memoryStore, RECORD_BYTES, type Store } from "./store.ts";
