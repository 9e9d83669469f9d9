/**
 * Prosody: XMPP accounts whose messages wait while they are offline, in files, as it comes: its store in memory costs more as it
 * fills. Stream management (XEP-0198) acknowledges each message.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, ServerProcess } from "../server-process.ts";
import { Queue, Wire } from "./connection.ts";
import { type Connection, type Keeper, MESSAGE, type RunningKeeper, type Sender } from "./work.ts";

export function prosody(program: string): Keeper {
  return {
    settles: false,
    isOnDisk: true,
    async start() {
      const [dir, port] = [mkdtempSync(join(tmpdir(), "restante-prosody-")), await freePort()];
      mkdirSync(join(dir, "data"));
      const file = join(dir, "prosody.cfg.lua");
      writeFileSync(file, settings(dir, port));
      const server = new ServerProcess(program, ["-F", "--config", file]);
      const stop = async (): Promise<void> => {
        await server.stop();
        rmSync(dir, { recursive: true, force: true });
      };
      await server.accepts(port).catch(async (error) => {
        await stop();
        throw error;
      });
      return running(server, port, stop);
    },
  };
}

function running(server: ServerProcess, port: number, stop: () => Promise<void>): RunningKeeper {
  let senders = 0;
  return {
    process: server,
    async sender(): Promise<Sender> {
      const client = await XmppClient.connect(port, `s${++senders}`, () => {});
      await client.manage();
      return {
        deposit: (to, bytes) => client.send(account(to), printable(bytes)),
        acknowledgements: () => client.acknowledged,
        close: () => client.close(),
      };
    },
    async collect(recipient, messages): Promise<Connection> {
      let left = messages;
      let done = (): void => {};
      const all = new Promise<void>((resolve) => {
        done = resolve;
      });
      const client = await XmppClient.connect(port, account(recipient), () => {
        if (--left === 0) done();
      });
      client.present();
      await client.wire.during(all);
      return client;
    },
    async wait(recipient, took): Promise<Connection> {
      const client = await XmppClient.connect(port, account(recipient), took);
      client.present();
      return client;
    },
    stop,
  };
}

class XmppClient implements Connection {
  readonly wire: Wire;
  readonly #stanzas = new Queue<string>();
  readonly #took: () => void;
  readonly #unacknowledged: (() => void)[] = [];
  #acknowledged = 0;
  #acknowledgements = 0;

  private constructor(wire: Wire, took: () => void) {
    this.wire = wire;
    this.#took = took;
    wire.read(parseStanza, ({ text }) => this.#stanza(text));
  }

  /** `took`: called with each message with a body of 256 bytes. */
  static async connect(port: number, user: string, took: () => void): Promise<XmppClient> {
    const client = new XmppClient(await Wire.open(port), took);
    const plain = Buffer.from(`\0${user}\0x`, "latin1").toString("base64");
    await client.#ask(STREAM, "<stream:features");
    await client.#ask(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`, "<success");
    await client.#ask(STREAM, "<stream:features");
    const bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind>";
    await client.#ask(`<iq type='set' id='b'>${bind}</iq>`, "<iq ");
    return client;
  }

  /** How often the server has acknowledged something. */
  get acknowledged(): number {
    return this.#acknowledgements;
  }

  /** From here on messages are acknowledged. */
  manage(): Promise<void> {
    return this.#ask("<enable xmlns='urn:xmpp:sm:3'/>", "<enabled");
  }

  /** From here on messages come. */
  present(): void {
    this.wire.write("<presence/>");
  }

  send(to: string, body: string): Promise<void> {
    const acknowledged = new Promise<void>((resolve) => this.#unacknowledged.push(resolve));
    this.wire.write(`<message to='${to}@${HOST}' type='chat'><body>${body}</body></message><r xmlns='urn:xmpp:sm:3'/>`);
    return this.wire.during(acknowledged);
  }

  close(): Promise<void> {
    return this.wire.close("</stream:stream>");
  }

  async #ask(question: string, wanted: string): Promise<void> {
    const answer = this.#stanzas.next();
    this.wire.write(question);
    const stanza = await this.wire.during(answer);
    if (!stanza.startsWith(wanted)) throw new Error(`prosody said ${stanza.slice(0, 200)}`);
  }

  #stanza(stanza: string): void {
    if (stanza.startsWith("<message")) {
      const body = /<body>([^<]*)<\/body>/.exec(stanza)?.[1];
      if (body?.length !== MESSAGE) throw new Error(`prosody said ${stanza.slice(0, 200)}`);
      this.#took();
    } else if (stanza.startsWith("<a ")) {
      const count = Number(/ h=['"](\d+)['"]/.exec(stanza)?.[1]);
      this.#acknowledgements++;
      const news = this.#unacknowledged.splice(0, count - this.#acknowledged);
      this.#acknowledged = count;
      for (const resolve of news) resolve();
    } else if (!/^<(presence|r |\/stream)/.test(stanza)) this.#stanzas.answer(stanza);
  }
}

/** An element of a stream with all that is in it; the stream's own head is no element. `undefined` while a part is missing. */
export function parseStanza(input: Buffer, at: number): { text: string; end: number } | undefined {
  const start = input.indexOf("<", at);
  const close = input.indexOf(">", start);
  if (start < 0 || close < 0) return undefined;
  const head = input.toString("latin1", start, close + 1);
  if (/^<(\?xml|stream:stream)/.test(head)) return parseStanza(input, close + 1);
  if (head.endsWith("/>") || head.startsWith("</")) return { text: head, end: close + 1 };
  const end = `</${/^<([^\s>]+)/.exec(head)?.[1]}>`;
  const last = input.indexOf(end, close);
  return last < 0 ? undefined : { text: input.toString("latin1", start, last + end.length), end: last + end.length };
}

/** As many bytes, of letters and digits. */
function printable(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, (bytes.length * 3) / 4).toString("base64");
}

function account(recipient: number): string {
  return `r${recipient}`;
}

function settings(dir: string, port: number): string {
  return `run_as_root = true
pidfile = "${dir}/pid"
data_path = "${dir}/data"
certificates = "${dir}"
modules_enabled = { "saslauth", "smacks" }
modules_disabled = { "s2s" }
c2s_ports = { ${port} }
c2s_interfaces = { "127.0.0.1" }
c2s_direct_tls_ports = {}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "insecure"
insecure_open_authentication = "Yes please, I know what I'm doing!"
storage = "internal"
log = { error = "${dir}/err.log" }
network_backend = "epoll"
VirtualHost "${HOST}"
`;
}

const HOST = "localhost";
const STREAM = `<?xml version='1.0'?><stream:stream to='${HOST}' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>`;
