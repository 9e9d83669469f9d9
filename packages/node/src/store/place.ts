/**
 * Places: whether a store is where it was left, or a copy of it, put back from a backup or carried to another machine.
 *
 * A file of a new name is made at each opening, never written again, and noted in the database with its time of change. That
 * time only the system sets: whoever copies the file, over the old one too, makes a later one. Inode and device numbers say no
 * more, and change by themselves on some file systems. What no file can show: a disk, or a file system, that was set back as a
 * whole, with all its times. docs/identity.md
 */
import { randomBytes } from "node:crypto";
import { open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "./private-file.ts";

/** Is the folder the one in which `note` was taken? No note: it cannot be known, and counts as no. */
export async function isPlace(dir: string, note: string | undefined): Promise<boolean> {
  const [name = "", changed] = note?.split(" ") ?? [];
  return PLACE.test(name) && (await changeOf(join(dir, name))) === changed;
}

/** Put down a new file, on the disk when it resolves. Gives the note about it. Others stay. */
export async function takePlace(dir: string): Promise<string> {
  const name = `place.${randomBytes(8).toString("hex")}`;
  await (await open(join(dir, name), "wx", 0o600)).close();
  await syncFolder(dir);
  return `${name} ${await changeOf(join(dir, name))}`;
}

/** Remove the files of all notes but this one. Without one: what is in the folder counts as a copy from now on. */
export async function forgetPlaces(dir: string, note = ""): Promise<void> {
  for (const name of await readdir(dir))
    if (PLACE.test(name) && !note.startsWith(`${name} `)) await unlink(join(dir, name)).catch(() => {});
}

/** In nanoseconds since 1970, as text; `undefined`: there is no such file. */
async function changeOf(file: string): Promise<string | undefined> {
  try {
    return String((await stat(file, { bigint: true })).ctimeNs);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

const PLACE = /^place\.[0-9a-f]{16}$/;
