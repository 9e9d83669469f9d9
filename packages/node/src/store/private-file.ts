/** Files and folders that hold secrets: for our user alone, and refused when others can read them. */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, rename, stat, unlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { RestanteError } from "restante";

/**
 * The file's bytes; `undefined` when there is none. Throws "open-permissions" when others may read or write it, or it is another
 * user's; "bad-file".
 */
export async function readPrivate(file: string): Promise<Uint8Array | undefined> {
  const handle = await open(file, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (handle === undefined) return undefined;
  try {
    // Of the open file, not of its name: nobody can put another one in between.
    const found = await handle.stat();
    if (found.isDirectory()) throw new RestanteError("bad-file", `"${file}" is a folder, not a file`);
    refuseOpen(file, found, "600");
    return new Uint8Array(await handle.readFile());
  } finally {
    await handle.close();
  }
}

/**
 * Make the file, mode 0600, on the disk when it resolves. It is there with all its bytes or not at all. False when
 * there is one already: that one is left as it is.
 */
export async function createPrivate(file: string, bytes: Uint8Array): Promise<boolean> {
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  const handle = await open(draft, "wx", 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, file); // unlike rename, never over another file
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await unlink(draft);
  }
  await syncFolder(dirname(file));
  return true;
}

/** Put a file in the place of what is there, mode 0600, on the disk when it resolves: the old one or the new one, never half. */
export async function replacePrivate(file: string, bytes: Uint8Array): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await unlink(draft).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(file));
}

/**
 * Make the folder with mode 0700, its parents too, all on the disk when it resolves; or check the one that is there.
 * Throws "open-permissions" when it is open to others, or another user's.
 */
export async function privateFolder(dir: string): Promise<void> {
  const path = resolve(dir); // a relative one never gets shorter than "."
  // Where it is there nothing is tried that a sandbox refuses.
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  const first = isThere ? undefined : await mkdir(path, { recursive: true, mode: 0o700 });
  for (let made = path; first !== undefined && made.length >= first.length; made = dirname(made))
    await syncFolder(dirname(made));
  refuseOpen(dir, await stat(dir), "700");
}

/** Put the folder's list of names on the disk. */
export async function syncFolder(dir: string): Promise<void> {
  if (process.platform === "win32") return; // folders cannot be opened there
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function refuseOpen(path: string, { mode, uid }: { mode: number; uid: number }, wanted: string): void {
  if (process.platform === "win32") return; // no such bits there
  const [self, isTheirs] = [process.getuid?.() ?? uid, `${path} belongs to another user, who can get at it`];
  // Who is root may well run on somebody's folder: root's own files nobody can change, and in a container it is often so.
  if (uid !== self && self !== 0)
    throw new RestanteError("open-permissions", `${isTheirs}; make it yours with: chown ${self} ${path}`);
  if ((mode & 0o077) === 0) return;
  throw new RestanteError("open-permissions", `other users can get at ${path}; close it with: chmod ${wanted} ${path}`);
}
