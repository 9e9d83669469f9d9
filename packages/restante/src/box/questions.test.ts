import fc from "fast-check";
import { expect, test } from "vitest";
import { Questions } from "./questions.ts";

test("whatever is asked and settled in whatever order, what is left is what a map would hold", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ ask: fc.integer({ min: 1, max: 700 }) }) },
    { weight: 3, arbitrary: fc.record({ settleFirst: fc.integer({ min: 1, max: 900 }) }) },
    { weight: 1, arbitrary: fc.record({ settle: fc.nat(5000) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const questions = new Questions<{ readonly op: number }>();
      const model = new Map<number, { readonly op: number }>();
      const settle = (op: number): void => {
        expect(questions.settle(op)).toBe(model.get(op));
        model.delete(op);
      };
      for (const each of steps) {
        if ("ask" in each) {
          for (let i = 0; i < each.ask; i++) {
            const question = { op: questions.next };
            questions.add(question);
            model.set(question.op, question);
          }
        } else if ("settle" in each) settle(each.settle);
        else for (const op of [...model.keys()].slice(0, each.settleFirst)) settle(op);
        expect(questions.oldest()).toBe(model.values().next().value);
      }
      for (const op of [...model.keys()]) {
        expect(questions.oldest()?.op).toBe(op);
        settle(op);
        settle(op);
      }
      expect(questions.oldest()).toBeUndefined();
    }),
    { numRuns: 20 },
  );
});

test("one that is never answered stays the oldest, however many come and go after it", () => {
  const questions = new Questions<{ readonly op: number }>();
  for (let i = 0; i < 5000; i++) questions.add({ op: questions.next });
  for (let op = 2; op <= 5000; op++) expect(questions.settle(op)?.op).toBe(op);
  expect(questions.oldest()).toEqual({ op: 1 });
  expect(questions.settle(0)).toBeUndefined();
  expect(questions.settle(1)).toEqual({ op: 1 });
  expect(questions.oldest()).toBeUndefined();
});
