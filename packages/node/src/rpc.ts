/** JSON-RPC on stdio: each line a call or a batch, each answer a line. What it says is said by the daemon. */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Client } from "./api/client.ts";
import { MAX_JSON_BYTES } from "./api/contract.ts";

/**
 * Resolves when `input` has ended and all is answered. Calls run at the same time, and are answered as they end: their ids tell which is
 * which. Rejects with what the client rejects with, "no-daemon" among them.
 */
export async function rpcOverStdio(client: Client, input: Readable, output: Writable): Promise<void> {
  const open = new Set<Promise<void>>();
  let failure: unknown;
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) {
    if (failure !== undefined) break;
    if (line.trim() === "") continue;
    const call = answer(client, line, output)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => open.delete(call));
    open.add(call);
    if (open.size >= MAX_OPEN) await Promise.race(open);
  }
  await Promise.all(open);
  if (failure !== undefined) throw failure;
}

async function answer(client: Client, line: string, output: Writable): Promise<void> {
  const text = await answerTo(client, line);
  if (text !== "") output.write(`${text}\n`);
}

/** What is no JSON is refused here: to who writes lines, nothing has a body. */
function answerTo(client: Client, line: string): string | Promise<string> {
  if (Buffer.byteLength(line) > MAX_JSON_BYTES) return TOO_LONG;
  try {
    JSON.parse(line);
  } catch {
    return NO_JSON;
  }
  return client.text("POST", "/v1/rpc", line);
}

const NO_JSON = '{"jsonrpc":"2.0","error":{"code":-32700,"message":"the line is not JSON"},"id":null}';
const TOO_LONG = '{"jsonrpc":"2.0","error":{"code":-32600,"message":"a line has at most 1 MiB"},"id":null}';
const MAX_OPEN = 32;
