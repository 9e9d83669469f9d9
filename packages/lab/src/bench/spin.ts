/**
 * A loop that keeps a core awake, and writes to the file that it is given how often it turned and the CPU time of that, until
 * the process that it is given is not its parent any more. cores.ts
 */
import { openSync, writeSync } from "node:fs";

const ROUNDS = 800_000;
const FIRST = 20;
const file = openSync(process.argv[2] ?? "", "r+");
const said = new Float64Array(2);
const parent = Number(process.argv[3]); // known before it can be gone
let kept = 0; // or the compiler would do without the loop
turn();
const start = cpuUs();
for (let turns = 1; process.ppid === parent; turns++) {
  kept ^= turn();
  said[0] = turns;
  said[1] = cpuUs() - start;
  writeSync(file, said, 0, said.byteLength, 0);
  if (turns === FIRST) process.stdout.write(`${kept}\n`); // compiled by then
}

/** A millisecond or so of products that hang on each other little, so that a core does as many at once as it can. */
function turn(): number {
  let [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6];
  for (let i = 0; i < ROUNDS; i++) {
    a = Math.imul(a, 5) ^ i;
    b = Math.imul(b, 7) ^ i;
    c = Math.imul(c, 9) ^ i;
    d = Math.imul(d, 11) ^ i;
    e = Math.imul(e, 13) ^ i;
    f = Math.imul(f, 15) ^ i;
  }
  return a ^ b ^ c ^ d ^ e ^ f;
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
