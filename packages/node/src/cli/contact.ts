/** All that is known of one contact: what `contacts NAME` prints. */
import type { ContactInfo } from "restante";
import type { Client } from "../api/client.ts";
import type { Lists, MeshInfo, PeerList, RetentionList } from "../api/contract.ts";
import { linkText } from "./caches.ts";
import { EXIT } from "./failure.ts";
import { contactName } from "./mail.ts";
import { MISSING } from "./people.ts";
import { count, printable, type Screen, short, size, time } from "./screen.ts";

type MeshPeer = MeshInfo["peers"][number];

/** Its devices and how they are reached, its caches, and what is set for it. */
export async function contact(screen: Screen, client: Client, text: string): Promise<number> {
  const found = await client.call<ContactInfo>("GET", `/v1/contacts/${encodeURIComponent(text)}`);
  const { id } = found;
  const [{ peers }, { caches }, { retentions }, { lists }] = await Promise.all([
    client.call<MeshInfo>("GET", "/v1/mesh"),
    client.call<PeerList>("GET", "/v1/peers"),
    client.call<RetentionList>("GET", "/v1/retentions"),
    client.call<Lists>("GET", "/v1/lists"),
  ]);
  const devices = found.hashnames.map((hashname) => peers.find((peer) => peer.hashname === hashname) ?? { hashname });
  const theirs = caches.filter((cache) => cache.contact === id);
  const days = retentions.find((each) => each.contact === id)?.days;
  const named = lists.filter((list) => list.contacts.includes(id)).map(({ name }) => name);
  if (screen.json) {
    const more = { devices, cacheList: theirs, ...(days === undefined ? {} : { keepDays: days }), lists: named };
    screen.out(JSON.stringify({ ...found, ...more }));
    return EXIT.done;
  }
  const rows: [string, readonly string[]][] = [
    ["name", [found.name === undefined ? "none given" : contactName(found)]],
    ["id", [id]],
    ["devices", devices.map((device) => `${device.hashname}  ${reachText(device)}`)],
    ["verified", [VERIFIED[found.verified]]],
    ["caches", theirs.length === 0 ? ["none: mail waits here until both of you are online"] : theirs.map(cacheText)],
    ["mail", [found.missing === 0 ? "none missing" : `${count(found.missing, "mail")} missing: ${MISSING}`]],
    ["kept", [days === undefined ? "for ever" : `for ${count(days, "day")}`]],
    ["read marks", [found.readMarks ? "told what you have read" : "not told what you have read"]],
    ...(named.length === 0 ? [] : ([["lists", [named.map(flat).join(", ")]]] satisfies [string, string[]][])),
  ];
  for (const [name, values] of rows)
    for (const [i, value] of values.entries())
      screen.out(`${screen.paint("dim", (i === 0 ? name : "").padEnd(10))}  ${value}`);
  return EXIT.done;
}

/** How a peer is reached, or that it is not. */
function reachText({ state, place, router, roundTrip, since }: Partial<MeshPeer>): string {
  if (state !== "up") return "not there";
  const took = roundTrip === undefined ? "" : `, ${roundTrip} ms away`;
  return `${wayText(place, router)}${took}${since === undefined ? "" : `, since ${time(since)}`}`;
}

/** "directly over UDP, in this network" */
export function wayText(place: MeshPeer["place"], router: string | undefined): string {
  if (router !== undefined) return `by way of ${short(router)}`;
  if (place === undefined) return "over its link";
  if (place.transport === "mem") return "in this program";
  const over = place.transport === undefined ? "" : ` over ${flat(place.transport.toUpperCase())}`;
  return `directly${over}${REACH[place.reach]}`;
}

function cacheText(cache: PeerList["caches"][number]): string {
  const { cache: hashname, up, wanted, cap } = cache;
  const link = up || wanted ? ` (${linkText(cache)})` : "";
  return `${short(hashname)}${link}, keeps ${size(cap)} of each sender`;
}

function flat(text: string): string {
  return printable(text, { oneLine: true });
}

const REACH = { machine: ", on this machine", lan: ", in this network", internet: ", by the internet", router: "" };
const VERIFIED = {
  all: "yes, on all devices",
  some: "in part: there is a new device since",
  none: "no: compare words with `verify`",
} as const;
