// What the pictures of the documents show: the answers of a daemon that never was. Times are fixed, so that a picture changes
// only when the page does.

export const NOW = Date.UTC(2026, 4, 14, 15, 42);
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A hashname that is always the same for the same word. */
function hashname(word) {
  let state = [...word].reduce((sum, letter) => (sum * 33 + letter.charCodeAt(0)) >>> 0, 5381);
  let text = "";
  while (text.length < 52) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += "abcdefghijklmnopqrstuvwxyz234567"[state >>> 27];
  }
  return text;
}
const idOf = (name) => Buffer.from(hashname(name)).toString("hex").slice(0, 32);

const PEOPLE = ["Bob Ross", "Frida", "Søren", "Amélie", "Yusuf", "Mei", "Grandma", "Dr. Okafor", "Ravi", "Ines"];
const contact = (name, at) => ({
  id: idOf(name),
  name,
  hashnames: [hashname(name)],
  caches: 1,
  link: at % 3 === 0 ? "down" : "up",
  verified: at < 2 ? "all" : "none",
  readMarks: at === 1,
  missing: 0,
});

/** A mesh of so many contacts, with caches of theirs and of ours. */
function mesh(count) {
  const peers = [];
  const link = (at) =>
    at % 3 === 0
      ? { state: "down" }
      : {
          state: "up",
          place:
            at % 7 === 1
              ? { reach: "router" }
              : { transport: at % 2 ? "udp" : "tcp", reach: at % 4 === 2 ? "lan" : "internet" },
          ...(at % 7 === 1 ? { router: hashname("our cache 0") } : {}),
          since: NOW - at * 17 * MINUTE - 20 * MINUTE,
          roundTrip: 9 + ((at * 31) % 90),
        };
  for (let at = 0; at < Math.min(2, count / 2); at++)
    peers.push({ hashname: hashname(`our cache ${at}`), kind: "cache", isOurs: true, cacheOf: [], ...link(at + 2) });
  if (count > 3) peers.unshift({ hashname: hashname("phone"), kind: "device", isOurs: false, cacheOf: [], ...link(2) });
  for (let at = 0; at < count; at++) {
    const name = PEOPLE[at] ?? `Friend ${at}`;
    peers.push({
      hashname: hashname(name),
      kind: "contact",
      contact: idOf(name),
      name,
      isOurs: false,
      cacheOf: [],
      ...link(at),
    });
    const shared =
      at === 1
        ? peers.find(({ isOurs }) => isOurs)
        : peers.find(({ hashname: each }) => each === hashname(`cache ${at >> 1}`));
    if (shared) shared.cacheOf.push(idOf(name));
    else
      peers.push({
        hashname: hashname(`cache ${at >> 1}`),
        kind: "cache",
        isOurs: false,
        cacheOf: [idOf(name)],
        ...link(at + 1),
      });
  }
  return {
    self: { hashname: hashname("me"), name: "Ada", places: [{ transport: "udp", reach: "lan" }] },
    peers,
    others: 4,
  };
}

function totals() {
  const slots = (count, step, scale) =>
    Array.from({ length: count }, (_, i) => {
      const wave = 1 + Math.sin(i / 5) + 0.5 * Math.sin(i / 1.7);
      const messages = Math.round(scale * (2 + wave));
      return {
        at: (Math.floor(NOW / step) - count + i + 2) * step,
        ...{ messages, bytes: messages * 1870, recipients: 6, stay: Math.round((30 + 9 * wave) * MINUTE) },
        ...{ taken: Math.round(scale * 0.3 * wave), collected: Math.round(scale * 0.27 * (1 + Math.sin(i / 5 - 0.8))) },
        ...{ refused: 0, evicted: 0, expired: i % 40 === 9 ? 1 : 0 },
      };
    });
  return { minutes: slots(60, MINUTE, 14), hours: slots(120, HOUR, 40), stay: 43 * MINUTE };
}

const LINES = [
  ["in", "Did you see the light over the bay this morning?", -4 * HOUR],
  ["out", "I did! Painted all of it before breakfast.", -3.9 * HOUR, "read"],
  ["in", "A happy little tree. Come and see it when you are back.", -3.8 * HOUR],
  ["out", { name: "bay-at-dawn.jpg", size: 2_418_000 }, -2 * HOUR, "delivered"],
  ["out", "I am on the train until Monday. Leave me a note?", -12 * MINUTE, "handed"],
];
const history = LINES.map(([way, what, at, state], i) => ({
  way,
  n: i + 1,
  id: idOf(`mail ${i}`),
  contact: idOf("Bob Ross"),
  kind: typeof what === "string" ? "text" : "file",
  ...(typeof what === "string" ? { text: what } : { file: { ...what, media: "image/jpeg", sha256: "" } }),
  time: NOW + at,
  ...(way === "in" ? { received: NOW + at + 2000 } : { state }),
}));
const LAST = {
  Frida: "See you at the market, then.",
  Søren: "The boat is in the water!",
  Amélie: "merci, à dimanche",
  Grandma: "Eat something warm.",
};

/** What a path of the API answers; `undefined`: not part of the scene. */
export function answer(path, { people = 7, contacts = PEOPLE.slice(0, 7) } = {}) {
  const caches = [0, 1].map((at) => ({ hashname: hashname(`our cache ${at}`), up: true, cap: 8_388_608 }));
  const known = contacts.map(contact);
  if (path === "/v1/status")
    return {
      ...{
        hashname: hashname("me"),
        name: "Ada",
        paths: [],
        links: [],
        channels: 0,
        caches,
        cachesLeftOut: 0,
        contacts: known.length,
      },
      ...{
        requests: 0,
        inbox: 9,
        sent: 5,
        behind: 0,
        isCopied: false,
        state: "running",
        turns: 1,
        faults: 0,
        version: "0.4.0",
      },
      ...{ home: "~/.local/state/restante", backend: "native", seen: 9, waiting: 1, missing: 0, problems: [] },
      ...{ joinLink: `link://192.0.2.7:42424?cs3a=${hashname("key")}`, serving: "on", offering: true, offers: 1 },
      held: {
        recipients: 6,
        boxes: 9,
        messages: 41,
        bytes: 76_000,
        memory: 90_000,
        gained: 1,
        refused: 0,
        evicted: 0,
        expired: 0,
      },
    };
  if (path === "/v1/contacts") return { contacts: known };
  if (path === "/v1/requests") return { requests: [] };
  if (path === "/v1/seen") return { n: 9 };
  if (path === "/v1/messages") return { messages: [] };
  if (path === "/v1/outbox") return { outbox: [], behind: 0 };
  if (path.startsWith("/v1/outbox/")) return { id: "", state: "handed", ledger: way() };
  if (path === "/v1/peers") return { caches: caches.map(({ hashname: cache, ...rest }) => ({ cache, ...rest })) };
  if (path === "/v1/offers")
    return {
      offers: [
        { contact: idOf("Frida"), name: "Frida", cache: hashname("cache f"), quota: 67_108_864, cap: 8_388_608 },
      ],
    };
  if (path === "/v1/mesh") return mesh(people);
  if (path === "/v1/cache/totals") return totals();
  if (path === "/v1/devices")
    return {
      devices: [
        { hashname: hashname("me"), isThis: true, isReady: true },
        { hashname: hashname("phone"), isThis: false, isReady: true },
      ],
    };
  if (path === "/v1/lists") return { lists: [{ name: "Family", contacts: [idOf("Grandma"), idOf("Frida")] }] };
  if (path === "/v1/blocked")
    return { blocked: [{ hashname: hashname("nobody"), at: NOW - 5 * DAY, name: "Free money" }] };
  if (path === "/v1/retentions") return { retentions: [] };
  if (path === "/v1/invites") return { link: `link://192.0.2.7:42424?cs3a=${hashname("key").repeat(4)}` };
  if (path.endsWith("/safety"))
    return {
      contact: known[0],
      devices: [{ hashname: hashname("Bob Ross"), isVerified: true, text: "", words: WORDS }],
    };
  if (path.endsWith("/history")) {
    const whose = known.find(({ id }) => path.includes(id)) ?? known[0];
    const entries = whose.name === "Bob Ross" ? history : [theirs(whose)];
    return { contact: whose, entries };
  }
  return undefined;
}

const WORDS =
  "amber bridge candle dolphin ember falcon garden harbor island jungle kettle lantern meadow nectar orchard pebble".split(
    " ",
  );

function theirs({ id, name }) {
  const at = NOW - (1 + PEOPLE.indexOf(name)) * 5 * HOUR;
  return {
    way: "in",
    n: 1,
    id: idOf(`last ${name}`),
    contact: id,
    kind: "text",
    text: LAST[name] ?? "Thank you!",
    time: at,
    received: at,
  };
}

function way() {
  const at = NOW - 12 * MINUTE;
  return [
    { state: "queued", at },
    { state: "handed", at: at + 900, route: "cache", cache: hashname("cache 0") },
    { state: "handed", at: at + 1400, route: "cache", cache: hashname("cache b") },
  ];
}
