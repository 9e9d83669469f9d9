/** The operations of a daemon's API. Made by `npm run openapi` from its document: not written by hand. */

/** Answer of addDevice, POST /v1/devices: Take in the device that made this link; it is told what we know when it has answered. */
export type Added = {
  /** The name of a peer on the network. */
  readonly hashname: string;
};

/** How the bazaar fares, where it is configured. */
export type Bazaar = {
  /** Our Qm... id: push nodes admit us by it. */
  readonly id: string;
  /** Where others reach us. */
  readonly addrs: readonly (string)[];
  readonly connections: number;
  /** Our messages that are not acknowledged there. */
  readonly waiting: number;
  /** Of these, those that can be fetched while this node is gone. */
  readonly left: number;
  /** As a push node: bytes kept for others. */
  readonly pushBytes: number;
  /** What others sent since the start and was not taken: no message, pointer or block, not theirs, too much. */
  readonly refused: number;
};

/** Somebody of whom we do not want to hear. */
export type Blocked = {
  /** The name of a peer on the network. */
  readonly hashname: string;
  /** What it called itself then. */
  readonly name?: string;
  /** Since when. */
  readonly at: number;
};

/** Answer of blocked, GET /v1/blocked: Of whom we do not want to hear. */
export type BlockedList = {
  readonly blocked: readonly (Blocked)[];
};

/** A cache where mail is left: for us, or by us for a contact. */
export type Cache = {
  /** The name of a peer on the network. */
  readonly cache: string;
  /** For whom it holds mail; absent: for us. */
  readonly contact?: string;
  /** Of ours: the contact one of whose devices it is. */
  readonly of?: string;
  /** Of ours: the name of that contact. */
  readonly ofName?: string;
  readonly up: boolean;
  /** Whether a link to it is looked for: to a contact's only while there is mail to leave there. */
  readonly wanted: boolean;
  /** What it says that it keeps of one sender. */
  readonly cap: number;
  /** Of a contact's: mails that it took and that ended since. */
  readonly settled?: number;
  /** How many of these came to the contact by it. */
  readonly delivered?: number;
  /** Failed attempts since the last good one. */
  readonly failures?: number;
  /** Of ours: its last test. */
  readonly test?: CacheTest;
  /** The contact's name, when it has one. */
  readonly name?: string;
};

/** A cache that a contact offers us, and that is none of ours yet. */
export type CacheOffer = {
  /** Id of a contact. */
  readonly contact: string;
  /** Of the contact, when it has one. */
  readonly name?: string;
  /** The name of a peer on the network. */
  readonly cache: string;
  /** It would keep for us at most. */
  readonly quota: number;
  /** Of one sender at most. */
  readonly cap: number;
};

/** Answer of cacheRole, GET /v1/cache: Whether this node serves a cache, and who decides that. */
export type CacheRole = {
  /** Whether this node serves a cache. */
  readonly serve: boolean;
  /** That was said at its start, and PUT does not change it. */
  readonly fixed: boolean;
  /** By what it was said: `--cache`, RESTANTE_CACHE, `/etc/restante.toml:12`. */
  readonly where?: string;
  /** What it holds for others. */
  readonly held?: {
    readonly recipients: number;
    readonly boxes: number;
    readonly messages: number;
    /** Bytes. */
    readonly bytes: number;
    /** Bytes. */
    readonly memory: number;
    readonly gained: number;
    readonly refused: number;
    readonly evicted: number;
    readonly expired: number;
  };
  readonly joinLink?: string;
  /** Whether contacts may use it. */
  readonly offering?: boolean;
  /** How many devices of contacts use it because it was offered. */
  readonly takers?: number;
};

/** The last test of one of our caches. */
export type CacheTest = {
  /** The name of a peer on the network. */
  readonly cache: string;
  /** When the test mail was left there. */
  readonly at: number;
  readonly outcome: "whole" | "late" | "lost" | "changed" | "unreachable" | "none";
  /** Until it came back. */
  readonly ms?: number;
};

/** How a test of one of our caches ended. */
export type CacheTestEvent = {
  readonly type: "cache-test";
  /** The name of a peer on the network. */
  readonly cache: string;
  /** When the test mail was left there. */
  readonly at: number;
  readonly outcome: "whole" | "late" | "lost" | "changed" | "unreachable" | "none";
  /** Until it came back. */
  readonly ms?: number;
};

/** Answer of testCaches, POST /v1/caches/test: What each of our caches does with a test mail; in some two minutes at most. */
export type CacheTestList = {
  readonly tests: readonly (CacheTest)[];
};

/** What serves channels of this type threw, and its channel ended. */
export type ChannelFailedEvent = {
  readonly type: "channel-failed";
  /** Its type. */
  readonly channel: string;
  /** The name of a peer on the network. */
  readonly hashname: string;
  readonly message: string;
};

/** Answer of config, GET /v1/config: What is in force in this daemon, and who said it; see config. */
export type Config = {
  readonly settings: readonly ({
    readonly key: string;
    readonly value?: boolean | number | string | readonly (string)[];
    readonly from: "flag" | "environment" | "file" | "default";
    readonly where?: string;
    readonly idle?: string;
  })[];
};

/** Somebody who may write to us, with all of its devices. */
export type Contact = {
  /** Id of a contact. */
  readonly id: string;
  /** As its card says. */
  readonly name?: string;
  readonly hashnames: readonly (string)[];
  /** How many caches its card names. */
  readonly caches: number;
  readonly link: "up" | "down";
  /** Whether the safety words of its devices were compared: of some, when there is a new one since. */
  readonly verified: "all" | "some" | "none";
  /** Whether it is told which of its mail was seen here. */
  readonly readMarks: boolean;
  /** Mails that it sent before others that are here, and that have not come. */
  readonly missing: number;
};

/** A new contact, or a newer card of one. */
export type ContactEvent = {
  readonly type: "contact";
  readonly contact: Contact;
  readonly isNew: boolean;
};

/** Answer of contacts, GET /v1/contacts: All contacts. */
export type ContactList = {
  readonly contacts: readonly (Contact)[];
};

/** Answer of conversations, GET /v1/conversations: Of each contact the newest mail, and how many a reader was not given yet. */
export type ConversationList = {
  /** The one with the newest mail first. */
  readonly conversations: readonly ({
    readonly contact: Contact;
    /** The newest mail, if one is found among the last 20,000 of all. */
    readonly last?: HistoryEntry;
    /** Mails of the contact after what was shown, among the last 1000 of all. */
    readonly unread: number;
  })[];
};

/** Another copy of this identity sends mail. */
export type CopiedEvent = {
  readonly type: "copied";
  /** Id of a contact. */
  readonly contact: string;
  /** The name of a peer on the network. */
  readonly from: string;
};

/** No handshake with this peer is possible any more. */
export type DeadEvent = {
  readonly type: "dead";
  /** The name of a peer on the network. */
  readonly hashname: string;
};

/** A device of the user. */
export type Device = {
  /** The name of a peer on the network. */
  readonly hashname: string;
  readonly isThis: boolean;
  /** Whether it was heard of since it was added. */
  readonly isReady: boolean;
};

/** Answer of devices, GET /v1/devices: Our devices; none when there is no other. */
export type DeviceList = {
  /** This one first. Empty: there is no other. */
  readonly devices: readonly (Device)[];
};

/** Answer of events, GET /v1/events: What happens, as server-sent events, or over a WebSocket. */
export type Event = Message | StateEvent | RequestEvent | ContactEvent | OfferEvent | LinkEvent | PongEvent | ProgressEvent | GapEvent | FullEvent | NoRoomEvent | CacheTestEvent | RestoredEvent | CopiedEvent | ChannelFailedEvent | DeadEvent;

/** A file that is a mail: what is known of it without its bytes. */
export type File = {
  /** No path, and nothing that moves a cursor. */
  readonly name: string;
  /** What its sender says it is: somebody else's word. */
  readonly media: string;
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
};

/** Answer of search, GET /v1/search: Mail with these words, the newest first. Reads all mail until it has enough. */
export type FoundList = {
  readonly found: readonly ({
    readonly way: "in" | "out";
    /** Its number in the inbox; of ours, among what we sent. */
    readonly n: number;
    readonly id: string;
    /** Id of a contact. */
    readonly contact: string;
    /** When it was written, by the sender's clock, but a day after it came at most. */
    readonly time: number;
    /** What the sender's clock said, where that was later. */
    readonly claimed?: number;
    /** Of in. */
    readonly received?: number;
    /** The name of a peer on the network. */
    readonly from?: string;
    readonly kind: string;
    readonly suite?: string;
    readonly text?: string;
    /** The bytes of ours went with the delivery. */
    readonly file?: File;
    readonly why?: "damaged";
    /** Of out: what became of it, if that is still known. */
    readonly state?: MailState;
    /** Mails that its writer had seen and that are not here. */
    readonly missing?: readonly (string)[];
    /** The contact's name, when it has one. */
    readonly name?: string;
  })[];
};

/** A contact sent more in a day than is kept; the rest comes on another. */
export type FullEvent = {
  readonly type: "full";
  /** Id of a contact. */
  readonly contact: string;
  /** Milliseconds since 1970. */
  readonly until: number;
};

/** So many mails of a contact are missing now. */
export type GapEvent = {
  readonly type: "gap";
  /** Id of a contact. */
  readonly contact: string;
  readonly missing: number;
};

/** Answer of health, GET /v1/health: Whether the daemon answers at all. */
export type Health = {
  readonly status: "ok";
  readonly version: string;
};

/** A mail of a conversation. */
export type HistoryEntry = {
  readonly way: "in" | "out";
  /** Its number in the inbox; of ours, among what we sent. */
  readonly n: number;
  readonly id: string;
  /** Id of a contact. */
  readonly contact: string;
  /** When it was written, by the sender's clock, but a day after it came at most. */
  readonly time: number;
  /** What the sender's clock said, where that was later. */
  readonly claimed?: number;
  /** Of in. */
  readonly received?: number;
  /** The name of a peer on the network. */
  readonly from?: string;
  readonly kind: string;
  readonly suite?: string;
  readonly text?: string;
  /** The bytes of ours went with the delivery. */
  readonly file?: File;
  readonly why?: "damaged";
  /** Of out: what became of it, if that is still known. */
  readonly state?: MailState;
  /** Mails that its writer had seen and that are not here. */
  readonly missing?: readonly (string)[];
};

/** Answer of history, GET /v1/contacts/{contact}/history: Mail of both sides in the order of the conversation. */
export type HistoryPage = {
  readonly contact: Contact;
  /** In the order of the conversation. */
  readonly entries: readonly (HistoryEntry)[];
  /** What to ask for to get the page before; absent: there is none. */
  readonly before?: string;
};

/** What a webhook is sent. */
export type HookEvent = {
  readonly type: "mail" | "state" | "request" | "contact";
  /** When it happened, ISO 8601. */
  readonly timestamp: string;
  /** As the event of this type; of mail without text, name and file names unless content is true. */
  readonly data: Readonly<Record<string, unknown>>;
};

/** An identity of this home. */
export type Identity = {
  /** Absent: the one that the home is made for. */
  readonly name?: string;
  /** Whether it is the one that is asked. */
  readonly isThis: boolean;
  /** Of the one that is asked. */
  readonly hashname?: string;
};

/** Answer of identities, GET /v1/identities: The identities of this home; each has an API of its own. */
export type IdentityList = {
  readonly identities: readonly (Identity)[];
};

/** Answer of joinCache, POST /v1/caches: Use the cache behind a join link. */
export type Joined = {
  /** The name of a peer on the network. */
  readonly cache: string;
  /** It holds for us at most. */
  readonly quota: number;
  /** It holds of one sender at most. */
  readonly cap: number;
};

/** A step of a mail of ours. */
export type LedgerEntry = {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly state: MailState;
  /** Of handed: how it travelled. */
  readonly route?: "direct" | "cache" | "bazaar";
  /** The name of a peer on the network. */
  readonly cache?: string;
  /** Of delivered and read: which of the contact's peers said it. */
  readonly peer?: string;
  /** Of cancelled, when the user did not ask for it: forgotten, lost. */
  readonly why?: string;
  /** Whose step it is, of a mail to a list. */
  readonly contact?: string;
};

/** Answer of leaveCache, DELETE /v1/caches/{hashname}: Not to use a cache any more. */
export type Left = {
  /** The name of a peer on the network. */
  readonly cache: string;
  /** How many caches are still ours. */
  readonly others: number;
};

/** A link, to be passed on as it is. */
export type Link = {
  readonly link: string;
};

/** A link to a peer came or went. */
export type LinkEvent = {
  readonly type: "link";
  /** The name of a peer on the network. */
  readonly hashname: string;
  readonly up: boolean;
};

/** One name for several contacts, known to nobody but us. */
export type List = {
  readonly name: string;
  readonly contacts: readonly (string)[];
};

/** Answer of lists, GET /v1/lists: Names for several contacts, known to nobody but us. */
export type Lists = {
  readonly lists: readonly (List)[];
};

/** queued: durable here. handed: a cache or the recipient's link took all of it. delivered: the recipient has it. read: its user saw it. expired, cancelled: no longer offered. */
export type MailState = "queued" | "handed" | "delivered" | "read" | "expired" | "cancelled";

/** Answer of mesh, GET /v1/mesh: Whom this node looks for, and how it reaches them. */
export type Mesh = {
  readonly self: {
    readonly hashname: string;
    readonly name?: string;
    readonly places: readonly ({
      readonly transport?: string;
      readonly reach: "machine" | "lan" | "internet" | "router";
    })[];
  };
  readonly peers: readonly ({
    readonly hashname: string;
    readonly kind: "device" | "contact" | "cache" | "router";
    readonly contact?: string;
    readonly name?: string;
    readonly isOurs: boolean;
    readonly cacheOf: readonly (string)[];
    readonly state: "up" | "down" | "unresolved";
    readonly place?: {
      readonly transport?: string;
      readonly reach: "machine" | "lan" | "internet" | "router";
    };
    readonly router?: string;
    readonly since?: number;
    readonly roundTrip?: number;
  })[];
  readonly others: number;
};

/** What somebody sent us. */
export type Message = {
  /** Its number in the inbox: 1, 2, 3, .... */
  readonly n: number;
  readonly id: string;
  /** Id of a contact. */
  readonly contact: string;
  /** The contact's name, when it has one. */
  readonly name?: string;
  /** The name of a peer on the network. */
  readonly from: string;
  /** When it was written, by the sender's clock, but a day after it came at most. */
  readonly time: number;
  /** What the sender's clock said, where that was later. */
  readonly claimed?: number;
  /** Milliseconds since 1970. */
  readonly received: number;
  /** text, file, or what a later version sends. */
  readonly kind: string;
  /** Its security label. static: whoever steals our key opens a recording of it. forward: not once it was delivered and answered. */
  readonly suite?: string;
  /** Of kind text. As it was written: whoever shows it makes it harmless first. */
  readonly text?: string;
  /** Of kind file; its bytes are at /v1/messages/N/file. */
  readonly file?: File;
  /** damaged: the content was not what its digest says, and is not kept. */
  readonly why?: string;
};

/** Answer of receive, GET /v1/messages: Received mail after an inbox number, oldest first. */
export type MessagePage = {
  readonly messages: readonly (Message)[];
};

/** What contacts see of us. */
export type Name = {
  readonly name: string;
};

/** Answer of addWebhook, POST /v1/webhooks: Tell this address what happens from now on. */
export type NewWebhook = {
  readonly id: string;
  readonly url: string;
  readonly events: readonly ("mail" | "state" | "request" | "contact")[];
  readonly content: boolean;
  /** disabled: it failed for five days; delete it, and make it anew. */
  readonly state: "well" | "failing" | "disabled";
  /** Inbox number of the last mail that it took. */
  readonly after: number;
  /** Failed attempts since the last good one. */
  readonly failures: number;
  /** How the last attempt failed. */
  readonly why?: string;
  /** What its signatures are made with. It is said once. */
  readonly secret: string;
};

/** A file waits at its sender. */
export type NoRoomEvent = {
  readonly type: "no-room";
  /** Id of a contact. */
  readonly contact: string;
  readonly id: string;
  readonly parts: number;
  readonly why: "share" | "total" | "disk";
};

/** A contact offers a cache that it did not offer before. */
export type OfferEvent = {
  readonly type: "offer";
  /** Id of a contact. */
  readonly contact: string;
  /** Of the contact, when it has one. */
  readonly name?: string;
  /** The name of a peer on the network. */
  readonly cache: string;
  /** It would keep for us at most. */
  readonly quota: number;
  /** Of one sender at most. */
  readonly cap: number;
};

/** Answer of offers, GET /v1/offers: Caches that contacts offer us, and that are not ours yet. */
export type OfferList = {
  readonly offers: readonly (CacheOffer)[];
};

/** Answer of offerCache, PUT /v1/caches/offer: Whether our contacts may use the cache of this node; they are told. */
export type Offering = {
  readonly on: boolean;
};

/** Answer of openSealed, POST /v1/sealed/open: Who sealed a file that was sealed for us, and the secret of its content, by its first bytes. */
export type Opened = {
  /** 32 bytes in base64: what the content of this one file is under. */
  readonly secret: string;
  /** Who sealed it, where that is said. */
  readonly from?: string;
  /** Id of the contact that this is. */
  readonly contact?: string;
  /** The contact's name, when it has one. */
  readonly contactName?: string;
  /** Whether it was sealed by this identity. */
  readonly own: boolean;
  /** When, by the clock of who sealed it. */
  readonly time: number;
  /** What the file was called; no path. */
  readonly name?: string;
  /** For how many devices it is: of more than one, each could have changed the content. */
  readonly readers: number;
};

/** A mail of ours. */
export type OutboxEntry = {
  readonly id: string;
  /** Id of a contact; empty of a mail to a list. */
  readonly contact: string;
  /** text, file; card and sync: what contacts and our devices are told of ourselves. */
  readonly kind: string;
  readonly state: MailState;
  readonly suite: string;
  /** Ways that took it. */
  readonly handed: number;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** Bytes. */
  readonly size: number;
  /** Of a file. */
  readonly name?: string;
  readonly parts: number;
  /** Parts acknowledged, by the peer that has most of them. */
  readonly acked: number;
  /** How many of the contact's devices have it whole, of how many. */
  readonly delivered: {
    readonly k: number;
    readonly n: number;
  };
  /** It is too large for caches, and its contact is not there. */
  readonly waits?: "link";
  /** Of a mail to a list. */
  readonly list?: {
    readonly name: string;
    readonly delivered: number;
    readonly of: number;
  };
};

/** Answer of outbox, GET /v1/outbox: Mail on its way or settled lately; of more than some hundred to one contact only those whose turn it is and the newest. */
export type OutboxList = {
  readonly outbox: readonly (OutboxEntry)[];
  /** Mails that are not among them, as their turn has not come. */
  readonly behind: number;
};

/** An address. */
export type Path = {
  readonly type: string;
  readonly ip?: string;
  readonly port?: number;
  readonly url?: string;
  readonly name?: string;
  /** The name of a peer on the network. */
  readonly hn?: string;
  readonly uri?: string;
  readonly compat?: true;
};

/** Answer of caches, GET /v1/peers: Our caches, then those of our contacts, of each contact the best first. */
export type PeerList = {
  /** Ours, then those of our contacts, of each contact the best first. */
  readonly caches: readonly (Cache)[];
};

/** Answer of ping, POST /v1/contacts/{contact}/ping: Have its devices answer: an event `pong` comes of each that is there. */
export type Pinged = {
  readonly contact: Contact;
  readonly asked: readonly (string)[];
};

/** A peer answered a ping, after so many milliseconds. */
export type PongEvent = {
  readonly type: "pong";
  /** The name of a peer on the network. */
  readonly hashname: string;
  readonly ms: number;
};

/** application/problem+json, RFC 9457. */
export type Problem = {
  readonly status: number;
  readonly title: string;
  /** Stable, for programs. */
  readonly code: string;
  /** For people. */
  readonly detail: string;
};

/** How far a file is: twice a second at most. */
export type ProgressEvent = {
  readonly type: "progress";
  readonly way: "in" | "out";
  /** Id of a contact. */
  readonly contact: string;
  readonly id: string;
  readonly done: number;
  /** Parts. */
  readonly of: number;
  /** Bytes. */
  readonly size?: number;
  readonly name?: string;
  /** It will not be whole: its sender took it back, or its time is over. Then done is 0. */
  readonly ended?: "cancelled" | "lost";
};

/** Answer of ready, GET /v1/ready: Whether it takes mail: its store works. */
export type Ready = {
  readonly status: "ready";
};

/** A stranger who wrote. */
export type Request = {
  /** Id of the request. */
  readonly request: string;
  /** The name of a peer on the network. */
  readonly hashname: string;
  /** What the stranger claims. */
  readonly name?: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly texts: readonly (string)[];
  /** After a restore: it writes as to somebody whom it knows, and more of its mail waits. */
  readonly before?: true;
};

/** A stranger wrote. */
export type RequestEvent = {
  readonly type: "request";
  /** Id of the request. */
  readonly request: string;
  /** The name of a peer on the network. */
  readonly hashname: string;
  /** What the stranger claims. */
  readonly name?: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly texts: readonly (string)[];
  /** After a restore: it writes as to somebody whom it knows, and more of its mail waits. */
  readonly before?: true;
};

/** Answer of requests, GET /v1/requests: Strangers who wrote. */
export type RequestList = {
  readonly requests: readonly (Request)[];
};

/** A peer of the contact lost or restored its store. */
export type RestoredEvent = {
  readonly type: "restored";
  /** Id of a contact. */
  readonly contact: string;
  /** The name of a peer on the network. */
  readonly from: string;
};

/** Answer of retentions, GET /v1/retentions: Whose mail is erased after how many days. */
export type RetentionList = {
  readonly retentions: readonly ({
    /** Id of a contact. */
    readonly contact: string;
    readonly days: number;
  })[];
};

/** What to compare with a contact of one of its devices. */
export type Safety = {
  /** The name of a peer on the network. */
  readonly hashname: string;
  /** 16, to read to each other. */
  readonly words: readonly (string)[];
  /** One line for a QR code. */
  readonly text: string;
  readonly isVerified: boolean;
};

/** Answer of safety, GET /v1/contacts/{contact}/safety: Of each of its devices the words and the line to compare. */
export type SafetyList = {
  readonly contact: Contact;
  /** Of each of its devices: what is the same there, if nobody stands between. */
  readonly devices: readonly (Safety)[];
};

/** Answer of seal, POST /v1/sealed: What a sealed file begins with, and the secret for its content. */
export type Sealed = {
  /** What the file begins with, in base64. */
  readonly header: string;
  /** 32 bytes in base64: what the content of this one file is under. */
  readonly secret: string;
  /** For how many devices it is. */
  readonly readers: number;
};

/** Answer of seen, GET /v1/seen: Up to which number a reader was given mail. */
export type Seen = {
  readonly n: number;
};

/** Answer of send, POST /v1/messages: Send a text. Answered when it is on the disk. */
export type Sent = {
  readonly id: string;
  /** To a list: to how many contacts. */
  readonly contacts?: number;
  /** It is too large for caches, and its recipient is not there. */
  readonly waits?: "link";
};

/** A step of a mail of ours. */
export type StateEvent = {
  readonly type: "state";
  readonly id: string;
  /** Id of a contact. */
  readonly contact: string;
  readonly state: MailState;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly why?: string;
  /** The name of a peer on the network. */
  readonly peer?: string;
  /** Id of the mail to a list that this one is of. */
  readonly list?: string;
};

/** Answer of status, GET /v1/status: How the daemon fares; `problems` is empty when all is well. */
export type Status = {
  /** The name of a peer on the network. */
  readonly hashname: string;
  readonly name?: string;
  readonly paths: readonly (Path)[];
  readonly links: readonly ({
    /** The name of a peer on the network. */
    readonly hashname: string;
    readonly state: string;
    readonly path?: Path;
    /** Milliseconds since 1970. */
    readonly since?: number;
    readonly roundTrip?: number;
  })[];
  readonly channels: number;
  /** Ours, with the last test of each: one that is up and lost its test mail may be no cache any more. */
  readonly caches: readonly ({
    /** The name of a peer on the network. */
    readonly hashname: string;
    readonly up: boolean;
    /** Bytes. */
    readonly cap: number;
    /** Of ours: the contact one of whose devices it is. */
    readonly of?: string;
    /** Of ours: the name of that contact. */
    readonly ofName?: string;
    readonly test?: CacheTest;
  })[];
  /** Caches of your devices that your card has no room for. */
  readonly cachesLeftOut: number;
  /** Whether a cache is served: `on` and `off` can be changed, the others were said at the start. */
  readonly serving: "always" | "never" | "on" | "off";
  /** Whether contacts may use our cache; only where one is served. */
  readonly offering?: boolean;
  /** How many devices of contacts use our cache because it was offered; only where one is served. */
  readonly takers?: number;
  /** Caches that contacts offer us, and that are not ours yet. */
  readonly offers: number;
  readonly contacts: number;
  readonly requests: number;
  /** Number of the newest mail. */
  readonly inbox: number;
  readonly sent: number;
  readonly behind: number;
  /** After a restore: of how many people mail waits who write as if we knew them. */
  readonly unknown: number;
  /** When a contact last got mail of another copy of this identity. */
  readonly copiedAt?: number;
  /** This home was put back from a backup, or is a copy. */
  readonly isCopied: boolean;
  readonly state: string;
  readonly turns: number;
  /** How often it began anew because of a fault in this program. */
  readonly faults: number;
  /** When it serves a cache. */
  readonly held?: {
    readonly recipients: number;
    readonly boxes: number;
    readonly messages: number;
    /** Bytes. */
    readonly bytes: number;
    /** Bytes. */
    readonly memory: number;
    readonly gained: number;
    readonly refused: number;
    readonly evicted: number;
    readonly expired: number;
  };
  readonly version: string;
  readonly home: string;
  readonly bazaar?: Bazaar;
  /** Of the cryptography. */
  readonly backend: string;
  /** The inbox number up to which the reader recv was given mail. */
  readonly seen: number;
  /** Mail of ours that is neither delivered nor given up. */
  readonly waiting: number;
  /** Mails that contacts sent and that have not come. */
  readonly missing: number;
  /** When this daemon serves a cache. */
  readonly joinLink?: string;
  /** What is wrong, in plain words. Empty: all is well. */
  readonly problems: readonly (string)[];
};

/** Answer of cacheTotals, GET /v1/cache/totals: How the cache of this node fares over time: totals of all recipients together. */
export type Totals = {
  readonly minutes: readonly ({
    readonly at: number;
    readonly messages: number;
    readonly bytes: number;
    readonly recipients: number;
    readonly stay?: number;
    readonly taken: number;
    readonly collected: number;
    readonly refused: number;
    readonly evicted: number;
    readonly expired: number;
  })[];
  readonly hours: readonly ({
    readonly at: number;
    readonly messages: number;
    readonly bytes: number;
    readonly recipients: number;
    readonly stay?: number;
    readonly taken: number;
    readonly collected: number;
    readonly refused: number;
    readonly evicted: number;
    readonly expired: number;
  })[];
  readonly stay?: number;
};

/** What became of a mail of ours. */
export type Track = {
  readonly id: string;
  readonly state: MailState;
  readonly ledger: readonly (LedgerEntry)[];
  /** While the mail is not final, and some days longer. */
  readonly mail?: OutboxEntry;
};

/** Answer of webLink, POST /v1/web: A link that opens the web page in one browser, once. */
export type WebLink = {
  readonly link: string;
  /** SHA-256 of the page's certificate, where nobody else vouches for it. */
  readonly fingerprint?: string;
};

/** An address that is told what happens, and how that goes. */
export type Webhook = {
  readonly id: string;
  readonly url: string;
  readonly events: readonly ("mail" | "state" | "request" | "contact")[];
  readonly content: boolean;
  /** disabled: it failed for five days; delete it, and make it anew. */
  readonly state: "well" | "failing" | "disabled";
  /** Inbox number of the last mail that it took. */
  readonly after: number;
  /** Failed attempts since the last good one. */
  readonly failures: number;
  /** How the last attempt failed. */
  readonly why?: string;
};

/** Answer of webhooks, GET /v1/webhooks: Who is told of what happens, and how that goes. */
export type WebhookList = {
  readonly webhooks: readonly (Webhook)[];
};

/** By operationId: all that is asked, wherever it stands in a request, and what is answered. */
export interface Operations {
  /** Whether the daemon answers at all. */
  readonly health: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: Health;
  };
  /** Whether it takes mail: its store works. */
  readonly ready: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: Ready;
  };
  /** How the daemon fares; `problems` is empty when all is well. */
  readonly status: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: Status;
  };
  /** The identities of this home; each has an API of its own. */
  readonly identities: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: IdentityList;
  };
  /** What is in force in this daemon, and who said it; see [config](config.md). */
  readonly config: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: Config;
  };
  /** What contacts see from now on. */
  readonly setName: {
    readonly input: {
      /** What contacts see from now on. */
      readonly name: string;
    };
    readonly answer: Name;
  };
  /** A link that opens the [web page](web.md) in one browser, once. */
  readonly webLink: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: WebLink;
  };
  /** A link for somebody to become a contact. */
  readonly invite: {
    readonly input: {
      /** Good for one: who uses it first. Default: true. */
      readonly once?: boolean;
      /** Bits of work that a stranger's mail by our caches costs, each day. Default: 0. */
      readonly work?: number;
    };
    readonly answer: Link;
  };
  /** Nobody uses this invite of ours any more. */
  readonly closeInvite: {
    readonly input: {
      readonly link: string;
    };
    readonly answer: Link;
  };
  /** All contacts. */
  readonly contacts: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: ContactList;
  };
  /** Become the contact of who made an invite. */
  readonly addContact: {
    readonly input: {
      readonly link: string;
    };
    readonly answer: Contact;
  };
  /** One contact. */
  readonly contact: {
    readonly input: {
      readonly contact: string;
    };
    readonly answer: Contact;
  };
  /** Not to know a contact any more; it is not told. */
  readonly removeContact: {
    readonly input: {
      readonly contact: string;
    };
    readonly answer: Contact;
  };
  /** Have its devices answer: an event `pong` comes of each that is there. */
  readonly ping: {
    readonly input: {
      readonly contact: string;
    };
    readonly answer: Pinged;
  };
  /** Of each of its devices the words and the line to compare. */
  readonly safety: {
    readonly input: {
      readonly contact: string;
    };
    readonly answer: SafetyList;
  };
  /** What was read at the contact's: that device is verified. */
  readonly verify: {
    readonly input: {
      readonly contact: string;
      /** Words or line that were read at the contact's. */
      readonly said: string;
    };
    readonly answer: Contact;
  };
  /** The contact is verified no more. */
  readonly unverify: {
    readonly input: {
      readonly contact: string;
    };
    readonly answer: Contact;
  };
  /** Whether it is told which of its mail was seen. Off unless it is said here. */
  readonly setReadMarks: {
    readonly input: {
      readonly contact: string;
      readonly on: boolean;
    };
    readonly answer: Contact;
  };
  /** Erase mail after so many days, what is older at once. [What remains](store.md). */
  readonly keep: {
    readonly input: {
      readonly contact: string;
      readonly days: number;
    };
    readonly answer: Contact;
  };
  /** Erase no more; also by a whole id of who is no contact any more. */
  readonly keepForever: {
    readonly input: {
      readonly contact: string;
    };
    readonly answer: RetentionList;
  };
  /** Whose mail is erased after how many days. */
  readonly retentions: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: RetentionList;
  };
  /** Names for several contacts, known to nobody but us. */
  readonly lists: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: Lists;
  };
  /** The list has these contacts from now on. */
  readonly setList: {
    readonly input: {
      readonly name: string;
      readonly contacts: readonly (string)[];
    };
    readonly answer: List;
  };
  /** There is no such list any more. */
  readonly removeList: {
    readonly input: {
      readonly name: string;
    };
    readonly answer: List;
  };
  /** Of whom we do not want to hear. */
  readonly blocked: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: BlockedList;
  };
  /** Never to hear of somebody again. Answers who is blocked now and was not. */
  readonly block: {
    readonly input: {
      /** A contact, the id of a request or its start, or a whole hashname. */
      readonly who: string;
    };
    readonly answer: BlockedList;
  };
  /** Who may write again, as a stranger. */
  readonly unblock: {
    readonly input: {
      readonly hashname: string;
    };
    readonly answer: BlockedList;
  };
  /** Strangers who wrote. */
  readonly requests: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: RequestList;
  };
  /** The stranger becomes a contact. */
  readonly acceptRequest: {
    readonly input: {
      readonly request: string;
    };
    readonly answer: Request;
  };
  /** Forget what the stranger wrote; nobody learns of it. */
  readonly ignoreRequest: {
    readonly input: {
      readonly request: string;
    };
    readonly answer: Request;
  };
  /** Our devices; none when there is no other. */
  readonly devices: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: DeviceList;
  };
  /** Take in the device that made this link; it is told what we know when it has answered. */
  readonly addDevice: {
    readonly input: {
      readonly link: string;
    };
    readonly answer: Added;
  };
  /** By this link another device takes this new one in. */
  readonly deviceLink: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: Link;
  };
  /** A device is lost: contacts are told, and invites that were made before are void at caches. */
  readonly removeDevice: {
    readonly input: {
      readonly hashname: string;
    };
    readonly answer: DeviceList;
  };
  /** Our caches, then those of our contacts, of each contact the best first. */
  readonly caches: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: PeerList;
  };
  /** Use the cache behind a join link. */
  readonly joinCache: {
    readonly input: {
      readonly link: string;
    };
    readonly answer: Joined;
  };
  /** Caches that contacts offer us, and that are not ours yet. */
  readonly offers: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: OfferList;
  };
  /** Use the cache that a contact offers. */
  readonly takeOffer: {
    readonly input: {
      readonly contact: string;
    };
    readonly answer: Joined;
  };
  /** Whether our contacts may use the cache of this node; they are told. */
  readonly offerCache: {
    readonly input: {
      /** Whether contacts may use our cache. */
      readonly on: boolean;
      /** Who came by an offer until now may use it no more, and what it keeps for them is cleared. Default: false. */
      readonly end?: boolean;
      /** With `end`: although messages lie here, and those for who came by an offer are gone then. Default: false. */
      readonly forget?: boolean;
    };
    readonly answer: Offering;
  };
  /** What each of our caches does with a test mail; in some two minutes at most. */
  readonly testCaches: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: CacheTestList;
  };
  /** Whom this node looks for, and how it reaches them. */
  readonly mesh: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: Mesh;
  };
  /** Whether this node serves a cache, and who decides that. */
  readonly cacheRole: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: CacheRole;
  };
  /** Serve a cache from now on, or none. */
  readonly serveCache: {
    readonly input: {
      /** Whether this node serves a cache from now on, also after its next start. */
      readonly serve: boolean;
      /** With `serve` false: although messages of others lie here, which are gone then. Default: false. */
      readonly forget?: boolean;
    };
    readonly answer: CacheRole;
  };
  /** How the cache of this node fares over time: totals of all recipients together. */
  readonly cacheTotals: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: Totals;
  };
  /** Not to use a cache any more. */
  readonly leaveCache: {
    readonly input: {
      readonly hashname: string;
    };
    readonly answer: Left;
  };
  /** Send a text. Answered when it is on the disk. */
  readonly send: {
    readonly input: {
      /** Whom it is for: a contact as everywhere, or the name of a list, which goes before. */
      readonly contact: string;
      readonly text: string;
      /** Milliseconds since 1970. Default: in 14 days. */
      readonly expires?: number;
    };
    readonly answer: Sent;
  };
  /** Received mail after an inbox number, oldest first. */
  readonly receive: {
    readonly input: {
      /** An inbox number. Default: from the first. */
      readonly after?: number;
      /** 1 to 1000. Default: 100. */
      readonly limit?: number;
    };
    readonly answer: MessagePage;
  };
  /** Send a file: the body is its bytes, 1 GiB at most. */
  readonly sendFile: {
    readonly input: {
      /** A name, an id, a hashname, or the start of one: four characters or more. */
      readonly contact: string;
      /** No path, and nothing that moves a cursor. */
      readonly name: string;
      /** Its media type. */
      readonly media?: string;
      /** By caches too, however large it is. */
      readonly insist?: "true";
    };
    readonly answer: Sent;
  };
  /** The bytes of a received file; a Range is answered with that part. */
  readonly file: {
    readonly input: {
      readonly n: string;
    };
    readonly answer: unknown;
  };
  /** Of each contact the newest mail, and how many a reader was not given yet. */
  readonly conversations: {
    readonly input: {
      /** 1 to 200. Default: 50. */
      readonly limit?: number;
      /** Who reads: each has a position of its own; the web page is `page`. Default: recv. */
      readonly reader?: string;
    };
    readonly answer: ConversationList;
  };
  /** Mail of both sides in the order of the conversation. */
  readonly history: {
    readonly input: {
      readonly contact: string;
      /** What the page after it said. */
      readonly before?: string;
      /** 1 to 200. Default: 50. */
      readonly limit?: number;
    };
    readonly answer: HistoryPage;
  };
  /** Mail with these words, the newest first. Reads all mail until it has enough. */
  readonly search: {
    readonly input: {
      /** Words that all stand in a text or a file name. */
      readonly q: string;
      /** A name, an id, a hashname, or the start of one: four characters or more. */
      readonly contact?: string;
      /** 1 to 200. Default: 50. */
      readonly limit?: number;
    };
    readonly answer: FoundList;
  };
  /** Up to which number a reader was given mail. */
  readonly seen: {
    readonly input: {
      /** Who reads: each has a position of its own; the web page is `page`. Default: recv. */
      readonly reader?: string;
    };
    readonly answer: Seen;
  };
  /** A reader was given mail up to here; it only grows. At most 64 readers. Contacts with read marks are told by the furthest. */
  readonly setSeen: {
    readonly input: {
      readonly n: number;
      /** Who reads: each has a position of its own; the web page is `page`. Default: recv. */
      readonly reader?: string;
    };
    readonly answer: Seen;
  };
  /** Mail on its way or settled lately; of more than some hundred to one contact only those whose turn it is and the newest. */
  readonly outbox: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: OutboxList;
  };
  /** What became of a mail, also long after. */
  readonly track: {
    readonly input: {
      readonly id: string;
    };
    readonly answer: Track;
  };
  /** Give a mail up. */
  readonly cancel: {
    readonly input: {
      readonly id: string;
    };
    readonly answer: Track;
  };
  /** What happens, as server-sent events, or over a WebSocket. */
  readonly events: {
    readonly input: {
      /** An inbox number: the mail after it comes first. `Last-Event-ID` says the same. */
      readonly after?: number;
    };
    readonly answer: Event;
  };
  /** Who is told of what happens, and how that goes. */
  readonly webhooks: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: WebhookList;
  };
  /** Tell this address what happens from now on. */
  readonly addWebhook: {
    readonly input: {
      /** http or https, without a password in it. */
      readonly url: string;
      /** Default: mail. */
      readonly events?: readonly ("mail" | "state" | "request" | "contact")[];
      /** With the text of a mail, and the name of a file. Default: false. */
      readonly content?: boolean;
      /** Mail after this inbox number too. Default: what comes from now on. */
      readonly after?: number;
    };
    readonly answer: NewWebhook;
  };
  /** Tell it nothing more. */
  readonly removeWebhook: {
    readonly input: {
      readonly id: string;
    };
    readonly answer: Webhook;
  };
  /** What a [sealed file](../protocol/sealed-file.md) begins with, and the secret for its content. */
  readonly seal: {
    readonly input: {
      /** Who may open it: each a contact, an invite, a link with keys, link JSON, or `me`. */
      readonly readers: readonly (string)[];
      /** Do not say who sealed it. Default: false. */
      readonly anonymous?: boolean;
      /** What the file is called; passed over where it is no plain name. */
      readonly name?: string;
    };
    readonly answer: Sealed;
  };
  /** Who sealed a file that was sealed for us, and the secret of its content, by its first bytes. */
  readonly openSealed: {
    readonly input: {
      /** The first bytes of the file, up to the end of its messages, in base64. */
      readonly header: string;
    };
    readonly answer: Opened;
  };
  /** JSON-RPC 2.0: every operation here that takes and gives JSON, by its operationId; /rpc is the same. */
  readonly rpc: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: unknown;
  };
  /** This API as an OpenAPI 3.1 document. */
  readonly openapi: {
    readonly input: Readonly<Record<string, never>>;
    readonly answer: Readonly<Record<string, unknown>>;
  };
}

/** Method, path, and the names of a query; what is neither stands in the body. */
export const ROUTES: Readonly<Record<keyof Operations, string>> = {
  health: "GET /v1/health",
  ready: "GET /v1/ready",
  status: "GET /v1/status",
  identities: "GET /v1/identities",
  config: "GET /v1/config",
  setName: "PUT /v1/name",
  webLink: "POST /v1/web",
  invite: "POST /v1/invites",
  closeInvite: "POST /v1/invites/close",
  contacts: "GET /v1/contacts",
  addContact: "POST /v1/contacts",
  contact: "GET /v1/contacts/{contact}",
  removeContact: "DELETE /v1/contacts/{contact}",
  ping: "POST /v1/contacts/{contact}/ping",
  safety: "GET /v1/contacts/{contact}/safety",
  verify: "PUT /v1/contacts/{contact}/verified",
  unverify: "DELETE /v1/contacts/{contact}/verified",
  setReadMarks: "PUT /v1/contacts/{contact}/read-marks",
  keep: "PUT /v1/contacts/{contact}/keep",
  keepForever: "DELETE /v1/contacts/{contact}/keep",
  retentions: "GET /v1/retentions",
  lists: "GET /v1/lists",
  setList: "PUT /v1/lists/{name}",
  removeList: "DELETE /v1/lists/{name}",
  blocked: "GET /v1/blocked",
  block: "POST /v1/blocked",
  unblock: "DELETE /v1/blocked/{hashname}",
  requests: "GET /v1/requests",
  acceptRequest: "POST /v1/requests/{request}/accept",
  ignoreRequest: "POST /v1/requests/{request}/ignore",
  devices: "GET /v1/devices",
  addDevice: "POST /v1/devices",
  deviceLink: "POST /v1/devices/link",
  removeDevice: "DELETE /v1/devices/{hashname}",
  caches: "GET /v1/peers",
  joinCache: "POST /v1/caches",
  offers: "GET /v1/offers",
  takeOffer: "POST /v1/offers/{contact}",
  offerCache: "PUT /v1/caches/offer",
  testCaches: "POST /v1/caches/test",
  mesh: "GET /v1/mesh",
  cacheRole: "GET /v1/cache",
  serveCache: "PUT /v1/cache",
  cacheTotals: "GET /v1/cache/totals",
  leaveCache: "DELETE /v1/caches/{hashname}",
  send: "POST /v1/messages",
  receive: "GET /v1/messages?after&limit",
  sendFile: "PUT /v1/files?contact&name&media&insist",
  file: "GET /v1/messages/{n}/file",
  conversations: "GET /v1/conversations?limit&reader",
  history: "GET /v1/contacts/{contact}/history?before&limit",
  search: "GET /v1/search?q&contact&limit",
  seen: "GET /v1/seen?reader",
  setSeen: "PUT /v1/seen",
  outbox: "GET /v1/outbox",
  track: "GET /v1/outbox/{id}",
  cancel: "DELETE /v1/outbox/{id}",
  events: "GET /v1/events?after",
  webhooks: "GET /v1/webhooks",
  addWebhook: "POST /v1/webhooks",
  removeWebhook: "DELETE /v1/webhooks/{id}",
  seal: "POST /v1/sealed",
  openSealed: "POST /v1/sealed/open",
  rpc: "POST /v1/rpc",
  openapi: "GET /v1/openapi.json",
};
