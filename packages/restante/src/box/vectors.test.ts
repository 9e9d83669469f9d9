/**
 * Box ids, message ids and what is said on the three channels, as protocol/vectors/box.json gives it to other
 * implementations. When that is meant to change, WRITE_VECTORS=1 in the environment of this test writes the file anew;
 * then `npm run format`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { concat, fromHex, toHex, utf8 } from "../bytes/index.ts";
import { type Hashname, hashnameFromBytes, portable } from "../crypto/index.ts";
import { memoryBoxStore } from "../store/index.ts";
import type { JsonObject } from "../wire/index.ts";
import { Cache, type CacheIn, type CacheOut } from "./cache.ts";
import { boxId, messageId } from "./ids.ts";

const FILE = fileURLToPath(new URL("../../../../protocol/vectors/box.json", import.meta.url));
const NOW = 1_800_000_000_000;
const CAP = 4096;

/** One content packet of a channel, without c, seq, ack and miss. Bytes are hex. `took` of each packet is not shown. */
interface Step {
  from: string;
  to: string;
  channel: number;
  head: JsonObject;
  body: string;
}
interface Vectors {
  about: string;
  hashnames: Record<string, Hashname>;
  boxes: { sender: string; recipient: string; box: string; messages: { bytes: string; id: string }[] }[];
  conversation: { about: string; steps: Step[] }[];
}

const names = Object.fromEntries(
  ["alice", "bob", "carol", "dave"].map((name) => [name, hashnameFromBytes(portable.sha256(utf8(name)))]),
);
const hashname = (name: string): Hashname => names[name] ?? hashnameFromBytes(portable.sha256(utf8(name)));
const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251);

function boxes(): Vectors["boxes"] {
  const messages = [utf8(""), utf8("hello"), counting(1023), counting(1500)];
  return [
    ["alice", "bob"],
    ["bob", "alice"],
    ["dave", "bob"],
    ["bob", "bob"],
  ].map(([sender = "", recipient = ""]) => {
    const box = boxId(portable, hashname(sender), hashname(recipient));
    return {
      sender,
      recipient,
      box,
      messages: messages.map((bytes) => ({ bytes: toHex(bytes), id: messageId(portable, box, bytes) })),
    };
  });
}

/** Alice and dave write to bob by way of carol, who is the cache. */
function conversation(): Vectors["conversation"] {
  const store = memoryBoxStore({ box: CAP });
  let next = 100;
  const cache = new Cache({
    backend: portable,
    self: hashname("carol"),
    random: (length) => new Uint8Array(length),
    handles: () => next++,
    cap: CAP,
    admit: () => "contact",
  });
  const all = [...Object.keys(names), "erin"];
  const chapters: Vectors["conversation"] = [];
  const peers = new Map<number, string>();
  const ended = new Set<number>();
  let isSilent = false;
  const note = (step: Step): void => void chapters.at(-1)?.steps.push(step);
  const told = (outs: CacheOut[]): void => {
    for (const out of outs) {
      if (out.type === "boxes") {
        for (const answer of store.handle(out.op, NOW)) told(cache.handle({ type: "store", answers: [answer] }, NOW));
      } else if (out.type === "open" || out.type === "send") {
        if (out.type === "open") peers.set(out.ch, all.find((name) => hashname(name) === out.peer) ?? "");
        const to = peers.get(out.ch) ?? "";
        const head = out.end ? { ...out.head, end: true } : out.head;
        note({ from: "carol", to, channel: out.ch, head, body: toHex(out.body) });
      }
    }
  };
  const take = (input: CacheIn): void => told(cache.handle(input, NOW));
  const say = (
    from: string,
    channel: number,
    head: JsonObject,
    body: Uint8Array = new Uint8Array(0),
    credit = 1000,
  ): void => {
    if (!isSilent) note({ from, to: "carol", channel, head, body: toHex(body) });
    const { end, ...content } = head;
    if (peers.has(channel)) {
      if (Object.keys(content).length + body.length > 0) take({ type: "packet", ch: channel, head: content, body });
    } else {
      peers.set(channel, from);
      const kind = String(head["type"]);
      take({ type: "opened", ch: channel, peer: hashname(from), reliable: true, kind, head: content, body });
      take({ type: "writable", ch: channel, credit });
    }
    if (end !== true || ended.has(channel)) return;
    ended.add(channel);
    take({ type: "ended", ch: channel });
  };
  const chapter = (about: string): void => void chapters.push({ about, steps: [] });

  const box = boxId(portable, hashname("alice"), hashname("bob"));
  const long = counting(1500);
  chapter(
    "Alice leaves three messages for bob: one in a packet, one in two with a lifetime, one that she removes again.",
  );
  say("alice", 1, { type: "outbox", to: hashname("bob"), uri: "link:///?t=example", done: true }, utf8("hello"));
  say("alice", 1, {}, long.subarray(0, 1000));
  say("alice", 1, { id: messageId(portable, box, utf8("unknown")) });
  say("alice", 1, { done: true, x: 3600 }, long.subarray(1000));
  say("alice", 1, { done: true }, utf8("not this one"));
  say("alice", 1, { id: messageId(portable, box, utf8("not this one")) });
  say("alice", 1, { end: true });
  chapter("Dave leaves two, the second with a clear: that removes the first, and what had begun.");
  say("dave", 2, { type: "outbox", to: hashname("bob"), done: true }, utf8("one"));
  say("dave", 2, {}, utf8("half of ano"));
  say("dave", 2, { clear: true, done: true }, utf8("two"));
  chapter("Bob's link comes up. (The order of the ids is random.)");
  take({ type: "up", peer: hashname("bob") });
  chapter(
    "Bob opens alice's box: both messages, then cap. He removes one, and another that is not there: a cap for each.",
  );
  say("bob", 3, { type: "inbox", box });
  say("bob", 3, { id: messageId(portable, box, utf8("hello")) });
  say("bob", 3, { id: "0123456789abcdef" });
  chapter(
    "Bob removes the second one and the same unknown id in one packet, which carol said at first that she takes: one cap.",
  );
  say("bob", 3, {}, concat(...[messageId(portable, box, long), "0123456789abcdef"].map((id) => fromHex(id) ?? long)));
  chapter("The inbox is still open when alice leaves a third, and the same again.");
  say("alice", 4, { type: "outbox", to: hashname("bob"), done: true }, utf8("still there?"));
  say("alice", 4, { done: true }, utf8("still there?"));
  chapter("Bob clears the box and ends the channel.");
  say("bob", 3, { clear: true });
  say("bob", 3, { end: true });
  chapter("Who opens a box of somebody else, one that does not exist, or nonsense, finds it empty.");
  say("dave", 5, { type: "inbox", box });
  say("bob", 6, { type: "inbox", box: "0123456789abcdef" });
  say("bob", 7, { type: "inbox", box: "none" });
  chapter("Messages to nobody are taken like all others: nothing is said.");
  say("alice", 8, { type: "outbox", to: "nobody", done: true }, utf8("hello"));
  say("alice", 8, { end: true });
  chapter(
    "Alice leaves a small message and four large ones: more than `cap`. The oldest goes, but that is not the small one.",
  );
  say("alice", 9, { type: "outbox", to: hashname("bob"), done: true }, utf8("the small one"));
  for (let n = 1; n <= 4; n++) {
    say("alice", 9, {}, counting(1000));
    say("alice", 9, { done: true }, new Uint8Array(300).fill(n));
  }
  say("bob", 10, { type: "inbox", box });
  say("bob", 10, { clear: true, end: true });
  chapter(
    "Bob opens dave's box, and takes one packet at first. Dave has left a long message and another. Bob clears the box: the rest of the long one comes all the same, then `cap` for the clear, and `cap` because there is no more.",
  );
  say("dave", 11, { type: "outbox", to: hashname("bob"), clear: true }, long.subarray(0, 1000));
  say("dave", 11, { done: true }, long.subarray(1000));
  say("dave", 11, { done: true }, utf8("never seen"));
  say("bob", 12, { type: "inbox", box: boxId(portable, hashname("dave"), hashname("bob")) }, new Uint8Array(0), 1);
  say("bob", 12, { clear: true });
  take({ type: "writable", ch: 12, credit: 10 });
  chapter(
    "`x` of 0: not at all, and a copy that is kept goes, too. What is no message, and a body of no bytes, are none.",
  );
  say("alice", 13, { type: "outbox", to: hashname("bob"), done: true, x: 60 }, utf8("a minute"));
  say("alice", 13, { done: true, x: 0 }, utf8("a minute"));
  say("alice", 13, { done: true, x: 0 }, utf8("never"));
  say("alice", 13, { done: true });
  say("bob", 14, { type: "inbox", box });
  say("bob", 14, { end: true });
  chapter(
    '121 others, whose names are "sender 0" to "sender 120", have left the one byte 00 each for erin (not shown). Her link comes up: two packets on one channel.',
  );
  isSilent = true;
  for (let n = 0; n <= 120; n++)
    say(`sender ${n}`, 1000 + n, { type: "outbox", to: hashname("erin"), done: true }, new Uint8Array(1));
  isSilent = false;
  take({ type: "up", peer: hashname("erin") });
  chapter(
    "Alice leaves four. Bob takes up to three messages in a packet: three come in one, the fourth as always. A box opened without that gives them one by one.",
  );
  for (const words of ["one", "two", "three", "four"])
    say(
      "alice",
      15,
      words === "one" ? { type: "outbox", to: hashname("bob"), done: true } : { done: true },
      utf8(words),
    );
  say("bob", 16, { type: "inbox", box, many: 3 });
  say("bob", 16, { end: true });
  say("bob", 17, { type: "inbox", box });
  say("bob", 17, { clear: true, end: true });
  return chapters;
}

test("[C13] [C16] [C47] the ids and the conversation are those of protocol/vectors/box.json", () => {
  const made: Vectors = {
    about:
      "Ids and channels of protocol/box.md. Hashnames: SHA-256 of the name. The conversation is what a cache (carol) gets and says; c, seq, ack and miss are the channel's own and not shown. Made by packages/restante/src/box/vectors.test.ts; the ids agree with vectors/telehash/siphash.json.",
    hashnames: names,
    boxes: boxes(),
    conversation: conversation(),
  };
  if (process.env["WRITE_VECTORS"]) writeFileSync(FILE, `${JSON.stringify(made, undefined, 2)}\n`);
  expect(made).toEqual(JSON.parse(readFileSync(FILE, "utf8")));
});

test("the conversation of protocol/vectors/box.json says what box.md says", () => {
  const { conversation, boxes: ids }: Vectors = JSON.parse(readFileSync(FILE, "utf8"));
  const bodies = (about: RegExp): string[] =>
    conversation
      .filter((chapter) => about.test(chapter.about))
      .flatMap((chapter) =>
        chapter.steps.filter((step) => step.from === "carol").map((step) => step.body || JSON.stringify(step.head)),
      );
  const text = (words: string): string => toHex(utf8(words));
  const cap = `{"cap":${CAP}}`;
  const firstCap = `{"cap":${CAP},"ids":120}`;
  const long = toHex(counting(1500));
  expect(bodies(/link comes up/)[0]).toHaveLength(32);
  expect(new Set(bodies(/link comes up/)[0]?.match(/.{16}/g))).toEqual(new Set([ids[0]?.box, ids[2]?.box]));
  const [hello, part, rest, ...caps] = bodies(/opens alice's box/);
  expect([hello, `${part}${rest}`, caps]).toEqual([text("hello"), long, [cap, cap, cap]]);
  expect(bodies(/in one packet/)).toEqual([cap]);
  expect(bodies(/still open/)).toEqual([text("still there?"), cap]);
  expect(bodies(/clears the box and ends/)).toEqual([cap, '{"end":true}']);
  expect(bodies(/somebody else/)).toEqual([firstCap, firstCap, firstCap]);
  expect(bodies(/to nobody/)).toEqual(['{"end":true}']);
  const kept = [2, 3, 4].map((n) => `${toHex(counting(1000))}${toHex(new Uint8Array(300).fill(n))}`);
  const full = bodies(/more than `cap`/);
  // Before anything else bob is told of the box, which was empty; so it is in the next two.
  expect(full[0]).toBe(ids[0]?.box);
  expect(full.slice(1, -3).join("")).toBe([text("the small one"), ...kept].join(""));
  expect(full.slice(-3)).toEqual([cap, cap, '{"end":true}']);
  const [, begun, end, ...twice] = bodies(/rest of the long one/);
  expect([`${begun}${end}`, twice]).toEqual([long, [cap, cap]]);
  const [told4, several, ...others4] = bodies(/Alice leaves four/);
  expect(several).toBe(
    toHex(concat(...["one", "two", "three"].map((word) => utf8(`\0${String.fromCharCode(word.length)}${word}`)))),
  );
  const plain = ["one", "two", "three", "four"].map(text);
  expect([told4, ...others4]).toEqual([
    ids[0]?.box,
    text("four"), // and a `cap` beside it
    '{"end":true}',
    ...plain,
    cap,
    cap,
    '{"end":true}',
  ]);
  expect(bodies(/`x` of 0/)).toEqual([ids[0]?.box, firstCap, '{"end":true}']);
  const told = bodies(/121 others/);
  expect(told.map((ids) => ids.length / 16)).toEqual([120, 1]);
  const others = Array.from({ length: 121 }, (_, n) => boxId(portable, hashname(`sender ${n}`), hashname("erin")));
  expect(new Set(told.join("").match(/.{16}/g))).toEqual(new Set(others));
  expect(fromHex(ids[0]?.box ?? "")).toHaveLength(8);
});
