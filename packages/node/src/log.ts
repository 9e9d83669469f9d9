/**
 * What a daemon says while it runs, on stderr. Nothing that names anybody: no hashname, no id, no name, no link; who may read a log
 * shall not learn who writes to whom. At "debug" tags tell apart who and what is meant, within one run. At no level a key or a word of
 * a mail.
 */
import { createHmac } from "node:crypto";

const LEVELS = ["error", "warn", "info", "debug"] as const;
export type Level = (typeof LEVELS)[number];

export interface LogOptions {
  /** What is less grave is not said. Default: "info". */
  readonly level?: Level;
  /** "plain": "restante: what there is to say". "json": a line of JSON with `level`, `time` (ISO 8601) and `msg`. */
  readonly format?: "plain" | "json";
  /** Takes a line without its end. */
  readonly write: (line: string) => void;
}

/** A message is one line, in plain words, without a full stop. */
export type Log = { readonly [L in Level]: (message: string) => void } & { readonly level: Level };

/**
 * Tags for ids: the same one for the same id under this salt, 8 characters. Who does not have the salt, which no log tells, cannot
 * say whether a tag is that of an id, nor which tags of two runs are of one.
 */
export function taggedBy(salt: Uint8Array): (id: string) => string {
  return (id) => createHmac("sha256", salt).update(id).digest("hex").slice(0, 8);
}

/** Plain lines need no library, and cost nothing; those for programs are pino's, which is loaded for them alone. */
export async function createLog({ level = "info", format = "plain", write }: LogOptions): Promise<Log> {
  const asked = LEVELS.indexOf(level);
  const at = (of: Level, put: (message: string) => void): ((message: string) => void) =>
    LEVELS.indexOf(of) <= asked ? put : () => {};
  if (format === "plain") {
    const put = (message: string): void => write(`restante: ${message.replace(/\s*\n\s*/g, " ")}`);
    return { level, error: at("error", put), warn: at("warn", put), info: at("info", put), debug: at("debug", put) };
  }
  const { pino } = await import("pino");
  const logger = pino(
    {
      level,
      base: null, // neither process nor host
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(line.trimEnd()) },
  );
  const to = (of: Level): ((message: string) => void) => at(of, (message) => logger[of](message));
  return { level, error: to("error"), warn: to("warn"), info: to("info"), debug: to("debug") };
}
