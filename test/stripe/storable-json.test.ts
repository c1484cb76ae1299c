import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { storableJson } from '../../src/stripe/storable-json.js';

/** What jsonb refuses, as code points of a parsed string. */
function replaced(text: string): string {
  return Array.from(text, (character) =>
    /^(?:\0|\p{Surrogate})$/u.test(character) ? '\ufffd' : character,
  ).join('');
}

function mapStrings(value: unknown): unknown {
  if (typeof value === 'string') return replaced(value);
  if (Array.isArray(value)) return value.map(mapStrings);
  if (typeof value !== 'object' || value === null) return value;
  const result: object = {};
  for (const [key, inner] of Object.entries(value)) {
    Object.defineProperty(result, replaced(key), {
      value: mapStrings(inner),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return result;
}

/** One code unit of a string as JSON may write it: raw where that is allowed, or as an escape of either case. */
function written(unit: number, form: number): string {
  const escaped = `\\u${unit.toString(16).padStart(4, '0')}`;
  const character = String.fromCharCode(unit);
  if (form === 0) return escaped;
  if (form === 1) return `\\u${escaped.slice(2).toUpperCase()}`;
  if (character === '"' || character === '\\') return `\\${character}`;
  return unit < 0x20 ? escaped : character;
}

const unit = fc.oneof(
  fc.constantFrom(
    0,
    0x5c,
    0x75,
    0x30,
    0x22,
    0xd83d,
    0xde00,
    0xd800,
    0xdbff,
    0xdc00,
    0xdfff,
    0xfffd,
    0x2f,
    0x44,
  ),
  fc.integer({ min: 0, max: 0xffff }),
);
const literal = fc
  .array(fc.tuple(unit, fc.integer({ min: 0, max: 2 })), { maxLength: 20 })
  .map((units) => `"${units.map(([value, form]) => written(value, form)).join('')}"`);
const { text: jsonText } = fc.letrec<{ text: string }>((tie) => ({
  text: fc.oneof(
    { depthSize: 'small' },
    literal,
    fc.constantFrom('null', 'true', '90071992547409931234', '1.50', '-0', '1e400'),
    fc.array(tie('text'), { maxLength: 4 }).map((parts) => `[ ${parts.join(' ,')}]`),
    fc
      // Two keys may become one: which of their values counts is told by their order in the text, not by the parsed object.
      .uniqueArray(fc.tuple(literal, tie('text')), {
        maxLength: 4,
        selector: ([key]) => mapStrings(JSON.parse(key)),
      })
      .map((entries) => `{${entries.map(([key, value]) => `${key}: ${value}`).join(', ')} }`),
  ),
}));

describe('JSON for PostgreSQL', () => {
  test.each([
    String.raw`{"name":"Zoë","emoji":"😀","escaped":"\ud83d\ude00","amount":90071992547409931234}`,
    String.raw`{"literal":"\\u0000","path":"C:\\ud800","thrice":"\\\\u0000"}`,
    String.raw`{"escapes":"\"\/\b\f\n\r\t\\"}`,
    String.raw`{"backslash":"\u005cu0000"}`,
  ])('%s stays as it is', (text) => {
    expect(storableJson(text)).toBe(text);
  });

  test.each([
    ['U+0000', String.raw`"a\u0000b"`, String.raw`"a\ufffdb"`],
    ['U+0000 after an escaped backslash', String.raw`"\\\u0000"`, String.raw`"\\\ufffd"`],
    ['a lone high surrogate', String.raw`"\ud83d!"`, String.raw`"\ufffd!"`],
    ['a lone low surrogate in capitals', String.raw`"\uDE00"`, String.raw`"\ufffd"`],
    ['two halves in the wrong order', String.raw`"\ude00\ud83d"`, String.raw`"\ufffd\ufffd"`],
    ['a half before a whole pair', String.raw`"\ud83d\ud83d\ude00"`, String.raw`"\ufffd\ud83d\ude00"`],
    ['a raw lone surrogate', '"\ud83d"', String.raw`"\ufffd"`],
    ['a half before an escaped backslash', String.raw`"\ud83d\\ude00"`, String.raw`"\ufffd\\ude00"`],
    ['a pair of which one half is escaped', `"\ud83d${String.raw`\ude00`}"`, String.raw`"\ud83d\ude00"`],
    ['a key', String.raw`{"\u0000":1}`, String.raw`{"\ufffd":1}`],
  ])('%s is replaced, and nothing else', (_, text, expected) => {
    expect(storableJson(text)).toBe(expected);
  });

  test('any JSON means the same afterwards, but for what jsonb refuses', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        expect(JSON.parse(storableJson(text))).toEqual(mapStrings(JSON.parse(text)));
      }),
      { numRuns: 3000 },
    );
  });

  test('nothing that jsonb refuses is left, and doing it twice changes nothing more', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        const storable = storableJson(text);
        expect(storable).not.toMatch(/\p{Surrogate}/u);
        expect(JSON.stringify(JSON.parse(storable))).not.toMatch(/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/);
        expect(storableJson(storable)).toBe(storable);
      }),
      { numRuns: 3000 },
    );
  });
});
