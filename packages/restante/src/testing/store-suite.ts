/** What every `Store` adapter must do. A plain list: run it with any test runner, ours or yours. */
import { assert, equal, utf8 } from "../bytes/index.ts";
import { RECORD_BYTES, type Store } from "../store/index.ts";

/** A test of a suite: it passes when `run` resolves. */
export interface SuiteTest {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/**
 * The tests for one adapter. `make` gives an opened, empty store each time, and `reopen` closes it and opens what is left of
 * it (absent for stores that keep nothing).
 */
export function storeSuite(make: () => Promise<{ store: Store; reopen?: () => Promise<Store> }>): SuiteTest[] {
  const test = (
    name: string,
    run: (store: Store, reopen: (() => Promise<Store>) | undefined) => Promise<void>,
  ): SuiteTest => ({
    name,
    async run() {
      const { store, reopen } = await make();
      let last = store;
      try {
        await run(
          store,
          reopen &&
            (async () => {
              last = await reopen();
              return last;
            }),
        );
      } finally {
        await last.close();
      }
    },
  });
  const set = (key: string, value: string): { key: string; value: Uint8Array } => ({ key, value: utf8(value) });
  return [
    test("an empty store has nothing", async (store) => {
      assert((await store.get("a")) === undefined, "no value");
      assert((await store.load("")).length === 0, "no pairs");
      assert((await store.blobRead("b", 0)) === undefined, "no record");
    }),
    test("what is committed can be read", async (store) => {
      await store.commit([set("a/1", "one"), set("a/2", "")]);
      same(await store.get("a/1"), utf8("one"));
      same(await store.get("a/2"), utf8(""));
    }),
    test("an undefined value deletes, and later entries of a batch win", async (store) => {
      await store.commit([set("a", "1"), set("b", "1")]);
      await store.commit([
        { key: "a", value: undefined },
        set("b", "2"),
        set("b", "3"),
        { key: "never", value: undefined },
      ]);
      assert((await store.get("a")) === undefined, "deleted");
      same(await store.get("b"), utf8("3"));
    }),
    test("load gives a prefix, all of it, in key order", async (store) => {
      const keys = ["m/10", "m/2", "m/1", "mm", "l/9", "m/"];
      await store.commit(keys.map((key) => set(key, key)));
      const loaded = await store.load("m/");
      assert(loaded.map(([key]) => key).join() === "m/,m/1,m/10,m/2", `in order: ${loaded.map(([key]) => key).join()}`);
      for (const [key, value] of loaded) same(value, utf8(key));
    }),
    test("list pages through a prefix", async (store) => {
      await store.commit(Array.from({ length: 25 }, (_, i) => set(`inbox/${String(i).padStart(12, "0")}`, `${i}`)));
      await store.commit([set("inboxes", "no"), set("inbo", "no")]);
      const seen: string[] = [];
      for (let after = "inbox/"; ; ) {
        const page = await store.list("inbox/", after, 10);
        assert(page.length <= 10, "no more than asked");
        if (page.length === 0) break;
        for (const [key, value] of page) {
          seen.push(key);
          same(value, utf8(String(Number(key.slice(6)))));
          after = key;
        }
      }
      assert(seen.length === 25 && seen.join() === [...seen].sort().join(), "each once, in order");
    }),
    test("a large batch is one batch", async (store) => {
      await store.commit(Array.from({ length: 1000 }, (_, i) => set(`k/${i}`, "x".repeat(i))));
      assert((await store.load("k/")).length === 1000, "all of it");
    }),
    test("values are the store's own: later changes to the caller's bytes do not show", async (store) => {
      const value = utf8("before");
      await store.commit([{ key: "k", value }]);
      value.fill(0);
      const got = await store.get("k");
      same(got, utf8("before"));
      got?.fill(0);
      same(await store.get("k"), utf8("before"));
    }),
    test("blob records come back as written, in any order, and can be replaced", async (store) => {
      await store.blobWrite("in/a", 2, utf8("two"));
      await store.blobWrite("in/a", 0, new Uint8Array(RECORD_BYTES).fill(7));
      await store.blobWrite("in/a", 2, utf8("zwei"));
      await store.blobWrite("in/b", 0, utf8("other"));
      await store.blobWrite("in/a", 3, new Uint8Array(0));
      await store.blobSync(["in/a", "in/b"]);
      same(await store.blobRead("in/a", 0), new Uint8Array(RECORD_BYTES).fill(7));
      same(await store.blobRead("in/a", 2), utf8("zwei"));
      same(await store.blobRead("in/a", 3), new Uint8Array(0));
      same(await store.blobRead("in/b", 0), utf8("other"));
      assert((await store.blobRead("in/a", 1)) === undefined, "a hole is no record");
      assert((await store.blobRead("in/a", 4)) === undefined, "nothing past the end");
    }),
    test("a removed blob is gone, others stay", async (store) => {
      await store.blobWrite("a", 0, utf8("a"));
      await store.blobWrite("b", 0, utf8("b"));
      await store.blobSync(["a", "b"]);
      await store.blobRemove("a");
      await store.blobRemove("never");
      assert((await store.blobRead("a", 0)) === undefined, "gone");
      same(await store.blobRead("b", 0), utf8("b"));
      await store.blobWrite("a", 1, utf8("new"));
      assert((await store.blobRead("a", 0)) === undefined, "the old one does not come back");
    }),
    test("everything committed and synced outlives closing", async (store, reopen) => {
      if (reopen === undefined) return;
      await store.commit([set("a/1", "one"), set("b", "two")]);
      await store.commit([{ key: "b", value: undefined }]);
      await store.blobWrite("blob", 1, utf8("record"));
      await store.blobSync(["blob"]);
      const again = await reopen();
      same(await again.get("a/1"), utf8("one"));
      assert((await again.get("b")) === undefined, "still deleted");
      same(await again.blobRead("blob", 1), utf8("record"));
      assert((await again.load("a/")).length === 1, "found by prefix");
    }),
  ];
}

function same(got: Uint8Array | undefined, want: Uint8Array): void {
  assert(got !== undefined && equal(got, want), `${got} is ${want}`);
}
