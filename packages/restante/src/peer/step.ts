/** What passes inside the root machine from one child to another. */
import type { CacheIn, InboxIn, JoinIn, OutboxIn, RevocationIn } from "../box/index.ts";
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
  | { child: "mail"; input: MailIn };
export type Child = Task["child"];

/** The children that talk with other peers in channels. */
export type Role = "outbox" | "cache" | "inbox" | "join" | "revocation";

/** What follows from a decision: work for a child, or an effect of the root itself. */
export type Step = Task | RootOut;

/** The number of calls that we make ourselves: nobody waits for their answers. */
export const OURS = -1;

/** Our caches are to be told what is revoked now. */
export const REVOKED: Step = { child: "revocation", input: { type: "changed" } };

export function refuse(req: number, code: string, message: string): Step {
  return { type: "refuse", req, code, message };
}
