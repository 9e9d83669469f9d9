import type { BoxStats, Peer } from "restante";
import { expect, test } from "vitest";
import { cacheRole as schema } from "./answers.ts";
import { cacheRole, offerCache, serveCache } from "./cache-role.ts";

const EMPTY: BoxStats = {
  ...{ recipients: 0, boxes: 0, messages: 0, bytes: 0, memory: 0 },
  ...{ gained: 0, refused: 0, evicted: 0, expired: 0 },
};
type Serving = ReturnType<Peer["status"]>["serving"];

/** A peer that serves a cache with so many messages, or none. */
function fake(serving: Serving, messages?: number, takers = 1): { peer: Peer; said: boolean[] } {
  const said: boolean[] = [];
  const held = messages === undefined ? undefined : { ...EMPTY, messages };
  const peer = {
    status: () => ({ serving, held, state: "running", ...(held && { offering: true, takers }) }),
    joinLink: () => "link://here",
    serveCache: async (on: boolean) => void said.push(on),
    offerCache: async (on: boolean) => void said.push(on),
  };
  return { peer: peer as unknown as Peer, said };
}
const config = (where?: string) => ({
  settings: [{ key: "cache.serve", from: "file" as const, ...(where !== undefined && { where }) }],
});

test("how it is: who serves one says what lies there and how it is joined, and who decided that", () => {
  const held = { ...EMPTY, messages: 3 };
  expect(schema.parse(cacheRole(fake("on", 3).peer, config("c.toml:3")))).toEqual({
    ...{ serve: true, fixed: false, held, joinLink: "link://here", offering: true, takers: 1 },
  });
  expect(schema.parse(cacheRole(fake("never").peer, config("c.toml:3")))).toEqual({
    ...{ serve: false, fixed: true, where: "c.toml:3" },
  });
  expect(cacheRole(fake("off").peer, undefined)).toEqual({ serve: false, fixed: false });
});

test("what lies here for others is not forgotten unless that is said; what was said at the start is not changed", async () => {
  const full = fake("on", 2);
  const code = (peer: Peer, serve: boolean, where?: string): Promise<unknown> =>
    serveCache(peer, config(where), { serve }).catch((error) => `${error.code}: ${error.message}`);
  expect(await code(full.peer, false)).toBe("not-empty: 2 messages lie here for others, and would be forgotten");
  expect(await code(fake("on", 1).peer, false)).toMatch(/^not-empty: 1 message lies/);
  await serveCache(full.peer, undefined, { serve: true });
  await serveCache(full.peer, undefined, { serve: false, forget: true });
  await serveCache(fake("on", 0).peer, undefined, { serve: false });
  expect(full.said).toEqual([true, false]);
  expect(await code(fake("never").peer, true, "--no-cache")).toMatch(/^set-at-start: --no-cache says whether/);
});

test("whoever watches the node is told that its role changed, and of what went with it", async () => {
  const told: string[] = [];
  const [off, on] = [fake("off"), fake("on", 1)];
  let now = off;
  const peer = {
    ...{ status: () => now.peer.status(), joinLink: () => "link://here" },
    serveCache: async (serve: boolean) => {
      now = serve ? on : off;
    },
  } as unknown as Peer;
  for (const serve of [true, true, false])
    await serveCache(peer, undefined, { serve, forget: !serve }, (message) => told.push(message));
  expect(told).toEqual([
    "this node serves a cache from now on",
    "this node serves no cache any more; 1 message of others went with it: their senders send it again",
  ]);
});

test("what lies here is not forgotten either when an offer ends for who came by it, unless that is said or nobody did", async () => {
  const full = fake("on", 2);
  await expect(offerCache(full.peer, { on: false, end: true })).rejects.toMatchObject({
    ...{
      code: "not-empty",
      message: "2 messages lie here; what is for those who came by the offer would be forgotten",
    },
  });
  expect(full.said).toEqual([]);
  await offerCache(full.peer, { on: false });
  await offerCache(full.peer, { on: false, end: true, forget: true });
  await offerCache(fake("on", 0).peer, { on: false, end: true });
  await offerCache(fake("on", 2, 0).peer, { on: false, end: true });
  expect(full.said).toEqual([false, false]);
});
