import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "restante/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { hasWebDav, startWebDav, type WebDav } from "../../../../testing/web-dav.ts";
import { download, isPublic } from "./download.ts";
import { folderStorage } from "./folder.ts";
import type { BazaarStorage } from "./storage.ts";
import { webdavStorage } from "./webdav.ts";

const isStrict = process.env["CI_STRICT"] === "1";
const hasServer = hasWebDav();
if (!hasServer && !isStrict) console.log("lighttpd is not there: the WebDAV storage is NOT tested");

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "restante-storage-"));
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

function content(length = 100): { name: string; bytes: Uint8Array } {
  const bytes = new Uint8Array(randomBytes(length));
  return { name: toHex(sha256(bytes)), bytes };
}

/** What every storage keeps. */
function suite(make: () => BazaarStorage): void {
  test("what is put is read back, whole, also when it is put twice, and by one that opens it later", async () => {
    const storage = make();
    await storage.open();
    const { name, bytes } = content(300_000);
    const url = await storage.put(name, bytes);
    expect(await storage.put(name, bytes)).toBe(url);
    expect(toHex((await storage.get(name)) ?? new Uint8Array(0))).toBe(toHex(bytes));
    const later = make();
    await later.open();
    expect(toHex((await later.get(name)) ?? new Uint8Array(0))).toBe(toHex(bytes));
  });

  test("what is removed is gone, and to remove it again is no failure", async () => {
    const storage = make();
    await storage.open();
    const { name, bytes } = content();
    await storage.put(name, bytes);
    await storage.remove(name);
    await storage.remove(name);
    expect(await storage.get(name)).toBeUndefined();
  });

  test("a content that is not what its name says is none", async () => {
    const storage = make();
    await storage.open();
    const [one, other] = [content(), content()];
    await storage.put(one.name, other.bytes);
    expect(await storage.get(one.name)).toBeUndefined();
  });

  test("a name that is no hash is our mistake: it never becomes a path", async () => {
    const storage = make();
    await expect(storage.put("../x", new Uint8Array(1))).rejects.toThrow("broken invariant");
    await expect(storage.get("a/b")).rejects.toThrow("broken invariant");
    await expect(storage.remove("")).rejects.toThrow("broken invariant");
  });
}

describe("the folder outbox", () => {
  suite(() => folderStorage(join(dir, "outbox")));

  test("[D21] [D22] [D23] a file in outbox/ has the hex SHA-256 of the ciphertext for its name and the ciphertext for its content", async () => {
    const storage = folderStorage(join(dir, "data", "outbox"));
    await storage.open();
    const { name, bytes } = content();
    expect(await storage.put(name, bytes)).toBeUndefined();
    const path = join(dir, "data", "outbox", name);
    expect(new Uint8Array(await readFile(path))).toEqual(bytes);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(dir, "data", "outbox"))).mode & 0o777).toBe(0o700);
  });

  test("what was half written when the process ended is cleared away, and nothing else", async () => {
    const folder = join(dir, "half");
    const storage = folderStorage(folder);
    await storage.open();
    const { name, bytes } = content();
    await storage.put(name, bytes);
    await writeFile(join(folder, `${name}.1234.half`), "half");
    await folderStorage(folder).open();
    expect(await readdir(folder)).toEqual([name]);
  });

  test("a folder that cannot be made is said", async () => {
    await writeFile(join(dir, "file"), "");
    await expect(folderStorage(join(dir, "file", "outbox")).open()).rejects.toMatchObject({ code: "storage-unusable" });
  });
});

test("a WebDAV server is there to test with, or nobody asked for it (CI_STRICT=1)", () => {
  expect(hasServer || !isStrict).toBe(true);
});

describe.skipIf(!hasServer)("a WebDAV store", () => {
  let server: WebDav;
  let url = "";
  const auth = { type: "basic", user: "alice", password: "secret:ä" } as const;
  beforeAll(async () => {
    server = await startWebDav(dir, auth.user, auth.password);
    url = server.url;
  });
  afterAll(() => server.stop());

  suite(() => webdavStorage({ url, auth, isLocalAllowed: true }));

  test("[D20] [X37] the URL is one at which everybody reads the content, without a password", async () => {
    const storage = webdavStorage({ url, auth, isLocalAllowed: true });
    const { name, bytes } = content();
    const at = await storage.put(name, bytes);
    expect(at).toBe(url + name);
    const options = { limit: 1000, signal: AbortSignal.timeout(5000), isLocalAllowed: true };
    expect(await download(at ?? "", options)).toEqual(bytes);
  });

  test("without the password, or in a folder that is not there, it says so before anybody relies on it", async () => {
    const stranger = webdavStorage({ url, isLocalAllowed: true });
    await expect(stranger.open()).rejects.toMatchObject({ code: "storage-unusable" });
    await expect(stranger.put(content().name, new Uint8Array(1))).rejects.toMatchObject({ code: "storage-failed" });
    const nowhere = webdavStorage({ url: `${url}no/such/`, auth, isLocalAllowed: true });
    await expect(nowhere.open()).rejects.toMatchObject({ code: "storage-unusable" });
  });
});

test("a store is spoken to over https, in a folder; over http only where that is asked for", () => {
  for (const url of [
    "http://example.org/box/",
    "https://example.org/box",
    "ftp://example.org/",
    "https://a:b@example.org/",
    "no",
  ]) {
    expect(() => webdavStorage({ url })).toThrow("https://host/folder/");
  }
  expect(() => webdavStorage({ url: "https://example.org/box/" })).not.toThrow();
});

describe("reading what strangers name", () => {
  let server: Server | undefined;
  afterEach(async () => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
  });
  const serve = async (answer: Parameters<typeof createServer>[1]): Promise<string> => {
    server = createServer(answer).listen(0, "127.0.0.1");
    await once(server, "listening");
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  };
  const options = { limit: 1000, signal: AbortSignal.timeout(20_000), isLocalAllowed: true };

  test("no more bytes than the limit are read, whether the length is said or not, or said wrong", async () => {
    const endless = await serve((_, res) => {
      const more = (): void => void (res.destroyed || res.write(new Uint8Array(500), () => setImmediate(more)));
      more();
    });
    expect(await download(endless, options)).toBeUndefined();
    server?.close();
    const said = await serve((_, res) => res.writeHead(200, { "content-length": "1001" }).flushHeaders());
    expect(await download(said, options)).toBeUndefined();
    server?.close();
    const cut = await serve(
      (_, res) => void res.writeHead(200, { "content-length": "10" }).write("12345", () => res.destroy()),
    );
    expect(await download(cut, options)).toBeUndefined();
  });

  test("redirects are followed three times, to the web alone", async () => {
    const url = await serve((req, res) => {
      const left = Number(req.url?.slice(1) || 0);
      if (left > 0) res.writeHead(302, { location: `/${left - 1}` }).end();
      else if (req.url === "/file") res.writeHead(302, { location: "file:///etc/passwd" }).end();
      else res.end("here");
    });
    expect(await download(`${url}3`, options)).toEqual(new TextEncoder().encode("here"));
    expect(await download(`${url}4`, options)).toBeUndefined();
    expect(await download(`${url}file`, options)).toBeUndefined();
  });

  test("a stranger's URL never leads to this machine or a private network, by number or by name", async () => {
    let asked = 0;
    const url = await serve((_, res) => {
      asked++;
      res.end("secret");
    });
    const strict = { ...options, isLocalAllowed: false };
    for (const target of [url, url.replace("127.0.0.1", "localhost"), url.replace("127.0.0.1", "[::ffff:127.0.0.1]")]) {
      expect(await download(target, strict)).toBeUndefined();
    }
    expect(asked).toBe(0);
    expect(await download("file:///etc/passwd", strict)).toBeUndefined();
    expect(await download("https://user:pass@example.org/", strict)).toBeUndefined();
  });

  test("public addresses are told from those that are not", () => {
    for (const address of ["8.8.8.8", "1.1.1.1", "2606:4700::1111"]) expect(isPublic(address)).toBe(true);
    const others = [
      "10.1.2.3",
      "127.0.0.1",
      "169.254.169.254",
      "192.168.1.1",
      "172.31.0.1",
      "100.64.0.1",
      "0.0.0.0",
      "224.0.0.1",
    ];
    for (const address of [
      ...others,
      "255.255.255.255",
      "::1",
      "::",
      "fe80::1",
      "fd00::1",
      "::ffff:10.0.0.1",
      "64:ff9b::a00:1",
      "x",
    ]) {
      expect([address, isPublic(address)]).toEqual([address, false]);
    }
  });
});
