/** The command mesh: whom this node looks for, and how it reaches them. */
import type { Client } from "../api/client.ts";
import type { MeshInfo, MeshPeer } from "../api/contract.ts";
import { wayText } from "./contact.ts";
import { EXIT } from "./failure.ts";
import { count, printable, type Screen, short, table, time } from "./screen.ts";

/** A line for each: our devices and caches, contacts, their caches, and who passes packets on. */
export async function mesh(screen: Screen, client: Client): Promise<number> {
  const { self, peers, others } = await client.call<MeshInfo>("GET", "/v1/mesh");
  if (screen.json) {
    screen.out(JSON.stringify({ type: "self", ...self, others }));
    for (const peer of peers) screen.out(JSON.stringify({ type: "peer", ...peer }));
    return EXIT.done;
  }
  if (peers.length === 0) screen.say("nobody is looked for: there are no contacts and no caches yet");
  else {
    const names = new Map(peers.flatMap(({ contact, name }) => (contact && name ? [[contact, name] as const] : [])));
    const rows = peers.map((peer) => [
      short(peer.hashname),
      whatText(peer, names),
      peer.roundTrip === undefined ? "-" : `${peer.roundTrip} ms`,
      peer.since === undefined ? "-" : time(peer.since),
      peer.state === "up" ? wayText(peer.place, peer.router) : STATES[peer.state],
    ]);
    for (const line of table(screen, ["PEER", "WHAT", "AWAY", "SINCE", "HOW"], rows)) screen.out(line);
  }
  if (others > 0) screen.say(`and ${count(others, "link")} to others, who use the cache of this node or are strangers`);
  return EXIT.done;
}

function whatText({ kind, name, contact, isOurs, cacheOf }: MeshPeer, names: ReadonlyMap<string, string>): string {
  if (kind === "device") return "your device";
  if (kind === "router") return "passes packets on";
  if (kind === "contact") return `${flat(name ?? short(contact ?? ""))}${isOurs ? ", your cache" : ""}`;
  const whose = cacheOf.map((id) => flat(names.get(id) ?? short(id)));
  return `cache of ${[...(isOurs ? ["you"] : []), ...whose].join(", ")}`;
}

function flat(text: string): string {
  return printable(text, { oneLine: true });
}

const STATES = { down: "not there", unresolved: "nobody knows where" } as const;
