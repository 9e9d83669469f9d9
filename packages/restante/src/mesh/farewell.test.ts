import { expect, test } from "vitest";
import { concat } from "../bytes/index.ts";
import { linked, type Sent, tcp } from "../testing/mesh-pairs.ts";

const NOTHING = new Uint8Array(0);

/** A link on streams, and what one end sends together: a goodbye, and a channel behind it. */
function scene() {
  const [net, gone, left] = linked(tcp);
  const held: Uint8Array[] = [];
  net.delays = ({ from, bytes }: Sent) => {
    if (from === gone) held.push(bytes.slice());
    return [];
  };
  const head = { type: "link" };
  gone.do({ type: "open", ch: 1_000_000, peer: left.hashname, reliable: false, head, body: NOTHING, end: true });
  gone.say(left, "too late");
  const [path] = gone.paths;
  if (path === undefined) throw new Error("no path");
  const read = () => left.do({ type: "received", path, bytes: concat(...held) });
  return { net, gone, left, read };
}

test("what comes behind a goodbye, in the same read, is not told", () => {
  const { gone, left, read } = scene();
  const told = read();
  expect(told.filter(({ type }) => type === "down")).toHaveLength(1);
  expect(told.filter(({ type }) => type === "opened" || type === "packets" || type === "writable")).toEqual([]);
  expect(left.got).not.toContain("too late");
  expect(left.mesh.isUp(gone.hashname)).toBe(false);
});

test("who said goodbye and comes back has its link, whatever is done with a channel of before", () => {
  const { net, gone, left, read } = scene();
  read();
  net.delays = () => [10];
  gone.restart();
  gone.want(left);
  net.run(5_000);
  expect(left.mesh.isUp(gone.hashname)).toBe(true);
  for (let ch = 0; ch < 3000; ch++) left.do({ type: "fail", ch, err: "late" });
  expect(left.mesh.isUp(gone.hashname)).toBe(true);
  gone.say(left, "again");
  net.run(1_000);
  expect(left.got).toContain("again");
});
