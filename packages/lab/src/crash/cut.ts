/** Where a process can be cut off: before and after whatever it writes to its disk, and after the first packet behind that. */
import { open } from "node:fs/promises";
import type { Store, Transport } from "restante";

/** Counts the points that this process passes, and kills it, as a power cut would, at the one with number `at`. 0: at none. */
export class Cuts {
  readonly #at: number;
  /** The names of those that were passed. */
  readonly passed: string[] = [];
  /** Nothing has left since the disk changed. */
  #isNews = false;

  constructor(at: number) {
    this.#at = at;
  }

  /** From now on each write, sync and shortening of a file is one, in the whole process: also those inside of a commit. */
  async watchFiles(): Promise<void> {
    const handle = await open(process.execPath);
    const files = Object.getPrototypeOf(handle) as Record<string, (...given: unknown[]) => unknown>;
    await handle.close();
    const pass = (name: string): void => this.#pass(name);
    for (const name of ["write", "writeFile", "sync", "datasync", "truncate"]) {
      const whole = files[name];
      if (whole === undefined) throw new Error(`files have no ${name} any more`);
      files[name] = function (...given) {
        pass(name);
        return whole.apply(this, given);
      };
    }
  }

  /** The same store; each commit and each removal is two, before and after. What happens inside of a commit is that of `watchFiles`. */
  store(store: Store): Store {
    const around = async (name: string, run: () => Promise<void>): Promise<void> => {
      this.#pass(name);
      await run();
      this.#pass(`after ${name}`);
      this.#isNews = true;
    };
    return overlaid(store, {
      commit: (batch) => around("commit", () => store.commit(batch)),
      blobRemove: (blob) => around("remove", () => store.blobRemove(blob)),
    });
  }

  /** The same transport; the first packet after something was written is one. That more of them are lost is the wire's business. */
  transport(transport: Transport): Transport {
    return overlaid(transport, {
      send: (path, bytes) => {
        transport.send(path, bytes);
        if (!this.#isNews) return;
        this.#isNews = false;
        this.#pass("sent");
      },
    });
  }

  #pass(name: string): void {
    this.passed.push(name);
    if (this.passed.length === this.#at) process.kill(process.pid, "SIGKILL");
  }
}

/** An object with some functions in place of its own; the others are called on it, as they may know its private parts. */
function overlaid<T extends object>(target: T, over: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(name in over ? over : target, name);
      return typeof value === "function" && !(name in over) ? value.bind(target) : value;
    },
  });
}
