import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";
import { expect, test } from "vitest";

const SCRIPT = readFileSync(new URL("./sw.js", import.meta.url), "utf8");

/** What the page gets by the service worker, of a browser with these caches and this network. */
async function load(caches: object, fetch: () => Promise<unknown>, pathname = "/"): Promise<unknown> {
  const heard = new Map<string, (event: object) => void>();
  const self = { location: { origin: "http://127.0.0.1" }, addEventListener: heard.set.bind(heard) };
  // As late as a test can wait.
  const setTimeout = (act: (value: unknown) => void, _: number, value: unknown) => setImmediate(act, value);
  runInContext(SCRIPT, createContext({ self, caches, fetch, URL, setTimeout }));
  let answer: unknown;
  const rest: unknown[] = [];
  heard.get("fetch")?.({
    request: { url: `http://127.0.0.1${pathname}`, method: "GET" },
    respondWith: (given: unknown) => {
      answer = given;
    },
    waitUntil: (given: unknown) => {
      rest.push(given);
    },
  });
  const given = await answer;
  await Promise.race([Promise.all(rest), new Promise(setImmediate)]); // nothing of it fails
  return given;
}

const answer = (text: string) => {
  const answered = { ok: true, clone: () => answered, text: async () => text };
  return answered;
};
const answered = answer("<title>Restante</title> new");
const full = async (): Promise<never> => {
  throw new DOMException("no room", "QuotaExceededError");
};
const away = async (): Promise<never> => {
  throw new TypeError("Failed to fetch");
};

test("a browser that can keep nothing shows the page while the daemon is there", async () => {
  expect(await load({ match: full, open: full, delete: full }, async () => answered)).toBe(answered);
  expect(await load({ match: async () => {}, open: full }, async () => answered)).toBe(answered);
});

test("what another program shows that has the daemon's port by now takes no place of the page's", async () => {
  const put: unknown[] = [];
  const shell = { put: async (_: string, page: unknown) => put.push(page) };
  const caches = { match: async () => ({ text: async () => answered.text() }), open: async () => shell };
  const other = answer("<title>Another program</title>");
  expect(await load(caches, async () => other)).toBe(other);
  expect(put).toEqual([]);
  await load(caches, async () => answered);
  expect(put).toEqual([answered]);
});

test("while the daemon is away the page is what was kept, and without it the failure is told", async () => {
  expect(await load({ match: async () => "kept" }, away)).toBe("kept");
  await expect(load({ match: async () => {} }, away)).rejects.toThrow("Failed to fetch");
});

test("where nobody answers at all, as in another network, the page is what was kept after some seconds", async () => {
  const silent = () => new Promise(() => {});
  expect(await load({ match: async () => "kept" }, silent)).toBe("kept");
});

test("a file whose name says its content is asked for once", async () => {
  const asked: string[] = [];
  const fetch = async () => {
    asked.push("asked");
    return answered;
  };
  expect(await load({ match: async () => "kept" }, fetch, "/assets/index-1.js")).toBe("kept");
  expect(asked).toEqual([]);
  expect(await load({ match: async () => {}, open: full }, fetch, "/assets/index-2.js")).toBe(answered);
  expect(asked).toEqual(["asked"]);
});

test("what the daemon refuses to give is not kept as the page", async () => {
  const opened: string[] = [];
  const shell = { put: async () => {}, addAll: async () => {} };
  const open = async (name: string) => opened.push(name) && shell;
  const heard = new Map<string, (event: object) => void>();
  const self = { addEventListener: heard.set.bind(heard), skipWaiting() {} };
  for (const [ok, kept] of [
    [false, []],
    [true, ["shell"]],
  ] as const) {
    runInContext(SCRIPT, createContext({ self, caches: { open }, fetch: async () => ({ ...answered, ok }) }));
    let filled: unknown;
    heard.get("install")?.({
      waitUntil: (given: unknown) => {
        filled = given;
      },
    });
    await filled;
    expect(opened).toEqual(kept);
  }
});
