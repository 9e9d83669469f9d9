/**
 * A loop that keeps a core awake, and writes to the file that it is given how often it turned and the CPU time of that, until
 * the process that it is given is not its parent any more. cores.ts
 */
import { openSync, writeSync } from "node:fs";

const NUMBERS = 4096; // 16 KiB: half of what the nearest cache of a core has
const ROUNDS = 500;
const numbers = Uint32Array.from({ length: NUMBERS }, (_, i) => Math.imul(i, 2_654_435_761));
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

/**
 * A millisecond or so of sums that hang on each other little, of numbers that lie in the nearest cache: a core does four or so at once.
 * So it slows down as a program that works hard does when another uses the same hardware: products, of which a core does one at a
 * time, took 1.1 times as long where deposits took 1.8 times, these 1.5 times.
 */
function turn(): number {
  let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < NUMBERS; i += 8) {
      a = (a + (numbers[i] ?? 0)) | 0;
      b = (b ^ (numbers[i + 1] ?? 0)) | 0;
      c = (c + (numbers[i + 2] ?? 0)) | 0;
      d = (d ^ (numbers[i + 3] ?? 0)) | 0;
      e = (e + (numbers[i + 4] ?? 0)) | 0;
      f = (f ^ (numbers[i + 5] ?? 0)) | 0;
      g = (g + (numbers[i + 6] ?? 0)) | 0;
      h = (h ^ (numbers[i + 7] ?? 0)) | 0;
    }
  }
  return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
