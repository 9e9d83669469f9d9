/**
 * Version 1 of the mail format, frozen: a whole conversation with what both sides make of each packet, in
 * protocol/vectors/mail-conversation.json. The same script writes it, and plays it back from the published bytes. It never
 * changes; what is added to the format makes another file. WRITE_VECTORS=1 in the environment of this test writes it anew.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Time, toHex, utf8 } from "../bytes/index.ts";
import { createCrypto, type Identity, portable } from "../crypto/index.ts";
import { pageOf } from "../testing/mail-world.ts";
import { counting, hexBytes, identity3a, readable } from "../testing/published.ts";
import { encodeAck, parseAck } from "./acknowledgement.ts";
import type { Envelope } from "./envelope.ts";
import type { Hello } from "./hello.ts";
import { encodePart, parsePart } from "./inner.ts";
import type { Parcel } from "./parcel.ts";
import { Received } from "./received.ts";
import type { Source } from "./received-contract.ts";
import { Ring } from "./ring.ts";
import { Spool, type SpoolIn } from "./spool.ts";

const FILE = fileURLToPath(new URL("../../../../protocol/vectors/mail-conversation.json", import.meta.url));
const CSID = 0x3a;
const START = 1_700_000_000_000;
const DAY = 86_400_000;
const crypto = createCrypto(portable);
const ALICE = identity3a(counting(0x01));
const DEVICES = { bob: identity3a(counting(0x41)), phone: identity3a(counting(0x61)) };
const EPOCHS = { bob: "b0b0000000000001", phone: "b0b0000000000002" };
type Device = keyof typeof DEVICES;

interface Step {
  what: string;
  from: "alice" | Device;
  to: "alice" | Device;
  /** The inner packet, hex. */
  inner: string;
  /** Of a part: what its recipient has then. Of an acknowledgement: what Alice knows then. Absent: it was lost. */
  state?: unknown;
}

/** How a packet travels: made now, or as it was published. */
type Wire = (what: string, made: Uint8Array) => Uint8Array;

/** Alice's numbers and ledgers, what two devices of Bob have, and the packets between them. */
class Conversation {
  readonly steps: Step[] = [];
  readonly #wire: Wire;
  #disk = new Map<string, Uint8Array>();
  #spool = this.#open("a11ce00000000001");
  readonly #posted = new Map<string, { parcels: Parcel[]; envelope: Omit<Envelope, "content" | "file"> }>();
  readonly #received = new Map<Device, Received>();
  readonly #shown: Record<Device, string[]> = { bob: [], phone: [] };
  now: Time = START;

  constructor(wire: Wire) {
    this.#wire = wire;
    for (const device of ["bob", "phone"] as const)
      this.#received.set(
        device,
        new Received({
          peer: ALICE.hashname,
          fresh: () => counting(0x10),
          digest: (bytes) => toHex(portable.sha256(bytes)),
          ring: new Ring({ backend: portable, random: (n) => new Uint8Array(n), by: EPOCHS[device], saved: undefined }),
          saved: new Map(),
        }),
      );
  }

  /** Alice writes a mail; it gets its numbers. Gives its id. */
  post(
    kind: string,
    to: readonly Device[],
    more: { parts?: number; after?: readonly string[]; days?: number } = {},
  ): string {
    const { parts = 1, after = [], days = 14 } = more;
    const id = toHex(portable.sha256(utf8(`mail ${this.#posted.size}`))).slice(0, 32);
    const expires = this.now + days * DAY;
    const mail = { id, contact: "bob", kind, created: this.now, expires, size: 5, parts };
    const addressees = to.map((device) => {
      const { hashname } = DEVICES[device];
      return { peer: hashname, hello: kind === "card" || this.#spool.next(hashname).hello, partBytes: 1023 };
    });
    const parcels = this.#turn({ type: "post", mail, to: addressees });
    this.#posted.set(id, { parcels, envelope: { id, after, time: this.now, expires, kind } });
    return id;
  }

  /** One part travels to a device; with `lost` it never comes. With `as`, under the id of another mail. */
  part(
    what: string,
    to: Device,
    id: string,
    more: { part?: number; content?: string; file?: string; isLost?: boolean; as?: string } = {},
  ): void {
    const { part = 0, content = "", file, isLost, as = id } = more;
    const { parcels, envelope } = this.#posted.get(id) ?? expect.fail("no such mail");
    const parcel = parcels.find(({ peer }) => peer === DEVICES[to].hashname) ?? expect.fail("not addressed");
    const { epoch, seq, floor, of, hello } = parcel;
    const sha256 = toHex(portable.sha256(utf8(file ?? "")));
    const head = { from: ALICE.hashname, to: DEVICES[to].hashname, epoch, seq, part, of, floor };
    const greeting: Hello = { card: utf8("the card of alice: opaque here"), secret: counting(0x80).slice(0, 16) };
    const label = file === undefined ? {} : { file: { name: "f.txt", media: "text/plain", size: file.length, sha256 } };
    const whole = { ...envelope, id: as, content: utf8(content), ...label };
    const made = encodePart(crypto, CSID, ALICE, { head, envelope: whole, ...(hello && { hello: greeting }) });
    const inner = this.#wire(what, made);
    const state = isLost ? {} : { state: this.#receive(to, inner) };
    this.steps.push({ what, from: "alice", to, inner: toHex(inner), ...state });
  }

  /** A device acknowledges what it has. */
  acknowledge(what: string, from: Device): void {
    const received = this.#received.get(from) ?? expect.fail();
    const [marked, twice, read] = [received.marked(), received.twice(), received.read()];
    const made = encodeAck(crypto, CSID, {
      from: DEVICES[from].hashname,
      to: ALICE.hashname,
      by: EPOCHS[from],
      ownEpoch: EPOCHS[from],
      floor: 1,
      reports: received.report(),
      ...(marked && { marked }),
      ...(twice && { twice }),
      ...(read && { read }),
    });
    const inner = this.#wire(what, made);
    const acknowledgement = parseAck(inner) ?? expect.fail(`${what} is unreadable`);
    this.#turn({ type: "acknowledged", peer: DEVICES[from].hashname, acknowledgement });
    const mails = this.#spool
      .outbox()
      .map(({ id, state, delivered: { k, n } }) => ({ id, state, delivered: `${k} of ${n}` }));
    const { epoch, seq, floor } = this.#spool.next(DEVICES[from].hashname);
    this.steps.push({ what, from, to: "alice", inner: toHex(inner), state: { mails, next: { epoch, seq, floor } } });
  }

  see(device: Device, epoch: string, ...seqs: number[]): void {
    this.#received.get(device)?.handle({ type: "read", numbers: seqs.map((seq) => ({ epoch, seq })) }, this.now);
  }

  wait(days: number): void {
    // In steps, as a machine that runs: of a leap of the clock nothing expires at once.
    for (let quarter = 0; quarter < 4 * days; quarter++) {
      this.now += DAY / 4;
      this.#turn({ type: "tick" });
    }
  }

  /** Alice's store is put back from a backup of this moment. */
  restore(): void {
    this.#disk.delete("mail/epoch");
    this.#spool = this.#open("a11ce00000000002");
  }

  #open(fresh: string): Spool {
    const spool = new Spool({ saved: this.#disk, fresh, draw: () => "a11ce00000000003", isKey: () => true });
    // What is on the disk is read for those whom it may be for.
    const known = this.#disk.size > 0 ? Object.values(DEVICES) : [];
    this.#keep(spool, spool.handle({ type: "start" }, START));
    for (const { hashname } of known)
      this.#keep(spool, spool.handle({ type: "join", peer: hashname, contact: "bob" }, START));
    return spool;
  }

  #turn(input: SpoolIn): Parcel[] {
    const out = this.#spool.handle(input, this.now);
    this.#keep(this.#spool, out);
    return out.flatMap((each) => (each.type === "offer" ? each.parcel : []));
  }

  #keep(spool: Spool, out: ReturnType<Spool["handle"]>): void {
    for (const each of out) {
      if (each.type === "list") {
        const { req, prefix, after, limit } = each;
        const pairs = pageOf(this.#disk, prefix, after, limit);
        this.#keep(spool, spool.handle({ type: "listed", req, pairs }, START));
      }
      if (each.type !== "save") continue;
      if (each.value === undefined) this.#disk.delete(each.key);
      else this.#disk.set(each.key, each.value);
    }
  }

  #receive(device: Device, inner: Uint8Array): unknown {
    const received = this.#received.get(device) ?? expect.fail();
    const shown = this.#shown[device];
    const part = parsePart(inner) ?? expect.fail("unreadable");
    const id = toHex(portable.sha256(inner)).slice(0, 16);
    const source: Source = { type: "direct", via: ALICE.hashname, box: "", id };
    const queue = received.handle({ type: "part", part, source }, this.now);
    for (const out of queue) {
      if (out.type === "show") shown.push(out.arrival.id);
      if (out.type !== "arrived") continue;
      const isNew = !shown.includes(out.arrival.id);
      queue.push(...received.handle({ type: "judged", arrival: out.arrival, isNew, isDamaged: false }, this.now));
    }
    const [reports, missing, twice] = [received.report(), received.gaps(), received.twice() ?? []];
    return readable({ reports, missing, shown: [...shown], twice });
  }
}

function play(wire: Wire): Step[] {
  const talk = new Conversation(wire);
  const first = talk.post("text", ["bob"]);
  talk.part("hello", "bob", first, { content: "Hello Bob, this is Alice." });
  talk.acknowledge("the hello is acknowledged", "bob");

  const lost = talk.post("text", ["bob"], { days: 1 });
  const third = talk.post("text", ["bob"], { after: [first] });
  const file = talk.post("file", ["bob"], { parts: 3 });
  talk.part("a text that gets lost", "bob", lost, { content: "lost", isLost: true });
  talk.part("a text after it, which is shown", "bob", third, { content: "Grüße! ✉" });
  talk.part("the first part of a file", "bob", file, { content: "one, ", file: "one, two, three" });
  talk.part("the third part", "bob", file, { part: 2, content: "three" });
  talk.acknowledge("an acknowledgement with a gap, and a file of which one part is missing", "bob");
  talk.part("the second part", "bob", file, { part: 1, content: "two, " });
  talk.part("the second part once more", "bob", file, { part: 1, content: "two, " });
  talk.acknowledge("the file is whole, the gap is still there", "bob");

  const card = talk.post("card", ["bob"]);
  talk.part("a card", "bob", card);
  talk.acknowledge("the card is acknowledged, and shown to nobody", "bob");

  talk.see("bob", "a11ce00000000001", 1, 3);
  talk.acknowledge("the user has seen two of them", "bob");

  talk.wait(4);
  const sixth = talk.post("text", ["bob"], { after: [third, file] });
  talk.part("a text whose floor has passed the mail that was lost and is expired", "bob", sixth, {
    content: "never mind",
  });
  talk.acknowledge("nothing is missing any more", "bob");

  const both = talk.post("text", ["bob", "phone"]);
  talk.part("a text for both devices, at the first", "bob", both, { content: "to both" });
  talk.acknowledge("one of two devices has it", "bob");
  talk.part("the same text at the second, under a number of its own", "phone", both, { content: "to both" });
  talk.acknowledge("both have it", "phone");

  talk.restore();
  const again = talk.post("text", ["bob"]);
  talk.part("after a restore numbers begin anew, in another epoch", "bob", again, { content: "where was I?" });
  talk.acknowledge("two epochs are reported", "bob");

  const own = talk.post("text", ["bob"]);
  talk.part("a mail of another copy of the store comes first, under the number of the next", "bob", own, {
    content: "I am the other one",
    as: "ff".repeat(16),
  });
  const other = talk.post("text", ["bob"]);
  talk.part("the next after it", "bob", other, { content: "and I" });
  talk.part("the mail that has the number, too, is shown", "bob", own, { content: "no, I am" });
  talk.acknowledge("the copy is noticed: what is open begins a new epoch", "bob");
  return talk.steps;
}

interface Vectors {
  about: string;
  alice: string;
  bob: string;
  phone: string;
  steps: Step[];
}

const hashnameOf = ({ hashname }: Identity): string => hashname;

function make(): Vectors {
  return {
    about:
      "protocol/mail.md, version 1, frozen: a conversation of inner packets (hex, set 3a) and what both sides make of it. " +
      "Made by packages/restante/src/mail/frozen.test.ts.",
    alice: hashnameOf(ALICE),
    bob: hashnameOf(DEVICES.bob),
    phone: hashnameOf(DEVICES.phone),
    steps: play((_, made) => made),
  };
}

if (process.env["WRITE_VECTORS"] !== undefined) writeFileSync(FILE, `${JSON.stringify(make(), undefined, 2)}\n`);

const published = (): Vectors => JSON.parse(readFileSync(FILE, "utf8"));

test("both sides write the conversation as it is published", () => {
  expect(make()).toEqual(published());
});

test("both sides make of the published packets what the vectors say", () => {
  const { steps } = published();
  const played = play((what) => hexBytes(steps.find((step) => step.what === what)?.inner ?? expect.fail(what)));
  expect(played).toEqual(steps);
  expect(new Set(steps.map(({ what }) => what)).size).toBe(steps.length);
});
