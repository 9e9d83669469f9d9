/** All that is measured. docs/benches.md says what it means. */
import { loadNative, loadWasm } from "@restante/node";
import { type Backend, portable } from "restante/protocol";
import { bazaar } from "./bazaar.ts";
import { boxes } from "./boxes.ts";
import { cache } from "./cache.ts";
import { cipherSets } from "./cipher-sets.ts";
import type { Bench } from "./harness.ts";
import { instructions } from "./instructions.ts";
import { mail } from "./mail.ts";
import { node } from "./node.ts";
import { packets } from "./packets.ts";
import { relay } from "./relay.ts";
import { sockets } from "./sockets.ts";
import { spool } from "./spool.ts";
import { stack } from "./stack.ts";

/** Nothing is prepared before a bench runs. Backends that do not load here have no benches. */
export async function benches(): Promise<Bench[]> {
  const [native, wasm] = [await loadNative(), await loadWasm()];
  const backends: [name: string, backend: Backend][] = [];
  if (native !== undefined) backends.push(["native", native]);
  if (wasm !== undefined) backends.push(["wasm", wasm]);
  backends.push(["portable", portable]);
  return [
    ...(await cipherSets(backends)),
    ...packets(),
    ...(await stack(native ?? wasm ?? portable)),
    ...sockets(),
    ...boxes(),
    cache(),
    instructions(),
    node(),
    relay(),
    ...mail(backends),
    ...spool(native ?? wasm ?? portable),
    ...bazaar(),
  ];
}
