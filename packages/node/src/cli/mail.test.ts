import { once } from "node:events";
import { mkdtempSync, type ReadStream, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CONTENT_LIMIT } from "restante";
import { expect, test } from "vitest";
import type { Client } from "../api/client.ts";
import { outbox, send, track } from "./mail.ts";
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
    "/v1/contacts": { contacts: [{ id: mail.contact, name: "Bob", hashnames: [PHONE, LAPTOP] }] },
    "/v1/outbox": { outbox: [one, { ...one, id: "ef".repeat(16), delivered: { k: 2, n: 2 } }], behind: 7 },
    [`/v1/contacts/${mail.contact}/history?limit=200`]: {
      entries: [{ id: mail.id, text: `a\nb\u001b[31m ${"long ".repeat(99)}` }],
    },
    [`/v1/outbox/${mail.id}`]: { id: mail.id, state: "delivered", ledger, mail: one },
  };
  const client = { call: async (_: string, path: string) => answers[path] } as unknown as Client;
  const [out, said]: [string[], string[]] = [[], []];
  const screen: Screen = {
    ...{ json: false, isTerminal: false, hasColor: false, columns: 80 },
    out: (line) => void out.push(line),
    say: (line) => void said.push(line),
    paint: (_, text) => text,
  };
  await outbox(screen, client);
  expect(said.splice(0)).toEqual(["and 7 more that wait behind these for their turn"]);
  expect(out.slice(1)).toEqual([
    expect.stringMatching(/ delivered to 1 of 2 .* text, 5 bytes +Bob +a b\ufffd\[31m long(?=.{20,60}$).*…$/),
    expect.stringMatching(/ delivered +\d.* text, 5 bytes +Bob$/),
  ]);
  out.length = 0;
  await track(screen, client, mail.id);
  expect(out.slice(-2)).toEqual([
    expect.stringMatching(new RegExp(` delivered +by ${PHONE.slice(0, 12)}$`)),
    "delivered to 1 of 2",
  ]);
  expect(out.join()).not.toContain(LAPTOP.slice(0, 12));
  expect(said).toEqual([]);
});

test("a large file that waits for a link says so, in the outbox too; --now sends it at once; one that is too large is not read", async () => {
  const dir = mkdtempSync(join(tmpdir(), "restante-send-"));
  const file = join(dir, "film.mp4");
  writeFileSync(file, "film");
  const [asked, out, said]: [string[], string[], string[]] = [[], [], []];
  const id = "ab".repeat(16);
  const mail = {
    id,
    contact: "cd".repeat(16),
    kind: "file",
    name: "film.mp4",
    state: "queued",
    created: 0,
    size: 2 ** 25,
    parts: 1171,
  };
  const waits = { ...mail, handed: 0, acked: 0, delivered: { k: 0, n: 1 }, waits: "link" };
  const client = {
    call: async (_: string, path: string) =>
      path === "/v1/outbox" ? { outbox: [waits] } : { contacts: [], entries: [] },
    upload: async (path: string, body: ReadStream, length: number) => {
      asked.push(`${path} ${length}`);
      // It may still be opening: the file goes only when that is over.
      const closed = once(body, "close");
      body.destroy();
      await closed;
      return path.includes("insist=true") ? { id } : { id, waits: "link" };
    },
  } as unknown as Client;
  const screen: Screen = {
    ...{ json: false, isTerminal: true, hasColor: false, columns: 200 },
    out: (line) => void out.push(line),
    say: (line) => void said.push(line),
    paint: (_, text) => text,
  };
  await send(screen, client, "bob", [], { file: [file] });
  await send(screen, client, "bob", [], { file: [file], now: true });
  const query = "contact=bob&name=film.mp4&media=video%2Fmp4";
  expect(asked).toEqual([`/v1/files?${query} 4`, `/v1/files?${query}&insist=true 4`]);
  expect(said[0]).toMatch(
    /^film\.mp4 for bob waits until there is a link to its recipient, .* cancel abababababab`, then send it again with --now$/,
  );
  expect(said[1]).toBe("film.mp4 for bob is queued, for caches too");
  out.length = 0;
  await outbox(screen, client);
  expect(out[1]).toMatch(/ waits for a link +1970.* file, 32\.0 MiB, film\.mp4 /);
  const piped = async (words: string[], asks: Partial<Screen> = {}): Promise<string[]> => {
    said.length = 0;
    await send({ ...screen, ...asks }, client, "bob", words, { file: [file], now: true }, () => true);
    asked.pop();
    return said;
  };
  expect(await piped([])).toEqual([expect.stringContaining("what comes by the pipe is not sent"), expect.any(String)]);
  expect(await piped([], { isTerminal: false })).toEqual([]);
  truncateSync(file, CONTENT_LIMIT + 1);
  await expect(send(screen, client, "bob", [], { file: [file] })).rejects.toMatchObject({ code: "too-large" });
  expect(asked).toHaveLength(2);
  rmSync(dir, { recursive: true });
});
