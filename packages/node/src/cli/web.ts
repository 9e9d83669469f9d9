/** What the settings of the page mean together (they are in ../config/table.ts), its password and its token. */
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { RestanteError } from "restante";
import { privateFolder } from "../store/private-file.ts";
import type { WebSettings } from "../web/serve.ts";
import { EXIT } from "./failure.ts";
import { typedTwice } from "./passphrase.ts";
import type { Screen } from "./screen.ts";

/** As the table of settings names them. */
export interface WebFlags {
  readonly port?: number;
  readonly web?: number | boolean;
  readonly webHost?: string;
  readonly webName?: readonly string[];
  readonly webCert?: string;
  readonly webKey?: string;
  readonly webInsecureHttp?: boolean;
  readonly webProxy?: readonly string[];
}

/** What they mean; `undefined`: no page. Whoever wants any port for the mesh wants any for the page, too. */
export function webSettings(flags: WebFlags): WebSettings | undefined {
  const { port, webHost, webName, webCert, webKey, webInsecureHttp, webProxy } = flags;
  // Whoever says where it is to be found wants it.
  const { web = (webHost ?? webName ?? webCert) !== undefined } = flags;
  if (web === false) return undefined;
  return {
    ...(web !== true ? { port: web } : port === 0 ? { port } : {}),
    ...(webHost && { host: webHost }),
    ...(webName && { names: webName }),
    ...(webCert && { cert: webCert }),
    ...(webKey && { key: webKey }),
    ...(webInsecureHttp && { insecureHttp: true }),
    ...(webProxy && { proxies: webProxy }),
  };
}

/** Sets the password of the page, or removes it. Asked for twice; without a terminal it is the first line of stdin. */
export async function webPassword(screen: Screen, home: string, { remove = false } = {}): Promise<number> {
  // Only here: every command of the program loads this file.
  const { PASSWORD_FILE, removePassword, writePassword } = await import("../web/password.ts");
  const file = join(home, PASSWORD_FILE);
  if (remove) {
    if (!(await removePassword(file))) throw new RestanteError("not-found", "there is no password for the page");
    screen.say("removed: the page is opened by links alone, and logins by the password are over");
    return EXIT.done;
  }
  const password = process.stdin.isTTY ? await typedTwice("a password for the page") : await firstLine();
  // A password may well be the first thing that a home gets.
  await privateFolder(home);
  await writePassword(file, password);
  screen.say("set: a daemon that runs takes it from now on, and logins by the one before are over");
  return EXIT.done;
}

/** Prints the token of the home, which needs no daemon; another one than before where that is asked for. */
export async function webToken(screen: Screen, home: string, { renew = false } = {}): Promise<number> {
  const { tokenOf } = await import("../web/token.ts");
  await privateFolder(home);
  const token = await tokenOf(home, { renew });
  screen.out(screen.json ? JSON.stringify({ token }) : token);
  return EXIT.done;
}

async function firstLine(): Promise<string> {
  const [line = ""] = (await text(process.stdin)).split(/\r?\n/, 1);
  return line;
}
