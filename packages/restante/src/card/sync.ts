/** What devices of one person tell each other, as mail of kind "sync": a pure format. protocol/card.md §6 */
import { fromBase32, fromHex, fromUtf8, type Time, toBase32, utf8 } from "../bytes/index.ts";
import {
  type Backend,
  encodeKeys,
  type Hashname,
  hashnameOf,
  type Keys,
  parseHashname,
  parseKeys,
} from "../crypto/index.ts";
import { encodeJson, type Json, type JsonObject, parseJson, text, uint } from "../wire/index.ts";
import { isStore, type JoinAnswer, readEdition } from "./admission.ts";
import { type BazaarAddress, bazaarJson, parseBazaar } from "./bazaar.ts";
import { type Card, encodeCard, fits, MAX_CACHES, MAX_OTHERS, parseCard } from "./card.ts";
import { fitted } from "./fitted.ts";
import { type Offer, offerJson, parseOffer } from "./offer.ts";
import { type Path, parsePaths, pathJson } from "./path.ts";

/** A device, as it describes itself: what others of the same person put into the card that they give out. */
export interface Device {
  /** Derived from `keys`. */
  readonly hashname: Hashname;
  readonly keys: Keys;
  readonly paths: readonly Path[];
  readonly caches: readonly DeviceCache[];
  readonly bazaar?: BazaarAddress;
  readonly offer?: Offer;
  /** Of two descriptions the later counts. */
  readonly at: Time;
}

/** A cache of a device, and what that got when it joined: whoever has it mints its tokens. */
interface DeviceCache extends JoinAnswer {
  readonly hashname: Hashname;
  readonly keys: Keys;
  readonly paths: readonly Path[];
}

/** A device that is one no more, for good: its keys may be with somebody else. */
export interface Gone {
  readonly hashname: Hashname;
  readonly at: Time;
  readonly gone: true;
}

/** What one device tells another. */
export type Sync =
  /** The card that all of them give out, and the devices in it; those that are gone among them. */
  | {
      readonly type: "family";
      readonly card: string;
      readonly version: number;
      readonly name: string | undefined;
      /** How often the name was changed, on any device; absent: never. Of two names the one with more counts. */
      readonly renamed?: number;
      readonly devices: readonly (Device | Gone)[];
    }
  /** A contact: its card as the recipient is to have it, and who of it has shown itself. */
  | {
      readonly type: "contact";
      readonly card: Card;
      readonly shown: readonly Hashname[];
      /** It has just become one: also where it had been removed. */
      readonly isNew?: true;
    }
  /** A contact that is one no more. */
  | { readonly type: "forget"; readonly contact: string };

/** As the text of a mail. */
export function syncText(sync: Sync): string {
  switch (sync.type) {
    case "family": {
      const { type, card, version, name, renamed, devices } = sync;
      const changed = renamed !== undefined && renamed > 0 ? { renamed } : {};
      return textOfJson({ v: FORMAT, type, card, version, name, ...changed, devices: devices.map(deviceJson) });
    }
    case "contact": {
      const { type, card, shown, isNew } = sync;
      return textOfJson({ v: FORMAT, type, card: fromUtf8(encodeCard(card)) ?? "", shown, new: isNew });
    }
    case "forget":
      return textOfJson({ v: FORMAT, ...sync });
  }
}

/**
 * As the texts of as many mails as it takes, of at most 28 KiB each. Devices are told some in each; of a contact's card that is too
 * large for one, what has room: the rest comes from the contact itself.
 */
export function syncTexts(sync: Sync): string[] {
  if (sync.type === "contact") {
    const isGood = (card: Card): boolean => fits(card) && isShort(syncText({ ...sync, card }));
    return [syncText({ ...sync, card: fitted(sync.card, isGood) })];
  }
  if (sync.type === "forget") return [syncText(sync)];
  const texts: string[] = [];
  let devices: (Device | Gone)[] = [];
  // Who is gone first: that is what must not be missed.
  for (const device of [...sync.devices].sort((a, b) => Number("gone" in b) - Number("gone" in a))) {
    if (devices.length > 0 && !isShort(syncText({ ...sync, devices: [...devices, device] }))) {
      texts.push(syncText({ ...sync, devices }));
      devices = [];
    }
    devices.push(device);
  }
  return [...texts, syncText({ ...sync, devices })];
}

/** The description with as many addresses as leave it short enough for one mail. Its caches stay all. */
export function deviceInRoom(device: Device): Device {
  let less = device;
  for (const most of ADDRESSES) {
    if (encodeDevice(less).length <= DEVICE_BYTES) break;
    const caches = device.caches.map((cache) => ({ ...cache, paths: cache.paths.slice(0, most) }));
    less = { ...device, paths: device.paths.slice(0, 2 * most), caches };
  }
  return less;
}

/** What such a text says; `undefined` for any other text. Never throws. */
export function parseSync(backend: Backend, mail: string): Sync | undefined {
  const json = asObject(parseJson(utf8(mail)));
  if (json?.["v"] !== FORMAT) return undefined;
  switch (json["type"]) {
    case "family": {
      const [card, version, name] = [text(json, "card") ?? "", uint(json, "version"), text(json, "name")];
      const devices = listOf(json["devices"], MAX_DEVICES, (each) => parseDevice(backend, each));
      if (fromHex(card)?.length !== ID_BYTES || version === undefined || devices === undefined) return undefined;
      const renamed = uint(json, "renamed") ?? 0;
      return { type: "family", card, version, name, ...(renamed > 0 && { renamed }), devices };
    }
    case "contact": {
      const card = parseCard(backend, utf8(text(json, "card") ?? ""));
      const shown = listOf(json["shown"], MAX_SHOWN, (each) => parseHashname(each));
      return card && shown && { type: "contact", card, shown, ...(json["new"] === true && { isNew: true }) };
    }
    case "forget": {
      const contact = text(json, "contact") ?? "";
      return fromHex(contact)?.length === ID_BYTES ? { type: "forget", contact } : undefined;
    }
    default:
      return undefined;
  }
}

/** One description, as it is told and kept. */
export function encodeDevice(device: Device | Gone): Uint8Array {
  return encodeJson(deviceJson(device));
}

/** The description in these bytes; `undefined` when it is none. Never throws. */
export function readDevice(backend: Backend, bytes: Uint8Array): Device | Gone | undefined {
  return parseDevice(backend, parseJson(bytes));
}

/**
 * The card of a contact as another device of ours is to have it: with what the contact lets that device in by. What lets the
 * rest of us in is left out where it would make the card larger than a card may be: it is spelled longer than what it replaces.
 */
export function cardFor(card: Card, device: Hashname, self: Hashname): Card {
  const full = handedOn(card, device, self, MAX_OTHERS);
  return fits(full) ? full : handedOn(card, device, self, 0);
}

function handedOn(card: Card, device: Hashname, self: Hashname, most: number): Card {
  const peers = card.peers.map((peer) => ({
    ...peer,
    caches: peer.caches.map(({ uri, others = [], ...cache }) => {
      const left = others.filter(([each]) => each !== device);
      const all = uri === "" ? left : [...left.slice(0, MAX_OTHERS - 1), [self, uri] as const];
      const rest = all.slice(0, most);
      const own = others.find(([each]) => each === device)?.[1] ?? "";
      return { ...cache, uri: own, ...(rest.length > 0 && { others: rest }) };
    }),
  }));
  return { ...card, peers };
}

function deviceJson(device: Device | Gone): JsonObject {
  if ("gone" in device) return { at: device.at, gone: device.hashname };
  const { keys, paths, at, caches, bazaar, offer } = device;
  return {
    ...{ at, keys: encodeKeys(keys), paths: paths.map(pathJson), caches: caches.map(cacheJson) },
    bazaar: bazaar && bazaarJson(bazaar),
    offer: offer && offerJson(offer),
  };
}

function cacheJson({ keys, paths, key, cap, quota, store, routes, edition }: DeviceCache): JsonObject {
  return { keys: encodeKeys(keys), paths: paths.map(pathJson), key: toBase32(key), cap, quota, store, routes, edition };
}

function parseDevice(backend: Backend, json: Json | undefined): Device | Gone | undefined {
  const object = asObject(json);
  const at = uint(object, "at");
  if (object === undefined || at === undefined) return undefined;
  const gone = parseHashname(object["gone"]);
  if (gone !== undefined) return { hashname: gone, at, gone: true };
  const keys = parseKeys(object["keys"]);
  const paths = parsePaths(object["paths"]);
  const caches = listOf(object["caches"], MAX_CACHES, (each) => parseCache(backend, each));
  if (keys === undefined || paths === undefined || caches === undefined) return undefined;
  const bazaar = parseBazaar(object["bazaar"]);
  const offer = parseOffer(object["offer"]);
  const more = { ...(bazaar && { bazaar }), ...(offer && { offer }) };
  return { hashname: hashnameOf(backend, keys), keys, paths, caches, at, ...more };
}

function parseCache(backend: Backend, json: Json): DeviceCache | undefined {
  const object = asObject(json);
  const keys = parseKeys(object?.["keys"]);
  const paths = parsePaths(object?.["paths"]);
  const key = fromBase32(text(object, "key") ?? "");
  const [cap, quota, store] = [uint(object, "cap"), uint(object, "quota"), text(object, "store") ?? ""];
  if (keys === undefined || paths === undefined || cap === undefined || quota === undefined) return undefined;
  if (key?.length !== KEY_BYTES || !isStore(store)) return undefined;
  const routes = object?.["routes"] === true && ({ routes: true } as const);
  const edition = readEdition(object);
  const more = { ...routes, ...(edition > 0 && { edition }) };
  return { hashname: hashnameOf(backend, keys), keys, paths, key, cap, quota, store, ...more };
}

/** All items, or `undefined` when one of them is none. */
function listOf<T>(json: Json | undefined, max: number, parse: (item: Json) => T | undefined): T[] | undefined {
  if (!Array.isArray(json) || json.length > max) return undefined;
  const items = json.map(parse).filter((item) => item !== undefined);
  return items.length === json.length ? items : undefined;
}

function asObject(json: Json | undefined): JsonObject | undefined {
  return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as JsonObject) : undefined;
}

function isShort(text: string): boolean {
  return utf8(text).length <= TEXT_BYTES;
}

function textOfJson(json: JsonObject): string {
  return fromUtf8(encodeJson(json)) ?? "";
}

const FORMAT = 1;
const TEXT_BYTES = 28 * 1024; // one part of a mail, mail.md §4
const DEVICE_BYTES = 16 * 1024;
const ADDRESSES: readonly number[] = [8, 4, 2, 1];
const ID_BYTES = 16;
const KEY_BYTES = 32;
/** The most devices of one person. card.md §6 */
export const MAX_DEVICES = 16; // those that are gone are counted, too
const MAX_SHOWN = 64; // peers in a card
