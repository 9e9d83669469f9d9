/** Mail that is cancelled when its recipient has some of it. */
import { expect, test } from "vitest";
import { scene } from "./scene.ts";

test("of a file that was cancelled when some of it had been fetched, its recipient hears by the cache: once, and nothing of it stays, through crashes", () => {
  const { w, alice, bob, carol } = scene({ seed: 5, loss: 0.1 }, ["alice", "bob"], ["carol"], { cap: 128 << 10 });
  bob.sleep();
  let id = "";
  alice.sendFile(bob, "film", w.chance.random(400_000), (known = "") => {
    id = known;
  });
  w.run("1 min");
  alice.sleep();
  bob.wake();
  w.run("1 min");
  const waiting = (): string[] => [...bob.disk.keys()].filter((key) => key.startsWith("mail/file/"));
  const ends = (): unknown[] =>
    bob.events.flatMap((event) => (event.type === "progress" && event.ended ? [event.ended] : []));
  expect([waiting().length, ends()]).toEqual([1, []]);
  bob.crash();
  alice.wake();
  w.run("1 s");
  alice.call({ type: "cancel", id });
  w.run("1 min");
  alice.crash();
  bob.wake();
  w.run("1 min");
  expect([waiting(), ends(), [...bob.blobs.keys()], bob.inbox()]).toEqual([[], ["cancelled"], [], []]);
  bob.crash();
  bob.wake();
  alice.wake();
  w.run("1 day");
  expect([waiting(), ends(), carol.held]).toEqual([[], ["cancelled"], 0]);
});
