/** Several whole messages in the BODY of one packet, each behind its length. protocol/box.md §6 */

/** Bytes that a message takes in such a BODY. */
export function sizeInMany(message: Uint8Array): number {
  return LENGTH_BYTES + message.length;
}

/** The BODY of these messages, each of 1 to 65535 bytes. They are overwritten: nobody else has them any more. */
export function packMany(messages: readonly Uint8Array[]): Uint8Array {
  const body = new Uint8Array(messages.reduce((sum, message) => sum + sizeInMany(message), 0));
  let at = 0;
  for (const message of messages) {
    body[at++] = message.length >> 8;
    body[at++] = message.length;
    body.set(message, at);
    at += message.length;
    message.fill(0);
  }
  return body;
}

/** Copies of the messages of such a BODY. `undefined` unless it is filled to its end by 1 to `most` messages of at least a byte. */
export function unpackMany(body: Uint8Array, most: number): Uint8Array[] | undefined {
  const messages: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    if (messages.length === most) return undefined;
    const from = at + LENGTH_BYTES;
    const end = from + (body[at] ?? 0) * 0x100 + (body[at + 1] ?? 0);
    if (end <= from || end > body.length) return undefined;
    messages.push(body.slice(from, end));
    at = end;
  }
  return messages.length === 0 ? undefined : messages;
}

const LENGTH_BYTES = 2;
