/** The commands about caches: their names, options and help. */
import type { Command } from "commander";
import * as caches from "../caches.ts";
import { self } from "../failure.ts";
import * as people from "../people.ts";
import type { Shell } from "../shell.ts";

/** Adds them. Gives those that are groups of commands. */
export function addCacheCommands(shell: Shell): readonly Command[] {
  const { program } = shell;
  const cache = program.command("cache").description("let a cache hold mail for you while you are away");
  cache
    .command("join")
    .description("let a cache hold mail for you while you are away")
    .argument(
      "[link]",
      "what the cache printed, in quotes, or a contact that offers one; - or nothing: read it from stdin",
    )
    .action((link?: string) =>
      shell.ask((screen, client) => people.joinCache(screen, client, link), {
        "bad-link": `give all that the cache printed, in quotes; an invite is for \`${self()} add\``,
      }),
    );
  cache
    .command("leave")
    .description("use a cache no more; your contacts are told")
    .argument("<cache>", "its hashname, or its start, four characters or more")
    .action((hashname: string) =>
      shell.ask((screen, client) => people.leaveCache(screen, client, hashname), {
        "not-found": `\`${self()} status\` lists yours`,
        ambiguous: "give more of its hashname",
      }),
    );

  cache
    .command("serve")
    .description("hold mail for others in the memory of this machine, or end that; without a word say how it is")
    .argument("[on|off]", "kept over restarts; --cache, RESTANTE_CACHE and the file go before it")
    .option("--forget", "with off: also while messages of others lie here; their senders send them again")
    .action((word: string | undefined, options: { forget?: boolean }) =>
      shell.ask((screen, client) => caches.serveCache(screen, client, word, options), {
        "not-empty": `\`${self()} cache serve off --forget\` ends it all the same: their senders send it again`,
      }),
    );
  cache
    .command("offer")
    .description(
      "let your contacts use the cache that this node serves, or no further ones; without a word say how it is",
    )
    .argument("[on|off]", "they are told; each decides for itself")
    .option("--end", "with off: nor may those any more who use it since you offered it")
    .option("--forget", "with --end: also while messages lie here; their senders send them again")
    .action((word: string | undefined, options: { end?: boolean; forget?: boolean }) =>
      shell.ask((screen, client) => caches.offerCache(screen, client, word, options), {
        "no-cache": `\`${self()} cache serve on\` makes this node one`,
        "not-empty": `\`${self()} cache offer off --end --forget\` ends it all the same: their senders send it again`,
      }),
    );
  cache
    .command("test")
    .description("leave a mail for yourself at each of your caches, and see which gives it back")
    .action(() => shell.ask(caches.testCaches, { "no-cache": `\`${self()} cache join\` takes the link of one` }));
  program
    .command("peers")
    .description("list your caches and those of your contacts, the best first, and what they did with mail so far")
    .action(() => shell.ask(caches.peers));
  return [cache];
}
