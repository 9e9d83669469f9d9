/**
 * Totals of a node for Prometheus, on a listener of their own. Names and numbers only: there are no labels, so there is no place
 * where a hashname, a box or a message could stand. Seed 003 trusts caches not to collect status and volume.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import { PerformanceObserver, performance } from "node:perf_hooks";
import { type Peer, RestanteError, type Transport } from "restante";

/** What went through the sockets of a node, in all. */
export interface Traffic {
  packetsIn: number;
  packetsOut: number;
  bytesIn: number;
  bytesOut: number;
}

export function noTraffic(): Traffic {
  return { packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 };
}

/** The same transport, with its traffic added to `traffic`. A piece of a stream counts as a packet. */
export function metered(transport: Transport, traffic: Traffic): Transport {
  return {
    types: transport.types,
    start: (events) =>
      transport.start({
        received(path, bytes) {
          traffic.packetsIn++;
          traffic.bytesIn += bytes.length;
          events.received(path, bytes);
        },
        path: (path, open) => events.path(path, open),
        writable: (path, credit) => events.writable(path, credit),
        trouble: (message) => events.trouble?.(message),
      }),
    send(path, bytes) {
      traffic.packetsOut++;
      traffic.bytesOut += bytes.length;
      transport.send(path, bytes);
    },
    flush: () => transport.flush(),
    close: (path) => transport.close(path),
    stop: () => transport.stop(),
  };
}

/** What the page tells of a node. */
export interface Measured {
  readonly status: Pick<ReturnType<Peer["status"]>, "held" | "links" | "channels" | "turns" | "faults">;
  readonly traffic: Traffic;
}

/** Where totals are served: an IP address and a port, 0 for any. */
export interface MetricsAddress {
  readonly host: string;
  readonly port: number;
}

/** "port", "host:port" or "[IPv6]:port"; without a host, loopback. `undefined` for all else. */
export function parseMetricsAddress(text: string): MetricsAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? LOOPBACK;
  const port = Number(digits);
  return isIP(host) !== 0 && port <= 65_535 ? { host, port } : undefined;
}

export interface MetricsListener {
  /** "http://127.0.0.1:9100/metrics" */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serve the totals as GET /metrics until `close`. Whoever can connect may read them. `measure` is called at each request.
 * Throws "address-in-use", and "bad-address" when the system refuses the address.
 */
export async function serveMetrics(address: MetricsAddress, measure: () => Measured): Promise<MetricsListener> {
  const watch = watchProcess();
  const server = createServer({ headersTimeout: 5000, requestTimeout: 5000 }, (request, response) =>
    answer(request, response, () => page([...nodeTotals(measure()), ...watch.totals()])),
  );
  server.maxConnections = MAX_READERS;
  await listen(server, address).catch((error: unknown) => {
    watch.stop();
    throw error;
  });
  const { family, address: host, port } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${host}]` : host}:${port}${PAGE}`,
    async close() {
      watch.stop();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function listen(server: Server, { host, port }: MetricsAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const where = `${host}, port ${port}`;
      reject(
        cause.code === "EADDRINUSE"
          ? new RestanteError("address-in-use", `metrics: ${where} is taken; choose another port`, { cause })
          : new RestanteError("bad-address", `metrics: cannot listen on ${where} (${cause.code})`, { cause }),
      );
    });
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      server.on("error", () => {}); // one reader lost; the others go on
      resolve();
    });
  });
}

function answer({ method, url = "" }: IncomingMessage, response: ServerResponse, write: () => string): void {
  const isRight = url.split("?")[0] === PAGE;
  if (!isRight || (method !== "GET" && method !== "HEAD")) {
    response.writeHead(isRight ? 405 : 404, { "content-type": "text/plain" }).end();
    return;
  }
  try {
    const body = write();
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(body);
  } catch {
    // Between a failure of the store and the next try there is nobody to ask.
    response.writeHead(503, { "content-type": "text/plain" }).end();
  }
}

/** A total by name; what only grows is called so that its name ends in "_total". */
type Total = readonly [name: string, help: string, value: number];

/** The text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats */
function page(totals: readonly Total[]): string {
  return totals
    .map(([name, help, value]) => {
      const type = name.endsWith("_total") ? "counter" : "gauge";
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${Number(value.toFixed(6))}\n`;
    })
    .join("");
}

function nodeTotals({ status: { held, links, channels, turns, faults }, traffic }: Measured): Total[] {
  const cache: Total[] =
    held === undefined
      ? []
      : [
          ["restante_cache_messages", "Messages in boxes.", held.messages],
          ["restante_cache_boxes", "Boxes that hold messages.", held.boxes],
          ["restante_cache_recipients", "Recipients for whom there are messages.", held.recipients],
          ["restante_cache_bytes", "Message data in boxes.", held.bytes],
          ["restante_cache_memory_bytes", "Message data and what it costs to keep it.", held.memory],
          ["restante_cache_gained_total", "Messages that were taken.", held.gained],
          ["restante_cache_refused_total", "Messages for which there was no room.", held.refused],
          ["restante_cache_evicted_total", "Messages that made room for newer ones.", held.evicted],
          ["restante_cache_expired_total", "Messages that nobody collected in time.", held.expired],
        ];
  return [
    ...cache,
    ["restante_links", "Links that are up.", links.filter(({ state }) => state === "up").length],
    ["restante_channels", "Channels that are open.", channels],
    ["restante_received_packets_total", "Datagrams and pieces of streams that came.", traffic.packetsIn],
    ["restante_received_bytes_total", "Bytes in them.", traffic.bytesIn],
    ["restante_sent_packets_total", "Packets given to the sockets.", traffic.packetsOut],
    ["restante_sent_bytes_total", "Bytes in them.", traffic.bytesOut],
    ["restante_turns_total", "Turns of the protocol: inputs that were handled.", turns],
    ["restante_faults_total", "New beginnings because of a fault in this program.", faults],
  ];
}

/** Watches what of this process cannot be asked for afterwards. */
function watchProcess(): { totals(): Total[]; stop(): void } {
  const began = performance.eventLoopUtilization();
  const gc = { runs: 0, ms: 0, longest: 0 };
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      gc.runs++;
      gc.ms += duration;
      gc.longest = Math.max(gc.longest, duration);
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  // A timer that is to come at a known time: how late it is, is how long the event loop was busy with one thing.
  let due = performance.now() + BEAT_MS;
  const delay = { last: 0, longest: 0 };
  const beat = setInterval(() => {
    const now = performance.now();
    delay.last = Math.max(now - due, 0);
    delay.longest = Math.max(delay.longest, delay.last);
    due = now + BEAT_MS;
  }, BEAT_MS);
  beat.unref();
  return {
    totals() {
      const { rss, heapUsed, external } = process.memoryUsage();
      const { user, system } = process.cpuUsage();
      const { active, idle } = performance.eventLoopUtilization(began);
      return [
        ["restante_event_loop_delay_seconds", "How late the last beat of a clock was.", delay.last / 1000],
        ["restante_event_loop_delay_max_seconds", "How late the latest was since the start.", delay.longest / 1000],
        ["restante_event_loop_active_seconds_total", "Time in which the event loop worked.", active / 1000],
        ["restante_event_loop_idle_seconds_total", "Time in which it waited.", idle / 1000],
        ["restante_gc_runs_total", "Runs of the garbage collector.", gc.runs],
        ["restante_gc_seconds_total", "Time in them.", gc.ms / 1000],
        ["restante_gc_max_seconds", "The longest of them since the start.", gc.longest / 1000],
        ["restante_heap_bytes", "Memory of objects.", heapUsed],
        ["restante_external_bytes", "Memory of buffers.", external],
        ["process_resident_memory_bytes", "Resident memory size in bytes.", rss],
        ["process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", (user + system) / 1e6],
        ["process_start_time_seconds", "Start time of the process since unix epoch.", performance.timeOrigin / 1000],
      ];
    },
    stop() {
      clearInterval(beat);
      observer.disconnect();
    },
  };
}

const LOOPBACK = "127.0.0.1";
const PAGE = "/metrics";
const MAX_READERS = 16;
const BEAT_MS = 500;
