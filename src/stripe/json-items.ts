/**
 * The items of a page as their own texts, cut out in one pass that parses nothing. json-text.ts knows where everything
 * stands, at twenty times the cost.
 */

import { endOfString } from './json-text.js';

const QUOTE = 0x22;
const OPENING = { brace: 0x7b, bracket: 0x5b } as const;
const CLOSING = { brace: 0x7d, bracket: 0x5d } as const;

/**
 * The texts of the objects in an array that a field of the outermost object holds, in order. The text must be valid
 * JSON. Of a field that is given twice the last one counts, as in jsonb.
 *
 * @returns null where the field holds no array, or one with an item that is no object
 */
export function objectTexts(text: string, field: string): string[] | null {
  let items: string[] | null = null;
  let isInside = false;
  let depth = 0;
  let begin = 0;
  let key = '';
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at) - 1;
      if (depth === 1 && isKey(text, end + 1)) {
        key = JSON.parse(text.slice(at, end + 1)) as string;
        if (key === field) items = null;
      } else if (depth === 2 && isInside) return null;
      at = end;
    } else if (code === OPENING.brace || code === OPENING.bracket) {
      depth += 1;
      if (depth === 2) {
        isInside = key === field && code === OPENING.bracket;
        if (isInside) items = [];
      } else if (depth === 3 && isInside) {
        if (code !== OPENING.brace) return null;
        begin = at;
      }
    } else if (code === CLOSING.brace || code === CLOSING.bracket) {
      if (depth === 3 && isInside) items?.push(text.slice(begin, at + 1));
      if (depth === 2) isInside = false;
      depth -= 1;
    } else if (depth === 2 && isInside && !isBetween(code)) return null;
  }
  return items;
}

/** White space or a comma. */
function isBetween(code: number): boolean {
  return code === 0x20 || code === 0x2c || (code >= 0x09 && code <= 0x0d);
}

function isKey(text: string, after: number): boolean {
  let at = after;
  while (isBetween(text.charCodeAt(at)) && text[at] !== ',') at += 1;
  return text[at] === ':';
}
