/** What a simulated world is judged by when it has come to rest: the promises, each in words when it is broken. */
import { equal, type Time, utf8 } from "../bytes/index.ts";
import { type InboxRecord, PART_CONTENT } from "../mail/index.ts";
import { Opportunities } from "./opportunity.ts";
import { type Backup, mailName, recordsOf, type SimPeer, type World } from "./world.ts";

/** A mail that somebody asked for. */
export interface Sent {
  readonly from: SimPeer;
  readonly to: SimPeer;
  readonly content: string;
  readonly bytes: Uint8Array | undefined;
  /** When it was promised; before that it was only asked for. */
  at: Time | undefined;
  id: string | undefined;
  isCancelled: boolean;
  /** Its recipient may have been put back to before it knew the sender: it has to be asked first, and that takes its time. */
  readonly isUnknown?: true;
}

/** What no mail software can make good. */
export interface Gone {
  /** Their disk was lost, and their keys with it. */
  readonly devices: Set<SimPeer>;
  /** `${id} ${name of the recipient}` of mails that were in an inbox, which then was restored from a backup without them. */
  readonly inboxes: Set<string>;
  /** Mails that were promised by a peer that then was restored from a backup without them. */
  readonly spools: Set<Sent>;
}

export interface Judged {
  /** Broken promises, in words. Empty: all held. */
  readonly broken: readonly string[];
  readonly mailsLost: number;
  readonly mailsDoubled: number;
  /** Of each mail that arrived and was not cancelled: ms from the first possible opportunity until it was shown, in order. */
  readonly delays: readonly Time[];
}

/** The disk of a sleeping peer is about to go back: what was on it and is not in the backup is gone with it. */
export function goBack(device: SimPeer, backup: Backup, sent: readonly Sent[], gone: Gone): void {
  const kept = new Set(recordsOf(backup.disk).map(mailName));
  for (const record of device.records())
    if (!kept.has(mailName(record))) gone.inboxes.add(`${record.id} ${device.name}`);
  // What was not yet promised at the time of the backup may be in it or not.
  for (const mail of sent)
    if (mail.from === device && (mail.at === undefined || mail.at >= backup.time)) gone.spools.add(mail);
}

interface Everything {
  readonly world: World;
  readonly peers: readonly SimPeer[];
  readonly caches: readonly SimPeer[];
  readonly cachesOf: (peer: SimPeer) => readonly SimPeer[];
  readonly sent: readonly Sent[];
  readonly gone: Gone;
  /** Whether anybody goes on from a copy of a store. */
  readonly hasCopies: boolean;
  /** Packets that a stranger got. */
  readonly answered: number;
}

export function judge({ world, peers, caches, cachesOf, sent, gone, hasCopies, answered }: Everything): Judged {
  const broken: string[] = [];
  const delays: Time[] = [];
  const opportunities = new Opportunities(world);
  const inboxes = new Map(peers.map((peer) => [peer, inboxOf(peer)]));
  let [mailsLost, mailsDoubled] = [0, 0];
  for (const mail of sent) {
    const got = inboxes.get(mail.to)?.get(`${mail.from.hashname} ${mail.content}`) ?? [];
    const words = `"${mail.content}" (${mail.id ?? "no answer"})`;
    if (got.length > 1) {
      mailsDoubled++;
      broken.push(`promise 2: ${words} was shown ${got.length} times`);
    }
    const [record] = got;
    if (record !== undefined && mail.bytes !== undefined && !equal(mail.to.fileOf(record), mail.bytes))
      broken.push(`promise 1: the bytes of ${words} arrived changed`);
    if (mail.id === undefined || mail.at === undefined || gone.spools.has(mail)) continue;
    if (gone.devices.has(mail.from) || gone.devices.has(mail.to)) continue;
    const states = mail.from.ledger(mail.id).map((entry) => entry.state);
    const wrong = wrongOrder(states);
    if (wrong !== undefined) broken.push(`promise 3: the ledger of ${words} goes ${wrong}`);
    const isRolledBack = gone.inboxes.has(`${mail.id} ${mail.to.name}`);
    if (!isRolledBack && world.early.has(`${mail.id} ${mail.to.name}`))
      broken.push(`promise 3: ${words} was told as delivered before it was in the inbox`);
    if (got.length === 0) {
      if (isRolledBack) continue;
      if (!mail.isCancelled) {
        mailsLost++;
        broken.push(`promise 1: ${words} never arrived; its ledger: ${states.join(" ")}`);
      }
      if (states.includes("delivered"))
        broken.push(`promise 3: ${words} did not arrive, but its ledger says delivered`);
      continue;
    }
    // Who cancels does not offer any more: when caches lost the acknowledgement too, the sender never hears of it.
    const isGivenUp = mail.isCancelled && states.at(-1) === "cancelled";
    if (!states.includes("delivered") && !isGivenUp)
      broken.push(`promise 3: ${words} arrived, but its ledger says ${states.join(" ")}`);
    const shown = record && mail.to.shown.get(mailName(record));
    if (shown === undefined || mail.isCancelled || isRolledBack || mail.isUnknown) continue;
    const honest = cachesOf(mail.to).filter(({ evil, dropsPuts }) => evil === undefined && dropsPuts === 0);
    const parts = partsOf(mail);
    const first = opportunities.first({ from: mail.from, to: mail.to, caches: honest, parts, since: mail.at });
    delays.push(first === undefined ? 0 : Math.max(0, shown - first));
  }
  for (const cache of caches) {
    if (cache.disk.size > 0 || cache.blobs.size > 0) broken.push(`promise 4: ${cache.name} has something on its disk`);
    // What was meant for a lost device, or came from a forgotten spool, stays until it expires.
    if (cache.held > 0 && cache.evil === undefined && gone.devices.size + gone.spools.size === 0)
      broken.push(`promise 4: ${cache.name} still holds ${cache.held} messages that all sides are done with`);
  }
  if (answered > 0) broken.push(`promise 5: a stranger was answered ${answered} times`);
  if (!hasCopies)
    for (const peer of peers)
      if (peer.events.some(({ type }) => type === "copied"))
        broken.push(`promise 3: ${peer.name} tells of a copied store, and there is none`);
  for (const peer of peers.filter((one) => !gone.devices.has(one))) {
    const dead = new Set([...gone.devices].map((device) => peer.contactId(device)));
    const waiting = peer
      .outbox()
      .filter(({ contact, state }) => !dead.has(contact) && (state === "queued" || state === "handed"));
    if (waiting.length > 0) broken.push(`promise 1: ${peer.name} still waits for ${waiting.length} mails`);
    if (gone.devices.size > 0) continue; // mail to one of them is kept until it expires
    const isHonest = caches.every(({ evil, dropsPuts }) => evil === undefined && dropsPuts === 0);
    for (const key of isHonest && gone.spools.size === 0 ? peer.disk.keys() : [])
      if (key.startsWith("mail/file/")) broken.push(`promise 3: ${peer.name} still waits for the rest of ${key}`);
    for (const key of peer.disk.keys())
      if (key.startsWith("spool/")) broken.push(`the spool of ${peer.name} still holds ${key}`);
    for (const blob of peer.blobs.keys())
      if (blob.startsWith("out/") && isNamed(peer, blob)) broken.push(`${peer.name} still keeps ${blob}`);
  }
  return { broken, mailsLost, mailsDoubled, delays: delays.sort((a, b) => a - b) };
}

/** Into how many messages it goes. */
export function partsOf({ bytes }: Sent): number {
  return Math.max(1, Math.ceil((bytes?.length ?? 0) / PART_CONTENT));
}

/** The inbox by who wrote what. */
function inboxOf(peer: SimPeer): Map<string, InboxRecord[]> {
  const inbox = new Map<string, InboxRecord[]>();
  for (const record of peer.records()) {
    const name = `${record.from} ${record.file?.name ?? record.text?.split("…")[0]}`;
    inbox.set(name, [...(inbox.get(name) ?? []), record]);
  }
  return inbox;
}

/** Whether a queued mail still names this blob; one that nothing names is a file whose sending was cut off by a crash. */
function isNamed(peer: SimPeer, blob: string): boolean {
  const name = utf8(blob);
  return [...peer.disk].some(([key, value]) => key.startsWith("queue/") && includes(value, name));
}

function includes(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let i = 0; i + part.length <= bytes.length; i++)
    if (equal(bytes.subarray(i, i + part.length), part)) return true;
  return false;
}

const MAY_FOLLOW: Record<string, readonly string[]> = {
  queued: ["handed", "delivered", "expired", "cancelled"],
  handed: ["handed", "delivered", "expired", "cancelled"],
  delivered: ["delivered", "read"],
  read: ["read"],
  expired: ["delivered"],
  cancelled: ["delivered"],
};

/** The first step of a ledger that promise 3 does not allow. */
function wrongOrder(states: readonly string[]): string | undefined {
  if (states[0] !== "queued") return `first ${states[0] ?? "nowhere"}`;
  for (let i = 1; i < states.length; i++) {
    const [from, to] = [states[i - 1] ?? "", states[i] ?? ""];
    // Attempts are noted too; they do not change the state.
    if (from !== to && !MAY_FOLLOW[from]?.includes(to)) return `from ${from} to ${to}`;
  }
  return undefined;
}
