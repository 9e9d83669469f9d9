/** Cards, links, invites and admission tokens: pure formats. protocol/card.md, protocol/admission.md */
export {
  type Admission,
  admissionSerial,
  admissionUri,
  admissionWork,
  cacheKey,
  editionSerial,
  encodeJoinAnswer,
  encodeJoinLink,
  encodeRevocations,
  isWork,
  type JoinAnswer,
  type JoinLink,
  mintToken,
  parseAdmissionUri,
  parseJoinAnswer,
  parseJoinLink,
  parseRevocations,
  readEdition,
  recipientKey,
  type TokenClass,
  tokenSerial,
  verifyToken,
} from "./admission.ts";
export { type BazaarAddress, type BazaarNode, bazaarInRoom } from "./bazaar.ts";
export {
  type CacheRef,
  type Card,
  type CardPeer,
  encodeCard,
  fits,
  isName,
  MAX_OTHERS,
  parseCard,
} from "./card.ts";
export { fitted } from "./fitted.ts";
export { encodeInvite, type Invite, inviteProblem, parseInvite, parseSecretUri, secretUri } from "./invite.ts";
export {
  baseUri,
  encodeFragment,
  encodeLink,
  type Fragment,
  joinPaths,
  type Link,
  type LinkInfo,
  linkJson,
  linkJwk,
  linkPaths,
  linkUri,
  parseFragment,
  parseLink,
  parseLinkJson,
  parseLinkJwk,
  pathsAt,
  verifyFragment,
} from "./link.ts";
export { type Callable, meant } from "./naming.ts";
export type { Offer } from "./offer.ts";
export { linksIn } from "./pasted.ts";
export {
  isRelayed,
  isStream,
  MAX_PATHS,
  type Path,
  parseIp,
  parsePath,
  parsePaths,
  pathJson,
  pathKey,
} from "./path.ts";
export {
  encodeTxt,
  isHostName,
  jwksUri,
  LINK_REL,
  linkHref,
  linkInJwks,
  type Published,
  parseTxt,
} from "./published.ts";
export {
  findStamp,
  MAX_WORK,
  type StampPlace,
  type StampTask,
  stampDay,
  stampText,
  verifyStamp,
} from "./stamp.ts";
export {
  cardFor,
  type Device,
  deviceInRoom,
  encodeDevice,
  type Gone,
  MAX_DEVICES,
  parseSync,
  readDevice,
  type Sync,
  syncText,
  syncTexts,
} from "./sync.ts";
export { isSafetyOf, safetyText, safetyWords } from "./words.ts";
