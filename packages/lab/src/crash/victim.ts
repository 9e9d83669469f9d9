/**
 * A peer on a real disk, in a process of its own that is cut off at a point of its life: what crash-points.test.ts starts. Whoever
 * started it calls it by messages, and hears of the end of each call.
 */
import { join } from "node:path";
import { levelStore, loadBackend, udpTransport } from "@restante/node";
import { createPeer, type OutgoingFile, type Peer, type Received } from "restante";
import { Cuts } from "./cut.ts";

/** What a scene asks of a peer, wherever it runs. */
export interface Bob {
  /** Resolves when the contact is saved. */
  add(link: string): Promise<void>;
  contacts(): Promise<string[]>;
  send(contact: string, mail: string | (OutgoingFile & { readonly bytes: Uint8Array })): Promise<string>;
  /** Which of these mails of his were not delivered yet. */
  open(ids: readonly string[]): Promise<string[]>;
  inbox(): Promise<Shown[]>;
  close(): Promise<void>;
}

/** A mail as somebody sees it. */
export interface Shown {
  readonly id: string;
  readonly content: string | Uint8Array;
}

/** The peer in this folder, with what `Cuts` of it there are. */
export async function openBob(dir: string, cuts?: Cuts): Promise<Bob> {
  const backend = await loadBackend(() => {});
  const store = levelStore({ dir: join(dir, "store"), key: KEY, backend });
  const transport = udpTransport({ host: "127.0.0.1", port: 0 });
  const peer = await createPeer({
    ...{ name: "bob", backend },
    store: cuts?.store(store) ?? store,
    transports: [cuts?.transport(transport) ?? transport],
  });
  return bobOf(peer);
}

export function bobOf(peer: Peer): Bob {
  return {
    async add(link) {
      await peer.add(link);
    },
    contacts: async () => peer.contacts().map(({ id }) => id),
    send: (contact, mail) => peer.send(contact, mail),
    // Not of `outbox`: after a start it has what was read so far.
    open: async (ids) => {
      const ledgers = await Promise.all(ids.map((id) => peer.track(id)));
      return ids.filter((_, i) => !ledgers[i]?.some(({ state }) => state === "delivered"));
    },
    inbox: async () => Promise.all((await peer.inbox()).map((mail) => shown(peer, mail))),
    close: () => peer.close(),
  };
}

async function shown(peer: Peer, mail: Received): Promise<Shown> {
  if (mail.text !== undefined) return { id: mail.id, content: mail.text };
  const pieces: Uint8Array[] = [];
  for await (const piece of peer.file(mail)) pieces.push(piece);
  return { id: mail.id, content: new Uint8Array(Buffer.concat(pieces)) };
}

/** A call, and its end. */
export interface Call {
  readonly n: number;
  readonly name: keyof Bob;
  readonly given: readonly unknown[];
}
export type Answer =
  | { readonly n: number; readonly value: unknown }
  | { readonly n: number; readonly error: string }
  /** The first of all: it can be called. Told again when it was closed. */
  | { readonly n: 0; readonly passed: readonly string[] };

const KEY = new Uint8Array(32).fill(7); // of nothing that anybody keeps
const [dir, at] = process.argv.slice(2);

if (process.send !== undefined && dir !== undefined && at !== undefined) {
  const cuts = new Cuts(Number(at));
  const tell = (answer: Answer): void => void process.send?.(answer);
  await cuts.watchFiles();
  const bob = await openBob(dir, cuts);
  process.on("message", async ({ n, name, given }: Call) => {
    try {
      const value = await (bob[name] as (...given: readonly unknown[]) => Promise<unknown>)(...given);
      if (name === "close") tell({ n: 0, passed: cuts.passed });
      tell({ n, value });
    } catch (error) {
      tell({ n, error: String(error) });
    }
  });
  tell({ n: 0, passed: cuts.passed });
}
