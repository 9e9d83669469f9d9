/**
 * JSON-RPC 2.0 over the operations of the API: a call becomes the request that the table says, so that whatever holds there holds
 * here. Beside them the methods of telehash's guide, as far as one peer can answer them truthfully. docs/api.md
 */
import { type Peer, RestanteError } from "restante";
import { bodyJson } from "./body.ts";
import type { Problem } from "./contract.ts";
import { OPERATIONS, type Operation, paramsOf } from "./operations.ts";
import { problemOf } from "./problem.ts";
import { MeshMethods } from "./rpc-mesh.ts";

export interface RpcOptions {
  readonly peer: Peer;
  /** Answers a request as the API does. */
  readonly ask: (request: Request) => Response | Promise<Response>;
  /** Aborted when the daemon stops: what waits is answered. */
  readonly signal: AbortSignal;
}

/** The handler of POST /v1/rpc. Of what is no JSON, too, the answer is JSON-RPC; notifications alone are answered by 204. */
export function answerRpc(options: RpcOptions): (c: { req: { raw: Request } }) => Promise<Response> {
  const mesh = new MeshMethods(options.peer, options.signal);
  return async ({ req }) => {
    const gone = AbortSignal.any([req.raw.signal, options.signal]);
    const one = (call: unknown): Promise<object | undefined> => answered(call, options, mesh, gone);
    const calls = await bodyJson(req.raw).catch((error: unknown) => {
      if (error instanceof RestanteError && error.code === "bad-request") return NO_JSON;
      throw error;
    });
    if (calls === NO_JSON) return Response.json(failed(null, PARSE_ERROR, "the body is not JSON"));
    if (!Array.isArray(calls)) return answerOf(await one(calls));
    if (calls.length === 0 || calls.length > MAX_BATCH)
      return Response.json(failed(null, INVALID_REQUEST, `a batch has 1 to ${MAX_BATCH} calls`));
    const answers: object[] = [];
    // One after the other, as they stand: the next may rest on what this one did.
    for (const call of calls) {
      const answer = await one(call);
      if (answer !== undefined) answers.push(answer);
    }
    return answerOf(answers.length > 0 ? answers : undefined);
  };
}

function answerOf(answer: object | undefined): Response {
  return answer === undefined ? new Response(null, { status: 204 }) : Response.json(answer);
}

async function answered(
  call: unknown,
  options: RpcOptions,
  mesh: MeshMethods,
  gone: AbortSignal,
): Promise<object | undefined> {
  if (!isCall(call)) return failed(idOf(call), INVALID_REQUEST, "this is no call of JSON-RPC 2.0");
  const { method, params = {}, id } = call;
  const outcome = await outcomeOf(method, params, options, mesh, gone);
  return id === undefined ? undefined : { jsonrpc: "2.0", ...outcome, id };
}

type Outcome = { readonly result: unknown } | { readonly error: { code: number; message: string; data?: Problem } };

async function outcomeOf(
  method: string,
  params: object,
  options: RpcOptions,
  mesh: MeshMethods,
  gone: AbortSignal,
): Promise<Outcome> {
  try {
    if (mesh.knows(method)) return { result: await mesh.call(method, params, gone) };
    const operation = Object.hasOwn(OPERATIONS, method) ? OPERATIONS[method as keyof typeof OPERATIONS] : undefined;
    if (operation === undefined || operation.form !== "json")
      return { error: { code: METHOD_NOT_FOUND, message: `there is no method ${method.slice(0, 64)}` } };
    if (Array.isArray(params) && params.length > 0)
      return { error: { code: INVALID_PARAMS, message: "params are by name: an object" } };
    const answer = await options.ask(requestOf(operation, params as Record<string, unknown>));
    const said: unknown = await answer.json();
    return answer.ok ? { result: said } : { error: errorOf(said as Problem) };
  } catch (error) {
    return { error: errorOf(problemOf(error)) };
  }
}

/** Params by name, each where the operation wants it. Throws "bad-request". */
function requestOf({ path, method, query, body, once }: Operation, params: Record<string, unknown>): Request {
  const { idempotencyKey, ...rest } = params;
  let target = path;
  for (const name of paramsOf(path)) {
    const value = rest[name];
    if (typeof value !== "string" && typeof value !== "number")
      throw new RestanteError("bad-request", `${name}: must be a text`);
    delete rest[name];
    // An empty part, or one of dots, would be another path.
    if (/^\.{0,2}$/.test(String(value))) throw new RestanteError("not-found", `${name}: nothing is named "${value}"`);
    target = target.replace(`{${name}}`, () => encodeURIComponent(wellFormed(String(value))));
  }
  const asked = new URLSearchParams();
  for (const name of Object.keys(query?.shape ?? {})) {
    if (rest[name] !== undefined) asked.set(name, String(rest[name]));
    delete rest[name];
  }
  if (body === undefined && Object.keys(rest).length > 0)
    throw new RestanteError("bad-request", `unknown: ${Object.keys(rest).slice(0, 4).join(", ").slice(0, 128)}`);
  if (idempotencyKey !== undefined && !once)
    throw new RestanteError("bad-request", "this call takes no idempotencyKey");
  if (idempotencyKey !== undefined && !/^[\x21-\x7e]{1,255}$/.test(String(idempotencyKey)))
    throw new RestanteError("bad-request", "idempotencyKey: 1 to 255 visible ASCII characters");
  const headers = idempotencyKey === undefined ? {} : { "idempotency-key": String(idempotencyKey) };
  const text = asked.size > 0 ? `?${asked}` : "";
  return new Request(`http://localhost${target}${text}`, {
    ...{ method, headers },
    ...(body === undefined ? {} : { body: JSON.stringify(rest) }),
  });
}

/** Half of a character has no place in an address. */
function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}

function errorOf(problem: Problem): { code: number; message: string; data: Problem } {
  const code = problem.code === "bad-request" ? INVALID_PARAMS : problem.code === "internal" ? INTERNAL : REFUSED;
  return { code, message: problem.detail, data: problem };
}

function failed(id: Id, code: number, message: string): object {
  return { jsonrpc: "2.0", error: { code, message }, id };
}

type Id = string | number | null;

function isCall(call: unknown): call is { method: string; params?: object; id?: Id } {
  if (typeof call !== "object" || call === null || Array.isArray(call)) return false;
  const { jsonrpc, method, params, id } = call as Record<string, unknown>;
  const isId = id === undefined || id === null || typeof id === "string" || typeof id === "number";
  const areParams = params === undefined || (typeof params === "object" && params !== null);
  return jsonrpc === "2.0" && typeof method === "string" && areParams && isId;
}

function idOf(call: unknown): Id {
  const id = typeof call === "object" && call !== null && "id" in call ? call.id : null;
  return typeof id === "string" || typeof id === "number" ? id : null;
}

const NO_JSON = Symbol("no JSON");
const PARSE_ERROR = -32_700;
const INVALID_REQUEST = -32_600;
const METHOD_NOT_FOUND = -32_601;
const INVALID_PARAMS = -32_602;
const INTERNAL = -32_603;
const REFUSED = -32_000; // the first of those that the specification leaves to us
const MAX_BATCH = 100;
