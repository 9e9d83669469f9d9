import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { utf8 } from "restante/protocol";
import { describe, expect, test } from "vitest";
import { type Cid, cidOf } from "../format/ids.ts";
import { split } from "../format/unixfs.ts";
import { BUNDLE_LIFE_MS, type BundleRow, type PushEffect, PushNode } from "./push.ts";

const content = new Uint8Array(600_000).map((_, i) => (i * 31) % 251);
const blocks = split(content);
const cids = blocks.map(({ cid }) => cid);
const secret = utf8("32 bytes that the envelope holds");

interface Block {
  readonly cid: Cid;
  readonly bytes: Uint8Array;
}
function small(name: string): Block {
  const bytes = utf8(name);
  return { cid: cidOf(bytes), bytes };
}
function large(size: number, fill: number): Block {
  const bytes = new Uint8Array(size).fill(fill);
  return { cid: cidOf(bytes), bytes };
}
const kinds = (effects: readonly PushEffect[] | undefined): string[] => (effects ?? []).map(({ type }) => type);

describe("STORE and BLOCK", () => {
  test("[D28] [D32] [D33] it wants all blocks, takes each once, and then wants none: the message stays when its sender has left", () => {
    const node = new PushNode({ admitted: ["alice"] });
    expect(cids).toHaveLength(4);
    expect(node.store("alice", cids, 0)?.wanted).toEqual(cids);
    for (const { cid, bytes } of blocks) expect(kinds(node.block("alice", cid, bytes, 1))).toEqual(["keep", "save"]);
    expect(node.store("alice", cids, 2)?.wanted).toEqual([]);
    expect(blocks.every(({ cid }) => node.has(cid))).toBe(true);
    expect(node.bytes).toBe(blocks.reduce((sum, { bytes }) => sum + bytes.length, 0));
  });

  test("[D33] blocks that nobody asked for are refused, and those that come twice, of another, too late or as something else", () => {
    const node = new PushNode({ admitted: ["alice", "bob"] });
    const { cid, bytes } = small("x");
    expect(node.block("alice", cid, bytes, 0)).toBeUndefined();
    node.store("alice", [cid], 0);
    expect(node.block("bob", cid, bytes, 1)).toBeUndefined();
    expect(node.block("alice", cid, utf8("y"), 1)).toBeUndefined();
    expect(node.block("alice", cid, bytes, 11 * 60_000)).toBeUndefined();
    node.store("alice", [cid], 0);
    expect(node.block("alice", cid, bytes, 1)).toBeDefined();
    expect(node.block("alice", cid, bytes, 1)).toBeUndefined();
  });

  test("strangers, lists of nothing and lists without end are refused", () => {
    const node = new PushNode({ admitted: ["alice"], limits: { blocks: 3 } });
    expect(node.store("mallory", cids.slice(0, 1), 0)).toBeUndefined();
    expect(node.store("alice", [], 0)).toBeUndefined();
    expect(node.store("alice", cids, 0)).toBeUndefined();
    node.admit(["mallory"]);
    expect(node.store("mallory", cids.slice(0, 1), 0)).toBeDefined();
    // Who is let in no more keeps what lies here, and brings nothing new; who was let in for good stays.
    node.admit(["bob"]);
    expect(node.store("mallory", cids.slice(1, 2), 0)).toBeUndefined();
    expect(node.store("bob", cids.slice(1, 2), 0)).toBeDefined();
    expect(node.store("alice", cids.slice(1, 2), 0)).toBeDefined();
  });
});

describe("limits", () => {
  test("a peer has so many bytes, those that may still come included, and no other peer's suffer", () => {
    const node = new PushNode({ admitted: ["alice", "bob"], limits: { perPeer: 2000, blockBytes: 1000 } });
    const [a, b, c] = [small("a"), small("b"), small("c")];
    expect(node.store("alice", [a.cid, b.cid], 0)?.wanted).toHaveLength(2);
    expect(node.store("alice", [c.cid], 0)).toBeUndefined();
    expect(node.store("bob", [c.cid], 0)?.wanted).toHaveLength(1);
    for (const { cid, bytes } of [a, b]) node.block("alice", cid, bytes, 1);
    expect(node.store("alice", [c.cid], 1)?.wanted).toEqual([c.cid]);
    expect(node.block("bob", c.cid, new Uint8Array(1001), 1)).toBeUndefined();
  });

  test("blocks that others brought count as well, and who has no room for them is told so", () => {
    const node = new PushNode({ admitted: ["alice", "bob"], limits: { perPeer: 2000, blockBytes: 1000 } });
    const [a, b, c] = [1, 2, 3].map((fill) => large(900, fill)) as [Block, Block, Block];
    node.store("alice", [a.cid, b.cid], 0);
    for (const { cid, bytes } of [a, b]) node.block("alice", cid, bytes, 0);
    node.store("bob", [c.cid], 0);
    node.block("bob", c.cid, c.bytes, 0);
    expect(node.store("bob", [a.cid], 1)?.wanted).toEqual([]);
    expect(node.store("bob", [b.cid], 1)).toBeUndefined();
    expect(node.store("bob", [a.cid], 2), "the same again takes no room").toBeDefined();
  });

  test("a block counts once for a peer, in however many of its messages it is", () => {
    const node = new PushNode({ admitted: ["alice"], limits: { perPeer: 2000, blockBytes: 1000 } });
    const [shared, own] = [large(900, 1), small("own")];
    node.store("alice", [shared.cid], 0);
    node.store("alice", [own.cid, shared.cid], 0);
    for (const { cid, bytes } of [shared, own]) node.block("alice", cid, bytes, 0);
    expect(node.store("alice", [small("another").cid], 1)?.wanted).toHaveLength(1);
    node.pointed("alice", own.cid, sha256(secret));
    expect(kinds(node.withdraw(secret))).toEqual(["forget", "save"]);
    expect(node.has(shared.cid)).toBe(true);
    expect(node.bytes).toBe(900);
  });

  test("who listed a block, did not send it in time and has no room any more loses that message when another sends it", () => {
    const late = 11 * 60_000;
    for (const [size, isKept] of [
      [40, true],
      [900, false],
    ] as const) {
      const node = new PushNode({ admitted: ["alice", "bob"], limits: { perPeer: 2000, blockBytes: 1000 } });
      const [a, x] = [large(size, 1), large(950, 2)];
      node.store("bob", [small("root").cid, a.cid], 0);
      node.block("bob", small("root").cid, small("root").bytes, 0);
      node.store("bob", [x.cid], late);
      node.block("bob", x.cid, x.bytes, late);
      node.store("bob", [large(950, 3).cid], late); // may still come
      node.store("alice", [a.cid], late);
      const effects = node.block("alice", a.cid, a.bytes, late) ?? [];
      expect(kinds(effects)).toEqual(isKept ? ["keep", "save", "save"] : ["forget", "save", "keep", "save"]);
      expect(node.has(small("root").cid)).toBe(isKept);
      expect(node.has(a.cid)).toBe(true);
    }
  });

  test("there is a limit to messages of one peer and to bytes of all", () => {
    const node = new PushNode({ admitted: ["alice", "bob"], limits: { bundles: 2, total: 3000, blockBytes: 1000 } });
    expect(["a", "b", "c"].map((name) => node.store("alice", [small(name).cid], 0) !== undefined)).toEqual([
      true,
      true,
      false,
    ]);
    for (const name of ["a", "b"]) node.block("alice", small(name).cid, small(name).bytes, 0);
    expect(node.store("bob", [small("x").cid, small("y").cid, small("z").cid], 0)).toBeUndefined();
  });

  test("the bytes of all keep their limit, whoever may still send what was asked of them, and for as long as they may", () => {
    const peers = ["a", "b", "c", "d"];
    const node = new PushNode({ admitted: peers, limits: { total: 3000, blockBytes: 1000 } });
    const large = peers.map((peer) => ({ peer, bytes: new Uint8Array(1000).fill(peer.charCodeAt(0)) }));
    const stored = (now: number): boolean[] =>
      large.map(({ peer, bytes }) => node.store(peer, [cidOf(bytes)], now) !== undefined);
    expect(stored(0)).toEqual([true, true, true, false]);
    // Nobody sent anything: the room is free again, for the first that come.
    const later = 10 * 60_000;
    expect(stored(later)).toEqual([true, true, true, false]);
    for (const { peer, bytes } of large) node.block(peer, cidOf(bytes), bytes, later + 1);
    expect(node.bytes).toBe(3000);
  });
});

describe("the end of a message", () => {
  test("after seven days without a STORE its blocks are forgotten; another STORE renews it", () => {
    const node = new PushNode({ admitted: ["alice"] });
    const { cid, bytes } = small("x");
    node.store("alice", [cid], 0);
    node.block("alice", cid, bytes, 0);
    node.store("alice", [cid], 12 * 3600_000);
    expect(node.expire(BUNDLE_LIFE_MS)).toEqual([]);
    expect(node.deadline()).toBe(12 * 3600_000 + BUNDLE_LIFE_MS);
    expect(kinds(node.expire(12 * 3600_000 + BUNDLE_LIFE_MS))).toEqual(["forget", "save"]);
    expect(node.bytes).toBe(0);
  });

  test("the secret of its pointer ends it, for the peer that put this pointer alone", () => {
    const node = new PushNode({ admitted: ["alice", "mallory"] });
    const { cid, bytes } = small("x");
    node.store("alice", [cid], 0);
    node.block("alice", cid, bytes, 0);
    node.pointed("alice", cid, sha256(secret));
    node.pointed("mallory", cid, sha256(utf8("mallory's")));
    node.store("alice", [cid], 10);
    expect(node.withdraw(utf8("mallory's"))).toEqual([]);
    expect(kinds(node.withdraw(secret))).toEqual(["forget", "save"]);
    expect(node.has(cid)).toBe(false);
  });

  test("a block of two messages stays with the other one", () => {
    const node = new PushNode({ admitted: ["alice", "bob"] });
    const [shared, own] = [small("shared"), small("own")];
    node.store("alice", [own.cid, shared.cid], 0);
    for (const { cid, bytes } of [own, shared]) node.block("alice", cid, bytes, 0);
    expect(node.store("bob", [shared.cid], 1)?.wanted).toEqual([]);
    node.pointed("alice", own.cid, sha256(secret));
    expect(node.withdraw(secret).flatMap((effect) => (effect.type === "forget" ? [effect.cid] : []))).toEqual([
      own.cid,
    ]);
    expect(node.has(shared.cid)).toBe(true);
  });
});

test("whatever happens, what is saved is what is kept: a node that starts again with it has the same", () => {
  const names = ["a", "b", "c", "d"].map(small);
  const step = fc.record({
    kind: fc.constantFrom("store", "block", "block", "point", "withdraw", "wait"),
    peer: fc.constantFrom("p", "q"),
    a: fc.nat(3),
    b: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const node = new PushNode({ admitted: ["p", "q"] });
      const rows = new Map<string, BundleRow>();
      const kept = new Set<Cid>();
      const apply = (effects: readonly PushEffect[] | undefined): void => {
        for (const effect of effects ?? []) {
          if (effect.type === "keep") kept.add(effect.cid);
          else if (effect.type === "forget") expect(kept.delete(effect.cid)).toBe(true);
          else if (effect.row) rows.set(effect.name, effect.row);
          else rows.delete(effect.name);
        }
      };
      let now = 0;
      for (const { kind, peer, a, b } of steps) {
        const [one, two] = [names[a], names[b]];
        if (one === undefined || two === undefined) continue;
        apply(node.expire(now));
        if (kind === "store") apply(node.store(peer, [one.cid, two.cid], now)?.effects);
        if (kind === "block") apply(node.block(peer, one.cid, one.bytes, now));
        if (kind === "point") apply(node.pointed(peer, one.cid, sha256(utf8(`${b}`))));
        if (kind === "withdraw") apply(node.withdraw(utf8(`${b}`)));
        if (kind === "wait") now += (a * BUNDLE_LIFE_MS) / 5;
        expect(
          names
            .filter(({ cid }) => node.has(cid))
            .map(({ cid }) => cid)
            .sort(),
        ).toEqual([...kept].sort());
        const again = new PushNode({ admitted: ["p", "q"] });
        again.load(rows.values(), 0);
        expect(again.bytes).toBe(node.bytes);
        expect(names.every(({ cid }) => again.has(cid) === node.has(cid))).toBe(true);
      }
    }),
    { numRuns: 100 },
  );
});
