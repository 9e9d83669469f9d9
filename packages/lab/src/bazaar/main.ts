/**
 * One node of the bazaar as a process, for the demonstration: orders as JSON lines on stdin, what happens as JSON lines on
 * stdout. Ends in good order on SIGTERM. Its argument: `NodeOrder` as JSON.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Bazaar, bazaarSeed, type Contact, createBazaar, folderStorage } from "@restante/bazaar";
import { parsePeerId, sealedOf } from "@restante/bazaar/format";
import { levelStore, loadOrCreateKey } from "@restante/node";
import { fromBase64url, toBase64url } from "restante/protocol";

/** What a process is told at its start. */
export interface NodeOrder {
  readonly home: string;
  readonly bootstrap: readonly string[];
  /** A node of the DHT. */
  readonly serves?: boolean;
  readonly pushNodes?: readonly NodeCard[];
  /** A push node, for these ids. */
  readonly admitted?: readonly string[];
}

/** Somebody, as told between processes. */
export interface NodeCard {
  readonly id: string;
  /** base64url */
  readonly publicKey: string;
  readonly addrs: readonly string[];
}

/** A line on stdin. */
export type NodeCommand =
  | { readonly do: "send"; readonly ref: string; readonly to: NodeCard; readonly bytes: string }
  | { readonly do: "stats" };

/** A line on stdout. */
export type NodeReport =
  | { readonly is: "ready"; readonly card: NodeCard }
  | { readonly is: "accepted"; readonly ref: string; readonly ok: boolean }
  | { readonly is: "progress"; readonly ref: string; readonly state: string; readonly how?: string }
  /** `sha256`: of the sealed message that came. */
  | {
      readonly is: "message";
      readonly from: string;
      readonly way: string;
      readonly bytes: number;
      readonly sha256: string;
    }
  | { readonly is: "stats"; readonly pushBytes: number; readonly pointers: number; readonly outbox: number }
  | { readonly is: "trouble"; readonly text: string };

async function main(order: NodeOrder): Promise<void> {
  mkdirSync(order.home, { recursive: true, mode: 0o700 });
  const key = await loadOrCreateKey(join(order.home, "store.key"));
  const store = levelStore({ dir: join(order.home, "store"), key });
  await store.open();
  const outbox = join(order.home, "outbox");
  const bazaar = await createBazaar({
    seed: bazaarSeed(key),
    store,
    storage: folderStorage(outbox),
    listen: ["/ip4/127.0.0.1/tcp/0"],
    bootstrap: order.bootstrap,
    network: "local",
    serves: order.serves ?? false,
    pushNodes: (order.pushNodes ?? []).map(contactOf),
    ...(order.admitted && { push: { admitted: order.admitted.flatMap((id) => parsePeerId(id) ?? []) } }),
    onMessage: ({ from, way, message }) => {
      const sealed = sealedOf(message) ?? new Uint8Array(0);
      const sha256 = createHash("sha256").update(sealed).digest("hex");
      report({ is: "message", from, way, bytes: sealed.length, sha256 });
      return "done";
    },
    onProgress: (progress) => report({ is: "progress", ...progress }),
    onTrouble: (error) => report({ is: "trouble", text: String(error) }),
  });
  const card: NodeCard = { id: bazaar.id, publicKey: toBase64url(bazaar.publicKey), addrs: bazaar.addrs() };
  const orders = createInterface({ input: process.stdin }).on("line", (line) => {
    const command = JSON.parse(line) as NodeCommand;
    obey(bazaar, outbox, command).catch((error: unknown) => report({ is: "trouble", text: String(error) }));
  });
  process.on("SIGTERM", () => {
    orders.close();
    process.stdin.destroy();
    bazaar.stop().then(() => store.close());
  });
  report({ is: "ready", card });
}

async function obey(bazaar: Bazaar, outbox: string, command: NodeCommand): Promise<void> {
  if (command.do === "stats") {
    const { pushBytes, pointers } = bazaar.stats();
    report({ is: "stats", pushBytes, pointers, outbox: readdirSync(outbox).length });
    return;
  }
  const { ref, to, bytes } = command;
  const sealed = fromBase64url(bytes) ?? new Uint8Array(0);
  const { ok } = await bazaar.deliver({ type: "deliver", route: "bazaar", id: ref, to: contactOf(to), bytes: sealed });
  report({ is: "accepted", ref, ok });
}

function contactOf({ id, publicKey, addrs }: NodeCard): Contact {
  const peer = parsePeerId(id);
  if (peer === undefined) throw new Error(`${id} is no id`);
  const key = fromBase64url(publicKey);
  return { id: peer, addrs, ...(key && { publicKey: key }) };
}

function report(line: NodeReport): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

await main(JSON.parse(process.argv[2] ?? "") as NodeOrder);
