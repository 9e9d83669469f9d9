/** The daemon's API, as a browser that was let in speaks to it. docs/web.md */
import type { Problem, SentInfo } from "@restante/node/contract";
import { sentence } from "./words.ts";

/** What the daemon refused, and why. `status` 0: it is not there. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** One event of /v1/events. */
export interface LiveEvent {
  readonly type: string;
  readonly data: unknown;
}

/** When the daemon said something last. A page that slept may take long to notice that it is away. */
export function heardAt(): number {
  return heard;
}

/** Whether a password opens the page. Where none was set a link does alone. */
export async function asksPassword(): Promise<boolean> {
  const answer = await ask("GET", "/session").catch(() => undefined);
  const { password } = ((await answer?.json().catch(() => undefined)) ?? {}) as { password?: boolean };
  return password === true;
}

/** Use up the token of a link, or show the password. From then on this browser is let in. */
export async function enter(by: { readonly token: string } | { readonly password: string }): Promise<void> {
  const answer = await ask("POST", "/session", JSON.stringify(by));
  const { key } = (await answer.json()) as { key: string };
  localStorage.setItem(KEY, key);
}

/** Another tab of this browser was let in. After a logout there this one is loaded anew. */
export function onLogin(act: () => void): void {
  window.addEventListener("storage", ({ key, newValue }) => {
    if (key !== KEY) return;
    if (newValue === null) location.reload();
    else act();
  });
}

/**
 * Log out here at once, and at the daemon as soon as it hears of it: without this browser's key the session opens nothing. Resolves when
 * the daemon knows, or does not answer in time.
 */
export async function leave(): Promise<void> {
  const told = ask("DELETE", "/session").catch(() => {});
  localStorage.removeItem(KEY);
  await Promise.race([told, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
}

/** Ask, and give back the JSON of the answer. `T` is what the contract says of this path. Throws `Refusal`. */
export async function call<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: object): Promise<T> {
  return (await ask(method, path, body && JSON.stringify(body)).then((answer) => answer.json())) as T;
}

/** Send a file. `progress` is told the share that the daemon has. `undefined`: `signal` aborted it, and nothing is sent. */
export function upload(
  contact: string,
  file: File,
  progress: (share: number) => void,
  signal: AbortSignal,
): Promise<SentInfo | undefined> {
  const query = new URLSearchParams({ contact, name: file.name.slice(0, 255) });
  if (file.type) query.set("media", file.type.slice(0, 255));
  // fetch does not tell how far it is.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/v1/files?${query}`);
    request.setRequestHeader(KEY_HEADER, localStorage.getItem(KEY) ?? "");
    request.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 0);
    request.onload = () => {
      if (request.status < 400) resolve(JSON.parse(request.responseText) as SentInfo);
      else reject(refusalOf(request.status, request.responseText));
    };
    request.onerror = () => reject(away());
    request.onabort = () => resolve(undefined);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}

/**
 * The bytes of a received file, as what no browser opens. `progress` is told how many of them are here. `undefined`: `signal`
 * aborted it.
 */
export async function download(
  n: number,
  progress: (done: number) => void,
  signal: AbortSignal,
): Promise<Blob | undefined> {
  try {
    const answer = await ask("GET", `/v1/messages/${n}/file`, undefined, signal);
    const reader = answer.body?.getReader();
    let whole = new Blob([]);
    let pieces: Uint8Array<ArrayBuffer>[] = [];
    let [done, loose] = [0, 0];
    for (let piece = await reader?.read(); piece?.value !== undefined; piece = await reader?.read()) {
      pieces.push(piece.value);
      [done, loose] = [done + piece.value.length, loose + piece.value.length];
      progress(done);
      if (loose < LOOSE_BYTES) continue;
      // What is in a blob need not be in memory: the browser decides where it lies.
      [whole, pieces, loose] = [new Blob([whole, ...pieces]), [], 0];
    }
    if (done < Number(answer.headers.get("content-length") ?? 0)) throw away();
    return new Blob([whole, ...pieces], { type: "application/octet-stream" });
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

/** Everything that happens from now on; resolves when the daemon listens, and tells until it goes away or `signal` aborts. */
export async function events(signal: AbortSignal, tell: (event: LiveEvent) => void): Promise<{ ended: Promise<void> }> {
  const answer = await ask("GET", "/v1/events", undefined, signal);
  const reader = answer.body?.getReader();
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const piece = await reader?.read().catch(() => undefined);
      if (piece?.value === undefined) return;
      heard = Date.now();
      const blocks = (rest + decoder.decode(piece.value, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const type = /^event: (.*)$/m.exec(block)?.[1];
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (type !== undefined && data !== undefined) tell({ type, data: JSON.parse(data) });
      }
    }
  };
  return { ended: read() };
}

async function ask(method: string, path: string, body?: string, signal?: AbortSignal): Promise<Response> {
  const headers = { [KEY_HEADER]: localStorage.getItem(KEY) ?? "", "content-type": "application/json" };
  // What is deleted is so, also when the page is left meanwhile.
  const keepalive = method === "DELETE";
  const options = { method, headers, keepalive, ...(body && { body }), ...(signal && { signal }) };
  const answer = await fetch(path, options).catch(() => {
    throw away();
  });
  heard = Date.now();
  if (answer.ok) return answer;
  throw refusalOf(answer.status, await answer.text());
}

function away(): Refusal {
  return new Refusal(0, "away", "Restante does not answer. Is it running?");
}

function refusalOf(status: number, body: string): Refusal {
  try {
    const { code, detail } = JSON.parse(body) as Problem;
    return new Refusal(status, code, sentence(detail));
  } catch {
    return new Refusal(status, "internal", "The answer cannot be read.");
  }
}

let heard = 0;
const LOOSE_BYTES = 8_000_000;
const PATIENCE_MS = 3000;
const KEY = "restante-key";
/** Before the id of a contact: the number up to which its mail was seen in this browser. */
export const SEEN = "seen/";
const KEY_HEADER = "restante-key";
