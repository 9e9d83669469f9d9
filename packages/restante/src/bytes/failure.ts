/**
 * Failures that are somebody's fault on this side. What a peer sent wrong is neither: parsers answer it with
 * `undefined`.
 */

/** An error the caller can act on. Told apart by `code`; carries no key, no plaintext and no full address. */
export class RestanteError extends Error {
  override readonly name: string = "RestanteError";
  /** Stable and documented, lower case with dashes: "no-cache". */
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Stops loudly when our own code is wrong: throws a plain Error that names the invariant. Never for input of others. */
export function assert(fact: unknown, invariant: string): asserts fact {
  if (!fact) throw new Error(`broken invariant: ${invariant}`);
}
