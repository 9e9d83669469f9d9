/**
 * A bare peer for tests of interoperation: links, channels and messages by lines of JSON, and nothing of mail. It
 * approves everybody. protocol/exchange.md; the commands are in `PeerProgram.command`
 */
import { type Identity, RestanteError, type Transport, type TransportPath } from "restante";
import {
  type Crypto,
  fromHex,
  type Hashname,
  isObject,
  type Json,
  type JsonObject,
  type Keys,
  MAX_PATHS,
  mesh,
  openMessage,
  parseHashname,
  parseJson,
  parseKeys,
  parseLinkJson,
  type Random,
  sealMessage,
  text,
  toHex,
  utf8,
} from "restante/protocol";

export interface PeerProgramOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  readonly transports: readonly Transport[];
  /** The port that each kind must get; 0 or none: any. */
  readonly ports?: { readonly udp?: number | undefined; readonly tcp?: number | undefined };
  /** Old peers are on the other end of streams: no cloak towards those who have not used one (decision X29). */
  readonly compat: boolean;
  /** Takes each event, one line each. */
  readonly emit: (event: JsonObject) => void;
  /** As in `MeshOptions`. What is to be saved is not: the caller begins each run above the one before. */
  readonly saved?: Uint8Array | undefined;
}

interface Open {
  readonly hashname: Hashname;
  readonly reliable: boolean;
  readonly isEcho: boolean;
}

interface Received {
  readonly ch: number;
  readonly head: JsonObject;
  readonly body: Uint8Array;
  readonly end: boolean;
}

export class PeerProgram {
  readonly #options: PeerProgramOptions;
  readonly #mesh: mesh.Mesh;
  readonly #channels = new Map<number, Open>();
  readonly #waiting: mesh.MeshOut[] = []; // what comes of a command is told after its answer
  #handle = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PeerProgramOptions) {
    const { crypto, identity, random, saved } = options;
    this.#options = options;
    this.#mesh = new mesh.Mesh({ crypto, identity, random, saved, handles: () => ++this.#handle });
  }

  /**
   * Listens on all transports, then tells `listening` with the port of each kind. Throws what they throw, and
   * "address-in-use" when one is not on the port that was asked for: whoever named it waits there.
   */
  async start(): Promise<void> {
    const ports: Record<string, number | undefined> = {};
    let isStarting = true;
    const troubles: string[] = []; // a socket that moved says so, which is no news beside what is thrown then
    const trouble = (why: string): void => this.#options.emit({ ev: "trouble", why });
    for (const transport of this.#options.transports) {
      const [path] = await transport.start({
        received: (from, bytes) => this.#handleInput({ type: "received", path: from, bytes }),
        path: (from, open) => this.#handleInput({ type: "path", path: from, open }),
        writable: (to, credit) => this.#handleInput({ type: "writable", path: to, credit }),
        trouble: (why) => void (isStarting ? troubles.push(why) : trouble(why)),
      });
      const kind = path?.type.slice(0, 3);
      const wanted = kind === "udp" || kind === "tcp" ? this.#options.ports?.[kind] : undefined;
      if (kind !== undefined && wanted && path?.port !== wanted)
        throw new RestanteError("address-in-use", `${kind.toUpperCase()} port ${wanted} is taken`);
      ports[kind ?? ""] = path?.port;
    }
    isStarting = false;
    for (const why of troubles) trouble(why);
    this.#options.emit({ ev: "listening", ...ports, hashname: this.#options.identity.hashname });
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all(this.#options.transports.map((transport) => transport.stop()));
  }

  /**
   * Obeys one line. False: it was `quit`. Each command is answered by one event, with its `id` if it has one:
   *
   * | cmd | members | answer |
   * |---|---|---|
   * | `link` | `json`: `{keys, paths}` | `linked`, later `up` |
   * | `chan` | `hashname`, `open`: head with `type`, reliable with `seq` 1; `body` | `chan` with its number |
   * | `send` | `chan`, `json`, `body`, `end` | `sent` |
   * | `fail` | `chan`, `err` | `failed` |
   * | `encrypt` | `to`: `{keys}`, `inner` | `encrypted` with `outer` |
   * | `decrypt` | `from`: `{keys}`, `outer` | `decrypted` with `inner`, or `refused` |
   *
   * Bytes are hex. What cannot be done or understood is answered with `error` and a reason. Never throws.
   */
  command(line: string): boolean {
    const json = parseJson(utf8(line), LINE_LIMITS);
    if (!isObject(json)) {
      this.#options.emit({ ev: "error", why: "no JSON object" });
      return true;
    }
    if (json["cmd"] === "quit") return false;
    let answer: JsonObject;
    try {
      answer = this.#obey(json);
    } catch (error) {
      answer = refusal(reasonOf(error));
    }
    this.#options.emit({ ...answer, id: json["id"] });
    this.#settle();
    return true;
  }

  #obey(json: JsonObject): JsonObject {
    switch (json["cmd"]) {
      case "link":
        return this.#link(json["json"]);
      case "chan":
        return this.#open(json);
      case "send": {
        const [ch, head, body] = [this.#known(json["chan"]), json["json"] ?? {}, bytesOf(json["body"])];
        if (ch === undefined) return refusal("no such channel");
        if (!isObject(head) || body === undefined) return refusal("json is an object, body is hex");
        this.#do({ type: "send", ch, ...packetOf(head, body, json["end"] === true) });
        return { ev: "sent", chan: ch };
      }
      case "fail": {
        const ch = this.#known(json["chan"]);
        if (ch === undefined) return refusal("no such channel");
        this.#do({ type: "fail", ch, err: text(json, "err") ?? "failed" });
        return { ev: "failed", chan: ch };
      }
      case "encrypt":
        return this.#encrypt(keysOf(json["to"]), bytesOf(json["inner"]));
      case "decrypt":
        return this.#decrypt(keysOf(json["from"]), bytesOf(json["outer"]));
      default:
        return refusal("unknown command");
    }
  }

  #link(json: Json | undefined): JsonObject {
    const { crypto, identity, compat } = this.#options;
    const link = parseLinkJson(crypto.backend, json);
    if (link === undefined) return refusal("json is no link: keys by CSID in base32, and paths");
    if (link.hashname === identity.hashname) return refusal("a link to ourselves");
    if (![...link.keys.keys()].some((csid) => identity.pairs.has(csid))) return refusal("no cipher set in common");
    const paths = link.paths.map((path) => (compat && path.type.startsWith("tcp") ? { ...path, compat } : path));
    this.#do({ type: "want", peer: { ...link, paths: paths.slice(0, MAX_PATHS) } });
    return { ev: "linked", hashname: link.hashname };
  }

  #open(json: JsonObject): JsonObject {
    const peer = parseHashname(text(json, "hashname") ?? "");
    const [open, body] = [json["open"], bytesOf(json["body"])];
    if (peer === undefined) return refusal("hashname is no hashname");
    if (!isObject(open) || body === undefined) return refusal("open is an object, body is hex");
    if (text(open, "type") === undefined) return refusal("the head of an open packet has a type");
    const reliable = open["seq"] !== undefined;
    if (reliable && open["seq"] !== 1) return refusal("seq starts at 1");
    const ch = ++this.#handle;
    // Known before, since the answer to it may already be that it is closed.
    this.#channels.set(ch, { hashname: peer, reliable, isEcho: false });
    try {
      this.#do({ type: "open", peer, ch, reliable, ...packetOf(open, body, false) });
    } catch (error) {
      this.#channels.delete(ch);
      throw error;
    }
    return { ev: "chan", hashname: peer, chan: ch };
  }

  #encrypt(to: Keys | undefined, inner: Uint8Array | undefined): JsonObject {
    const { crypto, identity, random } = this.#options;
    if (to === undefined || inner === undefined) return refusal("to has keys in base32, inner is hex");
    const outer = sealMessage(crypto, { from: identity, to, inner, random });
    return outer === undefined ? refusal("no usable key in common") : { ev: "encrypted", outer: toHex(outer) };
  }

  #decrypt(from: Keys | undefined, outer: Uint8Array | undefined): JsonObject {
    const { crypto, identity } = this.#options;
    if (from === undefined || outer === undefined) return refusal("from has keys in base32, outer is hex");
    const opened = openMessage(crypto, identity, outer);
    const key = opened && from.get(opened.csid);
    if (opened === undefined || key === undefined || !opened.verify(key)) return { ev: "refused" };
    return { ev: "decrypted", inner: toHex(opened.inner) };
  }

  #known(json: Json | undefined): number | undefined {
    return typeof json === "number" && this.#channels.has(json) ? json : undefined;
  }

  #do(input: mesh.MeshIn): void {
    this.#waiting.push(...this.#mesh.handle(input, Date.now()));
  }

  #handleInput(input: mesh.MeshIn): void {
    this.#do(input);
    this.#settle();
  }

  /** Does what is waiting and what follows from it, then sets the clock. */
  #settle(): void {
    for (let effect = this.#waiting.shift(); effect !== undefined; effect = this.#waiting.shift()) this.#follow(effect);
    clearTimeout(this.#timer);
    const at = this.#mesh.deadline();
    if (at === undefined) return;
    const delay = Math.min(Math.max(0, at - Date.now()), MAX_DELAY_MS);
    this.#timer = setTimeout(() => this.#handleInput({ type: "tick" }), delay);
  }

  #follow(effect: mesh.MeshOut): void {
    const { emit } = this.#options;
    switch (effect.type) {
      case "transmit":
        this.#transport(effect.path)?.send(effect.path, effect.bytes);
        return;
      case "handshake":
        if (effect.isNew) this.#do({ type: "approve", hashname: effect.hashname });
        return;
      case "up":
        emit({ ev: "up", hashname: effect.hashname, path: { ...effect.path } });
        return;
      case "down":
        emit({ ev: "down", hashname: effect.hashname, why: effect.why });
        return;
      case "renewed":
        emit({ ev: "renewed", hashname: effect.hashname });
        return;
      case "opened": {
        const { ch, peer, reliable, kind } = effect;
        this.#channels.set(ch, { hashname: peer, reliable, isEcho: kind === "echo" });
        this.#onPackets(ch, [effect]);
        return;
      }
      case "packets":
        this.#onPackets(effect.ch, effect.packets);
        return;
      case "ended":
        this.#onPacket({ ch: effect.ch, head: {}, body: new Uint8Array(0), end: true });
        return;
      case "closed":
        emit({ ev: "closed", hashname: this.#channels.get(effect.ch)?.hashname, chan: effect.ch, err: effect.err });
        this.#channels.delete(effect.ch);
        return;
    }
  }

  #onPackets(ch: number, packets: readonly Pick<Received, "head" | "body">[]): void {
    // The end is a fact of its own in the mesh; on the wire and here it stands in the last packet.
    const [next] = this.#waiting.splice(0, isEndOf(ch, this.#waiting[0]) ? 1 : 0);
    packets.forEach(({ head, body }, i) => {
      this.#onPacket({ ch, head, body, end: next !== undefined && i === packets.length - 1 });
      if (this.#channels.get(ch)?.reliable) this.#do({ type: "took", ch });
    });
  }

  #onPacket({ ch, head, body, end }: Received): void {
    const channel = this.#channels.get(ch);
    const json = end ? { ...head, end } : head;
    this.#options.emit({ ev: "packet", hashname: channel?.hashname, chan: ch, json, body: toHex(body) });
    if (!channel?.isEcho) return;
    const { type: _, ...answer } = head;
    try {
      this.#do({ type: "send", ch, head: answer, body, end });
    } catch (error) {
      // Longer than what we send ourselves, or a command has ended the channel.
      this.#options.emit({ ...refusal(reasonOf(error)), chan: ch });
    }
  }

  #transport({ type }: TransportPath): Transport | undefined {
    return this.#options.transports.find(({ types }) => types.includes(type));
  }
}

function packetOf(
  json: JsonObject,
  body: Uint8Array,
  ends: boolean,
): { head: JsonObject; body: Uint8Array; end: boolean } {
  const { c: _, seq: __, ack: ___, miss: ____, end, ...head } = json;
  return { head, body, end: ends || end === true };
}

function isEndOf(ch: number, effect: mesh.MeshOut | undefined): boolean {
  return effect?.type === "ended" && effect.ch === ch;
}

/** `{keys}` or the keys themselves. */
function keysOf(json: Json | undefined): Keys | undefined {
  return isObject(json) ? parseKeys(json["keys"] ?? json) : undefined;
}

function bytesOf(json: Json | undefined): Uint8Array | undefined {
  if (json === undefined) return new Uint8Array(0);
  return typeof json === "string" ? fromHex(json) : undefined;
}

function refusal(why: string): JsonObject {
  return { ev: "error", why };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const MAX_DELAY_MS = 60_000;
const LINE_LIMITS = { depth: 16, keys: 256 };
