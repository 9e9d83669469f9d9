/** What a daemon of Node reads of those who run it. */
import { parseConfig } from "@restante/node";
import { parser, type Target, TEXT } from "./target.ts";

const SAMPLES = [
  "[cache]\nserve = true\nmemory = 1\ncluster = ['redis://h:1']\n[web]\nserve = 4300\n[node]\nadvertise = ['a:1', 'b:2']\n",
  'node.name = "a"\nnode."port" = 42424\n[bazaar]\n  storage = """https://x.example/\n"""\n  keep = 0x10\n',
  "log = {level = 'warn', format = 'json'}\n[nodes]\nx = 1979-05-27T07:32:00Z\ny = [1, [2, {z = 3}]]\n[[web]]\n",
];

/** The same text says the same; a problem is one line without control characters, and names a line which is there. */
function config(text: string): unknown {
  const { file, problems } = parseConfig("c", text);
  const lines = text.split("\n").length;
  for (const problem of problems) {
    const [, line] = /^c:(\d+): \P{C}{1,900}$/u.exec(problem) ?? [];
    if (line === undefined || Number(line) < 1 || Number(line) > lines)
      throw new Error(`a problem that is none: ${problem}`);
  }
  for (const { line } of file.said.values()) if (line < 1 || line > lines) throw new Error(`line ${line} of ${lines}`);
  return problems.length === 0 && file.said.size > 0 ? file : undefined;
}

export const TEXTS: readonly Target[] = [parser("config", 4_000, TEXT, SAMPLES, config, { ms: 40, msPerKilobyte: 10 })];
