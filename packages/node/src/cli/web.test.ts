import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Client } from "../api/client.ts";
import { startDaemon } from "../daemon.ts";
import { PASSWORD_FILE, Password } from "../web/password.ts";
import { EXIT } from "./failure.ts";
import { web } from "./people.ts";
import type { Screen } from "./screen.ts";
import { webSettings } from "./web.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

test("web prints a new link each time, for people and for scripts; without a page it says how to get one", async () => {
  const dir = await mkdtemp(join(tmpdir(), "restante-link-"));
  const local = { host: "127.0.0.1", port: 0 };
  const daemon = await startDaemon({ ...local, home: join(dir, "alice"), web: { port: 0 } });
  const client = new Client(daemon.socket);
  const [plain, json] = [record(), record({ json: true })];
  expect(await web(plain.screen, client)).toBe(EXIT.done);
  expect(await web(json.screen, client)).toBe(EXIT.done);
  const links = [plain.out[0], JSON.parse(json.out[0] ?? "").link];
  for (const link of links) expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#[\w-]{43}$/);
  expect(new Set(links).size).toBe(2);
  expect(links[0]).toContain(daemon.webUrl);
  await daemon.close();
  const bare = await startDaemon({ ...local, home: join(dir, "bob") });
  await expect(web(record().screen, new Client(bare.socket))).rejects.toMatchObject({ code: "no-web" });
  await bare.close();
  await rm(dir, { recursive: true });
});

/** A screen that remembers what was put on it. */
function record({ json = false } = {}): { screen: Screen; out: string[] } {
  const out: string[] = [];
  const screen: Screen = {
    ...{ json, isTerminal: false, hasColor: false, columns: 80 },
    out: (line) => void out.push(line),
    say: () => {},
    paint: (_, text) => text,
  };
  return { screen, out };
}

test("the settings of the page: whoever says where it is to be found wants it", () => {
  expect(webSettings({})).toBeUndefined();
  expect(webSettings({ web: false, webHost: "0.0.0.0" })).toBeUndefined();
  expect(webSettings({ web: true })).toEqual({});
  expect(webSettings({ web: 4300, port: 0 })).toEqual({ port: 4300 });
  expect(webSettings({ web: true, port: 0 })).toEqual({ port: 0 });
  expect(webSettings({ webName: ["a.example"] })).toEqual({ names: ["a.example"] });
  const all = { webHost: "0.0.0.0", webCert: "/c", webKey: "/k", webInsecureHttp: true, webProxy: ["::1"] };
  const served = { host: "0.0.0.0", cert: "/c", key: "/k", insecureHttp: true, proxies: ["::1"] };
  expect(webSettings(all)).toEqual(served);
});

test("the password comes from stdin, into a home that may be new, and can be removed", async () => {
  const home = join(await mkdtemp(join(tmpdir(), "restante-web-password-")), "home");
  const run = (input: string, ...args: string[]): Promise<{ code: number; err: string }> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, [MAIN, "--home", home, "web", "password", ...args], (error, _, err) =>
        resolve({ code: Number(error?.code ?? 0), err }),
      );
      child.stdin?.end(input);
    });
  expect(await run("some words of mine\nand more\n")).toMatchObject({ code: EXIT.done });
  const password = await Password.load(join(home, PASSWORD_FILE));
  expect(await password.isRight("some words of mine")).toBe(true);
  expect((await run("", "--remove")).code).toBe(EXIT.done);
  await rm(dirname(home), { recursive: true });
});
