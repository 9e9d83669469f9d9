import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { Level } from "level";
import { memoryStore, portable, RECORD_BYTES, RestanteError, type Store } from "restante";
import { concat, fromUtf8, toHex, utf8 } from "restante/protocol";
import { Chance, storeSuite } from "restante/testing";
import { afterEach, describe, expect, test } from "vitest";
import { loadNative } from "../crypto/native.ts";
import { levelStore } from "./level.ts";

const backend = (await loadNative()) ?? portable;
const KEY = new Uint8Array(32).fill(9);
const folders: string[] = [];
const stores: Store[] = [];
const children: ChildProcessWithoutNullStreams[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await Promise.all(stores.splice(0).map((store) => store.close()));
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true });
});

describe("every store", () => {
  const make = async () => {
    const dir = folder();
    const store = await opened(dir);
    return {
      store,
      reopen: async () => {
        await store.close();
        return opened(dir);
      },
    };
  };
  for (const { name, run } of storeSuite(make)) test(name, run);
});

test("lists, loads and gets what a store in memory does, whatever the keys", async () => {
  const store = await opened(folder());
  const part = fc.constantFrom("", "a", "b", "ab", "in", "0", "7", "10", "000000000012", "0000000000123", "é", "-");
  const key = fc.oneof(
    fc.tuple(part, part).map(([a, b]) => `${a}/${b}`),
    fc.tuple(part, part, part).map(([a, b, c]) => `${a}/${b}/${c}`),
    fc.tuple(part, part).map(([a, b]) => `in/${a}${b}`),
    part.filter((text) => text !== ""),
    fc.constantFrom("!schema", "#/1", "!batches/1", "in/#1", "in/=1"),
  );
  const value = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined, freq: 5 });
  const batch = fc.array(fc.record({ key, value }), { minLength: 1, maxLength: 30 });
  const question = fc.record({ prefix: fc.oneof(key, part), after: fc.oneof(key, part), limit: fc.nat(12) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(batch, { maxLength: 4 }),
      fc.array(question, { maxLength: 20 }),
      async (batches, questions) => {
        const model = memoryStore();
        const old = await store.load("");
        await store.commit(old.map(([key]) => ({ key, value: undefined })));
        for (const changes of batches) {
          await model.commit(changes);
          await store.commit(changes);
        }
        for (const { prefix, after, limit } of questions) {
          expect(await store.list(prefix, after, limit)).toEqual(await model.list(prefix, after, limit));
          expect(await store.load(prefix)).toEqual(await model.load(prefix));
          expect(await store.get(prefix)).toEqual(await model.get(prefix));
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("commits at the same time are done one after the other, all of them", async () => {
  const dir = folder();
  const store = await opened(dir);
  await Promise.all(Array.from({ length: 50 }, (_, i) => store.commit([{ key: `k/${i}`, value: Uint8Array.of(i) }])));
  await store.close();
  expect(await (await opened(dir)).load("k/")).toHaveLength(50);
});

describe("who may open it", () => {
  test("a second open of the same folder: store-locked, and the first goes on", async () => {
    const dir = folder();
    const store = await opened(dir);
    await expect(levelStore({ dir, key: KEY, backend }).open()).rejects.toMatchObject({ code: "store-locked" });
    await store.commit([{ key: "a", value: utf8("1") }]);
    await store.close();
    await opened(dir);
  });

  test("another process has it: store-locked", async () => {
    const dir = folder();
    const child = run(dir, `await store.open(); say("open"); await answer();`);
    expect(await child.said()).toBe("open");
    await expect(levelStore({ dir, key: KEY, backend }).open()).rejects.toMatchObject({
      code: "store-locked",
      message: expect.stringContaining(`process ${child.process.pid} `),
    });
  });

  test("another key: store-key, and nothing is changed", async () => {
    const dir = folder();
    await (await filled(dir)).close();
    const other = levelStore({ dir, key: new Uint8Array(32).fill(8), backend });
    await expect(other.open()).rejects.toMatchObject({ code: "store-key" });
    expect(await contents(await opened(dir))).toEqual(await expected());
  });

  test("a newer schema: store-schema", async () => {
    const dir = folder();
    await (await filled(dir)).close();
    const database = new Level(join(dir, "db"));
    await database.put("!schema", "2");
    await database.close();
    await expect(opened(dir)).rejects.toMatchObject({ code: "store-schema" });
  });

  test("a folder that other users can get into: open-permissions, with the remedy", async () => {
    const dir = folder();
    await (await filled(dir)).close();
    chmodSync(dir, 0o750);
    await expect(opened(dir)).rejects.toMatchObject({
      code: "open-permissions",
      message: expect.stringContaining(`chmod 700 ${dir}`),
    });
    chmodSync(dir, 0o700);
    await opened(dir);
  });

  test("its folders are ours alone, its own files too", async () => {
    const dir = folder();
    await (await filled(dir)).close();
    for (const file of [".", "db", "blobs"]) expect(statSync(join(dir, file)).mode & 0o777).toBe(0o700);
    for (const file of ["mark", ...readdirSync(join(dir, "blobs")).map((name) => join("blobs", name))])
      expect(statSync(join(dir, file)).mode & 0o777).toBe(0o600);
  });

  test("after close everything is refused, with a code", async () => {
    const store = await opened(folder());
    await store.close();
    for (const call of [
      () => store.get("a"),
      () => store.load("a/"),
      () => store.commit([]),
      () => store.blobRead("a", 0),
      () => store.blobWrite("a", 0, utf8("x")),
    ])
      await expect(call()).rejects.toMatchObject({ code: "store-failed" });
    await store.close();
  });
});

test("nothing in the folder is in clear but groups and numbers", async () => {
  const dir = folder();
  const store = await opened(dir);
  const planted = ["PlantedId", "PlantedValue", "PlantedBlob", "PlantedRecord", "9876543210123456"];
  const [id, value, blob, record, digits] = planted;
  await store.commit([
    { key: `mail/${id}`, value: utf8(`${value}`.repeat(50)) },
    { key: `${id}`, value: utf8(`${value}`) },
    { key: `inbox/000000000001`, value: utf8(`${value}`) },
    { key: `inbox/${digits}`, value: utf8(`${value}`) },
  ]);
  await store.blobWrite(`${blob}`, 0, utf8(`${record}`));
  await store.blobSync([`${blob}`]);
  await store.close();
  // Closed and opened again: once as a log, once as a table.
  const log = everything(dir);
  await (await opened(dir)).close();
  for (const bytes of [log, everything(dir)]) {
    for (const text of [...planted, toHex(KEY)]) expect(bytes.includes(text)).toBe(false);
    expect(bytes.includes(Buffer.from(KEY))).toBe(false);
  }
  expect(log.includes("inbox/")).toBe(true); // the search finds what is there
});

describe("damage", () => {
  test("a changed byte in any file is refused or without effect, never a wrong or missing value", async () => {
    const dir = folder();
    await (await filled(dir)).close();
    const whole = await expected();
    const chance = new Chance(5);
    const refusals = new Map<string, number>();
    const files = filesIn(dir);
    expect(files.filter((file) => file.endsWith(".ldb")).length).toBeGreaterThan(1);
    expect(files.some((file) => file.endsWith(".log") && statSync(join(dir, file)).size > 1000)).toBe(true);
    const tries = 10;
    for (const file of files) {
      const bytes = readFileSync(join(dir, file));
      if (bytes.length === 0) continue;
      for (let n = 0; n < tries; n++) {
        // The ends of a file are its most delicate places.
        const near = Math.min(60, bytes.length - 1);
        const at =
          n % 3 === 0
            ? bytes.length - 1 - chance.between(0, near)
            : chance.between(0, n % 3 === 1 ? near : bytes.length - 1);
        const damaged = folder();
        copyFolder(dir, damaged);
        const copy = Buffer.from(bytes);
        copy[at] = (copy[at] ?? 0) ^ (1 << chance.between(0, 7));
        writeFileSync(join(damaged, file), copy);
        const found = await openedOrCode(damaged);
        if (typeof found === "string") {
          expect(["store-damaged", "store-schema", "store-key"], `${file} byte ${at}`).toContain(found);
          refusals.set(file, (refusals.get(file) ?? 0) + 1);
        } else if (file.startsWith("blobs")) {
          expect(found.pairs, `${file} byte ${at}`).toEqual(whole.pairs);
          // Of its three records one is gone, or none (a hole was hit).
          const lost = found.records.filter((record, i) => record === undefined && whole.records[i] !== undefined);
          expect(lost.length, `${file} byte ${at}`).toBeLessThanOrEqual(1);
          expect(found.records.every((record, i) => record === undefined || record === whole.records[i])).toBe(true);
        } else expect(found, `${file} byte ${at}`).toEqual(whole);
      }
    }
    for (const file of files)
      if (/\.(ldb|log)$|MANIFEST|CURRENT|mark/.test(file)) expect(refusals.get(file), file).toBe(tries);
  });

  test("a log that lost its last batches is noticed", async () => {
    const dir = folder();
    await (await filled(dir)).close();
    const log = filesIn(dir).find((file) => file.endsWith(".log")) ?? "";
    const bytes = readFileSync(join(dir, log));
    for (const length of [0, 100, bytes.length - 1]) {
      const damaged = folder();
      copyFolder(dir, damaged);
      writeFileSync(join(damaged, log), bytes.subarray(0, length));
      await expect(opened(damaged)).rejects.toMatchObject({
        code: "store-damaged",
        message: expect.stringContaining("missing"),
      });
    }
  });

  test("a missing file of the database is noticed, whichever it is", async () => {
    const dir = folder();
    await (await filled(dir)).close();
    for (const file of filesIn(dir).filter((file) => /\.(ldb|log)$|MANIFEST|CURRENT/.test(file))) {
      const damaged = folder();
      copyFolder(dir, damaged);
      rmSync(join(damaged, file));
      await expect(opened(damaged), file).rejects.toMatchObject({ code: "store-damaged" });
    }
    rmSync(join(dir, "db"), { recursive: true });
    await expect(opened(dir)).rejects.toMatchObject({ code: "store-damaged" });
  });

  test("an entry in the place of another does not verify", async () => {
    const dir = folder();
    await (await filled(dir)).close();
    const database = new Level<string, Uint8Array>(join(dir, "db"), { valueEncoding: "view" });
    await database.put("inbox/=000000000001", (await database.get("inbox/=000000000002")) ?? new Uint8Array(0));
    await database.close();
    const store = await opened(dir);
    await expect(store.get("inbox/000000000001")).rejects.toMatchObject({ code: "store-damaged" });
    await expect(store.load("inbox/")).rejects.toMatchObject({ code: "store-damaged" });
    expect(await store.get("inbox/000000000002")).toBeDefined();
  });

  test("a blob in the place of another, or a record in that of another, is none", async () => {
    const dir = folder();
    const store = await filled(dir);
    const blobs = readdirSync(join(dir, "blobs")).map((name) => join(dir, "blobs", name));
    const [a = "", b = ""] = blobs;
    const bytes = readFileSync(a);
    writeFileSync(a, readFileSync(b));
    expect((await contents(store)).records.filter((record) => record !== undefined)).toHaveLength(2);
    const stride = bytes.length / 4;
    writeFileSync(a, concat(bytes.subarray(stride), bytes.subarray(0, stride)));
    expect((await contents(store)).records.filter((record) => record !== undefined)).toHaveLength(2);
  });
});

describe("crashes", () => {
  test("killed in the middle of commits, again and again: every acknowledged one is there, whole", async () => {
    const dir = folder();
    const chance = new Chance(11);
    let acknowledged = 0;
    for (let round = 0; round < 8; round++) {
      const child = run(
        dir,
        `await store.open();
         for (let n = Number(await answer()); ; n++) {
           await store.blobWrite("b/" + n % 5, n, utf8("record " + n));
           await store.blobSync(["b/" + n % 5]);
           await store.commit([
             { key: "one/" + n, value: utf8("x".repeat(n * 37 % 4000)) },
             { key: "two/" + String(n).padStart(12, "0"), value: utf8(String(n)) },
             { key: "last", value: utf8(String(n)) },
           ]);
           say(n);
         }`,
      );
      child.answer(String(acknowledged + 1));
      const goal = acknowledged + chance.between(1, 40);
      while (acknowledged < goal) acknowledged = Number(await child.said());
      child.process.kill("SIGKILL");
      for (let text = await child.said(); text !== undefined; text = await child.said()) acknowledged = Number(text);
      await child.ended;

      const store = await opened(dir);
      const last = Number(fromUtf8((await store.get("last")) ?? utf8("0")));
      expect(last).toBeGreaterThanOrEqual(acknowledged);
      expect(last).toBeLessThanOrEqual(acknowledged + 1);
      const one = new Map(await store.load("one/"));
      const two = await store.load("two/");
      expect([one.size, two.length]).toEqual([last, last]);
      for (let n = 1; n <= last; n++) {
        expect(one.get(`one/${n}`)?.length).toBe((n * 37) % 4000);
        expect(await store.blobRead(`b/${n % 5}`, n)).toEqual(utf8(`record ${n}`));
      }
      acknowledged = last;
      await store.close();
      stores.splice(0);
    }
  });

  const isMissing = spawnSync("prlimit", ["--version"]).error !== undefined;
  if (isMissing && process.env["CI_STRICT"] !== "1") console.log("prlimit is not there: full disks are NOT tested");
  test.skipIf(isMissing && process.env["CI_STRICT"] !== "1")(
    "a full disk: the commit is refused, all before it is there, and it goes on when there is room",
    async () => {
      const dir = folder();
      // No file may grow beyond 600 kB: the write that would do it fails in the middle.
      const child = run(
        dir,
        `await store.open();
         const value = (n) => new Uint8Array(20_000).fill(n);
         let n = 0;
         let code;
         while (code === undefined) {
           await store.commit([{ key: "k/" + n, value: value(n) }]).then(() => n++, (error) => { code = error.code + ": " + error.message; });
         }
         let records = 0;
         let blobCode;
         while (blobCode === undefined) {
           await store.blobWrite("blob", records, value(records)).then(() => records++, (error) => { blobCode = error.code; });
         }
         say(JSON.stringify({ n, code, records, blobCode, torn: (await store.blobRead("blob", records))?.length }));
         await answer();
         const before = (await store.load("k/")).length;
         await store.commit([{ key: "k/" + n, value: value(n) }]);
         await store.blobWrite("blob", records, value(records));
         await store.blobSync(["blob"]);
         say(JSON.stringify({ before }));
         await answer();`,
        ["prlimit", "--fsize=600000:unlimited"],
      );
      const full = JSON.parse((await child.said()) ?? "{}");
      expect(full).toMatchObject({ code: expect.stringMatching(/^store-failed: /), blobCode: "store-failed" });
      expect(full.torn).toBeUndefined();
      expect(full.n).toBeGreaterThan(5);
      expect(full.records).toBeGreaterThan(5);

      execFileSync("prlimit", ["--pid", String(child.process.pid), "--fsize=unlimited:unlimited"]);
      child.answer("room");
      const { before } = JSON.parse((await child.said()) ?? "{}");
      expect(before).toBe(full.n);
      child.process.kill("SIGKILL");
      await child.ended;

      const store = await opened(dir);
      const pairs = new Map(await store.load("k/"));
      expect(pairs.size).toBe(full.n + 1);
      for (let n = 0; n <= full.n; n++) expect(pairs.get(`k/${n}`)).toEqual(new Uint8Array(20_000).fill(n));
      for (let n = 0; n <= full.records; n++)
        expect(await store.blobRead("blob", n)).toEqual(new Uint8Array(20_000).fill(n));
    },
  );

  test("a disk that is full from the start is refused in words, and nothing stays open", async () => {
    if (isMissing) return;
    const dir = folder();
    const script = `await store.open().catch((error) => say(error.code)); say("end");`;
    const child = run(dir, script, ["prlimit", "--fsize=10:unlimited"]);
    expect([await child.said(), await child.said()]).toEqual(["store-failed", "end"]);
    await child.ended;
    await opened(dir);
  });
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "restante-level-"));
  folders.push(dir);
  return dir;
}

async function opened(dir: string): Promise<Store> {
  const store = levelStore({ dir, key: KEY, backend });
  await store.open();
  stores.push(store);
  return store;
}

/** A store with two tables, a log, and two blobs with holes. */
async function filled(dir: string): Promise<Store> {
  await fill(await opened(dir), 0);
  for (const stage of [1, 2]) {
    await stores.pop()?.close();
    await fill(await opened(dir), stage);
  }
  const store = stores.at(-1);
  if (store === undefined) throw new Error("it was opened");
  return store;
}

async function fill(store: Store, stage: number): Promise<void> {
  for (let i = 0; i < 8; i++)
    await store.commit([
      { key: `inbox/${String(stage * 8 + i).padStart(12, "0")}`, value: utf8(`mail ${i}`.repeat(i * 9)) },
      { key: `mail/out/${stage}-${i}`, value: new Uint8Array(i * 50).fill(stage) },
      { key: "mail/n", value: utf8(`${stage} ${i}`) },
      { key: `mail/out/${stage - 1}-${i}`, value: i % 2 === 0 ? undefined : utf8("again") },
    ]);
  await store.blobWrite(`file/${stage % 2}`, stage, new Uint8Array(RECORD_BYTES).fill(stage + 1));
  await store.blobWrite(`file/${stage % 2}`, 3, utf8(`three ${stage}`));
  await store.blobSync(["file/0", "file/1"]);
}

interface Contents {
  readonly pairs: readonly (readonly [string, string])[];
  readonly records: readonly (string | undefined)[];
}

async function contents(store: Store): Promise<Contents> {
  const pairs = (await store.load("")).map(([key, value]) => [key, toHex(value)] as const);
  for (const [key, value] of pairs) expect(toHex((await store.get(key)) ?? Uint8Array.of())).toBe(value);
  const records: (string | undefined)[] = [];
  for (const blob of ["file/0", "file/1"])
    for (let index = 0; index < 5; index++) {
      const record = await store.blobRead(blob, index);
      records.push(record && toHex(record));
    }
  return { pairs, records };
}

async function expected(): Promise<Contents> {
  const model = memoryStore();
  for (const stage of [0, 1, 2]) await fill(model, stage);
  return contents(model);
}

/** What is in the store, or the code with which it is refused. Anything else is a failure of the test. */
async function openedOrCode(dir: string): Promise<Contents | string> {
  const store = levelStore({ dir, key: KEY, backend });
  try {
    await store.open();
    return await contents(store);
  } catch (error) {
    if (error instanceof RestanteError) return error.code;
    throw error;
  } finally {
    await store.close();
  }
}

function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1));
}

function everything(dir: string): Buffer {
  return Buffer.concat(filesIn(dir).flatMap((file) => [Buffer.from(`${file}\n`), readFileSync(join(dir, file))]));
}

/** A process with a store in `dir` that runs the script: `say(text)` tells us, `await answer()` waits for us. */
function run(dir: string, script: string, before: readonly string[] = []) {
  const source = `
    import { createInterface } from "node:readline";
    import { levelStore, loadNative } from "@restante/node";
    import { portable } from "restante";
    const utf8 = (text) => new TextEncoder().encode(text);
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    const answer = async () => (await lines.next()).value;
    const say = (text) => process.stdout.write(text + "\\n");
    const backend = (await loadNative()) ?? portable;
    const store = levelStore({ dir: ${JSON.stringify(dir)}, key: new Uint8Array(32).fill(9), backend });
    ${script}
    process.exit(0);`;
  const [command = process.execPath, ...args] = [...before, process.execPath, "--input-type=module", "-e", source];
  const child = spawn(command, args, { cwd: fileURLToPath(new URL("../..", import.meta.url)) });
  children.push(child);
  child.stderr.pipe(process.stderr);
  const lines: AsyncIterator<string> = (createInterface({ input: child.stdout }) as Interface)[Symbol.asyncIterator]();
  return {
    process: child,
    ended: once(child, "close"),
    said: async (): Promise<string | undefined> => (await lines.next()).value as string | undefined,
    answer: (text: string) => void child.stdin.write(`${text}\n`),
  };
}

/** A copy that is as private as the original: not every Node keeps the modes of folders. */
function copyFolder(from: string, to: string): void {
  cpSync(from, to, { recursive: true });
  const folders = readdirSync(to, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const path of [to, ...folders.map(({ parentPath, name }) => join(parentPath, name))]) chmodSync(path, 0o700);
}

describe("compacting", () => {
  /** Whether the name of an entry stands in any file of the database: numbers do so in clear. */
  const isThere = (dir: string, name: string): boolean =>
    readdirSync(join(dir, "db")).some((file) => readFileSync(join(dir, "db", file)).includes(name));
  const set = (key: string, value = "x".repeat(100)) => ({ key, value: utf8(value) });
  const gone = (key: string) => ({ key, value: undefined });
  const [first, second] = ["inbox/000000000001", "inbox/000000000002"];

  test("leaves nothing of what was erased, long ago or just now, in any file", async () => {
    const dir = folder();
    const store = await opened(dir);
    await store.commit([set(first), set(second), set("mail/a")]);
    await store.close();
    const again = await opened(dir);
    const third = "inbox/000000000003";
    await again.commit([set(third)]);
    await again.commit([gone(first), gone(third)]);
    expect([first, third].map((key) => isThere(dir, key.replace("/", "/=")))).toEqual([true, true]);
    await again.compact?.(["inbox/"]);
    expect([first, second, third].map((key) => isThere(dir, key.replace("/", "/=")))).toEqual([false, true, false]);
    expect((await again.load("")).map(([key]) => key)).toEqual([second, "mail/a"]);
  });

  test("leaves nothing of what was written and erased since the store was made", async () => {
    const dir = folder();
    const store = await opened(dir);
    await store.commit([set(first), set(second)]);
    await store.commit([gone(first)]);
    await store.compact?.(["inbox/"]);
    expect([first, second].map((key) => isThere(dir, key.replace("/", "/=")))).toEqual([false, true]);
  });

  test("leaves nothing of a value that was written over, and what is there opens again", async () => {
    const dir = folder();
    const store = await opened(dir);
    const sealed = async (): Promise<Uint8Array> => {
      await store.close();
      const database = new Level<string, Uint8Array>(join(dir, "db"), { valueEncoding: "view" });
      const [value] = await database.values({ gte: "mail/", lt: "mail/~" }).all();
      await database.close();
      await store.open();
      return value ?? new Uint8Array(0);
    };
    const isKept = (bytes: Uint8Array): boolean =>
      readdirSync(join(dir, "db")).some((file) => readFileSync(join(dir, "db", file)).includes(Buffer.from(bytes)));
    await store.commit([set("mail/keys/bob", "a key that is to be forgotten")]);
    const old = await sealed();
    expect(isKept(old)).toBe(true);
    await store.commit([set("mail/keys/bob", "another key")]);
    expect(isKept(old)).toBe(true);
    await store.compact?.(["mail/"]);
    expect(isKept(old)).toBe(false);
    await store.close();
    const again = await opened(dir);
    expect(fromUtf8((await again.get("mail/keys/bob")) ?? new Uint8Array(0))).toBe("another key");
  });
});
