/**
 * PostgreSQL's jsonb refuses two things that JSON allows in strings: U+0000, and a surrogate without its other
 * half. One such character in one customer's name would park the whole page that holds it.
 */

const high = String.raw`(?:\\u[dD][89abAB][0-9a-fA-F]{2}|[\ud800-\udbff])`;
const low = String.raw`(?:\\u[dD][c-fC-F][0-9a-fA-F]{2}|[\udc00-\udfff])`;

// The first alternative takes every other escape as a unit, so that in `\\u0000` (an escaped backslash and the
// letters u0000) no second escape is seen.
const units = new RegExp(String.raw`\\[^u]|(${high})(${low})|${high}|${low}|\\u0000`, 'g');

const suspectEscape = /\\u(?:0000|[dD][89a-fA-F])/;
/** Node has it since 20, the library that we compile against does not; a regular expression takes ten times as long. */
type Text = string & { isWellFormed(): boolean };

/**
 * The same JSON text for jsonb: identical where nothing needs replacing; otherwise with each U+0000 and each
 * lone surrogate, written as an escape or raw, replaced by U+FFFD (as an escape). Nothing else changes: numbers,
 * key order and white space stay as Stripe sent them. The text must be valid JSON.
 */
export function storableJson(text: string): string {
  if (!suspectEscape.test(text) && (text as Text).isWellFormed()) return text;
  return text.replace(units, (unit: string, first: string | undefined, second: string | undefined) => {
    if (first !== undefined && second !== undefined) {
      // Half raw, half escaped is a pair to JSON.parse, but its raw half has no UTF-8 form to travel in.
      return first.length === second.length ? unit : asEscape(first) + asEscape(second);
    }
    return unit.length === 2 ? unit : String.raw`\ufffd`;
  });
}

function asEscape(half: string): string {
  return half.length === 1 ? `\\u${half.charCodeAt(0).toString(16)}` : half;
}
