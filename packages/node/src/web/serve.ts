/** The site: on loopback, or beyond this machine behind a password and TLS. docs/web.md */
import { readFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { RestanteError } from "restante";
import { fromUtf8 } from "restante/protocol";
import { type Answers, answersLater, listenerOf } from "../api/later.ts";
import { readPrivate } from "../store/private-file.ts";
import { type Certificate, certificateOf, ownCertificate } from "./certificate.ts";
import { Connections, MAX_CONNECTIONS } from "./connections.ts";
import { type HostSettings, type Hosts, hostsOf } from "./hosts.ts";
import { loadPage } from "./page.ts";
import { Attempts, PASSWORD_FILE, Password } from "./password.ts";
import { answersPlain } from "./plain.ts";
import { Sessions } from "./sessions.ts";
import { Token } from "./token.ts";

export interface WebSettings extends HostSettings {
  /** Default: 4242. A busy one moves to the next free one; 0: any. */
  readonly port?: number;
}

export interface WebOptions extends WebSettings {
  /** The home: its sessions, password, token and certificate. */
  readonly dir: string;
  readonly say: (message: string) => void;
  /** Called before the site is loaded, which is with the first request. */
  readonly onLoad?: () => void;
}

/** The page of a daemon. Made before the API, which hands out its links. */
export interface Web {
  /** "http://127.0.0.1:4242/" once it is open. */
  readonly url: string;
  /** Where it listens, once it is open. */
  readonly port: number;
  /** SHA-256 of our certificate, where nobody else vouches for it. */
  readonly fingerprint: string | undefined;
  /** The page's address with a token in it, which lets one browser in, once. */
  link(): string;
  /** Take a renewed certificate; each hour by itself. Throws as `createWeb`; the one of before goes on then. */
  renew(): Promise<void>;
  /** Serve. Throws "address-in-use" when no port is free. */
  open(api: Answers): Promise<void>;
  close(): Promise<void>;
}

/**
 * Reads what it needs of the home. Throws "bad-config", "bad-certificate", "no-file" and "open-permissions", and "no-password"
 * where others than this machine would be served without one.
 */
export async function createWeb({ port: wanted = PORT, dir, say, onLoad, ...settings }: WebOptions): Promise<Web> {
  const hosts = hostsOf(settings);
  const password = await Password.load(join(dir, PASSWORD_FILE));
  if (hosts.isBeyond && password.tag === undefined)
    throw new RestanteError("no-password", `the web page is not served at ${hosts.host} without a password`);
  let certificate = hosts.hasTls ? await certificateFor(hosts, settings, dir) : undefined;
  const sessions = await Sessions.load(join(dir, "web"));
  const token = await Token.load(dir);
  const page = await loadPage();
  let port = 0;
  let handle: RequestListener | undefined;
  const server = serverOf(certificate, hosts, (request, response) => handle?.(request, response));
  // Another password, or token, ends what began with the one before, without anybody asking.
  const look = async (): Promise<void> => {
    // One that cannot be read keeps nobody from looking at the other.
    const looked = [password.refresh().then(() => sessions.passwordIs(password.tag)), token.refresh()];
    for (const each of await Promise.allSettled(looked)) if (each.status === "rejected") throw each.reason;
  };
  const renew = async (): Promise<void> => {
    const next = hosts.hasTls ? await certificateFor(hosts, settings, dir) : undefined;
    if (next === undefined || next.fingerprint === certificate?.fingerprint) return;
    certificate = next;
    (server as TlsServer).setSecureContext(certificate);
    if (!next.isVouched) say(`the web page has a new certificate; its SHA-256 is ${next.fingerprint}`);
  };
  await look();
  let fault = "";
  // Told to us, once, and to nobody who asks: it names files.
  const looksQuietly = async (): Promise<void> => {
    const now = await look().then(
      () => "",
      (error: Error) => error.message,
    );
    if (now !== "" && now !== fault) say(`the web page: ${now}`);
    fault = now;
  };
  const looks = setInterval(() => void looksQuietly(), LOOK_MS);
  looks.unref();
  const renews = setInterval(
    () => void renew().catch((error: Error) => say(`the web page: ${error.message}`)),
    RENEW_MS,
  );
  renews.unref();
  return {
    get url() {
      return hosts.url(port);
    },
    get port() {
      return port;
    },
    get fingerprint() {
      return certificate?.isVouched === false ? certificate.fingerprint : undefined;
    },
    renew,
    link: () => `${hosts.url(port)}#${sessions.token()}`,
    async open(api) {
      const common = { api, sessions, password, token, look: looksQuietly, attempts: new Attempts(), page, hosts };
      const isTrusted = (): boolean => certificate?.isVouched ?? false;
      const site = async (): Promise<Answers> => {
        onLoad?.();
        return (await import("./site.ts")).createSite({ ...common, isTrusted, port: () => port, trouble: say });
      };
      handle = listenerOf(answersLater(site, say));
      const last = wanted === 0 ? 0 : Math.min(wanted + TRIES, 65_535);
      for (let next = wanted; port === 0; next++) {
        const isOpen = await listens(server, next, hosts.host);
        if (isOpen) port = (server.address() as AddressInfo).port;
        else if (next >= last)
          throw new RestanteError(
            "address-in-use",
            `the web page: ports ${wanted} to ${last} are taken; choose another`,
          );
      }
      if (wanted !== 0 && port !== wanted) say(`the web page is on port ${port}: ${wanted} is taken`);
      if (hosts.isBeyond && !hosts.hasTls)
        say(
          `the web page is served at ${hosts.host} without TLS: whoever sees its packets can read all, unless a proxy stands before it`,
        );
    },
    async close() {
      clearInterval(looks);
      clearInterval(renews);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function certificateFor(hosts: Hosts, { cert, key }: WebSettings, dir: string): Promise<Certificate> {
  const now = Date.now();
  if (cert === undefined || key === undefined) {
    return await ownCertificate(dir, hosts.named, hosts.all, now);
  }
  const missing = (file: string): RestanteError => new RestanteError("no-file", `there is no file "${file}"`);
  const secret = await readPrivate(key);
  if (secret === undefined) throw missing(key);
  const chain = await readFile(cert, "utf8").catch(() => {
    throw missing(cert);
  });
  return certificateOf(chain, fromUtf8(secret) ?? "", now);
}

function serverOf(certificate: Certificate | undefined, hosts: Hosts, answer: RequestListener): Server {
  // Bodies may take long: a file comes as slowly as its disk gives it. What has no session is answered before its body is read.
  const limits = { headersTimeout: 10_000, requestTimeout: 0 };
  const listener: RequestListener = (request, response) => {
    // A body that nobody reads keeps no connection, however slowly it comes.
    if (request.method === "GET" || request.method === "HEAD") {
      const { "content-length": length = "0", "transfer-encoding": coding } = request.headers;
      if (length !== "0" || coding !== undefined) response.shouldKeepAlive = false;
    }
    answer(request, response);
  };
  const server =
    certificate === undefined
      ? createServer(limits, listener)
      : createTlsServer(
          { ...limits, key: certificate.key, cert: certificate.cert, minVersion: "TLSv1.2", handshakeTimeout: 10_000 },
          listener,
        );
  if (server instanceof TlsServer)
    answersPlain(server, (host) => {
      const { port } = (server.address() ?? {}) as Partial<AddressInfo>;
      const [origin] = hosts.origins(host, port ?? 0) ?? [];
      return origin && `${origin}/`;
    });
  server.maxConnections = MAX_CONNECTIONS;
  const connections = new Connections(hosts.isProxy);
  server.on("connection", (socket) => {
    const left = connections.take(socket.remoteAddress ?? "");
    if (left === undefined) socket.destroy();
    else socket.on("close", left);
  });
  return server;
}

function listens(server: Server, port: number, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      server.off("listening", listening);
      const why = WHY[cause.code ?? ""]?.(host, port) ?? `cannot listen (${cause.code})`;
      if (cause.code === "EADDRINUSE") resolve(false);
      else reject(new RestanteError("bad-address", `the web page: ${why}`, { cause }));
    };
    const listening = (): void => {
      server.off("error", failed);
      server.on("error", () => {}); // one reader lost; the others go on
      resolve(true);
    };
    server.once("error", failed);
    server.once("listening", listening);
    server.listen(port, host);
  });
}

const WHY: Readonly<Record<string, (host: string, port: number) => string>> = {
  EADDRNOTAVAIL: (host) => `${host} is no address of this machine`,
  EACCES: (_, port) => `port ${port} is not for every program: take one above 1023`,
};
const PORT = 4242;
const TRIES = 20;
const RENEW_MS = 3_600_000;
const LOOK_MS = 5000;
