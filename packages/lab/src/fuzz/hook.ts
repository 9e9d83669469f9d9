/** A hook of Node's module loader, in the loader's own thread: the project's modules are loaded with counters. */
import { instrument } from "./instrument.ts";

interface Loaded {
  readonly format: string;
  readonly source?: unknown;
}

type Next = (url: string, context: unknown) => Promise<Loaded>;

/** As Node's documentation has it: `load` of `node:module`. */
export async function load(url: string, context: unknown, next: Next): Promise<Loaded> {
  const loaded = await next(url, context);
  return isOurs(url) ? { ...loaded, source: instrument(String(loaded.source)).source } : loaded;
}

/** What is tested, without what tests it. */
function isOurs(url: string): boolean {
  if (!url.startsWith(PACKAGES)) return false;
  const path = url.slice(PACKAGES.length);
  return /^(restante|bazaar|node)\/dist\//.test(path) && !path.startsWith("restante/dist/testing/");
}

const PACKAGES = new URL("../../../", import.meta.url).href;
