/** What is made from the API's OpenAPI document: the document itself, the table in docs/api.md, the types of the client package. */
import { readFileSync } from "node:fs";
import { openApiDocument } from "@restante/node/api";

/** Text by its path from the root of the repository. */
export function made(): Map<string, string> {
  const { version } = JSON.parse(fileText("packages/node/package.json")) as { version: string };
  const document = openApiDocument(version) as unknown as Document;
  return new Map([
    ["docs/openapi.json", `${JSON.stringify(document, undefined, 2)}\n`],
    ["docs/api.md", withTable(fileText("docs/api.md"), table(document))],
    ["packages/client/src/gen/operations.ts", types(document)],
  ]);
}

/** A file of the repository. */
export function fileText(path: string): string {
  return readFileSync(new URL(`../../../../${path}`, import.meta.url), "utf8");
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Operation {
  readonly operationId: string;
  readonly tags: readonly [string];
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, Answer>>;
}

interface Answer {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
  readonly "x-codes"?: readonly string[];
}

interface Schema {
  readonly $ref?: string;
  readonly description?: string;
  readonly type?: string;
  readonly pattern?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

interface Each extends Operation {
  readonly method: string;
  readonly path: string;
}

function operations({ paths }: Document): Each[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })),
  );
}

function parametersIn({ parameters = [] }: Operation, where: string): readonly { name: string; required?: boolean }[] {
  return parameters.filter((each) => each.in === where);
}

function bodyOf({ requestBody }: Operation): Schema | undefined {
  return requestBody?.content["application/json"]?.schema;
}

/** Of the answer when all is well. */
function answerOf({ responses }: Operation): { status: string; schema: Schema | undefined } {
  const [status = "", answer] = Object.entries(responses).find(([each]) => each.startsWith("2")) ?? [];
  const { "application/json": json, "text/event-stream": events } = answer?.content ?? {};
  return { status, schema: (json ?? events)?.schema };
}

// --- docs/api.md ---

function withTable(page: string, rows: string): string {
  const [before, , after] = page.split(MARK);
  if (after === undefined) throw new Error(`docs/api.md has no two lines "${MARK}"`);
  return `${before}${MARK}\n\n${rows}\n\n${MARK}${after}`;
}

function table(document: Document): string {
  const byTag = new Map<string, Each[]>();
  for (const each of operations(document)) byTag.set(each.tags[0], [...(byTag.get(each.tags[0]) ?? []), each]);
  return [...byTag]
    .map(([tag, all]) =>
      [
        `### ${tag.charAt(0).toUpperCase()}${tag.slice(1)}`,
        "",
        "| | asked | | answer | problems |",
        "|---|---|---|---|---|",
        ...all.map(row),
      ].join("\n"),
    )
    .join("\n\n");
}

function row(each: Each): string {
  const { method, path, operationId, summary, description } = each;
  const query = parametersIn(each, "query").map(({ name, required }) => `${name}${required ? "" : "?"}`);
  const body = bodyOf(each);
  const members = Object.keys(body?.properties ?? {}).map(
    (name) => `${name}${body?.required?.includes(name) ? "" : "?"}`,
  );
  const headers = parametersIn(each, "header").map(({ name }) => `\`${name}\``);
  const asked = [
    ...(query.length > 0 ? [`\`?${query.join("&")}\``] : []),
    ...(members.length > 0 ? [`\`{${members.join(", ")}}\``] : []),
    ...headers,
  ];
  const { status, schema } = answerOf(each);
  const name = schema?.$ref?.split("/").at(-1);
  const codes = Object.values(each.responses)
    .flatMap((answer) => answer["x-codes"] ?? [])
    .filter((code) => !EVERYWHERE.has(code));
  const said = [summary, ...(description === undefined ? [] : [description])].join(". ");
  const cells = [
    `\`${method} ${path}\` ${operationId}`,
    asked.join(" "),
    said,
    [...(status === "200" ? [] : [status]), ...(name === undefined ? [] : [name])].join(" "),
    codes.join(", "),
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

// --- the client package ---

function types(document: Document): string {
  const all = operations(document);
  const answered = answersBy(all);
  const named = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      `${comment(schema.description ?? answered.get(name), "")}export type ${name} = ${typeOf(schema, "")};`,
  );
  const entries = all.map((each) => {
    const query = each.parameters?.filter((it) => it.in === "query") ?? [];
    const path = parametersIn(each, "path").map(({ name }) => [name, true, TEXT] as const);
    const asked = query.map(({ name, required, schema }) => [name, required ?? false, loose(schema)] as const);
    const body = bodyOf(each);
    const members = Object.entries(body?.properties ?? {}).map(
      ([name, schema]) => [name, body?.required?.includes(name) ?? false, schema] as const,
    );
    const input = [...path, ...asked, ...members].map(
      ([name, isNeeded, schema]) =>
        `${comment(schema.description, "      ")}      readonly ${key(name)}${isNeeded ? "" : "?"}: ${typeOf(schema, "      ")};`,
    );
    const { schema } = answerOf(each);
    const given = input.length > 0 ? `{\n${input.join("\n")}\n    }` : "Readonly<Record<string, never>>";
    return `${comment(each.summary, "  ")}  readonly ${each.operationId}: {
    readonly input: ${given};
    readonly answer: ${schema === undefined ? "unknown" : typeOf(schema, "    ")};
  };`;
  });
  const routes = all.map((each) => {
    const query = parametersIn(each, "query").map(({ name }) => name);
    return `  ${each.operationId}: "${each.method} ${each.path}${query.length > 0 ? `?${query.join("&")}` : ""}",`;
  });
  return `/** The operations of a daemon's API. Made by \`npm run openapi\` from its document: not written by hand. */

${named.join("\n\n")}

/** By operationId: all that is asked, wherever it stands in a request, and what is answered. */
export interface Operations {
${entries.join("\n")}
}

/** Method, path, and the names of a query; what is neither stands in the body. */
export const ROUTES: Readonly<Record<keyof Operations, string>> = {
${routes.join("\n")}
};
`;
}

/** By the name of what is answered: of which operation it is the answer. Who asks without changing anything comes first. */
function answersBy(all: readonly Each[]): Map<string, string> {
  const answered = new Map<string, string>();
  for (const each of [...all.filter(({ method }) => method === "GET"), ...all]) {
    const name = answerOf(each).schema?.$ref?.split("/").at(-1);
    const summary = each.summary.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1"); // its links are those of a page in docs/
    if (name !== undefined && !answered.has(name))
      answered.set(name, `Answer of ${each.operationId}, ${each.method} ${each.path}: ${summary}`);
  }
  return answered;
}

/** A number in a query is given as one. */
function loose(schema: Schema): Schema {
  return schema.type === "string" && schema.pattern?.startsWith("^\\d") ? { ...schema, type: "number" } : schema;
}

function typeOf(schema: Schema, indent: string): string {
  const { $ref, type, enum: values, anyOf, items, properties, required = [] } = schema;
  if ($ref !== undefined) return $ref.split("/").at(-1) ?? "unknown";
  if ("const" in schema) return JSON.stringify(schema.const);
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(" | ");
  if (anyOf !== undefined) return anyOf.map((each) => typeOf(each, indent)).join(" | ");
  if (type === "array") return `readonly (${items === undefined ? "unknown" : typeOf(items, indent)})[]`;
  if (properties !== undefined) {
    const deeper = `${indent}  `;
    const members = Object.entries(properties).map(
      ([name, each]) =>
        `${comment(each.description, deeper)}${deeper}readonly ${key(name)}${required.includes(name) ? "" : "?"}: ${typeOf(each, deeper)};`,
    );
    return `{\n${members.join("\n")}\n${indent}}`;
  }
  if (type === "integer") return "number";
  if (type === "object") return "Readonly<Record<string, unknown>>";
  return type ?? "unknown";
}

function comment(text: string | undefined, indent: string): string {
  return text === undefined ? "" : `${indent}/** ${text}. */\n`;
}

function key(name: string): string {
  return /^\w+$/.test(name) ? name : JSON.stringify(name);
}

const TEXT: Schema = { type: "string" };
const MARK = "<!-- made by `npm run openapi` -->";
/** Said once above the table. */
const EVERYWHERE: ReadonlySet<string> = new Set(["bad-request", "not-found", "ambiguous", "too-large"]);
