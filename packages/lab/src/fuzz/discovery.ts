/**
 * Links, and all that a hostile domain may answer about them: SRV and TXT records, addresses, documents on the web. An
 * input is a JSON object of these; the resolver over it answers at once, or refuses to.
 */
import { type LinkResolver, type ResolvedLink, RestanteError, resolveLink, type SrvRecord } from "restante";
import {
  encodeJson,
  encodeKeys,
  encodeTxt,
  hashnameOf,
  isObject,
  type Json,
  type JsonObject,
  type Keys,
  LINK_REL,
  linkJson,
  linkJwk,
  type Path,
  parseHashname,
  parseIp,
  parseKeys,
  parseLink,
  parsePath,
  pathJson,
  pathKey,
  portable,
  text,
  utf8,
} from "restante/protocol";
import { OBJECT, parser, type Target } from "./target.ts";

/** `keys` are some peer's, `invite` is what stands in an invite URI of it. */
export function discovery(keys: Keys, invite: string): Target {
  return parser("resolveLink", 2_000, OBJECT, samples(keys, invite), resolved);
}

/** One of each way that finds the peer. */
function samples(keys: Keys, invite: string): JsonObject[] {
  const hashname = hashnameOf(portable, keys);
  const paths: Path[] = [{ type: "udp4", ip: "192.0.2.9", port: 7 }];
  const addresses = ["192.0.2.1", "2001:db8::1"];
  const href = "https://www.example.com/~user1/link.json";
  const documents = linkJson({ hashname, keys, paths });
  const srv = [
    { name: `${hashname}.example.com.`, port: 4000, priority: 0, weight: 5 },
    { name: "www.example.com", port: 443, priority: 1, weight: 0 },
  ];
  const jwks = { keys: [{ kty: "RSA" }, linkJwk({ hashname, keys, paths })] };
  const [member = ["3a", ""]] = Object.entries(encodeKeys(keys));
  return [
    { link: "link://example.com", web: [{ links: [{ rel: "self" }, { rel: LINK_REL, href }] }, documents], addresses },
    {
      link: `link://${hashname}.example.com:99/?invite=${invite}`,
      web: [{ links: [{ rel: LINK_REL, href }] }, { ...documents, invite }],
    },
    { link: "link://example.com/#a", srv, txt: ["v=spf1 -all", ...encodeTxt({ keys, invite })], addresses },
    { link: `app://example.com/x?hashname=${hashname}`, srv, txt: encodeTxt({ keys }), web: [true], addresses },
    { link: "link://example.com?a=1", web: [null, { jwks_uri: "https://keys.example.com/jwks" }, jwks], addresses },
    { link: `link://example.com:4/?cs${member.join("=")}`, addresses },
    { link: JSON.stringify(documents) },
    { link: hashname },
  ];
}

/** What the link leads to, if anything; it and the questions must be such as the law allows. */
async function resolved(answers: JsonObject): Promise<unknown> {
  const link = text(answers, "link") ?? "";
  const asked: string[] = [];
  const broken: unknown[] = []; // a resolver's rejection is heard by nobody
  const found = await resolveLink(link, resolver(answers, asked, broken)).catch((error: unknown) => {
    const isTold = error instanceof RestanteError && CODES.includes(error.code) && error.cause === undefined;
    if (!isTold) throw new Error("it rejects with what it never said", { cause: error });
    return undefined;
  });
  if (broken.length > 0) throw broken[0];
  if (asked.length > MAX_QUESTIONS) throw new Error(`it asked ${asked.length} times`);
  if (found === undefined) return undefined;
  expectPeer(found);
  const parsed = parseLink(link.trim());
  const named = parseHashname(parsed?.host?.split(".")[0]);
  if (named !== undefined && found.hashname !== named) throw new Error("the link names another peer");
  if (found.via === "link" && asked.some((question) => !question.startsWith("addresses ")))
    throw new Error("it asked for keys that it had");
  return found;
}

/** A peer that can be written to as it is: its keys make its hashname, and its paths are read again as they are. */
function expectPeer({ hashname, keys, paths }: ResolvedLink): void {
  const again = parseKeys(encodeKeys(keys));
  if (again === undefined || hashnameOf(portable, again) !== hashname) throw new Error("these are not its keys");
  if (paths.length > MAX_PATHS) throw new Error(`it has ${paths.length} paths`);
  for (const path of paths) {
    const read = parsePath(pathJson(path));
    if (read === undefined || pathKey(read) !== pathKey(path)) throw new Error("a path that nobody else reads");
  }
}

/** Gives what stands in `answers`, documents in the order in which they are asked for. A field that is `true` is a failure. */
function resolver(answers: JsonObject, asked: string[], broken: unknown[]): LinkResolver {
  const documents = listOf(answers["web"]);
  const ask = (question: string, of: string): readonly Json[] => {
    asked.push(question);
    if (answers[of] === true) throw new Error("no answer");
    return listOf(answers[of]);
  };
  const texts = (question: string, of: string): string[] => ask(question, of).filter((one) => typeof one === "string");
  return {
    srv: async (name) => ask(`srv ${name}`, "srv").flatMap(recordOf),
    txt: async (name) => texts(`txt ${name}`, "txt"),
    addresses: async (name) => texts(`addresses ${name}`, "addresses"),
    async fetch(url) {
      ask(`fetch ${url}`, "web");
      if (!isAskable(url)) broken.push(new Error("it asks for what a stranger may not choose"));
      const document = documents.shift();
      if (document === true) throw new Error("no answer");
      if (document === undefined || document === null) return undefined;
      return typeof document === "string" ? utf8(document) : encodeJson(document);
    },
  };
}

/** As DNS would give it. */
function recordOf(json: Json): SrvRecord[] {
  if (!isObject(json)) return [];
  const number = (key: string): number => (Number(json[key] ?? 0) & 0xffff) >>> 0;
  const [port, priority, weight] = [number("port"), number("priority"), number("weight")];
  return [{ name: text(json, "name") ?? "", port, priority, weight }];
}

function listOf(json: Json | undefined): Json[] {
  return Array.isArray(json) ? [...json] : [];
}

/** Whether a stranger may make us ask for it: protocol/discovery.md §2. */
function isAskable(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, port, username, password, hash, hostname } = new URL(url); // which has numbers for what is spelled as such
  const isPlain = port === "" && hash === "" && username === "" && password === "";
  return protocol === "https:" && isPlain && parseIp(hostname) === undefined && !hostname.startsWith("[");
}

const CODES = ["bad-link", "needs-router", "wrong-keys", "unreachable", "no-keys"];
const MAX_QUESTIONS = 18; // four of the web; two for SRV, and two each for four targets; three times the host's addresses
const MAX_PATHS = 16; // protocol/discovery.md §1
