/** Files of any number of parts: what they cost does not depend on how many there are. */
import { expect, test } from "vitest";
import { boxId, messageId } from "../box/index.ts";
import { utf8 } from "../bytes/index.ts";
import { createCrypto, createIdentity, type Identity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { quick } from "../testing/quick-backend.ts";
import { PART_CONTENT } from "./constants.ts";
import { Mail, type MailContact, type MailEvent, type MailIn, type MailOut } from "./index.ts";

const crypto = createCrypto(quick, [cs01()]);
const SECOND = 1000;

/** One side: its machine, and what it wrote. */
class Side {
  readonly identity: Identity;
  readonly mail: Mail;
  readonly events: MailEvent[] = [];
  /** Bytes of values, and how many. */
  written = { bytes: 0, saves: 0 };

  constructor(chance: Chance) {
    this.identity = createIdentity(crypto, chance.random);
    this.mail = new Mail({
      ...{ crypto, identity: this.identity, random: chance.random, saved: new Map(), waitForLink: 2 ** 40 },
      boxId: (sender, recipient) => boxId(portable, sender, recipient),
      messageId: (box, bytes) => messageId(portable, box, bytes),
      cardFor: () => utf8("a card"),
    });
  }

  get card(): string {
    return this.identity.hashname
      .slice(0, 16)
      .split("")
      .map((c) => (c.charCodeAt(0) % 16).toString(16).repeat(2))
      .join("");
  }
}

/** Two sides with a link, or with one cache between them that the recipient reads as soon as there is something. */
class Line {
  readonly alice: Side;
  readonly bob: Side;
  readonly #digest = "ab".repeat(32);
  #queue: (() => void)[] = [];
  now = 1_700_000_000_000;
  #req = 0;
  #last = "";
  parts = 0;
  /** What may lie in the cache, and what did at most. */
  readonly cap = 2 ** 23;
  readonly #held = new Map<string, number>();
  /** The recipient throws away what comes, as one does that has never heard of so many parts. */
  isDeaf = false;
  sent = 0;
  highest = 0;

  constructor(isDirect: boolean) {
    const chance = new Chance(3);
    this.alice = new Side(chance);
    this.bob = new Side(chance);
    const cache = createIdentity(crypto, chance.random).hashname;
    const offer = { hashname: cache, uri: "", cap: this.cap, store: cache };
    for (const [side, other] of [
      [this.alice, this.bob],
      [this.bob, this.alice],
    ] as const) {
      const { hashname, keys } = other.identity;
      const contact: MailContact = {
        id: other.card,
        peers: [{ hashname, keys, caches: isDirect ? [] : [offer], direct: false }],
      };
      this.#input(side, { type: "contact", contact });
      this.#input(side, { type: "link", peer: isDirect ? hashname : cache, up: true });
    }
  }

  file(parts: number): void {
    const head = { name: "film", media: "video/mp4", size: parts * PART_CONTENT, sha256: this.#digest };
    const mail = { kind: "file", blob: "out/film", ...head } as const;
    this.#input(this.alice, { type: "send", req: ++this.#req, contact: this.bob.card, mail });
  }

  /** Takes back what was sent last. */
  cancel(): void {
    this.#input(this.alice, { type: "cancel", req: ++this.#req, id: this.#last });
  }

  text(text: string): void {
    this.#input(this.alice, { type: "send", req: ++this.#req, contact: this.bob.card, mail: { kind: "text", text } });
  }

  /** Until nothing is under way, and time goes on until then. */
  run(until: () => boolean, limit = 3_600 * SECOND): void {
    for (const end = this.now + limit; !until() && this.now < end; ) {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
      const due = [this.alice, this.bob].flatMap(({ mail }) => mail.deadline() ?? []);
      this.now = Math.max(this.now, Math.min(...due, end));
      for (const side of [this.alice, this.bob])
        if ((side.mail.deadline() ?? Number.POSITIVE_INFINITY) <= this.now) this.#input(side, { type: "tick" });
    }
  }

  #input(side: Side, input: MailIn): void {
    for (const effect of side.mail.handle(input, this.now)) this.#perform(side, effect);
  }

  #perform(side: Side, effect: MailOut): void {
    const other = side === this.alice ? this.bob : this.alice;
    const later = (to: Side, input: MailIn): number => this.#queue.push(() => this.#input(to, input));
    switch (effect.type) {
      case "save":
        side.written.bytes += effect.value?.length ?? 0;
        side.written.saves++;
        return;
      case "read":
        later(side, { type: "read", req: effect.req, value: undefined });
        return;
      case "blob-read":
        later(side, { type: "blob", req: effect.req, bytes: CONTENT });
        return;
      case "blob-write":
        this.parts++;
        return;
      case "blob-hash":
        later(side, { type: "hash", req: effect.req, sha256: this.#digest });
        return;
      case "deliver": {
        const { bytes, to, route, id } = effect;
        const box = boxId(portable, side.identity.hashname, to);
        const name = messageId(portable, box, bytes);
        const [via, direct] = route.type === "cache" ? [route.cache, false] : [side.identity.hashname, true];
        if (!direct) this.#held.set(name, bytes.length);
        this.highest = Math.max(
          this.highest,
          [...this.#held.values()].reduce((sum, length) => sum + length, 0),
        );
        this.sent++;
        if (!this.isDeaf) later(other, { type: "message", via, direct, box, id: name, bytes });
        later(side, { type: "delivered", id, ok: true });
        return;
      }
      case "done":
        if (!effect.keep) this.#held.delete(effect.id);
        return;
      case "reply":
        if (side === this.alice) this.#last = (effect.value as { id?: string }).id ?? "";
        return;
      case "event":
        side.events.push(effect.event);
    }
  }
}

const CONTENT = new Uint8Array(16).fill(7); // what is in the parts is nothing to what is measured here

/** Sends one file; what was written for each part, at both ends. */
function costs(isDirect: boolean, parts: number): { sender: number; recipient: number; line: Line } {
  const line = new Line(isDirect);
  line.text("hello");
  line.run(() => line.bob.events.some(({ type }) => type === "mail"));
  line.run(() => false, 10 * SECOND);
  const [before, after] = [line.alice.written.bytes, line.bob.written.bytes];
  line.file(parts);
  line.run(() =>
    line.alice.events.some((event) => event.type === "state" && event.state === "delivered" && line.parts === parts),
  );
  expect(line.parts).toBe(parts);
  return {
    sender: (line.alice.written.bytes - before) / parts,
    recipient: (line.bob.written.bytes - after) / parts,
    line,
  };
}

for (const isDirect of [true, false])
  test(`what is written for a part ${isDirect ? "over a link" : "by a cache"} does not depend on how many parts there are`, () => {
    const small = costs(isDirect, 1000);
    const large = costs(isDirect, isDirect ? 10_000 : 5_000);
    expect(large.sender).toBeLessThan(1.5 * small.sender);
    expect(large.recipient).toBeLessThan(1.5 * small.recipient);
  });

test("a recipient that answers nothing gets a few parts of a large file each time, not all of it", () => {
  const line = new Line(true);
  line.isDeaf = true;
  line.file(30_000);
  line.run(() => false, 10 * SECOND);
  expect(line.sent).toBe(64);
  line.run(() => false, 86_400 * SECOND);
  expect(line.sent).toBeLessThan(64 + 8 * 8);
  line.isDeaf = false;
  line.run(() => line.parts >= 300, 7 * 3_600 * SECOND);
  expect(line.parts).toBeGreaterThanOrEqual(300);
});

test.each([
  ["over the link", true],
  ["by the cache", false],
])("of a file that is taken back both sides hear soon that it ended, once: %s", (_, isDirect) => {
  const line = new Line(isDirect);
  line.text("hello");
  line.run(() => line.bob.events.some(({ type }) => type === "mail"));
  line.file(1000);
  line.run(() => line.parts >= 100);
  line.cancel();
  const ends = (side: Side): unknown[] =>
    side.events.flatMap((event) => (event.type === "progress" && event.ended ? [[event.done, event.ended]] : []));
  line.run(() => false, 5 * SECOND);
  expect([ends(line.alice), ends(line.bob)]).toEqual([[[0, "cancelled"]], [[0, "cancelled"]]]);
  line.run(() => false, 18 * 86_400 * SECOND);
  expect([ends(line.alice), ends(line.bob)]).toEqual([[[0, "cancelled"]], [[0, "cancelled"]]]);
});
