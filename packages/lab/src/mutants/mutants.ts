/**
 * All mutants. Faults that somebody could make: a limit off by one, a check left out, a step in the wrong order. When the
 * source changes, change its edits here; what no test notices needs a better test, not another edit.
 */
import { FEATURES } from "./features.ts";
import { inFile, type Mutant } from "./mutant.ts";

const MESSAGES: readonly Mutant[] = [
  ...inFile("crypto/shared-secrets.ts", [
    ["A8", "known?.all.get(name) ?? this.#agree(ours, theirs)", "known?.secret ?? this.#agree(ours, theirs)"],
    ["A9", "known !== undefined && equal(known.theirs, theirs)", "known !== undefined"],
  ]),
  ...inFile("crypto/cs1a.ts", [
    ["A7", "const IVS = 2 ** 32;", "const IVS = 2 ** 9;"],
    ["A24", "concat(ephemeral.key, iv, crypt(key, iv, inner))", "concat(iv, ephemeral.key, crypt(key, iv, inner))"],
    ["E7", "backend.hmac(concat(key, iv), data)", "backend.hmac(concat(iv, key), data)"],
    ["E7", "byte ^ (bytes[half + i] ?? 0)", "byte | (bytes[half + i] ?? 0)"],
  ]),
  ...inFile("crypto/cs2a.ts", [
    ["B44", "backend.aes256gcmSeal(sendKey, iv, inner, NO_AAD)", "backend.aes256gcmSeal(sendKey, iv, inner, token)"],
    ["E8", "const byte = ((next[i] ?? 0) + 1) & 0xff;", "const byte = ((next[i] ?? 0) + 2) & 0xff;"],
  ]),
  ...inFile("crypto/cs3a.ts", [
    ["A19", "outer[2] = CSID;", "outer[2] = 0x1a;"],
    ["A20", "seal(OUTER_HEAD_BYTES, from, to", "seal(OUTER_HEAD_BYTES + 1, from, to"],
    ["A27", "place(bytes, token, at);", "place(bytes, token.slice().reverse(), at);"],
    ["E6", "into.sha256(authKey, preimage);", "into.sha256(authKey, preimage.subarray(NONCE_BYTES));"],
    ["E6", "return difference === 0;", "return difference < 128;"],
  ]),
  ...inFile("crypto/crypto.ts", [
    ["A26", "backend.sha256(body.subarray(0, TOKEN_BYTES))", "backend.sha256(body.subarray(0, 2 * TOKEN_BYTES))"],
    ["E5", "csid < highest", "csid > highest"],
    ["E10", "compare(ourKey, theirKey) > 0 ? 1 : 0", "compare(ourKey, theirKey) > 0 ? 0 : 1"],
  ]),
  ...inFile("crypto/hashname.ts", [
    ["E4", "of ascending(digests)", "of digests"],
    ["E4", "hash = backend.sha256(concat(hash, Uint8Array.of(csid)));", ""],
  ]),
  ...inFile("e3x/message.ts", [
    ["A18", "outer[0] !== 0 || outer[1] !== 1", "outer[0] !== 0 || outer[1] === 0"],
    ["B42", "return routingToken(this.#backend, this.prefix);", "return this.prefix.slice(0, 16);"],
  ]),
  ...inFile("mesh/opener.ts", [
    [
      "A17",
      "if (other > csid && this.#identity.pairs.has(other))",
      "if (other < csid && this.#identity.pairs.has(other))",
    ],
    ["A23", 'if (!opened.verify(who.key)) return "forged";', ""],
  ]),
];

const HANDSHAKES: readonly Mutant[] = [
  ...inFile("e3x/exchange.ts", [
    ["A10", "sealMessage(crypto, { from: identity, to, inner, random, ephemeral })", "encodePacket(inner)"],
    ["A12", "packet.length >= HANDSHAKE_BYTES", "packet.length > HANDSHAKE_BYTES"],
    ["A28", "this.token = routingToken(crypto.backend, this.prefix);", "this.token = this.prefix;"],
    ["B13", '"send" && !this.#sealed.has(effect.at)', '"send"'],
    ["B29", "encodeHandshake(at, {", "encodeHandshake(at + 2n * BigInt(packets.length), {"],
    ["B32", "nextAt(above, now) | BigInt(this.#order)", "nextAt(above, now)"],
    ["B33", "nextAt(above, now) | BigInt(this.#order)", "nextAt(above, now) | 1n"],
    ["B34", "nextAt(above, now) | BigInt(this.#order)", "nextAt(above, now)"],
    ["B46", "from: identity, to, inner, random, ephemeral }", "from: identity, to, inner, random }"],
  ]),
  ...inFile("e3x/handshaking.ts", [
    [
      "B3",
      "if (token !== state.session) return challenge(state, token, out, now, nextAt);",
      "if (token !== state.session) return adopt(state, token, out);",
    ],
    ["B4", "return at === own?.at || at > high;", "return at === own?.at || at >= high;"],
    ["B14", "began, resends, isOpen: false, repeated", "began, resends, isOpen: true, repeated"],
    ["B20", "if (seen === undefined && echo.seen.size < KINDS)", "if (echo.seen.size < KINDS)"],
    ["B28", "withEcho(former, at, echo)", "withEcho(former, former.high, echo)"],
    [
      "B31",
      'if (seen === digest) return repeat(state, "echo", "answer", now);',
      "if (seen === digest) return { state, out: [] };",
    ],
    [
      "B35",
      'const out: HandshakingOut[] = [{ type: "send", at, to: "answer" }];',
      'const out: HandshakingOut[] = [{ type: "send", at: former.own?.at ?? at, to: "answer" }];',
    ],
    ["B41", 'if (at === MAX_AT) return over("dead", out);', ""],
    ["B47", '[...before, { type: "renewed" }, UP]', "[...before, UP]"],
    ["B47", "if (own.isOpen) return adopt(answered, token, heard);", "return adopt(answered, token, heard);"],
  ]),
  ...inFile("e3x/handshake.ts", [
    [
      "A23",
      "hashnameOf(crypto.backend, new Map([[csid, key]]), intermediates)",
      "hashnameOf(crypto.backend, intermediates.size > 0 ? intermediates : new Map([[csid, key]]))",
    ],
    ["B18", ': text(json, "type");', ': (text(json, "type") ?? "key");'],
    ["B19", 'json["type"] === undefined ? "key" :', 'json["type"] === undefined ? undefined :'],
    ["B21", "other === csid ? true :", 'other === csid ? "true" :'],
    ["B23", '(named === "uri" && !text(json, "uri"))', "false"],
    ["B25", 'uint64(packet?.json, "at");', 'uint64(packet?.json, "at") ?? 2n;'],
    ["B26", "|| at === 0n) return undefined;", ") return undefined;"],
  ]),
  ...inFile("mesh/requests.ts", [
    ["B30", "(!isSame || former.messages.has(message.type)) return undefined;", "(!isSame) return undefined;"],
    ["B49", "opened.at <= first.at", "opened.at < first.at"],
    ["B50", "if (!isSame || former.messages.has(message.type))", "if (former.messages.has(message.type))"],
  ]),
  ...inFile("mesh/link.ts", [
    ["B6", 'if (by === "handshake" || (isOther && isRelayed(from)))', "if (isOther && isRelayed(from))"],
    ["B7", "const QUIET_MS = 30_000;", "const QUIET_MS = 60_000;"],
    ["B56", "return this.#isUp ? this.#begin([], now) : [];", "return [];"],
  ]),
  ...inFile("mesh/mesh.ts", [
    ["B43", "[toHex(exchange.token), toHex(exchange.prefix)];", "[toHex(exchange.token)];"],
    [
      "E13",
      "if (router === undefined || target === undefined ||",
      "if (target === undefined) return this.#post(asker, passed, EMPTY, now); if (router === undefined ||",
    ],
    [
      "E13",
      'const proof = this.#pass(entry, { type: "prove" }, now);',
      'const proof = this.#router && this.#links.has(head["peer"] as Hashname) ? this.#pass(entry, { type: "prove" }, now) : [];',
    ],
  ]),
  ...inFile("peer/porter.ts", [
    ["B53", "return uri !== undefined && door.admits(uri, hashname, now);", "return uri !== undefined;"],
  ]),
];

const BOXES: readonly Mutant[] = [
  ...inFile("box/ids.ts", [
    [
      "C10",
      "return toHex(backend.siphash(key, hashnameBytes(recipient)));",
      "return sender < recipient ? toHex(backend.siphash(key, hashnameBytes(recipient))) : boxId(backend, recipient, sender);",
    ],
    [
      "C13",
      "backend.siphash(key, hashnameBytes(recipient))",
      "backend.siphash(key, hashnameBytes(recipient).subarray(0, 16))",
    ],
    ["C14", "hashnameBytes(sender).slice(0, 2 * ID_BYTES)", "hashnameBytes(sender).slice(2 * ID_BYTES)"],
    ["C16", "concat(half, half)", "concat(half, new Uint8Array(ID_BYTES))"],
    ["C37", 'body.length > 0 || flag(head, "done")', 'flag(head, "done")'],
  ]),
  ...inFile("box/adverts.ts", [
    ["C18", 'reliable: false, head: { type: "boxes" }', 'reliable: true, head: { type: "boxes" }'],
    ["C23", "fromHex(box) ?? NOTHING", "(fromHex(box) ?? NOTHING).subarray(0, 7)"],
    ["C24", "const IDS_PER_PACKET = 120;", "const IDS_PER_PACKET = 121;"],
    ["C25", "if (at > 0) outs.push(", "if (at > 0 && end) outs.push("],
    ["C26", "at + IDS_PER_PACKET >= ids.length", "at + IDS_PER_PACKET > ids.length"],
    ["C27", "this.#shuffle(boxes).map(", "boxes.map("],
    ["C27", 'head: { type: "boxes" }', 'head: { type: "boxes", count: ids.length }'],
    ["C59", "offset === undefined ? now + REPEAT_MS : watch.since + offset", "undefined"],
  ]),
  ...inFile("box/cache.ts", [["C28", "if (!input.reliable) return [];", ""]]),
  ...inFile("box/deposits.ts", [
    [
      "C11",
      "const outs = [took];",
      'const outs: Out[] = [took, { type: "send", ch, head: { cap: 1 }, body: NOTHING }];',
    ],
    ["C30", 'parseHashname(open.head["to"])', 'text(open.head, "to") as Hashname | undefined'],
    ["C15", "boxId(backend, peer, to)", "boxId(backend, this.#options.self, to)"],
    ["C31", "this.#target(open.peer, to,", 'this.#target(parseHashname(open.head["from"]) ?? open.peer, to,'],
    ["C33", "message.push(body, isLast, now, isGiven)", "message.push(body, true, now, isGiven)"],
    [
      "C38",
      'if (isClear) return { type: "store", request: { type: "clear", ...place }, place };',
      "if (isClear) return undefined;",
    ],
    [
      "C40",
      "message.push(body, isLast, now, isGiven)",
      'message.push(flag(head, "clear") ? NOTHING : body, isLast, now, isGiven)',
    ],
    [
      "C44",
      "const outs = [took];",
      'const outs: Out[] = deposit.target === undefined ? [{ type: "fail", ch, err: "nobody" }] : [took];',
    ],
    ["C45", "const outs = [took];", "const outs: Out[] = deposit.class === undefined ? [] : [took];"],
  ]),
  ...inFile("run.ts", [["C45", ' || op.type === "sweep" || isSenders) for', ' || op.type === "sweep") for']]),
  ...inFile("box/assembly.ts", [["C32", "this.#buffer.set(body, this.#size);", "this.#buffer.set(body, 0);"]]),
  ...inFile("box/inbox.ts", [
    ["C1", 'const isForUs = open.head["to"] === this.#self;', "const isForUs = false;"],
    ["C17", "boxId(this.#backend, way.via, this.#self)", "boxId(this.#backend, this.#self, way.via)"],
    ["C23", "if (body.length % ID_BYTES !== 0 ||", "if ("],
    ["C29", 'const isForUs = open.head["to"] === this.#self;', 'const isForUs = open.head["to"] !== this.#self;'],
    ["C39", 'if (flag(head, "clear")) direct.message?.clear();', ""],
    ["C46", "reliable: true, head, body: NOTHING", "reliable: false, head, body: NOTHING"],
    ["C47", "toHex(body.subarray(at, at + ID_BYTES))", "toHex(body.slice(at, at + ID_BYTES).reverse())"],
  ]),
  ...inFile("box/streams.ts", [
    ["C48", "after: stream.cursor,", "after: stream.cursor + 1,"],
    ["C49", "stream.message === message && stream.credit > 0", "stream.message === message"],
    ["C50", "Math.min(middle.room, left - 1)", "Math.min(middle.room, left)"],
    ["C51", "last: of({ done: true }),", "last: of({}),"],
    ["C52", "caps: box === undefined ? 1 : 0,", "caps: 0,"],
    ["C53", "headsOf({}, options.cap)", "headsOf({}, options.cap >> 1)"],
    [
      "C54",
      'request: { type: "remove-many", recipient, box, ids: many }',
      'request: { type: "remove-many", recipient, box, ids: many.subarray(2) }',
    ],
    ["C55", "if (isClear) recall(reader, undefined);", "if (isClear) continue;"],
    ["C56", "stream.caps--;", "stream.caps = 0;"],
    [
      "C58",
      "if (!isDone) continue;",
      'if (!isDone) continue; if (stream.box !== undefined) outs.push({ type: "store", request: { type: "clear", recipient: stream.link.peer, box: stream.box } });',
    ],
  ]),
  ...inFile("store/memory-boxes.ts", [
    ["C6", "bytes.fill(0);", ""],
    ["C41", "while ((box[boxAt + HALF_BYTES] ?? 0) > boxLimit) this.#evict(half);", ""],
  ]),
  ...inFile("mail/spool.ts", [
    [
      "C12",
      "this.#step(input.mail, handedBy(input.route, now));",
      'this.#step(input.mail, { at: now, state: "delivered" });',
    ],
  ]),
];

const WIRE: readonly Mutant[] = [
  ...inFile("wire/packet.ts", [
    ["E1", "if (end > bytes.length) return undefined;", "if (end >= bytes.length) return undefined;"],
    ["E2", "const MIN_JSON = 7;", "const MIN_JSON = 6;"],
    ["E3", "jsonError: isJson && json === undefined", "jsonError: json === undefined"],
  ]),
  ...inFile("wire/chunks.ts", [
    ["E9", "const room = (size || MAX_CHUNK) - 1;", "const room = size || MAX_CHUNK;"],
    ["E9", "return this.#left === 0 && this.#length === 0 && !this.#isOverlong;", "return this.#left === 0;"],
  ]),
  ...inFile("wire/cloak.ts", [
    ["E14", "if (nonce[0] !== 0) return nonce;", "return nonce;"],
    ["E14", "0xd7, 0xf0, 0xe5,", "0xd7, 0xe5, 0xf0,"],
  ]),
  ...inFile("card/link.ts", [
    ["E15", "const DEFAULT_PORT = 42_424;", "const DEFAULT_PORT = 42_425;"],
    ["E15", "return stated === undefined || stated === hashname ?", "return stated === undefined || true ?"],
  ]),
  ...inFile("e3x/reliable.ts", [
    ["E11", "if (entry.sends > 1 && entry.sentAt > now - RESEND_MS) return;", ""],
    ["E11", "return this.#taken;", "return this.#delivered;"],
    ["E11", "deltas.push(seq - before);", "deltas.push(seq - ack);"],
  ]),
  ...inFile("e3x/channel-ids.ts", [
    ["E12", "this.#next += 2;", "this.#next += 1;"],
    ["E12", "const isTheirs = id % 2 !== this.#first % 2;", "const isTheirs = true;"],
  ]),
  ...inFile("e3x/channel.ts", [["E12", "export const PACKET_BYTES = 1400;", "export const PACKET_BYTES = 1401;"]]),
];

const FORMAT = "packages/bazaar/src/format";
const OFFLINE = "packages/bazaar/src/offline";
const BAZAAR: readonly Mutant[] = [
  ...inFile(`${FORMAT}/chat.ts`, [
    ["D5", "utf8(text).length > TEXT_BYTES ||", "text.length > TEXT_BYTES ||"],
    ["D5", "utf8(subject).length > SUBJECT_BYTES", "false"],
    ["D6", "utf8(text + subject + written)", "utf8(subject + text + written)"],
  ]),
  ...inFile(`${FORMAT}/envelope.ts`, [
    ["D15", "if (!verify(publicKey, signed, signature)) return undefined;", ""],
    ["D16", "field(3, sign(identity, bytes))", "field(4, sign(identity, bytes))"],
  ]),
  ...inFile(`${FORMAT}/unixfs.ts`, [
    ["D24", "const CHUNK = 262_144;", "const CHUNK = 262_143;"],
    ["D25", "bytesField(2, EMPTY), numberField(3, total)", "numberField(3, total)"],
  ]),
  ...inFile(`${FORMAT}/message.ts`, [["D29", "cids.every((cid) => cid", "cids.some((cid) => cid"]]),
  ...inFile(`${FORMAT}/pointer.ts`, [
    ["D37", "export const PREFIX_BITS = 14;", "export const PREFIX_BITS = 15;"],
    ["D39", "sha256(ciphertext).subarray(0, 20)", "sha256(ciphertext).subarray(12)"],
    ["D34", "isMultihash(hash) ?", "hash.length > 0 ?"],
  ]),
  ...inFile(`${OFFLINE}/outgoing.ts`, [
    ["D11", "if (!isTaken(answer, message)) {", "if (!isTaken(answer, message) || !entry.posting.isAck) {"],
    ["D40", "const REPUBLISH_MS = 12 * 3_600_000;", "const REPUBLISH_MS = 24 * 3_600_000;"],
    ["D42", "posting.isAck ? end : posting.stored.published + REPUBLISH_MS", "posting.stored.published + REPUBLISH_MS"],
  ]),
  ...inFile(`${OFFLINE}/reach.ts`, [
    ["D12", "const MOST_MS = 30_000;", "const MOST_MS = 60_000;"],
    ["D12", "now - known.failed < QUIET_MS", "now - known.failed > QUIET_MS"],
  ]),
  ...inFile(`${OFFLINE}/pushing.ts`, [
    ["D27", "else if (wanted.length === 0)", "else if (wanted.length >= 0)"],
    ["D31", 'type: "request", to: line.node', 'type: "send", to: line.node'],
  ]),
];

export const MUTANTS: readonly Mutant[] = [...MESSAGES, ...HANDSHAKES, ...BOXES, ...WIRE, ...BAZAAR, ...FEATURES];
