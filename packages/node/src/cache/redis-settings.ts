/** Whether a Redis server keeps what it is given in memory alone. docs/cluster.md */
import { RestanteError } from "restante";

/** Asks one server for settings: name and value. Rejects when it may not be asked. */
export type AskSettings = (names: readonly string[]) => Promise<ReadonlyMap<string, string>>;

/**
 * What keeps this server from being a store that forgets, in plain words with the remedy; empty when nothing does. A setting
 * that the server does not know is none that could do harm.
 * Throws "no-config" when it does not tell its settings.
 */
export async function settingsProblems(server: string, ask: AskSettings): Promise<string[]> {
  const faults = await settingsFaults(ask).catch((cause: unknown) => {
    throw new RestanteError(
      "no-config",
      `${server} does not tell its settings: allow this user CONFIG GET (ACL: +config|get), or vouch for them yourself`,
      { cause },
    );
  });
  return faults.map(({ says, remedy }) => `${server} ${says}: set ${remedy}`);
}

/** The same in parts: what it does ("writes ... (name is ...)"), and what to set. Rejects as `ask` does. */
export async function settingsFaults(ask: AskSettings): Promise<{ says: string; remedy: string }[]> {
  const settings = await ask(WANTED.map(({ name }) => name));
  return WANTED.flatMap(({ name, isGood, why, remedy }) => {
    const value = settings.get(name);
    if (value === undefined || isGood(value, settings)) return [];
    return [{ says: `${why} (${name} is "${value}")`, remedy }];
  });
}

interface Wanted {
  readonly name: string;
  readonly isGood: (value: string, all: ReadonlyMap<string, string>) => boolean;
  readonly why: string;
  readonly remedy: string;
}

const WANTED: readonly Wanted[] = [
  {
    name: "save",
    isGood: (value) => value.trim() === "",
    why: "writes snapshots to its disk",
    remedy: 'save ""',
  },
  {
    name: "appendonly",
    isGood: (value) => value === "no",
    why: "writes every change to its disk",
    remedy: "appendonly no",
  },
  {
    name: "repl-diskless-sync",
    isGood: (value) => value === "yes",
    why: "writes a file for each replica that catches up",
    remedy: "repl-diskless-sync yes",
  },
  {
    name: "repl-diskless-load",
    isGood: (value) => value === "swapdb" || value === "on-empty-db",
    why: "as a replica writes what it is sent to its disk",
    remedy: "repl-diskless-load swapdb",
  },
  {
    name: "maxmemory-policy",
    // Without a bound nothing is ever evicted.
    isGood: (value, all) => value === "noeviction" || all.get("maxmemory") === "0",
    why: "throws away whatever it likes when its memory is full",
    remedy: "maxmemory-policy noeviction",
  },
  { name: "maxmemory", isGood: () => true, why: "", remedy: "" },
];
