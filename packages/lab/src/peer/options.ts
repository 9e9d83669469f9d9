/** What the peer program is told on its command line. */
import { parseArgs } from "node:util";

export interface Options {
  /** The file with the identity. */
  readonly identity: string;
  /** Ports to listen on, 0 for any; `undefined`: not at all. */
  readonly udp: number | undefined;
  readonly tcp: number | undefined;
  /** The one address to listen on; `undefined`: all of them. */
  readonly host: string | undefined;
  /** The cipher sets to use; `undefined`: all that the identity has a secret for. */
  readonly sets: readonly number[] | undefined;
  readonly compat: boolean;
}

/** Reads the command line; `undefined` when it makes no sense. */
export function parseOptions(args: readonly string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        identity: { type: "string" },
        udp: { type: "string" },
        tcp: { type: "string" },
        host: { type: "string" },
        sets: { type: "string" },
        compat: { type: "boolean", default: false },
      },
    });
    const { identity, host, compat } = values;
    const [udp, tcp] = [portOf(values.udp), portOf(values.tcp)];
    const sets = values.sets?.split(",").map((csid) => (CSID.test(csid) ? Number.parseInt(csid, 16) : Number.NaN));
    if (identity === undefined || Number.isNaN(udp) || Number.isNaN(tcp) || sets?.includes(Number.NaN))
      return undefined;
    return { identity, udp, tcp, host, sets, compat };
  } catch {
    return undefined;
  }
}

function portOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  return /^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? Number(value) : Number.NaN;
}

export const USAGE: string =
  "npm run -s peer -- --identity FILE [--udp PORT] [--tcp PORT] [--host IP] [--sets 1a,2a,3a] [--compat]";
const CSID = /^[0-9a-f]{2}$/;
