/** How PostgreSQL's binary form of jsonb begins: its version, before the text. */
const VERSION = Buffer.from([1]);
const OPENING = Buffer.from('[');
const BETWEEN = Buffer.from(',');
const CLOSING = Buffer.from(']');

/**
 * An array of JSON texts as a parameter of type jsonb, in the protocol's binary form, which is the bytes of the text:
 * long texts are neither joined nor measured on their way, which costs as much as parsing them.
 */
export function jsonbArray(texts: readonly string[]): Buffer {
  const parts = texts.flatMap((text, index) => [index === 0 ? OPENING : BETWEEN, Buffer.from(text)]);
  return Buffer.concat([VERSION, ...(parts.length === 0 ? [OPENING] : parts), CLOSING]);
}
