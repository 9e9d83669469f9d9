/** What `restante` does with its command line. Every failure is one line that says what is wrong and what to do, and an exit code. */
import { EXIT, failureOf } from "./failure.ts";
import { createProgram } from "./program.ts";
import { say } from "./screen.ts";

/** Installed at the first call only: commands that are soon over die of a signal as programs do. */
function stop(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      // Once is a wish, twice is an order.
      if (controller.signal.aborted) process.exit(EXIT.degraded);
      controller.abort();
      // Keeps nothing alive: it only comes when something else does.
      setTimeout(cutOff, STOP_MS).unref();
    });
  return controller.signal;
}

/** All that was taken is on the disk: what still waits then waits for others. */
function cutOff(): void {
  say(`restante: it did not end within ${STOP_MS / 1000} seconds and is cut off; nothing is lost by that`);
  process.exit(EXIT.degraded);
}

const STOP_MS = 5000;

// Who reads us may stop reading (`restante recv | head -1`): no reason to complain.
process.stdout.on("error", (error: NodeJS.ErrnoException) =>
  process.exit(error.code === "EPIPE" ? EXIT.done : EXIT.degraded),
);

try {
  const program = createProgram((code) => {
    process.exitCode = code;
  }, stop);
  await program.parseAsync();
} catch (error) {
  const { code, line } = failureOf(error);
  if (line !== "") say(line);
  process.exitCode = code;
}
