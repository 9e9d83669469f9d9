/** Whoever comes back with the store of some time ago goes on at once: nobody has to wait for what the old one had begun. */
import { expect, test } from "vitest";
import { post, scene } from "./scene.ts";

test("a peer that was put back hands each of its mails to a cache within five seconds, the second as the first, after a stop or a crash", () => {
  for (let seed = 1; seed <= 6; seed++) {
    const { w, alice, bob } = scene({ seed }, ["alice", "bob"], ["carol"]);
    post(w, alice, bob, "before");
    w.run("1 min");
    alice.sleep();
    const backup = alice.backup();
    alice.wake();
    w.run("10 s");
    post(w, alice, bob, "in between");
    w.run("1 min");
    bob.sleep();
    if (seed % 2 === 0) alice.sleep();
    else alice.crash();
    w.run(["1 s", "20 s", "5 min"][seed % 3] ?? "");
    alice.restore(backup);
    alice.wake();
    w.run("1 s");
    for (const text of ["first", "second", "third"]) {
      const id = post(w, alice, bob, text);
      w.run("5 s");
      expect(
        alice.ledger(id).map(({ state }) => state),
        `seed ${seed}, ${text}`,
      ).toContain("handed");
    }
    bob.wake();
    w.run("1 min");
    expect(bob.inbox().sort()).toEqual(["before", "first", "in between", "second", "third"]);
  }
});
