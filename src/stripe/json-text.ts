/**
 * Where the values stand in a JSON text, for cutting and joining texts without parsing what they say: a number that
 * JavaScript would round, a key that is given twice and white space come through as they were.
 */

/** From the first character of a value to behind its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** An object or an array of the text. Of a key that is given twice the last value counts, as in jsonb. */
export interface Container extends Span {
  /** Values of an object by their keys; empty for an array. */
  readonly members: ReadonlyMap<string, Span>;
  /** Values of an array in order; empty for an object. */
  readonly items: readonly Span[];
}

interface OpenContainer {
  readonly start: number;
  readonly isObject: boolean;
  readonly members: Map<string, Span>;
  readonly items: Span[];
  key: string | null;
}

/** What neither begins nor is a value, between two of them. */
const BETWEEN = /[\s,:]*/y;
const BACKSLASH = 0x5c;
/** A number or a word. */
const SCALAR = /[^\s,\]}]+/y;

/**
 * All objects and arrays of a text, an inner one before the one around it, the whole text last. It keeps its own
 * stack: JSON nests deeper than calls may. The text must be valid JSON.
 */
export function* containersOf(text: string): Generator<Container> {
  const open: OpenContainer[] = [];
  const valueEnds = (span: Span): void => {
    const parent = open.at(-1);
    if (parent === undefined) return;
    if (!parent.isObject) parent.items.push(span);
    else if (parent.key !== null) parent.members.set(parent.key, span);
    parent.key = null;
  };
  for (let at = skip(BETWEEN, text, 0); at < text.length; at = skip(BETWEEN, text, at)) {
    const start = at;
    const first = text[at];
    if (first === '{' || first === '[') {
      open.push({ start, isObject: first === '{', members: new Map(), items: [], key: null });
      at += 1;
    } else if (first === '}' || first === ']') {
      at += 1;
      const container = open.pop();
      if (container === undefined) throw new SyntaxError('the text is not JSON');
      const span = { start: container.start, end: at };
      yield { ...span, members: container.members, items: container.items };
      valueEnds(span);
    } else if (first === '"') {
      at = endOfString(text, at);
      const parent = open.at(-1);
      if (parent?.isObject && parent.key === null) parent.key = JSON.parse(text.slice(start, at)) as string;
      else valueEnds({ start, end: at });
    } else {
      at = skip(SCALAR, text, at);
      valueEnds({ start, end: at });
    }
  }
}

/** The texts of the items of an object's array, in order; none where the field holds no array. */
export function itemTexts(text: string, field: string): string[] {
  const arrays = new Map<number, readonly Span[]>();
  let whole: Container | undefined;
  for (const container of containersOf(text)) {
    if (text[container.start] === '[') arrays.set(container.start, container.items);
    whole = container;
  }
  const start = whole?.members.get(field)?.start;
  const items = start === undefined ? undefined : arrays.get(start);
  return (items ?? []).map((span) => text.slice(span.start, span.end));
}

/** The text with others in the place of some of its values, none of which lies within another. */
export function withReplaced(
  text: string,
  replacements: readonly { readonly span: Span; readonly by: string }[],
): string {
  const parts: string[] = [];
  let at = 0;
  for (const { span, by } of [...replacements].sort((a, b) => a.span.start - b.span.start)) {
    parts.push(text.slice(at, span.start), by);
    at = span.end;
  }
  return parts.join('') + text.slice(at);
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** Behind the closing quote of the string that begins at `start`: the first one before which an even number of backslashes stands. */
export function endOfString(text: string, start: number): number {
  for (let from = start + 1; ; ) {
    const quote = text.indexOf('"', from);
    if (quote < 0) throw new SyntaxError('the text is not JSON');
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
    from = quote + 1;
  }
}
