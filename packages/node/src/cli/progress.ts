/** How far files are: one line at the foot of a terminal, written over and over. Nothing where there is no terminal. */
import type { FileProgress } from "restante";
import { clip, printable, type Screen, size, width } from "./screen.ts";

/** Where the line goes. */
export interface Foot {
  readonly isTerminal: boolean;
  readonly columns: number;
  write(text: string): void;
}

/** The line. Lines of talk and data stand above it: call `clear` before each. */
export class ProgressLine {
  readonly #foot: Foot;
  readonly #isShown: boolean;
  #isThere = false;

  constructor(screen: Pick<Screen, "json">, foot: Foot = stderr()) {
    this.#foot = foot;
    this.#isShown = foot.isTerminal && !screen.json;
  }

  show(progress: FileProgress): void {
    if (!this.#isShown) return;
    this.#foot.write(`\r${ERASE}${clip(progressText(progress, this.#foot.columns - 1), this.#foot.columns - 1)}`);
    this.#isThere = true;
  }

  /** The same bytes; how many of them went through is shown. Of what is soon over nothing is. */
  async *counting(
    bytes: AsyncIterable<Uint8Array>,
    file: Omit<FileProgress, "done" | "of"> & { readonly size: number },
  ): AsyncGenerator<Uint8Array> {
    let done = 0;
    let shown = 0;
    for await (const piece of bytes) {
      yield piece;
      done += piece.length;
      const percent = Math.floor((100 * done) / Math.max(file.size, 1));
      if (percent === shown || file.size < LONG_BYTES) continue;
      shown = percent;
      this.show({ ...file, done, of: file.size });
    }
    this.clear();
  }

  /** Looks now and then how many bytes of a file are done. Gives what ends that. Of what is soon over nothing is shown. */
  watch(file: Omit<FileProgress, "done" | "of"> & { readonly size: number }, done: () => number): () => void {
    const isLong = this.#isShown && file.size >= LONG_BYTES;
    const timer = isLong && setInterval(() => this.show({ ...file, done: done(), of: file.size }), LOOK_MS);
    return () => {
      if (timer) clearInterval(timer);
      this.clear();
    };
  }

  clear(): void {
    if (this.#isThere) this.#foot.write(`\r${ERASE}`);
    this.#isThere = false;
  }
}

/** "film.mp4  [#####.....]  50 %  512 MiB of 1.0 GiB". */
export function progressText({ name, done, of, size: bytes }: FileProgress, columns: number): string {
  const share = Math.min(1, done / of);
  const percent = `${Math.floor(share * 100)} %`;
  const amount =
    bytes === undefined ? `${done} of ${of} parts` : `${size(Math.floor(bytes * share))} of ${size(bytes)}`;
  const title = printable(name ?? "a file", { oneLine: true });
  const room = Math.min(BAR, columns - width(title) - percent.length - amount.length - 8);
  if (room < 8) return `${title}  ${percent}  ${amount}`;
  const full = Math.floor(share * room);
  return `${title}  [${"#".repeat(full)}${".".repeat(room - full)}]  ${percent}  ${amount}`;
}

function stderr(): Foot {
  const { stderr: stream } = process;
  return {
    isTerminal: stream.isTTY === true,
    columns: stream.columns || 80,
    write: (text) => void stream.write(text),
  };
}

const ERASE = "\x1b[K"; // what is right of the cursor
const BAR = 40;
const LOOK_MS = 250;
const LONG_BYTES = 8 * 1024 * 1024; // a moment on any machine
