/**
 * Claims: one process at a time may use a folder. Node has no file locks, and a lock file with one fixed name cannot be
 * taken over from a dead process without a race. So each process puts down a claim of its own name first and looks at
 * the others after: of two at once, at least one sees the other. Whose process is dead, its claim anybody may remove.
 */
import { randomBytes } from "node:crypto";
import { open, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";

/** The folder is ours until `release`; or `pid` has it. */
export type Claim = { readonly pid: undefined; release(): Promise<void> } | { readonly pid: number };

/** Claim a folder that is there. Claims of processes that died are removed. Of two at the same moment both may be refused. */
export async function claim(dir: string): Promise<Claim> {
  const own = `lock.${process.pid}.${(await life(process.pid)).started}.${randomBytes(4).toString("hex")}`;
  const file = join(dir, own);
  held.add(own); // first: a claim of this process that is not held counts as one that was left behind
  const release = async (): Promise<void> => {
    held.delete(own);
    await remove(file);
  };
  try {
    await (await open(file, "wx", 0o600)).close();
    for (const name of await readdir(dir)) {
      const [, pid, started] = CLAIM.exec(name) ?? [];
      if (pid === undefined || started === undefined || name === own) continue;
      if (await isAlive(name, Number(pid), started)) {
        await release();
        return { pid: Number(pid) };
      }
      await remove(join(dir, name));
    }
  } catch (error) {
    await release();
    throw error;
  }
  return { pid: undefined, release };
}

async function isAlive(name: string, pid: number, started: string): Promise<boolean> {
  if (pid === process.pid) return held.has(name);
  try {
    process.kill(pid, 0); // signal 0 only asks
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const now = await life(pid);
  // Process numbers come again; the same number with another time of birth is somebody else.
  return !now.isZombie && (started === UNKNOWN || now.started === UNKNOWN || now.started === started);
}

/** What Linux tells about a process: when it was started, in ticks since the machine was. */
async function life(pid: number): Promise<{ started: string; isZombie: boolean }> {
  const text = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  // proc(5): the fields after the name, which is in brackets and may hold anything; state is the 3rd, starttime the 22nd.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { started: fields[19] ?? UNKNOWN, isZombie: fields[0] === "Z" || fields[0] === "X" };
}

async function remove(file: string): Promise<void> {
  await unlink(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

const held = new Set<string>(); // the claims of this very process
const CLAIM = /^lock\.(\d{1,10})\.(\d{1,20})\.[0-9a-f]{8}$/;
const UNKNOWN = "0";
