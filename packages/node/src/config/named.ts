/** What a file of settings leads to on this machine: the files that it names, and the page that it opens to others. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { RestanteError } from "restante";
import { webSettings } from "../cli/web.ts";
import { readPrivate } from "../store/private-file.ts";
import { certificateOf } from "../web/certificate.ts";
import { hostsOf } from "../web/hosts.ts";
import { PASSWORD_FILE } from "../web/password.ts";
import { byLine } from "./file.ts";
import { type Force, valuesOf } from "./force.ts";
import { FILE } from "./kinds.ts";
import { type Name, settingOf, titleOf } from "./table.ts";

/**
 * What `serve` with this home would not get over, in lines that begin with the place of the setting. What is of no use as things
 * are is not looked at.
 */
export async function namedProblems(force: Force, home: string): Promise<readonly string[]> {
  return (await problemsOf(force, home)).sort(byLine);
}

async function problemsOf(force: Force, home: string): Promise<string[]> {
  const values = valuesOf(force);
  const problems: string[] = [];
  const tell = (name: Name, words: string): void => {
    const { where } = force.find((it) => it.name === name) ?? {};
    problems.push(`${where}: ${titleOf(settingOf(name))}: ${words}`);
  };
  const texts = new Map<Name, string>();
  for (const { name } of force) {
    const path = values[name];
    if (settingOf(name).kind !== FILE || typeof path !== "string") continue;
    const text = await textOf(path, name !== "webCert");
    if (typeof text === "string") texts.set(name, text);
    else tell(name, text.problem);
  }
  const web = webSettings(values);
  if (web === undefined) return problems;
  const first = WEB.find((name) => values[name] !== undefined) ?? "web";
  try {
    const { isBeyond, host } = hostsOf(web);
    if (isBeyond && (await readPrivate(join(home, PASSWORD_FILE))) === undefined)
      tell("webHost", `the page is not served at ${host} without a password: \`restante web password\` sets it`);
  } catch (error) {
    if (!(error instanceof RestanteError)) throw error;
    tell(error.code === "bad-config" ? first : "webHost", error.message);
  }
  const [cert, key] = [texts.get("webCert"), texts.get("webKey")];
  if (cert === undefined || key === undefined) return problems;
  try {
    certificateOf(cert, key, Date.now());
  } catch (error) {
    if (!(error instanceof RestanteError)) throw error;
    tell("webCert", error.message);
  }
  return problems;
}

/** Of a file that is there and may be read; a secret by us alone. */
async function textOf(path: string, isSecret: boolean): Promise<string | { readonly problem: string }> {
  try {
    if (!isSecret) return await readFile(path, "utf8");
    const bytes = await readPrivate(path);
    return bytes === undefined ? { problem: `there is no file "${path}"` } : new TextDecoder().decode(bytes);
  } catch (error) {
    if (error instanceof RestanteError) return { problem: error.message };
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return { problem: `there is no file "${path}"` };
    if (code === "EISDIR") return { problem: `"${path}" is a folder, not a file` };
    if (code === "EACCES" || code === "EPERM") return { problem: `this user may not read "${path}"` };
    return { problem: `"${path}" cannot be read: ${message}` };
  }
}

/** By which of them it is told that they do not go together. */
const WEB: readonly Name[] = ["webCert", "webKey", "webInsecureHttp", "webHost", "webName"];
