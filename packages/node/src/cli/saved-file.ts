/** A received file on its way to the user's disk: never over another file, never half a one under its name. */
import { createHash, randomBytes } from "node:crypto";
import { constants, existsSync } from "node:fs";
import { copyFile, link, mkdir, open, rm } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { RestanteError } from "restante";
import type { FileInfo } from "../api/contract.ts";

/**
 * Write the bytes into `dir` under the file's name, made harmless, with a number when that is taken. Gives the path. Throws
 * "damaged" when the bytes are not those that were sent; then nothing is left behind.
 */
export async function saveFile(dir: string, file: FileInfo, bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  const hashed = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of bytes) {
      hash.update(piece);
      yield piece;
    }
    if (hash.digest("hex") !== file.sha256) throw new RestanteError("damaged", "the file is not what was sent");
  };
  return await saveUnder(dir, file.name, hashed());
}

/** The same for any bytes. What `bytes` throws leaves nothing behind either. */
export async function saveUnder(dir: string, name: string, bytes: AsyncIterable<Uint8Array>): Promise<string> {
  return await throughPart(dir, bytes, (part) => claim(part, dir, safeName(name)));
}

/** Write the bytes into a new file of exactly this name. Throws "file-exists"; then, and after any other failure, nothing is left. */
export async function saveAs(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const isThere = (): RestanteError =>
    new RestanteError("file-exists", `"${path}" is there already; give another name`);
  if (existsSync(path)) throw isThere(); // before the work; the last word is at its end
  await throughPart(dirname(path), bytes, (part) =>
    place(part, path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === "EEXIST" ? isThere() : error;
    }),
  );
}

async function throughPart<T>(
  dir: string,
  bytes: AsyncIterable<Uint8Array>,
  finish: (part: string) => Promise<T>,
): Promise<T> {
  await mkdir(dir, { recursive: true });
  const part = join(dir, `.restante-${randomBytes(6).toString("hex")}.part`);
  try {
    const handle = await open(part, "wx");
    try {
      for await (const piece of bytes) await handle.writeFile(piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return await finish(part);
  } finally {
    await rm(part, { force: true });
  }
}

/**
 * A name of someone else's choice as a plain file name: no folder, nothing hidden, nothing that a system keeps for itself, and in a
 * folder where somebody says `program *` no option, command or list of arguments.
 */
export function safeName(name: string): string {
  const flat = name
    .replace(/[\p{C}\p{Zl}\p{Zp}<>:"/\\|?*]/gu, "_")
    .replace(/^[.\s]+|[.\s]+$/g, "")
    .replace(/^[-+@]/, "_") // -rf; less +!command; gcc @file
    .replace(/^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i, "_$1");
  const extension = extname(flat)
    .slice(0, 16)
    .replace(/\p{Cs}$/u, ""); // not half a character
  let stem = flat.slice(0, flat.length - extname(flat).length) || "file";
  while (Buffer.byteLength(stem) > STEM_BYTES) stem = [...stem].slice(0, -1).join("");
  return stem + extension;
}

/** Give the finished file the first name that is free. */
async function claim(part: string, dir: string, name: string): Promise<string> {
  const extension = extname(name);
  const stem = name.slice(0, name.length - extension.length);
  for (let n = 0; n < MAX_TRIES; n++) {
    const path = join(dir, n === 0 ? name : `${stem} (${n})${extension}`);
    try {
      await place(part, path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  throw new RestanteError("bad-file", `there are ${MAX_TRIES} files called ${name} in ${dir} already`);
}

/** A link fails where a file is; a rename would replace it. */
async function place(part: string, path: string): Promise<void> {
  await link(part, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") throw error;
    return copyFile(part, path, constants.COPYFILE_EXCL); // a file system without links
  });
}

const STEM_BYTES = 200; // most file systems take 255 in all
const MAX_TRIES = 10_000;
