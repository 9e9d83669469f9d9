import { expect, test } from "vitest";
import { linkJson, parseLinkJson } from "../card/index.ts";
import { Chance, cs01 } from "../testing/index.ts";
import {
  createCrypto,
  createIdentity,
  cs3a,
  exportIdentity,
  highestCommon,
  importIdentity,
  portable,
} from "./index.ts";

const crypto = createCrypto(portable, [cs01(), cs3a(portable)]);
const identity = createIdentity(crypto, new Chance(3).random);
const paths = [{ type: "udp4", ip: "192.0.2.1", port: 7 }];

test("[E15] an identity is link JSON with secrets: one object for the peer itself and for those who link to it", () => {
  const { hashname, keys } = identity;
  const json = JSON.parse(JSON.stringify({ ...exportIdentity(identity), paths }));
  expect(importIdentity(crypto, json)).toEqual(identity);
  expect(parseLinkJson(portable, json)).toEqual({ hashname, keys, paths });
  const { secrets: _, ...open } = json;
  expect(open).toEqual(JSON.parse(JSON.stringify(linkJson({ hashname, keys, paths }))));
  expect(importIdentity(crypto, open)).toBeUndefined();
});

test("an identity that another program wrote without its hashname gets it from its keys", () => {
  const { keys, secrets } = exportIdentity(identity);
  const foreign = { keys, secrets };
  expect(importIdentity(crypto, foreign)).toBeUndefined();
  expect(importIdentity(crypto, { ...foreign, hashname: parseLinkJson(portable, foreign)?.hashname })).toEqual(
    identity,
  );
});

test("an identity is whole: to each key of a set that is spoken there is a secret, or peers would use it in vain", () => {
  const both = createIdentity(crypto, new Chance(4).random, [0x01, 0x3a]);
  const { secrets, ...open } = exportIdentity(both);
  expect(importIdentity(crypto, { ...open, secrets })).toEqual(both);
  for (const csid of ["01", "3a"])
    expect(importIdentity(crypto, { ...open, secrets: { [csid]: secrets[csid] } })).toBeUndefined();
  // Of a set that we do not speak the key alone is enough, and it is never chosen.
  const less = createCrypto(portable, [cs01()]);
  const part = importIdentity(less, { ...open, secrets: { "01": secrets["01"] } });
  expect([part?.hashname, [...(part?.pairs.keys() ?? [])]]).toEqual([both.hashname, [0x01]]);
  expect(highestCommon(less, both.keys, both.keys)).toBe(0x01);
});
