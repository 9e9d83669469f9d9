/** The bytes of a received file as an answer: all, or the part that was asked for. Read as fast as they are taken, no faster. */
import { type Peer, type Received, RestanteError } from "restante";

/**
 * Its media type is somebody else's word: no browser may act on it. `range`: the header of this name; one that is no single range
 * of bytes is passed over (RFC 9110). Throws "not-found", and "bad-range" for one behind the end.
 */
export async function fileResponse(peer: Peer, mail: Received, range: string | undefined): Promise<Response> {
  const size = mail.file?.size ?? 0;
  const part = rangeOf(range, size);
  const { from, to } = part ?? { from: 0, to: size };
  const pieces = cut(peer.file(mail), from, to);
  // The first piece is asked for before the status goes out: a file that is gone is a 404, not a broken stream.
  const first = await pieces.next();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (first.done) controller.close();
      else controller.enqueue(first.value);
    },
    async pull(controller) {
      const piece = await pieces.next();
      if (piece.done) controller.close();
      else controller.enqueue(piece.value);
    },
    async cancel() {
      await pieces.return?.(undefined);
    },
  });
  const headers = {
    "content-type": "application/octet-stream",
    "content-disposition": "attachment",
    "content-length": String(to - from),
    "accept-ranges": "bytes",
    ...(mail.file && { etag: `"${mail.file.sha256}"` }),
    "x-content-type-options": "nosniff",
    ...(part && { "content-range": `bytes ${from}-${to - 1}/${size}` }),
  };
  return new Response(body, { status: part ? 206 : 200, headers });
}

/** From the first byte to the one after the last; `undefined`: all. */
function rangeOf(header: string | undefined, size: number): { from: number; to: number } | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  const from = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === "" || last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && first !== "" && Number(last) < from) return undefined;
  if (from >= to) throw new RestanteError("bad-range", `the file has ${size} bytes`);
  return { from, to };
}

/** What comes before is read and passed over: a file is one seal after the other. */
async function* cut(pieces: AsyncIterable<Uint8Array>, from: number, to: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const piece of pieces) {
    const wanted = piece.subarray(Math.max(0, from - at), Math.max(0, to - at));
    at += piece.length;
    if (wanted.length > 0) yield wanted;
    if (at >= to) return;
  }
}
