/** The commands for programs: their names, options and help. */
import { type Command, Option } from "commander";
import { collect, inboxNumber } from "../arguments.ts";
import { EXIT, self } from "../failure.ts";
import type { Shell } from "../shell.ts";
import * as hooks from "../webhooks.ts";

/** Adds them. Gives those that are groups of commands. */
export function addProgramCommands(shell: Shell): readonly Command[] {
  const { program } = shell;
  program
    .command("rpc")
    .description(
      "speak JSON-RPC 2.0 on stdin and stdout, for programs: each line a call or a batch, each answer a line, as it is there; docs/api.md has the methods",
    )
    .action(() =>
      shell.ask(async (_, client) => {
        const { rpcOverStdio } = await import("../../rpc.ts");
        await rpcOverStdio(client, process.stdin, process.stdout);
        return EXIT.done;
      }),
    );
  const webhook = program.command("webhook").description("have a program told by HTTP what happens");
  webhook
    .command("add")
    .description("have an address told of new mail, or of more; prints the secret that what it gets is signed with")
    .argument("<url>", "http:// or https://, without a password in it")
    .addOption(
      new Option("--event <type>", "what it is told of: mail, state, request or contact; repeatable (default: mail)")
        .choices(["mail", "state", "request", "contact"])
        .argParser(collect),
    )
    .option("--content", "with what people wrote, and what they and their files are called")
    .option("--after <n>", "also of mail that is there, after this number of it", inboxNumber)
    .action((url: string, options: hooks.HookFlags) =>
      shell.ask((screen, client) => hooks.addWebhook(screen, client, url, options)),
    );
  webhook
    .command("remove")
    .description("tell an address nothing more")
    .argument("<webhook>", "its id")
    .action((id: string) =>
      shell.ask((screen, client) => hooks.removeWebhook(screen, client, id), {
        "not-found": `\`${self()} webhooks\` lists them`,
      }),
    );
  program
    .command("webhooks")
    .description("list who is told by HTTP what happens, and how that goes; exit code 1 when one is given up")
    .action(() => shell.ask(hooks.webhooks));
  return [webhook];
}
