import { expect, test, vi } from "vitest";
import { utf8 } from "./bytes/index.ts";
import {
  type BazaarAddress,
  type Carrier,
  type CarrierEvents,
  createPeer,
  memoryStore,
  type Peer,
  type Store,
} from "./index.ts";

/** A place where sealed messages lie until their recipient is there: what a bazaar is to the library. */
class Place {
  readonly letters = new Map<string, { to: string; from: Uint8Array; bytes: Uint8Array }>();
  readonly open = new Map<string, CarrierEvents>();
  readonly contacts = new Map<string, string[]>();

  carrier(name: string): Carrier {
    const key = utf8(name);
    return {
      start: async (events): Promise<BazaarAddress> => {
        this.open.set(name, events);
        setTimeout(() => void this.bring(name));
        return { key, addrs: [`/dns/${name}.example`], push: [] };
      },
      deliver: async ({ ref, to, bytes }) => {
        const recipient = new TextDecoder().decode(to.key);
        this.letters.set(`${name} ${ref}`, { to: recipient, from: key, bytes: bytes.slice() });
        setTimeout(() => void this.bring(recipient));
        return true;
      },
      withdraw: (refs) => {
        for (const ref of refs) this.letters.delete(`${name} ${ref}`);
      },
      contacts: (keys) => {
        this.contacts.set(
          name,
          keys.map((each) => new TextDecoder().decode(each)),
        );
      },
      stop: async () => {
        this.open.delete(name);
      },
    };
  }

  async bring(name: string): Promise<void> {
    for (const [ref, { to, from, bytes }] of [...this.letters]) {
      const events = to === name ? this.open.get(name) : undefined;
      if (events !== undefined && (await events.brought(from, bytes))) this.letters.delete(ref);
    }
  }
}

const start = (place: Place, name: string, store: Store, onTrouble = (_message: string): void => {}): Promise<Peer> =>
  createPeer({ name, store, onTrouble, routes: { bazaar: place.carrier(name) } });

test("two who are never there together and have no address get to know each other, write, and hear that it arrived", async () => {
  const place = new Place();
  const [hers, his] = [memoryStore(), memoryStore()];
  let bob = await start(place, "bob", his);
  const invite = await bob.invite();
  await bob.close();

  let alice = await start(place, "alice", hers);
  const { id: contact } = await alice.add(invite);
  expect(place.contacts.get("alice")).toEqual(["bob"]);
  const id = await alice.send(contact, "hello");
  await vi.waitFor(async () => expect((await alice.track(id))?.at(-1)?.state).toBe("handed"), SOON);
  expect((await alice.track(id))?.at(-1)).toMatchObject({ state: "handed", route: "bazaar" });
  await alice.close();

  bob = await start(place, "bob", his);
  await vi.waitFor(async () => expect(await bob.inbox()).toHaveLength(1), SOON);
  expect((await bob.inbox())[0]).toMatchObject({ text: "hello" });
  await vi.waitFor(() => expect([...place.letters.values()].some(({ to }) => to === "alice")).toBe(true), SOON);
  expect(place.contacts.get("bob")).toEqual(["alice"]);
  await bob.send(bob.contacts()[0]?.id ?? "", "and you?");
  await bob.close();

  alice = await start(place, "alice", hers);
  await vi.waitFor(async () => expect((await alice.track(id))?.at(-1)?.state).toBe("delivered"), SOON);
  await vi.waitFor(async () => expect(await alice.inbox()).toHaveLength(1), SOON);
  await alice.removeContact(contact);
  expect(place.contacts.get("alice")).toEqual([]);
  await alice.close();
});

test("what was brought while the store failed is asked of the next root, and answered when it is committed", async () => {
  const place = new Place();
  const [hers, his] = [memoryStore(), memoryStore()];
  let fails = false;
  const failing: Store = {
    ...his,
    commit: async (changes) => {
      if (fails) throw new Error("the disk is full");
      await his.commit(changes);
    },
  };
  const troubles: string[] = [];
  const alice = await start(place, "alice", hers);
  const bob = await start(place, "bob", failing, (message) => troubles.push(message));
  const { id: contact } = await alice.add(await bob.invite());
  await alice.send(contact, "first");
  await vi.waitFor(async () => expect(await bob.inbox()).toHaveLength(1), SOON);
  await vi.waitFor(() => expect(place.letters.size).toBe(0), SOON);
  fails = true;
  await alice.send(contact, "second");
  await vi.waitFor(() => expect(troubles.join()).toContain("the store failed"), SOON);
  // Nobody said that it was dealt with.
  expect([...place.letters.values()].map(({ to }) => to)).toContain("bob");
  fails = false;
  await vi.waitFor(async () => expect(await bob.inbox()).toHaveLength(2), SOON);
  await vi.waitFor(() => expect([...place.letters.values()].map(({ to }) => to)).not.toContain("bob"), SOON);
  await Promise.all([alice.close(), bob.close()]);
});

test("a carrier that cannot begin is said at the start, and closes what was opened; one that throws is a failed attempt", async () => {
  const place = new Place();
  const store = memoryStore();
  const close = vi.spyOn(store, "close");
  const carrier = { ...place.carrier("alice"), start: () => Promise.reject(new Error("no network")) };
  await expect(createPeer({ store, routes: { bazaar: carrier } })).rejects.toThrow("no network");
  expect(close).toHaveBeenCalledOnce();

  const throwing = {
    ...place.carrier("alice"),
    deliver: () => {
      throw new Error("thrown at once");
    },
  };
  const [alice, bob] = [await createPeer({ routes: { bazaar: throwing } }), await start(place, "bob", memoryStore())];
  const { id: contact } = await alice.add(await bob.invite());
  const id = await alice.send(contact, "hello");
  await vi.waitFor(() => expect(alice.status().turns).toBeGreaterThan(3), SOON);
  expect((await alice.track(id))?.map(({ state }) => state)).toEqual(["queued"]);
  await Promise.all([alice.close(), bob.close()]);
});

const SOON = { timeout: 60_000 }; // else it would be a second
