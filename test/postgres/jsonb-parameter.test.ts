import fc from 'fast-check';
import { expect, it } from 'vitest';
import { jsonbArray } from '../../src/postgres/jsonb-parameter.js';

it('an array of texts is their JSON behind the version of the binary form, whatever letters they hold', () => {
  fc.assert(
    fc.property(fc.array(fc.json({ stringUnit: 'grapheme' })), (texts) => {
      const bytes = jsonbArray(texts);
      expect(bytes[0]).toBe(1);
      expect(bytes.subarray(1).toString('utf8')).toBe(`[${texts.join(',')}]`);
    }),
  );
});
