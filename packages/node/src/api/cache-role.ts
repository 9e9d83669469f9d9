/** GET and PUT /v1/cache, PUT /v1/caches/offer: whether this node serves a cache, while it runs, and offers it. */
import { type Peer, RestanteError } from "restante";
import type { ConfigInfo } from "./config.ts";
import type { CacheRole, OfferingInfo } from "./contract.ts";

/** How it is now, and who decides it. */
export function cacheRole(peer: Peer, config: ConfigInfo | undefined): CacheRole {
  const { serving, held, offering, takers, state } = peer.status();
  const said = config?.settings.find(({ key }) => key === "cache.serve");
  const isFixed = serving === "always" || serving === "never";
  return {
    serve: held !== undefined,
    fixed: isFixed,
    ...(isFixed && said?.where !== undefined && { where: said.where }),
    ...(held !== undefined && { held }),
    ...(held !== undefined && state === "running" && { joinLink: peer.joinLink() }),
    ...(offering !== undefined && { offering }),
    ...(takers !== undefined && { takers }),
  };
}

/** Changes it, and says so to `say`. Throws "not-empty" where messages of others would go and nobody said that they may, and what the peer throws. */
export async function serveCache(
  peer: Peer,
  config: ConfigInfo | undefined,
  { serve, forget = false }: { serve: boolean; forget?: boolean },
  say: (message: string) => void = () => {},
): Promise<CacheRole> {
  const { serve: before, fixed, where, held: { messages = 0 } = {} } = cacheRole(peer, config);
  if (fixed && where !== undefined)
    throw new RestanteError("set-at-start", `${where} says whether this node serves a cache: change it there`);
  if (!fixed && !serve && messages > 0 && !forget)
    throw new RestanteError("not-empty", `${lies(messages)} here for others, and would be forgotten`);
  await peer.serveCache(serve);
  const role = cacheRole(peer, config);
  if (role.serve !== before)
    say(role.serve ? "this node serves a cache from now on" : `this node serves no cache any more${gone(messages)}`);
  return role;
}

/**
 * Whether contacts may use it. Throws "not-empty" where that ends for those who do, messages lie here, and nobody said that they may be
 * forgotten; and what the peer throws.
 */
export async function offerCache(
  peer: Peer,
  { on, end = false, forget = false }: { on: boolean; end?: boolean; forget?: boolean },
): Promise<OfferingInfo> {
  const { held: { messages = 0 } = {}, takers = 0 } = peer.status();
  if (end && !forget && takers > 0 && messages > 0)
    throw new RestanteError(
      "not-empty",
      `${lies(messages)} here; what is for those who came by the offer would be forgotten`,
    );
  await peer.offerCache(on, { end });
  return { on };
}

function gone(messages: number): string {
  if (messages === 0) return "";
  return `; ${messages === 1 ? "1 message" : `${messages} messages`} of others went with it: their senders send it again`;
}

function lies(messages: number): string {
  return messages === 1 ? "1 message lies" : `${messages} messages lie`;
}
