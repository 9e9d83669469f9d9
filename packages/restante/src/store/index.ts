export {
  BOX_LIMITS,
  type BoxAnswer,
  type BoxClass,
  type BoxLimits,
  type BoxOp,
  type BoxStats,
  type BoxStore,
  memoryBoxStore,
} from "./boxes.ts";
export { type Change, memoryStore, type Pair, RECORD_BYTES, type Store } from "./store.ts";
