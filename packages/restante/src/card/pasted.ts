/** Links as people paste them: with words before and after, cut into lines by the program that they came with. */

/**
 * What may be the link in a text, the longest first: whether the next line is more of it or somebody's greeting cannot be seen
 * here, but by its checksum. At most 64. Without any link the text itself, without blanks around it: whoever reads it says what is wrong.
 */
export function linksIn(text: string): string[] {
  const found = LINK.exec(text) ?? OTHER.exec(text);
  if (found === null) return [text.trim()];
  let [link] = found;
  const links = [link];
  if (!link.includes("?")) return [trimmed(link)]; // of a domain: too short to be cut
  let rest = text.slice(found.index + link.length);
  for (let next = NEXT_LINE.exec(rest); next !== null && links.length < MAX_LINES; next = NEXT_LINE.exec(rest)) {
    link += next[1];
    links.unshift(link);
    rest = rest.slice(next[0].length);
  }
  return links.map(trimmed);
}

/** Without what ends the sentence. */
function trimmed(link: string): string {
  return link.replace(AFTER, "");
}

const LINK = /\blink:\/\/[^\s<>"'`]*/i;
const OTHER = /\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s<>"'`]*/i; // an application may have a scheme of its own
const NEXT_LINE = /^[ \t]*\r?\n[ \t>|]*([a-z0-9%&=._~/?-]+)/; // quoted, perhaps
const AFTER = /[.,;:!?)\]]{1,16}$/;
const MAX_LINES = 64;
