/** What `createPeer` takes, and what it gives. */
import type { Random } from "./bytes/index.ts";
import type { Path } from "./card/index.ts";
import type { Carrier } from "./carrier.ts";
import type { Backend, CipherSet, Hashname, Identity } from "./crypto/index.ts";
import type { HandshakeMessage } from "./e3x/index.ts";
import type { OutgoingFile } from "./files.ts";
import type { ConversationPage, HistoryEntry, Retention } from "./history.ts";
import type { CacheTest, CarrierUse, LedgerEntry, InboxRecord as Received } from "./mail/index.ts";
import type { Noise } from "./mesh/index.ts";
import type { ContactInfo } from "./peer/index.ts";
import type {
  BlockedInfo,
  CacheInfo,
  DeviceInfo,
  HandshakeInfo,
  ListedEntry,
  ListInfo,
  OfferInfo,
  PeerEvent,
  PeerStatus,
  RequestInfo,
  SafetyInfo,
} from "./peer.ts";
import type { OpenOptions, PeerChannel } from "./run-channels.ts";
import type { SendOptions } from "./sending.ts";
import type { BoxStats, BoxStore, Store } from "./store/index.ts";
import type { Transport } from "./transport/index.ts";

/** What `createPeer` makes a peer of. What is absent has the default that is said, or is not there: without a store nothing is kept. */
export interface PeerOptions {
  /**
   * At how many caches of its recipient a mail lies, if none of them fails: 1 to 8, of different failure domains. More find
   * their way past more bad caches, and tell more caches who writes to whom. Throws "bad-copies" for others. Default: 2.
   */
  readonly copies?: number;
  /**
   * Keep the texts that we send, and what the files were called, also when they are delivered: without them a conversation has
   * one side. Default: true.
   */
  readonly keepSent?: boolean;
  /**
   * How many bytes of mail one contact may make us keep in a day (of UTC). What is over that is not taken and not lost: it stays
   * where it is, and comes on a later day. Default: 256 MiB.
   */
  readonly dailyBytes?: number;
  /**
   * How many bytes on the disk the files of contacts may take; one contact may take half of them. A file that does not fit, or for
   * which the disk has not the room, is not lost: it waits at its sender (event "no-room"). What is erased makes room. Default: 4 GiB.
   */
  readonly disk?: number;
  /**
   * Files of more bytes go over a link to their recipient and by no cache, unless `send` insists: they wait until both are there at
   * the same time. Default: 16 MiB.
   */
  readonly waitForLink?: number;
  /** Where mail and contacts live. Default: memory, gone with the process. */
  readonly store?: Store;
  /** How to reach others. Without any, the peer is alone. */
  readonly transports?: readonly Transport[];
  /**
   * Other ways for mail. `bazaar`: to contacts whose cards say where they are found there, and our card says where we are. Where no
   * cache of theirs works, and what lay at caches and had to be offered again; with `use` "always" all texts, at once.
   */
  readonly routes?: { readonly bazaar?: Carrier; readonly use?: CarrierUse };
  /** Default: the one in the store, made at the first start. With the secrets of all its keys of `cipherSets`. */
  readonly identity?: Identity;
  /** Shown to people who get our card: one line, cut to 64 characters. */
  readonly name?: string;
  /**
   * Hold boxes for others, in memory. Sizes in bytes: `cap` per sender and recipient, `quota` per recipient. `secret`, 32 bytes:
   * that of all nodes which share one store of boxes, so that recipients know them as one failure domain. `onDemand`: only
   * as `Peer.serveCache` said last; for peers with mail.
   */
  readonly cache?:
    | { readonly cap?: number; readonly quota?: number; readonly secret?: Uint8Array; readonly onDemand?: true }
    | undefined;
  /** Also pass on packets between those who use this cache, and contacts, when both are there. Default: false. */
  readonly route?: boolean;
  /** Where those boxes lie; of a function what it gives each time that it begins to serve. Default: the memory store. */
  readonly boxes?: BoxStore | (() => BoxStore);
  /** False: only a cache; nothing is written anywhere. */
  readonly mail?: boolean;
  /** Addresses to put into cards and invites instead of those on which the transports listen. The first 16 count. */
  readonly advertise?: readonly Path[];
  /** The cryptographic primitives. Default: portable JavaScript. `@restante/node` has a native one. */
  readonly backend?: Backend;
  /** Default: 3a, and 2a where the backend has RSA. */
  readonly cipherSets?: readonly CipherSet[];
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly random?: Random;
  /**
   * What to show to everybody with our keys, besides them: a token ("jwt", see `restante/jwt`), a transaction ("tx").
   * Throws "bad-handshake" for other types, for two of one, and for what is too long.
   */
  readonly handshakes?: readonly HandshakeMessage[];
  /** Packets of channels some 20 bytes shorter, and dearer to make, where the other side offers it too. Default: false. */
  readonly cbor?: boolean;
  /**
   * Send a datagram at every tick of a clock to every peer with a link, said or not, so that who only counts and measures
   * datagrams does not see when and how much we say there. It does not hide that there are a link and a floor, the start
   * of a link, packets of a size that the floor cannot hide (less than `bytes` - 8 * `rounds` - 7, more than `bytes` - 8),
   * anything on TCP, nor anything from who undoes the cloak, whose key is public. It makes mail slow: of packets of one
   * size one leaves in eight ticks. The other end hides what it says only if it does the same. protocol/cloaking.md §6.
   * Throws "bad-noise" for values out of range. Default: none.
   */
  readonly noise?: Noise;
  /**
   * Whether a stranger, admitted by nothing else, may have a link. Nothing is sent before it says true; a failure counts as
   * false. About one stranger it is asked once at a time: again after a no, with all messages, when more of the handshake have
   * come. Of questions without an answer there are 256 at most; about further strangers it is not asked. Default: no stranger may.
   */
  readonly approve?: (handshake: HandshakeInfo) => boolean | Promise<boolean>;
  /** Told in plain words when something is wrong that needs a person. Default: nobody. */
  readonly onTrouble?: (message: string) => void;
}

/** A running peer. Made by `createPeer`; every promise is rejected with a `RestanteError` whose `code` tells the reason. */
export interface Peer {
  readonly hashname: Hashname;
  /** Our public keys, in base32, by cipher set ("3a"): with our paths what telehash calls a link in JSON. */
  readonly keys: Readonly<Record<string, string>>;
  /**
   * A link for somebody to write to us. `once` (default): who uses it first is accepted unasked, and nobody after. `work`:
   * what mail that comes by it and by our caches costs its sender each day, as long as that is no contact: 2^work hashes on
   * average. 0 (default) to 24; 20 are 1.4 s in JavaScript alone. Who reaches us directly pays nothing. Codes: "bad-work", "unreachable".
   */
  invite(options?: { once?: boolean; work?: number }): Promise<string>;
  /** Nobody may use this invite of ours any more, at our caches either. Code: "not-found", "bad-invite". */
  closeInvite(link: string): Promise<void>;
  /** Become the contact of who made the invite. Codes: "bad-invite", "self", "known", "full". */
  add(link: string): Promise<ContactInfo>;
  /** All contacts. Our own devices are none of them. */
  contacts(): ContactInfo[];
  /**
   * Not to know a contact (its id) any more: mail to it is given up, and it can leave none at our caches. Nobody tells it.
   * What it writes to us after that is a stranger's. Code: "not-found".
   */
  removeContact(id: string): Promise<void>;
  /**
   * Never to hear of somebody again: a contact (its id), who sent a request (its id), or any hashname. A contact is removed with
   * it. For them we are from then on like somebody who has never heard of them. At most 10,000. Codes: "not-found", "self", "full".
   */
  block(who: string): Promise<void>;
  /** A stranger like all others from now on. Code: "not-found". */
  unblock(hashname: Hashname): Promise<void>;
  /** Whom we blocked, oldest first. */
  blocked(): BlockedInfo[];
  /**
   * What to compare with a contact (its id) on another way, for each of its devices: the same there, if nobody stands between.
   * Code: "not-found".
   */
  safety(contact: string): SafetyInfo[];
  /**
   * Compare what was read or scanned at a contact's device: all words, in any spelling, or the line. The device that it is of counts
   * as verified from then on, see `ContactInfo`. `undefined` takes back what was said of all its devices. Codes: "mismatch", "not-found".
   */
  verify(contact: string, said: string | undefined): Promise<ContactInfo>;
  /**
   * A link by which another device of the user takes this one in, once. From then on contacts know both as one, write to each,
   * and this one knows whom the other knows. Codes: "not-new" (this one has contacts), "unreachable".
   */
  deviceLink(): Promise<string>;
  /**
   * Take in the device that made this link. It is told what we know once it has answered as a device. Codes: "bad-invite", "self",
   * "known", "full" (seven others at most, and 16 that ever were).
   */
  addDevice(link: string): Promise<Hashname>;
  /**
   * A device is lost: contacts write to it no more, and close their doors to it. It can do the same to us until they know. What it had
   * is with whoever has it. Our caches give us other keys; by an invite that was made before, nothing can be left at them any more.
   * Code: "not-found".
   */
  removeDevice(hashname: Hashname): Promise<void>;
  /** The devices of the user, this one first. Empty: there is only this one. */
  devices(): DeviceInfo[];
  /** Our lists: one name for several contacts. No contact learns of them. */
  lists(): ListInfo[];
  /**
   * The list of this name has these contacts (ids) from now on; without any there is none. At most 256 lists of 256. Who is
   * removed from the contacts is in no list any more. Codes: "bad-name", "not-found", "full".
   */
  setList(name: string, contacts: readonly string[]): Promise<void>;
  /**
   * The one contact that this means: a whole id or hashname, which is never a name; a name; or an unambiguous start of one of them, four
   * characters or more. A name that is also the start of another contact's id or hashname is ambiguous.
   */
  findContact(text: string): ContactInfo | undefined;
  /** Strangers who wrote to us and wait for an answer. */
  requests(): readonly RequestInfo[];
  /** The stranger of this request (its id) becomes a contact, and what it wrote comes to the inbox. Codes: "not-found", "known". */
  accept(request: string): Promise<void>;
  /** Forget a request, and what else the stranger sends in the next 30 days, or until the next invite. Nobody learns of it. */
  ignore(request: string): Promise<void>;
  /**
   * Resolves with the mail's id (32 hex characters) when the mail is durable here. Codes: "not-found" (no such contact),
   * "too-large" (a text above 28 KiB, a file above 1 GiB), "no-room" (on the disk, for a file), "bad-file". A list may stand in place of a contact; where both have the name, the
   * list is meant. To a list it is one mail to each contact, and the id is that of all of them: `outbox` has one entry,
   * `track` says of each step whose it is, and `cancel` gives all of them up.
   */
  send(contact: string, mail: string | OutgoingFile, options?: SendOptions): Promise<string>;
  /** Give a mail up and take its copies back where that is still possible. */
  cancel(id: string): Promise<void>;
  /**
   * Mail that is not final yet, and what became of it lately. Of more than some hundred that wait for one contact only those whose
   * turn it is and the newest, and for a moment after a start those that were read so far: `status().behind` counts the others, `track`
   * and `cancel` know them by their id.
   */
  outbox(): readonly ListedEntry[];
  /** What happened to a mail of ours, oldest first; `undefined`: no such mail. `contact`: of one to a list. */
  track(id: string): Promise<readonly (LedgerEntry & { readonly contact?: string })[] | undefined>;
  /** Received mail with `n` above `after`, oldest first. */
  inbox(options?: { after?: number; limit?: number }): Promise<Received[]>;
  /**
   * The last mails with a contact (its id), ours and theirs, in the order in which they were said: each behind what its writer
   * had seen, whatever the clocks and in whatever order they came. `limit`: 1 to 200, default 50; `before`: what a later page
   * said. A page may hold less than `limit` though there is more before it. Code: "bad-request".
   */
  conversation(contact: string, options?: { before?: string; limit?: number }): Promise<ConversationPage>;
  /**
   * Mail in whose text or file name all these words stand, in any case, also inside of longer words; the newest first. `limit`:
   * 1 to 200, default 50. All mail is read and decrypted for it, in memory; `signal` ends it. Code: "bad-request".
   */
  search(words: string, options?: { contact?: string; limit?: number; signal?: AbortSignal }): Promise<HistoryEntry[]>;
  /**
   * Erase what was written with a contact so many days after it came or went (1 to 36,500), what is older now, and on each day
   * what has become so. `undefined`: keep it for ever, as it is for all others. What can still be found on a disk afterwards is
   * said in docs/store.md. Codes: "not-found", "bad-days".
   */
  keep(contact: string, days: number | undefined): Promise<void>;
  /** For whom that is set, those among them who are no contact any more. */
  retentions(): Promise<Retention[]>;
  /** Erase now what is over its time. How many mails that were. */
  sweep(): Promise<number>;
  /**
   * The user has seen all mail up to number `n` of the inbox. Contacts for whom read marks are on are told which of theirs is
   * among it. A sender notes it of mail that it still has in memory: some days after the delivery it may not any more.
   */
  seen(n: number): Promise<void>;
  /**
   * Have the devices of a contact (its id) answer over their links, or look for them once more where there are none. Resolves at once
   * with their hashnames; who answers is told by an event "pong", who does not by none. Code: "not-found".
   */
  ping(contact: string): Promise<readonly Hashname[]>;
  /** Whether a contact (its id) is told which of its mail was seen. Off for everybody unless it is said here. Code: "not-found". */
  setReadMarks(contact: string, on: boolean): Promise<ContactInfo>;
  /** What contacts see from now on, in place of `PeerOptions.name`; they are told. Code: "bad-name". */
  rename(name: string): Promise<void>;
  /** The bytes of a received file, in pieces. Code: "not-found". */
  file(mail: Received): AsyncIterable<Uint8Array>;
  /** Everything that happens from this call on. A reader who falls 10,000 events behind loses the oldest. Ends with `close`. */
  events(): AsyncIterableIterator<PeerEvent>;
  /** The same, called at once. Gives back the function that ends it. */
  on(listener: (event: PeerEvent) => void): () => void;
  /** Use the cache behind a join link. Codes: "bad-link", "self", "refused", "unreachable", "full". */
  join(link: string): Promise<{ cache: Hashname; quota: number; cap: number }>;
  /** Caches that contacts offer us, and that are not ours yet. None is used before the user wants it: `takeOffer`. */
  offers(): OfferInfo[];
  /**
   * Use the cache that a contact (its id) offers. It sees from then on who writes to us, when, and how large it is, as each cache does.
   * Codes: "no-offer", "refused", "unreachable", "full".
   */
  takeOffer(contact: string): Promise<{ cache: Hashname; quota: number; cap: number }>;
  /**
   * Whether contacts may use the cache that this peer serves: of each at most four devices. They are told by our card; who uses it goes
   * on when that ends, until it is our contact no more. `end`: nobody who came by an offer goes on, and what is kept for them is cleared.
   * Off, unless it is said here, and kept. Code: "no-cache".
   */
  offerCache(on: boolean, options?: { readonly end?: boolean }): Promise<void>;
  /**
   * Serve a cache from now on, or none; kept. Where `PeerOptions.cache` is on demand. The peer begins anew for it: links come up again
   * within seconds, and calls that are under way may be refused ("restarted"). What lies here for others is forgotten when it
   * ends: their senders send it again. So is the offer to contacts. Who joined goes on when it begins again. Codes: "set-at-start", "store-failed".
   */
  serveCache(on: boolean): Promise<void>;
  /**
   * Not to use a cache any more. Contacts are told, and so is the cache if it is there: what it still keeps for us is lost at
   * this cache, and comes again from its senders. Code: "not-found".
   */
  leave(cache: Hashname): Promise<void>;
  /**
   * Leaves a mail for ourselves at each of our caches and tells which gave it back, in some two minutes at most. It happens by
   * itself every few hours, too. A cache can see that sender and recipient are one: this finds those that lose mail, not
   * those that lie with care. Codes: "no-cache" (we have none), "full" (too many calls wait for it).
   */
  testCaches(): Promise<readonly CacheTest[]>;
  /** Our caches with their last tests, then those of our contacts, of each contact the best first. */
  caches(): CacheInfo[];
  /**
   * Show these with our keys from now on, in place of those before; on links that are up with a handshake at once. Not
   * kept: give them again after a start. Code: "bad-handshake".
   */
  setHandshakes(messages: readonly HandshakeMessage[]): Promise<void>;
  /**
   * From now on contacts, and other devices of the user, may open channels of this type to us; `handler` is given each of them. For all
   * others the type does not exist. A device of a contact has 8 channels with us at most that it opened, all of its devices 32; `handler` is called at once; what it throws aborts the
   * channel ("failed"), and is told by an event "channel-failed" and to `onTrouble`. A channel whose handler returned stays open: end it. Goes on after a restart of the peer. Gives back the function that ends it: open channels stay. Throws "bad-type",
   * "known" (each type once), "full" (256), "no-mail".
   */
  channels(type: string, handler: (channel: PeerChannel) => unknown): () => void;
  /**
   * Open a channel of this type to a contact (its id, one of its hashnames, or what `findContact` takes), or to a device of the user (its
   * hashname); of several devices to one that is there. Where there is no link, one is looked for, 40 s at most, or as `wait` says. That it resolves says nothing of whether the other end serves the type: if not, the
   * channel ends, "unknown type". At most 8 to one contact, and 1024 in all, theirs included. Codes: "not-found", "unreachable", "full", "bad-type",
   * "bad-packet", "too-large", "no-mail".
   */
  openChannel(contact: string, type: string, options?: OpenOptions): Promise<PeerChannel>;
  /** A link with which others join the cache that this peer serves. Code: "no-cache". */
  joinLink(): string;
  /**
   * How it fares. `held`: when it serves a cache. `turns`: inputs handled since the start. `faults`: how often it had to begin
   * anew because of a fault in this program: 0, or tell its makers what `onTrouble` said. `isCopied`: at this start the store
   * was not the one of last time but a backup or a copy of it. Its mail goes on under new numbers; what came and was answered
   * in between is not here. Two peers at once on two copies take each other's mail.
   */
  status(): PeerStatus & { isCopied: boolean; state: string; turns: number; faults: number } & {
    held: BoxStats | undefined;
  };
  /**
   * Stop. What was promised is on the disk; the rest is as if it had not been asked. Takes up to two seconds while senders
   * wait for an acknowledgement, so that they need not wait for our next start.
   */
  close(): Promise<void>;
}
