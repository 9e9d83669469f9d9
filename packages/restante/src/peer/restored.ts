/** What has to change in a store that is a copy or a backup of one, before a peer goes on with it. protocol/mail.md §1 */
import { asJson, type Time } from "../bytes/index.ts";
import { EPOCH_KEY, RESTORED_KEY } from "../mail/index.ts";
import { laterCard, OWN_CARD_KEY } from "./own-card.ts";

/** A key of the store, and what is to stand there. `undefined`: nothing. */
interface Change {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/**
 * All to commit in one batch, and before anything else is. `card`: what the store has at OWN_CARD_KEY. Numbers of mail begin
 * anew, under a new epoch: the old ones may be known to others for mail that this store has never seen. And our card gets a
 * version above all that the other store may have given out since; at the next start it goes to all contacts. Whom that store came to
 * know the backup does not know: what they left for us is kept for a while.
 */
export function restored(card: Uint8Array | undefined, now: Time): Change[] {
  return [
    { key: EPOCH_KEY, value: undefined },
    { key: RESTORED_KEY, value: asJson({ at: now }) },
    ...(card === undefined ? [] : [{ key: OWN_CARD_KEY, value: laterCard(card, now) }]),
  ];
}
