import type { Peer, PeerEvent } from "restante";
import { expect, test } from "vitest";
import { watchRoom } from "./no-room.ts";

test("files that wait for want of room are told once, counted by contact and cause, and forgotten when they come", () => {
  const [alice, bob] = ["a".repeat(32), "b".repeat(32)];
  let contacts = [{ id: alice, name: "Alice" }, { id: bob }];
  let tell = (_: PeerEvent): void => {};
  let isWatched = true;
  const on = (listener: (event: PeerEvent) => void): (() => void) => {
    tell = listener;
    return () => {
      isWatched = false;
    };
  };
  const peer = { contacts: () => contacts, on } as unknown as Peer;
  const said: string[] = [];
  const stop = new AbortController();
  const room = watchRoom(peer, stop.signal, (message) => void said.push(message));
  expect(room.problems()).toEqual([]);
  for (const id of ["1", "2", "2"]) tell({ type: "no-room", contact: alice, id, parts: 9, why: "share" });
  tell({ type: "no-room", contact: bob, id: "1", parts: 9, why: "disk" });
  expect(said).toHaveLength(3);
  expect(room.problems()).toEqual([
    expect.stringMatching(/^2 files of Alice wait at their sender: its files take all that one contact may; .*--disk/),
    "a file of bbbbbbbbbbbb waits at its sender: the disk is nearly full",
  ]);
  tell({ type: "progress", way: "in", contact: alice, id: "1", done: 1, of: 9 });
  expect(room.problems()[0]).toMatch(/^a file of Alice waits/);
  contacts = contacts.slice(1);
  expect(room.problems()).toHaveLength(1);
  stop.abort();
  expect(isWatched).toBe(false);
});
