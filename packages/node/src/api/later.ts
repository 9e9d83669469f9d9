/**
 * The API and the site come with the first request: what checks and describes requests takes 12 MiB and 0.1 s, which a daemon that
 * nobody asks anything does without.
 */
import type { IncomingMessage, RequestListener } from "node:http";
import type { Duplex } from "node:stream";
import { RestanteError } from "restante";
import { installedVersion, VERSION } from "../version.ts";
import type { Problem } from "./contract.ts";
import { endsInStages } from "./linger.ts";

/** What answers requests: an app of Hono, or one that comes later. */
export interface Answers {
  fetch(request: Request, env?: object): Response | Promise<Response>;
}

/** What takes over connections that ask for another protocol. */
export interface Upgrades {
  /** The connection of a request that asked for it, and what came behind its head. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends all that it took over. */
  close(): void;
}

/**
 * What `load` gives, from the first request on. While that fails each request tries again, `trouble` is told why, once, and what is
 * answered is a problem: 503 "replaced" where our files are no longer those of the version that runs, else 500 "internal".
 */
export function answersLater(load: () => Promise<Answers>, trouble: (message: string) => void): Answers {
  const app = later(load);
  let told = "";
  return {
    async fetch(request, env) {
      let loaded: Answers;
      try {
        loaded = await app();
      } catch (error) {
        const why = error instanceof RestanteError ? error.message : `the API cannot be loaded: ${String(error)}`;
        if (why !== told) trouble(why);
        told = why;
        return problemResponse(error instanceof RestanteError ? { ...REPLACED, detail: error.message } : BROKEN);
      }
      return loaded.fetch(request, env);
    },
  };
}

/** The same for what takes over connections. */
export function upgradesLater(load: () => Promise<Upgrades>): Upgrades {
  const upgrades = later(load);
  let loaded: Upgrades | undefined;
  let isClosed = false;
  return {
    upgrade(request, socket, head) {
      upgrades().then(
        (found) => {
          loaded = found;
          if (isClosed) socket.destroy();
          else found.upgrade(request, socket, head);
        },
        () => socket.end("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
      );
    },
    close() {
      isClosed = true;
      loaded?.close();
    },
  };
}

/** For `createServer`. */
export function listenerOf(app: Answers): RequestListener {
  const listener = later(async () => {
    const { getRequestListener } = await import("@hono/node-server");
    return getRequestListener((request, env) => app.fetch(request, env), { overrideGlobalObjects: false });
  });
  return (request, response) => {
    endsInStages(request, response);
    listener().then(
      // Who has left meanwhile would never be seen leaving.
      (listen) => (request.socket.destroyed ? undefined : void listen(request, response)),
      () => void response.writeHead(503, { connection: "close" }).end(),
    );
  };
}

function later<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  const checked = async (): Promise<T> => {
    if ((await installedVersion()) !== VERSION)
      throw new RestanteError(
        "replaced",
        "another version of this program was installed while the daemon ran; restart it",
      );
    return load();
  };
  return () => {
    loading ??= checked().catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}

// As problem.ts has them, which comes with what is loaded here.
function problemResponse(problem: Problem): Response {
  return Response.json(problem, {
    status: problem.status,
    headers: { "content-type": "application/problem+json" },
  });
}

const REPLACED = { status: 503, title: "Service Unavailable", code: "replaced" } as const;
const BROKEN: Problem = {
  status: 500,
  title: "Internal Server Error",
  code: "internal",
  detail: "the daemon cannot load its API; what it wrote to its standard error says more",
};
