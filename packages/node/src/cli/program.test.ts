import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { failureOf, quote, self } from "./failure.ts";
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
  [["status", "now"], 2, /too many arguments/],
  [["requests", "hug", "x"], 2, /accept or ignore/],
  [["requests", "accept"], 2, /which one\?/],
  [["add", "  "], 2, /give an invite in quotes/],
  [["serve", "--port", "70000"], 2, /a port is a number from 0 to 65535/i],
  [["serve", "--port", "80b"], 2, /a port is a number from 0 to 65535/i],
  [["serve", "--cache", "--cache-only"], 2, /cannot be used with/],
  [["serve", "--memory", "512"], 2, /add --cache or --cache-only/],
  [["serve", "--cache", "--memory", "0"], 2, /a number of MiB, 1 or more/],
  [["serve", "--cache", "--init"], 2, /add --cache-only/],
  [["serve", "--metrics", "everywhere"], 2, /write port, IP:port or \[IPv6\]:port/i],
  [["identity"], 2, /a command is missing/],
  [["identity", "export"], 2, /missing required argument 'file'/],
  [["identity", "import", "no-such-archive"], 4, /there is no file "no-such-archive"/],
  [["identity", "create", "a/b"], 2, /"a\/b" names no identity/],
  [["--identity", "..", "status"], 2, /"\.\." names no identity/],
  [["--identity", "work", "status"], 3, /no daemon runs in \/nowhere\/id\/work/],
  [["key", "protect", "open sesame"], 2, /too many arguments/],
  [["help", "nothing"], 2, /a command is missing|unknown/],
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
  for (const args of [["--help"], ["help", "send"], ["--version"]]) {
    let out = "";
    const program = createProgram(
      () => {},
      () => AbortSignal.abort(),
    );
    for (const command of [program, ...program.commands])
      command.configureOutput({ writeOut: (text) => (out += text), getOutHelpWidth: () => 80 });
    const error = await program.parseAsync(args, { from: "user" }).then(
      () => undefined,
      (it: unknown) => it,
    );
    expect(failureOf(error)).toEqual({ code: 0, line: "" });
    expect(out).toMatch(
      args.includes("send")
        ? /--file <file>/
        : args.includes("--help")
          ? /send <contact> \[text\.\.\.\]/
          : /^\d+\.\d+\.\d+\n$/,
    );
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  }
});

test("hints name the program as it was called, ready for a shell", () => {
  expect(self("/usr/bin/restante", {})).toBe("restante");
  expect(self("/x/main.js", { npm_lifecycle_event: "start" })).toBe("npm run -s restante --");
  expect(self(`${process.cwd()}/dist/my main.js`, {})).toBe("node 'dist/my main.js'");
  expect(quote("it's")).toBe("'it'\\''s'");
});
