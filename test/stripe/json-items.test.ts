import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { objectTexts } from '../../src/stripe/json-items.js';
import { itemTexts } from '../../src/stripe/json-text.js';

const objects = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), { maxLength: 6 });
/** JSON text with white space in odd places, and with what looks like the field around it. */
const page = fc
  .tuple(objects, fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(0, 1, '\t', '\n \r'))
  .map(([data, other, space]) =>
    JSON.stringify(
      { before: ']}"data":[{', inner: { data: [{}] }, other, data, after: [[{ a: other }]] },
      null,
      space,
    ),
  );

describe('objects cut out of a page', () => {
  it('are those that a parser of the whole text finds', () => {
    fc.assert(
      fc.property(page, (text) => {
        expect(objectTexts(text, 'data')).toEqual(itemTexts(text, 'data'));
      }),
    );
  });

  it('keep every digit, every escape and a key that is given twice', () => {
    const items = [
      '{"a":1.0,"b":12345678901234567890}',
      String.raw`{"\u0041\/\\":"\"}{"}`,
      '{"a":1,"a":2}',
      '{}',
    ];
    expect(objectTexts(`{"data" : [ ${items.join(' ,\n')} ]}`, 'data')).toEqual(items);
  });

  it('are the last ones of a field that is given twice', () => {
    expect(objectTexts(String.raw`{"data":[{"a":1}],"d\u0061ta":[{"a":2}]}`, 'data')).toEqual(['{"a":2}']);
    expect(objectTexts('{"data":[{"a":1}],"data":null}', 'data')).toBeNull();
  });

  it.each(['{}', '[]', '{"data":{}}', '{"data":{"a":[{}]}}', '[[{}]]', '{"other":[{}]}'])(
    'are not there where the field holds no array: %s',
    (text) => {
      expect(objectTexts(text, 'data')).toBeNull();
    },
  );

  it.each(['{"data":[1]}', '{"data":["x"]}', '{"data":[{},null]}', '{"data":[[{}]]}', '{"data":[{},true]}'])(
    'are not taken for all where an item is no object: %s',
    (text) => {
      expect(objectTexts(text, 'data')).toBeNull();
    },
  );
});
