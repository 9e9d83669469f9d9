/** `restante doctor`: what surrounds a node, what it was told, and how it fares where it runs. Starts none. */
import { Client } from "../api/client.ts";
import type { StatusInfo } from "../api/contract.ts";
import type { ConfigFile } from "../config/file.ts";
import { inForce, valuesOf } from "../config/force.ts";
import { loadBackend } from "../crypto/best.ts";
import { examine, type Finding, reach } from "../doctor.ts";
import { type ConfigPlace, homePaths } from "../home.ts";
import { EXIT, self } from "./failure.ts";
import { count, fold, printable, type Screen } from "./screen.ts";
import { withPassword } from "./serving.ts";

/** `cluster`: servers to look at instead of those of the settings. */
export async function doctor(
  screen: Screen,
  home: string,
  place: ConfigPlace,
  cluster?: readonly string[],
): Promise<number> {
  const { name } = await loadBackend(() => {}); // what is not the best is a finding
  const findings = examine({ home, backend: name });
  const config = await settings(place);
  findings.push(config.finding, ...(await running(home)));
  const servers = cluster ?? config.cluster;
  if (servers !== undefined) {
    const { examineCluster } = await import("../cache/redis-doctor.ts");
    findings.push(...(await examineCluster(await withPassword(servers, config.passwordFile))));
  }
  for (const finding of findings) {
    if (screen.json) screen.out(JSON.stringify({ type: "finding", ...finding }));
    else for (const line of lines(screen, finding)) screen.out(printable(line));
  }
  return findings.some(({ state }) => state === "bad") ? EXIT.degraded : EXIT.done;
}

/** What a start now would be told by the file and the environment. */
async function settings(
  place: ConfigPlace,
): Promise<{ finding: Finding; cluster?: readonly string[] | undefined; passwordFile?: string | undefined }> {
  const check = "config";
  const { readConfig } = await import("../config/file.ts");
  let file: ConfigFile | undefined;
  try {
    file = readConfig(place);
    const { cluster, clusterPasswordFile } = valuesOf(inForce(new Map(), process.env, file));
    const says =
      file === undefined
        ? `there is no file ${place.path}: all is as it comes`
        : `${place.path}: ${count(file.said.size, "setting")}`;
    return { finding: { check, state: "good", says }, cluster, passwordFile: clusterPasswordFile };
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    return {
      finding: { check, state: "bad", says, remedy: `mend it; \`${self()} config check\` says when it is right` },
    };
  }
}

async function running(home: string): Promise<Finding[]> {
  const check = "daemon";
  let status: StatusInfo;
  try {
    status = await new Client(homePaths(home).sock).call<StatusInfo>("GET", "/v1/status");
  } catch {
    return [
      { check, state: "note", says: "none runs in this home that could be asked; a cache alone takes no questions" },
    ];
  }
  const bad = status.problems.map((says): Finding => ({ check, state: "bad", says }));
  const good: Finding = { check, state: "good", says: `${status.state}, and has nothing to complain of` };
  return [...(bad.length > 0 ? bad : [good]), reach(status.paths)];
}

function lines(screen: Screen, { check, state, says, remedy }: Finding): string[] {
  const room = screen.isTerminal ? screen.columns - MARGIN : Number.POSITIVE_INFINITY;
  const words = [...fold(says, room), ...(remedy === undefined ? [] : fold(`remedy: ${remedy}`, room))];
  return words.map((line, i) => {
    if (i > 0) return `${" ".repeat(MARGIN)}${line}`;
    return `${screen.paint(COLORS[state], state.padEnd(4))}  ${check.padEnd(MARGIN - 6)}${line}`;
  });
}

const MARGIN = 20;
const COLORS = { good: "green", note: "yellow", bad: "red" } as const;
