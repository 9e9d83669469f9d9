/** The commands about mail: their names, options and help. */
import { collect, days, foundMails, mails, readerName, seconds } from "../arguments.ts";
import { chat } from "../chat.ts";
import { self, usage } from "../failure.ts";
import * as past from "../history.ts";
import * as mail from "../mail.ts";
import { recv } from "../recv.ts";
import { noContact, type Shell } from "../shell.ts";

interface RecvFlags {
  follow?: boolean;
  all?: boolean;
  out?: string;
  reader?: string;
  exec?: string;
  shell?: boolean;
}

/** Adds them. */
export function addMailCommands(shell: Shell): void {
  const { program } = shell;
  const advice = noContact();
  const noMail = { "not-found": `\`${self()} outbox\` lists your mail`, ambiguous: "give more of its id" };
  program
    .command("send")
    .description("send a text, files, or both; prints the id of each mail")
    .argument("<contact>", "a list; or name, id, hashname, or the start of one, four characters or more")
    .argument("[text...]", "the text; - or nothing: read it from stdin. Put -- before one that starts with a dash")
    .option("-f, --file <file>", "a file to send; repeatable", collect)
    .option("--now", "send large files by caches, too, and do not wait for a link to the contact")
    .option("--wait <seconds>", "wait so long for delivery; exit code 75 when it takes longer", seconds)
    .action((contact: string, text: string[], options: { file?: string[]; wait?: number; now?: boolean }) =>
      shell.ask((screen, client) => mail.send(screen, client, contact, text, options), advice),
    );
  program
    .command("recv")
    .description("print mail that was not printed before, and save its files")
    .argument("[args...]", "of the program of --exec, after --")
    .option("--follow", "go on with what comes, until stopped")
    .option("--all", "begin with the first mail that is kept; files that were saved before only with --out")
    .option("--out <dir>", "where files go; none is ever overwritten (default: here)")
    .option("--reader <name>", "go by a position of this name: what others have read is new to it", readerName)
    .option("--exec <program>", "run this for each mail instead of printing it; the mail is JSON on its stdin")
    .option("--shell", "the program of --exec is a line for sh")
    .action((args: string[], options: RecvFlags) => {
      const { exec: program, shell: isShell = false, follow, ...rest } = options;
      if (program === undefined && isShell) throw usage("--shell is of --exec: say what to run");
      if (program === undefined && args.length > 0) throw usage("what follows is for --exec: say what to run");
      if (program === "") throw usage("--exec takes a program");
      const { identity } = shell.globals();
      const env = {
        RESTANTE_HOME: shell.wholeHome(),
        ...(identity === undefined ? {} : { RESTANTE_IDENTITY: identity }),
      };
      const hook = program === undefined ? {} : { hook: { program, args, isShell, env } };
      return shell.ask((screen, client) =>
        recv(screen, client, { ...rest, ...hook, ...(follow && { follow }) }, follow ? shell.stop() : undefined),
      );
    });
  program
    .command("chat")
    .description(
      "write with a contact as it goes: the last mails, what comes, and what became of yours; without a terminal each line of stdin is a mail",
    )
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .option("-n, --limit <n>", "show so many of the last mails at the start", mails, 20)
    .action((contact: string, options: { limit: number }) =>
      shell.ask((screen, client) => {
        const { stdin: input, stdout: output } = process;
        const isTerminal = input.isTTY === true && output.isTTY === true;
        return chat(screen, client, contact, options, { input, output, isTerminal }, shell.stop());
      }, advice),
    );
  program
    .command("history")
    .description("print the last mail with a contact, yours too, in the order in which it was written")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .option("-n, --limit <n>", "so many mails at most", mails, 50)
    .action((contact: string, { limit }: { limit: number }) =>
      shell.ask((screen, client) => past.history(screen, client, contact, limit), {
        ...advice,
        "not-found": `${advice["not-found"]}; mail with who is none any more \`${self()} find\` looks through`,
      }),
    );
  program
    .command("find")
    .description("print mail in which all these words stand, the newest first; nothing but this machine is asked")
    .argument("<words...>", "whole or in part, in any case; file names count")
    .option("--contact <contact>", "of this contact only")
    .option("-n, --limit <n>", "so many mails at most, up to 200", foundMails, 50)
    .action((words: string[], options: { contact?: string; limit: number }) =>
      shell.ask((screen, client) => past.find(screen, client, words, options), advice),
    );
  program
    .command("keep")
    .description("erase mail with a contact after some days; without a contact list whose is erased")
    .argument("[contact]", "name, id, hashname, or the start of one, four characters or more")
    .argument("[days]", "what is older is erased at once, and what becomes so each day", days)
    .option("--for-ever", "erase no more")
    .action((contact: string | undefined, days: number | undefined, options: { forEver?: boolean }) =>
      shell.ask((screen, client) => past.keep(screen, client, contact, days, options.forEver ?? false), advice),
    );
  program
    .command("outbox")
    .description("list the mail you sent: what is on its way, and what was settled lately")
    .action(() => shell.ask(mail.outbox));
  program
    .command("track")
    .description("what happened to a mail of yours")
    .argument("<id>", "that send printed, or its start, four characters or more")
    .action((id: string) => shell.ask((screen, client) => mail.track(screen, client, id), noMail));
  program
    .command("cancel")
    .description("give a mail up, and take its copies back where that is possible")
    .argument("<id>", "that send printed, or its start, four characters or more")
    .action((id: string) => shell.ask((screen, client) => mail.cancel(screen, client, id), noMail));
}
