/** Names, texts and reasons that others chose: no command lets one of them move the cursor, colour or reorder what it prints. */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Readable } from "node:stream";
import { encodeInvite, type Hashname, hashnameOf, parseInvite, portable } from "restante/protocol";
import { afterEach, expect, test, vi } from "vitest";
import { Client } from "../api/client.ts";
import { peers, testCaches } from "./caches.ts";
import { contact as one } from "./contact.ts";
import { find, history, keep } from "./history.ts";
import { cancel, outbox, track } from "./mail.ts";
import { block, blocked, contacts, lists, readMarks, remove, requests, status, unblock, verify } from "./people.ts";
import { recv } from "./recv.ts";
import { safeName } from "./saved-file.ts";
import { createScreen, type Screen } from "./screen.ts";

/** Clears a screen, sets a title, goes back to the start of the line, turns the direction, ends lines, and rings. */
const NASTY = "a\u001b[2J\u001b]0;x\u0007b\u009b31mc\rd\u202egnp.exe\u2066e\u2028f\u0000g\u200f";
const HASHNAME = "a".repeat(52) as Hashname;
const ID = "0".repeat(32);
const NOW = 1_800_000_000_000;
const CONTENT = Buffer.from("content");
const sha256 = createHash("sha256").update(CONTENT).digest("hex");

const contact = {
  ...{ id: ID, hashnames: [HASHNAME], name: NASTY, link: "none", caches: 1, verified: "none", missing: 2 },
  readMarks: false,
};
const mail = { id: ID, contact: ID, kind: "text", state: "cancelled", suite: "static", handed: 0, created: NOW };
const listed = { ...mail, expires: NOW, size: 1, parts: 1, acked: 0, list: { name: NASTY, delivered: 1, of: 2 } };
const said = [
  { kind: "text", text: NASTY },
  { kind: "file", file: { name: NASTY, media: NASTY, size: CONTENT.length, sha256 } },
  { kind: NASTY },
].map((each, i) => ({
  ...{ n: i + 1, id: ID, contact: ID, name: NASTY, from: HASHNAME, time: NOW, received: NOW, way: "in", ...each },
}));
const cache = {
  contact: ID,
  name: NASTY,
  cache: HASHNAME,
  cap: 1,
  up: true,
  handed: 1,
  delivered: 1,
  settled: 1,
};

/** What a daemon says whose contacts, strangers and caches are all hostile. */
const ANSWERS: readonly (readonly [path: RegExp, answer: object])[] = [
  [/history/, { contact, entries: said }],
  [/search/, { found: said }],
  [/safety/, { contact, devices: [{ hashname: HASHNAME, words: ["word"], text: "text", isVerified: false }] }],
  [/retentions/, { retentions: [{ contact: ID, days: 3 }] }],
  [/contacts\/[^/]*\/keep/, { ...contact, retentions: [] }],
  [/contacts\/./, contact],
  [/contacts/, { contacts: [contact] }],
  [/requests\/./, { request: HASHNAME, hashname: HASHNAME, name: NASTY, texts: [NASTY], at: NOW }],
  [/requests/, { requests: [{ request: HASHNAME, hashname: HASHNAME, name: NASTY, texts: [NASTY, NASTY], at: NOW }] }],
  [/blocked/, { blocked: [{ hashname: HASHNAME, at: NOW, name: NASTY }] }],
  [/lists/, { lists: [{ id: ID, name: NASTY, contacts: [ID, ID] }] }],
  [
    /outbox\/./,
    { id: ID, state: "cancelled", ledger: [{ at: NOW, state: "cancelled", why: NASTY, contact: ID }], mail: listed },
  ],
  [/outbox/, { outbox: [listed, { ...mail, expires: NOW, size: 1, parts: 1, acked: 0 }] }],
  [
    /mesh/,
    {
      self: { hashname: HASHNAME, places: [] },
      peers: [
        { hashname: HASHNAME, state: "up", place: { transport: NASTY, reach: "lan" }, isOurs: false, cacheOf: [] },
      ],
    },
  ],
  [/offers/, { offers: [{ contact: ID, name: NASTY, cache: HASHNAME, quota: 1, cap: 1 }] }],
  [/seen/, { n: 0, unread: 0 }],
  [/messages/, { messages: said }],
  [/peers/, { caches: [cache] }],
  [/caches\/test/, { tests: [{ cache: HASHNAME, at: NOW, outcome: "lost" }] }],
  [
    /status/,
    {
      ...{ state: "running", hashname: HASHNAME, home: "/home", paths: [], contacts: 1, requests: 1, caches: [] },
      ...{ inbox: 3, seen: 0, missing: 1, backend: "x", version: "1", problems: [], name: NASTY },
    },
  ],
];

class Hostile extends Client {
  constructor() {
    super("nowhere");
  }

  override call<T>(_: string, path: string): Promise<T> {
    const answer = ANSWERS.find(([pattern]) => pattern.test(path))?.[1];
    if (answer === undefined) throw new Error(`nothing is answered to ${path}`);
    return Promise.resolve(answer as T);
  }

  override download(): Promise<Readable> {
    return Promise.resolve(Readable.from([CONTENT]));
  }
}

const COMMANDS: Readonly<Record<string, (screen: Screen, client: Client, dir: string) => Promise<number>>> = {
  recv: (screen, client, dir) => recv(screen, client, { all: true, out: relative("", dir) }),
  outbox,
  track: (screen, client) => track(screen, client, ID),
  cancel: (screen, client) => cancel(screen, client, ID),
  history: (screen, client) => history(screen, client, NASTY, 10),
  find: (screen, client) => find(screen, client, ["a"], { limit: 10 }),
  "keep, of all": (screen, client) => keep(screen, client, undefined, undefined, false),
  "keep, of one": (screen, client) => keep(screen, client, NASTY, 3, false),
  "keep, for ever": (screen, client) => keep(screen, client, NASTY, undefined, true),
  contacts,
  "contacts, one": (screen, client) => one(screen, client, "bob"),
  "read-marks": (screen, client) => readMarks(screen, client, NASTY, "on"),
  block: (screen, client) => block(screen, client, NASTY),
  unblock: (screen, client) => unblock(screen, client, HASHNAME),
  blocked,
  verify: (screen, client) => verify(screen, client, ID, [], {}),
  "verify, said": (screen, client) => verify(screen, client, NASTY, ["word"], {}),
  requests: (screen, client) => requests(screen, client, undefined, undefined),
  accept: (screen, client) => requests(screen, client, "accept", HASHNAME),
  ignore: (screen, client) => requests(screen, client, "ignore", HASHNAME),
  remove: (screen, client) => remove(screen, client, NASTY),
  lists,
  peers,
  "test caches": (screen, client) => testCaches(screen, client),
  status,
};

afterEach(() => vi.restoreAllMocks());

test.each(Object.keys(COMMANDS).flatMap((name) => [[name, "text"] as const, [name, "JSON"] as const]))(
  "%s, as %s, prints what others chose without one character that a terminal obeys",
  async (name, form) => {
    const dir = await mkdtemp(join(tmpdir(), "restante-"));
    const printed: string[] = [];
    for (const stream of [process.stdout, process.stderr])
      vi.spyOn(stream, "write").mockImplementation((text) => printed.push(String(text)) > 0);
    await COMMANDS[name]?.(createScreen({ json: form === "JSON", color: false }), new Hostile(), dir);
    vi.restoreAllMocks();
    const saved = await readdir(dir);
    await rm(dir, { recursive: true });
    expect(printed.join("")).not.toBe("");
    expect(printed.join("")).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u);
    // Of a text each line is a line; a name never is more than one.
    for (const file of saved) expect(file).not.toMatch(/[\p{C}\p{Zl}\p{Zp}/\\]/u);
    expect(saved.length).toBe(name === "recv" ? 1 : 0);
    // For programs: where it is from everywhere, and no option.
    if (name === "recv" && form === "JSON") expect(printed.join("")).toContain(`"saved":"${dir}/`);
  },
);

test("a name from outside is no path, no hidden file and no word that a system keeps, where it becomes a file", () => {
  for (const name of [
    "../../.bashrc",
    NASTY,
    "NUL.txt",
    ".profile",
    "a:b",
    "...",
    "\u202e",
    "a\u2028b",
    "-rf",
    `x.${"\u{10000}".repeat(9)}`,
  ]) {
    const safe = safeName(name);
    expect(safe).not.toMatch(/[\p{C}\p{Zl}\p{Zp}<>:"/\\|?*]|^\.|^nul\b/iu);
    expect(safe).not.toBe("");
  }
});

test("an invite whose maker is called by control characters is none: no QR code and no link can hold such a name", () => {
  const keys = new Map([[0x3a, new Uint8Array(32).fill(9)]]);
  const link = {
    ...{ keys, hashname: hashnameOf(portable, keys), paths: [{ type: "udp4", ip: "192.0.2.1", port: 1 }], caches: [] },
    ...{ card: new Uint8Array(16), secret: new Uint8Array(16) },
  };
  for (const mark of ["\u0007", "\u001b", "\u202e", "\u2066", "\u2028", "\n", "\u009b"])
    expect(() => encodeInvite({ ...link, name: `Bob${mark}` })).toThrow();
  expect(parseInvite(portable, encodeInvite({ ...link, name: "Bob" }))?.name).toBe("Bob");
});
