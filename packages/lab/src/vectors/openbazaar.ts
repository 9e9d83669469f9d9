/** The vectors of OpenBazaar's offline messages. This version has no bazaar route: their cases are counted, not run. */
import { type Case, list, object, type Runner } from "./cases.ts";

/** By file name. */
export const OPENBAZAAR: Readonly<Record<string, Runner>> = {
  identities: (file) => counted(file, "identities"),
  "chat-message-ids": (file) => counted(file, "vectors"),
  messages: (file) => counted(file, "vectors"),
  "signed-data": (file) => counted(file, "vectors"),
  envelopes: (file) => counted(file, "vectors"),
  "pointer-keys": (file) => counted(file, "vectors"),
  pointers: (file) => counted(file, "vectors"),
  cids: (file) => counted(file, "vectors"),
  negative: (file) => counted(file, "vectors"),
};

function counted(file: unknown, key: string): Case[] {
  return list(object(file, "the file")[key], key).map((_, index) => ({
    name: `${key}[${index}]`,
    isUnsupported: true,
    check: () => {},
  }));
}
