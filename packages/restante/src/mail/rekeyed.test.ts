import { expect, test } from "vitest";
import { utf8 } from "../bytes/index.ts";
import type { BazaarAddress } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Delivery, type DeliveryIn, type DeliveryOptions, type DeliveryOut } from "./delivery.ts";
import { type Parcel, parcelJson, parcelOf } from "./parcel.ts";
import { Ranges } from "./ranges.ts";
import { Slots } from "./slots.ts";

const PEER = "peer" as Hashname;
const [OLD, NEW] = ["6f6c642d6b657921", "6e65772d6b657921"]; // the last 8 bytes of the two keys

function found(key: string): DeliveryIn {
  const bazaar: BazaarAddress = { key: utf8(key), addrs: [], push: [] };
  return { type: "destination", to: { hashname: PEER, keys: new Map(), caches: [], direct: false, bazaar } };
}
const atOld = found("the old-key!");
const atNew = found("the new-key!");

function letter(): Parcel {
  const fixed = { mail: "m", peer: PEER, epoch: "e", seq: 1, floor: 1, generation: 0, hello: false };
  return parcelOf({ ...fixed, of: 1, partBytes: 1024, expires: 2 ** 50, state: "open", offers: 0, copies: [] });
}

function deliveryOf(told: DeliveryOptions["told"] = new Map()): (input: DeliveryIn) => DeliveryOut[] {
  let flight = 0;
  const delivery = new Delivery({
    ...{ peer: PEER, slots: new Slots(), flights: () => ++flight, chance: () => 0.5, have: () => new Ranges() },
    ...{ forget: () => {}, messageId: (bytes) => String.fromCharCode(...bytes), told, carrier: "beside" },
  });
  return (input) => delivery.handle(input, 0);
}

/** What is done in the bazaar, and for which key. */
function done(out: readonly DeliveryOut[]): string[] {
  return out.flatMap((each) => {
    if (!("route" in each)) return [];
    return each.route.type === "bazaar" ? [`${each.type} ${each.route.mark}`] : [each.type];
  });
}

const sealed = (flight: number): DeliveryIn => ({ type: "sealed", flight, bytes: utf8("id") });
const delivered = (flight: number): DeliveryIn => ({ type: "delivered", flight, ok: true });

test("what lay for a key of before our start is taken back when it is offered, and saved after that", () => {
  const parcel = letter();
  const before = deliveryOf();
  for (const input of [atOld, { type: "offer", parcel } as const, sealed(1), delivered(1)]) before(input);
  const input = deliveryOf();
  input(atNew);
  const out = input({ type: "offer", parcel: parcelOf(parcelJson(parcel)) });
  expect(done(out)).toEqual([`withdraw ${OLD}`]);
  expect(out.map(({ type }) => type)).toEqual(["withdraw", "changed", "fetch"]);
  expect(done(input(sealed(1)))).toEqual([`deliver ${NEW}`]);
});

test("what was being read, or was on its way, for a key that went does not count, and goes to the new one", () => {
  const reading = deliveryOf();
  for (const input of [atOld, { type: "offer", parcel: letter() } as const, atNew]) reading(input);
  expect(done(reading(sealed(1)))).toEqual([]);
  expect(done(reading(sealed(2)))).toEqual([`deliver ${NEW}`]);
  const flying = deliveryOf();
  for (const input of [atOld, { type: "offer", parcel: letter() } as const, sealed(1)]) flying(input);
  expect(done(flying(atNew))).toEqual([`withdraw ${OLD}`]);
  expect(done(flying(delivered(1)))).toEqual([`withdraw ${OLD}`]);
  flying(sealed(2));
  expect(done(flying(delivered(2)))).toEqual([`handed ${NEW}`]);
});

test("an acknowledgement that was on its way to a key that went tells nobody, and goes to the new one", () => {
  const input = deliveryOf();
  input(atOld);
  expect(done(input({ type: "tell", bytes: utf8("ack"), expires: 2 ** 50 }))).toEqual([`deliver ${OLD}`]);
  expect(done(input(atNew))).toEqual([`withdraw ${OLD}`, `deliver ${NEW}`]);
  expect(input(delivered(1)).map(({ type }) => type)).toEqual([]);
  expect(input(delivered(2)).map(({ type }) => type)).toEqual(["told"]);
});

test("acknowledgements that lay for a key of before our start are taken back once", () => {
  const input = deliveryOf(new Map([["bazaar" as Hashname, { uri: OLD, ids: ["a", "b"] }]]));
  const out = input(atNew);
  expect(out.map(({ type }) => type)).toEqual(["withdraw", "told-state"]);
  expect(done(out)).toEqual([`withdraw ${OLD}`]);
  expect(input(atNew)).toEqual([]);
});
