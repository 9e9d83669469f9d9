/** What the root machine knows: whom it lets in, and whom it writes to. */
export { Book, type Change, type Contact, type ContactInfo } from "./book.ts";
export { asJson, Door, ofJson } from "./door.ts";
export { Strangers } from "./strangers.ts";
