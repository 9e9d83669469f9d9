/** An offer: that the contacts of a peer may use its cache for their own mail. protocol/card.md §7 */
import { isObject, type Json, type JsonObject, uint } from "../wire/index.ts";

/** What a peer keeps for a contact that takes the offer. Bytes. */
export interface Offer {
  /** Of the contact's mail in all. */
  readonly quota: number;
  /** Of one sender. */
  readonly cap: number;
}

/** As it stands in a card. */
export function offerJson({ quota, cap }: Offer): JsonObject {
  return { quota, cap };
}

/** `undefined`: none, or not as it should be. Readers of before pass over it, so nothing in it makes a card worse. */
export function parseOffer(json: Json | undefined): Offer | undefined {
  const fields = json !== undefined && isObject(json) ? json : undefined;
  const [quota, cap] = [uint(fields, "quota"), uint(fields, "cap")];
  return quota === undefined || cap === undefined ? undefined : { quota, cap };
}
