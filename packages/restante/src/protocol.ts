/**
 * `restante/protocol`: the pure parts, for those who read or write the formats themselves, test them, or build another
 * driver. No I/O, no clock, no randomness of its own in any of it.
 */

/** Channels of applications. protocol/application.md */
export * as application from "./application/index.ts";
/** Boxes: who has mail for whom. protocol/box.md */
export * as box from "./box/index.ts";
export * from "./bytes/index.ts";
export * from "./card/index.ts";
export * from "./crypto/index.ts";
export * from "./e3x/index.ts";
/** Mail: what is sent, kept, delivered, acknowledged and shown once. protocol/mail.md */
export * as mail from "./mail/index.ts";
/** Links to other peers. protocol/exchange.md */
export * as mesh from "./mesh/index.ts";
export * from "./wire/index.ts";
