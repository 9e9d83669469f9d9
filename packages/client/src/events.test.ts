import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { parseEvents, type ServerEvent } from "./events.ts";

test("events are read the same however they are cut into pieces", async () => {
  const stream = Buffer.from(
    ': listening\n\nevent: mail\ndata: {"text":"é: \\n"}\nid: 7\n\nevent: link\ndata: {}\n\nevent: half',
  );
  for (const length of [1, 2, 3, 7, stream.length]) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < stream.length; at += length) pieces.push(stream.subarray(at, at + length));
    const events: ServerEvent[] = [];
    for await (const event of parseEvents(Readable.from(pieces))) events.push(event);
    expect(events).toEqual([
      { type: "mail", id: "7", data: { text: "é: \n" } },
      { type: "link", id: undefined, data: {} },
    ]);
  }
});
