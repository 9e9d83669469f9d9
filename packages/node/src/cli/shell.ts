/** What each command of the program is given: the options of all commands, the home that is meant, its daemon. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { RestanteError } from "restante";
import { Client } from "../api/client.ts";
import { type ConfigPlace, configPlace, homeOfIdentity, homePaths } from "../home.ts";
import { advised, self } from "./failure.ts";
import type { IdentityOptions } from "./identity.ts";
import { createScreen, type Screen } from "./screen.ts";

interface GlobalOptions {
  home?: string;
  json?: boolean;
  color: boolean;
  config?: string;
  passphraseFile?: string;
  identity?: string;
}

export interface Shell {
  readonly program: Command;
  globals(): GlobalOptions;
  screen(): Screen;
  /** The home of the first identity. */
  wholeHome(): string;
  /** The home of the identity that is meant. */
  home(): string;
  /** Whether nobody named a home. */
  isDefaultHome(): boolean;
  /** Where the settings of the identity that is meant are, and whether they must be there. */
  config(): ConfigPlace;
  /** For what is done to a home itself. */
  ofHome(): IdentityOptions;
  /** An action that talks to the daemon. `advice`, by code of a failure: what to do then. */
  ask(
    act: (screen: Screen, client: Client) => Promise<number>,
    advice?: Readonly<Record<string, string>>,
  ): Promise<void>;
  /** Gets the exit code. */
  finish(code: number): void;
  /** For commands that run until the user wants them to end: the signal of that. */
  stop(): AbortSignal;
}

export function createShell(program: Command, finish: (code: number) => void, stop: () => AbortSignal): Shell {
  const globals = (): GlobalOptions => program.opts<GlobalOptions>();
  const screen = (): Screen => createScreen(globals());
  const wholeHome = (): string => homeNamed(globals().home);
  const home = (): string => homeNamed(globals().home, globals().identity);
  const ask: Shell["ask"] = async (act, advice = {}) => {
    try {
      finish(await act(screen(), new Client(homePaths(home()).sock)));
    } catch (error) {
      if (!(error instanceof RestanteError)) throw error;
      const { code, message } = error;
      if (code === "no-daemon" && existsSync(homePaths(home()).identity) && !existsSync(homePaths(home()).key))
        throw new RestanteError(code, `${home()} is the home of a cache, which takes no commands`);
      const { identity, home: named } = globals();
      if (code === "no-daemon" && identity !== undefined && existsSync(wholeHome()) && !existsSync(home()))
        throw new RestanteError(
          "not-found",
          `there is no identity "${identity}" in ${wholeHome()}; \`${self()} identity list\` shows them`,
        );
      if (code === "no-daemon")
        throw new RestanteError(
          code,
          `no daemon runs in ${home()}; \`${self(undefined, undefined, named ? ["--home", named] : [])} serve\` starts one, --home names another`,
        );
      const hint = advice[code];
      throw hint === undefined ? error : new RestanteError(code, advised(message, hint));
    }
  };
  const ofHome = (): IdentityOptions => {
    const { passphraseFile } = globals();
    return { home: home(), ...(passphraseFile === undefined ? {} : { passphraseFile }) };
  };
  const config = (): ConfigPlace => {
    const named = globals().home || globals().identity !== undefined ? home() : undefined;
    return configPlace(globals().config, named, process.env);
  };
  const isDefaultHome = (): boolean => home() === defaultHome(process.env);
  return { program, globals, screen, wholeHome, home, isDefaultHome, config, ofHome, ask, finish, stop };
}

/** The home that is meant when these were said, or neither. */
export function homeNamed(home?: string, identity?: string): string {
  const whole = resolve(home || defaultHome(process.env));
  return identity === undefined ? whole : homeOfIdentity(whole, identity);
}

/** What to do when no contact, or more than one, has the name that was given. */
export function noContact(): { "not-found": string; ambiguous: string } {
  return {
    "not-found": `\`${self()} contacts\` lists whom you can write to`,
    ambiguous: "give more of one of them",
  };
}

/** Where the XDG Base Directory Specification puts state. */
function defaultHome(env: NodeJS.ProcessEnv): string {
  const state = env["XDG_STATE_HOME"];
  return join(state?.startsWith("/") ? state : join(homedir(), ".local", "state"), "restante");
}
