/** What the peer program is told on its command line. */
import { type Asked, Misuse } from "../command-line.ts";
import type { PeerOption } from "../tools.ts";

export interface Options {
  /** The file with the identity. */
  readonly identity: string;
  /** Make the identity where there is no such file. */
  readonly create: boolean;
  /** Ports to listen on, 0 for any; `undefined`: not at all. */
  readonly udp: number | undefined;
  readonly tcp: number | undefined;
  /** The one address to listen on; `undefined`: all of them. */
  readonly host: string | undefined;
  /** The cipher sets to use; `undefined`: all that the identity has a secret for. */
  readonly sets: readonly number[] | undefined;
  readonly compat: boolean;
}

/** Reads what was asked for. Throws `Misuse`. */
export function optionsOf(asked: Asked<PeerOption>): Options {
  const identity = asked.text("identity");
  if (identity === undefined) throw new Misuse("--identity FILE is missing");
  const sets = asked.text("sets")?.split(",");
  const odd = sets?.find((csid) => !/^[0-9a-f]{2}$/.test(csid));
  if (odd !== undefined) throw new Misuse(`--sets takes cipher sets like 1a,2a,3a, not "${odd}"`);
  return {
    identity,
    create: asked.has("create"),
    udp: asked.whole("udp", 0, MAX_PORT),
    tcp: asked.whole("tcp", 0, MAX_PORT),
    host: asked.text("host"),
    sets: sets?.map((csid) => Number.parseInt(csid, 16)),
    compat: asked.has("compat"),
  };
}

const MAX_PORT = 65_535;
