/** The folder `outbox/`: a file for each content, under its hash (D21, D22, D23). */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "@noble/hashes/sha2.js";
import { RestanteError } from "restante";
import { assert, toHex } from "restante/protocol";
import { type BazaarStorage, isName } from "./storage.ts";

/** A storage in this folder, which is made if it is not there, for nobody else to read. One at a time uses it. */
export function folderStorage(folder: string): BazaarStorage {
  const pathOf = (name: string): string => {
    assert(isName(name), "a content's name is a hash");
    return join(folder, name);
  };
  return {
    async open() {
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        // Half-written ones of a process that was ended.
        for (const file of await readdir(folder))
          if (file.endsWith(HALF)) await rm(join(folder, file), { force: true });
      } catch (cause) {
        throw new RestanteError("storage-unusable", "the outbox folder cannot be used", { cause });
      }
    },
    async put(name, content) {
      const path = pathOf(name);
      const half = `${path}.${randomBytes(4).toString("hex")}${HALF}`;
      try {
        await write(half, content);
        await rename(half, path);
        await syncFolder(folder);
      } catch (cause) {
        await rm(half, { force: true }).catch(() => {});
        throw new RestanteError("storage-failed", "a message could not be written to the outbox", { cause });
      }
      return undefined;
    },
    async get(name) {
      const path = pathOf(name);
      try {
        const content = await readFile(path);
        return toHex(sha256(content)) === name ? new Uint8Array(content) : undefined;
      } catch (cause) {
        if (isMissing(cause)) return undefined;
        throw new RestanteError("storage-failed", "a message could not be read from the outbox", { cause });
      }
    },
    async remove(name) {
      const path = pathOf(name);
      try {
        await rm(path, { force: true });
        await syncFolder(folder);
      } catch (cause) {
        throw new RestanteError("storage-failed", "a message could not be removed from the outbox", { cause });
      }
    },
  };
}

async function write(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What was renamed or removed is so after a power cut only when the folder is synced. */
async function syncFolder(folder: string): Promise<void> {
  const file = await open(folder, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

const HALF = ".half";
