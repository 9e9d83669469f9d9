import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ago,
  day,
  linkWords,
  marked,
  nameOf,
  oneLine,
  preview,
  sentence,
  shownText,
  size,
  span,
  stateMeaning,
  stateWords,
  stepWords,
  wayWords,
  when,
} from "./words.ts";

describe("words", () => {
  test("no name of somebody else's ends a line, hides or turns what stands beside it", () => {
    expect(oneLine("  Bob\u202e\n\u0000Ross\u2028 ")).toBe("Bob Ross");
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(oneLine(text)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      }),
    );
    expect(nameOf({ id: "c0ffee11", name: "\u202e" })).toBe("nameless c0ffee");
    expect(nameOf(undefined)).toBe("somebody");
  });

  test("a text keeps its lines, tabs and letters, and loses what overrides its direction", () => {
    expect(shownText("a\r\n\tb\u202ec\u0007 é 🙂 שלום")).toBe("a\n\tbc é 🙂 שלום");
  });

  test("every state has the ledger's word and a meaning, and none says that a cache keeps or fetched anything", () => {
    const states = ["queued", "handed", "delivered", "read", "expired", "cancelled"] as const;
    expect(states.map((state) => stateWords(state))).toEqual(states);
    for (const state of states)
      expect(stepWords({ at: 0, state }, "Bob").toLowerCase()).toMatch(new RegExp(`^${state}\\b`));
    const said = states.flatMap((state) => [stateWords(state), stateMeaning(state, "Bob")]);
    expect(new Set(said).size).toBe(said.length);
    for (const words of said) expect(words).not.toMatch(/stored|fetched|undefined/);
  });

  test("of a file of which some is there it is said how much", () => {
    expect([0, 0.158, undefined].map((share) => stateWords("queued", share))).toEqual([
      "queued",
      "queued, 15 %",
      "queued",
    ]);
    expect(stateWords("handed", 0.5)).toBe("handed, 50 %");
    expect(stateWords("delivered", 0.5)).toBe("delivered");
  });

  test("a step says by which way, and why a mail was given up", () => {
    const at = 0;
    expect(stepWords({ at, state: "handed", route: "cache" }, "Bob")).toBe("Handed to a cache of Bob's");
    expect(stepWords({ at, state: "handed", route: "direct" }, "Bob")).toBe("Handed to Bob directly");
    expect(stepWords({ at, state: "cancelled" }, "Bob")).toBe("Cancelled: you took it back");
    expect(stepWords({ at, state: "cancelled", why: "forgotten" }, "Bob")).toBe("Cancelled with the contact");
  });

  test("sizes have the unit that suits them", () => {
    expect([0, 1, 1023, 1024, 300_000, 67_108_864, 1_200_000_000].map(size)).toEqual([
      "0 bytes",
      "1 byte",
      "1023 bytes",
      "1.0 KiB",
      "293 KiB",
      "64 MiB",
      "1.1 GiB",
    ]);
  });

  test("days are named as people name them", () => {
    const noon = new Date(2026, 5, 15, 12).getTime();
    expect(day(noon - 3_600_000, noon)).toBe("Today");
    expect(day(noon - 86_400_000, noon)).toBe("Yesterday");
    expect(day(noon - 400 * 86_400_000, noon)).toContain("2025");
    expect(when(noon - 86_400_000, noon)).toBe("Yesterday");
  });

  test("how long something lasts has one unit, and how a link runs is said without addresses", () => {
    expect([500, 59_000, 60_000, 3_599_000, 90_000_000, 200_000_000].map(span)).toEqual([
      "1 second",
      "59 seconds",
      "1 minute",
      "59 minutes",
      "25 hours",
      "2 days",
    ]);
    expect([ago(0, 5_000), ago(0, 7_200_000)]).toEqual(["just now", "for 2 hours"]);
    expect(linkWords({ state: "up", since: 0 }, 7_200_000)).toBe("linked for 2 hours");
    expect(linkWords({ state: "down" }, 0)).toBe("looked for");
    expect(wayWords({ transport: "udp", reach: "lan" })).toBe("in your network, UDP");
    expect(wayWords({ transport: "mem", reach: "machine" })).toBe("on this machine");
    expect(wayWords({ reach: "router" }, "Carol")).toBe("by Carol, who passes it on");
    expect(wayWords(undefined)).toBe("");
  });

  test("what the daemon says to a terminal is a sentence on the page", () => {
    expect(sentence("the store does not work: is its disk full, or read-only")).toBe(
      "The store does not work: is its disk full, or read-only.",
    );
    expect(sentence("link://a is none?")).toBe("link://a is none?");
  });

  test("the words of a search are marked where the daemon finds them, and seen however late they stand", () => {
    const hits = (text: string, words: string) => marked(text, words).flatMap(({ text, isHit }) => (isHit ? text : []));
    expect(marked("Are you there?", "THERE you")).toEqual([
      { text: "Are ", isHit: false },
      { text: "you", isHit: true },
      { text: " ", isHit: false },
      { text: "there", isHit: true },
      { text: "?", isHit: false },
    ]);
    expect(hits("(a+b)*c, ﬁve", "(a+b)* FIVE")).toEqual(["(a+b)*", "five"]);
    const late = marked(`${"🙂".repeat(300)} tree ${"🙂".repeat(300)}`, "tree");
    expect(late.map(({ isHit }) => isHit)).toEqual([false, true, false]);
    expect(late[0]?.text).toMatch(/^…🙂+ $/u);
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (text, words) => {
        const pieces = marked(text, words);
        expect(pieces.every((piece) => piece.text !== "")).toBe(true);
        if (oneLine(text).length < 60)
          expect(pieces.map(({ text }) => text).join("")).toBe(oneLine(text).normalize("NFKC"));
      }),
    );
  });

  test("the list shows whose the last word is", () => {
    const entry = { n: 1, id: "", contact: "", time: 0, kind: "text", text: "see\nyou" };
    expect(preview({ ...entry, way: "out" })).toBe("You: see you");
    expect(preview({ ...entry, way: "in" })).toBe("see you");
    expect(preview(undefined)).toBe("");
  });
});
