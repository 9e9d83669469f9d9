/**
 * `restante/protocol`: the pure parts, for those who read or write the formats themselves, test them, or build another
 * driver. No I/O, no clock, no randomness of its own in any of it.
 */

export * as box from "./box/index.ts";
export * from "./bytes/index.ts";
export * from "./card/index.ts";
export * from "./crypto/index.ts";
export * from "./e3x/index.ts";
export * as mail from "./mail/index.ts";
export * as mesh from "./mesh/index.ts";
export * from "./wire/index.ts";
