/**
 * Safety words: what two people read to each other to see that nobody stands between them. Sixteen words, or one line for a
 * camera, that follow from the hashnames of their two devices and from nothing else. protocol/card.md §5
 */
import { utf8 } from "../bytes/index.ts";
import type { Backend, Hashname } from "../crypto/index.ts";

/**
 * The 16 words of two devices: the same from both sides, 128 bits. `sha256` of `backend` is all that is used. Who would stand
 * between the two has to find two keys of his own whose words with either of them are the same: some 2^64 keys of each.
 */
export function safetyWords(backend: Pick<Backend, "sha256">, one: Hashname, other: Hashname): string[] {
  const digest = backend.sha256(utf8(`${WORDS_DOMAIN}${pairOf(one, other).join("")}`));
  return [...digest.subarray(0, WORDS)].map((byte) => LIST[byte] ?? "");
}

/** The same for a camera: one line of ASCII that holds both hashnames whole, again the same from both sides. */
export function safetyText(one: Hashname, other: Hashname): string {
  return `${TEXT_PREFIX}${pairOf(one, other).join(":")}`;
}

/**
 * Whether what somebody said or scanned is that of these two devices: all 16 words, however spaced, in any case, with commas or
 * without; or the whole line.
 */
export function isSafetyOf(backend: Pick<Backend, "sha256">, said: string, one: Hashname, other: Hashname): boolean {
  if (said.length > LONGEST) return false;
  if (said.trim().toLowerCase() === safetyText(one, other)) return true;
  const words = said.toLowerCase().match(/[a-z]+/g) ?? [];
  return words.join(" ") === safetyWords(backend, one, other).join(" ");
}

function pairOf(one: Hashname, other: Hashname): [Hashname, Hashname] {
  return one < other ? [one, other] : [other, one];
}

const WORDS = 16;
const WORDS_DOMAIN = "restante/words/1";
const TEXT_PREFIX = "restante-verify:1:";
const LONGEST = 1024; // of what is compared
/**
 * 256 words, ascending; a byte is its place. Any two differ in their first four letters, and in three places at least: a
 * bad line or a bad ear does not make one of another.
 */
const LIST: readonly string[] = `
actor adopt agent album alley amber angle april arrow attic autumn baker banjo barrel basin bell bench berry bicycle
bishop blanket blossom bonus border bottle bridge bronze bubble bucket buffalo bunny butter cactus camel canoe
canvas carbon carpet castle cedar chess chicken cinema circus clever cliff clock cobra coffee copper cotton cousin
cowboy crater crown crystal cube daisy dancer decade deep delta dentist desert diesel dolphin domino donkey double
dragon dream dusty dwarf early echo elbow empty engine enjoy equal escape evening exam fabric falcon family famous
father fiction fiddle field filter flag flute forest fossil fox frozen fudge funnel future galaxy garden garlic
gentle ghost giant ginger giraffe glacier globe goblin gorilla grape guitar habit happy hawk helmet hero hobby
horizon hotel house human hundred idea igloo insect inside island ivory jaguar jewel jigsaw jolly juice junior jury
kayak kidney king kitchen koala ladder lagoon lamp laptop lemon leopard lily limit linen liquid lizard lobster lucky
lunar magic magnet maple matrix meadow melody metal mirror mitten muffin museum napkin navy needle nephew nickel
ninja north nurse nutmeg ocean office olive onion opera orange orchid owl oxygen palace panda pastel peanut pencil
picnic pigeon pilot pirate poet polar potato prince puzzle python quartz queen quilt radio raven razor ribbon robot
sailor salad scout season shelf skate sketch sky sleepy smile soccer soda spider spoon spring square stable stereo
storm summer sunset swan syrup teapot temple tennis toast tower tulip turtle twelve urban useful vacuum violin
voyage waffle walnut whale window wolf wooden yacht yogurt young zigzag
`
  .trim()
  .split(/\s/);
