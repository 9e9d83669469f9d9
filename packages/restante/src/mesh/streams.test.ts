import { expect, test } from "vitest";
import { concat } from "../bytes/index.ts";
import { MeshNet, open } from "../testing/meshes.ts";

test("whose packets come many at a time is answered once for each time, and no more when that shows that it does not wait", () => {
  const net = new MeshNet();
  const [a, b] = [net.peer("tcp1"), net.peer("tcp2")];
  a.want(b);
  net.run(1_000);
  net.reaches = () => false; // from here on a's packets come when they are handed over
  const answers: number[][] = [];
  for (let i = 0; i < 20; i++) {
    const since = ++net.now;
    for (let k = 0; k < 8; k++) open(a, b, { type: "news" }, new Uint8Array(100));
    b.do({ type: "received", path: a.path, bytes: concat(...net.between(a, b, since).map(({ bytes }) => bytes)) });
    answers.push(net.between(b, a, since).flatMap(({ bytes }) => [...bytes]));
  }
  expect(answers[0]).toEqual([0]); // a zero chunk
  expect(answers.slice(-5)).toEqual([[], [], [], [], []]);
  expect(b.log.filter(({ type }) => type === "opened")).toHaveLength(160);
});
