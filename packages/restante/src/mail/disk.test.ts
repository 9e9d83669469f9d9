import { expect, test } from "vitest";
import { Disk } from "./disk.ts";

const MIB = 1024 * 1024;
const PARTS = 32; // of 32 KiB: 1 MiB

function disk(limit: number, saved: ReadonlyMap<string, Uint8Array> = new Map()): Disk {
  return new Disk({ limit, saved });
}

test("a file is let in while its contact has not used half of all, and all have not used all; as a whole, from its first part on", () => {
  const room = disk(4 * MIB);
  for (const [file, contact] of ["ab", "cb", "de"].map((name) => [name, name[1] ?? ""] as const)) {
    expect(room.refuses(contact, PARTS)).toBeUndefined();
    room.begin(file, { contact, parts: PARTS, written: 0 });
  }
  expect(room.refuses("b", 1)).toBe("share");
  expect(room.refuses("e", PARTS + 1)).toBe("share");
  expect(room.refuses("x", PARTS + 1)).toBe("total");
  expect(room.refuses("x", PARTS)).toBeUndefined();
});

test("what is given up makes room, what is kept makes it when it is erased, and what is kept is known after a restart", () => {
  const room = disk(2 * MIB);
  room.begin("one", { contact: "c", parts: PARTS, written: 0 });
  expect(room.refuses("c", 1)).toBe("share");
  expect(room.end("one", false)).toEqual([]);
  room.begin("two", { contact: "c", parts: PARTS, written: 0 });
  for (let part = 0; part < PARTS; part++) room.write("two");
  const [save] = room.end("two", true);
  expect(save?.key).toBe("mail/disk/c");
  const again = disk(2 * MIB, new Map([[save?.key ?? "", save?.value ?? new Uint8Array(0)]]));
  expect([room.used, again.used]).toEqual([MIB, MIB]);
  expect(again.refuses("c", 1)).toBe("share");
  expect(again.erased("c", PARTS)).toEqual({ type: "save", key: "mail/disk/c", value: undefined });
  expect(again.refuses("c", PARTS)).toBeUndefined();
  again.erased("c", PARTS); // of before there was this account
  expect(again.used).toBe(0);
});

test("128 MiB of the disk stay free: beside what was let in and is still to be written", () => {
  const room = disk(1024 * MIB);
  expect(room.refuses("c", 100 * PARTS)).toBeUndefined(); // nobody knows how much is free
  room.look(148 * MIB);
  expect([room.refuses("c", 20 * PARTS), room.refuses("c", 20 * PARTS + 1)]).toEqual([undefined, "disk"]);
  room.begin("one", { contact: "c", parts: 12 * PARTS, written: 2 * PARTS });
  expect([room.refuses("d", 10 * PARTS), room.refuses("d", 10 * PARTS + 1)]).toEqual([undefined, "disk"]);
  // What is written is not free any more, and need not be kept free any more.
  for (let part = 0; part < PARTS; part++) room.write("one");
  expect([room.refuses("d", 10 * PARTS), room.refuses("d", 10 * PARTS + 1)]).toEqual([undefined, "disk"]);
  room.look(64 * MIB - 1);
  expect(room.full).toBe("disk");
  room.look(64 * MIB);
  expect(room.full).toBeUndefined();
});

test("who says that large files come, and sends a part of them, leaves the room of others; who sends them has their room", () => {
  const room = disk(4096 * MIB);
  room.look(100_000 * MIB);
  for (const contact of ["m", "n"])
    for (let file = 0; file < 64; file++) {
      const parts = 32 * PARTS - 1;
      expect(room.refuses(contact, parts)).toBeUndefined();
      room.begin(`${contact}${file}`, { contact, parts, written: 0 });
      room.write(`${contact}${file}`);
    }
  expect([room.refuses("m", 2 * PARTS + 1), room.used]).toEqual(["share", 2 * (32 + 8 * 2) * MIB]);
  expect(room.refuses("friend", 2048 * PARTS)).toBeUndefined();
  room.begin("hers", { contact: "friend", parts: 2048 * PARTS, written: 252 * PARTS });
  expect(room.used).toBe((2 * 48 + 2048) * MIB);
});

test("should all that was let in be true after all, parts wait where there is no room for one more", () => {
  const room = disk(200 * MIB);
  const files = ["a", "b", "c", "d"];
  for (const contact of files) {
    expect(room.refuses(contact, 99 * PARTS)).toBeUndefined();
    room.begin(contact, { contact, parts: 99 * PARTS, written: 0 });
  }
  let written = 0;
  for (; room.full === undefined; written++) room.write(files[written % 4] ?? "");
  expect([written, room.full]).toEqual([200 * PARTS, "total"]);
  room.end("a", false);
  expect(room.full).toBeUndefined();
});

test("of each mail that waits the user is told once, however many wait", () => {
  const room = disk(MIB);
  expect(["a", "a", "b", "a"].map((mail) => room.waits(mail, 0))).toEqual([true, false, true, false]);
  const day = 86_400_000;
  const toldOn = (date: number): number =>
    Array.from({ length: 1000 }, (_, i) => room.waits(`mail ${i}`, date * day)).filter(Boolean).length;
  expect([toldOn(0), toldOn(1), toldOn(2)]).toEqual([254, 0, 2]); // "a" and "b" were not heard of again
});
