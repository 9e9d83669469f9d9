import { expect, test } from "vitest";
import type { Device } from "../card/index.ts";
import { createCrypto, createIdentity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { Devices } from "./devices.ts";

const crypto = createCrypto(portable, [cs01()]);
const { random } = new Chance(9);
const [laptop, phone, carol] = Array.from({ length: 3 }, () => createIdentity(crypto, random)) as [
  Whoever,
  Whoever,
  Whoever,
];
type Whoever = ReturnType<typeof createIdentity>;
const PATHS = [{ type: "mem", name: "here" }];

function deviceOf({ hashname, keys }: Whoever, at: number): Device {
  const cache = {
    hashname: carol.hashname,
    keys: carol.keys,
    paths: PATHS,
    key: random(32),
    cap: 9,
    quota: 10,
    store: "s",
  };
  return { hashname, keys, paths: PATHS, caches: [cache], at };
}

test("of two descriptions of a device the later counts; nobody speaks for us; who is gone does not come back", () => {
  const saved = new Map<string, Uint8Array>();
  const make = () => new Devices(portable, laptop.hashname, saved);
  const devices = make();
  const merge = (told: Parameters<Devices["merge"]>[0]): number => {
    const saves = devices.merge(told);
    for (const { key, value } of saves) if (value !== undefined) saved.set(key, value);
    return saves.length;
  };
  expect([
    merge(deviceOf(phone, 5)),
    merge(deviceOf(phone, 5)),
    merge(deviceOf(phone, 4)),
    merge(deviceOf(phone, 6)),
  ]).toEqual([1, 0, 0, 1]);
  expect([merge(deviceOf(laptop, 9)), merge({ hashname: laptop.hashname, at: 9, gone: true })]).toEqual([0, 0]);
  expect(
    make()
      .others()
      .map(({ hashname, at }) => [hashname, at]),
  ).toEqual([[phone.hashname, 6]]);
  expect([merge({ hashname: phone.hashname, at: 1, gone: true }), merge(deviceOf(phone, 99))]).toEqual([1, 0]);
  expect([make().others(), make().everything()]).toEqual([[], [{ hashname: phone.hashname, at: 1, gone: true }]]);
  for (let i = 0; i < 20; i++) merge(deviceOf(createIdentity(crypto, random), i));
  expect(devices.everything()).toHaveLength(16);
});

test("our own description is new when something in it is, and later than the one before on any clock", () => {
  const devices = new Devices(portable, laptop.hashname, new Map());
  const { keys, caches } = deviceOf(laptop, 0);
  expect(devices.describe({ keys, paths: PATHS, caches }, 100)).toHaveLength(1);
  expect(devices.describe({ keys, paths: PATHS, caches }, 200)).toEqual([]);
  expect(devices.describe({ keys, paths: [], caches }, 50)).toHaveLength(1);
  expect(devices.everything()).toMatchObject([{ at: 101, paths: [] }]);
  expect(devices.others()).toEqual([]);
});
