/**
 * OpenBazaar's offline messages for Restante. `createBazaar` is all of it at work; libp2p is imported when it is first called.
 * The formats alone, for browsers too, are `@restante/bazaar/format`.
 */
import type { Bazaar, BazaarOptions } from "./route.ts";

export { contactAt, type MailRoute, type MailRouteOptions, mailRoute } from "./mail-route.ts";
export type { Taken } from "./offline/arrivals.ts";
export type { Contact } from "./offline/effects.ts";
export type {
  Bazaar,
  BazaarMessage,
  BazaarOptions,
  BazaarPosting,
  BazaarProgress,
  BazaarStats,
  RouteDelivered,
  RouteDelivery,
} from "./route.ts";
export { bazaarSeed } from "./seed.ts";
export { folderStorage } from "./storage/folder.ts";
export type { BazaarStorage } from "./storage/storage.ts";
export { type WebdavOptions, webdavStorage } from "./storage/webdav.ts";

/**
 * Opens the bazaar: it listens, and looks for others and for mail, when this resolves. Throws what its store and its storage
 * throw (`RestanteError`), and for a multiaddr that is none. Close it with `stop`, before the store.
 */
export async function createBazaar(options: BazaarOptions): Promise<Bazaar> {
  const { openBazaar } = await import("./route.ts");
  return await openBazaar(options);
}
