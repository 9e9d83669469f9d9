/** What a user may be called. */
import { RestanteError } from "./bytes/index.ts";
import { isName } from "./card/index.ts";

/** The name, cut to what a card has room for. Throws "bad-name". */
export function cutName(text: string): string {
  const name = text.slice(0, NAME_LENGTH).replace(/[\ud800-\udbff]$/, ""); // no half of a character
  if (isName(name)) return name;
  throw new RestanteError("bad-name", "a name is one line of text, without control characters, and not empty");
}

const NAME_LENGTH = 64; // as in a card
