/** `@restante/client`: the API of a Restante daemon, typed. Runs in browsers, too; for Node on a unix socket see ./node. */
export {
  type ApiEvent,
  type CallOptions,
  type Client,
  type ClientOptions,
  createClient,
  type EventOptions,
  type Fetch,
  Refusal,
} from "./client.ts";
export { parseEvents, type ServerEvent } from "./events.ts";
export type * from "./gen/operations.ts";
