/** What the settings of the bazaar mean together (they are in ../config/table.ts), and what `status` says of it. */
import type { BazaarInfo } from "../api/contract.ts";
import type { BazaarSettings } from "../bazaar.ts";
import { usage } from "./failure.ts";
import { count } from "./screen.ts";

/** As the table of settings names them. */
export interface BazaarFlags {
  readonly bazaar?: boolean;
  readonly bazaarListen?: readonly string[];
  readonly bazaarPeer?: readonly string[];
  readonly bazaarPush?: boolean;
  readonly bazaarAdmit?: readonly string[];
  readonly bazaarPushNode?: readonly string[];
  readonly bazaarAlways?: boolean;
  readonly bazaarLocal?: boolean;
  readonly bazaarRelay?: boolean;
  readonly bazaarStorage?: string;
  readonly bazaarStorageUser?: string;
  readonly bazaarStoragePasswordFile?: string;
  /** In days. */
  readonly bazaarKeep?: number;
}

/** What they mean; `undefined`: no bazaar. An option without `--bazaar` is a mistake. */
export function bazaarSettings(flags: BazaarFlags): BazaarSettings | undefined {
  const { bazaar, bazaarListen, bazaarPeer, bazaarPush, bazaarAdmit, bazaarPushNode, bazaarAlways, bazaarLocal } =
    flags;
  const {
    bazaarRelay,
    bazaarStorage: url,
    bazaarStorageUser: user,
    bazaarStoragePasswordFile: file,
    bazaarKeep,
  } = flags;
  const settings = {
    ...(bazaarListen && { listen: bazaarListen }),
    ...(bazaarPeer && { peers: bazaarPeer }),
    ...(bazaarPush && { push: true }),
    ...(bazaarAdmit && { admit: bazaarAdmit }),
    ...(bazaarPushNode && { pushNodes: bazaarPushNode }),
    ...(bazaarAlways && { always: true }),
    ...(bazaarLocal && { local: true }),
    ...(bazaarRelay && { relay: true }),
    ...(url && { storage: { url, ...(user && { user }), ...(file && { passwordFile: file }) } }),
    ...(bazaarKeep && { keepDays: bazaarKeep }),
  };
  if (bazaar && bazaarPush && !bazaarListen) throw usage("a push node has to be found: add --bazaar-listen");
  if (bazaar && bazaarRelay && !bazaarListen) throw usage("a relay has to be found: add --bazaar-listen");
  if ((user || file) && !url) throw usage("a user or a password is for a message store: add --bazaar-storage");
  if (bazaar) return settings;
  if (Object.keys(settings).length > 0) throw usage("options of the bazaar say nothing without it: add --bazaar");
  return undefined;
}

/** Lines for `status`. */
export function bazaarLines({ id, addrs, connections, waiting, left, pushBytes, refused }: BazaarInfo): string[] {
  const keeps = pushBytes > 0 ? `, keeps ${Math.ceil(pushBytes / 1024)} KiB for others` : "";
  const mail = waiting === 0 ? "no message waits" : `${count(waiting, "message")} on the way, ${left} left there`;
  const refusals = refused > 0 ? `, ${refused} things of others refused` : "";
  return [id, `${count(connections, "connection")}, ${mail}${keeps}${refusals}`, ...addrs];
}
