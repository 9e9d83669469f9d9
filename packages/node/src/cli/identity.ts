/** Commands about what a home is made of: its identity as a file, and the passphrase of its key. No daemon may run there. */
import { loadBackend } from "../crypto/best.ts";
import { createIdentityHome, identitiesOf, openHome } from "../home.ts";
import { type ArchiveSummary, exportHome, importHome } from "../identity.ts";
import { isKeyProtected, rewriteKey } from "../store/key.ts";
import { EXIT, self } from "./failure.ts";
import { keyPassphrase, knownPassphrase, newPassphrase } from "./passphrase.ts";
import { count, printable, type Screen, short, size, time } from "./screen.ts";

export interface IdentityOptions {
  readonly home: string;
  /** Whose first line is the passphrase, that of the archive as well as that of the key. */
  readonly passphraseFile?: string;
}

/** Everything of a home into a new file, under a passphrase. */
export async function exportIdentity(screen: Screen, file: string, options: IdentityOptions): Promise<number> {
  const { home, passphraseFile } = options;
  const summary = await exportHome({
    home,
    file,
    keyPassphrase: keyPassphrase(options),
    passphrase: () => newPassphrase("a passphrase for the archive", passphraseFile),
    backend: await loadBackend(screen.say),
  });
  tell(screen, summary, file, `is in "${file}"`);
  for (const other of screen.json ? [] : await identitiesOf(home))
    screen.say(`${other} is not in it: \`${self()} --identity ${other} identity export FILE\``);
  return EXIT.done;
}

/** A home of such a file. */
export async function importIdentity(screen: Screen, file: string, options: IdentityOptions): Promise<number> {
  const { home, passphraseFile } = options;
  const summary = await importHome({
    home,
    file,
    passphrase: () => knownPassphrase("the passphrase of the archive", passphraseFile),
    backend: await loadBackend(screen.say),
  });
  tell(screen, summary, file, `is in ${home}, as of ${time(summary.made)}`);
  return EXIT.done;
}

/** The key of a home under a passphrase, or under another one. A home that is not there yet gets a key. */
export async function protectKey(screen: Screen, options: IdentityOptions & { newFile?: string }): Promise<number> {
  return rewrite(screen, options, () => newPassphrase("a new passphrase", options.newFile ?? options.passphraseFile));
}

/** The key of a home in clear again. */
export async function unprotectKey(screen: Screen, options: IdentityOptions): Promise<number> {
  return rewrite(screen, options);
}

/** Room for another identity in a home. */
export async function createIdentity(screen: Screen, name: string, home: string): Promise<number> {
  const dir = await createIdentityHome(home, name);
  if (screen.json) screen.out(JSON.stringify({ type: "identity", identity: name, home: dir }));
  else screen.say(`"${name}" is in ${dir}; it begins with the next \`${self()} serve\``);
  return EXIT.done;
}

/** The other identities of a home. */
export async function listIdentities(screen: Screen, home: string): Promise<number> {
  const names = await identitiesOf(home);
  for (const identity of names) screen.out(screen.json ? JSON.stringify({ identity }) : identity);
  if (names.length === 0 && !screen.json)
    screen.say(`no identity but the first: \`${self()} identity create\` makes another`);
  return EXIT.done;
}

async function rewrite(screen: Screen, options: IdentityOptions, next?: () => Promise<string>): Promise<number> {
  const home = await openHome(options.home);
  try {
    await rewriteKey(home.key, next, keyPassphrase(options));
    const isProtected = await isKeyProtected(home.key);
    if (screen.json) screen.out(JSON.stringify({ type: "key", home: home.dir, isProtected }));
    else screen.say(`the key of ${home.dir} is ${isProtected ? "under a passphrase" : "in clear"} now`);
    return EXIT.done;
  } finally {
    await home.release();
  }
}

function tell(screen: Screen, summary: ArchiveSummary, file: string, where: string): void {
  if (screen.json) return screen.out(JSON.stringify({ type: "archive", file, ...summary }));
  const name = printable(short(summary.hashname), { oneLine: true });
  screen.say(`${name} ${where}: ${count(summary.entries, "record")}, ${size(summary.bytes)} of files`);
}
