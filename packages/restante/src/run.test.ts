import { expect, test } from "vitest";
import { toHex } from "./bytes/index.ts";
import { createCrypto, createIdentity, portable } from "./crypto/index.ts";
import { createPeer, type Peer, type PeerOptions } from "./run.ts";
import { memoryStore, type Store } from "./store/index.ts";
import { Chance } from "./testing/chance.ts";
import { cs01 } from "./testing/cipher-set-01.ts";
import { MemoryNetwork } from "./transport/index.ts";

/** Peers of one network in this process, with the quick test cipher; closed at the end of the test. */
async function withPeers(
  run: (peer: (name: string, options?: PeerOptions) => Promise<Peer>) => Promise<void>,
): Promise<void> {
  const network = new MemoryNetwork();
  const peers: Peer[] = [];
  try {
    await run(async (name, options = {}) => {
      const peer = await createPeer({ transports: [network.transport(name)], cipherSets: [cs01()], name, ...options });
      peers.push(peer);
      return peer;
    });
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
  }
}

/** The first event of a kind. */
async function next<T extends string>(peer: Peer, type: T) {
  for await (const event of peer.events()) if (event.type === type) return event as Extract<typeof event, { type: T }>;
  throw new Error("no more events");
}

/** Until a mail has come so far. */
async function reaches(peer: Peer, id: string, state: "handed" | "delivered"): Promise<void> {
  const told = new Promise<void>((resolve) => {
    peer.on((event) => event.type === "state" && event.id === id && event.state === state && resolve());
  });
  if (!(await peer.track(id))?.some((entry) => entry.state === state)) await told;
}

test("an invite, a contact, a text, an answer", () =>
  withPeers(async (peer) => {
    const [alice, bob] = [await peer("alice"), await peer("bob")];
    const met = next(alice, "contact");
    expect((await bob.add(await alice.invite())).name).toBe("alice");
    expect((await met).contact.name).toBe("bob");
    const came = next(alice, "mail");
    const id = await bob.send("alice", "hello");
    const mail = await came;
    expect([mail.text, mail.id, mail.from]).toEqual(["hello", id, bob.hashname]);
    const answered = next(bob, "mail");
    await alice.send("bob", "hello yourself");
    expect((await answered).text).toBe("hello yourself");
    expect((await alice.inbox()).map((m) => m.text)).toEqual(["hello"]);
  }));

test("mail by an invite that asks for work comes with it", () =>
  withPeers(async (peer) => {
    const carol = await peer("carol", { mail: false, cache: {} });
    const store = memoryStore();
    const away = await peer("bob", { store });
    await away.join(carol.joinLink());
    const link = await away.invite({ work: 10 });
    await expect(away.invite({ work: 25 })).rejects.toMatchObject({ code: "bad-work" });
    await away.close();
    const alice = await peer("alice");
    const { id: contact } = await alice.add(link);
    await reaches(alice, await alice.send(contact, "it was some work"), "handed");
    expect(carol.status().held?.messages).toBe(2); // her card, and the text
    const bob = await peer("bob", { store });
    expect((await next(bob, "mail")).text).toBe("it was some work");
  }));

test("a cache keeps mail for somebody who is not there, and a file arrives as it was", () =>
  withPeers(async (peer) => {
    const carol = await peer("carol", { mail: false, cache: {} });
    const [store, bobs] = [memoryStore(), memoryStore()];
    let alice = await peer("alice", { store });
    let bob = await peer("bob", { store: bobs });
    await alice.join(carol.joinLink());
    // Until alice's own card has come, bob may leave no more than a stranger.
    const known = new Promise<void>((resolve) => {
      bob.on((event) => event.type === "contact" && !event.isNew && resolve());
    });
    await bob.add(await alice.invite());
    await known;
    // Bob too starts again: else he would first try the link that he still believes in.
    await Promise.all([alice.close(), bob.close()]);
    bob = await peer("bob", { store: bobs });
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7919) >> 3);
    const id = await bob.send("alice", { name: "numbers.bin", bytes });
    const text = await bob.send("alice", "see the file");
    for (const mail of [id, text]) await reaches(bob, mail, "handed");
    expect(carol.status().held?.bytes).toBeGreaterThan(100_000);

    alice = await peer("alice", { store });
    const found = new Map<string, string>();
    for await (const event of alice.events()) {
      if (event.type !== "mail") continue;
      if (event.text !== undefined) found.set("text", event.text);
      else {
        const pieces: number[] = [];
        for await (const piece of alice.file(event)) pieces.push(...piece);
        found.set(event.file?.name ?? "", toHex(Uint8Array.from(pieces)));
      }
      if (found.size === 2) break;
    }
    expect(found.get("text")).toBe("see the file");
    expect(found.get("numbers.bin")).toBe(toHex(bytes));
    await reaches(bob, id, "delivered");
    while (carol.status().held?.messages !== 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }));

test.each([true, false])(
  "a cache routes only when it is told to (%s): then two find each other whose cards are wrong",
  (route) =>
    withPeers(async (peer) => {
      const carol = await peer("carol", { mail: false, cache: {}, route });
      const nowhere = { advertise: [{ type: "mem", name: "nowhere" }] };
      const [alice, bob] = [await peer("alice", nowhere), await peer("bob", nowhere)];
      for (const each of [alice, bob]) await each.join(carol.joinLink());
      // Until both have the other's card; what an invite gives is the box alone.
      const know = [alice, bob].map(
        (each) =>
          new Promise<void>((resolve) => {
            each.on((event) => {
              if (event.type === "contact" && (each === alice || !event.isNew)) resolve();
            });
          }),
      );
      let ups = 0;
      const up = [alice, bob].map(
        (each) =>
          new Promise<void>((resolve) => {
            each.on((event) => {
              if (event.type !== "link" || !event.up || event.hashname === carol.hashname) return;
              ups += 1;
              resolve();
            });
          }),
      );
      await bob.add(await alice.invite());
      await Promise.all(know);
      if (route) await Promise.all(up);
      const came = next(bob, "mail");
      const id = await alice.send("bob", "hello");
      expect((await came).text).toBe("hello");
      await reaches(alice, id, "delivered");
      const routes = (await alice.track(id))?.flatMap((entry) => entry.route ?? []);
      // By the link, and on a machine that is busy for seconds by the cache besides; without a link there is no other way.
      if (route) expect(routes).toContain("direct");
      else expect([routes, ups]).toEqual([["cache"], 0]);
    }),
);

test("who serves no cache routes nothing, whatever it is told", () =>
  withPeers(async (peer) => {
    const carol = await peer("carol", { route: true });
    expect(() => carol.joinLink()).toThrow(expect.objectContaining({ code: "no-cache" }));
  }));

test("a cache has nothing to keep: it refuses a store, and mail of its own", () =>
  withPeers(async (peer) => {
    await expect(peer("carol", { mail: false, cache: {}, store: memoryStore() })).rejects.toMatchObject({
      code: "no-mail",
    });
    const carol = await peer("carol", { mail: false, cache: {} });
    await expect(carol.invite()).rejects.toMatchObject({ code: "no-mail" });
  }));

test("wrong use is told by code, in plain words", () =>
  withPeers(async (peer) => {
    const [alice, bob] = [await peer("alice"), await peer("bob")];
    await expect(alice.add("https://example.org/")).rejects.toMatchObject({ code: "bad-invite" });
    await expect(alice.add(await alice.invite())).rejects.toMatchObject({ code: "self" });
    await expect(alice.send("nobody", "x")).rejects.toMatchObject({ code: "not-found" });
    await expect(alice.accept("nobody")).rejects.toMatchObject({ code: "not-found" });
    await expect(alice.cancel("00".repeat(16))).rejects.toMatchObject({ code: "not-found" });
    await expect(alice.join("link://nowhere/")).rejects.toMatchObject({ code: "bad-link" });
    expect(() => alice.joinLink()).toThrow(expect.objectContaining({ code: "no-cache" }));
    await bob.add(await alice.invite());
    for (const name of ["", ".", "..", "../x", "a\\b", "a\u202eb", "ü".repeat(128)])
      await expect(bob.send("alice", { name, bytes: new Uint8Array(1) })).rejects.toMatchObject({ code: "bad-file" });
    const odd = { name: "x", media: "nonsense", bytes: new Uint8Array(1) };
    await expect(bob.send("alice", odd)).rejects.toMatchObject({ code: "bad-file" });
    const large = { name: "x", bytes: new Uint8Array(2 ** 30 + 1) };
    await expect(bob.send("alice", large)).rejects.toMatchObject({ code: "too-large" });
    expect(await alice.track("nothing")).toBeUndefined();
  }));

test("a store that cannot be written at start says so", () =>
  withPeers(async (peer) => {
    const broken: Store = { ...memoryStore(), commit: async () => Promise.reject(new Error("no space left")) };
    await expect(peer("alice", { store: broken })).rejects.toThrow(/no space left/);
  }));

test("the identity stays with the store", () =>
  withPeers(async (peer) => {
    const store = memoryStore();
    const first = await peer("alice", { store });
    await first.close();
    expect((await peer("alice", { store })).hashname).toBe(first.hashname);
  }));

test("who receives and leaves at once has still acknowledged", () =>
  withPeers(async (peer) => {
    const carol = await peer("carol", { mail: false, cache: {} });
    const [alice, bob] = [await peer("alice"), await peer("bob")];
    await Promise.all([alice.join(carol.joinLink()), bob.join(carol.joinLink())]);
    await bob.add(await alice.invite());
    const came = next(alice, "mail");
    const id = await bob.send("alice", "just before you go");
    await came;
    await alice.close();
    await reaches(bob, id, "delivered");
  }));

test("a name that no card can carry is refused, a long one is cut between characters", () =>
  withPeers(async (peer) => {
    for (const name of ["", "two\nlines", "two\u2028lines", "back\u202ewards"])
      await expect(createPeer({ name })).rejects.toMatchObject({ code: "bad-name" });
    const [alice, bob] = [await peer("alice", { name: `${"x".repeat(63)}\u{1f600}` }), await peer("bob")];
    expect((await bob.add(await alice.invite())).name).toBe("x".repeat(63));
  }));

test("mail goes by a noise floor as well, whose figures are checked before anything is opened", () =>
  withPeers(async (peer) => {
    const noise = { bytes: 1408, everyMs: 10, rounds: 255 };
    const [alice, bob] = [await peer("alice", { noise }), await peer("bob", { noise })];
    const came = next(alice, "mail");
    await bob.add(await alice.invite());
    await bob.send("alice", "hello");
    expect((await came).text).toBe("hello");
    for (const wrong of [{ bytes: 2049 }, { everyMs: 5 }, { rounds: 0 }])
      await expect(peer("carol", { noise: { ...noise, ...wrong } })).rejects.toMatchObject({ code: "bad-noise" });
  }));

test("of more addresses than a card has room for the first count", () =>
  withPeers(async (peer) => {
    const advertise = Array.from({ length: 40 }, (_, i) => ({ type: "udp4", ip: `192.0.2.${i + 1}`, port: 42424 }));
    const alice = await peer("alice", { advertise });
    expect(alice.status().paths).toEqual(advertise.slice(0, 16));
    expect(await alice.invite()).toContain("link://192.0.2.1");
  }));

test("a peer whose transport cannot start closes what it had opened", async () => {
  const closed: string[] = [];
  const network = new MemoryNetwork();
  const [good, bad] = [network.transport("good"), network.transport("bad")];
  const store = memoryStore();
  const close = store.close.bind(store);
  store.close = async () => {
    closed.push("store");
    await close();
  };
  const transports = [
    { ...good, stop: async () => void closed.push("transport") },
    { ...bad, start: () => Promise.reject(new Error("no address")) },
  ];
  await expect(createPeer({ store, transports })).rejects.toThrow("no address");
  expect(closed).toEqual(["transport", "store"]);
});

test("an identity without the secret of one of its keys is refused, since no contact could be answered", async () => {
  const cipherSets = [cs01(), { ...cs01(), csid: 0x02 }];
  const whole = createIdentity(createCrypto(portable, cipherSets), new Chance(1).random, [0x01, 0x02]);
  const identity = { ...whole, pairs: new Map([...whole.pairs].slice(0, 1)) };
  await expect(createPeer({ identity, cipherSets })).rejects.toMatchObject({ code: "bad-identity" });
  await (await createPeer({ identity: whole, cipherSets })).close();
  await (await createPeer({ identity, cipherSets: [cs01()] })).close();
});

test("closing ends the streams of events", () =>
  withPeers(async (peer) => {
    const alice = await peer("alice");
    const events = alice.events();
    const waiting = events.next();
    await alice.close();
    expect((await waiting).done).toBe(true);
    for await (const _ of events) throw new Error("there is nothing more to tell");
  }));

test("the application decides about strangers: yes is a link, no and a failure are silence", () =>
  withPeers(async (peer) => {
    const asked: string[] = [];
    let answer: (hashname: string) => boolean | Promise<boolean> = () => false;
    const approve: PeerOptions["approve"] = ({ hashname, messages }) => {
      asked.push(`${hashname} ${messages.map(({ type }) => type).sort()}`);
      return answer(hashname);
    };
    const alice = await peer("alice", { approve });
    const link = await alice.invite();
    const bob = await peer("bob");
    const met = next(alice, "contact");
    await bob.add(link);
    await met; // who was invited needs no other word, and a no to the first part of the handshake does not count
    asked.length = 0;

    const [eve, frank] = [await peer("eve"), await peer("frank")]; // for whom the invite is used up
    let isUp = false;
    eve.on((event) => {
      if (event.type === "link") isUp = event.up;
    });
    // Eve asks again and again.
    answer = (hashname) => {
      if (hashname === eve.hashname) throw new Error("undecided");
      return Promise.resolve(true);
    };
    await eve.add(link);
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const up = next(frank, "link");
    await frank.add(link);
    expect((await up).up).toBe(true);
    expect(isUp).toBe(false);
    expect(new Set(asked.map((each) => each.split(" ")[0]))).toEqual(new Set([eve.hashname, frank.hashname]));
  }));

test("what was made is taken back: a contact, an invite, a cache; what is not there is not found", () =>
  withPeers(async (peer) => {
    const [alice, bob] = [await peer("alice"), await peer("bob")];
    const carol = await peer("carol", { mail: false, cache: {} });
    const { cache } = await bob.join(carol.joinLink());
    const link = await bob.invite({ once: false });
    const met = next(bob, "contact");
    await alice.add(link);
    const { contact } = await met;
    await bob.removeContact(contact.id);
    await bob.closeInvite(link);
    await bob.leave(cache);
    expect([bob.contacts(), bob.status().caches]).toEqual([[], []]);
    for (const again of [
      () => bob.removeContact(contact.id),
      () => bob.closeInvite(link),
      () => bob.leave(cache),
      () => bob.send(contact.id, "hello"),
    ])
      await expect(again()).rejects.toMatchObject({ code: "not-found" });
  }));

test("a store that is a copy takes new numbers with its very first commit, and says so as long as it runs", () =>
  withPeers(async (peer) => {
    const inner = memoryStore();
    const commits: string[][] = [];
    let isCopied = false;
    const store: Store = {
      ...inner,
      get isCopied() {
        return isCopied;
      },
      async commit(batch) {
        commits.push(batch.map(({ key, value }) => `${value === undefined ? "-" : ""}${key}`));
        isCopied = false;
        await inner.commit(batch);
      },
    };
    const first = await peer("alice", { store });
    expect(first.status().isCopied).toBe(false);
    await first.close();
    const epoch = toHex((await inner.get("mail/epoch")) ?? new Uint8Array(0));
    commits.length = 0;
    isCopied = true;
    const told: string[] = [];
    const second = await peer("alice", { store, onTrouble: (message) => told.push(message) });
    expect(commits[0]).toEqual(["-mail/epoch", "mail/restored", "peer/card"]);
    expect([second.status().isCopied, told.length]).toEqual([true, 1]);
    expect(second.hashname).toBe(first.hashname);
    expect(toHex((await inner.get("mail/epoch")) ?? new Uint8Array(0))).not.toBe(epoch);
  }));

test("of two peers on copies of one store no mail is lost or shown twice, and each says that there is another", () =>
  withPeers(async (peer) => {
    const bob = await peer("bob");
    const [first, second] = [memoryStore(), memoryStore()];
    const alice = await peer("alice", { store: first });
    await bob.add(await alice.invite());
    await reaches(bob, await bob.send("alice", "I know you"), "delivered");
    await alice.close();
    await second.commit((await first.load("")).map(([key, value]) => ({ key, value })));
    const said: string[][] = [];
    for (const [i, store] of [first, second, first].entries()) {
      const troubles: string[] = [];
      const copy = await peer("alice", { store, onTrouble: (message) => troubles.push(message) });
      await reaches(copy, await copy.send("bob", `text ${i}`), "delivered");
      said.push(
        troubles.filter((message) =>
          message.startsWith("a contact says that another copy of this identity sends it mail"),
        ),
      );
      expect(copy.status().copiedAt === undefined).toBe(i === 0);
      await copy.close();
    }
    expect(said.map(({ length }) => length)).toEqual([0, 1, 1]);
    expect((await bob.inbox()).map(({ text }) => text)).toEqual([0, 1, 2].map((i) => `text ${i}`));
  }));

test("a contact is told what was read only where that is on, and of nothing that was read before", () =>
  withPeers(async (peer) => {
    const [alice, bob] = [await peer("alice"), await peer("bob")];
    await bob.add(await alice.invite());
    const states: string[] = [];
    const read = new Promise<void>((resolve) => {
      alice.on((event) => {
        if (event.type === "state" && event.state === "read") states.push(event.id);
        if (states.length === 2) resolve();
      });
    });
    await reaches(bob, await bob.send("alice", "I know you"), "delivered");
    const send = async (text: string): Promise<string> => {
      const came = next(bob, "mail");
      const id = await alice.send("bob", text);
      await came;
      return id;
    };
    const before = await send("unseen by anybody");
    await bob.seen(1);
    const [contact] = bob.contacts();
    expect(contact?.readMarks).toBe(false);
    expect(await bob.setReadMarks(contact?.id ?? "", true)).toMatchObject({ readMarks: true });
    const ids = [await send("one"), await send("two")];
    const late = await send("not seen yet");
    await bob.seen(3);
    await read;
    expect(states.sort()).toEqual(ids.sort());
    expect(alice.outbox().find(({ id }) => id === ids[0])?.state).toBe("read");
    for (const id of [before, late]) expect(alice.outbox().find((mail) => mail.id === id)?.state).toBe("delivered");
    await expect(bob.setReadMarks("ff".repeat(16), true)).rejects.toMatchObject({ code: "not-found" });
  }));

test("records of a newer version are refused, not misread, and the store is closed again", async () => {
  const inner = memoryStore();
  await inner.commit([{ key: "records", value: Uint8Array.of(0x39, 0x39) }]);
  let closed = 0;
  const store: Store = { ...inner, close: async () => void closed++ };
  await expect(createPeer({ store })).rejects.toMatchObject({ code: "store-schema" });
  expect(closed).toBe(1);
});
