import { describe, expect, test } from "vitest";
import type { Machine, Time } from "./bytes/index.ts";
import { Deadlines } from "./bytes/index.ts";
import type { StampTask } from "./card/index.ts";
import type { Hashname } from "./crypto/index.ts";
import { type Commit, Driver, type DriverIo, type DriverState, type Pair } from "./driver.ts";
import type { Call, RootIn, RootOut } from "./peer.ts";
import type { BoxAnswer } from "./store/index.ts";

const path = { type: "mem", name: "far" };
const packet = (n: number): Uint8Array => Uint8Array.of(n);
const received = (n: number): RootIn => ({ type: "received", path, bytes: packet(n) });
const call: Call = { type: "invite", once: true };

/** A root that answers each input with what the test wants, and notes what it was given. */
class ScriptedRoot implements Machine<RootIn, RootOut> {
  readonly inputs: RootIn[] = [];
  readonly saved: ReadonlyMap<string, Uint8Array>;
  due: Time | undefined;
  readonly #script: (input: RootIn, root: ScriptedRoot) => RootOut[];

  constructor(saved: ReadonlyMap<string, Uint8Array>, script: (input: RootIn, root: ScriptedRoot) => RootOut[]) {
    this.saved = saved;
    this.#script = script;
  }

  handle(input: RootIn): RootOut[] {
    this.inputs.push(input);
    return this.#script(input, this);
  }

  deadline(): Time | undefined {
    return this.due;
  }
}

/** A world of one driver whose every callback the test itself sets off. */
function setup(script: (input: RootIn, root: ScriptedRoot) => RootOut[], withCache = false) {
  const log: string[] = [];
  const disk = new Map<string, Uint8Array>();
  const commits: { commit: Commit; done: (error?: unknown) => void }[] = [];
  const reads: { key: string; done: (value: Uint8Array | undefined, error?: unknown) => void }[] = [];
  const lists: { what: unknown[]; done: (pairs: readonly Pair[], error?: unknown) => void }[] = [];
  const hashes: ((sha256: string) => void)[] = [];
  const asks: ((ok: boolean) => void)[] = [];
  const searches: { task: StampTask; done: (stamp: Uint8Array | undefined) => void; isEnded: boolean }[] = [];
  const boxAnswers: BoxAnswer[] = [];
  const roots: ScriptedRoot[] = [];
  const states: DriverState[] = [];
  const clock = { now: 1000, wakeAt: undefined as Time | undefined, manual: false };
  const io: DriverIo = {
    now: () => clock.now,
    wake: (at) => {
      clock.wakeAt = at;
    },
    load: (done) => done(new Map(disk)),
    commit(commit, done) {
      log.push(`commit ${commit.changes.map((c) => c.key).join("+")}`);
      if (clock.manual) commits.push({ commit, done });
      else {
        for (const { key, value } of commit.changes) value ? disk.set(key, value) : disk.delete(key);
        done();
      }
    },
    read: (key, done) => void reads.push({ key, done }),
    list: (prefix, after, limit, done) => void lists.push({ what: [prefix, after, limit], done }),
    blobRead: (_blob, _index, done) => done(undefined),
    blobHash: (_blob, _count, _size, done) => void hashes.push(done),
    blobRemove: (blob) => void log.push(`remove ${blob}`),
    boxes: (op, done) => {
      log.push(`boxes ${op.type}`);
      done(boxAnswers.splice(0, 1));
    },
    findStamp: (task, done) => {
      const search = { task, done, isEnded: false };
      searches.push(search);
      return () => {
        search.isEnded = true;
      };
    },
    ask: (_handshake, done) => void asks.push(done),
    transmit: (_path, bytes) => void log.push(`transmit ${bytes[0]}`),
    disconnect: () => void log.push("disconnect"),
    event: () => void log.push("event"),
    trouble: (message) => void log.push(`trouble ${message}`),
    state: (state) => void states.push(state),
  };
  const make = (saved: ReadonlyMap<string, Uint8Array>): ScriptedRoot => {
    const root = new ScriptedRoot(saved, script);
    roots.push(root);
    return root;
  };
  const driver = new Driver<ScriptedRoot>({
    io,
    root: make,
    ...(withCache ? { bareRoot: () => make(new Map()) } : {}),
  });
  driver.start();
  log.length = 0;
  return {
    io,
    driver,
    log,
    disk,
    commits,
    reads,
    lists,
    hashes,
    asks,
    searches,
    boxAnswers,
    roots,
    states,
    clock,
    last: () => roots.at(-1) as ScriptedRoot,
  };
}

const save = (key: string): RootOut => ({ type: "save", key, value: packet(1) });
const transmit = (n: number): RootOut => ({ type: "transmit", path, bytes: packet(n) });

describe("the driver's contract", () => {
  test("1: effects leave in turn order, only after the one batch of their turns is committed", () => {
    const t = setup((input) =>
      input.type === "received" ? [transmit(input.bytes[0] ?? 0), save(`k${input.bytes[0]}`)] : [],
    );
    t.clock.manual = true;
    t.driver.input(received(1));
    t.driver.input(received(2));
    t.driver.input(received(3));
    // The first turn is on its way to the disk; the other two gather to one batch; nothing has left.
    expect(t.log).toEqual(["commit k1"]);
    t.commits[0]?.done();
    expect(t.log).toEqual(["commit k1", "transmit 1", "commit k2+k3"]);
    t.commits[1]?.done();
    expect(t.log.slice(3)).toEqual(["transmit 2", "transmit 3"]);
  });

  test("1: a turn without a save does not overtake one that waits for the disk", () => {
    const t = setup((input) =>
      input.type === "received" ? (input.bytes[0] === 1 ? [save("k"), transmit(1)] : [transmit(2)]) : [],
    );
    t.clock.manual = true;
    t.driver.input(received(1));
    t.driver.input(received(2));
    expect(t.log).toEqual(["commit k"]);
    t.commits[0]?.done();
    expect(t.log).toEqual(["commit k", "transmit 1", "transmit 2"]);
  });

  test("1: an effect that is answered at once does not let a later turn overtake the rest of its own", () => {
    const op = { type: "sweep", op: 1 } as const;
    const t = setup((input) => {
      if (input.type === "received") return [{ type: "boxes", op }, transmit(1)];
      return input.type === "boxes" ? [transmit(2)] : [];
    });
    t.boxAnswers.push({ type: "done", op: 1 });
    t.driver.input(received(1));
    expect(t.log).toEqual(["boxes sweep", "transmit 1", "transmit 2"]);
  });

  test("1: what the boxes answer at once to the effects of a group is one input, after all of them", () => {
    const ops = [1, 2].map((op): RootOut => ({ type: "boxes", op: { type: "sweep", op } }));
    const t = setup((input) => (input.type === "received" ? [...ops, transmit(1)] : [transmit(2)]));
    const answers = [1, 2].map((op): BoxAnswer => ({ type: "done", op }));
    t.boxAnswers.push(...answers);
    t.log.length = 0; // of the start
    t.driver.input(received(1));
    expect(t.log).toEqual(["boxes sweep", "boxes sweep", "transmit 1", "transmit 2"]);
    expect(t.last().inputs.slice(-1)).toEqual([{ type: "boxes", answers }]);
  });

  test("2: a failed commit discards its effects, refuses pending calls and begins again from the disk", () => {
    const t = setup((input) => {
      if (input.type === "call") return [save("k"), transmit(9), { type: "reply", req: input.req, value: "done" }];
      return [];
    });
    t.driver.input({ type: "path", path: { type: "tcp4", ip: "10.0.0.1", port: 7 }, open: true });
    t.clock.manual = true;
    const answers: unknown[] = [];
    t.driver.call(call, (value, error) => answers.push(error?.code ?? value));
    t.commits[0]?.done(new Error("no space left"));
    expect(answers).toEqual(["restarted"]);
    expect(t.log).not.toContain("transmit 9");
    expect(t.roots).toHaveLength(1);
    // The new root comes once the first commit after the reload has proved the store, and is told the open paths.
    t.commits[1]?.done();
    expect(t.roots).toHaveLength(2);
    expect(t.last().saved.has("k")).toBe(false);
    expect(t.last().inputs.map((i) => i.type)).toEqual(["path", "start"]);
    expect(t.driver.state).toBe("running");
  });

  test("2: answers to an older root's questions are dropped", () => {
    const t = setup((input) => {
      if (input.type !== "received") return [];
      return input.bytes[0] === 1 ? [{ type: "read", req: 5, key: "spool/x" }] : [save("k")];
    });
    t.driver.input(received(1));
    t.clock.manual = true;
    t.driver.input(received(2));
    t.commits[0]?.done(new Error("broken"));
    t.commits[1]?.done();
    t.reads[0]?.done(packet(1));
    expect(t.last().inputs.map((i) => i.type)).toEqual(["start"]);
  });

  test("2: when the commit after a reload fails too, mail rests, the cache goes on, and it tries again at 1, 3, 8, 20, 60, 60 s", () => {
    const t = setup((input) => (input.type === "received" ? [save("k"), transmit(input.bytes[0] ?? 0)] : []), true);
    t.clock.manual = true;
    t.driver.input(received(1));
    t.commits.shift()?.done(new Error("broken"));
    t.commits.shift()?.done(new Error("still broken"));
    expect(t.driver.state).toBe("failed");
    expect(t.log.at(-1)).toContain("still broken");
    const refused: unknown[] = [];
    t.driver.call(call, (_, error) => refused.push(error?.code));
    expect(refused).toEqual(["store-failed"]);
    // The cache role answers, and its turns never reach the store.
    t.driver.input(received(7));
    expect(t.log.at(-1)).toBe("transmit 7");
    expect(t.commits).toHaveLength(0);
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      waits.push((t.clock.wakeAt ?? 0) - t.clock.now);
      t.clock.now = t.clock.wakeAt ?? 0;
      t.driver.tick();
      t.commits.shift()?.done(new Error("broken"));
    }
    expect(waits).toEqual([1000, 3000, 8000, 20_000, 60_000, 60_000]);
    t.clock.now = t.clock.wakeAt ?? 0;
    t.driver.tick();
    t.commits.shift()?.done();
    expect(t.driver.state).toBe("running");
  });

  test("3: a read is an effect with a number, its answer a later input", () => {
    const t = setup((input) => (input.type === "received" ? [{ type: "read", req: 42, key: "spool/abc" }] : []));
    t.driver.input(received(1));
    expect(t.last().inputs.at(-1)?.type).toBe("received");
    expect(t.reads[0]?.key).toBe("spool/abc");
    t.reads[0]?.done(packet(5));
    expect(t.last().inputs.at(-1)).toEqual({ type: "read", req: 42, value: packet(5) });
  });

  test("3: a page of keys is read the same way", () => {
    const page = { prefix: "queue/", after: "queue/7", limit: 2 };
    const t = setup((input) => (input.type === "received" ? [{ type: "list", req: 43, ...page }] : []));
    t.driver.input(received(1));
    expect(t.lists[0]?.what).toEqual(["queue/", "queue/7", 2]);
    t.lists[0]?.done([["queue/8", packet(5)]]);
    expect(t.last().inputs.at(-1)).toEqual({ type: "listed", req: 43, pairs: [["queue/8", packet(5)]] });
  });

  test("4: blob records are written and synced with the batch that names them, in one commit", () => {
    const t = setup((input) =>
      input.type === "received"
        ? [{ type: "blob-write", blob: "in/a", index: 0, bytes: packet(1) }, save("names in/a"), transmit(1)]
        : [],
    );
    t.clock.manual = true;
    t.driver.input(received(1));
    expect(t.commits[0]?.commit.records).toEqual([{ type: "blob-write", blob: "in/a", index: 0, bytes: packet(1) }]);
    expect(t.commits[0]?.commit.changes.map((c) => c.key)).toEqual(["names in/a"]);
    expect(t.log).not.toContain("transmit 1");
  });

  test("5: the path says what it takes: the driver passes credit on and queues nothing for a socket", () => {
    const t = setup(() => []);
    t.driver.input({ type: "writable", path, credit: 65_536 });
    expect(t.last().inputs.at(-1)).toEqual({ type: "writable", path, credit: 65_536 });
  });

  test("5: when the disk falls far behind the network, packets are dropped and counted, and broken streams cut", () => {
    const t = setup((input) => (input.type === "received" ? [save("k")] : []));
    t.clock.manual = true;
    for (let i = 0; i < 5000; i++) t.driver.input(received(1));
    expect(t.driver.dropped).toBeGreaterThan(0);
    const stream = { type: "tcp4", ip: "10.0.0.1", port: 7 };
    t.driver.input({ type: "path", path: stream, open: true });
    t.driver.input({ type: "received", path: stream, bytes: packet(1) });
    expect(t.log).toContain("disconnect");
    expect(t.last().inputs.at(-1)).toEqual({ type: "path", path: stream, open: false });
  });

  test("6: a heap of deadlines knows the next one, and a change touches only its own child", () => {
    const deadlines = new Deadlines<string>();
    for (let i = 0; i < 1000; i++) deadlines.set(`child ${i}`, 1000 + i);
    deadlines.set("child 0", undefined);
    deadlines.set("child 999", 5);
    expect(deadlines.next()).toBe(5);
    expect(deadlines.due(1002)).toEqual(["child 999", "child 1", "child 2"]);
    expect(deadlines.next()).toBe(1003);
  });

  test("6: the driver asks for one wake-up, at the root's deadline, and ticks only when it is due", () => {
    const t = setup((input, root) => {
      root.due = input.type === "tick" ? undefined : 5000;
      return [];
    });
    t.driver.input(received(1));
    expect(t.clock.wakeAt).toBe(5000);
    t.driver.tick();
    expect(t.last().inputs.at(-1)?.type).toBe("received");
    t.clock.now = 5000;
    t.driver.tick();
    expect(t.last().inputs.at(-1)?.type).toBe("tick");
    expect(t.clock.wakeAt).toBeUndefined();
  });

  test("7: what is slow is an effect with an answer, and other turns go on meanwhile", () => {
    const t = setup((input) => {
      if (input.type !== "received") return [];
      return input.bytes[0] === 1 ? [{ type: "blob-hash", req: 3, blob: "in/a", count: 1, size: 1 }] : [transmit(2)];
    });
    t.driver.input(received(1));
    t.driver.input(received(2));
    expect(t.log).toEqual(["transmit 2"]);
    t.hashes[0]?.("ab");
    expect(t.last().inputs.at(-1)).toEqual({ type: "hash", req: 3, sha256: "ab" });
  });

  test("7: a search for a stamp has one answer; it ends when it is taken back, and with the root that asked", () => {
    const t = setup((input) => {
      if (input.type !== "received") return [];
      const req = input.bytes[0] ?? 0;
      return [req < 10 ? { type: "find-stamp", req, task: {} as StampTask } : { type: "forget-stamp", req: req - 10 }];
    });
    for (const n of [1, 2, 3, 12]) t.driver.input(received(n));
    expect(t.searches.map(({ isEnded }) => isEnded)).toEqual([false, true, false]);
    t.searches[0]?.done(packet(7));
    expect(t.last().inputs.at(-1)).toEqual({ type: "stamp", req: 1, stamp: packet(7) });
    t.driver.input(received(11)); // answered already: there is nothing to end
    expect(t.searches.map(({ isEnded }) => isEnded)).toEqual([false, true, false]);
    const { length } = t.last().inputs;
    t.driver.stop();
    expect(t.searches.map(({ isEnded }) => isEnded)).toEqual([false, true, true]);
    t.searches[2]?.done(packet(8));
    expect(t.last().inputs).toHaveLength(length);
  });

  test("8: what a cache holds goes to a sink of its own and never into a commit", () => {
    const op = { type: "list", recipient: "r" } as never;
    const t = setup((input) => (input.type === "received" ? [{ type: "boxes", op }, save("k")] : []));
    t.driver.input(received(1));
    expect(t.log).toEqual(["commit k", "boxes list"]);
    expect([...t.disk.keys()].filter((key) => key !== "driver/starts")).toEqual(["k"]);
  });
});

describe("a root that throws", () => {
  /** Its turns save and send; the input 13 makes it throw, after it has changed something in itself. */
  const poisoned = (input: RootIn, root: ScriptedRoot): RootOut[] => {
    if (input.type === "start") root.due = 1e9;
    if (input.type === "received" && input.bytes[0] === 13) {
      root.due = 1;
      throw new TypeError("cannot read 'dear bob'");
    }
    if (input.type === "call") throw new Error("broken invariant: two and two are four");
    return input.type === "received" ? [save(`k${input.bytes[0]}`), transmit(input.bytes[0] ?? 0)] : [];
  };

  test("is forgotten with its half turn and all that had not left; the next one begins from the disk, and goes on", () => {
    const t = setup(poisoned);
    t.clock.manual = true;
    t.driver.input({ type: "path", path, open: true });
    t.driver.input(received(1));
    t.driver.input(received(13));
    t.commits.shift()?.done(); // of the first packet: too late for the one that is no more
    expect([t.driver.state, t.roots.length]).toEqual(["loading", 1]);
    expect(t.log).toEqual([
      "commit k1",
      expect.stringMatching(/^trouble a fault in this program \(TypeError < driver.test.ts:\d+.*starting again/),
      "commit driver/starts",
    ]);
    t.commits.shift()?.done();
    t.clock.manual = false;
    expect([t.driver.state, t.driver.faults, t.clock.wakeAt]).toEqual(["running", 1, 1e9]);
    expect(t.last().inputs.map(({ type }) => type)).toEqual(["path", "start"]);
    t.driver.input(received(2));
    expect(t.log.slice(3)).toEqual(["commit k2", "transmit 2"]);
    expect(t.log.join()).not.toContain("bob");
  });

  test("refuses what it was asked, and says which invariant was broken", () => {
    const t = setup(poisoned);
    const answers: unknown[] = [];
    t.driver.call(call, (_value, error) => answers.push(error?.code));
    expect([answers, t.driver.state]).toEqual([["restarted"], "running"]);
    expect(t.log[0]).toMatch(/^trouble a fault .*two and two are four/);
  });

  test("again and again rests longer each time, while the cache goes on; after ten good minutes it is as the first time", () => {
    const t = setup(poisoned, true);
    const rests: number[] = [];
    for (let i = 0; i < 7; i++) {
      t.driver.input(received(13));
      if (t.driver.state === "running") continue;
      expect(t.driver.state).toBe("failed");
      t.driver.input(received(7)); // the one that only serves the cache
      expect(t.log.at(-1)).toBe("transmit 7");
      rests.push((t.clock.wakeAt ?? 0) - t.clock.now);
      while (t.driver.state === "failed") {
        t.clock.now = t.clock.wakeAt ?? Number.NaN;
        t.driver.tick();
      }
    }
    expect(rests).toEqual([1_000, 3_000, 8_000, 20_000, 60_000, 60_000]);
    t.clock.now += 600_000;
    t.driver.input(received(13));
    expect([t.driver.state, t.driver.faults]).toEqual(["running", 8]);
  });

  test("also when it only serves the cache: then everything rests, until its time has come", () => {
    const t = setup(poisoned, true);
    for (let i = 0; i < 3; i++) t.driver.input(received(13));
    expect([t.driver.state, t.driver.root, t.driver.faults]).toEqual(["failed", undefined, 3]);
    t.driver.input(received(1));
    expect(t.log.at(-1)).toMatch(/^trouble .*the cache rests, too/);
    t.clock.now = t.clock.wakeAt ?? Number.NaN;
    t.driver.tick();
    expect(t.driver.state).toBe("running");
  });

  test("from its making on cannot start: it says so and rests, with a store and without one", () => {
    for (const durable of [true, false]) {
      const states: DriverState[] = [];
      const t = setup(() => []);
      const io: DriverIo = { ...t.io, state: (state) => void states.push(state) };
      let made = 0;
      const driver = new Driver<ScriptedRoot>({
        io,
        durable,
        root: () => {
          if (++made < 4) throw new Error("no");
          return new ScriptedRoot(new Map(), () => []);
        },
      });
      driver.start();
      expect([made, driver.state, driver.root, states.includes("running")]).toEqual([2, "failed", undefined, false]);
      for (const wait of [1_000, 3_000]) {
        t.clock.now += wait;
        driver.tick();
      }
      expect([made, driver.state, states.at(-1), driver.faults]).toEqual([4, "running", "running", 3]);
    }
  });
});

test("stop refuses what is pending and lets nothing more out", () => {
  const t = setup((input) => (input.type === "call" ? [save("k"), transmit(1)] : []));
  t.clock.manual = true;
  const answers: unknown[] = [];
  t.driver.call(call, (_, error) => answers.push(error?.code));
  t.driver.stop();
  t.commits[0]?.done();
  expect(answers).toEqual(["stopped"]);
  expect(t.log).not.toContain("transmit 1");
  expect(t.states.at(-1)).toBe("stopped");
});

test("leaving is stopping with a last word, which waits for no commit and takes nothing along that does", () => {
  const t = setup((input) =>
    input.type === "call" ? [save("k"), transmit(1)] : input.type === "leave" ? [transmit(2), save("late")] : [],
  );
  t.clock.manual = true;
  const answers: unknown[] = [];
  t.driver.call(call, (_, error) => answers.push(error?.code));
  t.driver.leave();
  t.commits[0]?.done();
  expect([answers, t.log, t.states.at(-1)]).toEqual([["stopped"], ["commit k", "transmit 2"], "stopped"]);
  t.driver.leave();
  expect(t.log.length).toBe(2);
});

describe("a root that is wanted anew", () => {
  const leaves = (input: RootIn): RootOut[] => {
    if (input.type === "leave") return [{ type: "transmit", path, bytes: packet(99) }];
    return input.type === "received" ? [save("k"), { type: "transmit", path, bytes: packet(1) }] : [];
  };

  test("begins from the disk, after a last word of the one before; who waits for that one is refused", () => {
    const t = setup(leaves);
    const codes: unknown[] = [];
    t.driver.call(call, (_value, error) => codes.push(error?.code));
    t.driver.restart();
    expect([codes, t.roots.length, t.driver.state]).toEqual([["restarted"], 2, "running"]);
    expect(t.roots[0]?.inputs.at(-1)).toEqual({ type: "leave" });
    expect(t.last().inputs).toEqual([{ type: "start" }]);
    expect(t.log).toContain("transmit 99");
  });

  test("waits for the commit that is under way, and has what that wrote", () => {
    const t = setup(leaves);
    t.clock.manual = true;
    t.driver.input(received(1));
    t.driver.restart();
    expect(t.roots).toHaveLength(1);
    t.clock.manual = false;
    t.disk.set("k", packet(1));
    t.commits[0]?.done();
    expect(t.roots).toHaveLength(2);
    expect([...t.last().saved.keys()]).toContain("k");
    const sent = t.log.filter((line) => line.startsWith("transmit"));
    expect(sent).toEqual(["transmit 1", "transmit 99"]);
  });

  test("is not made while it rests or is stopped", () => {
    const t = setup(leaves);
    t.driver.stop();
    t.driver.restart();
    expect([t.driver.state, t.roots.length]).toEqual(["stopped", 1]);
  });
});

test("a root that throws when it is to leave is stopped all the same", () => {
  const t = setup((input) => {
    if (input.type === "leave") throw new Error("a fault");
    return [];
  });
  t.driver.leave();
  expect([t.states.at(-1), t.driver.root]).toEqual(["stopped", undefined]);
});

test("the application's word goes to the root that asked for it, and to none after that", () => {
  const hashname = "a".repeat(52) as Hashname;
  const ask: RootOut = { type: "ask", hashname, keys: new Map(), path, messages: [] };
  const t = setup((input) => (input.type === "received" ? [save("k"), ask] : []));
  t.driver.input(received(1));
  t.asks[0]?.(true);
  expect(t.last().inputs.at(-1)).toEqual({ type: "asked", hashname, ok: true });

  t.clock.manual = true;
  t.driver.input(received(2));
  expect(t.asks).toHaveLength(1); // what is not saved yet is no question
  t.commits[0]?.done();
  expect(t.asks).toHaveLength(2);
  t.clock.manual = false;
  t.clock.now += 3_600_000;
  t.driver.tick();
  t.clock.now -= 3_600_000;
  t.driver.tick(); // set back: the root begins anew
  t.asks[1]?.(true);
  expect(t.roots.map(({ inputs }) => inputs.filter(({ type }) => type === "asked").length)).toEqual([1, 0]);

  t.driver.input(received(3));
  t.driver.stop();
  t.asks[2]?.(true);
  expect(t.asks).toHaveLength(3);
  expect(t.last().inputs.at(-1)).toEqual(received(3));
});

describe("a clock that is set back", () => {
  test("by little changes nothing; by more begins the root anew, which waits for nothing that lies ahead", () => {
    const t = setup(() => []);
    t.clock.now += 3_600_000;
    t.driver.tick();
    t.clock.now -= 59_000;
    t.driver.input(received(1));
    expect(t.roots).toHaveLength(1);
    t.clock.now -= 61_000;
    t.driver.tick();
    expect(t.roots).toHaveLength(2);
    expect(t.last().inputs).toEqual([{ type: "start" }]);
    expect(t.log.some((line) => line.startsWith("trouble the clock"))).toBe(true);
    t.driver.input(received(2));
    expect(t.last().inputs.at(-1)).toEqual(received(2));
  });

  test("refuses a call, and a store that failed is tried again at once", () => {
    const t = setup(() => [], true);
    t.clock.now += 3_600_000;
    t.driver.tick();
    t.clock.now = 1000;
    const codes: unknown[] = [];
    t.driver.call(call, (_value, error) => codes.push(error?.code));
    expect(codes).toEqual(["restarted"]);
    expect(t.driver.state).toBe("running");
    expect(t.roots).toHaveLength(2);
  });
});
