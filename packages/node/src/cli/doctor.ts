/** `restante doctor`: what surrounds a node, and the cluster that it keeps boxes in. Needs no daemon, and starts none. */
import { loadBackend } from "../crypto/best.ts";
import { examine, type Finding } from "../doctor.ts";
import { EXIT } from "./failure.ts";
import { fold, type Screen } from "./screen.ts";

export async function doctor(screen: Screen, home: string, cluster?: readonly string[]): Promise<number> {
  const { name } = await loadBackend(() => {}); // what is not the best is a finding
  const findings = examine({ home, backend: name });
  if (cluster !== undefined) {
    const { examineCluster } = await import("../cache/redis-doctor.ts");
    findings.push(...(await examineCluster(cluster)));
  }
  for (const finding of findings) {
    if (screen.json) screen.out(JSON.stringify({ type: "finding", ...finding }));
    else for (const line of lines(screen, finding)) screen.out(line);
  }
  return findings.some(({ state }) => state === "bad") ? EXIT.degraded : EXIT.done;
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
