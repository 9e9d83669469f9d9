import { expect, test } from "vitest";
import { Connections, MAX_CONNECTIONS } from "./connections.ts";

/** How many of these are taken. */
const taken = (connections: Connections, addresses: readonly string[]): number =>
  addresses.filter((each) => connections.take(each) !== undefined).length;
const of = (count: number, address: (i: number) => string): string[] =>
  Array.from({ length: count }, (_, i) => address(i));

test("one address has 64 connections, of IPv6 a whole /64; who closes one may have another", () => {
  const connections = new Connections(() => false);
  const leave = connections.take("192.168.1.7");
  expect(
    taken(
      connections,
      of(70, () => "::ffff:192.168.1.7"),
    ),
  ).toBe(63);
  expect(
    taken(
      connections,
      of(70, (i) => `2001:db8::${i + 1}`),
    ),
  ).toBe(64);
  leave?.();
  expect(
    taken(
      connections,
      of(2, () => "192.168.1.7"),
    ),
  ).toBe(1);
});

test("all others together leave a quarter of them to this machine", () => {
  const connections = new Connections(() => false);
  expect(
    taken(
      connections,
      of(500, (i) => `10.0.${i}.1`),
    ),
  ).toBe(MAX_CONNECTIONS - 64);
  expect(taken(connections, [...of(32, () => "127.0.0.1"), ...of(32, () => "::ffff:127.0.0.1")])).toBe(64);
});

test("a proxy has as many as all others, for it brings many people", () => {
  const connections = new Connections((address) => address === "10.0.0.2");
  expect(
    taken(
      connections,
      of(500, () => "10.0.0.2"),
    ),
  ).toBe(MAX_CONNECTIONS - 64);
});
