/** An escape of JSON that PostgreSQL's arrays do not know: of theirs, a backslash stands for itself or a quote only. */
const OTHER_ESCAPE = /\\[^"\\]/;

/**
 * An array as a parameter of type text[] or boolean[], in PostgreSQL's own notation, which for nearly all texts is that
 * of JSON with other brackets: pg writes it element by element, at many times the cost.
 */
export function arrayParameter<T extends string | boolean>(values: readonly T[]): string | readonly T[] {
  const json = JSON.stringify(values);
  return OTHER_ESCAPE.test(json) ? values : `{${json.slice(1, -1)}}`;
}
