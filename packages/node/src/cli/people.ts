/**
 * Commands about people, devices and caches: invite, add, remove, contacts, requests, block, unblock, blocked, verify, list,
 * lists, device, devices, cache join, cache leave, status.
 */
import { text as readAll } from "node:stream/consumers";
import {
  type BlockedInfo,
  type ContactInfo,
  type LinkResolver,
  type ListInfo,
  type RequestInfo,
  RestanteError,
  resolveLink,
} from "restante";
import { isHostName, linksIn, parseLink } from "restante/protocol";
import type { Client } from "../api/client.ts";
import type {
  AddedInfo,
  BlockedList,
  ContactList,
  DeviceList,
  InviteInfo,
  JoinedInfo,
  LeftInfo,
  Lists,
  OfferList,
  OutboxList,
  RequestList,
  SafetyList,
  StatusInfo,
  WebInfo,
} from "../api/contract.ts";
import { bazaarLines } from "./bazaar.ts";
import { offerLines, ownerText, sayJoined, takeOffer } from "./caches.ts";
import { EXIT, isFromNpm, program, quote, self, usage, whose } from "./failure.ts";
import { contactName } from "./mail.ts";
import { qrCode } from "./qr-code.ts";
import { count, printable, type Screen, short, size, table, time } from "./screen.ts";

/** Prints a new invite link, and its QR code for people. */
export async function invite(
  screen: Screen,
  client: Client,
  options: { reusable?: boolean; qr?: boolean; work?: number },
): Promise<number> {
  const { reusable, work } = options;
  const body = { once: !reusable, ...(work === undefined ? {} : { work }) };
  const { link } = await client.call<InviteInfo>("POST", "/v1/invites", body);
  if (screen.json) {
    screen.out(JSON.stringify({ link }));
    return EXIT.done;
  }
  screen.out(link);
  // Talk, so that a script gets the link alone.
  if (options.qr || screen.isTerminal) {
    for (const line of qrCode(screen, link)) screen.say(line);
    const who = reusable
      ? "Whoever uses it becomes your contact."
      : "The first who uses it becomes your contact. Give it to nobody else.";
    screen.say(screen.paint("dim", who));
    if (work)
      screen.say(screen.paint("dim", "What comes by it through your caches waits until its sender has worked for it."));
  }
  if (work && (await client.call<StatusInfo>("GET", "/v1/status")).caches.length === 0)
    screen.say(`the work counts at caches only, and you have none: after \`${self()} cache join\` make another invite`);
  return EXIT.done;
}

/** What to do about the warning of a browser. */
export function certificateAdvice(fingerprint: string): string {
  return `The browser warns of its certificate, once. Go on if the SHA-256 that it shows is this:\n${fingerprint}`;
}

/** Prints the web page's address, with what lets one browser in. */
export async function web(screen: Screen, client: Client): Promise<number> {
  const { link, fingerprint } = await client.call<WebInfo>("POST", "/v1/web", {});
  screen.out(screen.json ? JSON.stringify({ link, fingerprint }) : link);
  if (!screen.json && fingerprint !== undefined) screen.say(certificateAdvice(fingerprint));
  if (!screen.json && screen.isTerminal)
    screen.say(screen.paint("dim", "It opens one browser, once. Show it to nobody."));
  return EXIT.done;
}

/** Makes an invite of ours void. Without a link, or with "-", it is read from stdin. */
export async function closeInvite(screen: Screen, client: Client, link: string | undefined): Promise<number> {
  const text = await linkFrom(link, "the invite");
  const closed = await eachLink(text, (link) => client.call<InviteInfo>("POST", "/v1/invites/close", { link }));
  if (screen.json) screen.out(JSON.stringify(closed));
  else screen.say("this invite is closed: nobody becomes your contact by it any more; who did already stays one");
  return EXIT.done;
}

/** Adds who made the invite. Without a link, or with "-", it is read from stdin. */
export async function add(screen: Screen, client: Client, link: string | undefined): Promise<number> {
  const text = await linkFrom(link, "an invite");
  if (!text.includes("://") && !text.startsWith("{")) throw usage(noInvite(text));
  // Loaded where it is needed: most commands ask nobody but the daemon.
  const resolver = async (): Promise<LinkResolver> => (await import("../discovery.ts")).nodeResolver();
  const before = await client.call<ContactList>("GET", "/v1/contacts");
  const contact = await eachLink(text, async (link) =>
    client.call<ContactInfo>("POST", "/v1/contacts", { link: await inviteFrom(link, resolver) }),
  );
  if (screen.json) screen.out(JSON.stringify(contact));
  else {
    screen.out(contact.id);
    screen.say(
      before.contacts.some(({ id }) => id === contact.id)
        ? `${contactName(contact)} was your contact already; by what this invite says it is found as well`
        : `${contactName(contact)} is your contact now, and hears of you as soon as your node reaches it or its cache`,
    );
  }
  return EXIT.done;
}

/** Of what does not even look like an invite. */
function noInvite(text: string): string {
  const isDomain = /^[\w-]+(\.[\w-]+)+$/.test(text);
  const advice = isDomain
    ? `to ask a domain for one, write link://${text}`
    : "it starts with link://, and goes in quotes";
  return `${isDomain ? text : "this"} is no invite; ${advice}`;
}

/**
 * The invite that is meant: the text itself, or for link JSON and for the link of a domain without keys the invite in what
 * `resolveLink` finds. Only then is `resolver` called. Throws what `resolveLink` throws, and "not-found" where there is a
 * peer but no invite.
 */
export async function inviteFrom(text: string, resolver: () => Promise<LinkResolver>): Promise<string> {
  const link = parseLink(text);
  const isOfDomain = link !== undefined && link.keys.size === 0 && isHostName(link.host);
  // The link of a cache has a token and nothing to look up; the daemon says what is wrong with it.
  const isForCache = link?.query.some(([name]) => name === "t");
  if (!text.startsWith("{") && (!isOfDomain || isForCache)) return text;
  const { invite } = await resolveLink(text, await resolver()).catch((error: unknown) => {
    throw isOfDomain && error instanceof RestanteError ? aboutDomain(link.host ?? "", error) : error;
  });
  if (invite === undefined)
    throw new RestanteError(
      "not-found",
      "this says where a peer is, but there is no invite with it; ask its owner for one",
    );
  return invite;
}

/** Why a domain led to no invite. The library names nobody in its errors; who asks knows the name. */
function aboutDomain(host: string, error: RestanteError): RestanteError {
  const because: Readonly<Record<string, string>> = {
    unreachable: `${host} could not be asked for an invite: neither its web server nor DNS gave an answer. Is the name right, and is this machine online?`,
    "no-keys": `${host} publishes no invite, neither on its web server (WebFinger) nor in DNS; ask its owner for one`,
  };
  const message = because[error.code];
  return message === undefined ? error : new RestanteError(error.code, message, { cause: error });
}

/** Knows a contact no more. */
export async function remove(screen: Screen, client: Client, contact: string): Promise<number> {
  const removed = await client.call<ContactInfo>("DELETE", `/v1/contacts/${encodeURIComponent(contact)}`);
  if (screen.json) screen.out(JSON.stringify(removed));
  else {
    const { id, name } = removed;
    const who = name === undefined ? "" : ` (${short(id)})`;
    screen.say(`${contactName(removed)}${who} is no contact of yours any more, and is not told`);
    screen.say(
      "mail to it is given up, and nothing of it reaches you; with a new invite you can know each other again",
    );
    screen.say(`who has an invite of yours can still ask: \`${self()} invite --close\` makes one void`);
    screen.say(`what you wrote to each other stays on this machine: \`${self()} find\` looks through it`);
  }
  return EXIT.done;
}

/** Everybody we can write to. */
export async function contacts(screen: Screen, client: Client): Promise<number> {
  const { contacts } = await client.call<ContactList>("GET", "/v1/contacts");
  if (screen.json) for (const contact of contacts) screen.out(JSON.stringify(contact));
  else if (contacts.length === 0)
    screen.say(`no contacts yet: \`${self()} invite\` makes a link for somebody, \`${self()} add\` takes one`);
  else {
    const rows = contacts.map((contact) => [
      short(contact.id),
      contact.link,
      contact.verified === "all" ? "yes" : contact.verified === "some" ? "in part" : "no",
      String(contact.caches),
      contact.name === undefined ? "" : printable(contact.name, { oneLine: true }),
    ]);
    for (const line of table(screen, ["ID", "LINK", "VERIFIED", "CACHES", "NAME"], rows)) screen.out(line);
    for (const contact of contacts) if (contact.missing > 0) screen.say(missingText(contact));
  }
  return EXIT.done;
}

/** Whether a contact is told which of its mail was seen here. */
export async function readMarks(screen: Screen, client: Client, contact: string, state: string): Promise<number> {
  if (state !== "on" && state !== "off") throw usage(`read marks are on or off, not "${state}"`);
  const path = `/v1/contacts/${encodeURIComponent(contact)}/read-marks`;
  const after = await client.call<ContactInfo>("PUT", path, { on: state === "on" });
  if (screen.json) screen.out(JSON.stringify(after));
  else if (after.readMarks)
    screen.say(
      `${contactName(after)} is told which of its mail \`${self()} recv\` has printed or the page has shown, from now on`,
    );
  else screen.say(`${contactName(after)} is not told what you have read`);
  return EXIT.done;
}

/** Hears of somebody no more: a contact, or who sent a request. */
export async function block(screen: Screen, client: Client, who: string): Promise<number> {
  const { blocked } = await client.call<BlockedList>("POST", "/v1/blocked", { who });
  if (screen.json) for (const each of blocked) screen.out(JSON.stringify(each));
  else if (blocked.length === 0) screen.say("blocked already");
  else {
    for (const each of blocked) screen.say(`${blockedName(each)} is blocked, and cannot find out`);
    const back = blocked.map(({ hashname }) => `\`${self()} unblock ${short(hashname)}\``).join(", ");
    screen.say(
      `mail that comes meanwhile is not shown; ${back} takes it back, and what its sender still offers when it is a contact again comes then`,
    );
  }
  return EXIT.done;
}

/** Makes who is blocked a stranger like all others. */
export async function unblock(screen: Screen, client: Client, hashname: string): Promise<number> {
  const { blocked } = await client.call<BlockedList>("DELETE", `/v1/blocked/${encodeURIComponent(hashname)}`);
  for (const each of blocked)
    if (screen.json) screen.out(JSON.stringify(each));
    else screen.say(`${blockedName(each)} is a stranger now; give it a new invite, for nothing else reaches you`);
  return EXIT.done;
}

/** Whom we do not want to hear of. */
export async function blocked(screen: Screen, client: Client): Promise<number> {
  const { blocked } = await client.call<BlockedList>("GET", "/v1/blocked");
  if (screen.json) for (const each of blocked) screen.out(JSON.stringify(each));
  else if (blocked.length === 0) screen.say("nobody is blocked");
  else {
    const rows = blocked.map(({ hashname, at, name = "" }) => [
      short(hashname),
      time(at),
      printable(name, { oneLine: true }),
    ]);
    for (const line of table(screen, ["HASHNAME", "SINCE", "CALLED ITSELF"], rows)) screen.out(line);
  }
  return EXIT.done;
}

/** Shows what to compare with a contact; or compares what was read there, and marks the device that it is of. */
export async function verify(
  screen: Screen,
  client: Client,
  contact: string,
  said: readonly string[],
  options: { qr?: boolean; undo?: boolean },
): Promise<number> {
  const path = `/v1/contacts/${encodeURIComponent(contact)}`;
  if (said.length > 0 || options.undo) {
    if (said.length > 0 && options.undo) throw usage("--undo takes no words");
    const after = options.undo
      ? await client.call<ContactInfo>("DELETE", `${path}/verified`)
      : await client.call<ContactInfo>("PUT", `${path}/verified`, { said: said.join(" ") });
    if (screen.json) screen.out(JSON.stringify(after));
    else screen.say(`${contactName(after)}: ${VERIFIED[after.verified]}`);
    return EXIT.done;
  }
  const { contact: found, devices } = await client.call<SafetyList>("GET", `${path}/safety`);
  if (screen.json) {
    for (const device of devices) screen.out(JSON.stringify({ contact: found.id, ...device }));
    return EXIT.done;
  }
  for (const { hashname, words, text, isVerified } of devices) {
    screen.out(`${screen.paint("bold", short(hashname))}  ${isVerified ? "verified" : "not verified"}`);
    for (let row = 0; row < words.length; row += ROW) screen.out(`  ${words.slice(row, row + ROW).join(" ")}`);
    if (options.qr || screen.isTerminal) for (const line of qrCode(screen, text)) screen.say(line);
  }
  screen.say(
    `${contactName(found)} sees the same words when nobody stands between you: have them read to you in a way that you trust, on the telephone for example, then compare with \`${self()} verify ${quote(contact)} WORDS...\``,
  );
  return EXIT.done;
}

/** Who wants to be a contact; or the answer to one of them. */
export async function requests(
  screen: Screen,
  client: Client,
  verb: string | undefined,
  id: string | undefined,
): Promise<number> {
  if (verb !== undefined) {
    if (verb !== "accept" && verb !== "ignore")
      throw usage(`a request can be answered with accept or ignore, not with "${verb}"`);
    if (id === undefined) throw usage(`which one? Give the id that \`${self()} requests\` shows: requests ${verb} ID`);
    const request = await client.call<RequestInfo>("POST", `/v1/requests/${encodeURIComponent(id)}/${verb}`);
    if (screen.json) screen.out(JSON.stringify(request));
    else
      screen.say(
        verb === "accept"
          ? `${requestName(request)} is your contact now`
          : `${requestName(request)} is ignored and learns nothing`,
      );
    return EXIT.done;
  }
  const { requests } = await client.call<RequestList>("GET", "/v1/requests");
  if (screen.json) for (const request of requests) screen.out(JSON.stringify(request));
  else if (requests.length === 0) screen.say("nobody waits for an answer");
  else {
    const rows = requests.map((request) => [
      short(request.request),
      time(request.at),
      request.name === undefined ? "" : printable(request.name, { oneLine: true }),
      [
        ...(request.before ? [screen.paint("yellow", "writes as to somebody it knows: from after your backup?")] : []),
        printable(request.texts.join(" / "), { oneLine: true }),
      ].join(" "),
    ]);
    for (const line of table(screen, ["ID", "SINCE", "CALLS ITSELF", "WRITES"], rows)) screen.out(line);
  }
  return EXIT.done;
}

/** Lets a cache hold our mail. */
export async function joinCache(screen: Screen, client: Client, link: string | undefined): Promise<number> {
  // No link is without a colon, and no start of one is a contact.
  if (link !== undefined && link !== "-" && !link.includes(":")) return takeOffer(screen, client, link);
  const text = await linkFrom(link, "the link of a cache");
  const joined = await eachLink(text, (link) => client.call<JoinedInfo>("POST", "/v1/caches", { link }));
  if (screen.json) screen.out(JSON.stringify(joined));
  else sayJoined(screen, joined);
  return EXIT.done;
}

/** Uses a cache no more. */
export async function leaveCache(screen: Screen, client: Client, cache: string): Promise<number> {
  const left = await client.call<LeftInfo>("DELETE", `/v1/caches/${encodeURIComponent(cache)}`);
  if (screen.json) screen.out(JSON.stringify(left));
  else {
    screen.say(`${short(left.cache)} is no cache of yours any more; your contacts hear of it`);
    screen.say("what it still kept for you comes again from its senders");
    if (left.others === 0) {
      const { bazaar } = await client.call<StatusInfo>("GET", "/v1/status");
      screen.say(`you have no cache now: ${withoutCache(bazaar)}`);
    }
  }
  return EXIT.done;
}

/** How the daemon fares. Degraded when it has a problem. */
export async function status(screen: Screen, client: Client): Promise<number> {
  const status = await client.call<StatusInfo>("GET", "/v1/status");
  const code = status.problems.length > 0 ? EXIT.degraded : EXIT.done;
  if (screen.json) {
    screen.out(JSON.stringify(status));
    return code;
  }
  // What waits there in the daemon's own matters, its card for a contact, is nothing that the user sent.
  const { outbox, behind = 0 } = await client.call<OutboxList>("GET", "/v1/outbox");
  const letters = outbox.filter(
    ({ kind, state }) => kind !== "card" && kind !== "sync" && (state === "queued" || state === "handed"),
  );
  const onTheWay = letters.length + behind;
  const unseen = Math.max(status.inbox - status.seen, 0);
  const rows: [string, string][] = [
    ["state", status.state === "running" ? screen.paint("green", "running") : screen.paint("red", status.state)],
    ["name", nameOf(status.name)],
    ["hashname", status.hashname],
    ["home", status.home],
    ["listens on", listensOn(status.paths).join(NEXT_LINE)],
    [
      "contacts",
      `${status.contacts}${status.requests > 0 ? `, and ${count(status.requests, "request")} to answer` : ""}`,
    ],
    [
      "caches",
      status.caches.length === 0
        ? `none: ${withoutCache(status.bazaar)}`
        : status.caches
            .map((cache) => `${short(cache.hashname)}${ownerText(cache)} (${cacheState(cache)})`)
            .join(NEXT_LINE),
    ],
    ...(status.offers === 0 ? [] : ([["offered", await offeredText(client)]] satisfies [string, string][])),
    [
      "inbox",
      `${status.inbox === 0 ? "no mail yet" : `${count(status.inbox, "mail")}, ${unseen || "none"} new`}${status.missing > 0 ? `, ${status.missing} missing` : ""}`,
    ],
    ["outbox", onTheWay === 0 ? "nothing on the way" : `${count(onTheWay, "mail")} on the way`],
    ...(status.isCopied ? ([["restored", RESTORED]] satisfies [string, string][]) : []),
    ...(status.unknown > 0 ? ([["unknown", unknownText(status.unknown)]] satisfies [string, string][]) : []),
    ...(status.bazaar ? ([["bazaar", bazaarLines(status.bazaar).join(NEXT_LINE)]] satisfies [string, string][]) : []),
    ["crypto", status.backend],
    ["version", status.version],
  ];
  if (status.held !== undefined) rows.push(["holds", heldText(status.held)]);
  if (status.joinLink !== undefined) rows.push(["join link", status.joinLink]);
  if (status.offering === true) rows.push(["offers", "your contacts may use this cache"]);
  for (const [name, value] of rows) screen.out(`${screen.paint("dim", name.padEnd(10))}  ${value}`);
  for (const problem of status.problems)
    screen.say(screen.paint("yellow", `problem: ${printable(problem, { oneLine: true })}`));
  return code;
}

/** Whether it is there, and holds mail: one that is there may be no cache any more. */
function cacheState({ up, test }: StatusInfo["caches"][number]): string {
  if (!up) return "down";
  if (test?.outcome === "none") return "up, but no cache any more";
  return test?.outcome === "lost" || test?.outcome === "changed" ? "up, but did not give a test mail back" : "up";
}

function withoutCache(bazaar: StatusInfo["bazaar"]): string {
  const both = "only while both of you are online";
  return bazaar === undefined ? `others reach you ${both}` : `others reach you by the bazaar, or ${both}`;
}

/** Our own name, or how to get one. */
export function nameOf(name: string | undefined): string {
  if (name !== undefined) return printable(name, { oneLine: true });
  const { length: isElsewhere } = whose();
  const verb = isElsewhere ? "serve" : "start";
  const command = isFromNpm() && !isElsewhere ? "npm start -- --name NAME" : `${self()} ${verb} --name NAME`;
  return `none yet; \`${command}\` gives one`;
}

/** Addresses, each once, with the protocols that are open there: "10.0.0.7:42424 (udp, tcp)". */
export function listensOn(paths: StatusInfo["paths"]): string[] {
  const byAddress = new Map<string, string[]>();
  for (const { type, ip = "", port } of paths) {
    const address = ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
    byAddress.set(address, [...(byAddress.get(address) ?? []), type.slice(0, 3)]);
  }
  return [...byAddress].map(([address, types]) => `${address} (${types.join(", ")})`);
}

function missingText({ missing, ...contact }: ContactInfo): string {
  const what = missing === 1 ? "1 mail is" : `${missing} mails are`;
  return `${what} missing from ${contactName(contact)}: ${MISSING}`;
}

function heldText(held: NonNullable<StatusInfo["held"]>): string {
  return `${count(held.messages, "message")} in ${held.boxes === 1 ? "1 box" : `${held.boxes} boxes`}, ${size(held.bytes)}`;
}

/** Puts contacts into a list, which is made by that. */
export async function addToList(
  screen: Screen,
  client: Client,
  name: string,
  contacts: readonly string[],
): Promise<number> {
  const known = await listOf(client, name);
  const list = await client.call<ListInfo>("PUT", listPath(name), {
    contacts: [...(known?.contacts ?? []), ...contacts],
  });
  return showList(screen, list);
}

/** Takes contacts out of a list, which is over with the last one; without any named, all. */
export async function removeFromList(
  screen: Screen,
  client: Client,
  name: string,
  contacts: readonly string[],
): Promise<number> {
  const known = await listOf(client, name);
  const gone = await Promise.all(
    contacts.map((each) => client.call<ContactInfo>("GET", `/v1/contacts/${encodeURIComponent(each)}`)),
  );
  const left =
    contacts.length === 0 ? [] : (known?.contacts ?? []).filter((id) => !gone.some((each) => each.id === id));
  if (left.length > 0) return showList(screen, await client.call<ListInfo>("PUT", listPath(name), { contacts: left }));
  const list = await client.call<ListInfo>("DELETE", listPath(name));
  return showList(screen, { ...list, contacts: [] });
}

/** All lists, and who is in them. */
export async function lists(screen: Screen, client: Client): Promise<number> {
  const { lists } = await client.call<Lists>("GET", "/v1/lists");
  if (screen.json) for (const list of lists) screen.out(JSON.stringify(list));
  else if (lists.length === 0) screen.say(`no lists yet: \`${self()} list add\` makes one`);
  else {
    const { contacts } = await client.call<ContactList>("GET", "/v1/contacts");
    const named = (id: string): string =>
      contactName(contacts.find((each) => each.id === id) ?? { id, name: undefined });
    const rows = lists.map(({ name, contacts }) => [
      printable(name, { oneLine: true }),
      contacts.map(named).join(", "),
    ]);
    for (const line of table(screen, ["LIST", "CONTACTS"], rows)) screen.out(line);
  }
  return EXIT.done;
}

/** Prints a link by which another device of the user takes this one in. */
export async function deviceLink(screen: Screen, client: Client, options: { qr?: boolean }): Promise<number> {
  const { link } = await client.call<InviteInfo>("POST", "/v1/devices/link");
  if (screen.json) {
    screen.out(JSON.stringify({ link }));
    return EXIT.done;
  }
  screen.out(link);
  if (options.qr || screen.isTerminal) {
    for (const line of qrCode(screen, link)) screen.say(line);
    screen.say(
      screen.paint(
        "dim",
        `For \`${program()} device add\` on your other device. Whoever uses it first makes this device theirs.`,
      ),
    );
    screen.say(screen.paint("dim", OWN_CACHE));
  }
  return EXIT.done;
}

/** Takes in the device that made the link. Without one, or with "-", it is read from stdin. */
export async function addDevice(screen: Screen, client: Client, link: string | undefined): Promise<number> {
  const text = await linkFrom(link, "the link of a device");
  const added = await eachLink(text, (link) => client.call<AddedInfo>("POST", "/v1/devices", { link }));
  if (screen.json) screen.out(JSON.stringify(added));
  else {
    screen.out(added.hashname);
    screen.say("it is one of yours as soon as it has answered; then your contacts are told, and write to each of them");
    screen.say(OWN_CACHE);
  }
  return EXIT.done;
}

/** Tells everybody that a device is none of ours any more. */
export async function removeDevice(screen: Screen, client: Client, hashname: string): Promise<number> {
  const { devices } = await client.call<DeviceList>("DELETE", `/v1/devices/${encodeURIComponent(hashname)}`);
  for (const device of devices) if (screen.json) screen.out(JSON.stringify(device));
  if (!screen.json) {
    screen.say("your contacts are told, and write to it no more; it cannot be added again");
    screen.say("what it had, mail and the keys to write under your name until they know, is with whoever has it");
    screen.say("your caches let in by new keys: an invite that you made before reaches you only while you are there");
  }
  return EXIT.done;
}

/** The devices of the user. */
export async function devices(screen: Screen, client: Client): Promise<number> {
  const { devices } = await client.call<DeviceList>("GET", "/v1/devices");
  if (screen.json) for (const device of devices) screen.out(JSON.stringify(device));
  else if (devices.length === 0)
    screen.say(`only this one: \`${self()} device link\` on a new one makes a link to add it by`);
  else {
    const rows = devices.map(({ hashname, isThis, isReady }) => [
      short(hashname),
      isThis ? "this one" : isReady ? "yes" : "not heard of yet",
    ]);
    for (const line of table(screen, ["HASHNAME", "READY"], rows)) screen.out(line);
  }
  return EXIT.done;
}

async function listOf(client: Client, name: string): Promise<ListInfo | undefined> {
  const { lists } = await client.call<Lists>("GET", "/v1/lists");
  return lists.find((list) => list.name.toLowerCase() === name.toLowerCase());
}

function listPath(name: string): string {
  return `/v1/lists/${encodeURIComponent(name)}`;
}

function showList(screen: Screen, list: ListInfo): number {
  const { name, contacts } = list;
  if (screen.json) screen.out(JSON.stringify(list));
  else if (contacts.length === 0) screen.say(`there is no list ${printable(name, { oneLine: true })} any more`);
  else screen.say(`${printable(name, { oneLine: true })}: ${count(contacts.length, "contact")}`);
  return EXIT.done;
}

function blockedName({ hashname, name }: BlockedInfo): string {
  return name === undefined ? short(hashname) : `${printable(name, { oneLine: true })} (${short(hashname)})`;
}

function requestName({ request: id, name }: RequestInfo): string {
  return name === undefined ? short(id) : printable(name, { oneLine: true });
}

async function linkFrom(link: string | undefined, what: string): Promise<string> {
  if (link === undefined && process.stdin.isTTY) throw usage(`give ${what} in quotes, or pipe it in`);
  const text = (link === undefined || link === "-" ? await readAll(process.stdin) : link).trim();
  if (text === "") throw usage(`give ${what} in quotes, or pipe it in`);
  return text;
}

/**
 * Uses the link in a text that somebody pasted, words and line breaks around it or in it: the first that is whole, as its checksum tells.
 * Throws what `use` throws.
 */
async function eachLink<T>(text: string, use: (link: string) => Promise<T>): Promise<T> {
  let first: unknown;
  for (const link of text.startsWith("{") ? [text] : linksIn(text)) {
    try {
      return await use(link);
    } catch (error) {
      if (!(error instanceof RestanteError) || !DAMAGED.has(error.code)) throw error;
      first ??= error;
    }
  }
  throw first;
}

const DAMAGED: ReadonlySet<string> = new Set(["bad-invite", "bad-link"]);
/** Of mail that was sent before other mail that is here. */
export const MISSING = "on the way, taken back by their sender, or lost";
const ROW = 8; // words
const VERIFIED: Readonly<Record<ContactInfo["verified"], string>> = {
  all: "verified, on all devices",
  some: "verified, but not on all devices",
  none: "not verified",
};
async function offeredText(client: Client): Promise<string> {
  return offerLines((await client.call<OfferList>("GET", "/v1/offers")).offers).join(NEXT_LINE);
}

/** Of people whom the store before the backup knew, or who say so. */
function unknownText(people: number): string {
  const whose = people === 1 ? "somebody" : `${people} people`;
  return `mail of ${whose} from after the backup, it seems: it waits until they say who they are, then see \`${self()} requests\``;
}

const RESTORED = "from a backup or a copy: goes on under new numbers; of two in use, stop one";
const OWN_CACHE = "each device has caches of its own: `cache join` on the new one lets one hold mail for it, too";
/** Of a value of `status`. */
const NEXT_LINE = `\n${" ".repeat(12)}`;
