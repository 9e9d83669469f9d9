/** What programs and people may give a daemon: each is refused in words, or kept exactly as it is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Daemon, startDaemon } from "../daemon.ts";
import { CheckedClient as Client } from "./checked.ts";
import { type ContactList, type InviteInfo, MAX_JSON_BYTES, type MessagePage, type OutboxList } from "./contract.ts";

/** Clears a screen, turns the direction, ends lines. */
const NASTY = "a\u001b[2J\u009b31m\u0007b\r\n\u202egnp.exe\u2066\u2028\u0000c";
let dir: string;
let alice: Daemon;
let bob: Daemon;
let toAlice: Client;
let toBob: Client;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-api-"));
  const local = { host: "127.0.0.1", port: 0, say: () => {} };
  alice = await startDaemon({ ...local, home: join(dir, "alice"), name: "alice" });
  bob = await startDaemon({ ...local, home: join(dir, "bob"), name: "bob" });
  [toAlice, toBob] = [new Client(alice.socket), new Client(bob.socket)];
  const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites", {});
  await toAlice.call("POST", "/v1/contacts", { link });
});

afterAll(async () => {
  await alice.close();
  await bob.close();
  await rm(dir, { recursive: true });
});

const codeOf = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => "accepted",
    (error: { code: unknown }) => error.code,
  );

test("a text is kept as it was written, whatever a terminal would do with it, in pages and in events alike", async () => {
  const stop = new AbortController();
  const events = await toBob.events(undefined, stop.signal);
  await toAlice.call("POST", "/v1/messages", { contact: "bob", text: NASTY });
  for await (const { type, data } of events) {
    if (type !== "mail") continue;
    expect(data).toMatchObject({ text: NASTY });
    break;
  }
  stop.abort();
  const { messages } = await toBob.call<MessagePage>("GET", "/v1/messages");
  expect(messages.map(({ text }) => text)).toEqual([NASTY]);
});

test("a file whose name is a path, or turns the direction of text, is not sent, and nothing of it is queued", async () => {
  const { outbox: before } = await toAlice.call<OutboxList>("GET", "/v1/outbox");
  for (const name of ["../x", "a\\b", "x\u202etxt.exe", "x\u001b[2J", "..", "x\n", "x\u2028"]) {
    const query = new URLSearchParams({ contact: "bob", name });
    expect(await codeOf(toAlice.upload(`/v1/files?${query}`, Readable.from([Buffer.from("x")])))).toBe("bad-file");
  }
  const { outbox: after } = await toAlice.call<OutboxList>("GET", "/v1/outbox");
  expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
});

test("an invite of megabytes, of a million paths or of control characters is refused, and makes no contact", async () => {
  const { link } = await toBob.call<InviteInfo>("POST", "/v1/invites", {});
  const { contacts: before } = await toAlice.call<ContactList>("GET", "/v1/contacts");
  const add = (text: string): Promise<unknown> => codeOf(toAlice.call("POST", "/v1/contacts", { link: text }));
  const path = link.match(/&paths=[a-z2-7]+/)?.[0] ?? "&paths=aa";
  const withPaths = (count: number): string => link.replace("&invite=", `${path.repeat(count)}&invite=`);
  expect(await add(withPaths(1_000_000))).toBe("too-large");
  expect(await add(`${link}${"x".repeat(2 * MAX_JSON_BYTES)}`)).toBe("too-large");
  for (const text of [`${link}${"x".repeat(100_000)}`, withPaths(1000)]) expect(await add(text)).toBe("bad-request");
  for (const text of [withPaths(40), `${link}\u202e`, link.replace("invite=", "invite=\u001b")])
    expect(await add(text)).toBe("bad-invite");
  expect((await toAlice.call<ContactList>("GET", "/v1/contacts")).contacts.map(({ id }) => id)).toEqual(
    before.map(({ id }) => id),
  );
});
