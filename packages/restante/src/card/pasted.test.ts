import { expect, test } from "vitest";
import { linksIn } from "./pasted.ts";

const INVITE =
  "link://203.0.113.7:1/?cs3a=wqj7i7it5yx6nscfwlxbigxydxufrx2oyve2lc3zoc5zmzc3zdja&paths=pmrhi6lqmurduitvmrydiirmejux&invite=aebvqpd57n5t";

test("a link is found between words, and none of them becomes a part of it", () => {
  expect(linksIn(`  ${INVITE}\n`)).toEqual([INVITE]);
  expect(linksIn(`Hi Bob, here is my link (see https://example.org):\n${INVITE}.`)).toEqual([INVITE]);
  expect(linksIn(`<${INVITE}> Yours, Anna`)).toEqual([INVITE]);
  expect(linksIn(`${INVITE}\n\nanna`)).toEqual([INVITE]);
  expect(linksIn(`${INVITE}\nYours, Anna`)).toEqual([INVITE]);
  expect(linksIn("mine://a/?invite=b c")).toEqual(["mine://a/?invite=b"]);
  expect(linksIn("link://bob.example\nanna")).toEqual(["link://bob.example"]);
  expect(linksIn(" no link at all ")).toEqual(["no link at all"]);
});

test.each([
  ["\n", 72],
  ["\r\n", 60],
  ["\n> ", 40],
])("lines with %j between them are one link again, of %i characters each", (end, width) => {
  const lines = INVITE.match(new RegExp(`.{1,${width}}`, "g")) ?? [];
  expect(lines.length).toBeGreaterThan(1);
  expect(linksIn(`Here it is: ${lines.join(end)}`)[0]).toBe(INVITE);
});

test("of a long text a link has 64 lines at most", () => {
  expect(linksIn(`link://?${"a\n".repeat(1000)}`)).toHaveLength(64);
});
