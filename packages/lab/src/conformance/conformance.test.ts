import { expect, test } from "vitest";
import { judge, type SuiteReport } from "./judge.ts";
import { readChecklist } from "./rows.ts";

const checklist = readChecklist();

/** A report of tests, given as status and title. */
function report(...tests: [status: string, title: string, group?: string][]): SuiteReport {
  const assertionResults = tests.map(([status, title, group]) => ({
    status,
    title,
    ancestorTitles: group ? [group] : [],
  }));
  const status = tests.some(([status]) => status === "failed") ? "failed" : "passed";
  return { testResults: [{ name: "x.test.ts", status, assertionResults }] };
}

test("the checklist has all rows of all sections, each complete", () => {
  const counts = { A: 35, B: 56, C: 59, D: 49, E: 15 };
  const ids = Object.entries(counts).flatMap(([letter, n]) => Array.from({ length: n }, (_, i) => `${letter}${i + 1}`));
  expect(checklist.rows.map(({ id }) => id)).toEqual(ids);
  expect(Object.keys(checklist.sections)).toEqual(Object.keys(counts));
  for (const { id, level, seed, requirement, check } of checklist.rows) {
    expect(level, id).toMatch(/^(MUST|SHOULD|MAY|INFO)/);
    for (const cell of [seed, requirement, check]) expect(cell, id).not.toBe("");
  }
  expect([...checklist.decisions]).toEqual(Array.from({ length: 39 }, (_, i) => `X${i + 1}`));
});

test("a row has passed when a test with its id passed and none failed", () => {
  const verdict = judge(
    checklist,
    report(
      ["passed", "[A1] one"],
      ["passed", "[A2 A3] two at once"],
      ["passed", "[A4] [A5][A6] three, written otherwise"],
      ["passed", "[B1] once well"],
      ["failed", "[B1] once not"],
      ["skipped", "[B2] left out"],
      ["todo", "[B3] some day"],
      ["failed", "[B4] not at all", "a group"],
      ["passed", "an adapter: [X17] [C53] a decision is cited"],
      ["failed", "no id"],
    ),
  );
  expect(verdict.passed).toEqual(["A1", "A2", "A3", "A4", "A5", "A6", "C53"]);
  expect(verdict.failed).toEqual(["B1", "B4"]);
  expect(verdict.missing).toHaveLength(214 - 7 - 2);
  expect(verdict.missing).toEqual(expect.arrayContaining(["B2", "B3", "E15"]));
  expect(verdict.failures).toEqual(["[B1] once not", "a group > [B4] not at all", "no id"]);
  expect(verdict.errors).toEqual([]);
});

test.each([
  ["[F1] a section that is none"],
  ["[A0] a row that is none"],
  ["[A36] a row too far"],
  ["[X40] a decision that was not taken"],
  ["[A1 A99] a good one and a bad one"],
  ["[A1 A2 A3 A4] too many"],
  ["[A1] [A2] [A3][A4] too many in another way"],
])("a title with an error proves nothing, and is told (number %#)", (title) => {
  const { passed, errors } = judge(checklist, report(["passed", title]));
  expect(passed).toEqual([]);
  expect(errors).toHaveLength(1);
});

test("brackets without ids are only text; ids of a group are an error", () => {
  const titles = ["[] empty", "[a1] small", "[CI] letters", "[3] digits", "a [list]"];
  expect(judge(checklist, report(...titles.map((title): [string, string] => ["passed", title]))).errors).toEqual([]);
  expect(judge(checklist, report(["passed", "text", "[A1] group"])).errors).toHaveLength(1);
});

test("a test file that did not load, and a run without tests, are errors", () => {
  const broken = {
    testResults: [{ name: "x.test.ts", status: "failed", message: "no such module", assertionResults: [] }],
  };
  expect(judge(checklist, broken).errors).toEqual(["x.test.ts: did not run: no such module"]);
  expect(judge(checklist, { testResults: [] }).errors).toEqual(["no test ran"]);
});
