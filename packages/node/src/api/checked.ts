/** For tests: a client that holds every answer against the schema that the OpenAPI document is made from. */
import { z } from "zod";
import { Client } from "./client.ts";
import { OPERATIONS, type Operation } from "./operations.ts";

/** Throws when an answer has a member that the table does not know, lacks one, or has another type. */
export class CheckedClient extends Client {
  override async call<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: object): Promise<T> {
    const answer = await super.call<T>(method, path, body);
    const operation = operationAt(method, path);
    if (operation === undefined) throw new Error(`${method} ${path} is answered, and stands in no table`);
    const wanted = strict(operation.answer).safeParse(answer);
    if (!wanted.success) throw new Error(`${method} ${path}: ${z.prettifyError(wanted.error)}`);
    return answer;
  }
}

/** What answers this. */
function operationAt(method: string, path: string): Operation | undefined {
  const parts = (path.split("?")[0] ?? "").split("/");
  const isAt = (operation: Operation): boolean => {
    const wanted = operation.path.split("/");
    const fits = wanted.every((part, i) => part.startsWith("{") || part === parts[i]);
    return operation.method === method && wanted.length === parts.length && fits;
  };
  // "/v1/contacts/{contact}" fits less well than "/v1/devices/link" does.
  return Object.values<Operation>(OPERATIONS)
    .filter(isAt)
    .sort((a, b) => a.path.split("{").length - b.path.split("{").length)[0];
}

/** The schema, refusing what it does not know, in all depths: readers may be lenient, the document is whole. */
function strict(schema: z.ZodType): z.ZodType {
  const made = MADE.get(schema) ?? z.fromJSONSchema(z.toJSONSchema(schema, { io: "output" }) as JsonSchema);
  MADE.set(schema, made);
  return made;
}

type JsonSchema = Parameters<typeof z.fromJSONSchema>[0];
const MADE = new WeakMap<z.ZodType, z.ZodType>();
