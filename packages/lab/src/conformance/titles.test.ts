import { expect, test } from "vitest";
import { judge } from "./judge.ts";
import { readChecklist } from "./rows.ts";
import { groups, titles, titlesIn } from "./titles.ts";

test("each of the 214 rows has a test with its id in the title, and no title has an error", () => {
  const assertionResults = titles().map((title) => ({ title, status: "passed", ancestorTitles: [] as string[] }));
  for (const group of groups())
    assertionResults.push({ title: "in a group", status: "passed", ancestorTitles: [group] });
  const all = { testResults: [{ name: "all", status: "passed", assertionResults }] };
  const { missing, passed, errors } = judge(readChecklist(), all);
  expect(missing).toEqual(ARGUED);
  expect(passed).toHaveLength(214 - ARGUED.length);
  expect(errors).toEqual([]);
});

test("a title is what a test is called, however it is made; what is data, a comment or left out is none", () => {
  const source = `
    // test("[A1] in a comment", () => {});
    const data = ["[A2] data", expect("[A3] something else")];
    test("[A4] plain", () => {});
    describe("a group", () => test(\`[A5] of \${data}, it\`, { timeout: 1 }, async () => {}));
    test.skipIf(true)("[A6] here and there", () => {});
    test.skipIf(true).each([["[A7] a value"]] as const)("[A8] %s", () => {});
    test.skip("[A9] never", () => {});
    test.todo("[A10] some day");
    other("[A11] another call", () => {});
  `;
  expect(titlesIn("x.test.ts", source)).toEqual(["[A4] plain", "[A5] of , it", "[A6] here and there", "[A8] %s"]);
  expect(titlesIn("x.test.ts", source, "describe")).toEqual(["a group"]);
  expect(groups().length).toBeGreaterThan(50);
});

/** Rows that no test can prove, each with the reason. None. */
const ARGUED: readonly string[] = [];
