import { loadBackend } from "@restante/node";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAnswer } from "../../cluster/resp.ts";
import { Misuse } from "../../command-line.ts";
import { ourCache } from "../cache.ts";
import { ServerProcess } from "../server-process.ts";
import { packet, parsePacket } from "./mosquitto.ts";
import { parseMessage } from "./nats.ts";
import { findPeers, PEER_NAMES, type PeerName, peerBench, ratios } from "./peers.ts";
import { parseStanza } from "./prosody.ts";
import { command } from "./redis.ts";
import { FIGURES, type Keeper, MESSAGE } from "./work.ts";

describe("what the clients say and understand", () => {
  test("MQTT packets have the bytes of its specification, with lengths of one and of more bytes", () => {
    expect(packet(0xc0)).toEqual(Buffer.of(0xc0, 0));
    expect(packet(0x40, Uint8Array.of(1, 2))).toEqual(Buffer.of(0x40, 2, 1, 2));
    expect(packet(0x30, new Uint8Array(321)).subarray(0, 4)).toEqual(Buffer.of(0x30, 0xc1, 0x02, 0)); // 3.1.1, section 2.2.3
    expect(packet(0x30, new Uint8Array(127)).length).toBe(129);
    expect(packet(0x30, new Uint8Array(128)).length).toBe(131);
  });

  test("a Redis command has a length before each part, which may be any bytes", () => {
    const parts = ["RPUSH", "box:7", Uint8Array.of(13, 10, 255)];
    expect(command(parts).toString("latin1")).toBe("*3\r\n$5\r\nRPUSH\r\n$5\r\nbox:7\r\n$3\r\n\r\n\xff\r\n");
  });

  /** What comes in any pieces is the same as in one. */
  const inPieces = <T extends { readonly end: number }>(
    parse: (input: Buffer, at: number) => T | undefined,
    stream: Buffer,
    show: (message: T) => unknown,
    wanted: readonly unknown[],
  ): void => {
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 8 }), (cuts) => {
        const seen: unknown[] = [];
        let rest = Buffer.alloc(0);
        const edges = [...cuts, stream.length].sort((a, b) => a - b);
        for (const [i, edge] of edges.entries()) {
          rest = Buffer.concat([rest, stream.subarray(i === 0 ? 0 : edges[i - 1], edge)]);
          let used = 0;
          for (let message = parse(rest, used); message !== undefined; message = parse(rest, used)) {
            seen.push(show(message));
            used = message.end;
          }
          rest = rest.subarray(used);
        }
        expect(seen).toEqual(wanted);
        expect(rest.length).toBe(0);
      }),
    );
  };

  test("MQTT packets are found in a stream however it is cut", () => {
    const bodies = [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(300).fill(0x40)];
    const stream = Buffer.concat(bodies.map((body) => packet(0x40, body)));
    inPieces(
      parsePacket,
      stream,
      ({ type, body }) => [type, body.length],
      bodies.map((body) => [4, body.length]),
    );
  });

  test("Redis answers are found in a stream however it is cut", () => {
    const stream = Buffer.from("+OK\r\n:12\r\n*2\r\n$3\r\n\r\n1\r\n$1\r\nb\r\n-ERR no\r\n", "latin1");
    const wanted = ["OK", "12", "\r\n1\nb", "ERR no"];
    inPieces(parseAnswer, stream, ({ text }) => text, wanted);
  });

  test("NATS messages are found in a stream however it is cut", () => {
    const stream = Buffer.from("INFO {}\r\nMSG a.b 2 4\r\nx\r\ny\r\nPING\r\nHMSG r 1 2 5\r\nabcde\r\n", "latin1");
    const wanted = [
      ["INFO {}", ""],
      ["MSG a.b 2 4", "x\r\ny"],
      ["PING", ""],
      ["HMSG r 1 2 5", "abcde"],
    ];
    inPieces(parseMessage, stream, ({ words, payload }) => [words.join(" "), payload.toString("latin1")], wanted);
  });

  test("XMPP stanzas are found in a stream however it is cut", () => {
    const stanzas = [
      "<stream:features><a/></stream:features>",
      "<a h='3'/>",
      "<message><body>x</body></message>",
      "</stream:stream>",
    ];
    const stream = Buffer.from(`<?xml version='1.0'?><stream:stream to='x'>${stanzas.join("")}`, "latin1");
    inPieces(parseStanza, stream, ({ text }) => text, stanzas);
  });
});

describe("which are measured", () => {
  test("those that are not installed are left out, and told", () => {
    const { peers, missing } = findPeers("redis,nats", []);
    expect(peers).toEqual([]);
    expect(missing).toEqual([
      "redis is left out: redis-server is not installed",
      "nats is left out: nats-server is not installed",
    ]);
  });

  test("a name that nobody has is refused, and one that stands there twice counts once", () => {
    expect(() => findPeers("redis,kafka")).toThrow(Misuse);
    expect(() => findPeers("")).toThrow(Misuse);
    expect(findPeers("redis,redis", []).missing.length).toBe(1);
  });

  test("ratios are ours over theirs, of what both have", () => {
    const results = {
      "cache.live.p50_ms": { value: 3, unit: "ms" },
      "peer.nats.live.p50_ms": { value: 2, unit: "ms" },
      "cache.resident_bytes_per_message": { value: 300, unit: "B" },
      "peer.nats.bytes_per_message": { value: 600, unit: "B" },
      "cache.drain.cpu_ms_per_1k": { value: 1, unit: "ms" },
      "peer.redis.drain.cpu_ms_per_1k": { value: 1, unit: "ms" },
    } as const;
    expect(ratios(results, "nats")).toEqual({
      "ratio.nats.live.p50_ms": { value: 1.5, unit: "x" },
      "ratio.nats.bytes_per_message": { value: 0.5, unit: "x" },
    });
  });
});

const isLinux = process.platform === "linux";
const isStrict = process.env["CI_STRICT"] === "1";

test.runIf(isLinux)("the CPU time of a process is what it says of itself", async () => {
  const work = "for (let i = 0; i < 3e8; i++); console.log(process.cpuUsage()); setInterval(() => {}, 1e6)";
  const server = new ServerProcess(process.execPath, ["-e", work]);
  try {
    const says = await server.line(/user: \d+/);
    const [user = 0, system = 0] = [...says.matchAll(/: (\d+)/g)].map(([, us]) => Number(us) / 1000);
    expect(server.cpuMs()).toBeGreaterThanOrEqual(user + system - 25); // the ticks of Linux, twice
    expect(server.memory()).toBeGreaterThan(1e6);
  } finally {
    await server.stop();
  }
});

/** Our own is always there. Brokers are no dependency of ours: those that this machine has are tried, with CI_STRICT=1 all of them. */
const keepers: readonly (readonly [name: string, keeper: (() => Promise<Keeper>) | undefined])[] = [
  ["our cache", async () => ourCache(await loadBackend(() => {}))],
  ...PEER_NAMES.map((name): [string, (() => Promise<Keeper>) | undefined] => {
    const peer = isLinux ? findPeers(name).peers[0] : undefined;
    return [name, peer && (async () => peer.keeper())];
  }),
];

describe.each(keepers)("%s", (_, make) => {
  test.runIf(isLinux && (make !== undefined || isStrict))(
    "acknowledges, keeps for those who are away, hands over, forgets, and tells those who wait",
    async () => {
      const keeper = await (await make?.())?.start(2);
      if (keeper === undefined) throw new Error("its server is not installed");
      try {
        const sender = await keeper.sender();
        await Promise.all([1, 2, 3].map((n) => sender.deposit(1, new Uint8Array(MESSAGE).fill(64 + n), false)));
        expect(sender.acknowledgements()).toBeGreaterThan(0);
        await (await keeper.collect(1, 3)).close();
        let came = 0;
        let tell = (): void => {};
        const recipient = await keeper.wait(1, () => {
          came++;
          tell();
        });
        for (let i = 0; i < 3; i++) {
          const told = new Promise<void>((resolve) => {
            tell = resolve;
          });
          await Promise.all([sender.deposit(1, new Uint8Array(MESSAGE).fill(70 + i), false), told]);
        }
        expect(came).toBe(3);
        await recipient.close();
        await sender.close();
      } finally {
        await keeper.stop();
      }
    },
  );
});

const [installed] = isLinux ? findPeers("redis,mosquitto,nats").peers : [];
test.runIf(installed !== undefined || (isLinux && isStrict))(
  "a peer is measured by what our cache is measured by",
  async () => {
    const name: PeerName = installed?.name ?? "redis";
    if (installed === undefined) throw new Error("no peer");
    const bench = peerBench(installed, {
      recipients: 16,
      messages: 2,
      links: 4,
      live: 5,
      warmLive: 20,
      times: 2,
      warm: 1,
      isAwake: false,
    });
    const results = await bench.run();
    expect(Object.keys(results)).toEqual(FIGURES.map((figure) => `peer.${name}.${figure}`));
    expect(results[`peer.${name}.deposit.sent_bytes`]?.value).toBeGreaterThan(MESSAGE);
    expect(results[`peer.${name}.deposit.acks_per_message`]?.value).toBe(1);
  },
);
