/**
 * The echo peer: somebody to write to before one knows anybody. A peer like any other, in the same process, reachable over a
 * network that exists in this process only. It says back what it is told, and of a file what it got.
 */
import { createPeer, type MemoryNetwork, type Peer, type Received, type Store } from "restante";
import type { Backend } from "restante/protocol";

export interface EchoOptions {
  /** Its own. Not in memory: a peer that forgets its card at each start would be a new contact each time. */
  readonly store: Store;
  readonly network: MemoryNetwork;
  readonly backend: Backend;
  readonly onTrouble: (message: string) => void;
}

export interface Echo {
  /** Make the two contacts of each other. */
  befriend(peer: Peer): Promise<void>;
  close(): Promise<void>;
}

/** Start it. Its contacts know it as "echo". */
export async function startEcho({ store, network, backend, onTrouble }: EchoOptions): Promise<Echo> {
  const transports = [network.transport("echo")];
  const echo = await createPeer({ store, backend, onTrouble, name: "echo", transports, keepSent: false });
  const end = echo.on((event) => {
    if (event.type !== "mail") return;
    const reply = replyTo(event);
    if (reply !== undefined) echo.send(event.contact, reply).catch(() => onTrouble("the echo peer could not answer"));
  });
  return {
    async befriend(peer) {
      // The other way round it happens by itself: the hello shows the invite.
      if (peer.findContact(echo.hashname) === undefined) await peer.add(await echo.invite());
    },
    async close() {
      end();
      await echo.close();
    },
  };
}

/** What it says to a mail; `undefined` for kinds that it does not know. */
function replyTo({ text, file }: Pick<Received, "text" | "file">): string | undefined {
  if (text !== undefined) {
    const characters = [...text]; // cut between code points, not within one
    return `echo: ${characters.length > LONGEST ? `${characters.slice(0, LONGEST).join("")}...` : text}`;
  }
  if (file !== undefined) return `echo: ${file.name}, ${file.size} bytes, SHA-256 ${file.sha256}`;
  return undefined;
}

/** Code points that fit one text of 28 KiB, four bytes each, with what goes before and after. */
const LONGEST = 7000;
