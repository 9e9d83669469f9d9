/** Links as people paste them: with words before and after, cut into lines by the program that they came with. */
import { linksIn } from "restante/protocol";
import { Refusal } from "./api.ts";

/** Use the link in a text: the first that is whole, as its checksum tells. Throws what `use` throws. */
export async function useLink<T>(text: string, use: (link: string) => Promise<T>): Promise<T> {
  let first: unknown;
  for (const link of linksIn(text)) {
    try {
      return await use(link);
    } catch (error) {
      if (!(error instanceof Refusal) || !DAMAGED.has(error.code)) throw error;
      first ??= error;
    }
  }
  throw WEB.test(linksIn(text)[0] ?? "") ? new Error(WEB_SAID) : first;
}

const WEB = /^https?:/i;
const WEB_SAID = "This is a web address. Invites and join links begin with link://.";
const DAMAGED: ReadonlySet<string> = new Set(["bad-invite", "bad-link"]);
