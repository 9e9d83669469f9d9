/**
 * A WebDAV store, or any server that takes PUT and DELETE from us and gives to everybody (X37). What lies there is sealed; the
 * server sees our address, sizes and times.
 */
import { randomBytes } from "node:crypto";
import { sha256 } from "@noble/hashes/sha2.js";
import { RestanteError } from "restante";
import { assert, toHex } from "restante/protocol";
import { download } from "./download.ts";
import { type BazaarStorage, CONTENT_BYTES, isName } from "./storage.ts";

/** Where we put things, and as whom. */
export interface WebdavOptions {
  /** The folder, ending with a slash. https, or http to this machine (`isLocalAllowed`). */
  readonly url: string;
  /** Where others read what we put, if not at `url`. */
  readonly publicUrl?: string;
  readonly auth?:
    | { readonly type: "basic"; readonly user: string; readonly password: string }
    | { readonly type: "token"; readonly token: string };
  /** Http, and hosts that are not public: for a server beside us, and for tests. */
  readonly isLocalAllowed?: boolean;
}

/** Throws `RestanteError` "storage-unusable" for a URL that cannot be one of such a store. */
export function webdavStorage(options: WebdavOptions): BazaarStorage {
  const isLocalAllowed = options.isLocalAllowed ?? false;
  const folder = folderUrl(options.url, isLocalAllowed);
  const shown = options.publicUrl === undefined ? folder : folderUrl(options.publicUrl, isLocalAllowed);
  const headers = authHeaders(options);

  const send = async (method: string, name: string, body?: Uint8Array): Promise<number> => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const at = new URL(name, folder);
    try {
      // No redirects: they would carry the content, and to the same host the credentials, wherever the answer says.
      const content = body && { body: new Uint8Array(body) };
      const answer = await fetch(at, { method, headers, signal, redirect: "error", ...content });
      await answer.body?.cancel();
      return answer.status;
    } catch (cause) {
      throw new RestanteError("storage-failed", "the message store does not answer", { cause });
    }
  };
  const read = (base: URL, name: string): Promise<Uint8Array | undefined> =>
    download(new URL(name, base).href, {
      limit: CONTENT_BYTES,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      isLocalAllowed,
    });

  const storage: BazaarStorage = {
    async open() {
      // What a recipient will do, before a sender relies on it.
      const probe = new Uint8Array(randomBytes(32));
      const name = toHex(sha256(probe));
      try {
        await storage.put(name, probe);
        const found = await storage.get(name);
        if (found === undefined) throw new Error("what was put cannot be read by everybody");
        await storage.remove(name);
        if ((await storage.get(name)) !== undefined) throw new Error("what was removed is still there");
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : "it fails";
        throw new RestanteError("storage-unusable", `the message store at ${folder.host} cannot be used: ${why}`, {
          cause,
        });
      }
    },
    async put(name, content) {
      assert(isName(name), "a content's name is a hash");
      const status = await send("PUT", name, content);
      if (status >= 300) throw new RestanteError("storage-failed", refusal(status));
      return new URL(name, shown).href;
    },
    async get(name) {
      assert(isName(name), "a content's name is a hash");
      const content = await read(shown, name);
      return content && toHex(sha256(content)) === name ? content : undefined;
    },
    async remove(name) {
      assert(isName(name), "a content's name is a hash");
      const status = await send("DELETE", name);
      if (status >= 300 && status !== 404 && status !== 410) {
        throw new RestanteError("storage-failed", `the message store did not remove: status ${status}`);
      }
    },
  };
  return storage;
}

function folderUrl(text: string, isLocalAllowed: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isScheme = url?.protocol === "https:" || (url?.protocol === "http:" && isLocalAllowed);
  if (url === undefined || !isScheme || !url.pathname.endsWith("/") || url.username !== "" || url.search !== "") {
    throw new RestanteError("storage-unusable", "the URL of a message store is https://host/folder/");
  }
  return url;
}

/** With what an operator can do about it. */
function refusal(status: number): string {
  const remedy: Readonly<Record<number, string>> = {
    401: ": the user or the password is wrong",
    403: ": this user may not write there",
    404: ": there is no such folder",
    405: ": it takes no PUT; is WebDAV on?",
    409: ": there is no such folder",
    413: ": it takes no file of this size",
    507: ": it is full",
  };
  return `it refused with status ${status}${remedy[status] ?? ""}`;
}

function authHeaders({ auth }: WebdavOptions): Record<string, string> {
  if (auth === undefined) return {};
  if (auth.type === "token") return { authorization: `Bearer ${auth.token}` };
  return { authorization: `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString("base64")}` };
}

const TIMEOUT_MS = 60_000;
