/** Cipher sets, for tools and tests that want more than the usual ones. */
import { type Backend, type CipherSet, cs1a, cs2a, cs3a } from "restante/protocol";

/** Every set that a backend can do, lowest first: 1a, that peers leave out unless they are told, and 2a where there is RSA. */
export function everySet(backend: Backend): CipherSet[] {
  const rsa = backend.rsa === undefined ? [] : [cs2a(backend, backend.rsa)];
  return [cs1a(backend), ...rsa, cs3a(backend)];
}
