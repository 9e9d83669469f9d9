import { describe, expect, test } from "vitest";
import { concat } from "../bytes/index.ts";
import { MeshNet, type MeshPeer, open } from "../testing/meshes.ts";

/** Two peers with a link on streams; what `a` sends is handed over by `give`, many packets at a time. */
function scene(cloak = true) {
  const net = new MeshNet();
  const [a, b] = [net.peer("tcp1", { cloak }), net.peer("tcp2", { cloak })];
  a.want(b);
  net.run(1_000);
  net.reaches = () => false;
  const give = (packets: number): void => {
    const since = ++net.now;
    for (let k = 0; k < packets; k++) open(a, b, { type: "news" }, new Uint8Array(100));
    b.do({ type: "received", path: a.path, bytes: concat(...net.between(a, b, since).map(({ bytes }) => bytes)) });
  };
  const said = (by: MeshPeer, since: number): { at: number; bytes: number[] }[] =>
    net.between(by, by === a ? b : a, since).map(({ at, bytes }) => ({ at: at - since, bytes: [...bytes] }));
  return { net, a, b, give, said };
}

describe("what comes on a stream is answered", () => {
  test("[X29] at once where it has no cloak, once for what came together", () => {
    const { net, b, give, said } = scene(false);
    give(8);
    const since = net.now;
    net.run(1_000);
    expect(said(b, since)).toEqual([{ at: 0, bytes: [0] }]);
  });

  test("[X29] within 100 ms where it has one, unless something else is said there meanwhile", () => {
    const { net, a, b, give, said } = scene();
    give(8);
    const since = net.now;
    net.run(50);
    give(8);
    net.run(1_000);
    expect(said(b, since)).toEqual([
      { at: 100, bytes: [0] }, // for all that came until then
    ]);
    give(1);
    const then = net.now;
    net.run(50);
    open(b, a, { type: "answer" }, new Uint8Array(9));
    net.run(1_000);
    expect(said(b, then).map(({ at, bytes }) => [at, bytes.length > 1])).toEqual([[50, true]]);
  });

  test("no more when many packets show that their sender does not wait for it", () => {
    const { net, b, give, said } = scene();
    const answers: number[] = [];
    for (let i = 0; i < 20; i++) {
      give(8);
      const since = net.now;
      net.run(200);
      answers.push(said(b, since).length);
    }
    expect(answers[0]).toBe(1);
    expect(answers.slice(-5)).toEqual([0, 0, 0, 0, 0]);
    expect(b.log.filter(({ type }) => type === "opened")).toHaveLength(160);
  });

  test("not for a connection that is over", () => {
    const { net, a, b, give, said } = scene();
    give(1);
    b.do({ type: "path", path: a.path, open: true }); // anew
    const since = net.now;
    net.run(1_000);
    expect(said(b, since)).toEqual([]);
  });
});
