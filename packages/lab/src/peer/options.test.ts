import { expect, test } from "vitest";
import { parseOptions } from "./options.ts";

const NONE = { udp: undefined, tcp: undefined, host: undefined, sets: undefined, compat: false };

test("the identity is enough", () => {
  expect(parseOptions(["--identity", "id.json"])).toEqual({ ...NONE, identity: "id.json" });
});

test("ports, one address, cipher sets and the manner of old peers can be said", () => {
  const line = "--identity id.json --udp 0 --tcp 42424 --host 127.0.0.1 --sets 1a,3a --compat";
  expect(parseOptions(line.split(" "))).toEqual({
    identity: "id.json",
    udp: 0,
    tcp: 42_424,
    host: "127.0.0.1",
    sets: [0x1a, 0x3a],
    compat: true,
  });
});

test.each([
  "",
  "--udp 0",
  "--identity",
  "--identity id.json --udp 65536",
  "--identity id.json --tcp -1",
  "--identity id.json --udp",
  "--identity id.json --sets 3A",
  "--identity id.json --fast",
  "--identity id.json more",
])("nothing else makes sense: %j", (line) => {
  expect(parseOptions(line.split(" ").filter((word) => word !== ""))).toBeUndefined();
});
