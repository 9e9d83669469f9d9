import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { startDaemon } from "../daemon.ts";
import { failureOf } from "./failure.ts";
import { knownPassphrase, newPassphrase, type Terminal } from "./passphrase.ts";
import { createProgram } from "./program.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "restante-cli-identity-"));
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs a command, as the program does, and gives its exit code and what it says when it fails. */
async function run(...args: string[]): Promise<{ code: number; line: string }> {
  return plain("--json", ...args);
}

async function plain(...args: string[]): Promise<{ code: number; line: string }> {
  let code = -1;
  const program = createProgram(
    (it) => {
      code = it;
    },
    () => AbortSignal.abort(),
  );
  try {
    await program.parseAsync(args, { from: "user" });
    return { code, line: "" };
  } catch (error) {
    return failureOf(error);
  }
}

function words(name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

/** Somebody at a terminal who types this; `shown`: what the terminal shows. */
function typing(text: string): Terminal & { shown: string; modes: boolean[] } {
  const input = new PassThrough();
  const modes: boolean[] = [];
  const setRawMode = (raw: boolean): void => void modes.push(raw);
  // One key after the other, so that what comes after a line is there for the next question.
  const keys = Object.assign(input, { isTTY: true, isRaw: false, setRawMode });
  const terminal = {
    input: keys as unknown as NodeJS.ReadStream,
    shown: "",
    modes,
    output: {
      write(piece: string): void {
        terminal.shown += piece;
        if (!piece.endsWith(": ")) return;
        const [line = "", ...rest] = lines;
        lines = rest;
        input.write(line);
      },
    },
  };
  let lines = text.split(/(?<=[\r\n])/);
  return terminal;
}

describe("a passphrase", () => {
  test("is typed at a terminal that does not show it, and can be corrected", async () => {
    const terminal = typing("wrong\x15cafe\x7f\u00e9 \u{1f511}x\x7f\r");
    expect(await knownPassphrase("the passphrase", undefined, terminal)).toBe("caf\u00e9 \u{1f511}");
    expect(terminal.shown).toBe("the passphrase: \n");
    expect(terminal.modes).toEqual([true, false]);
  });

  test("that is new is asked for twice, and has to be the same", async () => {
    expect(await newPassphrase("a new one", undefined, typing("one\rone\r"))).toBe("one");
    await expect(newPassphrase("a new one", undefined, typing("one\rtwo\r"))).rejects.toMatchObject({
      code: "bad-passphrase",
    });
    await expect(newPassphrase("a new one", undefined, typing("\r"))).rejects.toMatchObject({ code: "bad-passphrase" });
  });

  test("can be refused with Ctrl-C, and the terminal is as it was", async () => {
    const terminal = typing("some\x03");
    await expect(knownPassphrase("?", undefined, terminal)).rejects.toMatchObject({ code: "no-passphrase" });
    expect(terminal.modes).toEqual([true, false]);
  });

  test("is the first line of a file that nobody else can read, and nothing else", async () => {
    const nobody: Terminal = {
      input: Object.assign(new PassThrough(), { isTTY: false }) as never,
      output: typing("").output,
    };
    expect(await knownPassphrase("?", words("a", "open sesame\r\nmore\n"), nobody)).toBe("open sesame");
    expect(await knownPassphrase("?", words("a", " no end "), nobody)).toBe(" no end ");
    await expect(knownPassphrase("?", words("b", "\n"), nobody)).rejects.toMatchObject({ code: "bad-passphrase" });
    await expect(knownPassphrase("?", join(dir, "none"), nobody)).rejects.toMatchObject({ code: "no-file" });
    await expect(knownPassphrase("?", undefined, nobody)).rejects.toMatchObject({ code: "no-passphrase" });
    const open = join(dir, "open");
    writeFileSync(open, "x", { mode: 0o644 });
    await expect(knownPassphrase("?", open, nobody)).rejects.toMatchObject({ code: "open-permissions" });
  });

  test("is what systemd hands over, where it does", async () => {
    words("restante-passphrase", "from systemd\n");
    process.env["CREDENTIALS_DIRECTORY"] = dir;
    try {
      expect(await knownPassphrase("?", undefined, typing(""))).toBe("from systemd");
    } finally {
      delete process.env["CREDENTIALS_DIRECTORY"];
    }
  });
});

test("a home has room for other identities, which --identity names", async () => {
  const home = ["--home", join(dir, "home")];
  expect(await run(...home, "identity", "create", "work")).toEqual({ code: 0, line: "" });
  expect(await run(...home, "identity", "create", "../work")).toMatchObject({ code: 2 });
  expect(await run(...home, "identity", "create", "work")).toMatchObject({ code: 5 });
  vi.mocked(process.stdout.write).mockClear();
  expect(await run(...home, "identity", "list")).toEqual({ code: 0, line: "" });
  expect(vi.mocked(process.stdout.write).mock.calls.map(([line]) => line)).toEqual(['{"identity":"work"}\n']);
  expect(await run(...home, "--identity", "work", "status")).toMatchObject({
    code: 3,
    line: expect.stringContaining(join("home", "id", "work")),
  });
  const daemon = await startDaemon({ home: join(dir, "home", "id", "work"), host: "127.0.0.1", port: 0 });
  expect(await run(...home, "--identity", "work", "status")).toEqual({ code: 0, line: "" });
  expect(await run(...home, "status")).toMatchObject({ code: 3 });
  await daemon.close();
});

test("a home under a passphrase starts with it alone, and goes into a file and out of it", async () => {
  const [home, other, archive] = [join(dir, "home"), join(dir, "other"), join(dir, "archive")];
  const right = ["--passphrase-file", words("right", "open sesame\n")];
  const wrong = ["--passphrase-file", words("wrong", "open sesam\n")];
  const daemon = (passphrase?: () => Promise<string>, at = home) =>
    startDaemon({ home: at, host: "127.0.0.1", port: 0, ...(passphrase && { passphrase }) });

  // Before there is anything: its key was never in clear.
  expect(await run("--home", home, ...right, "key", "protect")).toEqual({ code: 0, line: "" });
  expect(readFileSync(join(home, "key"), "utf8")).toContain("argon2id");
  await expect(daemon()).rejects.toMatchObject({ code: "no-passphrase" });
  await expect(daemon(async () => "open sesam")).rejects.toMatchObject({ code: "bad-passphrase" });
  const first = await daemon(async () => "open sesame");
  const { hashname } = first.peer;
  expect(await run("--home", home, ...right, "identity", "export", archive)).toMatchObject({
    code: 5,
    line: expect.stringContaining("stop it first"),
  });
  await first.close();

  expect(await run("--home", home, ...wrong, "identity", "export", archive)).toMatchObject({
    code: 5,
    line: "restante: this is not the passphrase",
  });
  expect(await run("--home", home, ...right, "identity", "export", archive)).toEqual({ code: 0, line: "" });
  expect(await run("--home", home, ...right, "identity", "export", archive)).toMatchObject({ code: 5 });
  expect(await run("--home", home, ...right, "identity", "import", archive)).toMatchObject({
    code: 5,
    line: expect.stringContaining("use another home"),
  });
  expect(await run("--home", other, ...wrong, "identity", "import", archive)).toMatchObject({ code: 5 });
  expect(existsSync(join(other, "store"))).toBe(false);
  expect(await run("--home", other, ...right, "identity", "import", archive)).toEqual({ code: 0, line: "" });
  const second = await daemon(undefined, other);
  expect(second.peer.status()).toMatchObject({ hashname, isCopied: true });
  vi.mocked(process.stdout.write).mockClear();
  expect(await plain("--home", other, "status")).toEqual({ code: 0, line: "" });
  const shown = vi.mocked(process.stdout.write).mock.calls.map(([line]) => String(line));
  expect(shown.filter((line) => line.includes("goes on under new numbers"))).toHaveLength(1);
  await second.close();

  expect(await run("--home", home, ...wrong, "key", "unprotect")).toMatchObject({ code: 5 });
  const newer = ["--new-passphrase-file", words("newer", "open barley")];
  expect(await run("--home", home, ...right, "key", "protect", ...newer)).toEqual({ code: 0, line: "" });
  const newest = ["--passphrase-file", join(dir, "newer")];
  expect(await run("--home", home, ...newest, "key", "unprotect")).toEqual({ code: 0, line: "" });
  const third = await daemon();
  expect(third.peer.status()).toMatchObject({ hashname, isCopied: false });
  await third.close();
});
