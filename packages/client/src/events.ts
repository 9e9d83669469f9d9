/** Server-sent events, as far as a daemon uses them: one line each of event, data and id. */

/** One event of /v1/events. */
export interface ServerEvent {
  readonly type: string;
  /** Of mail: its number in the inbox. */
  readonly id: string | undefined;
  readonly data: unknown;
}

/** However the stream is cut into pieces. Throws what JSON.parse throws for data that is none. */
export async function* parseEvents(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of pieces) {
    const blocks = (rest + decoder.decode(piece, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = new Map(
        block.split("\n").map((line) => {
          const cut = line.indexOf(": ");
          return [line.slice(0, Math.max(cut, 0)), line.slice(cut + 2)] as const;
        }),
      );
      const data = fields.get("data");
      if (data !== undefined)
        yield { type: fields.get("event") ?? "message", id: fields.get("id"), data: JSON.parse(data) };
    }
  }
}
