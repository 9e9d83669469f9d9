/** What passes inside the root machine from one child to another. */
import type { ApplicationIn } from "../application/index.ts";
import type { CacheIn, InboxIn, JoinIn, OutboxIn, RevocationIn } from "../box/index.ts";
import { type ChannelEvent, oneByOne } from "../e3x/index.ts";
import type { MailIn } from "../mail/index.ts";
import type { MeshIn } from "../mesh/index.ts";
import type { RootOut } from "./contract.ts";

/** An input for a child. */
export type Task =
  | { child: "mesh"; input: MeshIn }
  | { child: "outbox"; input: OutboxIn }
  | { child: "cache"; input: CacheIn }
  | { child: "inbox"; input: InboxIn }
  | { child: "join"; input: JoinIn }
  | { child: "revocation"; input: RevocationIn }
  | { child: "application"; input: ApplicationIn }
  | { child: "mail"; input: MailIn };
export type Child = Task["child"];

/** The children that talk with other peers in channels. */
export type Role = "outbox" | "cache" | "inbox" | "join" | "revocation" | "application";

/** What happened on a channel that is open, for whoever has it. Only the cache takes packets in rows. */
export function forRole(role: Role, event: Exclude<ChannelEvent, { type: "opened" }>): Task[] {
  if (event.type !== "packets") return [{ child: role, input: event }];
  if (role === "cache") return [{ child: role, input: event }];
  return oneByOne(event).map((input): Task => ({ child: role, input }));
}

/** What follows from a decision: work for a child, or an effect of the root itself. */
export type Step = Task | RootOut;

/** The number of calls that we make ourselves: nobody waits for their answers. */
export const OURS = -1;

/** Somebody may be a contact no more: what it had with the application is over. */
export const ESTRANGED: Step = { child: "application", input: { type: "contacts" } };

/** Our caches are to be told what is revoked now. */
export const REVOKED: Step = { child: "revocation", input: { type: "changed" } };

export function refuse(req: number, code: string, message: string): Step {
  return { type: "refuse", req, code, message };
}
