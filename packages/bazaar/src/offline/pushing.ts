/**
 * Our messages on their way to the push nodes: for each node a line, and one message of it at a time: which of these blocks do
 * you want? those; here they are; and here is the pointer. A node that does not answer is asked again later, at most each hour.
 */
import { Deadlines, type Time } from "restante/protocol";
import { blockMessage, type Cid, type PeerId, split, storedCids, storeMessage } from "../format/index.ts";
import type { Answer, Block, Contact } from "./effects.ts";
import { keyOf, type Posting, pointerOf } from "./posting.ts";
import type { Question } from "./questions.ts";
import { backOff } from "./slots.ts";

/** What the lines need from the machine that they belong to. */
export interface PushingHost {
  /** The posting as it stands now; `undefined` when there is nothing to push any more. */
  posting(ref: string): Posting | undefined;
  ask(question: Question, then: (answer: Answer, now: Time) => void): void;
  /** The node has all blocks and the pointer. */
  pushed(ref: string, node: PeerId, now: Time): void;
}

interface Line {
  readonly node: Contact;
  /** Each once. */
  readonly refs: Set<string>;
  isBusy: boolean;
  failures: number;
  until: Time;
}

export class Pushing {
  readonly #host: PushingHost;
  readonly #lines = new Map<PeerId, Line>();
  readonly #deadlines = new Deadlines<PeerId>();

  constructor(host: PushingHost) {
    this.#host = host;
  }

  /** Puts a message into the line of each node. There are at most 500 lines: further nodes are passed over. */
  push(ref: string, nodes: readonly Contact[], now: Time): void {
    for (const node of nodes) {
      let line = this.#lines.get(node.id);
      if (line === undefined) {
        if (this.#lines.size >= LINES) this.#forgetIdle();
        if (this.#lines.size >= LINES) continue;
        line = { node, refs: new Set(), isBusy: false, failures: 0, until: 0 };
        this.#lines.set(node.id, line);
      }
      line.refs.add(ref);
      this.#go(line, now);
    }
  }

  /** Whether anything of the message may have reached the node: it stands first in its line. */
  isUnderWay(ref: string, node: PeerId): boolean {
    const line = this.#lines.get(node);
    return line?.isBusy === true && [...line.refs][0] === ref;
  }

  tick(now: Time): void {
    for (const id of this.#deadlines.due(now)) {
      const line = this.#lines.get(id);
      if (line !== undefined) this.#go(line, now);
    }
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  #go(line: Line, now: Time): void {
    if (line.isBusy || line.refs.size === 0) return;
    if (now < line.until) {
      this.#deadlines.set(line.node.id, line.until);
      return;
    }
    for (const ref of line.refs) {
      const posting = this.#host.posting(ref);
      if (posting?.stored === undefined || posting.isOver) line.refs.delete(ref);
      else {
        line.isBusy = true;
        this.#offer(line, ref, posting.stored.cids);
        return;
      }
    }
  }

  #offer(line: Line, ref: string, cids: readonly Cid[]): void {
    const question = { type: "request", to: line.node, message: storeMessage(cids), timeoutMs: TIMEOUT_MS } as const;
    this.#host.ask(question, (answer, now) => {
      const message = answer.type === "answered" ? answer.message : undefined;
      const wanted = message?.isResponse ? storedCids(message, cids.length) : undefined;
      const stored = this.#host.posting(ref)?.stored;
      if (wanted === undefined) this.#failed(line, now);
      else if (stored === undefined || this.#isOver(ref)) this.#next(line, ref, now);
      else if (wanted.length === 0) this.#point(line, ref, now);
      else {
        this.#host.ask({ type: "get", name: stored.name }, (got, then) => {
          const content = got.type === "content" ? got.content : undefined;
          // Lost from the storage: nobody can be given it, and the next republishing asks again.
          if (content === undefined) this.#next(line, ref, then);
          else
            this.#send(
              line,
              ref,
              split(content).filter(({ cid }) => wanted.includes(cid)),
              then,
            );
        });
      }
    });
  }

  #send(line: Line, ref: string, blocks: readonly Block[], now: Time): void {
    const [block, ...rest] = blocks;
    if (this.#isOver(ref)) this.#next(line, ref, now);
    else if (block === undefined) this.#point(line, ref, now);
    else {
      const message = blockMessage(block.cid, block.bytes);
      this.#host.ask({ type: "send", to: line.node, message, timeoutMs: TIMEOUT_MS }, (answer, then) => {
        if (answer.type === "sent" && answer.ok) this.#send(line, ref, rest, then);
        else this.#failed(line, then);
      });
    }
  }

  #point(line: Line, ref: string, at: Time): void {
    const posting = this.#host.posting(ref);
    if (posting?.stored === undefined || posting.isOver) return this.#next(line, ref, at);
    const question = {
      type: "provide",
      at: line.node,
      key: keyOf(posting),
      pointer: pointerOf(posting.stored),
    } as const;
    this.#host.ask(question, (answer, now) => {
      if (answer.type !== "provided" || answer.took === 0) this.#failed(line, now);
      else {
        this.#host.pushed(ref, line.node.id, now);
        this.#next(line, ref, now);
      }
    });
  }

  #isOver(ref: string): boolean {
    return this.#host.posting(ref)?.isOver !== undefined;
  }

  #next(line: Line, ref: string, now: Time): void {
    line.refs.delete(ref);
    line.isBusy = false;
    line.failures = 0;
    this.#go(line, now);
  }

  #failed(line: Line, now: Time): void {
    line.isBusy = false;
    line.failures++;
    line.until = now + backOff(line.failures, FIRST_MS, MOST_MS);
    this.#deadlines.set(line.node.id, line.until);
  }

  #forgetIdle(): void {
    for (const [id, line] of this.#lines) if (line.refs.size === 0 && !line.isBusy) this.#lines.delete(id);
  }
}

const LINES = 500;
const TIMEOUT_MS = 15_000;
const FIRST_MS = 15_000;
const MOST_MS = 3_600_000;
