import fc from "fast-check";
import { expect, test } from "vitest";
import { inOrder, type Said, shownTime } from "./conversation.ts";

const ids = (mails: readonly Said[]): string => mails.map(({ id }) => id).join("");

/** Two or three writers with clocks that are wrong; each sees some of what the others wrote before, and knows its own. */
const conversation = fc
  .array(fc.record({ writer: fc.nat(2), seen: fc.array(fc.nat(30), { maxLength: 8 }), time: fc.nat(20) }), {
    maxLength: 30,
  })
  .map((drafts) =>
    drafts.map(({ writer, seen, time }, i): Said => {
      const after = [...new Set(seen.filter((each) => each < i && drafts[each]?.writer !== writer))].map(String);
      return { id: String(i), after, time, line: String(writer), place: i };
    }),
  );
const shuffled = (mails: readonly Said[]) =>
  fc.shuffledSubarray([...mails], { minLength: mails.length, maxLength: mails.length });

test("a mail stands behind what its writer had seen, whatever the clocks say", () => {
  const question = { id: "a", after: [], time: 50, line: "me", place: 1 };
  const answer = { id: "b", after: ["a"], time: 10, line: "bob", place: 1 };
  const thanks = { id: "c", after: ["b"], time: 20, line: "me", place: 2 };
  expect(ids(inOrder([thanks, answer, question]))).toBe("abc");
});

test("what nobody had seen of the other is in the order of the clocks, then of the ids", () => {
  const mail = (id: string, time: number, line: string): Said => ({ id, after: [], time, line, place: 1 });
  expect(ids(inOrder([mail("b", 2, "x"), mail("a", 2, "y"), mail("c", 1, "z")]))).toBe("cab");
});

test("any order of arrival gives the same conversation, each mail in it once", () => {
  fc.assert(
    fc.property(
      conversation.chain((mails) => fc.tuple(fc.constant(mails), shuffled(mails))),
      ([mails, arrived]) => {
        const ordered = inOrder(arrived);
        expect(ordered).toEqual(inOrder(mails));
        expect(new Set(ordered)).toEqual(new Set(mails));
      },
    ),
  );
});

test("no mail stands before one that its writer had seen, nor before one that its writer wrote earlier", () => {
  fc.assert(
    fc.property(conversation.chain(shuffled), (mails) => {
      const ordered = inOrder(mails);
      const place = new Map(ordered.map(({ id }, i) => [id, i]));
      for (const [i, mail] of ordered.entries()) {
        for (const id of mail.after) expect(place.get(id) ?? -1).toBeLessThan(i);
        for (const other of ordered.slice(i))
          if (other.line === mail.line) expect(other.place).toBeGreaterThanOrEqual(mail.place ?? 0);
      }
    }),
  );
});

test("ids that are missing, one's own, or in a circle change nothing but the order, and end", () => {
  const after = fc.array(
    fc.nat(12).map((id) => String(id)),
    { maxLength: 8 },
  );
  const place = fc.option(fc.nat(5), { nil: undefined });
  const mail = fc
    .record({ id: fc.nat(9).map(String), after, time: fc.nat(3), line: fc.constantFrom("x", "y"), place })
    .map(({ place, line, ...rest }): Said => (place === undefined ? rest : { ...rest, line, place }));
  const mails = fc.uniqueArray(mail, { selector: (it) => `${it.id} ${it.line} ${it.place}`, maxLength: 20 });
  fc.assert(
    fc.property(
      mails.chain((all) => fc.tuple(fc.constant(all), shuffled(all))),
      ([all, arrived]) => {
        expect(ids(inOrder(arrived))).toBe(ids(inOrder(all)));
        expect(inOrder(all)).toHaveLength(all.length);
      },
    ),
  );
  const circle = ["a", "b", "c"].map((id, i): Said => ({ id, after: ["abc"[(i + 1) % 3] ?? ""], time: i }));
  expect(ids(inOrder(circle))).toBe("acb"); // the oldest, then what waited for it
});

test("a mail from the future is shown as written a day after it came at most", () => {
  expect(shownTime(1000, 5000)).toBe(1000);
  expect(shownTime(Date.UTC(9999, 0), 5000)).toBe(5000 + 86_400_000);
});
