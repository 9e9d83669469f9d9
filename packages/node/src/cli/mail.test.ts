import { expect, test } from "vitest";
import type { Client } from "../api/client.ts";
import { outbox, track } from "./mail.ts";
import type { Screen } from "./screen.ts";

const [PHONE, LAPTOP] = ["p".repeat(52), "q".repeat(52)];

test("a mail that some of a contact's devices have says so, and which they are", async () => {
  const mail = { id: "ab".repeat(16), contact: "cd".repeat(16), kind: "text", state: "delivered", suite: "forward" };
  const times = { created: 1_700_000_000_000, expires: 1_701_209_600_000 };
  const one = { ...mail, ...times, size: 5, parts: 1, acked: 1, handed: 2, delivered: { k: 1, n: 2 } };
  const ledger = [
    { at: times.created, state: "queued" },
    { at: times.created, state: "delivered", peer: PHONE },
  ];
  const answers: Record<string, unknown> = {
    "/v1/contacts": { contacts: [{ id: mail.contact, name: "Bob" }] },
    "/v1/outbox": { outbox: [one, { ...one, delivered: { k: 2, n: 2 } }] },
    [`/v1/outbox/${mail.id}`]: { id: mail.id, state: "delivered", ledger, mail: one },
  };
  const client = { call: async (_: string, path: string) => answers[path] } as unknown as Client;
  const out: string[] = [];
  const screen: Screen = {
    ...{ json: false, isTerminal: false, hasColor: false, columns: 80 },
    out: (line) => void out.push(line),
    say: () => expect.fail("there is nothing to say"),
    paint: (_, text) => text,
  };
  await outbox(screen, client);
  expect(out.slice(1)).toEqual([
    expect.stringMatching(/ delivered to 1 of 2 .* text, 5 bytes +Bob$/),
    expect.stringMatching(/ delivered +\d.* text, 5 bytes +Bob$/),
  ]);
  out.length = 0;
  await track(screen, client, mail.id);
  expect(out.slice(-2)).toEqual([
    expect.stringMatching(new RegExp(` delivered +by ${PHONE.slice(0, 12)}$`)),
    "delivered to 1 of 2",
  ]);
  expect(out.join()).not.toContain(LAPTOP.slice(0, 12));
});
