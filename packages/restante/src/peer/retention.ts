/** After how many days what was written with a contact is erased. Carried out by `history.ts`. docs/store.md */

import { asJson } from "../bytes/index.ts";
import type { Call } from "./contract.ts";
import { refuse, type Step } from "./step.ts";

/** Sets or ends the retention of a contact. Ends it also for who is no contact any more: what was written is still here. */
export function keep(
  req: number,
  { contact, days }: Extract<Call, { type: "keep" }>,
  isContact: (id: string) => boolean,
): Step[] {
  if (days !== undefined && !isContact(contact)) return [refuse(req, "not-found", "there is no such contact")];
  if (days !== undefined && !(Number.isInteger(days) && days >= 1 && days <= MAX_DAYS))
    return [refuse(req, "bad-days", `days is a whole number, 1 to ${MAX_DAYS}`)];
  const value = days === undefined ? undefined : asJson({ days });
  return [
    { type: "save", key: KEEP_PREFIX + contact, value },
    { type: "reply", req, value: {} },
  ];
}

/** Under which keys it lies, with the contact's id behind: JSON of `{ days }`. */
export const KEEP_PREFIX = "keep/";
const MAX_DAYS = 36_500;
