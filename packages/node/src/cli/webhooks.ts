/** Commands about who is told by HTTP what happens: webhook add, webhook remove, webhooks. docs/api.md */
import type { Client } from "../api/client.ts";
import type { NewWebhook, WebhookInfo, WebhookList } from "../api/contract.ts";
import { EXIT, self } from "./failure.ts";
import { count, printable, type Screen, table } from "./screen.ts";

export interface HookFlags {
  readonly event?: readonly string[];
  readonly content?: boolean;
  readonly after?: number;
}

/** Has an address told what happens; prints the hook's id, and the secret that its messages are signed with. */
export async function addWebhook(
  screen: Screen,
  client: Client,
  url: string,
  { event, content, after }: HookFlags,
): Promise<number> {
  const asked = {
    url,
    ...(event && { events: event }),
    ...(content && { content }),
    ...(after !== undefined && { after }),
  };
  const made = await client.call<NewWebhook>("POST", "/v1/webhooks", asked);
  if (screen.json) screen.out(JSON.stringify(made));
  else {
    screen.out(`${screen.paint("dim", "id    ")}  ${made.id}`);
    screen.out(`${screen.paint("dim", "secret")}  ${made.secret}`);
    screen.say("the secret is said this once: by it that address knows what comes from here");
  }
  return EXIT.done;
}

/** Tells an address nothing more. */
export async function removeWebhook(screen: Screen, client: Client, id: string): Promise<number> {
  const removed = await client.call<WebhookInfo>("DELETE", `/v1/webhooks/${encodeURIComponent(id)}`);
  if (screen.json) screen.out(JSON.stringify(removed));
  else screen.say(`${flat(removed.url)} is told nothing more`);
  return EXIT.done;
}

/** Who is told, of what, and how that goes. Degraded when one is given up. */
export async function webhooks(screen: Screen, client: Client): Promise<number> {
  const { webhooks: all } = await client.call<WebhookList>("GET", "/v1/webhooks");
  if (screen.json) for (const hook of all) screen.out(JSON.stringify(hook));
  else if (all.length === 0)
    screen.say(`nobody is told; \`${self()} webhook add URL\` has an address told of new mail`);
  else {
    const rows = all.map((hook) => [
      hook.id,
      stateText(hook),
      hook.events.join(", "),
      String(hook.after),
      flat(hook.url),
    ]);
    for (const line of table(screen, ["ID", "STATE", "TOLD OF", "MAIL UP TO", "ADDRESS"], rows)) screen.out(line);
    for (const { state, url, why } of all)
      if (state !== "well" && why !== undefined) screen.say(`${flat(url)}: ${flat(why)}`);
  }
  return all.some(({ state }) => state === "disabled") ? EXIT.degraded : EXIT.done;
}

function stateText({ state, failures }: WebhookInfo): string {
  return state === "failing" ? `failing: ${count(failures, "attempt")}` : state;
}

function flat(text: string): string {
  return printable(text, { oneLine: true });
}
