/**
 * From records of version 1, where each mail on its way lay under "mail/queue/<id>" and was loaded at each start, to those of
 * version 2, where mail stands in lines. Never changed any more.
 */

import { asJson, ofJson } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { isFinal, stateOf } from "./ledger.ts";
import { blockOf, Lines, numberAt, type PlaceRecord, placeKey, queueKey } from "./lines.ts";
import { kindOfLine, type PostedJson } from "./posted.ts";
import type { ReaderJson } from "./reader.ts";

/** `saved`: the keys of the head space. */
export function queueToLines(
  saved: ReadonlyMap<string, Uint8Array>,
): { readonly key: string; readonly value: Uint8Array | undefined }[] {
  const lines = new Lines(saved);
  const outs = new Map<string, Out>();
  for (const [key, value] of saved)
    if (key.startsWith(OUT_PREFIX)) outs.set(key.slice(OUT_PREFIX.length), ofJson(value));
  const queue = [...saved].flatMap(([key, value]) => (key.startsWith(QUEUE_PREFIX) ? [ofJson<PostedJson>(value)] : []));
  queue.sort((a, b) => a.created - b.created || (a.parcels[0]?.seq ?? 0) - (b.parcels[0]?.seq ?? 0));
  const changes = queue.flatMap((mail) => {
    const { id, contact, kind, expires, ledger, parcels } = mail;
    const place = lines.add(contact, kindOfLine(mail), kind === "card");
    if (isFinal(stateOf(ledger))) lines.ended(contact, kind === "card");
    const block = blockOf(place);
    lines.look(block, Math.min(expires, lines.looks().get(block) ?? expires));
    for (const { peer, epoch, seq, state } of parcels) {
      const out = outs.get(peer);
      if (out === undefined) continue;
      hold(out, kindOfLine(mail), numberAt(place));
      if (epoch === (out.own ?? out.epoch) && state !== "acknowledged")
        out.floor = Math.min(out.floor ?? out.next, seq);
    }
    const record: PlaceRecord = { place };
    return [
      { key: QUEUE_PREFIX + id, value: undefined },
      { key: placeKey(id), value: asJson(record) },
      { key: queueKey(place), value: asJson(mail) },
    ];
  });
  const peers = [...outs].map(([peer, out]) => {
    const record = { ...out, floor: out.floor ?? out.next };
    return { key: OUT_PREFIX + (peer as Hashname), value: asJson(record) };
  });
  return [...changes, ...peers, ...lines.saves().map(({ key, value }) => ({ key, value }))];
}

/** As far as it is changed here. */
interface Out {
  readonly epoch: string;
  readonly own?: string;
  readonly next: number;
  floor?: number;
  text?: ReaderJson;
  file?: ReaderJson;
}

function hold(out: Out, kind: "text" | "file", n: number): void {
  const { first = n, from = n } = out[kind] ?? {};
  out[kind] = { first: Math.min(first, n), from: Math.max(from, n + 1) };
}

const OUT_PREFIX = "mail/out/";
const QUEUE_PREFIX = "mail/queue/";
