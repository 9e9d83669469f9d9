import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ContactInfo, createPeer, MemoryNetwork, type Peer, RestanteError } from "restante";
import { admissionWork, linkJson, parseInvite, portable, safetyWords } from "restante/protocol";
import { type MemoryNames, memoryResolver } from "restante/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "../api/client.ts";
import type { ContactList, StatusInfo } from "../api/contract.ts";
import { startCache, startDaemon } from "../daemon.ts";
import { EXIT, failureOf } from "./failure.ts";
import { cancel, outbox, send, track } from "./mail.ts";
import {
  add,
  addDevice,
  addToList,
  block,
  blocked,
  closeInvite,
  contacts,
  deviceLink,
  devices,
  inviteFrom,
  leaveCache,
  lists,
  invite as makeInvite,
  readMarks,
  remove,
  removeDevice,
  removeFromList,
  status,
  unblock,
  verify,
} from "./people.ts";
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

test.each(["Hi, here is my link:\n", ""])(
  "a link is taken out of a mail, with %j before and wrapped lines in it",
  async (words) => {
    const asked: string[] = [];
    let known = "";
    const client = {
      call: async (method: string, path: string, { link }: { link: string } = { link: "" }) => {
        if (method === "GET") return { contacts: [{ id: known }] };
        asked.push(path);
        if (parseInvite(portable, link) === undefined) throw new RestanteError("bad-invite", "damaged");
        expect(link).toBe(invite);
        return { id: "ab", name: "Bob" };
      },
    } as unknown as Client;
    const { screen, said } = record();
    const text = `${words}${invite.slice(0, 70)}\n> ${invite.slice(70)}\nyours\n`;
    for (const use of [add, closeInvite]) expect(await use(screen, client, text)).toBe(EXIT.done);
    expect(said[0]).toMatch(/^Bob is your contact now/);
    known = "ab";
    await add(screen, client, text);
    expect(said.at(-1)).toMatch(/^Bob was your contact already/);
    expect(new Set(asked)).toEqual(new Set(["/v1/contacts", "/v1/invites/close"]));
    await expect(add(screen, client, invite.slice(0, -1))).rejects.toMatchObject({ code: "bad-invite" });
  },
);

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
      expect.stringMatching(/^who has an invite of yours can still ask: `.* invite --close` makes one void$/),
      expect.stringMatching(/^what you wrote to each other stays on this machine: `.* find`/),
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

  test("who is blocked is listed, cannot be added, and is a stranger again when that is taken back", async () => {
    const { id } = await client.call<ContactInfo>("POST", "/v1/contacts", { link: invite });
    const bob = parseInvite(portable, invite)?.hashname ?? "";
    const seen = record();
    expect(await block(seen.screen, client, id.slice(0, 6))).toBe(EXIT.done);
    expect(seen.said[0]).toBe(`${bob.slice(0, 12)} is blocked, and cannot find out`);
    expect(seen.said[1]).toContain(` unblock ${bob.slice(0, 12)}\` takes it back`);
    expect((await client.call<ContactList>("GET", "/v1/contacts")).contacts).toEqual([]);
    await expect(client.call("POST", "/v1/contacts", { link: invite })).rejects.toMatchObject({ code: "blocked" });
    await block(seen.screen, client, bob);
    expect(seen.said.at(-1)).toBe("blocked already");
    await expect(block(seen.screen, client, "nobody")).rejects.toMatchObject({ code: "not-found" });
    const list = record();
    await blocked(list.screen, client);
    expect(list.out).toEqual([expect.stringMatching(/^HASHNAME/), expect.stringMatching(`^${bob.slice(0, 12)} `)]);
    const script = record({ json: true });
    await blocked(script.screen, client);
    expect(script.out.map((line) => JSON.parse(line))).toMatchObject([{ hashname: bob }]);
    expect(await unblock(seen.screen, client, bob.slice(0, 5))).toBe(EXIT.done);
    expect(seen.said.at(-1)).toMatch(/is a stranger now/);
    await blocked(seen.screen, client);
    expect(seen.said.at(-1)).toBe("nobody is blocked");
    await expect(unblock(seen.screen, client, bob)).rejects.toMatchObject({ code: "not-found" });
  });

  test("words are printed, and those that were read at the contact's make it verified until that is taken back", async () => {
    const { id } = await client.call<ContactInfo>("POST", "/v1/contacts", { link: invite });
    const { hashname } = await client.call<StatusInfo>("GET", "/v1/status");
    const words = safetyWords(portable, parseInvite(portable, invite)?.hashname ?? hashname, hashname);
    const seen = record();
    const ask = (said: string[], undo = false) => verify(seen.screen, client, id, said, { undo });
    expect(await ask([])).toBe(EXIT.done);
    expect(seen.out.slice(1).join(" ").trim().split(/\s+/)).toEqual(words);
    await expect(ask(words.toReversed())).rejects.toMatchObject({ code: "mismatch" });
    await ask(words);
    expect(seen.said.at(-1)).toMatch(/: verified, on all devices$/);
    await contacts(seen.screen, client);
    expect(seen.out.at(-1)).toMatch(/ yes /);
    await ask([], true);
    expect(seen.said.at(-1)).toMatch(/: not verified$/);
    await expect(ask(words, true)).rejects.toMatchObject({ code: "usage" });
    const script = record({ json: true });
    await verify(script.screen, client, id, [], {});
    const [device] = script.out.map((line) => JSON.parse(line));
    expect(device).toMatchObject({ contact: id, words, isVerified: false });
    await verify(script.screen, client, id, [device.text], {});
    expect(JSON.parse(script.out.at(-1) ?? "")).toMatchObject({ id, verified: "all" });
    await client.call("DELETE", `/v1/contacts/${id}`);
  });

  test("contacts under one name are written to by it: one mail in the outbox, and of each step whose it is", async () => {
    const others = await Promise.all(
      ["carla", "dora"].map((name) => createPeer({ name, transports: [new MemoryNetwork().transport(name)] })),
    );
    const links = [invite, ...(await Promise.all(others.map((peer) => peer.invite())))];
    const ids: string[] = [];
    for (const link of links) ids.push((await client.call<ContactInfo>("POST", "/v1/contacts", { link })).id);
    const seen = record();
    await lists(seen.screen, client);
    expect(seen.said.at(-1)).toMatch(/^no lists yet/);
    await addToList(seen.screen, client, "friends", ids.slice(0, 1));
    await addToList(seen.screen, client, "Friends", ["carla", "dora"]);
    expect(seen.said.at(-1)).toBe("Friends: 3 contacts");
    await lists(seen.screen, client);
    expect(seen.out.at(-1)).toMatch(/^Friends .*, carla, dora$/);
    await expect(addToList(seen.screen, client, "friends", ["nobody"])).rejects.toMatchObject({ code: "not-found" });

    const mail = record();
    expect(await send(mail.screen, client, "friends", ["party"], {})).toBe(EXIT.done);
    const [id = ""] = mail.out;
    await outbox(mail.screen, client);
    expect(mail.out.filter((line) => line.startsWith(id.slice(0, 12)))).toEqual([
      id,
      expect.stringMatching(/queued .* text, 5 bytes +Friends$/),
    ]);
    await track(mail.screen, client, id.slice(0, 8));
    for (const name of ["carla", "dora"]) expect(mail.out.join("\n")).toMatch(new RegExp(`queued +${name}`));
    expect(mail.out.at(-2)).toBe("delivered to 0 of 3");
    await cancel(mail.screen, client, id);
    expect(mail.out.filter((line) => / cancelled /.test(line))).toHaveLength(3);
    await expect(cancel(mail.screen, client, id)).rejects.toMatchObject({ code: "final" });

    await removeFromList(seen.screen, client, "friends", ["carla"]);
    expect(seen.said.at(-1)).toBe("friends: 2 contacts");
    const script = record({ json: true });
    await removeFromList(script.screen, client, "friends", []);
    expect(script.out).toEqual([JSON.stringify({ name: "friends", contacts: [] })]);
    await expect(removeFromList(seen.screen, client, "friends", [])).rejects.toMatchObject({ code: "not-found" });
    for (const contact of ids) await client.call("DELETE", `/v1/contacts/${contact}`);
    for (const peer of others) await peer.close();
  });

  test("a new device is taken in by its link, is listed, and is lost; one with contacts is not new", async () => {
    const home = join(dir, "phone");
    const phone = await startDaemon({ host: "127.0.0.1", port: 0, home });
    opened.unshift(phone);
    const toPhone = new Client(phone.socket);
    const seen = record();
    await devices(seen.screen, client);
    expect(seen.said).toEqual([expect.stringMatching(/^only this one/)]);
    const made = record({ isTerminal: true });
    expect(await deviceLink(made.screen, toPhone, {})).toBe(EXIT.done);
    expect(made.said.at(-2)).toMatch(/makes this device theirs/);
    expect(made.said.at(-1)).toMatch(/`cache join` on the new one/);
    const [link = ""] = made.out;
    expect(await addDevice(seen.screen, client, link)).toBe(EXIT.done);
    const { hashname } = await toPhone.call<StatusInfo>("GET", "/v1/status");
    expect(seen.out).toEqual([hashname]);
    await devices(seen.screen, client);
    expect(seen.out.slice(1)).toEqual([
      expect.stringMatching(/^HASHNAME/),
      expect.stringMatching(/this one$/),
      expect.stringMatching(new RegExp(`^${hashname.slice(0, 12)} +(yes|not heard of yet)$`)),
    ]);
    const script = record({ json: true });
    await devices(script.screen, client);
    expect(script.out.map((line) => JSON.parse(line))).toMatchObject([{ isThis: true }, { hashname, isThis: false }]);
    expect(await removeDevice(seen.screen, client, hashname.slice(0, 8))).toBe(EXIT.done);
    await devices(seen.screen, client);
    expect(seen.said.at(-1)).toMatch(/^only this one/);
    await expect(removeDevice(seen.screen, client, hashname)).rejects.toMatchObject({ code: "not-found" });
    const { id } = await client.call<ContactInfo>("POST", "/v1/contacts", { link: invite });
    await expect(deviceLink(seen.screen, client, {})).rejects.toMatchObject({ code: "not-new" });
    await client.call("DELETE", `/v1/contacts/${id}`);
  });

  test("an invite that asks for work says so to people, and in its link", async () => {
    const made = record({ isTerminal: true });
    expect(await makeInvite(made.screen, client, { reusable: true, work: 12 })).toBe(EXIT.done);
    const uris = parseInvite(portable, made.out[0] ?? "")?.caches.map(({ uri }) => uri) ?? [];
    expect(uris.length).toBeGreaterThan(0);
    expect(uris.map(admissionWork)).toEqual(uris.map(() => 12));
    expect(made.said.at(-1)).toMatch(/waits until its sender has worked for it/);
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

  test("mail that is missing is counted by status, and named after the contacts that it is from", async () => {
    const contact = { id: "ab".repeat(16), hashnames: [], caches: 1, link: "down", verified: "none" };
    const list = [
      { ...contact, name: "Bob", missing: 0 },
      { ...contact, name: "Carol", missing: 2 },
    ];
    const fake = { call: async () => ({ contacts: list }) } as unknown as Client;
    const seen = record();
    await contacts(seen.screen, fake);
    expect(seen.said).toEqual(["2 mails are missing from Carol: on the way, taken back by their sender, or lost"]);
    expect(await client.call<StatusInfo>("GET", "/v1/status")).toMatchObject({ missing: 0 });
  });

  test("read marks are off until they are turned on for a contact, and it is said what that means", async () => {
    const { id } = await client.call<ContactInfo>("POST", "/v1/contacts", { link: invite });
    const marks = async (): Promise<unknown> =>
      (await client.call<ContactList>("GET", "/v1/contacts")).contacts.find((contact) => contact.id === id)?.readMarks;
    expect(await marks()).toBe(false);
    const seen = record();
    expect(await readMarks(seen.screen, client, id, "on")).toBe(EXIT.done);
    expect(seen.said.at(-1)).toMatch(
      / is told which of its mail `.* recv` has printed or the page has shown, from now on$/,
    );
    expect(await marks()).toBe(true);
    const script = record({ json: true });
    await readMarks(script.screen, client, id, "off");
    expect(script.out.map((line) => JSON.parse(line))).toMatchObject([{ id, readMarks: false }]);
    expect(await marks()).toBe(false);
    await expect(readMarks(seen.screen, client, id, "maybe")).rejects.toThrow(/on or off/);
    await expect(readMarks(seen.screen, client, "nobody at all", "on")).rejects.toMatchObject({ code: "not-found" });
    await client.call("DELETE", `/v1/contacts/${id}`);
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
function record({ json = false, isTerminal = false } = {}): { screen: Screen; out: string[]; said: string[] } {
  const [out, said]: [string[], string[]] = [[], []];
  const screen: Screen = {
    ...{ json, isTerminal, hasColor: false, columns: 80 },
    out: (line) => void out.push(line),
    say: (line) => void said.push(line),
    paint: (_, text) => text,
  };
  return { screen, out, said };
}
