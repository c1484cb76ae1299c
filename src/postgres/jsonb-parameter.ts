/** How PostgreSQL's binary form of jsonb begins: its version, before the text. */
const VERSION = 1;
const OPENING = 0x5b;
const COMMA = 0x2c;
const CLOSING = 0x5d;

/**
 * An array of JSON texts as a parameter of type jsonb, in the protocol's binary form, which is the bytes of the text:
 * long texts are not joined on their way, which costs as much as parsing them.
 */
export function jsonbArray(texts: readonly string[]): Buffer {
  let length = texts.length === 0 ? 3 : 2;
  for (const text of texts) length += Buffer.byteLength(text) + 1;
  const bytes = Buffer.allocUnsafe(length);
  bytes[0] = VERSION;
  bytes[1] = OPENING;
  let at = 2;
  for (const text of texts) {
    at += bytes.write(text, at);
    bytes[at] = COMMA;
    at += 1;
  }
  // In the place of the last comma, where there is one.
  bytes[length - 1] = CLOSING;
  return bytes;
}
