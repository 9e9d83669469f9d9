/** What is in force, and who said it: a flag goes before the environment, that before the file, that before what holds anyway. */
import { RestanteError } from "restante";
import type { ConfigFile } from "./file.ts";
import type { Value } from "./kinds.ts";
import { flagOf, NAMES, type Name, type Setting, settingOf, titleOf, type Values, variableOf } from "./table.ts";

type From = "flag" | "environment" | "file" | "default";

/** One setting as it is in force. */
interface InForce {
  readonly name: Name;
  /** `undefined`: nobody said it, and no value stands for what holds then. */
  readonly value: Value | undefined;
  readonly from: From;
  /** "--memory", "RESTANTE_MEMORY", "/etc/restante.toml:12"; `undefined` for a default. */
  readonly where: string | undefined;
}

/** All of them, in the order of the table. */
export type Force = readonly InForce[];

/**
 * `flags`: what the command line says, by name. An empty variable is none. Throws "bad-config" for a variable that is not what it
 * must be.
 */
export function inForce(flags: ReadonlyMap<Name, Value>, env: NodeJS.ProcessEnv, file: ConfigFile | undefined): Force {
  return NAMES.map((name) => {
    const setting = settingOf(name);
    const flag = flags.get(name);
    if (flag !== undefined) return { name, value: flag, from: "flag", where: wordOf(setting, flag) };
    const variable = variableOf(setting);
    const text = env[variable];
    if (text !== undefined && text !== "") {
      const value = setting.kind.ofText(text);
      if (value === undefined) throw new RestanteError("bad-config", `${variable} must be ${setting.kind.words}`);
      return { name, value, from: "environment", where: variable };
    }
    const said = file?.said.get(name);
    if (said !== undefined) return { name, value: said.value, from: "file", where: `${file?.path}:${said.line}` };
    return { name, value: setting.fallback, from: "default", where: undefined };
  });
}

/** What was said, without what holds anyway. Of what is of no use now (`idleWhy`) only what a flag said. */
export function valuesOf(force: Force): Values {
  const values = said(force);
  const kept = force.filter(
    ({ name, from }) => from === "flag" || (from !== "default" && idleWhy(name, values) === undefined),
  );
  return said(kept);
}

/** Throws "bad-config" with all that cannot hold together, or is a flag of no use without another. */
export function refuseContradiction(force: Force): void {
  const found = contradictions(force);
  if (found.length > 0) throw new RestanteError("bad-config", found.join(". Also: "));
}

/** All of them, in words. */
export function contradictions(force: Force): string[] {
  const values = said(force);
  const found: string[] = [];
  const by = (name: Name): string => {
    const { from, where } = force.find((it) => it.name === name) ?? {};
    return from === "file" ? `${titleOf(settingOf(name))} (${where})` : (where ?? flagOf(settingOf(name)));
  };
  if (values.cacheOnly)
    for (const name of ALONE)
      if (values[name] !== undefined && values[name] !== false)
        found.push(`${by("cacheOnly")}: a cache alone has no mail; take out ${by(name)}`);
  for (const { name, from } of force) {
    const idle = from === "flag" && values[name] !== false ? idleWhy(name, values) : undefined;
    if (idle !== undefined) found.push(`${flagOf(settingOf(name))} says nothing: ${idle.why}; ${idle.remedy}`);
  }
  if (values.bazaar && values.bazaarPush && values.bazaarListen === undefined)
    found.push(`${by("bazaarPush")}: a push node has to be found: add --bazaar-listen`);
  if (values.bazaar && values.bazaarRelay && values.bazaarListen === undefined)
    found.push(`${by("bazaarRelay")}: a relay has to be found: add --bazaar-listen`);
  return found;
}

/** Why a setting changes nothing, whatever it is, and what would change that; `undefined`: it does. */
export function idleWhy(
  name: Name,
  { cache, cacheOnly, bazaar, web }: Values,
): { why: string; remedy: string } | undefined {
  if (OF_CLUSTER.includes(name) && !cache && !cacheOnly)
    return { why: "no cache is served from the start", remedy: "add --cache or --cache-only" };
  if (OF_CACHE.includes(name) && cache === false && !cacheOnly)
    return { why: "no cache is served", remedy: "take out --no-cache" };
  if (OF_WEB.includes(name) && web === false) return { why: "no page is served", remedy: "take out --no-web" };
  if (name.startsWith("bazaar") && name !== "bazaar" && !bazaar)
    return { why: "the bazaar is not in use", remedy: "add --bazaar" };
  return undefined;
}

/** "--no-web", where a flag takes something back. */
function wordOf(setting: Setting, value: Value): string {
  const flag = flagOf(setting);
  return value === false && !flag.startsWith("--no-") ? flag.replace("--", "--no-") : flag;
}

function said(force: Force): Values {
  return Object.fromEntries(
    force.filter(({ from }) => from !== "default").map(({ name, value }) => [name, value]),
  ) as Values;
}

/** Without a word about the cache its user may begin to serve one, in memory. */
const OF_CACHE: readonly Name[] = ["route", "memory"];
const OF_CLUSTER: readonly Name[] = ["cluster", "clusterPasswordFile"];
const OF_WEB: readonly Name[] = ["webHost", "webName", "webCert", "webKey", "webInsecureHttp", "webProxy"];
const ALONE: readonly Name[] = ["cache", "name", "web", "webHost", "bazaar"];
