import { expect, test } from "vitest";
import { ProgressLine, progressText } from "./progress.ts";

const film = { way: "out", contact: "c", id: "i", name: "film.mp4", size: 2 ** 30, of: 100 } as const;

test("how far a file is stands in one line: a bar where there is room, and always the share and the amount", () => {
  expect(progressText({ ...film, done: 50 }, 80)).toBe(
    `film.mp4  [${"#".repeat(20)}${".".repeat(20)}]  50 %  512 MiB of 1.0 GiB`,
  );
  expect(progressText({ ...film, done: 50 }, 40)).toBe("film.mp4  50 %  512 MiB of 1.0 GiB");
  expect(progressText({ ...film, done: 100 }, 80)).toContain("100 %  1.0 GiB of 1.0 GiB");
  expect(progressText({ way: "in", contact: "c", id: "i", done: 1, of: 4 }, 60)).toMatch(
    /^a file {2}\[#+\.+\] {2}25 % {2}1 of 4 parts$/,
  );
  expect(progressText({ ...film, name: "a\u001b[2Jb", done: 1 }, 80)).not.toContain("\u001b");
});

test("the line is written over, taken away before other lines, and is not there without a terminal or in JSON", () => {
  const written: string[] = [];
  const foot = { isTerminal: true, columns: 60, write: (text: string) => void written.push(text) };
  const line = new ProgressLine({ json: false }, foot);
  line.clear();
  expect(written).toEqual([]);
  for (const done of [1, 2]) line.show({ ...film, done });
  line.clear();
  line.clear();
  expect(written).toHaveLength(3);
  for (const text of written) {
    expect(text.startsWith("\r\u001b[K")).toBe(true);
    expect(text.slice(4)).toMatch(/^[^\r\n]{0,59}$/);
  }
  new ProgressLine({ json: true }, foot).show({ ...film, done: 1 });
  new ProgressLine({ json: false }, { ...foot, isTerminal: false }).show({ ...film, done: 1 });
  expect(written).toHaveLength(3);
});
