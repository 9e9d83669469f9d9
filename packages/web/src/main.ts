/** The page: logs in by the token in its address, then shows what the daemon says. */
import { mount } from "svelte";
import App from "./App.svelte";
import "./app.css";
import { keepFocus } from "./focus.ts";
import { cannotKeep } from "./kept.ts";
import { mailbox } from "./mailbox.svelte.ts";
import { showTheme } from "./theme.ts";

const WORKER = "/sw.js";

showTheme();
const target = document.getElementById("app");
if (target) mount(App, { target });
keepFocus();
mailbox.start();
keepShell();

/** While the daemon is away the page opens all the same, and says so. Not where the browser cannot, or will not. */
function keepShell(): void {
  if (!("serviceWorker" in navigator)) return;
  const { trustedTypes } = window as { trustedTypes?: TrustedTypes };
  const policy = trustedTypes?.createPolicy("restante-worker", { createScriptURL: () => WORKER });
  navigator.serviceWorker.register(policy?.createScriptURL(WORKER) ?? WORKER).catch(cannotKeep);
}

/** As far as it is used here: TypeScript does not know it yet. */
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: () => string }): { createScriptURL(url: string): string };
}
