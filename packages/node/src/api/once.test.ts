import { type FileHandle, mkdir, mkdtemp, open as openFile, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Once, openOnce, type Sending, withDigest } from "./once.ts";

const DAY_MS = 86_400_000;
const key = new Uint8Array(32).fill(7);
const asked = { contact: "bob", text: "hello" };
/** A machine may be busy. */
let dir: string;
let file: string;
let now = 1_800_000_000_000;
let open: Once[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-once-"));
  file = join(dir, "sent-once");
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const each of open) await each.close();
  open = [];
  await rm(dir, { recursive: true });
});

async function opened(options: { key?: Uint8Array; file?: string } = {}): Promise<Once> {
  const once = await openOnce({ key, file, now: () => now, ...options });
  open.push(once);
  return once;
}

/** A spool: ids that were sent, each once. */
function spool(): Sending & { readonly sent: string[] } {
  const sent: string[] = [];
  const give = async ({ id }: { id: string }): Promise<string> => {
    expect(sent).not.toContain(id);
    sent.push(id);
    return id;
  };
  return { sent, give, isSent: async (id) => sent.includes(id) };
}

/** The disk is full in the middle of the next line. */
async function tearNextWrite(): Promise<void> {
  const probe = await openFile(file, "r");
  const write = vi.spyOn(Object.getPrototypeOf(probe) as FileHandle, "appendFile");
  await probe.close();
  write.mockImplementationOnce(async function (this: FileHandle, line) {
    await this.write(String(line).slice(0, 20));
    throw Object.assign(new Error("no space"), { code: "ENOSPC" });
  });
}

describe("a key", () => {
  test("stands for one mail, in whatever order the request says the same", async () => {
    const [once, mail] = [await opened(), spool()];
    const id = await once.run("k", asked, mail);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(await once.run("k", { text: "hello", contact: "bob" }, mail)).toBe(id);
    expect(await once.run("other", asked, mail)).not.toBe(id);
    expect(mail.sent).toHaveLength(2);
  });

  test("with another request is refused, and nothing is sent", async () => {
    const [once, mail] = [await opened(), spool()];
    await once.run("k", asked, mail);
    await expect(once.run("k", { ...asked, text: "bye" }, mail)).rejects.toMatchObject({ code: "key-reused" });
    expect(mail.sent).toHaveLength(1);
  });

  test("that is asked twice at the same time sends once", async () => {
    const [once, mail] = [await opened(), spool()];
    const ids = await Promise.all([1, 2, 3].map(() => once.run("k", asked, mail)));
    expect(new Set(ids).size).toBe(1);
    expect(mail.sent).toHaveLength(1);
  });

  test("is tried again after a refusal", async () => {
    const [once, mail] = [await opened(), spool()];
    const fails: Sending = { ...mail, give: () => Promise.reject(new Error("the disk is full")) };
    await expect(once.run("k", asked, fails)).rejects.toThrow("the disk is full");
    await once.run("k", asked, mail);
    expect(mail.sent).toHaveLength(1);
  });

  test("is kept over a crash: before the mail was sent it is sent under the same id, after it not again", async () => {
    const mail = spool();
    let wanted = "";
    const crashes: Sending = {
      ...mail,
      give: ({ id }) => {
        wanted = id;
        return new Promise(() => {}); // the process is gone
      },
    };
    void (await opened()).run("k", asked, crashes);
    await expect.poll(() => wanted).not.toBe("");
    expect(await (await opened()).run("k", asked, mail)).toBe(wanted);
    expect(await (await opened()).run("k", asked, mail)).toBe(wanted);
    expect(mail.sent).toEqual([wanted]);
    await expect((await opened()).run("k", { ...asked, text: "x" }, mail)).rejects.toMatchObject({
      code: "key-reused",
    });
  });

  test("that could not be noted sends nothing, and is noted before it sends when it is tried again", async () => {
    const [once, mail] = [await opened(), spool()];
    await tearNextWrite();
    await expect(once.run("k1", asked, mail)).rejects.toMatchObject({ code: "store-failed" });
    expect(mail.sent).toEqual([]);
    // Nor while the file cannot be made anew, without the half of a line.
    await rm(file);
    await mkdir(file);
    await expect(once.run("k1", asked, mail)).rejects.toMatchObject({ code: "store-failed" });
    await rmdir(file);
    await once.run("k1", asked, mail);
    await tearNextWrite();
    await expect(once.run("k2", asked, mail)).rejects.toMatchObject({ code: "store-failed" });
    await once.run("k3", asked, mail);
    await once.run("k2", asked, mail);
    // The process is gone, and all are asked again.
    const again = await opened();
    for (const each of ["k1", "k2", "k3"]) await again.run(each, asked, mail);
    expect(mail.sent).toHaveLength(3);
  });

  test("of a file that was sent is answered so, even if its digest could not be noted any more", async () => {
    const [once, mail] = [await opened(), spool()];
    const sends: Sending = {
      ...mail,
      digest: async () => "aa",
      give: async (how) => {
        await tearNextWrite();
        return await mail.give(how);
      },
    };
    const id = await once.run("k", asked, sends);
    expect(await (await opened()).run("k", asked, sends)).toBe(id);
    expect(mail.sent).toEqual([id]);
  });

  test("is free again after a day", async () => {
    const [once, mail] = [await opened(), spool()];
    const id = await once.run("k", asked, mail);
    now += DAY_MS - 1;
    expect(await once.run("k", asked, mail)).toBe(id);
    now += 1;
    expect(await once.run("k", { ...asked, text: "bye" }, mail)).not.toBe(id);
  });

  test("of a file is refused with other bytes, once the first came whole", async () => {
    const [once, mail] = [await opened(), spool()];
    const of = (digest: string): Sending => ({ ...mail, digest: async () => digest });
    const id = await once.run("k", asked, of("aa"));
    expect(await once.run("k", asked, of("aa"))).toBe(id);
    await expect(once.run("k", asked, of("bb"))).rejects.toMatchObject({ code: "key-reused" });
    await expect((await opened()).run("k", asked, of("bb"))).rejects.toMatchObject({ code: "key-reused" });
  });

  test.each(["", "a b", "ä", "x".repeat(256), "a\n"])("is not %j", async (bad) => {
    await expect((await opened()).run(bad, asked, spool())).rejects.toMatchObject({ code: "bad-request" });
  });
});

test("ten thousand keys are kept for a day, and no more are taken", async () => {
  const once = await opened({ file: join(dir, "many") });
  await once.close();
  const line = (i: number): string => `${now} ${i.toString(16).padStart(32, "0")} ${"0".repeat(32)}\n`;
  await writeFile(join(dir, "many"), Array.from({ length: 10_000 }, (_, i) => line(i)).join(""));
  const full = await opened({ file: join(dir, "many") });
  await expect(full.run("k", asked, spool())).rejects.toMatchObject({ code: "too-many-keys" });
  now += DAY_MS;
  await full.run("k", asked, spool());
});

test("the file tells neither key nor request nor mail, and what a crash or anybody left in it is passed over", async () => {
  const once = await opened();
  const id = await once.run("my-own-key", asked, spool());
  const text = await readFile(file, "utf8");
  for (const word of ["my-own-key", "bob", "hello", id]) expect(text).not.toContain(word);
  await writeFile(file, `${text}17 torn\n\u0000\n${text.slice(0, 20)}`);
  const mail = spool();
  mail.sent.push(id);
  expect(await (await opened()).run("my-own-key", asked, mail)).toBe(id);
});

test("a body is hashed as it is read", async () => {
  const { bytes, digest } = withDigest(new Blob(["hel", "lo"]).stream());
  for await (const _ of bytes);
  expect(digest()).toBe("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
});
