import { openApiDocument } from "@restante/node/api";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { fileText, made } from "./made.ts";

test.each([...made()])("%s is as the API's own table says: `npm run openapi` makes it anew", (path, text) => {
  expect(fileText(path)).toBe(text);
});

test("every schema of the document is one, and refers to nothing that is not there", () => {
  const document = openApiDocument("1.2.3");
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema(document, "document");
  const { schemas } = document["components"] as { schemas: Record<string, object> };
  for (const name of Object.keys(schemas))
    expect(() => ajv.compile({ $ref: `document#/components/schemas/${name}` })).not.toThrow();
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
    ([, name]) => name,
  );
  expect(new Set(refs).size).toBeGreaterThan(30);
  for (const name of refs) expect(Object.keys(schemas)).toContain(name);
});

test("names of operations are names of functions, each once, and each has a summary", () => {
  const { paths } = openApiDocument("1.2.3") as { paths: Record<string, Record<string, Record<string, unknown>>> };
  const all = Object.values(paths).flatMap((methods) => Object.values(methods));
  const ids = all.map(({ operationId }) => operationId as string);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z]*$/);
  for (const { summary } of all) expect(summary).toMatch(/^[A-Z`]/);
});
