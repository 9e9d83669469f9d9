/** What is opened with keys: messages and channel packets of every cipher set. */
import { loadBackend, openFile } from "@restante/node";
import {
  type CipherSet,
  type Crypto,
  createCrypto,
  createIdentity,
  cs1a,
  cs2a,
  cs3a,
  csidText,
  type Identity,
  importIdentity,
  type JsonObject,
  openMessage,
  parsePacket,
  portable,
  RestanteError,
  sealMessage,
  toHex,
} from "restante/protocol";
import { Chance, cs01 } from "restante/testing";
import { type Bound, BYTES, hex, parser, type Target, vectors } from "./target.ts";

const { recipient, sender, cases } = vectors<{
  recipient: JsonObject;
  sender: JsonObject;
  cases: { csid: string; inner: string; outer: string }[];
}>("vectors/telehash/messages.json");

const COSTLY: Bound = { ms: 200, msPerKilobyte: 1 }; // agreements of keys, or RSA
const TOKEN_BYTES = 16;

// RSA is nobody's to write anew: cipher set 2a has it from OpenSSL, and everything else from JavaScript as the others do.
const { rsa } = await loadBackend(() => {});
const sets = [cs1a(portable), ...(rsa === undefined ? [] : [cs2a(portable, rsa)]), cs3a(portable)];
const crypto = createCrypto(portable, sets);
const fast = createCrypto(portable, [cs01()]);

export const OPENERS: readonly Target[] = [
  ...sets.flatMap((set) => [messages(set), channels(set, ...correspondents(crypto))]),
  cheapMessages(),
  channels(fast.sets.get(1) ?? cs01(), ...strangers()),
  sealedFiles(),
];

/** Files sealed for somebody: what opens is the file of the vector, and all else is refused with a code that is told. */
function sealedFiles(): Target {
  const { readers, content, sealed } = vectors<{ readers: JsonObject[]; content: string; sealed: string }>(
    "protocol/vectors/sealed-file.json",
  );
  const identity = importIdentity(crypto, readers[0]);
  if (identity === undefined) throw new Error("the reader of the vector is not readable");
  const open = async (input: Uint8Array): Promise<string | undefined> => {
    const pieces = (async function* () {
      for (let at = 0; at < input.length; at += 100) yield input.subarray(at, at + 100);
    })();
    let text = "";
    try {
      const opened = await openFile(pieces, { crypto, backend: portable, identity });
      for await (const piece of opened.content) text += toHex(piece);
    } catch (error) {
      // That it is for somebody else is said of what is well-formed.
      if (error instanceof RestanteError && error.code === "not-for-us") return error.code;
      if (error instanceof RestanteError && error.code === "bad-sealed") return undefined;
      throw error;
    }
    if (text !== content) throw new Error(`another content came out of it: ${text}`);
    return text;
  };
  return parser("sealed-file", 600, BYTES, [hex(sealed)], open, COSTLY);
}

/** Messages of telehash-c and telehash-js. */
function messages(set: CipherSet): Target {
  const [us, them] = correspondents(crypto);
  const csid = csidText(set.csid);
  const outers = cases.filter((one) => one.csid === csid).map(({ outer }) => hex(outer));
  return openerOf(`message-${csid}`, 800, crypto, us, them, outers, COSTLY);
}

/** Messages of the test set, which are cheap enough to get many. */
function cheapMessages(): Target {
  const [us, them] = strangers();
  const { random } = new Chance(2);
  const outers = cases.flatMap(
    ({ inner }) => sealMessage(fast, { from: them, to: us.keys, inner: hex(inner), random }) ?? [],
  );
  return openerOf("message-01", 8000, fast, us, them, outers);
}

/** Nothing verifies but what the sender sealed. */
function openerOf(
  name: string,
  inputs: number,
  crypto: Crypto,
  us: Identity,
  them: Identity,
  genuine: readonly Uint8Array[],
  bound?: Bound,
): Target {
  const whole = new Set(genuine.map(String));
  const open = (outer: Uint8Array): unknown => {
    const opened = openMessage(crypto, us, outer);
    const key = opened && them.keys.get(opened.csid);
    const isProven = key !== undefined && opened?.verify(key) === true;
    if (isProven && !whole.has(String(outer))) throw new Error("a message that nobody sealed verifies");
    return opened;
  };
  return parser(name, inputs, BYTES, genuine, open, bound);
}

/** Channel packets between two exchanges. Nothing opens but what the other end sealed, whatever its token. */
function channels(set: CipherSet, us: Identity, them: Identity): Target {
  const { random } = new Chance(3);
  const none = new Uint8Array(0);
  const ours = set.exchange(them.keys.get(set.csid) ?? none, random);
  const theirs = set.exchange(us.keys.get(set.csid) ?? none, random);
  const sending = ours && theirs && set.channel(theirs, ours.key);
  const receiving = ours && theirs && set.channel(ours, theirs.key);
  const bodies = cases.flatMap(({ inner }) => sending?.seal(random(TOKEN_BYTES), hex(inner), random) ?? []);
  const genuine = new Set(bodies.map((body) => String(body.subarray(TOKEN_BYTES))));
  const open = (body: Uint8Array): unknown => {
    const inner = receiving?.open(body);
    if (inner !== undefined && !genuine.has(String(body.subarray(TOKEN_BYTES))))
      throw new Error("a packet that nobody sealed opens");
    if (inner !== undefined && parsePacket(inner) === undefined) throw new Error("it is not what was sealed");
    return inner;
  };
  return parser(`channel-${csidText(set.csid)}`, 5000, BYTES, bodies, open);
}

/** Who the messages in the vectors are for and from. */
function correspondents(crypto: Crypto): [Identity, Identity] {
  const [us, them] = [importIdentity(crypto, recipient), importIdentity(crypto, sender)];
  if (us === undefined || them === undefined) throw new Error("the identities of the vectors do not import");
  return [us, them];
}

function strangers(): [Identity, Identity] {
  const { random } = new Chance(1);
  return [createIdentity(fast, random), createIdentity(fast, random)];
}
