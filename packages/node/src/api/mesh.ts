/** GET /v1/mesh: whom this node looks for, and how it reaches them. Of people who are nothing to us it has a number only. */
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { LinkInfo, Path, Peer } from "restante";
import { z } from "zod";

/** How far away an address is: in this machine, in the same network, elsewhere, or behind another peer who passes packets on. */
const reach = z.enum(["machine", "lan", "internet", "router"]);

const place = z.object({
  /** "udp", "tcp"; of links inside of a process what that one calls it. Absent: by a router. */
  transport: z.string().optional(),
  reach,
});

const meshPeer = z.object({
  hashname: z.string(),
  /** What it is to us in the first place: another device of ours, a contact's device, a cache, or who passes packets on for us. */
  kind: z.enum(["device", "contact", "cache", "router"]),
  /** Of a contact's device: the contact's id, and its name where it has one. */
  contact: z.string().optional(),
  name: z.string().optional(),
  /** Whether it is one of our caches. */
  isOurs: z.boolean(),
  /** Ids of the contacts whose mail can wait there. */
  cacheOf: z.array(z.string()),
  /** "unresolved": nothing is known of where it is. */
  state: z.enum(["up", "down", "unresolved"]),
  /** While it is up: how it is reached. */
  place: place.optional(),
  /** The router's hashname, where one is between. */
  router: z.string().optional(),
  /** While it is up: when it came up, in milliseconds since 1970. */
  since: z.number().optional(),
  /** Milliseconds that its last answer to a handshake took. */
  roundTrip: z.number().optional(),
});

/** The answer of GET /v1/mesh. Devices, our caches, contacts, their caches, routers; in each kind what is up first. */
export const meshSchema = z.object({
  self: z.object({ hashname: z.string(), name: z.string().optional(), places: z.array(place) }),
  peers: z.array(meshPeer),
  /** Links that are up to nobody of these: people who use the cache that this node serves, and strangers. */
  others: z.number(),
});

/** GET /v1/mesh: this node, and whom it looks for. */
export type MeshInfo = z.infer<typeof meshSchema>;
/** One of them: what it is to us, whether its link is up, and the way that is in use. */
export type MeshPeer = z.infer<typeof meshPeer>;

/** The mesh as one peer sees it now. `own`: the addresses of this machine. */
export function meshOf(
  peer: Pick<Peer, "status" | "contacts" | "caches" | "devices">,
  own: ReadonlySet<string> = ownAddresses(),
): MeshInfo {
  const { hashname: self, name, paths, links } = peer.status();
  const found = new Map<string, MeshPeer>();
  const byHashname = new Map<string, LinkInfo>(links.map((link) => [link.hashname, link]));
  const note = (hashname: string, kind: MeshPeer["kind"], more: Partial<MeshPeer> = {}): MeshPeer => {
    const known = found.get(hashname) ?? {
      hashname,
      kind,
      isOurs: false,
      cacheOf: [],
      ...linkOf(byHashname.get(hashname), own),
    };
    Object.assign(known, more);
    if (hashname !== self) found.set(hashname, known);
    return known;
  };
  for (const { hashname } of peer.devices()) note(hashname, "device");
  for (const { id: contact, name, hashnames } of peer.contacts())
    for (const hashname of hashnames) note(hashname, "contact", { contact, ...(name === undefined ? {} : { name }) });
  for (const { cache, contact } of peer.caches())
    if (contact === undefined) note(cache, "cache", { isOurs: true });
    else note(cache, "cache").cacheOf.push(contact);
  for (const { router } of [...found.values()]) if (router !== undefined) note(router, "router");
  const isTheirs = ({ hashname, state }: LinkInfo): boolean => state === "up" && !found.has(hashname);
  return {
    self: {
      hashname: self,
      ...(name === undefined ? {} : { name }),
      places: unique(paths.map((path) => placeOf(path))),
    },
    peers: [...found.values()].sort((a, b) => rank(a) - rank(b)),
    others: links.filter(isTheirs).length,
  };
}

function linkOf(link: LinkInfo | undefined, own: ReadonlySet<string>): Pick<MeshPeer, "state"> & Partial<MeshPeer> {
  if (link === undefined || link.state !== "up") return { state: link?.state ?? "unresolved" };
  const { state, path, since, roundTrip } = link;
  return {
    state,
    ...(path === undefined ? {} : { place: placeOf(path, own) }),
    ...(path?.type === "peer" && path.hn !== undefined ? { router: path.hn } : {}),
    ...(since === undefined ? {} : { since }),
    ...(roundTrip === undefined ? {} : { roundTrip: Math.max(0, Math.round(roundTrip)) }),
  };
}

/** `own`: where it leads to this machine. */
function placeOf({ type, ip, url }: Path, own?: ReadonlySet<string>): z.infer<typeof place> {
  if (type === "peer") return { reach: "router" };
  const transport = type.replace(/[46]$/, "");
  if (ip !== undefined && own?.has(ip)) return { transport, reach: "machine" };
  return { transport, reach: ip === undefined ? (url === undefined ? "machine" : "internet") : reachOf(ip) };
}

/** Of an IP address. RFC 1918, 3927, 4193, 4291. */
function reachOf(address: string): z.infer<typeof reach> {
  const ip = address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "");
  if (isIP(ip) === 6) {
    if (ip === "::1") return "machine";
    return /^f[cd]|^fe[89ab]/.test(ip) ? "lan" : "internet";
  }
  const [a = 0, b = 0] = ip.split(".").map(Number);
  if (a === 127) return "machine";
  const isPrivate =
    a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 169 && b === 254);
  return isPrivate ? "lan" : "internet";
}

function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []));
}

function unique(places: readonly z.infer<typeof place>[]): z.infer<typeof place>[] {
  return [...new Map(places.map((each) => [`${each.transport} ${each.reach}`, each])).values()];
}

function rank({ kind, isOurs, state }: MeshPeer): number {
  const order = ["device", "ours", "contact", "cache", "router"].indexOf(isOurs ? "ours" : kind);
  return order * 2 + (state === "up" ? 0 : 1);
}
