/** What a request may say. Every member that is not here is refused: what somebody misspelt was meant, and would be missing. */
import { MAX_WORK } from "restante/protocol";
import { z } from "zod";
import { READER } from "../readers.ts";

const text = (max: number) => z.string().min(1, "must not be empty").max(max);
/** Decimal digits only: "1e3", "" and " 7" are numbers to JavaScript, but nobody means them. */
const natural = z
  .string()
  .regex(/^\d{1,15}$/, "must be a whole number")
  .transform(Number);
const contact = text(256).describe("A name, an id, a hashname, or the start of one: four characters or more");
const limit = natural.optional();
const reader = z
  .string()
  .regex(READER, "must be 1 to 32 of a-z, 0-9 and -")
  .describe("Who reads: each has a position of its own; the web page is `page`. Default: recv");

/** POST /v1/invites */
export const inviteBody = z.strictObject({
  once: z.boolean().optional().describe("Good for one: who uses it first. Default: true"),
  work: z
    .int()
    .min(0)
    .max(MAX_WORK)
    .optional()
    .describe("Bits of work that a stranger's mail by our caches costs, each day. Default: 0"),
});
/** POST /v1/contacts, POST /v1/caches, POST /v1/invites/close, POST /v1/devices */
export const linkBody = z.strictObject({ link: text(16_384) });
/** POST /v1/messages */
export const textBody = z.strictObject({
  contact: contact.describe("Whom it is for: a contact as everywhere, or the name of a list, which goes before"),
  text: z.string().min(1, "must not be empty"),
  expires: z.int().positive().optional().describe("Milliseconds since 1970. Default: in 14 days"),
});
/** PUT /v1/files, the body being the file. */
export const fileQuery = z.strictObject({
  contact,
  name: text(255).describe("No path, and nothing that moves a cursor"),
  media: text(255).optional().describe("Its media type"),
  insist: z.literal("true").optional().describe("By caches too, however large it is"),
});
/** GET /v1/messages */
export const pageQuery = z.strictObject({
  after: natural.optional().describe("An inbox number. Default: from the first"),
  limit: limit.describe("1 to 1000. Default: 100"),
});
/** GET /v1/conversations */
export const conversationsQuery = z.strictObject({
  limit: limit.describe("1 to 200. Default: 50"),
  reader: reader.optional(),
});
/** GET /v1/events */
export const eventsQuery = z.strictObject({
  after: natural.optional().describe("An inbox number: the mail after it comes first. `Last-Event-ID` says the same"),
});
/** POST /v1/blocked */
export const blockBody = z.strictObject({
  who: contact.describe("A contact, the id of a request or its start, or a whole hashname"),
});
/** PUT /v1/name */
export const nameBody = z.strictObject({ name: text(64).describe("What contacts see from now on") });
/** PUT /v1/contacts/:contact/read-marks */
export const readMarksBody = z.strictObject({ on: z.boolean() });
/** PUT /v1/cache */
export const serveBody = z.strictObject({
  serve: z.boolean().describe("Whether this node serves a cache from now on, also after its next start"),
  forget: z
    .boolean()
    .exactOptional()
    .describe("With `serve` false: although messages of others lie here, which are gone then. Default: false"),
});
/** PUT /v1/caches/offer */
export const offerBody = z.strictObject({
  on: z.boolean().describe("Whether contacts may use our cache"),
  end: z
    .boolean()
    .exactOptional()
    .describe(
      "Who came by an offer until now may use it no more, and what it keeps for them is cleared. Default: false",
    ),
  forget: z
    .boolean()
    .exactOptional()
    .describe(
      "With `end`: although messages lie here, and those for who came by an offer are gone then. Default: false",
    ),
});
/** PUT /v1/contacts/:contact/verified */
export const saidBody = z.strictObject({ said: text(1024).describe("Words or line that were read at the contact's") });
/** PUT /v1/lists/:name */
export const listBody = z.strictObject({ contacts: z.array(contact).min(1, "must not be empty").max(256) });
/** GET /v1/contacts/:contact/history */
export const historyQuery = z.strictObject({
  before: text(30).optional().describe("What the page after it said"),
  limit: limit.describe("1 to 200. Default: 50"),
});
/** GET /v1/search */
export const searchQuery = z.strictObject({
  q: text(256).describe("Words that all stand in a text or a file name"),
  contact: contact.optional(),
  limit: limit.describe("1 to 200. Default: 50"),
});
/** PUT /v1/contacts/:contact/keep */
export const keepBody = z.strictObject({ days: z.int().min(1) });
/** GET /v1/seen */
export const seenQuery = z.strictObject({ reader: reader.optional() });
/** PUT /v1/seen */
export const seenBody = z.strictObject({ n: z.int().min(0), reader: reader.optional() });
/** POST /v1/sealed */
export const sealBody = z.strictObject({
  readers: z
    .array(text(4096))
    .min(1, "must not be empty")
    .max(64)
    .describe("Who may open it: each a contact, an invite, a link with keys, link JSON, or `me`"),
  anonymous: z.boolean().optional().describe("Do not say who sealed it. Default: false"),
  name: text(255).optional().describe("What the file is called; passed over where it is no plain name"),
});
/** POST /v1/sealed/open */
export const openSealedBody = z.strictObject({
  header: z.base64().max(600_000).describe("The first bytes of the file, up to the end of its messages, in base64"),
});
/** POST /v1/webhooks */
export const webhookBody = z.strictObject({
  url: text(2048).describe("http or https, without a password in it"),
  events: z
    .array(z.enum(["mail", "state", "request", "contact"]))
    .min(1, "must not be empty")
    .max(4)
    .optional()
    .describe("Default: mail"),
  content: z.boolean().optional().describe("With the text of a mail, and the name of a file. Default: false"),
  after: z.int().min(0).optional().describe("Mail after this inbox number too. Default: what comes from now on"),
});
