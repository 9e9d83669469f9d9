import { expect, test } from "vitest";
import { Leeway, Pace } from "./growth.ts";

test("a process is busy that takes more than a tenth of four seconds, until it has taken next to nothing for ten", () => {
  const pace = new Pace(400);
  const looks = (...cpuMs: number[]) => cpuMs.map((ms) => pace.look(ms));
  expect(looks(400, 600, 801, 1001, 1202, 1500)).toEqual([...Array(5).fill(undefined), "busy"]);
  expect(looks(1550, 1550, 1550, 1600, 1651)).toEqual(Array(5).fill(undefined)); // busy again just in time
  expect(looks(1701, 1701, 1701, 1701, 1701, 1701)).toEqual([...Array(4).fill(undefined), "quiet", undefined]);
});

test("what is swept when a process comes to rest does not make it busy again", () => {
  const pace = new Pace(0);
  pace.look(1000);
  expect(pace.look(2000)).toBe("busy");
  for (let i = 0; i < 4; i++) pace.look(2000);
  expect(pace.look(2000)).toBe("quiet");
  pace.skip(3000);
  expect([3200, 4200, 4200].map((cpuMs) => pace.look(cpuMs))).toEqual([undefined, undefined, undefined]);
});

test("a busy process may have 100 MiB of garbage, six times or at least twice what is in use, as it was least of late", () => {
  const MIB = 1024 * 1024;
  const leeway = new Leeway();
  const looks = (...used: number[]) => used.map((mib) => leeway.look(mib * MIB));
  expect(looks(40, 20, 45, 45)).toEqual([250, 500, 500, 500]);
  expect(looks(10)).toEqual([600]);
  expect(looks(...Array(7).fill(25))).toEqual(Array(7).fill(600));
  expect(looks(25)).toEqual([400]);
  expect(looks(...Array(8).fill(400)).at(-1)).toBe(200);
  expect(leeway.look(0)).toBe(600);
});
