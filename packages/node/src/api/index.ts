/** `@restante/node/api`: the API of a daemon over any peer, without its sockets. */

export type { Notification as ObNotification } from "../ob/ob.ts";
export { readKnown } from "../offline.ts";
export { sealingOf } from "../sealing.ts";
export { type ApiOptions, createApi } from "./app.ts";
export { type EventSocketOptions, eventSocket } from "./event-socket.ts";
export type { Upgrades } from "./later.ts";
export { obSocket } from "./ob-socket.ts";
export { type Once, type OnceOptions, openOnce } from "./once.ts";
export { type Json, openApiDocument } from "./openapi.ts";
export { serveApi, upgradesAt } from "./server.ts";
