/** Bodies of requests. */
import { RestanteError } from "restante";
import { MAX_JSON_BYTES } from "./contract.ts";

/** The JSON of a body; none at all is an empty object. Throws "bad-request", and "too-large" without reading on. */
export async function bodyJson(request: Request): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of request.body ?? []) {
    length += piece.length;
    if (length > MAX_JSON_BYTES)
      throw new RestanteError("too-large", `a request has at most ${MAX_JSON_BYTES} bytes of JSON`);
    pieces.push(piece);
  }
  if (length === 0) return {};
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces)));
  } catch {
    throw new RestanteError("bad-request", "the body is not JSON");
  }
}
