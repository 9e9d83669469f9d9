import { utf8 } from "restante/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cid, cidOf, split } from "../format/index.ts";
import type { Contact } from "../offline/effects.ts";
import { fetchBlocks, serveBlocks } from "./blocks.ts";
import { type BazaarNode, createNode } from "./node.ts";

const content = new Uint8Array(600_000).map((_, i) => i * 7);
const blocks = split(content);
const [root] = blocks.map(({ cid }) => cid) as [Cid];
const opened: BazaarNode[] = [];

async function open(seed: number, read?: (cid: Cid) => Uint8Array | undefined): Promise<BazaarNode> {
  const listen = ["/ip4/127.0.0.1/tcp/0"];
  const node = await createNode({ seed: new Uint8Array(32).fill(seed), listen, network: "local" });
  if (read) await serveBlocks(node, Date.now, async (cid) => read(cid));
  await node.start();
  opened.push(node);
  return node;
}

function contactOf(node: BazaarNode): Contact {
  return { id: node.id, publicKey: node.publicKey, addrs: node.addrs() };
}

describe("blocks of peers that lie", () => {
  let reader: BazaarNode;
  let honest: Contact;
  const asked: Cid[] = [];
  const find = (cid: Cid): Uint8Array | undefined => blocks.find((block) => block.cid === cid)?.bytes;
  const limit = 1_000_000;

  beforeAll(async () => {
    reader = await open(1);
    honest = contactOf(
      await open(2, (cid) => {
        asked.push(cid);
        return find(cid);
      }),
    );
  });
  afterAll(() => Promise.all(opened.map((node) => node.stop())));

  test("a block that is not what its CID says is none; what it lacks comes of the next peer, and nothing twice", async () => {
    const wrong = contactOf(await open(3, () => utf8("something else")));
    const half = contactOf(await open(4, (cid) => (cid === root ? find(cid) : new Uint8Array(262_158))));
    const empty = contactOf(await open(5, () => undefined));
    const signal = AbortSignal.timeout(20_000);
    expect(await fetchBlocks(reader, root, [wrong, empty, half, honest], limit, signal)).toEqual(content);
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked).not.toContain(root);
    expect(await fetchBlocks(reader, root, [wrong, half], limit, AbortSignal.timeout(500))).toBeUndefined();
  });

  test("a tree of more bytes than were announced is left before it is read", async () => {
    asked.length = 0;
    const signal = AbortSignal.timeout(20_000);
    expect(await fetchBlocks(reader, root, [honest], 500_000, signal)).toBeUndefined();
    expect(asked).toEqual([root]);
  });

  test("a content that nobody has is not waited for longer than asked", async () => {
    expect(
      await fetchBlocks(reader, cidOf(utf8("nowhere")), [honest], limit, AbortSignal.timeout(500)),
    ).toBeUndefined();
  });
});
