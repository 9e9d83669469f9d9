import type { HistoryEntry } from "restante";
import { expect, test, vi } from "vitest";
import { current, cut, erase, type Kept, kept, merge } from "./kept.ts";

const DAY_MS = 86_400_000;
const NOW = 100 * DAY_MS;

const mail = (n: number, more: Partial<HistoryEntry> = {}): HistoryEntry => ({
  ...{ way: "in", n, id: `id ${n}`, contact: "b", kind: "text", text: `mail ${n}`, time: NOW - n, ...more },
});
const mails = (...all: number[]) => all.map((n) => mail(n));
const state = (threads: Kept["threads"], more: object = {}): Kept =>
  ({ at: NOW, status: { hashname: "me" }, retentions: [], threads, ...more }) as unknown as Kept;

test("mail is not shown when its days are over, counted from when it came or went", () => {
  const days = (ago: number) => NOW - ago * DAY_MS;
  const old = mail(1, { time: days(3), received: days(2) });
  const late = mail(2, { time: days(9), received: days(1) });
  const own = mail(3, { way: "out", time: days(2) });
  const kept = state(
    [
      ["b", [old, late, own]],
      ["c", [old]],
    ],
    { retentions: [{ contact: "b", days: 2 }] },
  );
  expect(current(kept, NOW).threads).toEqual([
    ["b", [late]],
    ["c", [old]],
  ]);
  expect(current(kept, NOW - 1).threads).toEqual(kept.threads);
});

test("the latest mails of each conversation are kept, as far as there is room", () => {
  const each = JSON.stringify(mail(1)).length;
  const threads = [
    ["b", mails(1, 2, 3)],
    ["c", mails(4, 5)],
    ["d", []],
  ] as const;
  expect(cut(threads, 2)).toEqual([
    ["b", mails(2, 3)],
    ["c", mails(4, 5)],
    ["d", []],
  ]);
  expect(cut(threads, 50, 4 * each)).toEqual([
    ["b", mails(1, 2, 3)],
    ["c", mails(5)],
    ["d", []],
  ]);
  // What does not fit ends its conversation: no mail is missing between two others.
  const large = mail(6, { text: "x".repeat(1000) });
  expect(
    cut(
      [
        ["b", [mail(1), large, mail(2)]],
        ["c", mails(3)],
      ],
      50,
      900,
    ),
  ).toEqual([
    ["b", mails(2)],
    ["c", mails(3)],
  ]);
});

test("what another tab read of a conversation is kept if it goes on to the same mail, for the same identity and contacts", () => {
  const before = state([
    ["b", mails(1, 2, 3)],
    ["c", mails(4, 5)],
    ["gone", mails(7, 8)],
  ]);
  const now = [
    ["b", [mail(3, { state: "read" })]],
    ["c", mails(6)],
  ] as const;
  expect(merge(state(now), before)).toEqual([
    ["b", [...mails(1, 2), mail(3, { state: "read" })]],
    ["c", mails(6)],
  ]);
  const longer = [["b", mails(2, 3)]] as const;
  expect(merge(state(longer), before)).toEqual(longer);
  expect(merge(state(now, { status: { hashname: "somebody else" } }), before)).toEqual(now);
  expect(merge(state(now), undefined)).toEqual(now);
});

test("where the browser's store never answers nobody waits for it", async () => {
  vi.useFakeTimers();
  vi.stubGlobal("navigator", { serviceWorker: {} });
  vi.stubGlobal("localStorage", { getItem: () => null });
  vi.stubGlobal("indexedDB", { open: () => ({}) });
  const both = Promise.allSettled([kept(), erase()]);
  await vi.runAllTimersAsync();
  expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});
