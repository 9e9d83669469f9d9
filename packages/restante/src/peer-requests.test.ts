/** Mail of a stranger: told, accepted or ignored. */
import { expect, test } from "vitest";
import { encodeInvite } from "./card/index.ts";
import { Bench, CACHE, HOUR, invite, MINUTE, Side, urisOf } from "./testing/roots.ts";

/** Eve, who has an invite of alice's without its secret, and so can only ask at alice's cache. */
function withRequest(): { bench: Bench; alice: Side; eve: Side; request: string } {
  const bench = new Bench();
  const [alice, eve] = [new Side(bench, "alice"), new Side(bench, "eve")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  alice.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  const { secret: _, ...open } = invite(alice.invite());
  eve.call({ type: "add", link: encodeInvite({ ...open, paths: [] }) }, MINUTE);
  const contact = eve.contact(alice) ?? "";
  eve.call({ type: "send", contact, mail: { kind: "text", text: "may I?" } }, 5 * MINUTE);
  const [found] = alice.root.requests();
  if (found === undefined) throw new Error("no request");
  expect(found).toMatchObject({ hashname: eve.hashname, name: "eve", texts: ["may I?"] });
  return { bench, alice, eve, request: found.request };
}

test("a stranger's mail is a request: told once, shown to nobody, not acknowledged", () => {
  const { bench, alice, eve } = withRequest();
  bench.run(8 * HOUR); // past the second offer of the same
  expect(alice.events("request").map(({ hashname }) => hashname)).toEqual([eve.hashname]);
  expect([alice.texts(), alice.contact(eve), bench.count("alice", "eve")]).toEqual([[], undefined, 0]);
  expect(eve.root.outbox().map(({ state }) => state)).toEqual(["handed", "handed"]);
});

test("an accepted request is a contact: what it wrote is shown, and both can write on", () => {
  const { bench, alice, eve, request } = withRequest();
  expect(alice.call({ type: "accept", request }, 10 * MINUTE)?.value).toEqual({ contact: alice.contact(eve) });
  expect(alice.texts()).toEqual(["may I?"]);
  expect(alice.root.requests()).toEqual([]);
  expect(eve.root.outbox().every(({ state }) => state === "delivered")).toBe(true);
  // Eve knows by now how alice wants to be reached by her.
  expect(urisOf(eve, alice)).toHaveLength(1);
  alice.call({ type: "send", contact: alice.contact(eve) ?? "", mail: { kind: "text", text: "you may" } }, MINUTE);
  bench.run(MINUTE);
  expect(eve.texts()).toEqual(["you may"]);
  expect(alice.call({ type: "accept", request })?.code).toBe("not-found");
});

test("an ignored request is gone, and its sender hears nothing and is not heard again", () => {
  const { bench, alice, eve, request } = withRequest();
  expect(alice.call({ type: "ignore", request })?.value).toEqual({});
  expect(alice.root.requests()).toEqual([]);
  const contact = eve.contact(alice) ?? "";
  eve.call({ type: "send", contact, mail: { kind: "text", text: "hello?" } }, 8 * HOUR);
  expect([alice.root.requests(), alice.texts(), bench.count("alice", "eve")]).toEqual([[], [], 0]);
  for (const type of ["accept", "ignore"] as const) expect(alice.call({ type, request })?.code).toBe("not-found");
});

test("a request outlives a restart", () => {
  const { bench, alice, eve, request } = withRequest();
  alice.restart();
  expect(alice.root.requests().map((each) => each.request)).toEqual([request]);
  alice.call({ type: "accept", request }, 5 * MINUTE);
  expect([alice.texts(), alice.contact(eve) === undefined]).toEqual([["may I?"], false]);
  bench.run(MINUTE);
});
