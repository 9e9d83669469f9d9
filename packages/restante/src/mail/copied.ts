/**
 * Two copies of one store number mail in one epoch: each gives the numbers that the other gives, too. How a sender sees it in
 * what its recipient acknowledges. protocol/mail.md §8
 */
import type { Acknowledgement } from "./acknowledgement.ts";
import { markOf } from "./marks.ts";

/** What we gave. */
export interface Given {
  readonly epoch: string;
  /** The number that the next mail gets. */
  readonly next: number;
  /** Id of the mail under this number of the epoch; `undefined`: nobody remembers. */
  readonly mailOf: (seq: number) => string | undefined;
  /** Whether a mail with a number of the epoch below this one is still offered. */
  readonly isOpenBelow: (floor: number) => boolean;
}

/**
 * Does the peer speak of mail in our epoch that we never sent? It says so, or has a number that we have not given yet, or
 * another mail under one that we have; or it was told a floor above a number that is open here, of which it will never say more.
 * Then what it reports of this epoch is no statement about ours.
 */
export function tellsOfCopy({ epoch, next, mailOf, isOpenBelow }: Given, acknowledgement: Acknowledgement): boolean {
  const { twice = [], reports, marked = [] } = acknowledgement;
  const isBeyond = reports.some(
    (report) => report.epoch === epoch && (highestOf(report) >= next || isOpenBelow(report.floor)),
  );
  const isOther = ({ seq, mark }: { seq: number; mark: string }): boolean => {
    const mail = mailOf(seq);
    return seq >= next || (mail !== undefined && markOf(mail) !== mark);
  };
  const marks = marked.find((each) => each.epoch === epoch)?.marks ?? [];
  return twice.includes(epoch) || isBeyond || marks.some(isOther);
}

/** The highest number that it says to be given. A floor is the next number at most. */
function highestOf({ floor, ranges, unfinished }: Acknowledgement["reports"][number]): number {
  return Math.max(floor - 1, ranges.at(-1)?.[1] ?? 0, unfinished.at(-1)?.seq ?? 0);
}
