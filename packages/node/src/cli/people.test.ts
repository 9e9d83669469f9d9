import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ContactInfo, createPeer, MemoryNetwork, type Peer } from "restante";
import { linkJson, parseInvite, portable } from "restante/protocol";
import { type MemoryNames, memoryResolver } from "restante/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "../api/client.ts";
import { startCache, startDaemon } from "../daemon.ts";
import { EXIT, failureOf } from "./failure.ts";
import { closeInvite, inviteFrom, leaveCache, invite as makeInvite, remove, status } from "./people.ts";
import type { Screen } from "./screen.ts";

let invite = "";
let close = async (): Promise<void> => {};
beforeAll(async () => {
  const peer = await createPeer({ transports: [new MemoryNetwork().transport("bob")] });
  close = () => peer.close();
  invite = await peer.invite({ once: false });
});
afterAll(() => close());

/** What the domain bob.example publishes by WebFinger. */
function published(more: object): MemoryNames {
  const finger =
    "https://bob.example/.well-known/webfinger?resource=link%3A%2F%2Fbob.example&rel=http%3A%2F%2Ftelehash.org%2Flink";
  const href = "https://bob.example/link.json";
  return {
    web: { [finger]: { links: [{ rel: "http://telehash.org/link", href }] }, [href]: { ...linkOfBob(), ...more } },
  };
}

function linkOfBob() {
  const bob = parseInvite(portable, invite);
  if (bob === undefined) throw new Error("the invite is not readable");
  return linkJson(bob);
}

const secret = (): string => /invite=([a-z2-7]+)/.exec(invite)?.[1] ?? "";
const ask = (text: string, names: MemoryNames) => inviteFrom(text, async () => memoryResolver(names));

async function failure(text: string, names: MemoryNames): Promise<{ code: number; line: string }> {
  return failureOf(
    await ask(text, names).then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
}

test("`add` takes the link of a domain that publishes an invite", async () => {
  const found = await ask("link://bob.example", published({ invite: secret() }));
  expect(parseInvite(portable, found)).toEqual(parseInvite(portable, invite));
  // And the contact comes out of it.
  const alice = await createPeer();
  const contact = await alice.add(found);
  expect(contact.hashnames).toEqual([parseInvite(portable, invite)?.hashname]);
  await alice.close();
});

test("`add` takes link JSON with an invite", async () => {
  const found = await ask(JSON.stringify({ ...linkOfBob(), invite: secret() }), {});
  expect(parseInvite(portable, found)).toEqual(parseInvite(portable, invite));
});

test("an invite goes on as it is, and so does what the daemon knows better to refuse; nobody is asked", async () => {
  const nobody = async (): Promise<never> => {
    throw new Error("asked");
  };
  for (const text of [
    invite,
    "hello",
    "bob.example",
    "link://192.0.2.1/?invite=aa",
    "link://cache.example/?t=aa",
    "link:///",
  ])
    expect(await inviteFrom(text, nobody)).toBe(text);
});

test("a domain without keys, with other keys, or without an invite is refused, each with its exit code", async () => {
  expect(await failure("link://bob.example", {})).toEqual({
    code: 4,
    line: expect.stringMatching(/bob\.example publishes no invite/),
  });
  expect(await failure("link://bob.example", published({}))).toEqual({
    code: 4,
    line: expect.stringMatching(/no invite with it/),
  });
  const offline = inviteFrom("link://bob.example", async () => ({
    ...memoryResolver({}),
    fetch: () => Promise.reject(new Error("no route")),
  }));
  expect(failureOf(await offline.catch((error: unknown) => error))).toEqual({
    code: 1,
    line: expect.stringMatching(/bob\.example could not be asked/),
  });
  const pinned = `link://bob.example/?hashname=${"a".repeat(52)}&cs3a=aa`;
  expect(await ask(pinned, {})).toBe(pinned); // it has keys: the daemon refuses it
  const names = published({ invite: secret() });
  const [finger = "", href = ""] = Object.keys(names.web ?? {});
  const uri = `link://bob.example/?hashname=${"a".repeat(52)}`;
  const moved = finger.replace("link%3A%2F%2Fbob.example", encodeURIComponent(uri));
  const web = { [moved]: names.web?.[finger], [href]: names.web?.[href] };
  expect(await failure(uri, { web })).toEqual({ code: 5, line: expect.stringMatching(/not those/) });
});

describe("what is taken back", () => {
  /** Of somebody with a daemon and two caches. */
  let dir: string;
  let client: Client;
  let caches: Peer[];
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "restante-people-"));
    const local = { host: "127.0.0.1", port: 0 };
    caches = await Promise.all(["one", "two"].map((name) => startCache({ ...local, home: join(dir, name) })));
    const daemon = await startDaemon({ ...local, home: join(dir, "alice") });
    opened.push(daemon, ...caches);
    client = new Client(daemon.socket);
    for (const cache of caches) await client.call("POST", "/v1/caches", { link: cache.joinLink() });
  });
  const opened: { close(): Promise<void> }[] = [];
  afterAll(async () => {
    for (const it of opened) await it.close();
    await rm(dir, { recursive: true });
  });

  test("a contact that is removed is named, and what it means is said", async () => {
    const { id } = await client.call<ContactInfo>("POST", "/v1/contacts", { link: invite });
    const seen = record();
    expect(await remove(seen.screen, client, id.slice(0, 6))).toBe(EXIT.done);
    expect(seen.out).toEqual([]);
    expect(seen.said).toEqual([
      expect.stringMatching(`^${id.slice(0, 12)} is no contact of yours any more`),
      expect.stringMatching(/^mail to it is given up/),
    ]);
    await expect(remove(seen.screen, client, id.slice(0, 6))).rejects.toMatchObject({ code: "not-found" });
    const again = await client.call<ContactInfo>("POST", "/v1/contacts", { link: invite });
    const script = record({ json: true });
    await remove(script.screen, client, again.id);
    expect(script.out.map((line) => JSON.parse(line))).toMatchObject([
      { id: again.id, hashnames: [parseInvite(portable, invite)?.hashname] },
    ]);
    expect(script.said).toEqual([]);
  });

  test("an invite that is closed is said to be, or given to scripts", async () => {
    for (const json of [false, true]) {
      const made = record({ json });
      await makeInvite(made.screen, client, { reusable: true });
      const link: string = json ? JSON.parse(made.out[0] ?? "").link : made.out[0];
      const seen = record({ json });
      expect(await closeInvite(seen.screen, client, ` ${link}\n`)).toBe(EXIT.done);
      expect(seen.out).toEqual(json ? [JSON.stringify({ link })] : []);
      expect(seen.said).toEqual(json ? [] : [expect.stringMatching(/^this invite is closed/)]);
      await expect(closeInvite(seen.screen, client, link)).rejects.toMatchObject({ code: "not-found" });
    }
  });

  test("caches are listed by status, each is left by its start, and after the last one it says what is missing", async () => {
    const [one = "", two = ""] = caches.map(({ hashname }) => hashname);
    const before = record();
    await status(before.screen, client);
    expect(before.out.join("\n")).toMatch(
      new RegExp(`^caches +${one.slice(0, 12)} \\(\\w+\\)\n {12}${two.slice(0, 12)} \\(\\w+\\)$`, "m"),
    );
    const seen = record();
    expect(await leaveCache(seen.screen, client, one.slice(0, 12))).toBe(EXIT.done);
    expect(seen.said.join("\n")).toMatch(new RegExp(`^${one.slice(0, 12)} is no cache of yours any more`));
    expect(seen.said.join("\n")).not.toMatch(/you have no cache now/);
    await expect(leaveCache(seen.screen, client, one)).rejects.toMatchObject({ code: "not-found" });
    const last = record();
    await leaveCache(last.screen, client, two);
    expect(last.said.at(-1)).toMatch(/^you have no cache now/);
    await client.call("POST", "/v1/caches", { link: caches[0]?.joinLink() });
    const script = record({ json: true });
    await leaveCache(script.screen, client, one);
    expect(script.out).toEqual([JSON.stringify({ cache: one, others: 0 })]);
    expect(script.said).toEqual([]);
  });
});

/** A screen that keeps what it is given. */
function record({ json = false } = {}): { screen: Screen; out: string[]; said: string[] } {
  const [out, said]: [string[], string[]] = [[], []];
  const screen: Screen = {
    ...{ json, isTerminal: false, hasColor: false, columns: 80 },
    out: (line) => void out.push(line),
    say: (line) => void said.push(line),
    paint: (_, text) => text,
  };
  return { screen, out, said };
}
