import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { containersOf, itemTexts, withReplaced } from '../../src/stripe/json-text.js';

/** JSON text with white space in odd places. */
const spaced = fc
  .tuple(fc.array(fc.jsonValue({ maxDepth: 4 }), { maxLength: 6 }), fc.constantFrom(0, 1, '\t', '\n \r'))
  .map(([values, space]) => ({ values, text: JSON.stringify({ before: '"]}', data: values }, null, space) }));

describe('values cut out of a JSON text', () => {
  it('are the values that the text says, whatever they are', () => {
    fc.assert(
      fc.property(spaced, ({ values, text }) => {
        const parsed = JSON.parse(JSON.stringify(values)) as unknown[];
        expect(itemTexts(text, 'data').map((item) => JSON.parse(item))).toEqual(parsed);
      }),
    );
  });

  it('end where they end, though they hold brackets, quotes and backslashes', () => {
    const values = ['\\', '"', '\\"', ']}', '{"data":[', 'a\\\\"b', '', '\u2028'];
    expect(itemTexts(JSON.stringify({ data: values }), 'data')).toEqual(
      values.map((value) => JSON.stringify(value)),
    );
  });

  it('keep every digit and every escape', () => {
    const items = [
      '1.0',
      '0.050',
      '12345678901234567890',
      '-0',
      '1E400',
      String.raw`"\u0041\/"`,
      '{"a":1,"a":2}',
    ];
    expect(itemTexts(`{"data":[ ${items.join(' , ')} ]}`, 'data')).toEqual(items);
  });

  it('are the last ones of a key that is given twice, as for JavaScript and jsonb', () => {
    const text = String.raw`{"data":[1],"d\u0061ta":[2],"inner":{"data":[3]}}`;
    expect(itemTexts(text, 'data')).toEqual(['2']);
  });

  it('are none where the field holds no array', () => {
    for (const text of ['{}', '[]', '1', '{"data":{}}', '{"data":null}', '[[1]]'])
      expect(itemTexts(text, 'data')).toEqual([]);
  });

  it('are found in a text that nests deeper than calls may, and in one of several megabytes', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    expect(itemTexts(`{"data":[${deep},1]}`, 'data')).toEqual([deep, '1']);
    const long = JSON.stringify('\\"x'.repeat(1_000_000));
    expect(itemTexts(`{"data":[${long}]}`, 'data')[0]?.length).toBe(long.length);
  });

  it('come with all keys, __proto__ among them', () => {
    const [object] = [...containersOf('{"__proto__":{},"constructor":1}')].slice(-1);
    expect([...(object?.members.keys() ?? [])]).toEqual(['__proto__', 'constructor']);
  });
});

describe('a text with other values in the place of some', () => {
  it('is the same everywhere else', () => {
    const text = '{"a": 1.0, "b":[2], "c":0.050}';
    const [whole] = [...containersOf(text)].slice(-1);
    const spans = ['c', 'a'].flatMap((key) => whole?.members.get(key) ?? []);
    const replaced = withReplaced(text, [
      { span: spans[0] ?? { start: 0, end: 0 }, by: 'C' },
      { span: spans[1] ?? { start: 0, end: 0 }, by: 'A' },
    ]);
    expect(replaced).toBe('{"a": A, "b":[2], "c":C}');
  });
});
