import { expect, test } from "vitest";
import { toHex } from "../bytes/index.ts";
import type { Path } from "../card/index.ts";
import { hashnameFromBytes } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import type { Opened } from "./opener.ts";
import { Requests } from "./requests.ts";

const { random } = new Chance(1);
const path: Path = { type: "mem", name: "x" };

function opened(overrides: Partial<Opened> = {}): Opened {
  const message = { type: "key", json: {}, body: random(32) };
  const hashname = hashnameFromBytes(random(32));
  const [key, token, ephemeral, prefix] = [random(32), random(16), random(32), random(32)];
  const name = toHex(overrides.token ?? token);
  return { hashname, csid: 1, key, at: 100n, token, name, ephemeral, prefix, digest: "", message, ...overrides };
}

test("at most 256 peers wait; the oldest makes room", () => {
  const requests = new Requests();
  const all = Array.from({ length: 1_000 }, () => opened());
  for (const [i, one] of all.entries()) requests.add(one, path, 0, i);
  expect(requests.size).toBe(256);
  const kept = all.filter(({ hashname }) => requests.get(hashname) !== undefined);
  expect(kept).toEqual(all.slice(-256));
  expect(all.filter(({ token }) => requests.sender(toHex(token)) !== undefined)).toEqual(kept);
});

test("one peer has one slot, and in it one message of each type", () => {
  const requests = new Requests();
  const first = opened();
  for (let at = 100n; at < 200n; at++) requests.add(opened({ hashname: first.hashname, at }), path, 0, 0);
  expect(requests.size).toBe(1);
  const last = requests.get(first.hashname)?.messages.get("key");
  expect(last?.at).toBe(199n);
  const uri = { ...opened(), ...last, message: { type: "uri", json: {}, body: random(0) } };
  expect(requests.add(uri, path, 0, 0)?.messages.size).toBe(2);
  expect(requests.add(uri, path, 0, 0)).toBeUndefined();
});

test("waiting ends after 30 s, with everything that was kept for it", () => {
  const requests = new Requests();
  const one = opened();
  requests.add(one, path, 0, 1_000);
  expect(requests.deadline()).toBe(31_000);
  requests.expire(30_999);
  expect(requests.size).toBe(1);
  requests.expire(31_000);
  expect([requests.size, requests.deadline(), requests.sender(toHex(one.token))]).toEqual([0, undefined, undefined]);
});
