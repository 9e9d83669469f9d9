/** What every cipher set must do, for those that `portable` can do. 2a is tested where there is RSA: in @restante/node. */
import { describe, test } from "vitest";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { type CipherSetUnderTest, cipherSetSuite } from "../testing/cipher-set-suite.ts";
import { type CipherSet, cs1a, cs3a, portable } from "./index.ts";

const SETS: readonly CipherSetUnderTest[] = [
  { ...known(cs3a(portable)), nonce: 24, proof: 16, rounds: 25 },
  { ...known(cs1a(portable)), nonce: 4, proof: 4, opensNoise: true, rounds: 25 },
  { ...known(cs01()), nonce: 24, proof: 16, rounds: 300 },
];

describe.each(SETS)("cipher set $set.csid", (underTest) => {
  for (const { name, run } of cipherSetSuite(() => underTest)) test(name, run);
});

function known(set: CipherSet): Pick<CipherSetUnderTest, "set" | "pairs"> {
  const { random } = new Chance(2);
  return { set, pairs: [set.generate(random), set.generate(random), set.generate(random)] };
}
