/** What must hold in every turn of every world. The law is protocol/exchange.md §9; the names are those used there. */
import type { handshaking } from "restante/protocol";
import { type End, FAR, LAST, type Message, name, type Side } from "./world.ts";

/** The invariants, and what each says. */
export const INVARIANTS = {
  growth:
    "A process has a number above all that its exchange sent, above the saved count and above all that its end began with before, with its end's order bit.",
  echo: "What is higher than all before is answered under its number, and nothing else is but a resend of that.",
  "one process": "At most one process of an end is under way: besides answers only it and the last echo are sent.",
  approval: "Nothing leaves towards a peer that was not approved.",
  timeout: "After 30 s without an answer nothing of the exchange is left.",
  "end of numbers": "After the last number nothing is sent.",
  recording: "A session is made or replaced only on what its owner said after it had heard this very exchange.",
  "no return": "No session gives way to an older one.",
  agreement: "The peer's present exchange is never turned away for good; as a session, it knows our present one.",
  liveness: "Both want the link, so they get it, as soon as the network delivers.",
  quiet: "And then nothing more is sent before the next keepalive.",
} as const;
export type Invariant = keyof typeof INVARIANTS;

/** What one end did about one input. */
interface Deed {
  readonly side: Side;
  readonly before: End;
  readonly after: End;
  readonly input: handshaking.HandshakingIn;
  /** What it heard, if that was it. */
  readonly message: Message | undefined;
  readonly out: readonly handshaking.HandshakingOut[];
  /** The end has lost its saved count. */
  readonly isLost: boolean;
}

/**
 * The invariants that a deed breaks. `isFooled`: it took for proven what was not, in the one way that is known: an echo of a
 * number that a former exchange of this end had used too, which the saved count prevents while it is there.
 */
export function judge(deed: Deed): { broken: readonly Invariant[]; isFooled: boolean } {
  const broken: Invariant[] = [];
  if (!grows(deed)) broken.push("growth");
  if (!echoes(deed)) broken.push("echo");
  if (!hasOneProcess(deed)) broken.push("one process");
  if (!ends(deed)) broken.push("end of numbers");
  const adopted = adoption(deed);
  if (adopted === "unproven") broken.push("recording");
  if (adopted === "return") broken.push("no return");
  return { broken, isFooled: adopted === "fooled" };
}

/** Whether the ends agree, as far as they can know of each other. */
export function agree([a, b]: readonly [End, End]): boolean {
  return a.isFooled || b.isFooled || (isAgreed(a, b) && isAgreed(b, a));
}

function isAgreed(us: End, them: End): boolean {
  if (us.core === undefined || them.core === undefined) return true;
  const theirs = name(them.life);
  return !us.core.retired.includes(theirs) && (us.core.session !== theirs || them.met === us.life);
}

function grows({ side, before, after, isLost }: Deed): boolean {
  const [former, own] = [before.core?.own, after.core?.own];
  if (own === undefined || own.at === former?.at) return true;
  if (own.at <= before.ever && !isLost && before.ever < FAR) return false;
  return own.at > before.top && own.at > before.count && (own.at & 1n) === BigInt(side) && own.at <= LAST;
}

function echoes({ before, message, out }: Deed): boolean {
  const heard = message?.type === "handshake" ? message : undefined;
  const { own, echo, retired } = before.core ?? {};
  const token = heard === undefined ? "" : name(heard.life);
  const isHigher = heard !== undefined && heard.at > before.top && heard.at !== own?.at;
  const isAgain = heard !== undefined && heard.at === echo?.at && token === echo.of;
  const answers = out.filter((effect) => effect.type === "send" && effect.to === "answer");
  if (answers.some((answer) => answer.type === "send" && answer.at !== heard?.at)) return false;
  if (answers.length === 0) return !isHigher || retired?.includes(token) === true;
  return answers.length === 1 && (isHigher || isAgain);
}

function hasOneProcess({ after, out }: Deed): boolean {
  return out.every((effect) => {
    if (effect.type !== "send" || effect.to === "answer") return true;
    const { own, echo } = after.core ?? {};
    return effect.at === own?.at || (effect.to === "known" && effect.at === echo?.at);
  });
}

function ends({ before, after, message, out }: Deed): boolean {
  const isOver = out.some(({ type }) => type === "dead");
  const isLast = message?.type === "handshake" && message.at === LAST && before.top < LAST;
  const isKnown = before.core?.retired.includes(message === undefined ? "" : name(message.life));
  if (isLast && !isKnown && !isOver) return false;
  const last = out.findIndex(({ type }) => type === "dead");
  return !isOver || (after.core === undefined && last === out.length - 1);
}

/** Whether the deed made a session, and what it had for it. */
function adoption(deed: Deed): Adoption {
  const { before, after, message } = deed;
  const [former, session] = [before.core?.session, after.core?.session];
  if (session === undefined || session === former) return "none";
  if (message === undefined || name(message.life) !== session) return "unproven";
  const isMet = message.type === "packet" ? message.to === after.life : message.met === after.life;
  // An end has one exchange at a time: when the younger one has spoken, the older one is dead.
  const isReturn = former !== undefined && !before.isFooled && Number(session) < Number(former);
  if (isMet && !isReturn) return "proven";
  const own = before.core?.own;
  const isEcho = message.type === "handshake" && message.at === own?.at;
  if (isEcho && !before.isFresh && mayRepeat(deed, message.at)) return "fooled";
  return isMet ? "return" : "unproven";
}

/** Whether this end may have begun with this number before: it has lost the count, or none is kept of such numbers. */
function mayRepeat({ before, isLost }: Deed, at: bigint): boolean {
  return isLost || (at >= FAR && before.clock < FAR && before.count < FAR);
}

type Adoption = "none" | "proven" | "fooled" | "unproven" | "return";
