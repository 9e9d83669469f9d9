/** Cards, links, invites and admission tokens: pure formats. protocol/card.md, protocol/admission.md */
export {
  type Admission,
  admissionUri,
  cacheKey,
  encodeJoinAnswer,
  encodeJoinLink,
  encodeRevocations,
  type JoinAnswer,
  type JoinLink,
  mintToken,
  parseAdmissionUri,
  parseJoinAnswer,
  parseJoinLink,
  parseRevocations,
  recipientKey,
  type TokenClass,
  verifyToken,
} from "./admission.ts";
export { type CacheRef, type Card, type CardPeer, encodeCard, isName, parseCard } from "./card.ts";
export { encodeInvite, type Invite, inviteProblem, parseInvite, parseSecretUri, secretUri } from "./invite.ts";
export {
  encodeFragment,
  encodeLink,
  type Link,
  type LinkInfo,
  linkJson,
  linkPaths,
  parseLink,
  parseLinkJson,
  verifyFragment,
} from "./link.ts";
export { isStream, MAX_PATHS, type Path, parsePath, pathKey } from "./path.ts";
