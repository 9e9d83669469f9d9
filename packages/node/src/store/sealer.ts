/** Encryption at rest: seals bytes to the place where they lie, and gives names that tell nothing. */
import { randomBytes } from "node:crypto";
import type { Backend } from "restante";
import { concat, toHex, utf8 } from "restante/protocol";

/** What the store's key can do. Each purpose has a key of its own, made from it with HKDF. */
export class Sealer {
  readonly #backend: Backend;
  readonly #sealKey: Uint8Array;
  readonly #nameKey: Uint8Array;
  /** 16 bytes that only this key gives, and that give nothing away about it. */
  readonly check: Uint8Array;

  /** `key`: 32 bytes. */
  constructor(backend: Backend, key: Uint8Array) {
    const derive = (purpose: string, length: number): Uint8Array =>
      backend.hkdf(key, new Uint8Array(0), utf8(`restante/store/1/${purpose}`), length);
    this.#backend = backend;
    this.#sealKey = derive("seal", 32);
    this.#nameKey = derive("name", 32);
    this.check = derive("check", 16);
  }

  /** A name that stands for `text`: 32 hex characters, always the same ones. */
  name(text: string): string {
    return toHex(this.#backend.hmac(this.#nameKey, utf8(text)).subarray(0, 16));
  }

  /** The plain bytes sealed to this place: SEAL_BYTES longer. */
  seal(place: string, plain: Uint8Array): Uint8Array {
    const nonce = new Uint8Array(randomBytes(NONCE_BYTES));
    return concat(nonce, this.#backend.xchachaSeal(this.#sealKey, nonce, plain, about(place)));
  }

  /** What was sealed to this place; `undefined` when it was not, or is changed. */
  open(place: string, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < SEAL_BYTES) return undefined;
    const [nonce, box] = [sealed.subarray(0, NONCE_BYTES), sealed.subarray(NONCE_BYTES)];
    return this.#backend.xchachaOpen(this.#sealKey, nonce, box, about(place));
  }
}

function about(place: string): Uint8Array {
  return utf8(`restante/store/1\0${place}`);
}

const NONCE_BYTES = 24;
/** By how much sealing makes bytes longer: the nonce and the tag. */
export const SEAL_BYTES: number = NONCE_BYTES + 16;
