import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { inForce } from "../config/force.ts";
import { configInfo, exampleConfig } from "../config/show.ts";
import { startDaemon } from "../daemon.ts";
import { writePassword } from "../web/password.ts";
import { failureOf } from "./failure.ts";
import { createProgram } from "./program.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "restante-cli-config-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(home, { recursive: true });
});

/** A command in this process: what it prints, and its exit code. */
async function restante(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let code = -1;
  const [out, said]: [string[], string[]] = [[], []];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => out.push(String(text)) > 0);
  vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
  try {
    const program = createProgram(
      (it) => {
        code = it;
      },
      () => AbortSignal.abort(),
    );
    await program.parseAsync(["--home", home, ...args], { from: "user" });
  } catch (error) {
    const failure = failureOf(error);
    code = failure.code;
    said.push(failure.line);
  }
  vi.restoreAllMocks();
  return { code, out: out.join(""), err: said.join("") };
}

test("the example is a file that is right, and becomes what is in force", async () => {
  const { out } = await restante("config", "example");
  expect(out).toBe(exampleConfig());
  const file = join(home, "config.toml");
  writeFileSync(file, out.replace("#copies = 2", "copies = 3"), { mode: 0o600 });
  expect(await restante("config", "check")).toEqual({
    ...{ code: 0, out: "", err: `restante: ${file} is right: 1 setting\n` },
  });
  const shown = await restante("config", "show", "--no-sent");
  expect(shown).toMatchObject({ code: 0, err: "" });
  expect(shown.out).toMatch(/^copies = 3 +# .*config\.toml:\d+$/m);
  expect(shown.out).toMatch(/^sent = false +# --no-sent$/m);
  expect(shown.out).toMatch(/^port = 42424 +# default$/m);
  const lines = (await restante("--json", "config", "show")).out.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toContainEqual({
    ...{
      type: "setting",
      key: "mail.copies",
      value: 3,
      from: "file",
      where: expect.stringMatching(/config\.toml:\d+$/),
    },
  });
});

test("what is wrong is said line by line, and nothing starts with it", async () => {
  writeFileSync(join(home, "config.toml"), "[mail]\ncopies = 9\n[cash]\n", { mode: 0o600 });
  const { code, out } = await restante("config", "check");
  expect(code).toBe(2);
  expect(out.trim().split("\n")).toEqual([
    expect.stringMatching(/config\.toml:2: \[mail\] copies: must be a number of caches, 1 to 8$/),
    expect.stringMatching(/config\.toml:3: there is no section \[cash\]; did you mean \[cache\]\?$/),
  ]);
  for (const command of ["serve", "start"])
    expect(await restante(command)).toMatchObject({
      code: 2,
      err: expect.stringMatching(
        /^restante: .*config\.toml:2: \[mail\] copies: .*; and 1 more: `config check` lists them$/,
      ),
    });
  expect(await restante("doctor")).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^bad +config .*:2: \[mail\]/m),
  });
});

test("files that are named and not there, and a page beyond this machine without a password, are found before a start", async () => {
  const file = join(home, "config.toml");
  const secret = join(home, "secret");
  writeFileSync(secret, "x", { mode: 0o644 });
  const lines = (...more: string[]): void => writeFileSync(file, more.join("\n"), { mode: 0o600 });
  const none = JSON.stringify(join(home, "none"));
  lines(
    ...["[node]", `passphrase_file = ${none}`],
    ...[
      "[cache]",
      "serve = true",
      'cluster = "redis://127.0.0.1:1"',
      `cluster_password_file = ${JSON.stringify(secret)}`,
    ],
    ...["[web]", "serve = true", 'host = "0.0.0.0"', `cert = ${JSON.stringify(home)}`, `key = ${none}`],
    // Without `use` nothing of the bazaar is looked at.
    ...["[bazaar]", `storage_password_file = ${none}`],
  );
  const { code, out } = await restante("config", "check");
  expect(code).toBe(2);
  expect(out.trim().split("\n")).toEqual([
    expect.stringMatching(/config\.toml:2: \[node\] passphrase_file: there is no file ".*none"$/),
    expect.stringMatching(/config\.toml:6: \[cache\] cluster_password_file: .*secret.*chmod 600/),
    expect.stringMatching(
      /config\.toml:9: \[web\] host: the page is not served at 0\.0\.0\.0 without a password: .*web password/,
    ),
    expect.stringMatching(/config\.toml:10: \[web\] cert: ".*" is a folder, not a file$/),
    expect.stringMatching(/config\.toml:11: \[web\] key: there is no file ".*none"$/),
  ]);

  await writePassword(join(home, "web-password"), "correct horse battery");
  lines("[web]", 'host = "0.0.0.0"', "insecure_http = true");
  expect((await restante("config", "check")).code).toBe(0);
  lines(
    "[web]",
    'host = "0.0.0.0"',
    `cert = ${JSON.stringify(file)}`,
    `key = ${JSON.stringify(file)}`,
    "[cache]",
    "only = true",
  );
  const both = await restante("config", "check");
  expect([both.code, both.out.trim().split("\n")]).toEqual([
    2,
    [
      expect.stringMatching(/^\[cache\] only \(.*:6\): a cache alone has no mail; take out \[web\] host \(.*:2\)$/),
      expect.stringMatching(/:3: \[web\] cert: the certificate is none: it has to be PEM$/),
    ],
  ]);
  lines("[web]", "insecure_http = true", `cert = ${JSON.stringify(file)}`, `key = ${JSON.stringify(file)}`);
  expect((await restante("config", "check")).out).toMatch(
    /:3: \[web\] cert: a certificate is of no use with plain HTTP/,
  );
  expect(await restante("config", "check", home)).toMatchObject({
    code: 2,
    err: expect.stringContaining(`"${home}" is a folder`),
  });
});

test("a daemon that runs tells what it uses, and the doctor how it fares", async () => {
  const force = inForce(new Map([["copies", 5]]), {}, undefined);
  const config = configInfo(force);
  const daemon = await startDaemon({ home, host: "127.0.0.1", port: 0, config });
  try {
    const { code, out } = await restante("config", "show", "--running");
    expect(code).toBe(0);
    expect(out).toMatch(/^copies = 5 +# --copies$/m);
    const doctor = await restante("doctor");
    expect(doctor.out).toMatch(/^good +daemon +running, and has nothing to complain of$/m);
    expect(doctor.out).toMatch(/^note +address +it has addresses of this network alone \(127\.0\.0\.1\)/m);
  } finally {
    await daemon.close();
  }
  expect((await restante("config", "show", "--running")).code).toBe(3);
  expect((await restante("doctor")).out).toMatch(/^note +daemon +none runs/m);
});
