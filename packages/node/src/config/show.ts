/** Settings as text: the commented example, and what is in force with where it comes from. Both are TOML that can be used. */

import type { ConfigInfo } from "../api/config.ts";
import { type Force, idleWhy, valuesOf } from "./force.ts";
import { toToml, type Value } from "./kinds.ts";
import { flagOf, NAMES, SECTIONS, type Section, type Setting, settingOf, variableOf } from "./table.ts";

/** A file with every setting, each as a comment: what it is, its flag and its variable, what holds without it. */
export function exampleConfig(): string {
  const lines = [
    "# Settings of Restante. What stands here behind a # is what holds anyway, or an example.",
    "# A flag goes before a variable of the environment, that before this file.",
  ];
  for (const section of Object.keys(SECTIONS) as Section[]) {
    lines.push("", `# ${SECTIONS[section]}`, `[${section}]`);
    for (const setting of NAMES.map(settingOf).filter((it) => it.section === section)) {
      lines.push("", ...comment(`${helpOf(setting)}. (${flagOf(setting)}, ${variableOf(setting)})`));
      lines.push(`#${setting.key} = ${toToml(setting.fallback ?? setting.example ?? "")}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** What is in force, section by section. */
export function shownForce({ settings }: ConfigInfo): string[] {
  const texts = settings.map((it) => ({ it, text: assignment(it) }));
  const width = Math.min(Math.max(...texts.map(({ text }) => text.length)), WIDEST);
  return (Object.keys(SECTIONS) as Section[]).flatMap((section, i) => [
    ...(i === 0 ? [] : [""]),
    `[${section}]`,
    ...texts
      .filter(({ it }) => it.key.startsWith(`${section}.`))
      .map(
        ({ it, text }) =>
          `${text.padEnd(width)}  # ${it.where ?? "default"}${it.idle === undefined ? "" : `, of no use: ${it.idle}`}`,
      ),
  ]);
}

/** What is in force, for GET /v1/config. */
export function configInfo(force: Force): ConfigInfo {
  const values = valuesOf(force);
  return {
    settings: force.map(({ name, value, from, where }) => {
      const setting = settingOf(name);
      const shown = withoutSecret(value);
      const idle = from === "default" ? undefined : idleWhy(name, values);
      return {
        key: `${setting.section}.${setting.key}`,
        ...(shown === undefined ? {} : { value: typeof shown === "object" ? [...shown] : shown }),
        from,
        ...(where === undefined ? {} : { where }),
        ...(idle === undefined ? {} : { idle: idle.why }),
      };
    }),
  };
}

/** A value for others: what stands in an address before the @ is nobody's. */
function withoutSecret(value: Value | undefined): Value | undefined {
  const clean = (text: string): string => text.replace(/(\/\/)[^/@]*@/, "$1***@");
  if (typeof value === "string") return clean(value);
  return typeof value === "object" ? value.map(clean) : value;
}

function assignment({ key, value }: ConfigInfo["settings"][number]): string {
  const [, word = key] = key.split(".");
  const words = NAMES.map(settingOf).find(({ section, key: own }) => `${section}.${own}` === key)?.otherwise;
  return value === undefined ? `#${word} = (${words ?? "nothing"})` : `${word} = ${toToml(value)}`;
}

/** In the file a switch says what is so, on the command line what shall not be; and a list is no option that is repeated. */
function helpOf({ help, flag, fallback, otherwise }: Setting): string {
  const words = help.replace(/; repeatable$/, "");
  const sentence = flag.startsWith("--no-") && fallback === true ? `false: ${words}` : words;
  return `${sentence[0]?.toUpperCase()}${sentence.slice(1)}${otherwise === undefined ? "" : `; without it: ${otherwise}`}`;
}

function comment(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length > COLUMNS) lines.push(`# ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

const COLUMNS = 98;
const WIDEST = 44;
