/**
 * What an answer says, once: the types of contract.ts come from here, and so does the OpenAPI document. Answers are not checked
 * when they leave, only in tests. Readers pass over members that they do not know: a later daemon may say more.
 */
import type { Hashname } from "restante";
import { z } from "zod";

const list = <T extends z.ZodType>(of: T) => z.array(of).readonly();
const object = <T extends z.ZodRawShape>(shape: T) => z.object(shape).readonly();
const count = z.int().min(0);
const time = z.number().describe("Milliseconds since 1970");
/** A string as any other to a reader; here it is known to be one that the peer gave out. */
const hashname = z
  .string()
  .regex(/^[a-z2-7]{52}$/)
  .describe("The name of a peer on the network") as unknown as z.ZodType<Hashname, Hashname>;
const id = z.string().regex(/^[0-9a-f]{32}$/);
const contactId = z.string().describe("Id of a contact");
const contactName = z.string().exactOptional().describe("The contact's name, when it has one");
const bytes = count.describe("Bytes");

export const problem = object({
  status: z.int(),
  title: z.string(),
  code: z.string().describe("Stable, for programs"),
  detail: z.string().describe("For people"),
}).meta({ id: "Problem", description: "application/problem+json, RFC 9457" });

const mailState = z.enum(["queued", "handed", "delivered", "read", "expired", "cancelled"]).meta({
  id: "MailState",
  description:
    "queued: durable here. handed: a cache or the recipient's link took all of it. delivered: the recipient has it. read: its user saw it. expired, cancelled: no longer offered",
});
const fileShape = {
  name: z.string().describe("No path, and nothing that moves a cursor"),
  media: z.string().describe("What its sender says it is: somebody else's word"),
  size: bytes,
  sha256: z.string().describe("Hex"),
};
export const fileInfo = object(fileShape).meta({
  id: "File",
  description: "A file that is a mail: what is known of it without its bytes",
});

const mailShape = {
  n: z.int().min(1).describe("Its number in the inbox: 1, 2, 3, ..."),
  id,
  contact: contactId,
  name: contactName,
  from: hashname,
  time: time.describe("When it was written, by the sender's clock, but a day after it came at most"),
  claimed: time.exactOptional().describe("What the sender's clock said, where that was later"),
  received: time,
  kind: z.string().describe("text, file, or what a later version sends"),
  suite: z
    .string()
    .exactOptional()
    .describe(
      "Its security label. static: whoever steals our key opens a recording of it. forward: not once it was delivered and answered",
    ),
  text: z
    .string()
    .exactOptional()
    .describe("Of kind text. As it was written: whoever shows it makes it harmless first"),
  file: fileInfo.exactOptional().describe("Of kind file; its bytes are at /v1/messages/N/file"),
  why: z.string().exactOptional().describe("damaged: the content was not what its digest says, and is not kept"),
};
export const message = object(mailShape).meta({ id: "Message", description: "What somebody sent us" });

export const contact = object({
  id: contactId,
  name: z.string().optional().describe("As its card says"),
  hashnames: list(hashname),
  caches: count.describe("How many caches its card names"),
  link: z.enum(["up", "down"]),
  verified: z
    .enum(["all", "some", "none"])
    .describe("Whether the safety words of its devices were compared: of some, when there is a new one since"),
  readMarks: z.boolean().describe("Whether it is told which of its mail was seen here"),
  missing: count.describe("Mails that it sent before others that are here, and that have not come"),
}).meta({ id: "Contact", description: "Somebody who may write to us, with all of its devices" });

export const request = object({
  request: z.string().describe("Id of the request"),
  hashname,
  name: z.string().optional().describe("What the stranger claims"),
  at: time,
  texts: list(z.string()),
  before: z
    .literal(true)
    .exactOptional()
    .describe("After a restore: it writes as to somebody whom it knows, and more of its mail waits"),
}).meta({ id: "Request", description: "A stranger who wrote" });

const ledgerEntry = object({
  at: time,
  state: mailState,
  route: z.enum(["direct", "cache", "bazaar"]).exactOptional().describe("Of handed: how it travelled"),
  cache: hashname.exactOptional(),
  peer: hashname.exactOptional().describe("Of delivered and read: which of the contact's peers said it"),
  why: z.string().exactOptional().describe("Of cancelled, when the user did not ask for it: forgotten, lost"),
  contact: contactId.exactOptional().describe("Whose step it is, of a mail to a list"),
}).meta({ id: "LedgerEntry", description: "A step of a mail of ours" });

const outboxEntry = object({
  id,
  contact: z.string().describe("Id of a contact; empty of a mail to a list"),
  kind: z.string().describe("text, file; card and sync: what contacts and our devices are told of ourselves"),
  state: mailState,
  suite: z.string(),
  handed: count.describe("Ways that took it"),
  created: time,
  expires: time,
  size: bytes,
  name: z.string().exactOptional().describe("Of a file"),
  parts: count,
  acked: count.describe("Parts acknowledged, by the peer that has most of them"),
  delivered: object({ k: count, n: count }).describe("How many of the contact's devices have it whole, of how many"),
  waits: z.literal("link").exactOptional().describe("It is too large for caches, and its contact is not there"),
  list: object({ name: z.string(), delivered: count, of: count }).exactOptional().describe("Of a mail to a list"),
}).meta({ id: "OutboxEntry", description: "A mail of ours" });

const historyEntry = object({
  way: z.enum(["in", "out"]),
  n: z.int().min(1).describe("Its number in the inbox; of ours, among what we sent"),
  id,
  contact: contactId,
  time: mailShape.time,
  claimed: mailShape.claimed,
  received: time.exactOptional().describe("Of in"),
  from: hashname.exactOptional(),
  kind: z.string(),
  suite: z.string().exactOptional(),
  text: z.string().exactOptional(),
  file: fileInfo.exactOptional().describe("The bytes of ours went with the delivery"),
  why: z.literal("damaged").exactOptional(),
  state: mailState.exactOptional().describe("Of out: what became of it, if that is still known"),
  missing: list(z.string()).exactOptional().describe("Mails that its writer had seen and that are not here"),
}).meta({ id: "HistoryEntry", description: "A mail of a conversation" });
const namedEntry = z.object({ ...historyEntry.unwrap().shape, name: contactName }).readonly();

const path = object({
  type: z.string(),
  ip: z.string().exactOptional(),
  port: z.int().exactOptional(),
  url: z.string().exactOptional(),
  name: z.string().exactOptional(),
  hn: hashname.exactOptional(),
  uri: z.string().exactOptional(),
  compat: z.literal(true).exactOptional(),
}).meta({ id: "Path", description: "An address" });

const cacheTest = object({
  cache: hashname,
  at: time.describe("When the test mail was left there"),
  outcome: z.enum(["whole", "late", "lost", "changed", "unreachable", "none"]),
  ms: count.exactOptional().describe("Until it came back"),
}).meta({ id: "CacheTest", description: "The last test of one of our caches" });

export const bazaarInfo = object({
  id: z.string().describe("Our Qm... id: push nodes admit us by it"),
  addrs: list(z.string()).describe("Where others reach us"),
  connections: count,
  waiting: count.describe("Our messages that are not acknowledged there"),
  left: count.describe("Of these, those that can be fetched while this node is gone"),
  pushBytes: bytes.describe("As a push node: bytes kept for others"),
  refused: count.describe(
    "What others sent since the start and was not taken: no message, pointer or block, not theirs, too much",
  ),
}).meta({ id: "Bazaar", description: "How the bazaar fares, where it is configured" });

const held = object({
  recipients: count,
  boxes: count,
  messages: count,
  bytes,
  memory: bytes,
  gained: count,
  refused: count,
  evicted: count,
  expired: count,
});
const cacheOf = contactId.exactOptional().describe("Of ours: the contact one of whose devices it is");
const cacheOfName = z.string().exactOptional().describe("Of ours: the name of that contact");
export const status = object({
  hashname,
  name: z.string().exactOptional(),
  paths: list(path),
  links: list(
    object({
      hashname,
      state: z.string(),
      path: path.exactOptional(),
      since: time.exactOptional(),
      roundTrip: z.number().exactOptional(),
    }),
  ),
  channels: count,
  caches: list(
    object({
      hashname,
      up: z.boolean(),
      cap: bytes,
      of: cacheOf,
      ofName: cacheOfName,
      test: cacheTest.exactOptional(),
    }),
  ).describe("Ours, with the last test of each: one that is up and lost its test mail may be no cache any more"),
  cachesLeftOut: count.describe("Caches of your devices that your card has no room for"),
  serving: z
    .enum(["always", "never", "on", "off"])
    .describe("Whether a cache is served: `on` and `off` can be changed, the others were said at the start"),
  offering: z.boolean().exactOptional().describe("Whether contacts may use our cache; only where one is served"),
  takers: count
    .exactOptional()
    .describe("How many devices of contacts use our cache because it was offered; only where one is served"),
  offers: count.describe("Caches that contacts offer us, and that are not ours yet"),
  contacts: count,
  requests: count,
  inbox: count.describe("Number of the newest mail"),
  sent: count,
  behind: count,
  unknown: count.describe("After a restore: of how many people mail waits who write as if we knew them"),
  copiedAt: time.optional().describe("When a contact last got mail of another copy of this identity"),
  isCopied: z.boolean().describe("This home was put back from a backup, or is a copy"),
  state: z.string(),
  turns: count,
  faults: count.describe("How often it began anew because of a fault in this program"),
  held: held.optional().describe("When it serves a cache"),
  version: z.string(),
  home: z.string(),
  bazaar: bazaarInfo.exactOptional(),
  backend: z.string().describe("Of the cryptography"),
  seen: count.describe("The inbox number up to which the reader recv was given mail"),
  waiting: count.describe("Mail of ours that is neither delivered nor given up"),
  missing: count.describe("Mails that contacts sent and that have not come"),
  joinLink: z.string().exactOptional().describe("When this daemon serves a cache"),
  problems: list(z.string()).describe("What is wrong, in plain words. Empty: all is well"),
}).meta({ id: "Status" });

export const health = object({ status: z.literal("ok"), version: z.string() }).meta({ id: "Health" });
export const ready = object({ status: z.literal("ready") }).meta({ id: "Ready" });
const identity = object({
  name: z.string().optional().describe("Absent: the one that the home is made for"),
  isThis: z.boolean().describe("Whether it is the one that is asked"),
  hashname: hashname.exactOptional().describe("Of the one that is asked"),
}).meta({ id: "Identity", description: "An identity of this home" });
export const identityList = object({ identities: list(identity) }).meta({ id: "IdentityList" });

export const messagePage = object({ messages: list(message) }).meta({ id: "MessagePage" });
export const pinged = object({ contact, asked: list(hashname) }).meta({ id: "Pinged" });
export const contactList = object({ contacts: list(contact) }).meta({ id: "ContactList" });
const blockedInfo = object({
  hashname,
  name: z.string().exactOptional().describe("What it called itself then"),
  at: time.describe("Since when"),
}).meta({ id: "Blocked", description: "Somebody of whom we do not want to hear" });
export const blockedList = object({ blocked: list(blockedInfo) }).meta({ id: "BlockedList" });
const safetyInfo = object({
  hashname,
  words: list(z.string()).describe("16, to read to each other"),
  text: z.string().describe("One line for a QR code"),
  isVerified: z.boolean(),
}).meta({ id: "Safety", description: "What to compare with a contact of one of its devices" });
export const safetyList = object({
  contact,
  devices: list(safetyInfo).describe("Of each of its devices: what is the same there, if nobody stands between"),
}).meta({ id: "SafetyList" });
const device = object({
  hashname,
  isThis: z.boolean(),
  isReady: z.boolean().describe("Whether it was heard of since it was added"),
}).meta({ id: "Device", description: "A device of the user" });
export const deviceList = object({
  devices: list(device).describe("This one first. Empty: there is no other"),
}).meta({ id: "DeviceList" });
export const added = object({ hashname }).meta({ id: "Added" });
export const listInfo = object({ name: z.string(), contacts: list(contactId) }).meta({
  id: "List",
  description: "One name for several contacts, known to nobody but us",
});
export const lists = object({ lists: list(listInfo) }).meta({ id: "Lists" });
export const requestList = object({ requests: list(request) }).meta({ id: "RequestList" });
export const outboxList = object({
  outbox: list(outboxEntry),
  behind: count.describe("Mails that are not among them, as their turn has not come"),
}).meta({ id: "OutboxList" });
export const track = object({
  id,
  state: mailState,
  ledger: list(ledgerEntry),
  mail: outboxEntry.exactOptional().describe("While the mail is not final, and some days longer"),
}).meta({ id: "Track", description: "What became of a mail of ours" });
export const name = object({ name: z.string() }).meta({ id: "Name", description: "What contacts see of us" });
export const link = object({ link: z.string() }).meta({ id: "Link", description: "A link, to be passed on as it is" });
export const webLink = object({
  link: z.string(),
  fingerprint: z
    .string()
    .exactOptional()
    .describe("SHA-256 of the page's certificate, where nobody else vouches for it"),
}).meta({ id: "WebLink" });
export const sent = object({
  id,
  contacts: count.exactOptional().describe("To a list: to how many contacts"),
  waits: z.literal("link").exactOptional().describe("It is too large for caches, and its recipient is not there"),
}).meta({ id: "Sent" });
export const seen = object({ n: count }).meta({ id: "Seen" });
export const joined = object({
  cache: hashname,
  quota: bytes.describe("It holds for us at most"),
  cap: bytes.describe("It holds of one sender at most"),
}).meta({ id: "Joined" });
export const left = object({ cache: hashname, others: count.describe("How many caches are still ours") }).meta({
  id: "Left",
});
const cacheOffer = object({
  contact: contactId,
  name: z.string().optional().describe("Of the contact, when it has one"),
  cache: hashname,
  quota: bytes.describe("It would keep for us at most"),
  cap: bytes.describe("Of one sender at most"),
}).meta({ id: "CacheOffer", description: "A cache that a contact offers us, and that is none of ours yet" });
export const offerList = object({ offers: list(cacheOffer) }).meta({ id: "OfferList" });
export const cacheRole = object({
  serve: z.boolean().describe("Whether this node serves a cache"),
  fixed: z.boolean().describe("That was said at its start, and PUT does not change it"),
  where: z.string().exactOptional().describe("By what it was said: `--cache`, RESTANTE_CACHE, `/etc/restante.toml:12`"),
  held: held.exactOptional().describe("What it holds for others"),
  joinLink: z.string().exactOptional(),
  offering: z.boolean().exactOptional().describe("Whether contacts may use it"),
  takers: count.exactOptional().describe("How many devices of contacts use it because it was offered"),
}).meta({ id: "CacheRole" });
export const offering = object({ on: z.boolean() }).meta({ id: "Offering" });
export const cacheTestList = object({ tests: list(cacheTest) }).meta({ id: "CacheTestList" });
const cacheInfo = object({
  cache: hashname,
  contact: contactId.exactOptional().describe("For whom it holds mail; absent: for us"),
  of: cacheOf,
  ofName: cacheOfName,
  up: z.boolean(),
  wanted: z
    .boolean()
    .describe("Whether a link to it is looked for: to a contact's only while there is mail to leave there"),
  cap: bytes.describe("What it says that it keeps of one sender"),
  settled: z.number().exactOptional().describe("Of a contact's: mails that it took and that ended since"),
  delivered: z.number().exactOptional().describe("How many of these came to the contact by it"),
  failures: count.exactOptional().describe("Failed attempts since the last good one"),
  test: cacheTest.exactOptional().describe("Of ours: its last test"),
  name: contactName,
}).meta({ id: "Cache", description: "A cache where mail is left: for us, or by us for a contact" });
export const peerList = object({
  caches: list(cacheInfo).describe("Ours, then those of our contacts, of each contact the best first"),
}).meta({ id: "PeerList" });
export const historyPage = object({
  contact,
  entries: list(historyEntry).describe("In the order of the conversation"),
  before: z.string().exactOptional().describe("What to ask for to get the page before; absent: there is none"),
}).meta({ id: "HistoryPage" });
export const conversationList = object({
  conversations: list(
    object({
      contact,
      last: historyEntry.exactOptional().describe("The newest mail, if one is found among the last 20,000 of all"),
      unread: count.describe("Mails of the contact after what was shown, among the last 1000 of all"),
    }),
  ).describe("The one with the newest mail first"),
}).meta({ id: "ConversationList" });
export const foundList = object({ found: list(namedEntry) }).meta({ id: "FoundList" });
export const retentionList = object({
  retentions: list(object({ contact: contactId, days: z.int() })),
}).meta({ id: "RetentionList" });

const webhookShape = {
  id: z.string(),
  url: z.string(),
  events: list(z.enum(["mail", "state", "request", "contact"])),
  content: z.boolean(),
  state: z
    .enum(["well", "failing", "disabled"])
    .describe("disabled: it failed for five days; delete it, and make it anew"),
  after: count.describe("Inbox number of the last mail that it took"),
  failures: count.describe("Failed attempts since the last good one"),
  why: z.string().exactOptional().describe("How the last attempt failed"),
};
export const webhook = object(webhookShape).meta({
  id: "Webhook",
  description: "An address that is told what happens, and how that goes",
});
export const newWebhook = object({
  ...webhookShape,
  secret: z.string().describe("What its signatures are made with. It is said once"),
}).meta({ id: "NewWebhook" });
export const webhookList = object({ webhooks: list(webhook) }).meta({ id: "WebhookList" });

const secret = z.string().describe("32 bytes in base64: what the content of this one file is under");
export const sealed = object({
  header: z.string().describe("What the file begins with, in base64"),
  secret,
  readers: count.describe("For how many devices it is"),
}).meta({ id: "Sealed" });
export const opened = object({
  secret,
  from: hashname.exactOptional().describe("Who sealed it, where that is said"),
  contact: contactId.exactOptional().describe("Id of the contact that this is"),
  contactName,
  own: z.boolean().describe("Whether it was sealed by this identity"),
  time: time.describe("When, by the clock of who sealed it"),
  name: z.string().exactOptional().describe("What the file was called; no path"),
  readers: count.describe("For how many devices it is: of more than one, each could have changed the content"),
}).meta({ id: "Opened" });

/** Events but mail, by type. */
export const events = {
  state: object({
    type: z.literal("state"),
    id,
    contact: contactId,
    state: mailState,
    at: time,
    why: z.string().exactOptional(),
    peer: hashname.exactOptional(),
    list: id.exactOptional().describe("Id of the mail to a list that this one is of"),
  }).meta({ id: "StateEvent", description: "A step of a mail of ours" }),
  request: object({ type: z.literal("request"), ...request.unwrap().shape }).meta({
    id: "RequestEvent",
    description: "A stranger wrote",
  }),
  contact: object({ type: z.literal("contact"), contact, isNew: z.boolean() }).meta({
    id: "ContactEvent",
    description: "A new contact, or a newer card of one",
  }),
  offer: object({ type: z.literal("offer"), ...cacheOffer.unwrap().shape }).meta({
    id: "OfferEvent",
    description: "A contact offers a cache that it did not offer before",
  }),
  link: object({ type: z.literal("link"), hashname, up: z.boolean() }).meta({
    id: "LinkEvent",
    description: "A link to a peer came or went",
  }),
  pong: object({ type: z.literal("pong"), hashname, ms: count }).meta({
    id: "PongEvent",
    description: "A peer answered a ping, after so many milliseconds",
  }),
  progress: object({
    type: z.literal("progress"),
    way: z.enum(["in", "out"]),
    contact: contactId,
    id,
    done: count,
    of: count.describe("Parts"),
    size: bytes.exactOptional(),
    name: z.string().exactOptional(),
    ended: z
      .enum(["cancelled", "lost"])
      .exactOptional()
      .describe("It will not be whole: its sender took it back, or its time is over. Then done is 0"),
  }).meta({ id: "ProgressEvent", description: "How far a file is: twice a second at most" }),
  gap: object({ type: z.literal("gap"), contact: contactId, missing: count }).meta({
    id: "GapEvent",
    description: "So many mails of a contact are missing now",
  }),
  full: object({ type: z.literal("full"), contact: contactId, until: time }).meta({
    id: "FullEvent",
    description: "A contact sent more in a day than is kept; the rest comes on another",
  }),
  "no-room": object({
    type: z.literal("no-room"),
    contact: contactId,
    id,
    parts: count,
    why: z.enum(["share", "total", "disk"]),
  }).meta({ id: "NoRoomEvent", description: "A file waits at its sender" }),
  "cache-test": object({ type: z.literal("cache-test"), ...cacheTest.unwrap().shape }).meta({
    id: "CacheTestEvent",
    description: "How a test of one of our caches ended",
  }),
  restored: object({ type: z.literal("restored"), contact: contactId, from: hashname }).meta({
    id: "RestoredEvent",
    description: "A peer of the contact lost or restored its store",
  }),
  copied: object({ type: z.literal("copied"), contact: contactId, from: hashname }).meta({
    id: "CopiedEvent",
    description: "Another copy of this identity sends mail",
  }),
  channelFailed: object({
    type: z.literal("channel-failed"),
    channel: z.string().describe("Its type"),
    hashname,
    message: z.string(),
  }).meta({ id: "ChannelFailedEvent", description: "What serves channels of this type threw, and its channel ended" }),
  dead: object({ type: z.literal("dead"), hashname }).meta({
    id: "DeadEvent",
    description: "No handshake with this peer is possible any more",
  }),
} as const;
/** What stands in the data of an event: a mail as everywhere, or one of these. */
export const event = z.union([message, ...Object.values(events)]).meta({ id: "Event" });
/** The body of a webhook. */
export const hookEvent = object({
  type: z.enum(["mail", "state", "request", "contact"]),
  timestamp: z.string().describe("When it happened, ISO 8601"),
  data: z
    .record(z.string(), z.unknown())
    .describe("As the event of this type; of mail without text, name and file names unless content is true"),
}).meta({ id: "HookEvent", description: "What a webhook is sent" });
