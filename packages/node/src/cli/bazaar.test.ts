import { expect, test } from "vitest";
import { inForce, valuesOf } from "../config/force.ts";
import { bazaarLines, bazaarSettings } from "./bazaar.ts";

function settings(env: Record<string, string>): ReturnType<typeof bazaarSettings> {
  return bazaarSettings(valuesOf(inForce(new Map(), env, undefined)));
}

test("the settings of the table mean those of the daemon, and without any there is no bazaar", () => {
  expect(settings({})).toBeUndefined();
  expect(settings({ RESTANTE_BAZAAR: "1" })).toEqual({});
  const env = {
    ...{ "": "1", _LISTEN: "/ip4/0.0.0.0/tcp/1", _PEER: "/a,/b", _PUSH: "1", _ADMIT: "QmA,QmB", _PUSH_NODE: "/c" },
    ...{ _ALWAYS: "1", _LOCAL: "1", _RELAY: "1", _KEEP: "30" },
    ...{ _STORAGE: "https://dav.example/box/", _STORAGE_USER: "anna", _STORAGE_PASSWORD_FILE: "/x" },
  };
  expect(settings(Object.fromEntries(Object.entries(env).map(([end, it]) => [`RESTANTE_BAZAAR${end}`, it])))).toEqual({
    ...{ listen: ["/ip4/0.0.0.0/tcp/1"], peers: ["/a", "/b"], push: true, admit: ["QmA", "QmB"], pushNodes: ["/c"] },
    ...{ always: true, local: true, relay: true, keepDays: 30 },
    storage: { url: "https://dav.example/box/", user: "anna", passwordFile: "/x" },
  });
  expect(() => settings({ RESTANTE_BAZAAR: "1", RESTANTE_BAZAAR_STORAGE_USER: "anna" })).toThrow("--bazaar-storage");
});

test("status says who we are there, and what waits", () => {
  const quiet = { id: "Qm1", addrs: [], connections: 1, waiting: 0, left: 0, pushBytes: 0, refused: 0 };
  expect(bazaarLines(quiet)).toEqual(["Qm1", "1 connection, no message waits"]);
  expect(
    bazaarLines({ ...quiet, addrs: ["/a"], connections: 0, waiting: 2, left: 1, pushBytes: 1500, refused: 7 }),
  ).toEqual([
    "Qm1",
    "0 connections, 2 messages on the way, 1 left there, keeps 2 KiB for others, 7 things of others refused",
    "/a",
  ]);
});
