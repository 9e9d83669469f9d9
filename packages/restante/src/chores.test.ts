import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { utf8 } from "./bytes/index.ts";
import { Chores, erasedGroups } from "./chores.ts";
import { createPeer } from "./run.ts";
import { memoryStore } from "./store/index.ts";
import { cs01 } from "./testing/cipher-set-01.ts";
import { MemoryNetwork } from "./transport/index.ts";

const HOUR = 3_600_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function chores(sweep: () => Promise<number> = async () => 0) {
  const log: string[] = [];
  let fails = false;
  const made = new Chores({
    clock: Date.now,
    sweep: () => {
      log.push("sweep");
      return sweep();
    },
    compact: async (groups) => {
      log.push(`compact ${groups.join(" ")}`);
      if (fails) throw new Error("the disk is full");
    },
    trouble: (message) => log.push(message),
  });
  const hours = async (count: number): Promise<string[]> => {
    log.splice(0);
    await vi.advanceTimersByTimeAsync(count * HOUR);
    return [...log];
  };
  return { made, log, hours, fail: (is: boolean) => (fails = is) };
}

test("mail is swept at the start and once a day, files are cleared hourly where something was erased", async () => {
  const { made, log, hours, fail } = chores();
  made.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(log).toEqual(["sweep"]);
  expect(await hours(23)).toEqual([]);
  expect(await hours(1)).toEqual(["sweep"]);
  made.note(["mail/", "inbox/"]);
  made.note(["mail/"]);
  expect(await hours(2)).toEqual(["compact mail/ inbox/"]);
  fail(true);
  made.note(["mail/"]);
  expect(await hours(2)).toEqual(["compact mail/", "compact mail/"]);
  fail(false);
  expect(await hours(2)).toEqual(["compact mail/"]);
  await made.stop();
  made.note(["mail/"]);
  expect(await hours(50)).toEqual([]);
  await made.compact();
  expect(log).toEqual(["compact mail/"]);
});

test("a sweep that fails is told, and tried again on the next day", async () => {
  const { made, log, hours } = chores(() => Promise.reject(new Error("no")));
  made.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(log).toHaveLength(2);
  expect(await hours(24)).toHaveLength(2);
  await expect(made.sweep()).rejects.toThrow("no"); // who asks for it is told
  await made.stop();
});

test("a batch leaves something behind where it deletes, and where forward keys are forgotten", () => {
  const value = utf8("x");
  expect(
    erasedGroups([
      { key: "inbox/000000000001", value: undefined },
      { key: "inbox/000000000002", value: undefined },
      { key: "spool/ab", value },
      { key: "mail/keys/bob", value },
      { key: "identity", value: undefined },
    ]),
  ).toEqual(["inbox/", "mail/"]);
});

test("at its end a peer clears the files of what it erased, before the store is closed", async () => {
  vi.useRealTimers();
  const log: string[] = [];
  const store = memoryStore();
  const close = store.close;
  Object.assign(store, {
    compact: async (groups: readonly string[]) => void log.push(...[...groups].sort()),
    close: async () => {
      log.push("close");
      await close();
    },
  });
  const network = new MemoryNetwork();
  const peer = (name: string, own = memoryStore()) =>
    createPeer({ store: own, transports: [network.transport(name)], cipherSets: [cs01()], name });
  const [alice, bob] = [await peer("alice", store), await peer("bob")];
  const contact = await alice.add(await bob.invite());
  const isDelivered = new Promise<void>((resolve) => {
    alice.on((event) => event.type === "state" && event.state === "delivered" && resolve());
  });
  await alice.send(contact.id, "hello");
  await isDelivered;
  await alice.close();
  await bob.close();
  expect(log).toEqual(["mail/", "spool/", "close"]);
});
