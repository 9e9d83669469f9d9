/** Errors as application/problem+json (RFC 9457): one `code` for programs, one sentence for people. */
import { STATUS_CODES } from "node:http";
import { RestanteError } from "restante";
import { ZodError } from "zod";
import type { Problem } from "./contract.ts";

/** The answer for whatever a handler threw. An error that is nobody's but ours says nothing about itself outside. */
export function problemOf(error: unknown): Problem {
  if (error instanceof RestanteError) return problem(statusOf(error.code), error.code, error.message);
  if (error instanceof ZodError) return problem(400, "bad-request", error.issues.map(sentence).join("; "));
  // A body that its client did not finish: nobody's mistake but theirs, and nobody is left to hear of it.
  if ((error as NodeJS.ErrnoException).code === "ECONNRESET")
    return problem(400, "bad-request", "the request ended before its body did");
  return problem(500, "internal", "the daemon made a mistake; what it wrote to its standard error says more");
}

/** A problem as a response. */
export function problemResponse(problem: Problem): Response {
  const headers = { "content-type": "application/problem+json" };
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

/** What is answered to a method that its path has not, and which it has. */
export function methodProblem(method: string, path: string, allowed: readonly string[]): Response {
  const response = problemResponse(
    problem(405, "not-found", `there is no ${method} ${path} in this API, but ${allowed.join(", ")}`),
  );
  response.headers.set("allow", allowed.join(", "));
  return response;
}

/** The HTTP status of a code. */
export function statusOf(code: string): number {
  return STATUS[code] ?? 400;
}

function problem(status: number, code: string, detail: string): Problem {
  return { status, title: STATUS_CODES[status] ?? "Error", code, detail };
}

function sentence({ path, message }: ZodError["issues"][number]): string {
  const text = message.charAt(0).toLowerCase() + message.slice(1);
  return path.length > 0 ? `${path.join(".")}: ${text}` : text;
}

/** Codes that are not simply a bad request. */
const STATUS: Readonly<Record<string, number>> = {
  "not-found": 404,
  ambiguous: 409,
  self: 409,
  known: 409,
  blocked: 409,
  mismatch: 409,
  "not-new": 409,
  full: 409,
  "no-cache": 409,
  "no-mail": 409,
  "set-at-start": 409,
  "not-empty": 409,
  final: 409,
  refused: 403,
  "no-session": 401,
  "wrong-password": 401,
  "wrong-token": 401,
  "too-many-attempts": 429,
  "no-web": 404,
  "bad-range": 416,
  "key-reused": 422,
  "too-many-keys": 429,
  internal: 500,
  "too-large": 413,
  "no-room": 507,
  unreachable: 504,
  restarted: 503,
  stopped: 503,
  "not-running": 503,
  "store-failed": 503,
  "store-damaged": 500,
};
