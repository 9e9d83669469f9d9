/** The commands about what a home is made of: their names, options and help. What does it is loaded by them alone. */
import type { Command } from "commander";
import { collect } from "../arguments.ts";
import { quote, usage } from "../failure.ts";
import type { Shell } from "../shell.ts";

interface SealFlags {
  for?: string[];
  anonymous?: boolean;
  out?: string;
}

/** Adds them. Gives those that are groups of commands. */
export function addHomeCommands(shell: Shell): readonly Command[] {
  const { program } = shell;
  const identity = program.command("identity").description("carry all of a peer to another home, or keep it");
  identity
    .command("export")
    .description("write all of this home into a new file, under a passphrase")
    .argument("<file>", "the new file; nothing is overwritten")
    .action(async (file: string) => {
      const { exportIdentity } = await import("../identity.ts");
      shell.finish(await exportIdentity(shell.screen(), file, shell.ofHome()));
    });
  identity
    .command("import")
    .description("make this home of such a file; where there is a peer already nothing is done")
    .argument("<file>", "that export wrote")
    .action(async (file: string) => {
      const { importIdentity } = await import("../identity.ts");
      shell.finish(await importIdentity(shell.screen(), file, shell.ofHome()));
    });
  identity
    .command("create")
    .description("have another identity in this home; serve runs all of them, --identity names one")
    .argument("<name>", "up to 32 letters, digits, dots, dashes and underscores")
    .action(async (name: string) => {
      const { createIdentity } = await import("../identity.ts");
      shell.finish(await createIdentity(shell.screen(), name, shell.wholeHome()));
    });
  identity
    .command("list")
    .description("list the other identities of this home")
    .action(async () => {
      const { listIdentities } = await import("../identity.ts");
      shell.finish(await listIdentities(shell.screen(), shell.wholeHome()));
    });
  const key = program.command("key").description("put the key of this home under a passphrase");
  key
    .command("protect")
    .description(
      "put the key of this home under a passphrase, or another one; the daemon then asks for it at its start",
    )
    .option("--new-passphrase-file <file>", "the new one, where --passphrase-file is the one before")
    .action(async ({ newPassphraseFile: newFile }: { newPassphraseFile?: string }) => {
      const { protectKey } = await import("../identity.ts");
      const options = newFile === undefined ? shell.ofHome() : { ...shell.ofHome(), newFile };
      shell.finish(await protectKey(shell.screen(), options));
    });
  key
    .command("unprotect")
    .description("keep the key of this home in clear again")
    .action(async () => {
      const { unprotectKey } = await import("../identity.ts");
      shell.finish(await unprotectKey(shell.screen(), shell.ofHome()));
    });
  program
    .command("seal")
    .helpGroup(FILES)
    .description("seal a file for somebody, who opens it with `open`; nothing is sent")
    .argument("[file]", "any size; - or nothing: stdin")
    .allowExcessArguments()
    .option("--for <reader>", "who may open it: a contact, an invite or a link with keys, me; repeatable", collect)
    .option("--anonymous", "do not say who sealed it; needs no home where all readers are invites or links")
    .option("-o, --out <file>", "the new file, or - for stdout (default: FILE.sealed, of stdin stdout)")
    .action(async (file: string | undefined, options: SealFlags, command: Command) => {
      const { for: readers = [], anonymous: isAnonymous = false, out } = options;
      const [, more] = command.args;
      if (more !== undefined)
        throw usage(
          `seal takes one file, and who may open it behind --for: seal ${quote(file ?? "")} --for ${quote(more)}`,
        );
      if (readers.length === 0) throw usage("who may open it? Say --for CONTACT, --for INVITE or --for me");
      const { seal } = await import("../sealed.ts");
      const named = out === undefined ? {} : { out };
      shell.finish(await seal(shell.screen(), file, { ...shell.ofHome(), readers, isAnonymous, ...named }));
    });
  program
    .command("open")
    .helpGroup(FILES)
    .description("open a file that was sealed for this home, and say who sealed it")
    .argument("[file]", "what `seal` made; - or nothing: stdin")
    .option("-o, --out <file>", "the new file, or - for stdout (default: its own name, here; of stdin stdout)")
    .action(async (file: string | undefined, { out }: { out?: string }) => {
      const { open } = await import("../sealed.ts");
      shell.finish(await open(shell.screen(), file, { ...shell.ofHome(), ...(out === undefined ? {} : { out }) }));
    });
  return [identity, key];
}

const FILES = "Files for somebody, without mail:";
