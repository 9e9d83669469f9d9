import { expect, test } from "vitest";
import { Misuse, parseTool } from "../command-line.ts";
import { PEER } from "../tools.ts";
import { optionsOf } from "./options.ts";

const NONE = { create: false, udp: undefined, tcp: undefined, host: undefined, sets: undefined, compat: false };
const read = (line: string) =>
  optionsOf(
    parseTool(
      PEER,
      line.split(" ").filter((word) => word !== ""),
    ),
  );

test("the identity is enough", () => {
  expect(read("--identity id.json")).toEqual({ ...NONE, identity: "id.json" });
});

test("ports, one address, cipher sets and the manner of old peers can be said", () => {
  expect(read("--identity id.json --create --udp 0 --tcp 42424 --host 127.0.0.1 --sets 1a,3a --compat")).toEqual({
    identity: "id.json",
    create: true,
    udp: 0,
    tcp: 42_424,
    host: "127.0.0.1",
    sets: [0x1a, 0x3a],
    compat: true,
  });
});

test.each([
  ["", "--identity FILE is missing"],
  ["--udp 0", "--identity FILE is missing"],
  ["--identity", "option '--identity <value>' argument missing"],
  ["--identity id.json --udp 65536", '--udp takes a whole number from 0 to 65535, not "65536"'],
  ["--identity id.json --tcp 4x", '--tcp takes a whole number from 0 to 65535, not "4x"'],
  ["--identity id.json --udp", "option '--udp <value>' argument missing"],
  ["--identity id.json --sets 3A", '--sets takes cipher sets like 1a,2a,3a, not "3A"'],
  ["--identity id.json --udp 1 --udp 2", "--udp stands there more than once"],
  ["--identity id.json --fast", "unknown option '--fast'"],
  ["--identity id.json more", "unexpected argument 'more'"],
])("%j makes no sense, and it is said why", (line, why) => {
  expect(() => read(line)).toThrow(Misuse);
  expect(() => read(line)).toThrow(why);
});
