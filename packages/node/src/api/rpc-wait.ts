/** Calls that wait for something to happen: so long as their caller says, and is there. */
import { RestanteError } from "restante";

/** The milliseconds of `{wait}`, which is in seconds; `undefined`: until it comes. Throws "bad-request". */
export function waitOf(asked: unknown): number | undefined {
  const wait = typeof asked === "object" && asked !== null && "wait" in asked ? asked.wait : undefined;
  if (wait === undefined) return undefined;
  if (typeof wait !== "number" || !(wait >= 0 && wait <= MAX_WAIT_S))
    throw new RestanteError("bad-request", `wait: 0 to ${MAX_WAIT_S} seconds`);
  return wait * 1000;
}

/**
 * What comes in time; `undefined`: nothing did. Rejects with "stopped" when nobody waits any more. In both cases `left` is called at once.
 * `next` never rejects.
 */
export function within<T>(
  next: Promise<T>,
  ms: number | undefined,
  gone: AbortSignal,
  left = (): void => {},
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const expire = (): void => {
      left();
      settle(() => resolve(undefined));
    };
    const leave = (): void => {
      left();
      settle(() => reject(new RestanteError("stopped", "the daemon stopped")));
    };
    const timer = ms === undefined ? undefined : setTimeout(expire, ms);
    const settle = (done: () => void): void => {
      clearTimeout(timer);
      gone.removeEventListener("abort", leave);
      done();
    };
    next.then((value) => settle(() => resolve(value)));
    if (gone.aborted) leave();
    else gone.addEventListener("abort", leave);
  });
}

const MAX_WAIT_S = 3600;
