/**
 * A message that is on its way to somebody: what is kept of it, and its outbox file. The file is made of a seed that is kept with
 * it, so that after a crash the same bytes are made again: one file, one pointer, whatever happens.
 */
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { fromBase64url, fromUtf8, toBase64url, toHex, utf8 } from "restante/protocol";
import {
  type Cid,
  chatOf,
  encodeMessage,
  type Identity,
  type Message,
  magicId,
  type PeerId,
  type PointerRecord,
  parseCid,
  parseMessage,
  parsePeerId,
  peerIdOf,
  pointerKey,
  seal,
  split,
  TYPES,
} from "../format/index.ts";
import type { Block, Contact } from "./effects.ts";

/** The head of one message. What is optional comes as it goes on. */
export interface Posting {
  /** The name that the sender's caller gave it. */
  readonly ref: string;
  readonly to: Contact;
  /** The recipient's push nodes, beside our own. */
  readonly nodes: readonly Contact[];
  readonly created: number;
  /** OFFLINE_ACK: kept only to be removed after a week, never republished and never waited for. */
  readonly isAck: boolean;
  /** An OFFLINE_ACK to who is no contact. */
  readonly isStranger?: boolean | undefined;
  /** Until it is stored: the message, and the seed of its file. */
  readonly draft?: Draft | undefined;
  /** From then on. */
  readonly stored?: Stored | undefined;
  /** It was acknowledged or has expired: what is left to do is to take everything back. */
  readonly isOver?: boolean | undefined;
}

/** What is not stored yet. */
export interface Draft {
  readonly message: Uint8Array;
  readonly seed: Uint8Array;
  /** It was sealed, and its file may lie in the storage although nothing says so yet. */
  readonly file?: { readonly name: string; readonly root: Cid } | undefined;
}

/** What lies in the storage, and is pointed to. */
export interface Stored {
  /** Hex SHA-256 of the file: its name. */
  readonly name: string;
  readonly size: number;
  /** The magic id of its pointer. */
  readonly magic: Uint8Array;
  readonly address: Uint8Array;
  /** The blocks of the file, the root first. */
  readonly cids: readonly Cid[];
  readonly preimage: Uint8Array;
  /** When its pointer was last given to the DHT; 0: not yet. */
  readonly published: number;
  /** Push nodes that have it. */
  readonly pushed: readonly PeerId[];
}

/** An outbox file before it is stored. */
export interface Sealed {
  readonly name: string;
  readonly content: Uint8Array;
  readonly magic: Uint8Array;
  readonly blocks: readonly Block[];
}

/** Seals a draft to a public key: the same bytes each time. `undefined` when nothing can be encrypted to this key. */
export function sealDraft(identity: Identity, publicKey: Uint8Array, draft: Draft): Sealed | undefined {
  const message = parseMessage(draft.message);
  let draws = 0;
  const random = (length: number): Uint8Array =>
    hkdf(sha256, draft.seed, sha256(draft.message), utf8(`restante/bazaar/seal/${draws++}`), length);
  const content = message && seal(identity, publicKey, message, random);
  if (content === undefined) return undefined;
  return { name: toHex(sha256(content)), content, magic: magicId(content), blocks: split(content) };
}

/** The secret that withdraws the pointer of a draft's file: known before it is sealed, for it travels inside. */
export function preimageOf(seed: Uint8Array): Uint8Array {
  return hkdf(sha256, seed, undefined, utf8("restante/bazaar/withdraw"), 32);
}

/** The pointer to what was stored. */
export function pointerOf(stored: Stored): PointerRecord {
  return { id: stored.magic, address: stored.address, size: stored.size, withdraw: sha256(stored.preimage) };
}

/** Below which key it is published. */
export function keyOf(posting: Posting): Uint8Array {
  return pointerKey(posting.to.id);
}

/** Worth nothing a minute later: never stored (typing; pings). */
export function isFleeting(message: Message): boolean {
  return message.type === TYPES.PING || chatOf(message)?.flag === "typing";
}

/** The posting as it is kept. */
export function encodePosting(posting: Posting): Uint8Array {
  const { ref, to, nodes, created, isAck, isStranger, draft, stored, isOver } = posting;
  return utf8(
    JSON.stringify({
      ref,
      to: contactJson(to),
      ...(nodes.length > 0 && { nodes: nodes.map(contactJson) }),
      created,
      ...(isAck && { isAck }),
      ...(isStranger && { isStranger }),
      ...(isOver && { isOver }),
      ...(draft && {
        draft: {
          message: toBase64url(draft.message),
          seed: toBase64url(draft.seed),
          ...(draft.file && { file: draft.file }),
        },
      }),
      ...(stored && {
        stored: {
          ...stored,
          magic: toBase64url(stored.magic),
          address: toBase64url(stored.address),
          preimage: toBase64url(stored.preimage),
        },
      }),
    }),
  );
}

/** A posting as it was kept; `undefined` for what is none (a damaged store: the caller counts it). */
export function parsePosting(bytes: Uint8Array): Posting | undefined {
  try {
    const json = JSON.parse(fromUtf8(bytes) ?? "");
    const to = contactOf(json.to);
    const nodes = ((json.nodes ?? []) as unknown[]).map(contactOf);
    if (to === undefined || nodes.some((node) => node === undefined)) return undefined;
    const { ref, created } = json;
    if (typeof ref !== "string" || typeof created !== "number") return undefined;
    const draft = json.draft && draftOf(json.draft);
    const stored = json.stored && storedOf(json.stored);
    return {
      ref,
      to,
      nodes: nodes as Contact[],
      created,
      isAck: json.isAck === true,
      ...(json.isStranger === true && { isStranger: true }),
      ...(json.isOver === true && { isOver: true }),
      ...(draft && { draft }),
      ...(stored && { stored }),
    };
  } catch {
    return undefined;
  }
}

/** A contact as JSON holds it. */
function contactJson({ id, publicKey, addrs }: Contact): object {
  return {
    id,
    ...(publicKey && { publicKey: toBase64url(publicKey) }),
    ...(addrs && addrs.length > 0 && { addrs }),
  };
}

/** A contact of JSON; `undefined` when it is none, or its key is another's. */
function contactOf(json: unknown): Contact | undefined {
  const { id, publicKey, addrs } = (json ?? {}) as Record<string, unknown>;
  const peer = typeof id === "string" ? parsePeerId(id) : undefined;
  if (peer === undefined) return undefined;
  const key = typeof publicKey === "string" ? fromBase64url(publicKey) : undefined;
  if (key !== undefined && !isKeyOf(peer, key)) return undefined;
  const paths = Array.isArray(addrs) ? addrs.filter((addr) => typeof addr === "string") : [];
  return { id: peer, ...(key && { publicKey: key }), ...(paths.length > 0 && { addrs: paths }) };
}

/** Whether this public key is the peer's. */
export function isKeyOf(peer: PeerId, publicKey: Uint8Array): boolean {
  return peerIdOf(publicKey) === peer;
}

/** The bytes by which two copies of a message are one: without what only belongs to the way that it came. */
export function messageKey(from: PeerId, message: Message): string {
  const { requestId: _, isResponse: __, ...rest } = message;
  return toHex(sha256(utf8(`${from} ${toHex(sha256(encodeMessage(rest)))}`)).subarray(0, 16));
}

function draftOf(json: Record<string, unknown>): Draft {
  const draft = { message: bytesIn(json["message"]), seed: bytesIn(json["seed"]) };
  const { name, root } = (json["file"] ?? {}) as Record<string, unknown>;
  const cid = parseCid(String(root));
  return typeof name === "string" && cid !== undefined ? { ...draft, file: { name, root: cid } } : draft;
}

function storedOf(json: Record<string, unknown>): Stored {
  const cids = (json["cids"] as unknown[]).map((cid) => parseCid(String(cid)));
  const pushed = (json["pushed"] as unknown[]).map((id) => parsePeerId(String(id)));
  if (cids.length === 0 || [...cids, ...pushed].includes(undefined) || typeof json["name"] !== "string")
    throw new Error("no such record");
  return {
    name: json["name"],
    size: Number(json["size"]),
    magic: bytesIn(json["magic"]),
    address: bytesIn(json["address"]),
    cids: cids as Cid[],
    preimage: bytesIn(json["preimage"]),
    published: Number(json["published"]),
    pushed: pushed as PeerId[],
  };
}

function bytesIn(value: unknown): Uint8Array {
  const bytes = typeof value === "string" ? fromBase64url(value) : undefined;
  if (bytes === undefined) throw new Error("no bytes");
  return bytes;
}
