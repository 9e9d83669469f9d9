/**
 * `/ob`: what OpenBazaar's clients call, in its words and shapes. There only where the bazaar is configured. docs/bazaar.md
 */
import type { PeerId } from "@restante/bazaar/format";
import { Hono } from "hono";
import { RestanteError } from "restante";
import { z } from "zod";
import type { ChatRecord } from "../ob/conversations.ts";
import { type Ob, timestampOf } from "../ob/ob.ts";
import { bodyJson } from "./body.ts";
import { problemOf } from "./problem.ts";

/** POST /ob/chat; what is more is passed over, as OpenBazaar does. */
const chatBody = z.object({ peerId: z.string(), subject: z.string().default(""), message: z.string().default("") });
/** POST /ob/groupchat */
const groupBody = z.object({
  peerIds: z.array(z.string()).min(1, "must not be empty").max(256),
  subject: z.string().default(""),
  message: z.string().default(""),
});

/** A message as OpenBazaar shows it, and what it does not know of. */
interface ShownMessage {
  readonly messageId: string;
  readonly peerId: string;
  readonly subject: string;
  readonly message: string;
  readonly read: boolean;
  readonly outgoing: boolean;
  readonly timestamp: string;
  /** "static": whoever steals the recipient's key can open a recording of it. There is no other here. */
  readonly suite: "static";
  /** Of one that came: "unproven" when its writer's signature does not say for whom it is (X28). */
  readonly addressee?: "proven" | "unproven";
  /** Of one of ours. "failed": somebody will not get it. */
  readonly state?: "waiting" | "delivered" | "failed";
}

/** The routes below /ob. Errors are `{"success": false, "reason"}`. */
export function createObApi(ob: Ob, trouble: (message: string) => void): Hono {
  const app = new Hono({ strict: true });
  app.onError((error, c) => {
    const { status, detail } = problemOf(error);
    if (status === 500) trouble(`the API failed: ${error.stack ?? error.message}`);
    return c.json({ success: false, reason: detail }, status as 400);
  });
  app.post("/chat", async (c) => {
    const { peerId, subject, message } = chatBody.parse(await bodyJson(c.req.raw));
    return c.json({ messageId: await ob.write([peerId], subject, message, false) });
  });
  app.post("/groupchat", async (c) => {
    const { peerIds, subject, message } = groupBody.parse(await bodyJson(c.req.raw));
    return c.json({ messageId: await ob.write([...new Set(peerIds)], subject, message, true) });
  });
  for (const path of ["/markchatasread", "/markchatasread/:peer"])
    app.post(path, async (c) => {
      await ob.markRead(c.req.param("peer") ?? "", c.req.query("subject") ?? "");
      return c.json({});
    });
  for (const path of ["/chatmessages", "/chatmessages/:peer"])
    app.get(path, (c) => {
      const { subject = "", limit = "-1", offsetId } = c.req.query();
      if (!/^-?\d{1,9}$/.test(limit)) throw new RestanteError("bad-request", "limit: must be a whole number");
      const most = Number(limit) < 0 ? MOST : Math.min(Number(limit), MOST);
      return c.json(
        ob.conversations.messages((c.req.param("peer") ?? "") as PeerId, subject, most, offsetId).map(show),
      );
    });
  app.get("/chatconversations", (c) =>
    c.json(
      ob.conversations.conversations().map(({ peerId, unread, last }) => ({
        peerId,
        unread,
        lastMessage: last.text,
        timestamp: timestampOf(last.time),
        outgoing: last.isOutgoing,
      })),
    ),
  );
  app.delete("/chatmessage/:id", async (c) => {
    await ob.conversations.removeMessage(c.req.param("id"));
    return c.json({});
  });
  app.delete("/chatconversation/:peer", async (c) => {
    await ob.conversations.removeConversation(c.req.param("peer") as PeerId);
    return c.json({});
  });
  app.get("/blocknode", (c) => c.json(ob.blocked()));
  app.post("/blocknode/:peer", async (c) => {
    await ob.block(c.req.param("peer"), true);
    return c.json({});
  });
  app.delete("/blocknode/:peer", async (c) => {
    await ob.block(c.req.param("peer"), false);
    return c.json({});
  });
  app.get("/scanofflinemessages", (c) => {
    ob.scan();
    return c.json({});
  });
  app.get("/status/:peer", async (c) =>
    c.json({ status: (await ob.isOnline(c.req.param("peer"))) ? "online" : "offline" }),
  );
  app.all("*", (c) => {
    throw new RestanteError("not-found", `there is no ${c.req.method} ${c.req.path} in this API`);
  });
  return app;
}

function show(record: ChatRecord): ShownMessage {
  const { messageId, peerId, subject, text, time, isRead, isOutgoing, isProven, sent } = record;
  const shown = { messageId, peerId, subject, message: text, read: isRead, outgoing: isOutgoing };
  const state = sent && (sent.failed > 0 ? "failed" : sent.waiting.length > 0 ? "waiting" : "delivered");
  return {
    ...shown,
    timestamp: timestampOf(time),
    suite: "static",
    ...(isOutgoing ? {} : { addressee: isProven ? "proven" : "unproven" }),
    ...(state && { state }),
  };
}

const MOST = 1000; // messages of one answer
