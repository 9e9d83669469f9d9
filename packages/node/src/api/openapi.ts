/** The API as an OpenAPI 3.1 document, made from the schemas that its requests are checked by. */
import { STATUS_CODES } from "node:http";
import { z } from "zod";
import { event, events, hookEvent, problem } from "./answers.ts";
import { OPERATIONS, type Operation, paramsOf } from "./operations.ts";
import { statusOf } from "./problem.ts";

/** Plain JSON. `version`: of the daemon. The same for every daemon of a version. */
export function openApiDocument(version: string): Json {
  const schemas: Record<string, Json> = {};
  const schemaOf = (schema: z.ZodType): Json => {
    // As it is on the wire: of a query the text and not the number.
    const { $schema: _, $defs = {}, ...made } = z.toJSONSchema(schema, { io: "input", override: plain }) as Json;
    for (const [name, each] of Object.entries($defs as Record<string, Json>)) schemas[name] = referring(each);
    return referring(made);
  };
  const paths: Record<string, Record<string, Json>> = {};
  for (const [id, operation] of Object.entries<Operation>(OPERATIONS))
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method.toLowerCase()]: operationOf(id, operation, schemaOf),
    };
  const hook = schemaOf(hookEvent);
  for (const each of [problem, event, ...Object.values(events)]) schemaOf(each);
  return {
    openapi: "3.1.0",
    info: {
      title: "Restante",
      version,
      summary: "The API of a daemon: encrypted mail that waits",
      description:
        "docs/api.md. HTTP on the unix socket in the daemon's home, for its user alone; or where the web page is served, with a token.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [
      { url: "http://localhost", description: "On the unix socket of the home: the host does not matter" },
      { url: "http://localhost:4242", description: "Where the web page is, with the token of the home" },
    ],
    security: [{}, { token: [] }],
    paths,
    webhooks: {
      event: {
        post: {
          operationId: "hook",
          summary: "What a webhook is sent: signed as Standard Webhooks says",
          parameters: ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => ({
            ...{ name, in: "header", required: true },
            schema: { type: "string" },
          })),
          requestBody: { required: true, content: { "application/json": { schema: hook } } },
          responses: { "2XX": { description: "Taken; all else is tried again" } },
        },
      },
    },
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "What `restante web token` prints. None on the socket" },
      },
    },
  };
}

/** An object of JSON. */
export type Json = { [name: string]: unknown };

function operationOf(id: string, operation: Operation, schemaOf: (schema: z.ZodType) => Json): Json {
  const { path, tag, summary, description, query, body, form, status, once } = operation;
  const parameters: Json[] = paramsOf(path).map((name) => ({
    ...{ name, in: "path", required: true },
    schema: { type: "string" },
  }));
  for (const [name, schema] of Object.entries(query?.shape ?? {}))
    parameters.push({
      ...{ name, in: "query", required: !(schema as z.ZodType).safeParse(undefined).success },
      schema: schemaOf(schema as z.ZodType),
    });
  for (const name of HEADERS[form] ?? []) parameters.push({ name, in: "header", schema: { type: "string" } });
  if (once) parameters.push({ name: "Idempotency-Key", in: "header", schema: KEY_SCHEMA, description: KEY_SAYS });
  const content = form === "upload" ? BYTES : body && { "application/json": { schema: schemaOf(body) } };
  const isAllOptional = body?.safeParse({}).success ?? false;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(content ? { requestBody: { required: form !== "upload" && !isAllOptional, content } } : {}),
    ...(form === "rpc" ? { requestBody: { required: true, content: { "application/json": { schema: {} } } } } : {}),
    responses: { ...answersOf(operation, schemaOf), ...problemsOf(operation) },
    ...(status === 202 ? { "x-answered": "when it is on the disk" } : {}),
  };
}

function answersOf({ form, status, answer }: Operation, schemaOf: (schema: z.ZodType) => Json): Json {
  const title = STATUS_CODES[status] ?? "";
  if (form === "download")
    return { "200": { description: title, content: BYTES }, "206": { description: "The part", content: BYTES } };
  const schema = schemaOf(answer);
  if (form === "events")
    return {
      "101": { description: "A WebSocket: each text is `{type, n?, data}`" },
      "200": { description: "data of each event; its name is the type", content: { "text/event-stream": { schema } } },
    };
  const none = form === "rpc" ? { "204": { description: "There were notifications alone" } } : {};
  return { [status]: { description: title, content: { "application/json": { schema } } }, ...none };
}

/** By status, with all codes. What every operation may answer is under `default`. */
function problemsOf({ path, query, body, form, once, codes }: Operation): Json {
  const isNamed = path.includes("{") || [query, body].some((each) => each !== undefined && "contact" in each.shape);
  const all = [
    ...(isNamed ? ["not-found", "ambiguous"] : []),
    ...(query || body || once ? ["bad-request"] : []),
    ...(body || form === "rpc" ? ["too-large"] : []),
    ...(form === "download" ? ["bad-range"] : []),
    ...(once ? ["key-reused", "too-many-keys"] : []),
    ...codes,
  ];
  const byStatus = new Map<number, string[]>();
  for (const code of new Set(all)) byStatus.set(statusOf(code), [...(byStatus.get(statusOf(code)) ?? []), code]);
  const content = { "application/problem+json": { schema: { $ref: `${COMPONENTS}Problem` } } };
  const told = [...byStatus].sort(([a], [b]) => a - b);
  return {
    ...Object.fromEntries(
      told.map(([status, each]) => [status, { description: each.sort().join(", "), "x-codes": each, content }]),
    ),
    default: { description: "not-running, store-failed, stopped, internal, ...", content },
  };
}

/** Not in the document: that a value is frozen means nothing outside of TypeScript. */
function plain({ jsonSchema }: { jsonSchema: { readOnly?: boolean; id?: string } }): void {
  delete jsonSchema.readOnly;
  delete jsonSchema.id;
}

function referring(schema: unknown): Json {
  return JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/$defs/', `"$ref":"${COMPONENTS}`)) as Json;
}

const COMPONENTS = "#/components/schemas/";
const BYTES = { "application/octet-stream": { schema: {} } };
const HEADERS: { readonly [form in Operation["form"]]?: readonly string[] } = {
  download: ["Range"],
  events: ["Last-Event-ID"],
};
const KEY_SCHEMA = { type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" };
const KEY_SAYS = "For a day, a request that is repeated under its key sends nothing and is answered as before";
