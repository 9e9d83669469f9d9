/** Errors as application/problem+json (RFC 9457): one `code` for programs, one sentence for people. */
import { STATUS_CODES } from "node:http";
import { RestanteError } from "restante";
import { ZodError } from "zod";
import type { Problem } from "./contract.ts";

/** The answer for whatever a handler threw. An error that is nobody's but ours says nothing about itself outside. */
export function problemOf(error: unknown): Problem {
  if (error instanceof RestanteError) return problem(STATUS[error.code] ?? 400, error.code, error.message);
  if (error instanceof ZodError) return problem(400, "bad-request", error.issues.map(sentence).join("; "));
  return problem(500, "internal", "the daemon made a mistake; what it wrote to its standard error says more");
}

/** A problem as a response. */
export function problemResponse(problem: Problem): Response {
  const headers = { "content-type": "application/problem+json" };
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
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
  final: 409,
  refused: 403,
  "too-large": 413,
  unreachable: 504,
  restarted: 503,
  stopped: 503,
  "not-running": 503,
  "store-failed": 503,
  "store-damaged": 500,
};
