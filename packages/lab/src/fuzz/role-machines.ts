/** The roles of a box, revocations and the channels of programs: machines that have channels with many, by `Remotes`. */
import { memoryBoxStore } from "restante";
import {
  admissionUri,
  admissionWork,
  application,
  box,
  createCrypto,
  createIdentity,
  type Hashname,
  portable,
  stampDay,
  stampText,
  text,
  toBase32,
  verifyStamp,
} from "restante/protocol";
import { cs01 } from "restante/testing";
import type { Mutator } from "./mutate.ts";
import { type Opening, Remotes } from "./remotes.ts";
import { hex, machine, type Target } from "./target.ts";

const START = 1_700_000_000_000;
const MB = 1 << 20;
const fast = createCrypto(portable, [cs01()]);

export const ROLES: readonly Target[] = [
  machine("cache", 10_000, cache, { growth: 6 * MB }),
  machine("inbox", 10_000, inbox, { growth: 4 * MB }),
  machine("outbox", 4_000, outbox, { growth: 4 * MB }),
  machine("join", 3_000, join, { growth: 2 * MB }),
  machine("revocation", 3_000, revocation, { growth: 2 * MB }),
  machine("application", 3_000, applied, { growth: 4 * MB }),
];

/** Peers of a role, and what they say. */
export function peersOf(mutator: Mutator): Hashname[] {
  return Array.from({ length: 4 }, () => createIdentity(fast, mutator.chance.random).hashname);
}

function cache(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const [self, recipient, sender] = peers as [Hashname, Hashname, Hashname];
  const store = memoryBoxStore({ total: 2 * MB, recipient: MB / 2, box: MB / 4, boxes: 16 });
  const boxId = box.boxId(portable, sender, recipient);
  const same = chance.random(200); // a message that comes again and again, and is removed by its id
  const kept = box.messageId(portable, boxId, same);
  const day = stampDay(START);
  const stamp = stampText(Uint8Array.of(0, day >> 8, day, ...chance.random(4)));
  const openings: Opening[] = [
    { head: { type: "outbox", to: recipient, uri: "link:///?t=a", done: true, x: 60 }, body: chance.random(300) },
    { head: { type: "outbox", to: sender, uri: "link:///?t=a" }, body: chance.random(1000) },
    { head: { type: "outbox", to: recipient, uri: DEAR, stamp, done: true }, body: chance.random(300) },
    { head: { type: "inbox", box: boxId }, body: chance.random(0) },
    { head: { type: "inbox", box: boxId, many: 64 }, body: chance.random(0) },
  ];
  const packets: Opening[] = [
    { head: { done: true, x: 3600 }, body: chance.random(600) },
    { head: {}, body: chance.random(1200) },
    { head: { id: "0123456789abcdef" }, body: chance.random(0) },
    { head: { id: kept }, body: chance.random(0) },
    { head: {}, body: hex(`${kept}0123456789abcdef${kept}`) },
    { head: {}, body: chance.random(8 * 120) },
    { head: { clear: true }, body: chance.random(10) },
    { head: { clear: true }, body: chance.random(0) },
    { head: { clear: true, done: true, x: 1 }, body: chance.random(700) },
    { head: { done: true, x: 0 }, body: chance.random(40) },
    { head: { done: true }, body: same },
  ];
  let revision = 0;
  const role = new box.Cache({
    backend: portable,
    self,
    random: chance.random,
    handles: () => remotes.handle(),
    cap: MB / 4,
    admit: (uri, to, from, now, stamp) => {
      if (uri === DEAR)
        return verifyStamp(portable, { cache: self, recipient: to, sender: from }, 1, stamp, now)
          ? "stranger"
          : undefined;
      return chance.happens(0.2) ? undefined : chance.pick(["member", "contact", "stranger"]);
    },
    revision: () => (chance.happens(0.05) ? ++revision : revision),
  });
  const remotes = new Remotes<box.CacheIn, box.CacheOut>(mutator, role, peers, openings, packets, (out, now) => {
    if (out.type !== "boxes") return [];
    return store.handle(out.op, now).map((answer) => ({ type: "store", answers: [answer] }));
  });
  return () => {
    const before = store.stats().gained;
    remotes.step();
    if (store.stats().memory > 2 * MB) throw new Error("the store outgrew its bound");
    return store.stats().gained > before;
  };
}

function inbox(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const [self, sender] = peers as [Hashname, Hashname];
  const openings: Opening[] = [
    { head: { type: "boxes" }, body: chance.random(8 * 20) },
    { head: { type: "boxes", end: true }, body: hex(box.boxId(portable, sender, self)) },
    { head: { type: "outbox", to: self, done: true }, body: chance.random(500) },
    { head: { type: "outbox", to: self }, body: chance.random(1000) },
  ];
  const packets: Opening[] = [
    { head: { cap: 8 * MB }, body: chance.random(0) },
    { head: { cap: 8 * MB, ids: 120 }, body: chance.random(0) },
    { head: { done: true, ids: 3 }, body: chance.random(60) },
    { head: { many: true, ids: 120 }, body: Uint8Array.of(0, 2, 7, 7, 0, 1, 7, 1, 0, ...chance.random(256)) },
    { head: { done: true }, body: chance.random(600) },
    { head: {}, body: chance.random(1300) },
    { head: { clear: true, id: "0123456789abcdef" }, body: chance.random(0) },
  ];
  let messages = 0;
  const role = new box.Inbox({ backend: portable, self, handles: () => remotes.handle() });
  const remotes = new Remotes<box.InboxIn, box.InboxOut>(mutator, role, peers, openings, packets, (out) => {
    if (out.type !== "message") return [];
    messages++;
    const { via, box: id } = out;
    return chance.happens(0.9) ? [{ type: "done", via, box: id, id: out.id, keep: chance.happens(0.3) }] : [];
  });
  return () => {
    const before = messages;
    remotes.step();
    return messages > before;
  };
}

function outbox(mutator: Mutator): () => undefined {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const packets: Opening[] = [
    { head: { cap: 8 * MB }, body: chance.random(0) },
    { head: { err: "no" }, body: chance.random(30) },
  ];
  const uris = [DEAR, ...[4, 0x1c, 0xc4, 0xff].map((byte) => admissionUri(chance.random(77).fill(byte, 32, 33)))];
  const role = new box.Outbox({ handles: () => remotes.handle() });
  const remotes = new Remotes<box.OutboxIn, box.OutboxOut>(mutator, role, peers, [], packets, (out) => {
    const isDear = out.type === "open" && out.head["to"] !== out.peer && admissionWork(text(out.head, "uri")) > 0;
    if (isDear && out.head["stamp"] === undefined) throw new Error("a channel without the stamp that it needs");
    if (out.type !== "find-stamp" || chance.happens(0.2)) return [];
    return [{ type: "stamp", req: out.req, stamp: chance.happens(0.2) ? undefined : chance.random(7) }];
  });
  let id = 0;
  return () => {
    const [via, to] = [chance.pick(peers), chance.pick(peers)];
    const place = { via, to, ...(chance.happens(0.5) && { uri: chance.pick(uris) }) };
    if (chance.happens(0.3))
      remotes.give({ type: "deposit", id: ++id, ...place, bytes: chance.random(chance.between(1, 3000)) });
    if (chance.happens(0.1)) remotes.give({ type: "remove", ...place, ids: ["0123456789abcdef"] });
    if (chance.happens(0.05)) remotes.give({ type: "cancel", id: chance.between(1, id + 1) });
    remotes.step();
    return undefined;
  };
}

function join(mutator: Mutator): () => undefined {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const openings: Opening[] = [{ head: { type: box.JOIN_CHANNEL, uri: "link:///?t=a" }, body: chance.random(0) }];
  const answer = { key: toBase32(chance.random(32)), quota: 64 * MB, cap: 8 * MB, store: "one" };
  const role = new box.Join({
    handles: () => remotes.handle(),
    answer: (uri) => (uri === undefined || chance.happens(0.5) ? undefined : { head: answer, saves: [] }),
  });
  const packets: Opening[] = [{ head: answer, body: chance.random(0) }];
  const remotes = new Remotes<box.JoinIn, box.JoinOut>(mutator, role, peers, openings, packets, () => []);
  let req = 0;
  return () => {
    if (chance.happens(0.1)) remotes.give({ type: "join", req: ++req, cache: chance.pick(peers), uri: "link:///?t=a" });
    remotes.step();
    return undefined;
  };
}

/** Programs that now and then receive what comes, and send; whoever is no contact for a while comes back. */
function applied(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const openings: Opening[] = [{ head: { type: "app", n: 1 }, body: chance.random(40) }];
  const packets: Opening[] = [
    { head: {}, body: chance.random(1200) },
    { head: { list: [[[]], {}, "text"] }, body: chance.random(0) },
  ];
  const channels: number[] = [];
  let strangers = 0;
  let received = 0;
  const role = new application.Application({
    handles: () => remotes.handle(),
    isContact: (peer) => peers.indexOf(peer) >= strangers,
    contactOf: (peer) => (peers.indexOf(peer) % 2 === 0 ? "several devices" : undefined),
    peersOf: () => peers,
    isUp: () => chance.happens(0.8),
  });
  const remotes = new Remotes<application.ApplicationIn, application.ApplicationOut>(
    mutator,
    role,
    peers,
    openings,
    packets,
    (out) => {
      const value = out.type === "reply" ? out.value : undefined;
      if (typeof value === "object" && value !== null && "ch" in value) channels.push(Number(value.ch));
      if (typeof value === "object" && value !== null && "body" in value) received++;
      // Of a question that nobody asked, or that was answered before, nobody may hear.
      if ((out.type === "reply" || out.type === "refuse") && !open.delete(out.req)) throw new Error("answered twice");
      return [];
    },
  );
  const open = new Set<number>();
  let req = 0;
  const ask = (call: application.ApplicationCall): void => {
    open.add(++req);
    remotes.give({ type: "call", req, call });
  };
  ask({ type: "serve", kind: "app" });
  return () => {
    const before = received;
    const ch = channels.length > 0 ? chance.pick(channels) : 0;
    const { head, body } = chance.pick(packets);
    const sent = { head: chance.happens(0.5) ? mutator.object(head) : head, body };
    if (chance.happens(0.3)) ask({ type: "accept", kind: "app" });
    if (chance.happens(0.3)) ask({ type: "receive", ch });
    if (chance.happens(0.2)) ask({ type: "send", ch, ...sent, end: chance.happens(0.1) });
    if (chance.happens(0.1)) ask({ type: "watch", ch });
    if (chance.happens(0.1)) ask({ type: "open", to: "", kind: "app", reliable: chance.happens(0.5), ...sent });
    if (chance.happens(0.02)) ask({ type: "fail", ch, why: "" });
    if (chance.happens(0.02)) {
      strangers = chance.between(0, 1);
      remotes.give({ type: "contacts" });
    }
    if (channels.length > 100) channels.shift();
    remotes.step();
    return received > before;
  };
}

/** Both ends of it at once: a cache that others tell serials, and a recipient that tells its own. */
function revocation(mutator: Mutator): () => boolean {
  const { chance } = mutator;
  const peers = peersOf(mutator);
  const serials = (): Uint8Array => {
    const drawn = Array.from({ length: chance.between(0, 200) }, () => chance.between(0, 1 << 30)).sort(
      (a, b) => a - b,
    );
    const body = new Uint8Array(6 * drawn.length);
    for (const [i, serial] of drawn.entries()) new DataView(body.buffer).setUint32(6 * i + 2, serial);
    return body;
  };
  const openings: Opening[] = [{}, { leave: true }].map((more) => {
    return { head: { type: box.REVOKE_CHANNEL, uri: "link:///?t=a", ...more }, body: serials() };
  });
  const packets: Opening[] = Array.from({ length: 4 }, () => ({ head: {}, body: serials() }));
  let heard = 0;
  let isReady = false; // what it opens is a channel of `remotes`, which must be there first
  const role = new box.Revocation({
    handles: () => remotes.handle(),
    tells: (cache) =>
      isReady && cache === peers[0]
        ? { uri: "link:///?t=b", serials: Array.from({ length: 450 }, (_, i) => i) }
        : undefined,
    next: (now) => (chance.happens(0.1) ? now + 1000 : undefined),
    isRecipient: (uri) => uri !== undefined && chance.happens(0.8),
    revoke: (_, told) => {
      heard += told.length;
      if (told.length > 200 || !told.every((serial, i) => i === 0 || serial > (told[i - 1] ?? 0)))
        throw new Error("no serials of one body");
    },
  });
  const remotes = new Remotes<box.RevocationIn, box.RevocationOut>(mutator, role, peers, openings, packets, () => []);
  isReady = true;
  return () => {
    const before = heard;
    if (chance.happens(0.05)) remotes.give({ type: "changed" });
    if (chance.happens(0.02)) remotes.give({ type: "leave", cache: chance.pick(peers), uri: "link:///?t=b" });
    remotes.step();
    return heard > before;
  };
}

/** An invite that asks for two bits of work. */
const DEAR: string = admissionUri(new Uint8Array(77).fill(0x14, 32, 33));
