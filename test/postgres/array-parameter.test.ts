import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { arrayParameter } from '../../src/postgres/array-parameter.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const awkward = fc.constantFrom(
  '',
  'NULL',
  'null',
  ' ',
  '"',
  '\\',
  '\\n',
  '\n',
  '\t',
  '\u0001',
  '{',
  '}',
  ',',
  "'",
);
const texts = fc.array(
  fc.oneof(
    fc.stringMatching(/^[a-z]{2}_\w{3,8}$/),
    fc
      .array(fc.oneof(awkward, fc.string({ unit: 'grapheme' })), { maxLength: 3 })
      .map((parts) => parts.join('')),
  ),
  { maxLength: 6 },
);

it('texts come through as they are, whatever letters they hold', async () => {
  let ours = 0;
  let pgs = 0;
  await fc.assert(
    fc.asyncProperty(
      texts.filter((all) => !all.some((text) => text.includes('\0'))),
      async (all) => {
        const parameter = arrayParameter(all);
        if (typeof parameter === 'string') ours += 1;
        else pgs += 1;
        const { rows } = await database.pool.query('select $1::text[] as all', [parameter]);
        expect(rows).toEqual([{ all }]);
      },
    ),
    { numRuns: 1_000 },
  );
  expect(ours).toBeGreaterThan(100);
  expect(pgs).toBeGreaterThan(20);
});

it('truth values too', async () => {
  const { rows } = await database.pool.query('select $1::boolean[] as some, $2::boolean[] as none', [
    arrayParameter([true, false, true]),
    arrayParameter([]),
  ]);
  expect(rows).toEqual([{ some: [true, false, true], none: [] }]);
});
