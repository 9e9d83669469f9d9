import { generateKeyPairSync, sign } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as fc from "fast-check";
import { jwtHandshake, verifyJwt } from "restante/jwt";
import {
  Channels,
  createCrypto,
  encodeJson,
  encodePacket,
  equal,
  parseHashname,
  parsePacket,
  portable,
  sealMessage,
  toBase64url,
  utf8,
} from "restante/protocol";
import { Chance, cs01 } from "restante/testing";
import { afterAll, describe, expect, test } from "vitest";
import { BAZAAR } from "./bazaar.ts";
import { BAZAAR_KEPT } from "./bazaar-kept.ts";
import { BAZAAR_MACHINES } from "./bazaar-machines.ts";
import { readCorpus } from "./corpus.ts";
import { threadCpu } from "./cpu.ts";
import { HTTP } from "./http.ts";
import { allowed, isSlow } from "./loop.ts";
import { MACHINES, Pair } from "./machines.ts";
import { asText, Mutator } from "./mutate.ts";
import { NASTY_HEADS, OVERLONG, within } from "./nasty.ts";
import { OPENERS } from "./openers.ts";
import { PARSERS } from "./parsers.ts";
import type { Target } from "./target.ts";
import { TARGETS } from "./targets.ts";
import { TEXTS } from "./texts.ts";
import { WEBSOCKET } from "./websocket.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const LONGEST_PACKET = 1300;
const LEAST = 200_000; // of all targets together, besides those that come through sockets

let given = 0;

describe.each([
  ["parsers", PARSERS],
  ["openers", OPENERS],
  ["machines", MACHINES],
  ["formats of the bazaar", BAZAAR],
  ["machines of the bazaar", BAZAAR_MACHINES],
  ["nodes of the bazaar", BAZAAR_KEPT],
  ["requests to the API", HTTP],
  ["readers at the WebSocket", WEBSOCKET],
  ["texts of operators", TEXTS],
] as const)("no damaged input makes one of the %s throw:", (_, targets) => {
  test.each(targets)("$name, $inputs inputs", async ({ name, inputs, growth, start }) => {
    const mutator = new Mutator(new Chance(SEED));
    const give = start(mutator);
    const outcomes = { taken: 0, refused: 0 };
    let before = 0;
    for (let i = 0; i < inputs; i++) {
      if (growth !== undefined && i === Math.floor(inputs / 4)) before = heap();
      try {
        const given = give();
        const wasTaken = given instanceof Promise ? await given : given;
        if (wasTaken !== undefined) outcomes[wasTaken ? "taken" : "refused"]++;
      } catch (error) {
        throw new Error(`FUZZ_SEED=${SEED}: input ${i} of ${name} made it throw`, { cause: error });
      }
      given++;
    }
    if (outcomes.taken + outcomes.refused > 0) {
      expect(outcomes.refused, "damage goes unnoticed").toBeGreaterThan(0);
      expect(outcomes.taken, "nothing gets past the first look").toBeGreaterThan(0);
    }
    if (growth !== undefined) expect(heap() - before).toBeLessThan(growth);
  });
});

test.each([...PARSERS, ...OPENERS, ...TEXTS])(
  "nothing that is well made and means ill makes $name throw",
  async ({ made, run }) => {
    const property = fc.asyncProperty(made, async (input) => {
      await run(input);
    });
    await fc.assert(property, { seed: SEED, numRuns: 200 });
  },
);

test("no damaged token in a handshake verifies, or makes the verifier reject", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const [hashname, now] = [parseHashname("a".repeat(52)), 1_700_000_000_000];
  if (hashname === undefined) throw new Error("it is a hashname");
  const issuer = "https://id.example";
  const claims = { sub: "eve", aud: hashname, iss: issuer, exp: now / 1000 + 60 };
  const signed = [{ alg: "EdDSA" }, claims].map((part) => toBase64url(encodeJson(part))).join(".");
  const token = `${signed}.${toBase64url(sign(null, utf8(signed), privateKey))}`;
  const options = { key: publicKey, algorithms: ["EdDSA"], issuer, clock: () => now };
  const verify = (body: Uint8Array): Promise<unknown> =>
    verifyJwt({ hashname, messages: [{ type: "jwt", json: {}, body }] }, options);
  const genuine = jwtHandshake(token)?.body ?? new Uint8Array(0);
  expect(await verify(genuine)).toBeDefined();
  const mutator = new Mutator(new Chance(SEED));
  for (let i = 0; i < 2000; i++) {
    const damaged = i % 4 === 0 ? utf8(mutator.text([token])) : mutator.packet([genuine]);
    const body = i % 4 === 0 ? (jwtHandshake(asText(damaged))?.body ?? damaged) : damaged;
    if (!equal(body, genuine)) expect(await verify(body)).toBeUndefined();
  }
});

test.each(TARGETS)("the kept corpus makes $name throw nowhere, and takes no more time than it may", async (target) => {
  for (const input of readCorpus(target.name)) await expectKept(target, input);
});

describe("nasty heads:", () => {
  test.each(NASTY_HEADS)("$name", ({ head, reads }) => {
    const packet = parsePacket(encodePacket(head, Uint8Array.of(1, 2)));
    expect(packet?.head).toEqual(head);
    expect(packet?.body).toEqual(Uint8Array.of(1, 2));
    expect(packet?.jsonError).toBe(reads === "refused");
    if (reads === "refused") expect(packet?.json).toBeUndefined();
    else expect(packet?.json?.["a"]).toStrictEqual(reads.a);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  test.each(PARSERS)(
    "$name refuses or takes them all, and over-long lengths, in the time it may take",
    async (target) => {
      const inputs = NASTY_HEADS.flatMap(({ head }) => [head, encodePacket(head), encodePacket(undefined, head)]);
      for (const input of [...inputs, ...OVERLONG]) await expectKept(target, input);
    },
  );

  test("none that is refused opens a channel; the others do", () => {
    for (const { name, head, reads } of NASTY_HEADS) {
      const channels = new Channels({ order: 0, handles: () => 1 });
      const inner = encodePacket(within('"c":1,"seq":1,"type":"test"', head));
      const opened = channels
        .handle({ type: "received", packets: [{ inner, at: 0 }] }, 1)
        .some(({ type }) => type === "opened");
      expect(opened, name).toBe(reads !== "refused");
    }
  });

  test("a packet on an open channel that has one is dropped; the channel goes on", () => {
    for (const { name, head, reads } of NASTY_HEADS) {
      const channels = new Channels({ order: 0, handles: () => 1 });
      const give = (inner: Uint8Array): string[] =>
        channels.handle({ type: "received", packets: [{ inner, at: 0 }] }, 1).map(({ type }) => type);
      give(encodePacket({ c: 1, seq: 1, type: "test" }));
      const isGiven = give(encodePacket(within('"c":1,"seq":2', head))).includes("packets");
      if (reads !== "refused" && head.length < LONGEST_PACKET) expect(isGiven, name).toBe(true);
      if (reads !== "refused") continue;
      expect(isGiven, name).toBe(false);
      expect(give(encodePacket({ c: 1, seq: 2 })), name).toContain("packets");
    }
  });

  test("a handshake of a proven sender that has one is dropped; the link goes on", () => {
    const crypto = createCrypto(portable, [cs01()]);
    const { random } = new Chance(1);
    const pair = new Pair(new Chance(1));
    const [us, them] = pair.ids;
    let at = 2n ** 40n;
    for (const { name, head, reads } of NASTY_HEADS) {
      at += 2n;
      const inner = encodePacket(within(`"at":${at},"type":"uri","uri":"link:///?t=${at}"`, head));
      const bytes = sealMessage(crypto, { from: them, to: us.keys, inner, random });
      expect(bytes, name).toBeDefined();
      const before = pair.dropped();
      const [, path] = pair.paths;
      pair.ends[0].handle({ type: "received", path, bytes: bytes ?? new Uint8Array(0) }, pair.now);
      if (reads === "refused") expect(pair.dropped(), name).toBe(before + 1);
      expect(pair.ends[0].isUp(them.hashname), name).toBe(true);
    }
  });
});

/** No throw, and no more CPU time than it may take, the best of four. */
async function expectKept(target: Target, input: Uint8Array): Promise<void> {
  const from = performance.now();
  await target.run(input.slice());
  if (performance.now() - from <= allowed(target, input)) return;
  expect(await isSlow(target, input, threadCpu)).toBe(false);
}

afterAll(() => {
  expect(given).toBeGreaterThanOrEqual(LEAST);
});

/** Bytes of this thread's heap that are still in use. */
function heap(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
