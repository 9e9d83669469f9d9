/**
 * Lifetime: until when a mail of ours is kept after it ended, and when something is to be done about it if nothing else happens.
 * protocol/mail.md §8, §10; docs/store.md §5
 */
import type { Time } from "../bytes/index.ts";
import { isFinal, stateOf } from "./ledger.ts";
import type { Pairs } from "./pairs.ts";
import type { Parcel } from "./parcel.ts";
import type { Posted } from "./posted.ts";

/** What is asked of the numbers. */
type Numbers = Pick<Pairs, "get">;

/** When to look at the mail again; `undefined`: never, by itself. `doubt`: until then nothing expires, for the clock may be wrong. */
export function lookAt(mail: Posted, pairs: Numbers, doubt: Time): Time | undefined {
  const { leftover, expires, parcels } = mail;
  const times = [retireAt(mail, pairs)];
  if (leftover === undefined) times.push(Math.max(expires, doubt));
  else if (leftover > 0) times.push(leftover);
  const isUnpassed = parcels.some((parcel) => pairs.get(parcel.peer)?.isUnpassed(parcel));
  if (leftover !== undefined && isUnpassed) times.push(passAt(mail));
  for (const parcel of parcels) {
    if (pairs.get(parcel.peer)?.isStale(parcel)) times.push(parcel.resealAt ?? 0);
    if (parcel.former !== undefined) times.push(parcel.former.until);
  }
  const first = Math.min(...times);
  return first === Number.POSITIVE_INFINITY ? undefined : first;
}

/** When the floor need not wait any more for a mail that ended: no copy of it would still be shown. */
export function passAt({ expires }: Posted): Time {
  return expires + GRACE_MS;
}

/** When nothing but its ledger is kept; infinite as long as it goes on. */
export function retireAt(mail: Posted, pairs: Numbers): Time {
  const { ledger, expires, leftover } = mail;
  const state = stateOf(ledger);
  if (leftover === undefined || !isFinal(state)) return Number.POSITIVE_INFINITY;
  if (known(mail, pairs).length === 0) return leftover;
  if (state === "expired" || state === "cancelled") return expires + LATE_MS;
  return isSettled(mail, pairs) ? (ledger.at(-1)?.at ?? 0) + SETTLED_MS : passAt(mail);
}

/** Has each peer that it went to acknowledged it, under whatever number? */
export function isSettled(mail: Posted, pairs: Numbers): boolean {
  const parcels = known(mail, pairs);
  const having = new Set(parcels.flatMap(({ peer, state }) => (state === "acknowledged" ? [peer] : [])));
  return parcels.length > 0 && mail.waits.length === 0 && parcels.every(({ peer }) => having.has(peer));
}

/** Its parcels to peers that are still ours. */
function known({ parcels }: Posted, pairs: Numbers): Parcel[] {
  return parcels.filter(({ peer }) => pairs.get(peer) !== undefined);
}

/** How long what was given up may have to be done again after a crash. */
export const LEFTOVER_MS = 60_000;
const DAY_MS = 86_400_000;
const GRACE_MS = 2 * DAY_MS; // DESIGN 5: recipients drop mail this long after its expiry, so the floor may pass
const SETTLED_MS = 2 * DAY_MS; // a delivered mail is listed so long, unless there are more
const LATE_MS = 30 * DAY_MS; // cache lifetime: an acknowledgement may come so late
