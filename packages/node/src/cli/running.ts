/** What `start` says where a daemon runs already: mostly it is the link to its page that was lost. */
import type { RestanteError } from "restante";
import type { Client } from "../api/client.ts";
import type { StatusInfo, WebInfo } from "../api/contract.ts";
import { EXIT, self } from "./failure.ts";
import { certificateAdvice } from "./people.ts";
import type { Screen } from "./screen.ts";

/** A new link to the page of the one that runs. Rejects with `locked`, why no other was started, where that one does not answer. */
export async function tellRunning(screen: Screen, client: Client, locked: RestanteError): Promise<number> {
  const status = await client.call<StatusInfo>("GET", "/v1/status").catch(() => undefined);
  if (status === undefined) throw locked;
  const page = await client.call<WebInfo>("POST", "/v1/web", {}).catch(() => undefined); // it may serve none
  if (screen.json) {
    const { hashname, home } = status;
    screen.out(JSON.stringify({ type: "running", hashname, home, web: page?.link }));
    return EXIT.done;
  }
  screen.out(screen.paint("bold", "Restante runs already."));
  if (page !== undefined) {
    screen.out(
      `\n${screen.paint("bold", "Open this page")} in a browser; the link lets one in, once:\n\n${page.link}\n`,
    );
    if (page.fingerprint !== undefined) screen.out(`${certificateAdvice(page.fingerprint)}\n`);
  }
  screen.say(`\`${self()} status\` says how it fares; to start it with other settings, stop it first`);
  return EXIT.done;
}
