/** What the application may send with our keys in every handshake. protocol/exchange.md §5 */
import type { Crypto, Identity } from "../crypto/index.ts";
import { fitsHandshake, type HandshakeMessage } from "../e3x/index.ts";
import { refuse, type Step } from "./step.ts";

/**
 * What is wrong with messages that an application wants in its handshakes, in plain words; `undefined`: nothing. They are of
 * type "jwt" or "tx", one of each at most, and fit into a handshake of every set of ours.
 */
export function handshakeProblem(
  crypto: Crypto,
  identity: Identity,
  messages: readonly HandshakeMessage[],
): string | undefined {
  const types = messages.map(({ type }) => type);
  if (types.some((type) => !OWN_TYPES.includes(type))) return 'a handshake takes messages of type "jwt" and "tx"';
  if (new Set(types).size < types.length) return "a handshake has one message of each type";
  const areFit = messages.every((message) =>
    [...identity.pairs.keys()].every((csid) => fitsHandshake(crypto, identity, csid, message)),
  );
  return areFit ? undefined : "the message is too long for a handshake, which has less than 1400 bytes";
}

/** From now on these are sent, in place of those before. */
export function setHandshakes(
  req: number,
  { crypto, identity }: { readonly crypto: Crypto; readonly identity: Identity },
  messages: readonly HandshakeMessage[],
): Step[] {
  const problem = handshakeProblem(crypto, identity, messages);
  if (problem !== undefined) return [refuse(req, "bad-handshake", problem)];
  return [
    { child: "mesh", input: { type: "handshakes", messages } },
    { type: "reply", req, value: undefined },
  ];
}

const OWN_TYPES = ["jwt", "tx"];
