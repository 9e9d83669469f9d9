/** `npm run openapi`: writes what is made from the API's own table. */
import { writeFileSync } from "node:fs";
import { made } from "./made.ts";

for (const [path, text] of made()) writeFileSync(new URL(`../../../../${path}`, import.meta.url), text);
