import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { failureOf, quote, self } from "./failure.ts";
import { commandsOf, SUMMARIES } from "./help.ts";
import { createProgram } from "./program.ts";

const file = fileURLToPath(import.meta.url);

test.each<[args: string[], code: number, says: RegExp]>([
  [[], 2, /a command is missing; see `.* --help`/],
  [["sned"], 2, /unknown command 'sned' \(Did you mean send\?\)/],
  [["cache"], 2, /a command is missing/],
  [["cache", "joni"], 2, /unknown command 'joni'/],
  [["cache", "leave"], 2, /missing required argument 'cache'/],
  [["cache", "leave", "7z4mus3qa2xq"], 3, /no daemon/],
  [["remove"], 2, /missing required argument 'contact'/],
  [["remove", "bob"], 3, /no daemon/],
  [["list"], 2, /a command is missing/],
  [["list", "add", "friends"], 2, /missing required argument 'contact'/],
  [["list", "remove", "friends"], 3, /no daemon/],
  [["device"], 2, /a command is missing/],
  [["device", "add", " "], 2, /give the link of a device in quotes/],
  [["device", "remove", "7z4mus3qa2xq"], 3, /no daemon/],
  [["block"], 2, /missing required argument 'who'/],
  [["verify", "bob", "ocean"], 3, /no daemon/],
  [["invite", "--close", "link://x", "--reusable"], 2, /'--close \[link\]' cannot be used with option '--reusable'/],
  [["invite", "--work", "25"], 2, /a number of bits, 0 to 24/],
  [["invite", "--work", "1e1"], 2, /a number of bits, 0 to 24/],
  [["invite", "--work", "20"], 3, /no daemon/],
  [["invite", "--close", ""], 2, /give the invite in quotes, or pipe it in/],
  [["invite", "--close", "link://x"], 3, /no daemon/],
  [["--frob"], 2, /unknown option '--frob'/],
  [["send"], 2, /missing required argument 'contact'/],
  [["send", "bob", "-x"], 2, /unknown option '-x'; .* put -- before a text/],
  [["send", "bob", "x", "--wait", "soon"], 2, /a number of seconds/],
  [["send", "bob", "x", "--wait", "0"], 2, /a number of seconds/],
  [["send", "bob", ""], 2, /the text is empty/],
  [["send", "bob", "-f"], 2, /argument missing/],
  [["send", "bob", "-f", ""], 2, /empty value/],
  [["send", "bob", "-f", "no-such-file"], 4, /there is no file "no-such-file"/],
  [["send", "bob", "-f", "."], 2, /"\." is a directory: pack it/],
  [["send", "bob", "-f", file, file], 2, /put -f before each file/],
  [
    ["send", "bob", "hello"],
    3,
    /no daemon runs in \/nowhere; `.* --home \/nowhere serve` starts one, --home names another/,
  ],
  [["verify", ""], 2, /"" is no contact/],
  [["list", "add", "", "bob"], 2, /"" is no list/],
  [["requests", "accept", ""], 2, /"" is no id/],
  [["track"], 2, /missing required argument 'id'/],
  [["chat"], 2, /missing required argument 'contact'/],
  [["chat", "bob", "--limit", "0"], 2, /a number of mails/],
  [["chat", "bob"], 3, /no daemon/],
  [["ping", "bob", "--count", "-1"], 2, /how often, 1 or more/],
  [["ping", "bob", "-i", "x"], 2, /a number of seconds/],
  [["ping", "bob"], 3, /no daemon/],
  [["recv", "--shell"], 2, /--shell is of --exec/],
  [["recv", "more"], 2, /what follows is for --exec/],
  [["recv", "--exec", ""], 2, /--exec takes a program/],
  [["seal", "x"], 2, /who may open it\? Say --for CONTACT/],
  [["seal", "x", "Bob"], 2, /who may open it behind --for: seal x --for Bob/],
  [["seal", "no-such-file", "--for", "me"], 4, /there is no file "no-such-file"/],
  [["seal", file, "--for", "me"], 4, /there is no peer in \/nowhere/],
  [["seal", file, "--for", "link://here"], 2, /this link has no keys/],
  [["seal", file, "--for", "{"], 2, /this link JSON cannot be read/],
  [["open", "."], 2, /"\." is a directory/],
  [["open", file], 1, /this is no whole sealed file: it does not begin like one/],
  [["completion", "tcsh"], 2, /completion is for bash, zsh, fish, not for "tcsh"/],
  [["status", "now"], 2, /too many arguments/],
  [["requests", "hug", "x"], 2, /accept or ignore/],
  [["requests", "accept"], 2, /which one\?/],
  [["add", "  "], 2, /give an invite in quotes/],
  [["serve", "--port", "70000"], 2, /It must be a port, 0 to 65535/],
  [["serve", "--port", "80b"], 2, /It must be a port, 0 to 65535/],
  [["serve", "--cache", "--cache-only"], 2, /--cache-only: a cache alone has no mail; take out --cache/],
  [["serve", "--memory", "512", "--no-cache"], 2, /take out --no-cache/],
  [
    ["serve", "--bazaar-push", "--bazaar-relay"],
    2,
    /--bazaar-push says nothing: .* Also: --bazaar-relay says nothing: .*add --bazaar$/,
  ],
  [["serve", "--bazaar-push"], 2, /--bazaar-push says nothing: the bazaar is not in use; add --bazaar/],
  [["serve", "--bazaar", "--bazaar-push"], 2, /a push node has to be found: add --bazaar-listen/],
  [["serve", "--bazaar", "--bazaar-peer", ""], 2, /It must be a multiaddr/],
  [["serve", "--bazaar", "--cache-only"], 2, /a cache alone has no mail/],
  [["serve", "--cache", "--memory", "0"], 2, /a number of MiB, 1 or more/],
  [["serve", "--disk", "all"], 2, /a number of MiB, 1 or more/],
  [["serve", "--wait-for-link", "0"], 2, /a number of MiB, 1 or more/],
  [["serve", "--cache", "--init"], 2, /add --cache-only/],
  [["serve", "--metrics", "everywhere"], 2, /It must be "port", "IP:port" or "\[IPv6\]:port"/],
  [["identity"], 2, /a command is missing/],
  [["identity", "export"], 2, /missing required argument 'file'/],
  [["identity", "import", "no-such-archive"], 4, /there is no file "no-such-archive"/],
  [["identity", "create", "a/b"], 2, /"a\/b" names no identity/],
  [["--identity", "..", "status"], 2, /"\.\." names no identity/],
  [["--identity", "work", "status"], 3, /no daemon runs in \/nowhere\/id\/work/],
  [["key", "protect", "open sesame"], 2, /too many arguments/],
  [["help", "nothing"], 2, /unknown command 'nothing'/],
  [["help", "cache", "joni"], 2, /unknown command 'cache joni'/],
  [["find", "x", "--limit", "201"], 2, /a number of mails, 1 to 200/],
  [["serve", "--name", ""], 2, /'--name <name>' argument '' is invalid\. It must be a name of 1 to 64 characters/],
  [["status"], 3, /no daemon/],
  [["recv", "--follow"], 3, /no daemon/],
  [["contacts"], 3, /no daemon/],
  [["invite", "--json"], 3, /no daemon/],
])("%j is refused with exit code %i in one line that says what to do", async (args, code, says) => {
  const run = createProgram(
    () => {
      throw new Error("it ended as if all were well");
    },
    () => AbortSignal.abort(),
  ).parseAsync(["--home", "/nowhere", ...args].slice(args.length === 0 ? 2 : 0), { from: "user" });
  const failure = failureOf(
    await run.then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
  expect(failure).toEqual({ code, line: expect.stringMatching(says) });
  expect(failure.line).toMatch(/^restante: [^\n]+$/);
});

test("help and version are asked for, not wrong", async () => {
  for (const args of [
    ["--help"],
    ["help", "send"],
    ["help", "cache", "join"],
    ["cache", "join", "--help"],
    ["--version"],
  ]) {
    let out = "";
    const program = createProgram(
      () => {},
      () => AbortSignal.abort(),
    );
    for (const command of [program, ...program.commands, ...program.commands.flatMap((each) => each.commands)])
      command.configureOutput({ writeOut: (text) => (out += text), getOutHelpWidth: () => 80 });
    const error = await program.parseAsync(args, { from: "user" }).then(
      () => undefined,
      (it: unknown) => it,
    );
    expect(failureOf(error)).toEqual({ code: 0, line: "" });
    expect(out).toMatch(
      args.includes("join")
        ? /restante cache join .*\[link\][\s\S]*what the cache printed/
        : args.includes("send")
          ? /--file <file>/
          : args.includes("--help")
            ? /\n {2}send +send a text, files, or both\n/
            : /^\d+\.\d+\.\d+\n$/,
    );
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  }
});

test("each command is one line of the list, and what stands there is a command", () => {
  const program = createProgram(
    () => {},
    () => AbortSignal.abort(),
  );
  const listed = commandsOf(program, program.createHelp());
  for (const { name, summary } of listed) expect(`  ${name.padEnd(16)}  ${summary}`.length).toBeLessThanOrEqual(80);
  expect(Object.keys(SUMMARIES).filter((name) => !listed.some((each) => each.name === name))).toEqual([]);
  expect(listed.map(({ name }) => name)).not.toContain("complete");
});

test("hints name the program as it was called, ready for a shell", () => {
  expect(self("/usr/bin/restante", {})).toBe("restante");
  const args = ["--home", "/my home", "send", "bob", "--identity=work", "--", "--home", "text"];
  expect(self("/usr/bin/restante", {}, args)).toBe("restante --home '/my home' --identity work");
  expect(self("/x/main.js", { npm_lifecycle_event: "start" })).toBe("npm run -s restante --");
  expect(self(`${process.cwd()}/dist/my main.js`, {})).toBe("node 'dist/my main.js'");
  expect(quote("it's")).toBe("'it'\\''s'");
});

test("help says what each argument and each option of each command is", () => {
  const program = createProgram(
    () => {},
    () => AbortSignal.abort(),
  );
  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
  for (const command of all(program)) {
    const named = [...command.registeredArguments, ...command.options];
    expect(
      named.filter(({ description }) => description === "").map((each) => `${command.name()} ${each.name()}`),
    ).toEqual([]);
    if (command !== program) expect(command.description()).not.toBe("");
  }
});
