import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { memoryStore, type Store } from "restante";
import { utf8 } from "restante/protocol";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { identityFromSeed } from "./format/identity.ts";
import { chatMessage, chatOf, type Message, sealedOf } from "./format/index.ts";
import {
  type Bazaar,
  type BazaarMessage,
  type BazaarOptions,
  type BazaarProgress,
  bazaarSeed,
  type Contact,
  createBazaar,
  folderStorage,
  webdavStorage,
} from "./index.ts";

/** Somebody of the story: the same store and outbox, however often they come and go. */
class Person {
  readonly contact: Contact;
  readonly store: Store = memoryStore();
  readonly messages: BazaarMessage[] = [];
  readonly progress: BazaarProgress[] = [];
  bazaar: Bazaar | undefined;
  readonly #seed: Uint8Array;
  readonly #name: string;
  #waiting: (() => void)[] = [];

  constructor(name: string) {
    this.#name = name;
    this.#seed = bazaarSeed(utf8(`a secret of ${name}`.padEnd(32)));
    const { id, publicKey } = identityFromSeed(this.#seed);
    this.contact = { id, publicKey };
  }

  get outbox(): string {
    return join(dir, this.#name);
  }

  async start(options: Partial<BazaarOptions> = {}): Promise<Bazaar> {
    this.bazaar = await createBazaar({
      seed: this.#seed,
      store: this.store,
      storage: folderStorage(this.outbox),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      network: "local",
      bootstrap: servers[0]?.bazaar?.addrs() ?? [],
      onMessage: (message) => {
        this.messages.push(message);
        this.#changed();
        return "done";
      },
      onProgress: (progress) => {
        this.progress.push(progress);
        this.#changed();
      },
      onTrouble: (error) => {
        throw error;
      },
      ...options,
    });
    return this.bazaar;
  }

  async stop(): Promise<void> {
    await this.bazaar?.stop();
    this.bazaar = undefined;
  }

  /** Until this is so; looked at again with each message and each progress. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  states(ref: string): string[] {
    return this.progress.filter((one) => one.ref === ref).map(({ state }) => state);
  }

  #changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

let dir = "";
const servers: Person[] = [];
const [alice, bob] = [new Person("alice"), new Person("bob")];
const pushers = [new Person("push-1"), new Person("push-2")];

function chat(text: string): Message {
  const message = chatMessage({ text, subject: "", time: { seconds: 1_700_000_000, nanos: 0 } });
  if (message === undefined) throw new Error("no chat");
  return message;
}

/** What each push node keeps, in bytes. */
function kept(): number[] {
  return pushers.map(({ bazaar }) => bazaar?.stats().pushBytes ?? 0);
}

/** Until it is so: real nodes tell nobody when they are done. */
async function eventually(isSo: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await isSo()).toBe(true), { timeout: 60_000, interval: 25 });
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-bazaar-"));
  for (let i = 0; i < 4; i++) {
    const server = new Person(`server-${i}`);
    await server.start({ serves: true });
    servers.push(server);
  }
  for (const pusher of pushers)
    await pusher.start({ serves: true, push: { admitted: [alice.contact.id, bob.contact.id] } });
});
afterAll(async () => {
  await Promise.all([...servers, ...pushers, alice, bob].map((person) => person.stop()));
  await rm(dir, { recursive: true, force: true });
});

describe("two who are never online together", () => {
  const nodes = (): Contact[] => pushers.map(({ contact, bazaar }) => ({ ...contact, addrs: bazaar?.addrs() ?? [] }));

  test("[D12] [D27] [D47] a message waits at the push nodes while its sender is gone, is read and acknowledged, and then nothing of it is left", async () => {
    const out = await alice.start({ pushNodes: nodes() });
    expect(await out.send({ ref: "first", to: bob.contact, message: chat("hello"), nodes: nodes() })).toBe("accepted");
    await eventually(() => kept().every((bytes) => bytes > 0));
    await alice.until(() => alice.states("first").includes("published"));
    expect(await readdir(alice.outbox)).toHaveLength(1);
    await alice.stop();
    const before = kept();

    await bob.start({ pushNodes: nodes() });
    await bob.until(() => bob.messages.length > 0);
    expect(bob.messages[0]).toMatchObject({ from: alice.contact.id, way: "offline" });
    expect(chatOf(bob.messages[0]?.message ?? chat(""))?.text).toBe("hello");
    // He takes it back himself, and his acknowledgement waits in the same way.
    await eventually(() => kept().every((bytes, i) => bytes > 0 && bytes !== before[i]));
    await bob.stop();

    await alice.start({ pushNodes: nodes() });
    await alice.until(() => alice.states("first").includes("delivered"));
    await eventually(async () => (await readdir(alice.outbox)).length === 0);
    await eventually(async () => (await alice.store.load("bazaar/out/first")).length === 0);
    expect((await alice.store.load("bazaar/block/")).length).toBe(0);
    await alice.stop();

    await bob.start({ pushNodes: nodes() });
    bob.bazaar?.scan();
    await alice.start({ pushNodes: nodes() });
    expect(bob.messages).toHaveLength(1);
    await Promise.all([alice.stop(), bob.stop()]);
  });
});

describe("without push nodes", () => {
  test("[D11] to somebody who is online a message goes at once, and nothing of it is stored anywhere", async () => {
    await Promise.all([alice.start(), bob.start()]);
    const before = bob.messages.length;
    const to = { ...bob.contact, addrs: bob.bazaar?.addrs() ?? [] };
    await alice.bazaar?.send({ ref: "direct", to, message: chat("hello, now") });
    await bob.until(() => bob.messages.length > before);
    expect(bob.messages.at(-1)).toMatchObject({ from: alice.contact.id, way: "online" });
    await alice.until(() => alice.states("direct").includes("delivered"));
    expect(await readdir(alice.outbox)).toEqual([]);
    await Promise.all([alice.stop(), bob.stop()]);
  });

  test("[D25] the sender serves the blocks itself, and is found by them; half of the nodes that keep the pointer may be gone", async () => {
    await alice.start();
    await alice.bazaar?.send({ ref: "served", to: bob.contact, message: chat("x".repeat(19_000)) });
    await alice.until(() => alice.states("served").includes("published"));
    const gone = servers.slice(2);
    await Promise.all(gone.map((server) => server.stop()));
    const before = bob.messages.length;
    // Alice has not heard of Bob yet; he reads from her outbox what her pointer led him to.
    await bob.start();
    await bob.until(() => bob.messages.length > before);
    expect(bob.messages.at(-1)).toMatchObject({ way: "offline" });
    expect(chatOf(bob.messages.at(-1)?.message ?? chat(""))?.text.length).toBe(19_000);
    await alice.until(() => alice.states("served").includes("delivered"));
    await eventually(async () => (await readdir(alice.outbox)).length === 0);
    await Promise.all([alice.stop(), bob.stop()]);
    for (const server of gone) await server.start({ serves: true });
  });

  test("a sealed message of mail is delivered in the shape that mail's delivery knows; the same again is the same", async () => {
    await Promise.all([alice.start(), bob.start()]);
    const before = bob.messages.length;
    const to = { ...bob.contact, addrs: bob.bazaar?.addrs() ?? [] };
    const delivery = { type: "deliver", route: "bazaar", id: "mail-7", to, bytes: utf8("sealed") } as const;
    expect(await alice.bazaar?.deliver(delivery)).toEqual({ type: "delivered", id: "mail-7", ok: true });
    expect(await alice.bazaar?.deliver(delivery)).toEqual({ type: "delivered", id: "mail-7", ok: true });
    expect(await alice.bazaar?.deliver({ ...delivery, id: "Not a name" })).toMatchObject({ ok: false });
    await bob.until(() => bob.messages.length > before);
    const last = bob.messages.at(-1);
    expect(last && sealedOf(last.message)).toEqual(utf8("sealed"));
    expect(last?.extension?.recipient).toBe(bob.contact.id);
    await alice.until(() => alice.states("mail-7").includes("delivered"));
    await Promise.all([alice.stop(), bob.stop()]);
    expect(bob.messages).toHaveLength(before + 1);
  });
});

test("[D20] [X37] what lies in a store on the web is read there by its https address, and removed from there when it is acknowledged", async () => {
  const files = new Map<string, Uint8Array>();
  const web = createServer(async (request, response) => {
    const name = request.url ?? "";
    if (request.method === "PUT") files.set(name, await buffer(request));
    const found = files.get(name);
    if (request.method === "DELETE") files.delete(name);
    response.writeHead(found ? 200 : 404).end(request.method === "GET" ? found : undefined);
  }).listen(0, "127.0.0.1");
  await once(web, "listening");
  const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/box/`;
  const storage = webdavStorage({ url, isLocalAllowed: true });
  const nodes = [{ ...pushers[0]?.contact, addrs: pushers[0]?.bazaar?.addrs() ?? [] } as Contact];
  await alice.start({ storage, pushNodes: nodes });
  await alice.bazaar?.send({ ref: "web", to: bob.contact, message: chat("on the web") });
  await alice.until(() => alice.states("web").includes("published"));
  expect(files.size).toBe(1);
  await alice.stop();
  const before = bob.messages.length;
  await bob.start();
  await bob.until(() => bob.messages.length > before);
  expect(chatOf(bob.messages.at(-1)?.message ?? chat(""))?.text).toBe("on the web");
  await alice.start({ storage, pushNodes: nodes });
  await alice.until(() => alice.states("web").includes("delivered"));
  await eventually(() => files.size === 0);
  await Promise.all([alice.stop(), bob.stop()]);
  web.closeAllConnections();
  web.close();
});

test("who is asked to be a push node and is none says so", async () => {
  const [server] = servers;
  await alice.start({ pushNodes: [{ ...server?.contact, addrs: server?.bazaar?.addrs() ?? [] } as Contact] });
  await alice.bazaar?.send({ ref: "unpushed", to: bob.contact, message: chat("?") });
  await alice.until(() => alice.states("unpushed").includes("published"));
  expect(server?.bazaar?.stats().pushBytes).toBe(0);
  alice.bazaar?.cancel("unpushed");
  await alice.until(() => alice.states("unpushed").includes("cancelled"));
  await alice.stop();
});

test("a message that the application fails at does not stop those behind it, and is offered again", async () => {
  const offered: string[] = [];
  let trouble = 0;
  const onMessage = ({ message }: BazaarMessage): "done" => {
    const text = chatOf(message)?.text ?? "";
    offered.push(text);
    if (text === "bad" && trouble === 0) throw new Error("the application's own store does not work");
    return "done";
  };
  await Promise.all([alice.start(), bob.start({ onMessage, onTrouble: () => void trouble++ })]);
  const to = { ...bob.contact, addrs: bob.bazaar?.addrs() ?? [] };
  await alice.bazaar?.send({ ref: "bad", to, message: chat("bad") });
  await alice.until(() => alice.states("bad").includes("delivered"));
  await alice.bazaar?.send({ ref: "good", to, message: chat("good") });
  await eventually(() => offered.length >= 3);
  expect(offered).toEqual(["bad", "good", "bad"]);
  expect(trouble).toBe(1);
  expect(bob.bazaar?.stats().retrieve?.waiting).toBe(0);
  await Promise.all([alice.stop(), bob.stop()]);
});

test("a bazaar that has stopped takes nothing more, and a storage that cannot be used is said at the start", async () => {
  const bazaar = await bob.start();
  await bob.stop();
  await bazaar.stop();
  await expect(bazaar.send({ ref: "late", to: alice.contact, message: chat("late") })).rejects.toMatchObject({
    code: "stopped",
  });
  await expect(bob.start({ storage: folderStorage("/dev/null/outbox") })).rejects.toMatchObject({
    code: "storage-unusable",
  });
});
