/** `restante config`: the file with settings, and what is in force. Needs no daemon, but to ask a running one. */
import type { Command } from "commander";
import type { Client } from "../api/client.ts";
import type { ConfigInfo } from "../api/config.ts";
import { contradictions, inForce, refuseContradiction } from "../config/force.ts";
import { configInfo, exampleConfig, shownForce } from "../config/show.ts";
import { EXIT } from "./failure.ts";
import { count, printable, type Screen } from "./screen.ts";
import { forceOf, settingOptions } from "./serving.ts";
import type { Shell } from "./shell.ts";

/** Adds the group. */
export function addConfig(shell: Shell): Command {
  const config = shell.program
    .command("config")
    .description("settings: what is in force, and the file that they stand in");
  settingOptions(config.command("show"), "config")
    .description(
      "print what `serve` would use now, and who says it: a flag of it that is given here, RESTANTE_*, the file",
    )
    .option("--running", "what the daemon that runs uses")
    .action(async ({ running }: { running?: boolean }, command: Command) => {
      if (running) return shell.ask(showRunning);
      const force = await forceOf(shell, command);
      const screen = shell.screen();
      show(screen, configInfo(force));
      refuseContradiction(force);
      shell.finish(EXIT.done);
    });
  config
    .command("check")
    .description("say all that is wrong in the file, and with the files that it names; exit code 2 when something is")
    .argument("[file]", "another one than `serve` would read")
    .action(async (file?: string) => shell.finish(await check(shell, file)));
  config
    .command("example")
    .description("print a file with all settings as comments, to begin with")
    .action(() => {
      process.stdout.write(exampleConfig());
      shell.finish(EXIT.done);
    });
  return config;
}

async function check(shell: Shell, named: string | undefined): Promise<number> {
  const screen = shell.screen();
  const place = shell.config();
  const path = named ?? place.path;
  const [{ checkConfig }, { namedProblems }] = await Promise.all([
    import("../config/file.ts"),
    import("../config/named.ts"),
  ]);
  const { file, problems: wrong } = checkConfig(path);
  const force = inForce(new Map(), {}, file);
  const problems = [...wrong, ...contradictions(force), ...(await namedProblems(force, shell.home()))];
  for (const problem of problems)
    if (screen.json) screen.out(JSON.stringify({ type: "problem", says: problem }));
    else screen.out(printable(problem));
  if (problems.length > 0) return EXIT.usage;
  if (screen.json) screen.out(JSON.stringify({ type: "right", file: path, settings: file.said.size }));
  else screen.say(`restante: ${path} is right: ${count(file.said.size, "setting")}`);
  return EXIT.done;
}

async function showRunning(screen: Screen, client: Client): Promise<number> {
  show(screen, await client.call<ConfigInfo>("GET", "/v1/config"));
  return EXIT.done;
}

function show(screen: Screen, info: ConfigInfo): void {
  if (screen.json) for (const it of info.settings) screen.out(JSON.stringify({ type: "setting", ...it }));
  else for (const line of shownForce(info)) screen.out(printable(line));
}
