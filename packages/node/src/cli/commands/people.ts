/** The commands about people and devices: their names, options and help. */
import { type Command, Option } from "commander";
import { bits, seconds, times } from "../arguments.ts";
import { contact } from "../contact.ts";
import { self } from "../failure.ts";
import * as people from "../people.ts";
import { ping } from "../ping.ts";
import { noContact, type Shell } from "../shell.ts";

/** Adds them. Gives those that are groups of commands. */
export function addPeopleCommands(shell: Shell): readonly Command[] {
  const { program } = shell;
  const advice = noContact();
  program
    .command("invite")
    .description("print a link with which somebody becomes your contact, or close one")
    .option("--reusable", "good for any number of people")
    .option("--qr", "print the QR code even when stdout is no terminal")
    .addOption(
      new Option(
        "--work <bits>",
        "let mail by it cost a stranger work at your caches, each day: 16 a moment, 20 a second, 24 some twenty",
      ).argParser(bits),
    )
    .addOption(
      new Option("--close [link]", "make this invite of yours void; - or nothing: read it from stdin").conflicts([
        "reusable",
        "qr",
        "work",
      ]),
    )
    .action(({ close, ...options }: { reusable?: boolean; qr?: boolean; work?: number; close?: string | true }) =>
      close === undefined
        ? shell.ask((screen, client) => people.invite(screen, client, options))
        : shell.ask((screen, client) => people.closeInvite(screen, client, close === true ? undefined : close), {
            "bad-invite": "give all of it, in quotes",
            "not-found": "it is closed already, or was for one and is used, or is of another home",
          }),
    );
  program
    .command("add")
    .description("become the contact of who made an invite")
    .argument("[link]", "the invite, or link://DOMAIN of who publishes one; - or nothing: read it from stdin")
    .action((link?: string) =>
      shell.ask((screen, client) => people.add(screen, client, link), {
        "bad-invite": inviteAdvice(link),
      }),
    );
  program
    .command("remove")
    .description("know a contact no more; it is not told, and nothing of it reaches you from then on")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .action((contact: string) => shell.ask((screen, client) => people.remove(screen, client, contact), advice));
  program
    .command("block")
    .description("never hear of somebody again; nobody is told")
    .argument("<who>", "a contact, the id of a request or its start, or a whole hashname")
    .action((who: string) => shell.ask((screen, client) => people.block(screen, client, who), advice));
  program
    .command("unblock")
    .description("block somebody no more; to reach you it needs a new invite")
    .argument("<hashname>", "of who is blocked, or its start, four characters or more")
    .action((hashname: string) =>
      shell.ask((screen, client) => people.unblock(screen, client, hashname), {
        "not-found": `\`${self()} blocked\` lists them`,
        ambiguous: "give more of it",
      }),
    );
  program
    .command("blocked")
    .description("list whom you do not want to hear of")
    .action(() => shell.ask(people.blocked));
  program
    .command("verify")
    .description("see that nobody stands between you and a contact: print words to compare, or compare them")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .argument("[words...]", "that were read to you, or the line of a QR code; without them yours are printed")
    .option("--qr", "print QR codes even when stdout is no terminal")
    .option("--undo", "do not count the contact as verified any more")
    .action((contact: string, words: string[], options: { qr?: boolean; undo?: boolean }) =>
      shell.ask((screen, client) => people.verify(screen, client, contact, words, options), {
        ...advice,
        mismatch: "read them again, on both sides",
      }),
    );
  program
    .command("read-marks")
    .description("tell a contact which of its mail you have read, or tell it no more; nobody is told unless you say so")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .argument("<state>", "on or off")
    .action((contact: string, state: string) =>
      shell.ask((screen, client) => people.readMarks(screen, client, contact, state), advice),
    );
  program
    .command("contacts")
    .description("list whom you can write to; or print all that is known of one")
    .argument("[contact]", "name, id, hashname, or the start of one, four characters or more")
    .action((name?: string) =>
      shell.ask(
        (screen, client) => (name === undefined ? people.contacts(screen, client) : contact(screen, client, name)),
        advice,
      ),
    );
  program
    .command("ping")
    .description("see whether a contact is there and how far away; else where mail for it goes (exit code 1)")
    .argument("<contact>", "name, id, hashname, or the start of one, four characters or more")
    .option("-c, --count <n>", "ask so many times", times, 1)
    .option("-i, --interval <seconds>", "from one time to the next", seconds, 2)
    .action((contact: string, options: { count: number; interval: number }) =>
      shell.ask((screen, client) => ping(screen, client, contact, options, shell.stop()), advice),
    );
  const device = program.command("device").description("have several devices; to your contacts they are one");
  device
    .command("link")
    .description("on a new device: print a link to add it by on one that you have")
    .option("--qr", "print the QR code even when stdout is no terminal")
    .action((options: { qr?: boolean }) =>
      shell.ask((screen, client) => people.deviceLink(screen, client, options), {
        "not-new": "start it in a new home, with --home",
      }),
    );
  device
    .command("add")
    .description("take in a new device: it gets your contacts, and mail goes to each")
    .argument("[link]", "that it printed, in quotes; - or nothing: read it from stdin")
    .action((link?: string) =>
      shell.ask((screen, client) => people.addDevice(screen, client, link), {
        "bad-invite": `give all that \`${self()} device link\` printed there, in quotes`,
      }),
    );
  device
    .command("remove")
    .description("a device is lost or given away: nobody writes to it any more")
    .argument("<hashname>", "of the device, or its start, four characters or more")
    .action((hashname: string) =>
      shell.ask((screen, client) => people.removeDevice(screen, client, hashname), {
        "not-found": `\`${self()} devices\` lists them`,
        ambiguous: "give more of it",
      }),
    );
  program
    .command("devices")
    .description("list your devices")
    .action(() => shell.ask(people.devices));
  const list = program
    .command("list")
    .description("give several contacts one name to write to; none of them learns of it");
  list
    .command("add")
    .description("put contacts into a list; the first make it")
    .argument("<list>", "its name")
    .argument("<contact...>", "name, id, hashname, or the start of one, four characters or more")
    .action((name: string, contacts: string[]) =>
      shell.ask((screen, client) => people.addToList(screen, client, name, contacts), advice),
    );
  list
    .command("remove")
    .description("take contacts out of a list, or all")
    .argument("<list>", "its name")
    .argument("[contact...]", "as for add; without any the list is over")
    .action((name: string, contacts: string[]) =>
      shell.ask((screen, client) => people.removeFromList(screen, client, name, contacts), {
        ...advice,
        "not-found": `\`${self()} lists\` shows them`,
      }),
    );
  program
    .command("lists")
    .description("show your lists and who is in them")
    .action(() => shell.ask(people.lists));
  program
    .command("requests")
    .description("list strangers who wrote to you, or answer one")
    .argument("[answer]", "accept or ignore")
    .argument("[id]", "of the request, or its start, four characters or more")
    .action((verb?: string, id?: string) =>
      shell.ask((screen, client) => people.requests(screen, client, verb, id), {
        "not-found": `\`${self()} requests\` lists them`,
        ambiguous: "give more of its id",
      }),
    );
  return [device, list];
}

/** What to do about an invite that cannot be read: by what it looks like. */
function inviteAdvice(link = ""): string {
  const isOfCache = /[?&]t=/.test(link);
  return isOfCache ? `the link of a cache is for \`${self()} cache join\`` : "give all of it, in quotes";
}
