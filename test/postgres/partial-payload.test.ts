import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { partialPayload } from '../../src/postgres/partial-payload.js';
import { cutLists } from '../../src/stripe/embedded-lists.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function partial(text: string | null): Promise<boolean> {
  const { rows } = await database.pool.query<{ partial: boolean }>(
    `select ${partialPayload("o->'object'")} as partial from (select $1::jsonb as o) as e`,
    [text === null ? '{}' : `{"object":${text}}`],
  );
  return rows[0]?.partial ?? expect.fail('no answer');
}

const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<unknown>('list', true, 'true', null, '"has_more": true', 1),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.record(
      {
        object: fc.constantFrom('list', 'search_result'),
        has_more: tie('value'),
        data: fc.array(tie('value'), { maxLength: 2 }),
      },
      { requiredKeys: ['object', 'data'] },
    ),
    fc.dictionary(fc.constantFrom('a', 'has_more', 'object', 'b'), tie('value'), { maxKeys: 3 }),
  ),
}));

describe('the payload of an event', () => {
  it('is partial exactly where it has a cut list', async () => {
    await fc.assert(
      fc.asyncProperty(value, async (state) => {
        const text = JSON.stringify({ state });
        // A list without data is none of Stripe's, and cannot be made whole.
        fc.pre(!/"has_more":true/.test(text) || !/"object":"list"(?![^{}]*"data":\[)/.test(text));
        expect(await partial(text)).toBe(cutLists(text).length > 0);
      }),
      { numRuns: 300 },
    );
  });

  it('is partial where there is none at all', async () => {
    expect(await partial(null)).toBe(true);
  });

  it('is judged however large and deep it is', async () => {
    const deep = '['.repeat(2_000) + ']'.repeat(2_000);
    expect(await partial(`{"deep":${deep},"items":{"object":"list","has_more":true}}`)).toBe(true);
    expect(await partial(`{"deep":${deep},"text":"${'x'.repeat(1_000_000)}"}`)).toBe(false);
  });
});
